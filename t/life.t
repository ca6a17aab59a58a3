#!/usr/bin/perl

# The life of a recording: available, deleted or expired, held, purged; by
# whom; and what it survives.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);
use Mojo::JSON qw(true false decode_json);
use Test::More;
use Test::Spaces;
use Test::Spaces::Faults;
use Test::Spaces::Ogg qw(build silence_of);
use Test::Spaces::Recordings;
use Time::HiRes qw(sleep time);

my $audio = $Test::Spaces::Recordings::audio;

sub is_problem {
    my ($res, $code, $slug, $name) = @_;
    is($res->code, $code, $name) or diag($res->body);
    is($res->json->{type}, "urn:spaces:$slug", "$name, and why");
}

subtest 'deletion, in every state' => sub {
    my $s = Test::Spaces->new(workers => 4)->start;

    my $space = $s->create;
    is($s->http('DELETE', "/spaces/$space->{id}")->code, 401, 'not by nobody');
    is($s->http('DELETE', "/spaces/$space->{id}", $s->as('bob'))->code, 403,
       'nor by others');
    is(delete_it($s, $space)->code, 204, 'a scheduled one is cancelled');
    is($s->http('GET', "/spaces/$space->{id}")->code, 404, 'it is gone');
    is_deeply($s->http('GET', '/spaces')->json->{spaces}, [], 'from the list');
    is($s->ingest($space, $audio)->code, 401, 'its token is none any more');
    is($s->http('PUT', "/spaces/$space->{id}/ingest", $s->as('ana'), $audio)
           ->code, 404, 'nobody can talk in it');

    $space = recorded($s, topics => ['chess']);
    my $share = $s->http('POST', "/spaces/$space->{id}/shares", $s->as('ana'),
                         json => {})->json;
    my @ways = ("/spaces/$space->{id}/replay", "/s/$share->{token}",
                "/s/$share->{token}/audio");
    for my $way (@ways) {
        is($s->http('GET', $way)->code, 200, $way) for 1 .. 4;
    }

    my $res = delete_it($s, $space);
    is($res->code, 200, 'an ended one is deleted');
    is($res->json->{recording}, 'deleted', 'it says so');
    like($res->json->{hold_until}, qr/^\d{4}-/, 'and until when it is held');
    for my $way (@ways) {
        for my $method (qw(GET HEAD)) {
            my %codes = map {
                $s->http($method, $way)->code => 1
            } 1 .. 8;
            is_deeply([keys %codes], [410], "$method $way is gone everywhere");
        }
    }
    is_problem($s->http('GET', $ways[0]), 410, 'deleted', 'the replay');
    is(files($s), held($space->{id}), 'the files are held');
    is_deeply($s->http('GET', '/spaces?topic=chess')->json->{spaces}, [],
              'it is in no list');
    $res = $s->http('GET', "/spaces/$space->{id}", $s->as('bob'))->json;
    is($res->{recording}, 'deleted', 'others see that it was deleted');
    ok(!exists $res->{hold_until}, 'and no more');
    is(delete_it($s, $space)->code, 200, 'once more changes nothing');
    is($s->http('POST', "/spaces/$space->{id}/shares", $s->as('ana'),
                json => {})->code, 410, 'it can not be shared');

    $space = $s->create(record => true);
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, build(packets => [silence_of(50)], no_eos => 1));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    $res = delete_it($s, $space);
    is($res->code, 200, 'a live one ends and is deleted');
    is($res->json->{state}, 'ended', 'ended');
    is($res->json->{recording}, 'deleted', 'deleted');
    is($s->http('GET', "/spaces/$space->{id}/replay")->code, 410, 'gone');
    like(files($s), qr/\Q@{[ held($space->{id}) ]}\E/, 'held');

    $space = $s->create(record => false);
    is($s->ingest($space, $audio)->code, 200, 'one that was not recorded');
    is(delete_it($s, $space)->code, 204, 'is forgotten');
    is($s->http('GET', "/spaces/$space->{id}")->code, 404, 'it is gone');

    my @audit = audit($s);
    is(scalar(grep { /^delete / } @audit), 2, 'the audit has the deletions')
        or diag("@audit");
    $s->stop;
};

subtest 'a transfer is cut' => sub {
    my $s = Test::Spaces->new(workers => 2, small => 1)->start;
    my %space;
    for my $how (qw(deleted revoked)) {
        my $space = $space{$how} = recorded($s);
        # as long as it takes for what a client doesn't read
        my ($file) = glob "$s->{dir}/spaces/recordings/*/$space->{id}.opus";
        open my $out, '>>', $file or die;
        print $out "\0" x (4 << 20);
        close $out;
    }
    my $share = $s->http('POST', "/spaces/$space{revoked}{id}/shares",
                         $s->as('ana'), json => {})->json;
    my $kept = $s->http('POST', "/spaces/$space{revoked}{id}/shares",
                        $s->as('ana'), json => {})->json;
    my %path = (deleted => "/spaces/$space{deleted}{id}/replay",
                revoked => "/s/$share->{token}/audio",
                kept => "/s/$kept->{token}/audio");
    my %socket;
    for (keys %path) {
        my $socket = $socket{$_} = $s->small_socket(65536);
        print $socket "GET $path{$_} HTTP/1.1\r\nHost: localhost\r\n",
                      "Connection: close\r\n\r\n";
        sysread $socket, my $some, 1000;
        like($some, qr/^HTTP\/1.1 200 .*Content-Length: (\d+)/s, $_);
    }
    sleep 0.3;
    is(delete_it($s, $space{deleted})->code, 200, 'deleted');
    is($s->http('DELETE', "/spaces/$space{revoked}{id}/shares/$share->{id}",
                $s->as('ana'))->code, 204, 'revoked');
    ok(until_ok(sub {
        (() = $s->error_log =~ /not for this client any more/g) >= 2;
    }), 'nginx cuts them');
    my %got = map { $_ => length Test::Spaces::read_all($socket{$_}, 60) }
              keys %socket;
    cmp_ok($got{$_}, '<', 4 << 20, "the $_ one is not sent to its end")
        for qw(deleted revoked);
    cmp_ok($got{kept}, '>', 4 << 20, 'another one is');
    $s->stop;
};

