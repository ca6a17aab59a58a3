#!/usr/bin/perl

# A Redis that loses its last words, another one in its place, one that takes
# no word: what is on the disk is true, and Redis is told of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::UNIX;
use Mojo::Date;
use List::Util qw(uniq);
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build packets silence_of);
use Test::Spaces::Recordings;
use Time::HiRes qw(sleep time);

my %moderated = (spaces_moderator => '$cookie_moderator');

sub is_503 {
    my ($res, $name) = @_;
    is($res->code, 503, "$name: 503") or diag($res->body);
    is($res->json->{type}, 'urn:spaces:redis', "$name: and why");
    like($res->headers->header('Retry-After'), qr/^\d+$/, "$name: when");
}

# what Redis has of a Space
sub field {
    my ($s, $space, $name) = @_;
    return $s->redis('HGET', "spaces:space:{$space->{id}}", $name) // '';
}

sub until_is {
    my ($s, $space, $name, $value, $what) = @_;
    ok(until_ok(sub { field($s, $space, $name) eq $value }), $what)
        or diag("$name: " . field($s, $space, $name));
}

sub begin_live {
    my ($s, %fields) = @_;
    my $space = $s->create(record => true, %fields);
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, build(packets => [silence_of(50)], no_eos => 1));
    until_is($s, $space, state => 'live', 'live');
    return ($space, $host);
}

subtest 'Redis is out of memory' => sub {
    my $s = Test::Spaces->new(workers => 2, http => \%moderated)->start;
    my @spaces = map { recorded($s) } 1 .. 3;
    my ($kept, $deleted, $expired) = @spaces;
    my ($live, $host) = begin_live($s);
    my $share = $s->http('POST', "/spaces/$kept->{id}/shares", $s->as('ana'),
                         json => {})->json;

    my $script = "redis.call('HSET', KEYS[1], 'expires_at', ARGV[1]);"
               . "redis.call('ZADD', KEYS[2], 1, ARGV[2])";
    $s->redis('EVAL', $script, 2, "spaces:space:{$expired->{id}}",
              'spaces:due:here', int((time - 60) * 1000), $expired->{id});
    $s->redis('CONFIG', 'SET', 'maxmemory', 1);

    is_503($s->http('POST', '/spaces', $s->as('ana'), json => { title => 'x' }),
           'creating');
    is_503($s->http('POST', "/spaces/$kept->{id}/shares", $s->as('ana'),
                    json => {}), 'sharing');
    is_503($s->http('PATCH', "/spaces/$live->{id}", $s->as('ana'),
                    json => { title => 'y' }), 'a new title');
    is($s->http('GET', $_)->code, 200, "$_ is read")
        for '/spaces', "/spaces/$kept->{id}", "/spaces/$kept->{id}/replay",
            "/s/$share->{token}";
    print $host "0\r\n\r\n";
    like(Test::Spaces::read_all($host), qr/^HTTP\/1.1 200 .*"available"/s,
         'a Space ends');
    is(delete_it($s, $deleted)->code, 200, 'a recording is deleted');
    ok(until_ok(sub { -f "$s->{dir}/spaces/held/$expired->{id}.opus" }),
       'another expires');
    is($s->http('GET', "/spaces/$_->{id}/replay")->code, 410, 'out of reach')
        for $deleted, $expired;
    is($s->http('GET', "/spaces/$live->{id}/replay")->code, 200,
       'what has ended is replayed');

    $s->redis('CONFIG', 'SET', 'maxmemory', 0);
    until_is($s, $deleted, recording => 'deleted', 'Redis hears of it later');
    until_is($s, $expired, recording => 'expired', 'of all of it');
    until_is($s, $live, state => 'ended', 'and of the end');
    # what Redis took, but was too late to say so, it is told once more
    ok(until_ok(sub {
        2 == uniq(grep { /^(?:delete|expire) / } audit($s));
    }), 'so does the audit') or diag(join "\n", audit($s));
    $s->create(title => 'x');
    $s->stop;
};

# another server, which begins as a replica of the first one
sub replica {
    my ($s, $port) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>>', "$s->{dir}/replica.log";
        open STDERR, '>&', \*STDOUT;
        exec 'redis-server', '--port', $port, '--bind', '127.0.0.1',
             '--unixsocket', "$s->{dir}/other.sock", '--unixsocketperm', 777,
             '--save', '', '--dir', $s->{dir}, '--dbfilename', 'other.rdb',
             '--replicaof', "127.0.0.1 $s->{redis_port}";
        die "exec: $!";
    }
    push @{ $s->{children} }, $pid;
    ok(until_ok(sub {
        (ask($s, 'other', 'INFO', 'replication') // '')
            =~ /master_link_status:up/;
    }), 'a replica has it all');
}

