#!/usr/bin/perl

# Redis that is not there, not quick, not willing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(steady);
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(build numbers silence_of);
use Test::Spaces::WebSocket;
use Time::HiRes qw(sleep time);

sub is_503 {
    my ($res, $name) = @_;
    is($res->code, 503, "$name: 503");
    is($res->json->{type}, 'urn:spaces:redis', "$name: and why");
    like($res->headers->header('Retry-After'), qr/^\d+$/, "$name: when");
}

subtest 'Redis goes and comes' => sub {
    my $s = Test::Spaces->new(workers => 4)->start;
    my $audio = build(packets => [silence_of(50)]);

    my $done = $s->create(record => true);
    $s->ingest($done, $audio);
    my $share = $s->http('POST', "/spaces/$done->{id}/shares", $s->as('ana'),
                         json => {})->json;
    my $live = $s->create(record => true);
    my $host = $s->begin_ingest($live);
    Test::Spaces::chunk($host, build(packets => [silence_of(300)],
                                     no_eos => 1));
    ok(until_ok(sub { $s->space($live->{id})->{state} eq 'live' }), 'live');
    my $unseen = $s->create;
    my $talks = $s->begin_ingest($unseen);
    Test::Spaces::chunk($talks, build(packets => [silence_of(300)],
                                      no_eos => 1));
    ok(until_ok(sub {
        ($s->redis('HGET', "spaces:space:{$unseen->{id}}", 'state') // '')
            eq 'live';
    }), 'so is one that nobody has asked for');

    # in the cache of every worker, for it is spread over all of them
    $s->http('GET', "/s/$share->{token}/audio") for 1 .. 40;

    $s->stop_redis;

    is_503($s->http('POST', '/spaces', $s->as('ana'), json => { title => 'x' }),
           'create');
    is_503($s->http('GET', '/spaces'), 'the timeline');
    my @codes = map { $s->http('GET', "/s/$share->{token}/audio")->code } 1 .. 8;
    is(scalar(grep { $_ == 200 } @codes), 8, 'what is cached is still served')
        or diag("@codes");
    my $loop = Test::Spaces::Loop->new($s);
    my @joined = map { $loop->listen($unseen) } 1 .. 8;
    ok($loop->until(sub { !grep { !length $_->{body} } @joined }),
       'who joins is answered');
    is_deeply([map { "$_->{status} " . substr $_->{body}, 0, 4 } @joined],
              [('200 OggS') x 8],
              'what is live is heard, though nobody has it in a cache');
    undef $loop;
    close $talks;

    # the host goes on, and the Space ends, without Redis
    print $host "0\r\n\r\n";
    my $answer = Test::Spaces::read_all($host, 30);
    like($answer, qr/^HTTP\/1.1 200 .*"recording":"available"/s,
         'the Space ends all the same');

    $s->start_redis;
    $s->redis('DEL', 'nothing');
    ok(until_ok(sub { $s->http('GET', '/spaces')->code == 200 }), 'it is back');
    ok(until_ok(sub {
        ($s->redis('HGET', "spaces:space:{$live->{id}}", 'state') // '')
            eq 'ended';
    }), 'and is told of the end');
    my $res;
    ok(until_ok(sub {
        # by any worker: each has its own connection
        $res = $s->http('GET', "/spaces/$live->{id}/replay");
        $res->code == 200;
    }), 'it is replayed');
    is_deeply([numbers($res->body)], [1 .. 300], 'the recording is whole');
    my $n = () = $s->error_log =~ /not to be had for commands/g;
    cmp_ok($n, '<=', 4, 'each worker complained once');
    $s->stop;
};

subtest 'the end of a Space reaches Redis after a restart of both' => sub {
    my $s = Test::Spaces->new(workers => 2,
                              quiet => ['exited on signal 9'])->start;
    my %space;
    for (1 .. 3) {
        my $space = $s->create(record => true, title => "n$_");
        my $host = $s->begin_ingest($space);
        Test::Spaces::chunk($host, build(packets => [silence_of(50)],
                                         no_eos => 1));
        ok(until_ok(sub {
            ($s->redis('HGET', "spaces:space:{$space->{id}}", 'state') // '')
                eq 'live';
        }), 'live');
        $space{$_} = [$space, $host];
    }
    my @dump = map { [$_, @{ $s->redis('HGETALL', $_) }] }
        map { "spaces:space:{$_->[0]{id}}" } values %space;
    $s->stop_redis;
    for (values %space) {
        print { $_->[1] } "0\r\n\r\n";
        like(Test::Spaces::read_all($_->[1]), qr/^HTTP\/1.1 200 /, 'ended');
    }
    my %bytes = map {
        $_->[0]{id} => -s "$s->{dir}/spaces/recordings/"
            . substr($_->[0]{id}, 0, 2) . "/$_->[0]{id}.opus"
    } values %space;
    $s->stop_nginx('KILL');

    # Redis as it was when it went, as its file would have it
    $s->start_redis;
    for (@dump) {
        my ($key, @fields) = @$_;
        $s->redis('HSET', $key, @fields);
        my ($id) = $key =~ /\{(.*)\}/;
        $s->redis('ZADD', 'spaces:live', 1, $id);
    }
    $s->start_nginx;
    for (values %space) {
        my $id = $_->[0]{id};
        ok(until_ok(sub { ($s->space($id)->{state} // '') eq 'ended' }),
           'Redis is told');
        is(length $s->replay($id), $bytes{$id}, 'the recording is untouched');
    }
    is_deeply([glob "$s->{dir}/spaces/live/*"], [], 'live/ is empty');
    $s->stop;
};

subtest 'who is in a room is known there, without Redis' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my %at;
    for my $how (qw(ends changed replayed)) {
        my $space = $s->create(record => true, title => 'before');
        my $guest = $s->invite($space, 'Bea');
        my $host = $s->begin_ingest($space);
        Test::Spaces::chunk($host, build(packets => [silence_of(100)],
                                         no_eos => 1));
        ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }),
           'live');
        $at{$how} = { space => $space, guest => $guest, host => $host };
    }
    my $talks = build(packets => [silence_of(20)], no_eos => 1);
    my $speaks = sub {
        my ($id, $who) = @_;
        return grep { $_->{id} eq $who } @{ $s->space($id)->{speakers} };
    };
    my ($changed, $guest) = @{ $at{changed} }{qw(space guest)};
    my $id = $changed->{id};
    my $bea = $s->begin_ingest({ %$changed, token => $guest->{token} });
    Test::Spaces::chunk($bea, $talks);
    ok(until_ok(sub { $speaks->($id, $guest->{id}) }), 'a guest is there');
    is($s->http('PATCH', "/spaces/$id", $s->as('ana'),
                json => { title => 'after' })->code, 200, 'changed');
    $s->stop_redis;

    for (1 .. 6) {
        my $is = $s->space($id);
        is("@$is{qw(state title)}", 'live after', 'the Space is to be had');
    }
    close $_ for $at{changed}{host}, $bea;
    ok(until_ok(sub { !@{ $s->space($id)->{speakers} } }), 'all drop');
    for (['host', $changed->{token}], [$guest->{id}, $guest->{token}]) {
        my ($who, $token) = @$_;
        my $back = $s->begin_ingest({ %$changed, token => $token });
        Test::Spaces::chunk($back, $talks);
        ok(until_ok(sub { $speaks->($id, $who) }), "$who is back");
        push @{ $at{changed}{back} }, $back;
    }
    is($s->http('POST', "/spaces/$at{ends}{space}{id}/end",
                $s->bearer($guest->{token}))->code, 503,
       "a token of another Space's opens nothing");
    for my $space (map { $_->{space} } values %at) {
        my $res = $s->http('POST', "/spaces/$space->{id}/end",
                           $s->bearer($space->{token}));
        is($res->code, 200, 'its host ends it by token') or diag($res->body);
        is($res->json->{recording}, 'available', 'and it is recorded');
        for my $path ('', '/replay') {
            is($s->http('GET', "/spaces/$space->{id}$path")->code, 200,
               "GET $path") for 1 .. 4;
        }
    }
    is($s->http('GET', "/spaces/$id")->json->{title}, 'after', 'as it was');

    $s->start_redis;
    for (values %at) {
        my $key = "spaces:space:{$_->{space}{id}}";
        ok(until_ok(sub {
            ($s->redis('HGET', $key, 'state') // '') eq 'ended'
        }), 'Redis is told');
    }
    $s->stop;
};

subtest 'Redis is there later than nginx' => sub {
    my $s = Test::Spaces->new(workers => 2, no_redis => 1)->start;
    is_503($s->http('GET', '/spaces'), 'before');
    $s->start_redis;
    ok(until_ok(sub { $s->http('GET', '/spaces')->code == 200 }), 'after');
    $s->stop;
};

subtest 'Redis that does not answer' => sub {
    my $s = Test::Spaces->new(workers => 2, redis_timeout => '2s')->start;
    is($s->http('GET', '/spaces')->code, 200, 'before');
    kill 'STOP', $s->{redis_pid};
    my $began = time;
    is_503($s->http('GET', '/spaces'), 'stopped');
    cmp_ok(time - $began, '<', 10, 'within a bound');
    kill 'CONT', $s->{redis_pid};
    ok(until_ok(sub { $s->http('GET', '/spaces')->code == 200 }), 'after');

    # each worker is connected again, and asks before it has given Redis up
    my $space = $s->create;
    ok(until_ok(sub { 200 == $s->http('GET', '/spaces')->code }), 'for 10 times')
        for 1 .. 10;
    kill 'STOP', $s->{redis_pid};
    my $res = $s->http('POST', '/spaces', $s->as('ana'), json => {
        title => 'Late' });
    kill 'CONT', $s->{redis_pid};
    is_503($res, 'a change');
    like($res->json->{detail}, qr/may have been done/, 'is not said to be none');
    ok(until_ok(sub {
        grep { $_->{title} eq 'Late' }
            @{ ($s->http('GET', '/spaces')->json // {})->{spaces} // [] };
    }), 'and was done');
    $s->stop;
};

# keys of what is live that are something else hold nobody up at a start

subtest 'what is live is no set, or no Space' => sub {
    my $s = Test::Spaces->new(workers => 2, http => { spaces_reconnect => '30s' },
                              quiet => ['exited on signal 9'])->start;
    my $id = 'a' x 20;
    for my $wrong (
        ['SET', 'spaces:live:here', 'x'],
        ['SET', "spaces:space:{$id}", 'x'],
    ) {
        my $name = "@$wrong";
        $s->stop_nginx('KILL');
        $s->redis('DEL', 'spaces:live:here', 'spaces:node:here');
        $s->redis('SADD', 'spaces:live:here', $id);
        $s->redis('DEL', $wrong->[1]) if $wrong->[1] =~ /live/;
        is($s->redis(@$wrong), 'OK', $name);
        $s->start_nginx;
        ok(until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }),
           "$name: it is got over");
    }
    $s->stop;
};

subtest 'Redis that refuses' => sub {
    my $s = Test::Spaces->new(workers => 2,
        redis_options => ['--requirepass', 'secret'],
        http => { spaces_redis => 'unix:redis.sock timeout=500ms' });
    # PING of the harness is answered with an error: that is alive as well
    no warnings 'redefine';
    my $redis = \&Test::Spaces::redis;
    local *Test::Spaces::redis = sub {
        my ($self, @args) = @_;
        my $reply = $redis->($self, @args) // '';
        return $args[0] eq 'PING' && $reply =~ /NOAUTH/ ? 'PONG' : $reply;
    };
    $s->start;
    is_503($s->http('GET', '/spaces'), 'no password');
    like($s->error_log, qr/not to be had for (?:commands|changes): NOAUTH/,
         'the log tells why');
    $s->stop_nginx;

    spurt("$s->{dir}/password", "secret\n");
    $s->{http}{spaces_redis} = 'unix:redis.sock password_file=password db=3 '
                               . 'prefix=x:';
    spurt("$s->{dir}/logs/error.log", '');
    $s->start_nginx;
    ok(until_ok(sub { $s->http('GET', '/spaces')->code == 200 }),
       'with its password');
    my $space = $s->create(title => 'x');
    is($s->space($space->{id})->{title}, 'x', 'in another database');
    unlike($s->error_log, qr/secret/, 'the password is in no log');
    $s->stop;
};

subtest 'Redis that becomes a replica' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my $connects = sub {
        return scalar(() = $s->error_log =~ /is connected$/mg);
    };
    # from then on there are transactions alone
    ok(until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }), 'at rest');
    my $before = $connects->();
    $s->redis('REPLICAOF', '127.0.0.1', '1');
    # not more often than every five seconds
    ok(until_ok(sub {
        sleep 0.5;
        is_503($s->http('POST', '/spaces', $s->as('ana'),
                        json => { title => 'x' }), 'no word is taken');
        $connects->() > $before;
    }), 'it is looked for where it went');
    like($s->error_log, qr/refused a command: READONLY/, 'the log says why');
    $s->redis('REPLICAOF', 'NO', 'ONE');
    ok(until_ok(sub {
        ($s->http('POST', '/spaces', $s->as('ana'), json => { title => 'x' })
            ->code // 0) == 201;
    }), 'and found');
    $s->stop;
};

subtest 'a replica, and somebody else is waiting' => sub {
    my $s = Test::Spaces->new(workers => 1, redis_timeout => '10s',
                              quiet => [qr/READONLY|replica/])->start;
    my $space = $s->create(title => 'x');
    ok(until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }), 'at rest');

    # old enough to be looked for elsewhere; and in the cache, no more fresh
    sleep 5;
    is($s->http('GET', "/spaces/$space->{id}", $s->bearer($space->{token}))
           ->code, 200, 'cached');
    sleep 1.2;
    my ($worker) = $s->worker_pids;
    $s->redis('REPLICAOF', '127.0.0.1', '1');
    kill 'STOP', $s->{redis_pid};
    my @ask = (
        ['POST', '/spaces', 'Cookie: spaces_user=ana', '{"title":"x"}'],
        ['GET', "/spaces/$space->{id}",
         "Authorization: Bearer $space->{token}", ''],
    );
    my @sockets;
    for (@ask) {
        my ($method, $path, $who, $body) = @$_;
        my $socket = $s->socket;
        print $socket join "\r\n", "$method $path HTTP/1.1", 'Host: localhost',
            $who, 'Connection: close', 'Content-Type: application/json',
            'Content-Length: ' . length $body, '', $body;
        $socket->flush;
        push @sockets, $socket;
        # one behind the other in what Redis is sent
        sleep 0.3;
    }
    kill 'CONT', $s->{redis_pid};
    like(Test::Spaces::read_all($sockets[0]), qr/^HTTP\/1.1 503 /,
         'no word is taken');
    like(Test::Spaces::read_all($sockets[1]), qr/^HTTP\/1.1 200 /,
         'who asked has what is cached');
    $s->redis('REPLICAOF', 'NO', 'ONE');
    ok(until_ok(sub {
        ($s->http('POST', '/spaces', $s->as('ana'), json => { title => 'x' })
            ->code // 0) == 201;
    }), 'it goes on');
    is("@{[ $s->worker_pids ]}", $worker, 'the same worker');
    $s->stop;
};