subtest 'who is in the past of what is deleted' => sub {
    my $s = Test::Spaces->new(workers => 1, small => 1)->start;
    my $space = $s->create(record => true);
    my $id = $space->{id};
    my $host = $s->begin_ingest($space);
    # CELT in stereo, as fat as can be
    my @fat = map { chr(0xfc) . chr(1 + $_ % 250) x 1200 } 1 .. 300;
    Test::Spaces::chunk($host, build(packets => \@fat, no_eos => 1));
    ok(until_ok(sub {
        (-s "$s->{dir}/spaces/live/$id.opus" // 0) > 250_000
    }), 'live for a while');
    my $socket = $s->small_socket(65536);
    print $socket "GET /spaces/$id/live?from=start HTTP/1.1\r\n",
                  "Host: localhost\r\n\r\n";
    sysread $socket, my $some, 1000;
    like($some, qr/^HTTP\/1.1 200 /, 'somebody begins at the start');
    is(delete_it($s, $space)->code, 200, 'deleted');
    ok(until_ok(sub { $s->error_log =~ /may hear space $id no more/ }),
       'it is noticed');
    my $length = -s "$s->{dir}/spaces/held/$id.opus";
    cmp_ok(length Test::Spaces::read_all($socket, 20), '<', $length - 20_000,
           'they do not hear it to its end');
    $s->stop;
};

subtest 'review' => sub {
    my $s = Test::Spaces->new(workers => 2, http => {
        spaces_moderator => '$cookie_moderator',
        spaces_hold => '1d 3d',
    })->start;
    my @spaces = map { recorded($s, title => "n$_") } 1 .. 3;
    delete_it($s, $_) for @spaces[0, 1];
    my $path = "/spaces/$spaces[0]{id}/review";

    for ($path, '/spaces/review', "$path/audio") {
        is($s->http('GET', $_, $s->as('ana'))->code, 403, "$_: not the host");
        is($s->http('GET', $_)->code, 403, "$_: nor nobody");
        is($s->http('GET', $_, { Cookie => 'spaces_user=bob; moderator=0' })
               ->code, 403, "$_: nor 0");
    }
    my $nobody = $s->http('DELETE', $path);
    is($nobody->code, 401, 'a write without a name');
    like($nobody->headers->www_authenticate // '', qr/^Bearer/, 'told how');
    is($s->http('DELETE', $path, $s->bearer($spaces[0]{token}))->code, 403,
       'the host');
    is_deeply([audit($s)], [map { "delete  $_->{id}" } @spaces[0, 1]],
              'nothing of it was an access') or diag(join "\n", audit($s));

    my $list = $s->http('GET', '/spaces/review', moderator('mo'))->json;
    is_deeply([sort map { $_->{id} } @{ $list->{spaces} }],
              [sort map { $_->{id} } @spaces[0, 1]], 'the list');
    is($list->{next}, undef, 'is all');
    is(scalar @{ $s->http('GET', '/spaces/review?limit=1', moderator('mo'))
                   ->json->{spaces} }, 1, 'or a part');

    my $res = $s->http('GET', $path, moderator('mo'))->json;
    is($res->{reason}, 'deleted', 'why');
    like($res->{held_at}, qr/^\d{4}-/, 'since when');
    like($res->{hold_until}, qr/^\d{4}-/, 'until when');
    is($res->{title}, 'n1', 'what');

    my $whole = $s->http('GET', "$path/audio", moderator('mo'));
    is($whole->code, 200, 'the audio');
    is($whole->headers->cache_control, 'private, no-store', 'is not cached');
    oggz_ok($whole->body, 'and whole');
    my $range = $s->http('GET', "$path/audio",
                         { %{ moderator('mo') }, Range => 'bytes=10-19' });
    is($range->code, 206, 'by Range');
    is($range->body, substr($whole->body, 10, 10), 'these bytes');
    is($s->http('GET', "/spaces/$spaces[2]{id}/review", moderator('mo'))->code,
       404, 'what is not held is not there');
    is($s->http('GET', '/spaces/' . 'a' x 20 . '/review', moderator('mo'))
           ->code, 404, 'nor what never was');

    my $time = sub {
        my @t = gmtime(time + $_[0]);
        return sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $t[5] + 1900,
            $t[4] + 1, @t[3, 2, 1, 0];
    };
    my $patch = sub {
        return $s->http('PATCH', $path, moderator('mo'), json => $_[0]);
    };
    is($patch->({ hold_until => $time->(3 * 86400 + 60) })->code, 400,
       'not past the maximum');
    is($patch->({ hold_until => $time->(-60) })->code, 400, 'nor to the past');
    is($patch->({})->code, 400, 'nor without a time');
    is($patch->({ hold_until => $time->(86400), x => 1 })->code, 400,
       'nor with more');
    my $later = $time->(2 * 86400);
    $res = $patch->({ hold_until => $later });
    is($res->code, 200, 'extended');
    is($res->json->{hold_until}, $later, 'to then');
    is(decode_json(Test::Spaces::slurp(
           "$s->{dir}/spaces/held/$spaces[0]{id}.json"))->{title}, 'n1',
       'the disk knows');
    is($s->space($spaces[0]{id}, $spaces[0]{token})->{hold_until}, $later,
       'so does the host');
    is($s->http('DELETE', $path,
                { %{ moderator('mo') }, Origin => 'http://evil.example' })
           ->code, 403, 'not from a foreign page');
    is($s->http('DELETE', $path, moderator('mo'))->code, 204, 'purged');
    is($s->http('GET', $path, moderator('mo'))->code, 404, 'it is gone');
    is($s->http('GET', "/spaces/$spaces[0]{id}", $s->as('ana'))->code, 404,
       'for good');
    like(files($s), qr/^\Q@{[ held($spaces[1]{id}) ]}\E recordings/,
         'so are the files');

    my @audit = grep { / mo / } audit($s);
    is_deeply([map { /^(\w+) mo (\S*)/ ? "$1 $2" : $_ } @audit],
              ['list ', 'list ', (map { "$_ $spaces[0]{id}" }
               qw(read listen listen extend purge))], 'all is in the audit')
        or diag(join "\n", @audit);
    is_deeply([$s->error_log =~ /review: moderator "mo", (\w+),/g],
              [qw(list list read listen listen extend purge)],
              'and in the log');

    # no audit, no access
    $s->redis('CONFIG', 'SET', 'maxmemory', '1');
    is($s->http('GET', "/spaces/$spaces[1]{id}/review/audio", moderator('mo'))
           ->code, 503, 'what can not be written down is not shown');
    $s->redis('CONFIG', 'SET', 'maxmemory', '0');
    is($s->http('GET', "/spaces/$spaces[1]{id}/review/audio", moderator('mo'))
           ->code, 200, 'later it is');
    $s->redis('RENAME', 'spaces:audit', 'audit');
    $s->redis('SET', 'spaces:audit', 'a string');
    is($s->http('GET', "/spaces/$spaces[1]{id}/review/audio", moderator('mo'))
           ->code, 503, 'nor where it does not fit');
    is($s->http('GET', '/spaces/review', moderator('mo'))->code, 503,
       'nor the list');
    like($s->error_log, qr/refused a command: (?:OOM|WRONGTYPE)/, 'the log says why');
    $s->redis('RENAME', 'audit', 'spaces:audit');
    is($s->http('GET', '/spaces/review', moderator('mo'))->code, 200,
       'later it is');
    $s->stop;
};

subtest 'time passes' => sub {
    my $s = Test::Spaces->new(workers => 2, http => {
        spaces_replay_ttl => '2s',
        spaces_hold => '2s 4s',
    })->start;
    my $plain = $s->create;
    $s->ingest($plain, $audio);
    my $space = recorded($s);
    my $id = $space->{id};

    ok(until_ok(sub {
        $s->http('GET', "/spaces/$id/replay")->code == 410;
    }), 'it expires');
    is_problem($s->http('GET', "/spaces/$id/replay"), 410, 'expired', 'it');
    ok(until_ok(sub { -f "$s->{dir}/spaces/held/$id.opus" }), 'is held');
    ok(until_ok(sub { files($s) eq '' }), 'is purged');
    ok(until_ok(sub {
        $s->http('GET', "/spaces/$id")->code == 404;
    }), 'and forgotten');
    ok(until_ok(sub {
        $s->http('GET', "/spaces/$plain->{id}")->code == 404;
    }), 'as is what was not recorded');
    is($s->redis('ZCARD', 'spaces:due:here'), 0, 'nothing is due');
    is($s->redis('ZCARD', 'spaces:held'), 0, 'nothing is held');
    $s->stop;
};

subtest 'a change and a deletion at the same time' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my $space = recorded($s, topics => ['chess'], language => 'de');
    my ($host, $id) = ("Authorization: Bearer $space->{token}", $space->{id});
    my $body = '{"title":"Other","topics":["go"],"language":"fr"}';

    # both find it available: Redis answers when both have asked
    kill 'STOP', $s->{redis_pid};
    my @sockets = map { $s->socket } 1 .. 2;
    my $head = "Host: localhost\r\n$host\r\nConnection: close\r\n";
    syswrite $sockets[0], "PATCH /spaces/$id HTTP/1.1\r\n$head"
        . "Content-Type: application/json\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";
    sleep 0.1;
    syswrite $sockets[1], "DELETE /spaces/$id HTTP/1.1\r\n$head\r\n";
    sleep 0.1;
    kill 'CONT', $s->{redis_pid};
    like(Test::Spaces::read_all($_), qr/^HTTP\/1.1 200/, 'done') for @sockets;

    is($s->space($id, $space->{token})->{recording}, 'deleted', 'deleted');
    is($s->space($id, $space->{token})->{title}, 'Other', 'and changed');
    is_deeply([grep { /^spaces:(?:topic|language|host|ended)/ }
               @{ $s->redis('KEYS', 'spaces:*') }], [], 'in no list');
    $s->stop;
};

subtest 'days of downtime' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my @spaces = map { recorded($s) } 1 .. 70;
    my $day = 86400;
    for (@spaces[0 .. 39]) {
        # the hold of 30 days is over as well
        $s->redis('HSET', "spaces:space:{$_->{id}}", 'expires_at',
                  int((time - 40 * $day) * 1000));
    }
    for (@spaces[40 .. 68]) {
        $s->redis('HSET', "spaces:space:{$_->{id}}", 'expires_at',
                  int((time - $day) * 1000));
    }
    $s->redis('ZADD', 'spaces:due:here', int(time - $day), $_->{id})
        for @spaces[0 .. 68];
    my ($last, $held) = ($spaces[69]{id}, join ' ', sort map { held($_->{id}) }
                         @spaces[40 .. 68]);
    ok(until_ok(sub { files($s) eq "$held " . available($s, $last) }),
       'all is caught up with') or diag(files($s));
    my %audit;
    ok(until_ok(sub {
        %audit = ();
        for (audit($s)) { /^(\w+) (\w*)/ and $audit{"$1 $2"}++ }
        return keys %audit == 2 && $audit{'expire reaper'} >= 69
               && $audit{'purge reaper'} >= 40;
    }), 'and Redis is told');
    is_deeply(\%audit, { 'expire reaper' => 69, 'purge reaper' => 40 },
              'once each in the audit');
    $s->stop;
};

