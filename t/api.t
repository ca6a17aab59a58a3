#!/usr/bin/perl

# The control API: create, read, list, change, share; and every way to get it
# wrong.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::UNIX;
use Mojo::JSON qw(encode_json true false);
use Mojo::Util qw(encode);
use Test::More;
use Test::Spaces;
use Time::HiRes qw(sleep);

for my $workers (1, 4) {
    subtest "$workers workers" => sub { run($workers) };
}

subtest 'changes that cross' => sub {
    my $s = Test::Spaces->new(workers => 1, redis_timeout => '10s')->start;
    my $space = $s->create(record => true, title => 'old');
    kill 'STOP', $s->{redis_pid};
    my @sockets;
    for ({ record => false }, { title => 'new' }, { topics => ['a'] }) {
        my $body = encode_json($_);
        my $socket = $s->socket;
        print $socket join "\r\n", "PATCH /spaces/$space->{id} HTTP/1.1",
            'Host: localhost', "Authorization: Bearer $space->{token}",
            'Content-Type: application/json', 'Connection: close',
            'Content-Length: ' . length $body, '', $body;
        $socket->flush;
        push @sockets, $socket;
    }
    # each has been sent, and read what was there before all of them
    sleep 0.5;
    kill 'CONT', $s->{redis_pid};
    like(Test::Spaces::read_all($_), qr/^HTTP\/1.1 200 /, 'taken')
        for @sockets;
    my $is = $s->space($space->{id});
    is_deeply([@$is{qw(record title topics)}], [false, 'new', ['a']],
              'all of them hold');
    $s->stop;
};

subtest 'it goes live while it is changed' => sub {
    my $s = Test::Spaces->new(workers => 1, redis_timeout => '10s')->start;
    my $space = $s->create(record => true);
    # what is written waits, in this order; what is read does not
    is($s->redis('CLIENT', 'PAUSE', 1500, 'WRITE'), 'OK', 'no writes now');
    my $live = IO::Socket::UNIX->new(Peer => "$s->{dir}/redis.sock") or die;
    my @command = ('HSET', "spaces:space:{$space->{id}}", 'state', 'live');
    print $live '*' . @command . "\r\n",
        map { '$' . length($_) . "\r\n$_\r\n" } @command;
    $live->flush;
    sleep 0.2;
    my $res = $s->http('PATCH', "/spaces/$space->{id}",
                       $s->bearer($space->{token}), json => { record => false });
    is(Test::Spaces::read_reply($live), 0, 'it is live');
    is($res->code, 409, 'too late');
    is($res->json->{type}, 'urn:spaces:begun', 'and why');
    is($s->redis('HGET', "spaces:space:{$space->{id}}", 'record'), 1,
       'it stays as it was');
    $s->stop;
};

subtest 'only if it is as it was' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my $space = $s->create(title => 'old');
    my ($ask, $at) = ($s->bearer($space->{token}), "/spaces/$space->{id}");
    my %tagged = (%$ask, 'If-Match' => '"x"');
    for (['PATCH', $at, json => { title => 'new' }], ['DELETE', $at],
         ['POST', "$at/end", json => {}], ['POST', "$at/shares", json => {}],
         ['POST', "$at/speakers", json => { name => 'Bea' }])
    {
        my ($method, $path, @more) = @$_;
        my $res = $s->http($method, $path, \%tagged, @more);
        is($res->code, 412, "$method $path: what has no entity tag");
        is($res->json->{type}, 'urn:spaces:precondition-failed', 'and why');
    }
    my $is = $s->space($space->{id});
    is("$is->{title}, $is->{state}", 'old, scheduled', 'it is as it was');

    my $long_ago = 'Mon, 01 Jan 2001 00:00:00 GMT';
    for (['"*"', title => 'one', 'If-Match' => '*'],
         ['a date', title => 'two', 'If-Unmodified-Since' => $long_ago])
    {
        my ($name, $field, $value, %header) = @$_;
        my $res = $s->http('PATCH', $at, { %$ask, %header },
                           json => { $field => $value });
        is($res->code, 200, "$name does not keep it from being changed");
        is($s->space($space->{id})->{title}, $value, 'and it is');
    }
    is($s->http('GET', $at, \%tagged)->code, 200, 'nor from being read');
    $s->stop;
};

done_testing;