# a command to the server behind one of the sockets
sub ask {
    my ($s, $name, @args) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => "$s->{dir}/$name.sock")
        or return undef;
    print $socket '*' . @args . "\r\n",
        map { '$' . length($_) . "\r\n$_\r\n" } @args;
    return Test::Spaces::read_reply($socket);
}

subtest 'a replica takes over' => sub {
    my $first = Test::Spaces::free_port();
    my $second = Test::Spaces::free_port();
    my $s = Test::Spaces->new(workers => 2, redis_port => $first,
        body_timeout => '120s',
        redis_options => ['--port', $first, '--bind', '127.0.0.1'])->start;
    my @spaces = map { recorded($s) } 1 .. 2;
    my ($kept, $deleted) = @spaces;
    my ($live, $host) = begin_live($s, title => 'before');
    replica($s, $second);
    ok(until_ok(sub {
        (ask($s, 'other', 'HGET', "spaces:space:{$live->{id}}", 'state') // '')
            eq 'live';
    }), 'up to the last word');

    # it is promoted, and never hears of what happens from now on
    ask($s, 'other', 'REPLICAOF', 'NO', 'ONE');
    is(delete_it($s, $deleted)->code, 200, 'deleted');
    until_is($s, $deleted, recording => 'deleted', 'the old one knows');
    my ($late, $late_host) = begin_live($s, title => 'after');
    my $lost = recorded($s);

    # the name leads to it, the connections still to the old one
    rename "$s->{dir}/redis.sock", "$s->{dir}/old.sock" or die;
    rename "$s->{dir}/other.sock", "$s->{dir}/redis.sock" or die;
    ask($s, 'old', 'REPLICAOF', '127.0.0.1', $second);

    my %served;
    ok(until_ok(sub {
        my $res = $s->http('POST', '/spaces', $s->as('ana'),
                           json => { title => 'x' });
        $served{ $res->headers->header('X-Worker') }++ if $res->code == 201;
        return 2 == keys %served || ($res->code != 201 && $res->code != 503);
    }, 60), 'every worker finds it');
    is(scalar keys %served, 2, 'and nothing worse than 503 was answered');
    until_is($s, $deleted, recording => 'deleted', 'it is told of a deletion');
    until_is($s, $lost, recording => 'available', 'of a recording');
    until_is($s, $late, state => 'live', 'of what is live');
    is($s->http('GET', "/spaces/$deleted->{id}/replay")->code, 410,
       'what was deleted stays so');
    is($s->http('GET', "/spaces/$_->{id}/replay")->code, 200, 'the rest is there')
        for $kept, $lost;
    for ($host, $late_host) {
        print $_ "0\r\n\r\n";
        like(Test::Spaces::read_all($_), qr/^HTTP\/1.1 200 .*"available"/s,
             'what was live ends');
    }
    until_is($s, $_, state => 'ended', 'and it is told') for $live, $late;
    like($s->error_log, qr/it is a replica now/, 'the log says why');
    $s->stop;
};

subtest 'a replica that only reads' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my $space = recorded($s);
    my $other = recorded($s);
    my $nobody = Test::Spaces::free_port();
    $s->redis('REPLICAOF', '127.0.0.1', $nobody);

    is_503($s->http('POST', '/spaces', $s->as('ana'), json => { title => 'x' }),
           'creating');
    is($s->http('GET', '/spaces')->code, 200, 'the timeline is read');
    is($s->http('GET', "/spaces/$space->{id}/replay")->code, 200, 'replays');
    is(delete_it($s, $other)->code, 200, 'a deletion is written down');
    is($s->http('GET', "/spaces/$other->{id}/replay")->code, 410, 'and holds');
    $s->redis('REPLICAOF', 'NO', 'ONE');
    until_is($s, $other, recording => 'deleted', 'it is told later');
    ok(until_ok(sub {
        $s->http('POST', '/spaces', $s->as('ana'), json => { title => 'x' })
            ->code == 201;
    }), 'it takes words again');
    $s->stop;
};