subtest 'what was changed while nobody listened' => sub {
    my $s = Test::Spaces->new(workers => 2,
                              quiet => ['not to be had for changes'])->start;
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(visibility => 'unlisted');
    my $host = $loop->speak($space, [steady(590)], repeat => 1);
    ok($loop->until(sub {
        ($s->space($space->{id}, $space->{token}) // {})->{state} eq 'live';
    }), 'live');
    my ($share, $kept) = map {
        $s->http('POST', "/spaces/$space->{id}/shares",
                 $s->bearer($space->{token}), json => {})->json
    } 1, 2;
    my @ears = map { $loop->listen($space, token => $share->{token}) } 1 .. 6;
    my $stays = $loop->listen($space, token => $kept->{token});
    ok($loop->until(sub { !grep { !length $_->{body} } @ears, $stays }),
       'they listen');
    $loop->run(1.5);

    # as another node revokes
    is($s->redis('CLIENT', 'KILL', 'TYPE', 'pubsub'), 2, 'none is subscribed');
    $s->redis('DEL', 'spaces:token:' . sha256_hex($share->{token}));
    $s->redis('PUBLISH', 'spaces:changed', $space->{id});
    ok($loop->until(sub { !grep { !$_->{gone} } @ears }), 'they are cut');
    is($stays->{gone}, 0, 'nobody else is');
    undef $loop;
    $s->stop;
};

# something between this server and Redis, at a port: what is connected may be
# frozen, as by a firewall that forgets it, and what comes then goes through

sub between {
    my ($s, $port) = @_;
    my $listen = IO::Socket::INET->new(Listen => 16, ReuseAddr => 1,
                                       LocalAddr => "127.0.0.1:$port") or die;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my (%other, $frozen);
        local $SIG{USR1} = sub { $frozen = 1 };
        while (1) {
            my @ready = IO::Select->new($listen, map { $_->[0] } values %other)
                ->can_read;
            if ($frozen) {
                # they stay open: nobody is told
                push our @forgotten, map { $_->[0] } values %other;
                (%other, $frozen) = ();
                next;
            }
            for my $socket (@ready) {
                if ($socket == $listen) {
                    my $from = $listen->accept or next;
                    my $to = IO::Socket::UNIX->new(
                        Peer => "$s->{dir}/redis.sock") or next;
                    $other{ fileno $from } = [$from, $to];
                    $other{ fileno $to } = [$to, $from];
                    next;
                }
                my ($in, $out) = @{ $other{ fileno $socket } // next };
                my $n = sysread $in, my $data, 65536;
                next if $n && syswrite $out, $data;
                delete @other{ fileno $in, fileno $out };
                $_->close for $in, $out;
            }
        }
    }
    push @{ $s->{children} }, $pid;
    return $pid;
}

subtest 'a subscription that dies without a word' => sub {
    my $port = Test::Spaces::free_port();
    my $s = Test::Spaces->new(workers => 1, http => {
        spaces_redis => "127.0.0.1:$port timeout=1s",
    });
    $s->start_redis;
    my $between = between($s, $port);
    $s->start_nginx;
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(visibility => 'unlisted');
    my $host = $loop->speak($space, [steady(590)], repeat => 1, how => 'opus');
    my $share = $s->http('POST', "/spaces/$space->{id}/shares",
                         $s->bearer($space->{token}), json => {})->json;
    ok($loop->until(sub {
        ($s->space($space->{id}, $space->{token}) // {})->{state} eq 'live';
    }), 'live');
    my $l = $loop->listen($space, token => $share->{token});
    ok($loop->until(sub { length $l->{body} }), 'somebody listens by a link');

    kill 'USR1', $between;
    # each connection that is alive subscribes, and the first one still seems to
    ok($loop->until(sub {
        $s->redis('PUBSUB', 'NUMSUB', 'spaces:changed')->[1] == 2;
    }, 60), 'it is noticed, though no command is sent');
    ok(!$l->{gone}, 'who listens is left alone');

    # as another node revokes
    $s->redis('DEL', 'spaces:token:' . sha256_hex($share->{token}));
    $s->redis('PUBLISH', 'spaces:changed', $space->{id});
    ok($loop->until(sub { $l->{gone} }), 'and cut when the link is revoked');
    undef $loop;
    $s->stop;
};

subtest 'what is no Redis, and answers' => sub {
    my $port = Test::Spaces::free_port();
    my $listen = IO::Socket::INET->new(Listen => 16, ReuseAddr => 1,
                                       LocalAddr => "127.0.0.1:$port") or die;
    for my $answer (':1', "*1\r\n:1", '$-1', '*-1') {
        my $s = Test::Spaces->new(workers => 1, no_redis => 1, http => {
            spaces_redis => "127.0.0.1:$port timeout=1s",
        });
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            my @kept;
            while (my $socket = $listen->accept) {
                sysread $socket, my $data, 4096;
                syswrite $socket, "$answer\r\n"
                    if $data =~ /PING/;
                push @kept, $socket;
            }
            exit;
        }
        push @{ $s->{children} }, $pid;
        $s->start_nginx;
        ok(until_ok(sub {
            $s->error_log =~ /commands: it does not answer as Redis/;
        }), "$answer: the log tells");
        is_503($s->http('GET', '/spaces'), $answer);
        $s->stop;
    }
};

subtest 'a WebSocket that begins to talk without Redis' => sub {
    for my $how (qw(gone silent)) {
        my $s = Test::Spaces->new(workers => 1)->start;
        my $space = $s->create;
        my ($ws) = Test::Spaces::WebSocket->connect(
            $s, "/spaces/$space->{id}/ingest", 'spaces.opus.v1',
            Authorization => "Bearer $space->{token}");
        # so that nothing is in a cache
        is($s->http('PATCH', "/spaces/$space->{id}",
                    $s->bearer($space->{token}), json => { title => 'y' })
               ->code, 200, "$how: changed meanwhile");
        if ($how eq 'gone') { $s->stop_redis }
        else { kill 'STOP', $s->{redis_pid} }
        my ($packet) = steady(1);
        $ws->send_binary($packet);
        ok($ws->closed(60), "$how: closed");
        is($ws->{code}, 1012, "$how: with 1012, which is to come back");
        kill 'CONT', $s->{redis_pid} if $how ne 'gone';
        $s->stop;
    }
};

subtest 'Redis full of something else' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my $id = 'a' x 20;
    $s->redis('SET', "spaces:space:{$id}", 'a string');
    isnt($s->http('GET', "/spaces/$id")->code, 200, 'of the wrong type');
    $s->redis('DEL', "spaces:space:{$id}");
    $s->redis('HSET', "spaces:space:{$id}", 'id', '../../../etc/passwd',
              'state', 'ended', 'recording', 'available');
    is($s->http('GET', "/spaces/$id/replay")->code, 404, 'of a hostile id');
    $s->redis('ZADD', 'spaces:live', 1, $id, 2, 'x' x 100, 3, '');
    is($s->http('GET', '/spaces')->code, 200, 'the timeline passes it over');
    $s->redis('CONFIG', 'SET', 'maxmemory', 1);
    is_503($s->http('POST', '/spaces', $s->as('ana'), json => { title => 'x' }),
           'full');
    $s->redis('CONFIG', 'SET', 'maxmemory', 0);
    is($s->create(title => 'x')->{title}, 'x', 'and no longer');
    $s->stop;
};