sub run {
    my ($workers) = @_;

    my $s = Test::Spaces->new(
        workers => $workers,
        http_more => 'map $cookie_spaces_user $may_record {
                          default on; eve off; }
                      map $cookie_spaces_user $may_host {
                          default on; mallory off; }',
        http => { spaces_record => '$may_record',
                  spaces_create => '$may_host' },
    )->start;

    my $post = sub {
        my ($user, $json) = @_;
        return $s->http('POST', '/spaces', $s->as($user), json => $json);
    };
    my $problem = sub {
        my ($res, $status, $slug, $name) = @_;
        is($res->code, $status, "$name: $status")
            or diag($res->body);
        is($res->headers->content_type, 'application/problem+json',
           "$name: problem+json");
        my $json = $res->json // {};
        is($json->{type}, "urn:spaces:$slug", "$name: $slug");
        is($json->{status}, $status, "$name: the status in the body");
        ok(length($json->{detail} // ''), "$name: a detail");
    };

    # create

    my $res = $post->('ana', {
        title => "Überall <b>\"&\x{1}\x{1f399}", record => true,
        topics => ['music', 'Jazz & Blues', '日本'], language => 'pt-BR',
        visibility => 'public', capacity => 12, price => '5 €',
        scheduled_at => '2031-02-03T04:05:06.789+01:30',
    });
    is($res->code, 201, 'created');
    my $space = $res->json;
    like($space->{id}, qr/^[a-z2-7]{20}$/, 'an id');
    is($res->headers->location, "/spaces/$space->{id}", 'Location');
    like($space->{token}, qr/^[\w-]{22,}$/, 'the host token');
    is($space->{title}, "Überall <b>\"&\x{1}\x{1f399}", 'any text, inert');
    is($space->{scheduled_at}, '2031-02-03T02:35:06Z', 'a time in UTC');
    is_deeply([@$space{qw(host state recording language visibility capacity
                          price listeners replays)}],
              ['ana', 'scheduled', 'none', 'pt-BR', 'public', 12, '5 €', 0, 0],
              'the fields');
    is($space->{record}, true, 'record');
    is_deeply($space->{topics}, ['music', 'Jazz & Blues', '日本'], 'topics');
    is_deeply($space->{speakers}, [], 'nobody there');
    for (qw(started_at ended_at expires_at duration bytes)) {
        ok(exists $space->{$_} && !defined $space->{$_}, "$_ is null");
    }

    # read

    for (1 .. 6) {
        my $read = $s->space($space->{id});
        ok(!exists $read->{token}, 'the token is shown once');
        is($read->{title}, $space->{title}, 'read');
    }

    my $stored = $s->redis('HGETALL', "spaces:space:{$space->{id}}");
    unlike("@$stored", qr/\Q$space->{token}\E/, 'no token in the hash');
    is($s->redis('EXISTS', "spaces:token:$space->{token}"), 0,
       'no token as a key');
    my $tokens = $s->redis('SMEMBERS', "spaces:space:{$space->{id}}:tokens");
    is(scalar @$tokens, 1, 'one token of the Space');
    cmp_ok($s->redis('TTL', "spaces:token:$tokens->[0]"), '>', 0,
           'it expires');

    # who is calling

    $problem->($s->http('POST', '/spaces', {}, json => { title => 'x' }),
               401, 'unauthorized', 'nobody creates');
    like($s->http('POST', '/spaces', {}, json => { title => 'x' })
             ->headers->www_authenticate // '', qr/^Bearer/, 'and is told how');
    $problem->($s->http('POST', '/spaces', $s->bearer($_),
                        json => { title => 'x' }),
               403, 'forbidden', 'a token does not create')
        for $space->{token}, 'x' x 32;
    $problem->($post->("a\xff", { title => 'x' }), 401, 'unauthorized',
               'a user that is no UTF-8');
    $problem->($post->('a' x 65, { title => 'x' }), 401, 'unauthorized',
               'a user that is too long');
    $problem->($post->('mallory', { title => 'x' }), 403, 'hosting-off',
               'hosting is off');
    $problem->($post->('eve', { title => 'x', record => true }), 403,
               'recording-off', 'recording is off');
    is($post->('eve', { title => 'x' })->code, 201, 'unrecorded is fine');

    # wrong fields

    for (
        [{}, 'bad-field', 'no title'],
        [{ title => '' }, 'bad-field', 'an empty title'],
        [{ title => 'x' x 201 }, 'bad-field', 'a long title'],
        [{ title => ['x'] }, 'bad-field', 'a title that is a list'],
        [{ title => 1 }, 'bad-field', 'a title that is a number'],
        [{ title => 'x', record => 'yes' }, 'bad-field', 'record'],
        [{ title => 'x', topics => 'a' }, 'bad-field', 'topics'],
        [{ title => 'x', topics => [1 .. 4] }, 'bad-field', 'four topics'],
        [{ title => 'x', topics => ['a' x 65] }, 'bad-field', 'long topic'],
        [{ title => 'x', topics => [''] }, 'bad-field', 'an empty topic'],
        [{ title => 'x', topics => ['a', 'a'] }, 'bad-field', 'twice'],
        [{ title => 'x', topics => [1] }, 'bad-field', 'a number'],
        [{ title => 'x', language => 'x' }, 'bad-field', 'language x'],
        [{ title => 'x', language => 'en_US' }, 'bad-field', 'en_US'],
        [{ title => 'x', language => 'en--US' }, 'bad-field', 'en--US'],
        (map { [{ title => 'x', language => $_ }, 'bad-field', $_] }
             'en-a', 'en-a-b-cc', 'en-x', 'i', 'a-DE', 'en-', '1n',
             'en-abcdefghi', 'x-', 'en-a-x-b'),
        [{ title => 'x', visibility => 'secret' }, 'bad-field', 'secret'],
        [{ title => 'x', capacity => 0 }, 'bad-field', 'no capacity'],
        [{ title => 'x', capacity => 1.5 }, 'bad-field', 'one and a half'],
        [{ title => 'x', capacity => -1 }, 'bad-field', 'negative'],
        [{ title => 'x', price => 'x' x 201 }, 'bad-field', 'long price'],
        [{ title => 'x', scheduled_at => 'soon' }, 'bad-field', 'soon'],
        [{ title => 'x', scheduled_at => '2030-02-30T00:00:00Z' },
         'bad-field', 'the 30th of February'],
        [{ title => 'x', scheduled_at => '2030-+2- 1T00:00:00Z' },
         'bad-field', 'signs and blanks in a time'],
        [{ title => 'x', scheduled_at => '2030-02-01T00:00:00++1:+2' },
         'bad-field', 'and in its offset'],
        [{ title => 'x', scheduled_at => '2030-02-20T00:00:00' },
         'bad-field', 'a time without its zone'],
        [{ title => 'x', nope => 1 }, 'unknown-field', 'an unknown field'],
    ) {
        my ($json, $slug, $name) = @$_;
        $problem->($post->('ana', $json), 400, $slug, $name);
    }
    like($post->('ana', { title => 'x', nope => 1 })->json->{detail},
         qr/"nope"/, 'the field is named');
    is($post->('ana', { title => 'é' x 200 })->code, 201,
       'characters are counted, not bytes');

    for (qw(x-klingon i-klingon X-a-b de-CH-1996 sl-rozaj-biske
            zh-cmn-Hans-CN en-US-u-islamcal en-a-bbb-x-a-ccc es-419))
    {
        is($post->('ana', { title => 'x', language => $_ })->code, 201, $_);
    }

    # wrong bodies

    my $raw = sub {
        my ($body, $type) = @_;
        return $s->http('POST', '/spaces',
                        { %{ $s->as('ana') },
                          'Content-Type' => $type // 'application/json' },
                        $body);
    };
    $problem->($raw->('{'), 400, 'bad-json', 'half an object');
    $problem->($raw->('[]'), 400, 'bad-json', 'a list');
    $problem->($raw->('{"title":"x","title":"y"}'), 400, 'bad-json', 'twice');
    $problem->($raw->("{\"title\":\"\xff\"}"), 400, 'bad-json', 'no UTF-8');
    $problem->($raw->('{"title":"\u0000"}'), 400, 'bad-json', 'a NUL');
    $problem->($raw->('[' x 5000), 400, 'bad-json', 'nested deeply');
    $problem->($raw->('{"title":"x"}', 'text/plain'), 415, 'not-json',
               'as text');
    $problem->($raw->('{"title":"x"}', 'application/jsonp'), 415, 'not-json',
               'as jsonp');
    is($raw->('{"title":"x"}', 'application/json; charset=utf-8')->code, 201,
       'with a charset');
    $problem->($raw->('{"title":"' . 'x' x 70000 . '"}'), 413, 'too-large',
               'too large');

    my $socket = $s->socket;
    print $socket "POST /spaces HTTP/1.1\r\nHost: h\r\nConnection: close\r\n",
        "Cookie: spaces_user=ana\r\nContent-Type: application/json\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        map { "4000\r\n" . ' ' x 0x4000 . "\r\n" } 1 .. 5;
    like(Test::Spaces::read_all($socket), qr/^HTTP\/1.1 413 .*too-large/s,
         'too large in chunks');

    # by nginx, at once or when it comes to it

    for (['ZZ', ''], ['8', '{"title"', 'ZZ']) {
        my ($first, @more) = @$_;
        my $socket = $s->socket;
        print $socket "POST /spaces HTTP/1.1\r\nHost: h\r\n",
            "Cookie: spaces_user=ana\r\nContent-Type: application/json\r\n",
            "Transfer-Encoding: chunked\r\n\r\n$first\r\n";
        $socket->flush;
        sleep 0.1;
        print $socket map { "$_\r\n" } @more;
        like(Test::Spaces::read_all($socket, 3),
             qr/^HTTP\/1.1 400 .*urn:spaces:bad-json/s, 'broken chunks');
    }

    # origins

    my $from = sub {
        my ($origin) = @_;
        return $s->http('POST', '/spaces',
                        { %{ $s->as('ana') }, Origin => $origin },
                        json => { title => 'x' });
    };
    is($from->($s->url)->code, 201, 'from its own pages');
    $problem->($from->('http://evil.example'), 403, 'foreign-origin',
               'from a foreign page');
    $problem->($from->('null'), 403, 'foreign-origin', 'from nowhere');

    # paths and methods

    $problem->($s->http('GET', $_), 404, 'not-found', $_)
        for '/spaces/nope', "/spaces/$space->{id}/nope", '/spacesx',
            '/spaces/%2e%2e%2fspaces%2fx', '/spaces/' . 'a' x 20,
            '/spaces/a/b/c/d/e/f', '/spaces/' . uc $space->{id};
    is($s->http('GET', $_)->code, 400, "$_: nginx itself refuses")
        for '/spaces/..%2f..%2fetc%2fpasswd', '/spaces/%00';
    for (['PUT', '/spaces', 'GET, HEAD, POST'],
         ['PUT', "/spaces/$space->{id}", 'GET, HEAD, PATCH, DELETE'],
         ['GET', "/spaces/$space->{id}/end", 'POST'],
         ['PUT', "/spaces/$space->{id}/shares", 'GET, HEAD, POST'],
         ['GET', "/spaces/$space->{id}/shares/x", 'DELETE'])
    {
        my ($method, $path, $allow) = @$_;
        my $res = $s->http($method, $path, $s->as('ana'));
        $problem->($res, 405, 'bad-method', "$method $path");
        is($res->headers->header('Allow'), $allow, "Allow: $allow");
    }

    # change

    my $patch = sub {
        my ($headers, $json) = @_;
        return $s->http('PATCH', "/spaces/$space->{id}", $headers,
                        json => $json);
    };
    $problem->($patch->({}, { title => 'y' }), 401, 'unauthorized',
               'nobody changes');
    my $hidden = $s->create(visibility => 'unlisted');
    for (['PATCH', ''], map { ['POST', $_] } qw(/end /shares /speakers
                                                /tickets)) {
        my ($method, $path) = @$_;
        $problem->($s->http($method, "/spaces/$space->{id}$path",
                            { 'Content-Type' => 'text/plain' }, '{bad'),
                   401, 'unauthorized', "$method $path, whatever it says");
        $problem->($s->http($method, "/spaces/$hidden->{id}$path", {}, '{bad'),
                   404, 'not-found', "$method $path of what nobody may see");
    }
    $problem->($patch->($s->as('bob'), { title => 'y' }), 403, 'forbidden',
               'another user');
    $problem->($patch->($s->bearer('x' x 32), { title => 'y' }), 403,
               'forbidden', 'an unknown token');
    my $other = $s->create(title => 'other');
    $problem->($patch->($s->bearer($other->{token}), { title => 'y' }), 403,
               'forbidden', 'the token of another Space');
    $problem->($patch->($s->as('ana'), { host => 'bob' }), 400,
               'unknown-field', 'the host stays');
    $problem->($patch->({ %{ $s->as('ana') }, Origin => 'http://evil.example' },
                        { title => 'y' }),
               403, 'foreign-origin', 'a foreign page');
    is($patch->({ %{ $s->bearer($space->{token}) },
                  Origin => 'http://app.example' }, { title => 'y' })->code,
       200, 'a token may come from anywhere');

    $res = $patch->($s->as('ana'), { title => 'New', topics => ['art'],
                                     language => undef, record => false });
    is($res->code, 200, 'changed');
    for (1 .. 8) {
        my $read = $s->space($space->{id});
        is_deeply([@$read{qw(title language)}, $read->{topics}],
                  ['New', undef, ['art']], 'any worker knows at once');
        is($read->{record}, false, 'record too');
    }
    is($s->redis('ZCARD', 'spaces:topic:music'), 0, 'the old topic is left');
    is($s->redis('ZCARD', 'spaces:topic:art'), 1, 'the new one is entered');

    $problem->($patch->($s->as('ana'), { title => " \t " }), 400, 'bad-field',
               'a title of blanks');
    $problem->($patch->($s->as('ana'), { topics => ['a', ' '] }), 400,
               'bad-field', 'a topic of blanks');

    # a link to what is announced

    my $soon = $s->create(scheduled_at => '2100-01-01T20:00:00Z');
    my $link = $s->http('POST', "/spaces/$soon->{id}/shares", $s->as('ana'),
                        json => {})->json;
    is($link->{expires_at}, '2100-01-31T20:00:00Z',
       'is one until there was something to hear');

    # unlisted, ticketed

    my $unlisted = $s->create(visibility => 'unlisted', title => 'hidden');
    $problem->($s->http('GET', "/spaces/$unlisted->{id}"), 404, 'not-found',
               'unlisted: nobody');
    $problem->($s->http('GET', "/spaces/$unlisted->{id}", $s->as('bob')),
               404, 'not-found', 'unlisted: another');
    $problem->($s->http('PATCH', "/spaces/$unlisted->{id}", $s->as('bob'),
                        json => {}), 404, 'not-found',
               'unlisted: a write of another');
    is($s->space($unlisted->{id}, $unlisted->{token})->{title}, 'hidden',
       'unlisted: its host');
    my $ticketed = $s->create(visibility => 'ticketed');
    is($s->space($ticketed->{id})->{visibility}, 'ticketed',
       'ticketed: anybody sees it');

    # of what is cancelled nothing is left, tokens and their names least of all

    my $cancelled = $s->create;
    $s->invite($cancelled, 'Bea');
    my $set = "spaces:space:{$cancelled->{id}}:tokens";
    my @keys = map { "spaces:token:$_" } @{ $s->redis('SMEMBERS', $set) };
    is($s->redis('EXISTS', @keys), 2, 'a host and a guest have tokens');
    is($s->http('DELETE', "/spaces/$cancelled->{id}", $s->as('ana'))->code,
       204, 'cancelled');
    ok(until_ok(sub { $s->redis('EXISTS', @keys, $set) == 0 }),
       'their tokens are gone');

    # end, before it began

    $problem->($s->end_space($space), 409, 'not-live', 'not live yet');
    $problem->($s->http('POST', "/spaces/$space->{id}/end"), 401,
               'unauthorized', 'nobody ends');

    # the timeline

    $s->redis('FLUSHALL');
    # a millisecond apart, or they would be of the same age
    my @ids = map { sleep 0.003;
                    $s->create(title => "n$_", language => $_ % 2 ? 'en' : 'fr',
                               topics => $_ % 3 ? ['a'] : ['a', 'b'],
                               user => $_ % 4 ? 'ana' : 'bob')->{id} } 1 .. 25;
    $s->create(visibility => 'unlisted');
    my $newest = [reverse @ids];

    my $list = sub {
        my ($query) = @_;
        my $res = $s->http('GET', "/spaces?$query");
        is($res->code, 200, "list $query");
        return $res->json;
    };
    my $page = $list->('');
    is(scalar @{ $page->{spaces} }, 20, 'twenty at first');
    my @all;
    my $cursor = '';
    for (1 .. 10) {
        my $page = $list->("limit=7&cursor=$cursor");
        push @all, map { $_->{id} } @{ $page->{spaces} };
        # one more at the front moves nothing behind the cursor
        $s->create(title => 'later') if $_ == 2;
        $cursor = $page->{next} // last;
    }
    is_deeply(\@all, $newest, 'newest first, each once');
    is_deeply([map { $_->{title} } @{ $list->('language=fr&topic=b')->{spaces} }],
              [qw(n24 n18 n12 n6)], 'by language and topic');
    is_deeply([map { $_->{title} } @{ $list->('host=bob&language=fr')->{spaces} }],
              [qw(n24 n20 n16 n12 n8 n4)], 'by host and language');
    is_deeply($list->('state=live')->{spaces}, [], 'none is live');
    is($list->('state=live')->{next}, undef, 'and no more to come');
    is(scalar @{ $list->('state=scheduled&limit=100')->{spaces} }, 26,
       'all are scheduled');
    $problem->($s->http('GET', "/spaces?$_"), 400, 'bad-request', $_)
        for 'limit=0', 'limit=101', 'limit=x', 'state=x', 'cursor=x',
            'cursor=' . 'A' x 2000;
    is_deeply($list->('topic=%E6%97%A5+%26')->{spaces}, [], 'a decoded topic');

    $s->stop;
}