subtest 'Redis comes back as it was' => sub {
    my $s = Test::Spaces->new(workers => 2, http => \%moderated)->start;
    my @spaces = map { recorded($s) } 1 .. 3;
    my ($kept, $deleted, $held) = @spaces;
    delete_it($s, $held);
    my $share = $s->http('POST', "/spaces/$deleted->{id}/shares",
                         $s->as('ana'), json => {})->json;
    $s->redis('SAVE');

    is(delete_it($s, $deleted)->code, 200, 'then one is deleted');
    my $until = rfc3339(40 * 86400);
    is($s->http('PATCH', "/spaces/$held->{id}/review", moderator('mo'),
                json => { hold_until => $until })->code, 200,
       'one is held for longer');
    my $new = recorded($s, title => 'new');
    my ($live, $host) = begin_live($s);
    $s->stop_redis;
    $s->start_redis;
    is(field($s, $deleted, 'recording'), 'available', 'it has forgotten that');

    until_is($s, $deleted, recording => 'deleted', 'it is told again');
    until_is($s, $new, recording => 'available', 'and of a new one');
    until_is($s, $live, state => 'live', 'and of what is live');
    my $res;
    ok(until_ok(sub {
        # by any worker: each has its own connection
        $res = $s->http('GET', "/s/$share->{token}/audio");
        $res->code != 503;
    }), 'the link is looked up');
    is($res->code, 410, 'and leads nowhere');
    is(length $s->replay($new->{id}),
       -s (glob "$s->{dir}/spaces/recordings/*/$new->{id}.opus")[0],
       'the new one is replayed');

    # the day that Redis knows comes first
    $s->redis('HSET', "spaces:space:{$held->{id}}", 'hold_until',
              int((time - 60) * 1000));
    $s->redis('ZADD', 'spaces:due:here', 1, $held->{id});
    until_is($s, $held, hold_until => Mojo::Date->new($until)->epoch * 1000,
             'a hold ends when the disk says');
    like(files($s), qr/\Q@{[ held($held->{id}) ]}\E/, 'and nothing is purged');
    is(scalar(grep { /^purge/ } audit($s)), 0, 'nor said to be');
    close $host;
    $s->stop;
};

subtest 'many, and Redis goes in the middle of it' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my $space = recorded($s);
    plant($s, $space, 1000, 5);
    my $count = sub {
        return ($s->redis('ZCARD', 'spaces:ended') // 0)
               + ($s->redis('ZCARD', 'spaces:held') // 0);
    };
    is($s->redis('FLUSHALL'), 'OK', 'Redis is emptied');
    my $seen = 0;
    ok(until_ok(sub { ($seen = $count->()) > 0 }), 'it is being told');
    $s->stop_redis;
    diag("killed after $seen of 1001") if $ENV{TEST_VERBOSE};
    sleep 0.2;
    $s->start_redis;
    ok(until_ok(sub { $count->() == 1001 }, 60), 'and is told of all')
        or diag($count->());
    is($s->redis('ZCARD', 'spaces:held'), 200, 'also of what is held');
    ok(until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }), 'once');
    is($s->redis('ZCARD', 'spaces:due:here'), 1001, 'each with its day');
    $s->stop;
};

subtest 'something else has the key of a Space' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my @spaces = map { recorded($s) } 1 .. 3;
    my ($bad, $gone, $other) = @spaces;

    # so that no room knows of them any more
    $s->stop_nginx;
    $s->start_nginx;

    my $key = "spaces:space:{$bad->{id}}";
    $s->redis('DEL', $key, 'spaces:node:here',
              "spaces:space:{$gone->{id}}");
    $s->redis('SET', $key, 'a string');
    $s->redis('ZADD', 'spaces:due:here', 1, $bad->{id});
    sleep 0.1;

    until_is($s, $gone, recording => 'available', 'others come back');
    is_503($s->http('GET', "/spaces/$bad->{id}"), 'it is');
    is($s->redis('GET', $key), 'a string', 'not ours to throw away');
    like($s->error_log, qr/redis \S+ refused a command: WRONGTYPE/,
         'the log says why');
    ok(until_ok(sub {
        $s->redis('ZSCORE', 'spaces:due:here', $bad->{id}) > time + 30;
    }), 'it is put off');
    $s->redis('DEL', $key);
    until_is($s, $bad, recording => 'available', 'then it comes back as well');

    # a list that isn't one
    $s->redis('RENAME', 'spaces:scheduled', 'aside');
    $s->redis('SET', 'spaces:scheduled', 'a string');
    is_503($s->http('POST', '/spaces', $s->as('ana'), json => { title => 'x' }),
           'what can not be listed');
    $s->redis('DEL', 'spaces:scheduled');
    is($s->create(title => 'x')->{title}, 'x', 'later it is');
    $s->stop;
};

done_testing;