# what each move does on the disk, and where it may be interrupted
my @steps = (
    [delete => 'write held/', 'before'],
    [delete => 'rename held/ID.json', 'before'],
    [delete => 'rename held/ID.json', 'after'],
    [delete => 'rename held/ID.opus', 'before'],
    [delete => 'rename held/ID.opus', 'after'],
    [delete => 'unlink recordings/XX/ID.json', 'before'],
    [delete => 'unlink recordings/XX/ID.json', 'after'],
    [extend => 'rename held/ID.json', 'before'],
    [extend => 'rename held/ID.json', 'after'],
    [purge => 'rename held/ID.json', 'before'],
    [purge => 'unlink held/ID.opus', 'before'],
    [purge => 'unlink held/ID.opus', 'after'],
    [purge => 'unlink held/ID.json', 'before'],
    [purge => 'unlink held/ID.json', 'after'],
);

subtest 'killed at every step' => sub {
    my $s = Test::Spaces->new(workers => 2, with_faults,
                              quiet => ['exited on signal 9'], http => {
        spaces_moderator => '$cookie_moderator',
    })->start;

    for my $step (@steps) {
        my ($move, $where, $when) = @$step;
        my $name = "$move, $when $where";
        my $space = recorded($s);
        my $id = $space->{id};
        my $xx = substr $id, 0, 2;
        my $review = "/spaces/$id/review";
        delete_it($s, $space) if $move ne 'delete';

        my $until = '2037-01-01T00:00:00Z';
        my $now = $s->redis('HGET', "spaces:space:{$id}", 'held_at') // 0;
        my @t = gmtime($now / 1000 + 86400 * 100);
        $until = sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $t[5] + 1900,
            $t[4] + 1, @t[3, 2, 1, 0];

        faults($s, "$where $when" =~ s/ID/$id/r =~ s/XX/$xx/r);
        my $begin = sub {
            return $move eq 'delete' ? delete_it($s, $space)
                 : $move eq 'purge' ? $s->http('DELETE', $review,
                                               moderator('mo'))
                 : $s->http('PATCH', $review, moderator('mo'),
                            json => { hold_until => $until });
        };
        $begin->();
        ok(!-s "$s->{dir}/faults", "$name: killed there")
            or diag(Test::Spaces::slurp("$s->{dir}/faults"));
        faults($s);

        # what was decided is carried out; what wasn't never happened
        my $decided = "$where $when" ne 'write held/ before'
                      && $where !~ /^rename .*json$/ || $when eq 'after';
        my $done = sub {
            my $res = $s->http('GET', $review, moderator('mo'));
            my $replay = $s->http('GET', "/spaces/$id/replay")->code // 0;
            my $code = $res->code // 0;
            return $move eq 'delete' ? $replay == 410 && $code == 200
                 : $move eq 'purge' ? $code == 404
                 : $code == 200 && $res->json->{hold_until} eq $until;
        };
        if ($decided) {
            ok(until_ok($done), "$name: it is carried out");
        } else {
            ok(until_ok(sub {
                my $space = $s->http('GET', "/spaces/$id")->json;
                return ($space->{recording} // '') eq
                    ($move eq 'delete' ? 'available' : 'deleted')
                    && !$s->redis('EXISTS', 'nothing');
            }), "$name: nothing has happened");
        }
        ok(until_ok(sub { ($begin->()->code // 0) =~ /^20|^404/ }),
           "$name: it can be made again");
        ok(until_ok($done), "$name: and is made");
        my @lines = grep { /^\Q$move\E / && /\Q$id/ } audit($s);
        cmp_ok(scalar @lines, '>=', 1, "$name: the audit has it")
            or diag(audit($s));
        ok(until_ok(sub {
            my @mine = grep { /\Q$id/ && !/\.tmp$/ } split / /, files($s);
            return "@mine" eq ($move eq 'purge' ? '' : held($id));
        }), "$name: the files are where they belong") or diag(files($s));
    }
    $s->stop;
};

# Redis loses what it had; or the disk does

sub flush {
    my ($s) = @_;
    is($s->redis('FLUSHALL'), 'OK', 'Redis is emptied');
}

subtest 'Redis is emptied' => sub {
    my $s = Test::Spaces->new(workers => 2, http => {
        spaces_moderator => '$cookie_moderator',
    })->start;
    my %space = map { $_ => recorded($s, title => $_, topics => ['chess']) }
        qw(kept deleted expired);
    my $live = $s->create(record => true, title => 'live');
    my $host = $s->begin_ingest($live);
    Test::Spaces::chunk($host, build(packets => [silence_of(50)], no_eos => 1));
    ok(until_ok(sub { $s->space($live->{id})->{state} eq 'live' }), 'live');
    my $share = $s->http('POST', "/spaces/$space{kept}{id}/shares",
                         $s->as('ana'), json => {})->json;
    delete_it($s, $space{deleted});
    my $id = $space{expired}{id};
    $s->redis('HSET', "spaces:space:{$id}", 'expires_at',
              int((time - 86400) * 1000));
    $s->redis('ZADD', 'spaces:due:here', 1, $id);
    ok(until_ok(sub {
        ($s->redis('HGET', "spaces:space:{$id}", 'recording') // '')
            eq 'expired';
    }), 'all is as it is');
    my $until = $s->space($space{deleted}{id}, $space{deleted}{token})
        ->{hold_until};

    flush($s);
    my $seen = sub { $s->http('GET', "/spaces/$_[0]{id}") };
    ok(until_ok(sub { $seen->($space{kept})->code == 200 }),
       'what was recorded comes back');
    ok(until_ok(sub { $seen->($live)->code == 200 }), 'what is live, too');
    is($seen->($live)->json->{state}, 'live', 'and is live');
    ok(until_ok(sub {
        ($seen->($space{deleted})->json->{recording} // '') eq 'deleted'
    }), 'a deletion stays');
    ok(until_ok(sub {
        ($seen->($space{expired})->json->{recording} // '') eq 'expired'
    }), 'an expiry stays');
    is(length $s->replay($space{kept}{id}), -s (glob
           "$s->{dir}/spaces/recordings/*/$space{kept}{id}.opus")[0], 'replayed');
    is($s->http('GET', "/spaces/$space{deleted}{id}/replay")->code, 410,
       'the deleted one is not');
    is($s->http('GET', "/s/$share->{token}")->code, 404, 'the link is gone');
    is($s->http('GET', "/spaces/$space{deleted}{id}/review", moderator('mo'))
           ->json->{hold_until}, $until, 'the hold ends when it did');
    is_deeply([sort map { $_->{title} }
               @{ $s->http('GET', '/spaces?topic=chess')->json->{spaces} }],
              ['kept'], 'it is in the lists again');
    is($s->http('POST', "/spaces/$space{kept}{id}/shares", $s->as('ana'),
                json => {})->code, 201, 'the host makes a new link');
    is($s->http('POST', "/spaces/$live->{id}/end", $s->as('ana'))->code, 200,
       'and ends the live one');
    oggz_ok($s->replay($live->{id}), 'which is whole');
    $s->stop;
};

subtest 'neither knows of the other' => sub {
    my $s = Test::Spaces->new(workers => 2, quiet => ['is no description of',
        'nothing is known of', 'had a recording that'], http => {
        spaces_moderator => '$cookie_moderator',
    })->start;
    my %space = map { $_ => recorded($s, title => $_) }
        qw(half moved lost bare orphan broken);
    $s->stop_redis;
    $s->stop_nginx;
    my $dir = "$s->{dir}/spaces";
    my %at = map {
        my $id = $space{$_}{id};
        $_ => "$dir/recordings/" . substr($id, 0, 2) . "/$id"
    } keys %space;
    my $held = "$dir/held/$space{half}{id}";

    # a deletion that was decided, and no more
    my $document = decode_json(Test::Spaces::slurp("$at{half}.json"));
    my $now = int(time * 1000);
    Test::Spaces::spurt("$held.json", Mojo::JSON::encode_json({
        %$document, recording => 'deleted', held_at => "$now",
        hold_until => $now + 86400_000 . '',
    }));
    unlink "$at{lost}.opus";
    unlink "$at{orphan}.json";
    Test::Spaces::spurt("$at{broken}.json", '{');
    # audio that has a description only in Redis, which is lost as well
    Test::Spaces::spurt("$dir/live/" . 'a' x 20 . '.opus', '');
    Test::Spaces::spurt("$dir/recordings/README", 'not ours');
    Test::Spaces::spurt("$at{bare}.json.tmp", 'x');
    utime time - 120, time - 120, "$at{bare}.json.tmp";
    system('chown', '-R', 'nobody', $dir) if $> == 0;

    $s->start_redis;
    $s->start_nginx;
    ok(until_ok(sub {
        ($s->space($space{half}{id})->{recording} // '') eq 'deleted'
    }), 'what was decided is done');
    ok(-f "$held.opus" && !-f "$at{half}.opus" && !-f "$at{half}.json",
       'on the disk as well');
    ok(until_ok(sub {
        ($s->space($space{moved}{id})->{recording} // '') eq 'available'
    }), 'what is whole is there');
    is($s->http('GET', "/spaces/$space{lost}{id}")->code, 404,
       'of what is lost nothing is said');
    ok(until_ok(sub {
        $s->redis('EXISTS', 'spaces:node:here');
    }), 'it comes to its end');
    ok(!-f "$at{lost}.json", 'nor does a description stay');
    ok(-f "$at{orphan}.opus", 'audio that nobody knows is not thrown away');
    ok(-f "$at{broken}.opus" && -f "$at{broken}.json", 'nor what is broken');
    ok(!-f "$at{bare}.json.tmp", 'what a killed process left is');
    ok(!-f "$dir/live/" . 'a' x 20 . '.opus', 'so is a file of nothing');
    ok(-f "$dir/recordings/README", 'what is not ours is left alone');
    like($s->error_log, qr/\Q$space{orphan}{id}\E: nothing is known of/,
         'the log tells');

    # and the other way round, with Redis as it is
    my $id = $space{moved}{id};
    unlink "$at{moved}.opus";
    $s->signal('HUP');
    ok(until_ok(sub {
        ($s->space($id)->{recording} // '') eq 'none'
    }), 'a recording that is gone is not promised');
    is($s->http('GET', "/spaces/$id/replay")->code, 404, 'nor replayed');
    $s->stop;
};

subtest 'a deletion while Redis goes' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my $space = recorded($s);
    my $other = recorded($s);
    # in the cache, where it may be read from for a while
    is($s->http('GET', "/spaces/$space->{id}/replay")->code, 200, 'cached');
    is($s->http('GET', "/spaces/$_->{id}", $s->bearer($_->{token}))->code, 200,
       'and for its host') for $space, $other;
    my $never = $s->create;
    is($s->http('GET', "/spaces/$never->{id}", $s->bearer($never->{token}))
           ->code, 200, 'as is one that only Redis knows');
    $s->stop_redis;
    is_problem(delete_it($s, $never), 503, 'redis', 'which is not deleted');
    my $res = delete_it($s, $space);
    is($res->code, 200, 'deleted, and not lost on the way') or diag $res->body;
    like(files($s), qr/\Q@{[ held($space->{id}) ]}\E/, 'held');
    is($s->http('GET', "/spaces/$space->{id}/replay")->code, 503,
       'not replayed from any cache');
    $s->start_redis;
    ok(until_ok(sub {
        $s->http('GET', "/spaces/$space->{id}/replay")->code == 410;
    }), 'Redis is told when it is back');
    ok(until_ok(sub {
        $s->http('GET', "/spaces/$other->{id}/replay")->code == 200;
    }), 'and of the rest as well');
    $s->stop;
};

subtest 'a Redis that is older than a deletion' => sub {
    my $s = Test::Spaces->new(workers => 2, quiet => ['a second recording'],
                              http => { spaces_reconnect => '1s' })->start;
    my $space = $s->create(record => true);
    my $id = $space->{id};
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, build(packets => [silence_of(50)], no_eos => 1));
    ok(until_ok(sub {
        ($s->redis('HGET', "spaces:space:{$id}", 'state') // '') eq 'live'
    }), 'live');
    my @old = @{ $s->redis('HGETALL', "spaces:space:{$id}") };
    is(delete_it($s, $space)->code, 200, 'deleted');
    $s->stop_nginx;

    # it still says live, as does nothing else
    flush($s);
    $s->redis('HSET', "spaces:space:{$id}", @old);
    $s->redis('ZADD', 'spaces:live', 1, $id);
    $s->start_nginx;
    ok(until_ok(sub {
        ($s->space($id)->{recording} // '') eq 'deleted'
    }), 'it stays deleted') or diag(files($s));
    is($s->http('GET', "/spaces/$id/replay")->code, 410, 'gone');
    isnt($s->ingest($space, $audio)->code, 200, 'nobody can talk in it again');
    is(files($s), held($id), 'there is no second recording');
    $s->stop;
};

subtest 'a Redis that is older than a revocation' => sub {
    my $s = Test::Spaces->new(workers => 2, redis_timeout => '10s')->start;
    my $space = recorded($s);
    my $id = $space->{id};
    my @shares = map {
        $s->http('POST', "/spaces/$id/shares", $s->as('ana'), json => {})->json
    } 1 .. 70;
    my $code = sub { $s->http('GET', "/s/$shares[$_[0]]{token}")->code };
    ok(until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }), 'begun');
    my %old;
    for my $key (@{ $s->redis('KEYS', 'spaces:token:*') }) {
        $old{$key} = $s->redis('HGETALL', $key);
    }
    my $set = $s->redis('SMEMBERS', "spaces:space:{$id}:tokens");
    my $kept = 3;
    for my $n (grep { $_ != $kept } 0 .. $#shares) {
        $s->http('DELETE', "/spaces/$id/shares/$shares[$n]{id}", $s->as('ana'))
            ->code == 204 or fail("$n is not revoked");
    }
    is($code->(0), 404, 'revoked');
    is($code->($kept), 200, 'another one is not');
    my $file = "$s->{dir}/spaces/revoked";
    ok(until_ok(sub { (-s $file // 0) == 69 * 86 }), 'it is written down');
    is((stat $file)[2] & 0777, 0600, 'for nobody else');
    my $written = Test::Spaces::slurp($file);
    unlike($written, qr/\Q$_->{token}\E/, 'not the token') for $shares[0];

    # one that would be over by now, and a line that was torn
    open my $out, '>>', $file or die "$file: $!";
    print $out 'a' x 64, ' ', '0' x 19, "1\nffff";
    close $out;

    # the day before has come for it
    $s->redis('HSET', $_, @{ $old{$_} }) for keys %old;
    $s->redis('SADD', "spaces:space:{$id}:tokens", @$set);
    $s->redis('SET', 'spaces:node:here', 1);
    ok(until_ok(sub {
        my @there = grep { $s->redis('EXISTS', $_) } keys %old;
        return @there == keys(%old) - 69;
    }), 'none of them is there again');
    is($code->(0), 404, 'nor heard');
    is($code->($kept), 200, 'the other one is');
    ok(until_ok(sub { Test::Spaces::slurp($file) eq $written }), 'what is over is left out');
    like($s->error_log, qr/links again that were revoked/, 'the log tells');
    $s->stop;
};

subtest 'a Redis that is older than a hold' => sub {
    my $s = Test::Spaces->new(workers => 1, http => {
        spaces_moderator => '$cookie_moderator',
        spaces_hold => '1d 3d',
    })->start;
    my $space = recorded($s);
    my $id = $space->{id};
    delete_it($s, $space);
    my @t = gmtime(time + 2 * 86400);
    my $until = sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $t[5] + 1900,
        $t[4] + 1, @t[3, 2, 1, 0];
    is($s->http('PATCH', "/spaces/$id/review", moderator('mo'),
                json => { hold_until => $until })->code, 200, 'extended');

    # the day before has come for it
    $s->redis('HSET', "spaces:space:{$id}", 'hold_until',
              int((time - 1) * 1000));
    $s->redis('ZADD', 'spaces:due:here', 1, $id);
    my $review = sub {
        return $s->http('GET', "/spaces/$id/review", moderator('mo'));
    };
    ok(until_ok(sub { ($s->redis('ZSCORE', 'spaces:due:here', $id) // 0) > 1 }),
       'it is not due');
    is($review->()->code, 200, 'it is still held');
    is($review->()->json->{hold_until}, $until, 'until the day that was set');
    is(files($s), held($id), 'on the disk as well');
    is(scalar(grep { /^purge/ } audit($s)), 0, 'nothing was purged');
    is($s->http('DELETE', "/spaces/$id/review", moderator('mo'))->code, 204,
       'a moderator may');
    is(files($s), '', 'at any time');
    $s->stop;
};

subtest 'Redis is emptied while much is moved' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my $space = recorded($s);
    $s->stop_nginx;

    # many more like it, in one folder
    my $xx = substr $space->{id}, 0, 2;
    my $dir = "$s->{dir}/spaces/recordings/$xx";
    my $document = decode_json(Test::Spaces::slurp("$dir/$space->{id}.json"));
    my @ids = map { $xx . sprintf('%018d', $_) =~ tr/0-9/a-j/r } 1 .. 160;
    for (@ids) {
        Test::Spaces::spurt("$dir/$_.json", Mojo::JSON::encode_json(
            { %$document, id => $_ }));
        Test::Spaces::spurt("$dir/$_.opus", $audio);
    }
    system('chown', '-R', 'nobody', $dir) if $> == 0;
    $s->start_nginx;
    my $missing = sub {
        return scalar grep { !$s->redis('EXISTS', "spaces:space:{$_}") } @ids;
    };
    ok(until_ok(sub { $missing->() == 0 }), 'all are there');
    ok(until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }), 'at rest');

    for (@ids[0 .. 99]) {
        $s->redis('HSET', "spaces:space:{$_}", 'expires_at', 1000);
        $s->redis('ZADD', 'spaces:due:here', 1, $_);
    }
    ok(until_ok(sub { my @held = glob "$s->{dir}/spaces/held/*.json" }),
       'some expire');
    flush($s);
    @ids = @ids[100 .. 159];
    ok(until_ok(sub { $missing->() == 0 }), 'all come back')
        or diag($missing->() . ' are missing');
    $s->stop;
};

# a second nginx with a disk of its own, at the same Redis
sub other_node {
    my ($s, %http) = @_;
    return Test::Spaces->new(workers => 1, no_redis => 1, http => {
        spaces_node => 'there',
        spaces_redis => "unix:$s->{dir}/redis.sock timeout=2s",
        %http,
    })->start;
}

subtest 'what is on another node' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my $there = other_node($s);
    ok(until_ok(sub { $there->http('GET', '/spaces')->code == 200 }), 'two');

    # created here, where they would be due one day
    my %space = map { $_ => $s->create(record => true, title => $_) }
                qw(kept deleted live);
    is($there->ingest($space{$_}, $audio)->code, 200, "$_, there")
        for qw(kept deleted);
    is(delete_it($there, $space{deleted})->code, 200, 'deleted there');
    my $host = $there->begin_ingest($space{live});
    Test::Spaces::chunk($host, build(packets => [silence_of(50)], no_eos => 1));
    my $field = sub {
        return $s->redis('HGET', "spaces:space:{$space{$_[0]}{id}}", $_[1])
            // '';
    };
    ok(until_ok(sub { $field->('live', 'state') eq 'live' }), 'live there');
    for my $name (qw(kept live)) {
        my $change = sub {
            return $_[0]->http('PATCH', "/spaces/$space{$name}{id}",
                               $_[0]->as('ana'), json => { title => 'New' });
        };
        my $res = $change->($s);
        is_problem($res, 503, 'no-room', "$name: not changed here");
        like($res->json->{detail}, qr/on node "there"/, "$name: but there");
        is($change->($there)->code, 200, "$name: where it is changed");
    }
    my $bea = $s->invite($space{live}, 'Bea');
    my $speaker = "/spaces/$space{live}{id}/speakers/$bea->{id}";
    is_problem($s->http(@$_), 503, 'no-room', "$_->[0] of a speaker: nor here")
        for ['DELETE', $speaker, $s->as('ana')],
            ['PATCH', $speaker, $s->as('ana'), json => { muted => true }];
    is($there->http('DELETE', $speaker, $s->as('ana'))->code, 204, 'but there');

    my $as_it_is = sub {
        my ($when) = @_;
        is($field->('kept', 'recording'), 'available', "$when: available");
        is($field->('deleted', 'recording'), 'deleted', "$when: held");
        is($field->('live', 'state'), 'live', "$when: live");
    };

    is($s->redis('ZCARD', 'spaces:due:here'), 3, 'due here as well');
    $s->redis('DEL', 'spaces:node:here');
    ok(until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }),
       'this node looks whether it has all');
    $as_it_is->('that is not missed here');

    $s->redis('ZADD', 'spaces:due:here', 1, $_->{id}) for values %space;
    ok(until_ok(sub { $s->redis('ZCARD', 'spaces:due:here') == 0 }),
       'the day comes');
    $as_it_is->('not by this node');
    is($there->http('GET', "/spaces/$space{kept}{id}/replay")->code, 200,
       'replayed there');
    is($s->redis('ZCARD', 'spaces:due:there'), 3, 'all are due there');
    close $host;
    $there->stop;
    $s->stop;
};

subtest 'a node gets another name' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my %space = map { $_ => recorded($s, title => $_) } qw(kept deleted);
    delete_it($s, $space{deleted});
    $s->stop_nginx;
    $s->{http}{spaces_node} = 'renamed';
    $s->start_nginx;
    ok(until_ok(sub { $s->redis('ZCARD', 'spaces:due:renamed') == 2 }),
       'what it has is due under that');
    is($s->redis('HGET', "spaces:space:{$space{$_}{id}}", 'node'), 'renamed',
       "$_: it is there") for keys %space;
    is($s->http('GET', "/spaces/$space{kept}{id}/replay")->code, 200,
       'replayed');
    is(delete_it($s, $space{kept})->code, 200, 'and can be deleted');
    is(files($s), join(' ', sort map { held($_->{id}) } values %space),
       'both are held');
    $s->stop;
};

subtest 'a revoked link, behind what a full disk has torn' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my $space = recorded($s);
    my @links = map {
        $s->http('POST', "/spaces/$space->{id}/shares", $s->as('ana'),
                 json => {})->json
    } 1 .. 3;
    my %was = map { $_ => $s->redis('HGETALL', $_) }
              map { 'spaces:token:' . sha256_hex($_->{token}) } @links;
    my $revoke = sub {
        is($s->http('DELETE', "/spaces/$space->{id}/shares/$_[0]{id}",
                    $s->as('ana'))->code, 204, 'revoked');
    };
    my $revoked = "$s->{dir}/spaces/revoked";
    $revoke->($links[0]);
    ok(until_ok(sub { -s $revoked }), 'it is written down');
    my $line = -s $revoked;
    open my $out, '>>', $revoked or die;
    print $out 'a' x 50;
    close $out;
    $revoke->($links[1]);
    ok(until_ok(sub { -s $revoked == 2 * $line }), 'and the next, whole');

    # an older Redis
    $s->redis('HSET', $_, @{ $was{$_} }) for keys %was;
    $s->redis('DEL', 'spaces:node:here');
    ok(until_ok(sub {
        !grep({ $s->http('GET', "/s/$_->{token}/audio")->code != 404 }
              @links[0, 1]);
    }), 'both stay revoked');
    is($s->http('GET', "/s/$links[2]{token}/audio")->code, 200,
       'one that was not does not');
    $s->stop;
};

done_testing;
