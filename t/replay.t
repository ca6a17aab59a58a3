#!/usr/bin/perl

# Recordings by Range, and by link.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::JSON qw(true);
use Mojo::Util qw(encode);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build silence_of);
use Test::Spaces::Recordings qw(preconditions);
use Time::HiRes qw(sleep time);

my $audio = build(packets => [silence_of(50)]);

for (
    [1, 'sendfile on;'],
    [4, ''],
    [4, 'sendfile on; open_file_cache max=100; open_file_cache_valid 1s;'],
    [2, 'aio threads; sendfile on;'],
    [2, 'aio threads; directio 512; output_buffers 1 64k;'],
) {
    my ($workers, $more) = @$_;
    subtest "$workers workers, $more" => sub { run($workers, $more) };
}

expiry();

done_testing;

sub run {
    my ($workers, $more) = @_;
    my $s = Test::Spaces->new(workers => $workers, replay_more => $more)->start;

    my $space = $s->create(record => true, title => "Grüße; \"x\"\r\n");
    is($s->ingest($space, $audio)->code, 200, 'recorded');
    my $id = $space->{id};
    my $path = "/spaces/$id/replay";

    my $get = sub {
        my ($headers, $method) = @_;
        return $s->http($method // 'GET', $path, $headers // {});
    };

    my $all = $get->();
    is($all->code, 200, 'all of it');
    my $body = $all->body;
    my $n = length $body;
    my $etag = $all->headers->etag;
    like($etag, qr/^"[^"]+"$/, 'a strong ETag');
    is($all->headers->content_type, 'audio/ogg', 'the type');
    is($all->headers->content_length, $n, 'the length');
    is($all->headers->accept_ranges, 'bytes', 'ranges are taken');
    like($all->headers->cache_control, qr/^public, max-age=(\d+)$/, 'public');
    my ($age) = $all->headers->cache_control =~ /(\d+)/;
    cmp_ok($age, '<=', 30 * 86400, 'no longer than it is there');
    cmp_ok($age, '>', 30 * 86400 - 300, 'nor much shorter');
    is($_->headers->etag, $etag, 'the same on any worker')
        for map { $get->() } 1 .. 4;

    my $head = $get->({}, 'HEAD');
    is($head->code, 200, 'HEAD');
    is($head->headers->content_length, $n, 'HEAD has the length');
    is($head->body, '', 'and no body');

    for (
        ['bytes=0-0', 0, 0], ['bytes=0-1', 0, 1], ['bytes=100-199', 100, 199],
        ['bytes=100-', 100, $n - 1], ['bytes=-10', $n - 10, $n - 1],
        ['bytes=0-999999999', 0, $n - 1], ["bytes=-@{[$n * 2]}", 0, $n - 1],
    ) {
        my ($range, $from, $to) = @$_;
        my $res = $get->({ Range => $range });
        is($res->code, 206, "$range: 206");
        is($res->headers->content_range, "bytes $from-$to/$n",
           "$range: Content-Range");
        ok($res->body eq substr($body, $from, $to - $from + 1),
           "$range: these bytes");
    }

    my $res = $get->({ Range => 'bytes=0-9,20-29' });
    is($res->code, 206, 'several ranges');
    like($res->headers->content_type, qr/^multipart\/byteranges; boundary=/,
         'in several parts');
    my $part = $res->content->parts->[1];
    is($part->headers->content_type, 'audio/ogg', 'each with its type');
    is($part->headers->content_range, "bytes 20-29/$n", 'and its place');
    ok($part->asset->slurp eq substr($body, 20, 10), 'and its bytes');

    for ("bytes=$n-", "bytes=@{[$n + 5]}-@{[$n + 9]}", 'bytes=-0') {
        $res = $get->({ Range => $_ });
        is($res->code, 416, "$_: 416");
        is($res->headers->content_range, "bytes */$n", "$_: how many there are");
        is(($res->json // {})->{type}, 'urn:spaces:bad-range', "$_: a problem");
    }
    is($get->({ Range => $_ })->code, 200, "$_: is passed over")
        for 'lines=1-2';

    is($get->({ Range => 'bytes=0-9', 'If-Range' => $etag })->code, 206,
       'If-Range that holds');
    is($get->({ Range => 'bytes=0-9', 'If-Range' => '"other"' })->code, 200,
       'If-Range that does not');
    is($get->({ Range => 'bytes=0-9', 'If-Range' =>
                $all->headers->last_modified })->code, 206,
       'If-Range by time');
    is($get->({ 'If-None-Match' => $etag })->code, 304, 'If-None-Match');
    is($get->({ 'If-None-Match' => '"other"' })->code, 200,
       'If-None-Match of another');
    preconditions($get, $etag);
    is($get->({ 'If-Modified-Since' => $all->headers->last_modified })->code,
       304, 'If-Modified-Since');

    $res = $s->http('GET', "$path?download=1");
    is($res->headers->content_disposition,
       "attachment; filename=\"$id.opus\"; "
       . "filename*=UTF-8''Gr%C3%BC%C3%9Fe%3B%20%22x%22%0D%0A.opus",
       'a name to save it by, and no header of its own');
    is($s->http('POST', $path)->code, 405, 'POST');

    my $by_token = $get->($s->bearer($space->{token}));
    is($by_token->headers->cache_control, 'private, no-store',
       'by token: private');
    is($by_token->headers->header('Referrer-Policy'), 'no-referrer',
       'by token: no referrer');

    shares($s, $space, $body);
    visibility($s);

    $s->stop;
}

sub shares {
    my ($s, $space, $body) = @_;
    my $shares = "/spaces/$space->{id}/shares";
    my $mint = sub {
        my ($headers, $json) = @_;
        return $s->http('POST', $shares, $headers, json => $json // {});
    };

    is($mint->({})->code, 401, 'nobody shares');
    my $res = $mint->($s->as('bob'), { label => 'for <you>', ttl => 3600 });
    is($res->code, 201, 'any user shares what is public');
    my $share = $res->json;
    is($share->{url}, $s->url("/s/$share->{token}"), 'its URL');
    like($share->{expires_at}, qr/^20\d\d-.*Z$/, 'its end');
    is($mint->($s->as('ana'), $_)->code, 400, 'wrong: ' . Mojo::JSON::encode_json($_))
        for { ttl => 0 }, { ttl => -1 }, { ttl => 'x' }, { ttl => 1.5 },
            { label => 'x' x 201 }, { nope => 1 };
    my $long = $mint->($s->as('ana'), { ttl => 1_000_000_000 })->json;
    is($long->{expires_at}, $s->space($space->{id})->{expires_at},
       'no link outlives the recording');

    my $audio = "/s/$share->{token}/audio";
    for (1 .. 4) {
        my $res = $s->http('GET', $audio);
        is($res->code, 200, 'the audio');
        ok($res->body eq $body, 'the same bytes');
        is($res->headers->cache_control, 'private, no-store', 'private');
        is($res->headers->header('Referrer-Policy'), 'no-referrer',
           'no referrer');
    }
    is($s->http('GET', $audio, { Range => 'bytes=5-9' })->body,
       substr($body, 5, 5), 'by Range');
    my $page = $s->http('GET', "/s/$share->{token}");
    is($page->code, 200, 'the page');
    like($page->headers->content_type, qr/^text\/html/, 'is a page');
    like($page->headers->header('Content-Security-Policy'),
         qr/default-src 'none'/, 'with a policy');
    like($page->dom->at('audio')->attr('src'), qr/\/audio$/, 'with a player');
    unlike($page->body, qr/\r\n|[\x01-\x09]/, 'what controls is left out');

    is($s->http('GET', $shares)->code, 401, 'nobody lists');
    is($s->http('GET', $shares, $s->as('bob'))->code, 403,
       'who made one does not list either');
    my $list = $s->http('GET', $shares, $s->as('ana'))->json->{shares};
    is_deeply([sort map { $_->{label} // '-' } @$list], ['-', 'for <you>'],
              'the host lists');
    ok(!(grep { exists $_->{token} } @$list), 'without tokens');

    is($s->http('DELETE', "$shares/$share->{id}", $s->as('bob'))->code, 403,
       'another revokes nothing');
    is($s->http('DELETE', "$shares/" . 'a' x 20, $s->as('ana'))->code, 404,
       'no such link');
    my ($hash) = grep { /^(?!$share->{id}|$long->{id})/ }
        @{ $s->redis('SMEMBERS', "spaces:space:{$space->{id}}:tokens") };
    is($s->http('DELETE', "$shares/" . substr($hash, 0, 20),
                $s->as('ana'))->code, 404, 'the token of the host is no link');

    # a copy in every worker's cache, and gone from all at once
    $s->http('GET', $audio) for 1 .. 12;
    is($s->http('DELETE', "$shares/$share->{id}", $s->as('ana'))->code, 204,
       'revoked');
    my @codes = map { $s->http('GET', $audio)->code } 1 .. 12;
    is_deeply(\@codes, [(404) x 12], 'nowhere valid any more');
    is($s->http('GET', "/s/$long->{token}/audio")->code, 200,
       'the other is untouched');

    # as another node would revoke it: by Redis alone
    my $sha = (grep { /^$long->{id}/ }
        @{ $s->redis('SMEMBERS', "spaces:space:{$space->{id}}:tokens") })[0];
    $s->redis('DEL', "spaces:token:$sha");
    $s->redis('PUBLISH', 'spaces:changed', $space->{id});
    ok(until_ok(sub {
        !grep { $s->http('GET', "/s/$long->{token}/audio")->code != 404 } 1 .. 8;
    }, 1), 'within a second');

    my $short = $mint->($s->as('ana'), { ttl => 1 })->json;
    is($s->http('GET', "/s/$short->{token}")->code, 200, 'a short one');
    sleep 1.2;
    is($s->http('GET', "/s/$short->{token}")->code, 404, 'has expired');

    is($s->http('GET', "/s/$_")->code, 404, "$_ is no link")
        for 'x', 'x' x 32, $space->{token}, '%2e%2e', 'x' x 2000;

    my $log = slurp("$s->{dir}/logs/access.log") . $s->error_log;
    unlike($log, qr/\Q$_\E/, 'no token in a log')
        for $share->{token}, $space->{token}, $long->{token}, $short->{token};
}

sub visibility {
    my ($s) = @_;
    for my $kind (['unlisted', 404], ['ticketed', 403]) {
        my ($visibility, $refused) = @$kind;
        my $space = $s->create(record => true, visibility => $visibility);
        $s->ingest($space, build(packets => [silence_of(5)]));
        my $path = "/spaces/$space->{id}/replay";

        is($s->http($_, $path)->code, $refused, "$visibility: $_ by nobody")
            for 'GET', 'HEAD';
        is($s->http('GET', $path, { Range => 'bytes=0-1' })->code, $refused,
           "$visibility: by Range");
        is($s->http('GET', $path, $s->as('bob'))->code, $refused,
           "$visibility: another user");
        is($s->http('GET', $path, $s->bearer('x' x 32))->code, $refused,
           "$visibility: an unknown token");
        is($s->http('GET', $path, $s->as('ana'))->code, 200,
           "$visibility: its host");
        is($s->http('POST', "/spaces/$space->{id}/shares", $s->as('bob'),
                    json => {})->code, $refused,
           "$visibility: another does not share it");
        my $share = $s->http('POST', "/spaces/$space->{id}/shares",
                             $s->as('ana'), json => {})->json;
        my $res = $s->http('GET', "$path?token=$share->{token}");
        is($res->code, 200, "$visibility: by a link of the host's");
        is($res->headers->cache_control, 'private, no-store',
           "$visibility: private");
        is($s->http('GET', "/s/$share->{token}/audio")->code, 200,
           "$visibility: by the link itself");
        my $ids = join ' ', map { $_->{id} }
            @{ $s->http('GET', '/spaces')->json->{spaces} };
        ($visibility eq 'unlisted' ? \&unlike : \&like)->(
            $ids, qr/$space->{id}/, "$visibility: in the timeline or not");
    }
}

sub expiry {
    subtest 'the end of a recording' => sub {
        my $s = Test::Spaces->new(workers => 4, http => {
            spaces_replay_ttl => '3s', spaces_hold => '3s 10s',
        })->start;
        my $space = $s->create(record => true);
        my $id = $space->{id};
        my $ended = $s->ingest($space, build(packets => [silence_of(5)]))->json;
        my $file = "$s->{dir}/spaces/recordings/" . substr($id, 0, 2)
                   . "/$id.opus";
        my $held = "$s->{dir}/spaces/held/$id.opus";
        ok(-s $file, 'the recording is there');
        ok(-s $file =~ s/opus$/json/r, 'and its description');
        my $share = $s->http('POST', "/spaces/$id/shares", $s->as('ana'),
                             json => {})->json;
        is($s->http('GET', "/s/$share->{token}/audio")->code, 200, 'shared');
        like($s->redis('ZSCORE', 'spaces:due:here', $id), qr/^\d{10}$/,
             'its end is due');

        ok(until_ok(sub {
            $s->http('GET', "/spaces/$id/replay")->code == 410;
        }, 10), 'gone, and said so');
        my @codes = map { $s->http('GET', "/spaces/$id/replay")->code } 1 .. 8;
        is_deeply(\@codes, [(410) x 8], 'on every worker');
        is($s->http('GET', "/spaces/$id/replay")->json->{type},
           'urn:spaces:expired', 'and why');
        isnt($s->http('GET', "/s/$share->{token}/audio")->code, 200,
             'by the link as well');
        ok(until_ok(sub { !-e $file && -e $held }), 'the file is held');
        ok(until_ok(sub { $s->space($id)->{recording} eq 'expired' }),
           'the Space says so');
        ok(!exists $s->space($id)->{hold_until}, 'not to anybody');
        ok($s->space($id, $space->{token})->{hold_until}, 'but to its host');
        is_deeply($s->http('GET', '/spaces')->json->{spaces}, [],
                  'the timeline has forgotten it');
        ok(until_ok(sub { !-e $held && !-e $held =~ s/opus$/json/r }),
           'when the hold is over the file is gone');
        ok(until_ok(sub { $s->http('GET', "/spaces/$id")->code == 404 }),
           'and the Space');
        ok(until_ok(sub {
            $s->redis('ZCARD', 'spaces:due:here') == 0;
        }), 'nothing is due');
        $s->stop;
    };
}