subtest 'who listens by token, without Redis' => sub {
    my $s = Test::Spaces->new(workers => 4, quiet => ['exited on signal 9'],
                              http => { spaces_reconnect => '60s' })->start;
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(visibility => 'unlisted');
    my $host = $loop->speak($space, [steady(590)], how => 'opus', repeat => 1,
                            reconnect => 1);
    my $is_live = sub {
        ($s->space($space->{id}, $space->{token}) // {})->{state} eq 'live';
    };
    ok($loop->until($is_live), 'live');
    my $share = $s->http('POST', "/spaces/$space->{id}/shares",
                         $s->bearer($space->{token}), json => {})->json;
    my @l = map { $loop->listen($space, token => $share->{token}) } 1 .. 20;
    ok($loop->until(sub { !grep { !length $_->{body} } @l }), 'they listen');

    # another worker takes the room over and can't say so: at every attempt it
    # is looked at whether they still may listen, in vain
    kill 'STOP', $s->{redis_pid};
    my $killed = $host->worker;
    kill 'KILL', $killed;
    $loop->run(4);
    my @left = grep { !$_->{gone} } @l;
    is(scalar(grep { $_->worker != $killed } @l), scalar @left,
       scalar(@left) . ' of other workers listen on');
    my $had = length $left[0]{body};
    kill 'CONT', $s->{redis_pid};
    ok($loop->until(sub { length $left[0]{body} > $had }), 'and hear');
    ok($loop->until(sub { $is_live->() }), 'Redis is back');
    is(scalar(grep { $_->{gone} } @left), 0, 'they are left alone');

    my $code;
    ok($loop->until(sub {
        # by any worker: each has its own connection
        $code = $s->http('DELETE', "/spaces/$space->{id}/shares/$share->{id}",
                         $s->bearer($space->{token}))->code;
        $code != 503;
    }), 'the link is revoked');
    is($code, 204, 'with 204');
    ok($loop->until(sub { !grep { !$_->{gone} } @left }), 'they are cut');
    undef $loop;
    $s->stop;
};

done_testing;
