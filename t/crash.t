#!/usr/bin/perl

# What holds when a connection, a worker, nginx itself is gone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Handle;
use Mojo::JSON qw(true false decode_json);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build numbers page pages silence_of);
use Time::HiRes qw(sleep time);

my @packets = silence_of(400);
my @streams = map {
    build(packets => [@packets[$_ * 100 .. $_ * 100 + 99]], no_eos => 1)
} 0 .. 3;

subtest 'the host drops and returns' => sub {
    my $s = Test::Spaces->new(workers => 4)->start;
    my $space = $s->create(record => true);

    for my $i (0 .. 2) {
        my $socket = $s->begin_ingest($space);
        Test::Spaces::chunk($socket, $streams[$i]);
        ok(until_ok(sub {
            my $space = $s->space($space->{id});
            $space->{state} eq 'live' && @{ $space->{speakers} };
        }), "there, for the time $i");
        sleep 2.3;
        close $socket;
        ok(until_ok(sub { !@{ $s->space($space->{id})->{speakers} } }),
           'and gone');
        is($s->space($space->{id})->{state}, 'live', 'the Space waits');
        sleep 0.5;
    }

    my $res = $s->end_space($space);
    is($res->code, 200, 'ended');
    my $out = $s->replay($space->{id});
    is_deeply([numbers($out)], [1 .. 300], 'all that was said, once');
    oggz_ok($out, 'in one file');
    my $wall = $res->json->{duration};
    cmp_ok($wall, '>', 7.5, "with the silence between: $wall s");
    is(scalar(glob("$s->{dir}/spaces/live/*") // ''), '', 'live/ is empty');
    $s->stop;
};

subtest 'audio and the end of a connection come at the same time' => sub {
    my $s = Test::Spaces->new(workers => 1,
                              http => { spaces_reconnect => '60s' })->start;
    my $space = $s->create(record => true);
    my ($worker) = $s->worker_pids;

    for my $i (0 .. 2) {
        my $socket;
        if ($i < 2) {
            $socket = $s->begin_ingest($space);
            sleep 0.3;
        }
        kill 'STOP', $worker;
        # the last time with the request itself
        $socket //= $s->begin_ingest($space);
        Test::Spaces::chunk($socket, $streams[$i]);
        $socket->shutdown(1);
        kill 'CONT', $worker;
        Test::Spaces::read_all($socket);
        close $socket;
        ok(until_ok(sub {
            my $now = $s->space($space->{id});
            $now->{state} eq 'live' && !@{ $now->{speakers} };
        }), "heard, and gone, for the time $i");
        sleep 2.3;
    }

    is($s->end_space($space)->code, 200, 'ended');
    is_deeply([numbers($s->replay($space->{id}))], [1 .. 300],
              'all that was said');
    $s->stop;
};

subtest 'the host does not return' => sub {
    my $s = Test::Spaces->new(workers => 4, http => { spaces_reconnect => '1s' })
        ->start;
    my $space = $s->create(record => true);
    my $socket = $s->begin_ingest($space);
    Test::Spaces::chunk($socket, $streams[0]);
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    close $socket;
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'ended' }),
       'it ends by itself');
    is_deeply([numbers($s->replay($space->{id}))], [1 .. 100],
       'with all that was sent');
    $s->stop;
};

subtest 'the longest a Space may last' => sub {
    my $s = Test::Spaces->new(workers => 1,
                              http => { spaces_max_duration => '1s' })->start;
    # what a start looks for before anybody may begin
    ok(until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }), 'at rest');
    my $space = $s->create(record => true);
    my $socket = $s->begin_ingest($space);
    Test::Spaces::chunk($socket, $streams[0]);
    like(Test::Spaces::read_all($socket, 30), qr/^HTTP\/1.1 200 .*"ended"/s,
         'the host is told that it is over');
    $s->stop;
};

subtest 'each worker is killed in turn' => sub {
    my $s = Test::Spaces->new(workers => 4, quiet => ['exited on signal 9'])
        ->start;
    my $space = $s->create(record => true);
    my ($n, %killed) = (0);

    # whoever it is that owns the room, or feeds it, goes among these
    for my $pid ($s->worker_pids) {
        my $socket;
        ok(until_ok(sub {
            $socket = $s->begin_ingest($space);
            Test::Spaces::chunk($socket, $streams[$n]);
            return !length Test::Spaces::read_all($socket, 0.3);
        }), 'the host is there');
        ok(until_ok(sub {
            @{ $s->space($space->{id})->{speakers} };
        }), 'and is seen');
        sleep 1;
        kill 'KILL', $pid;
        sleep 0.3;
        close $socket;
        sleep 1.2;
        $n++;
        is($s->space($space->{id})->{state}, 'live', 'the Space goes on');
    }

    is($s->end_space($space)->code, 200, 'ended');
    my $out = $s->replay($space->{id});
    my @numbers = numbers($out);
    my %seen;
    is(scalar(grep { $seen{$_}++ } @numbers), 0, 'nothing comes twice');
    is_deeply(\@numbers, [sort { $a <=> $b } @numbers], 'nothing is moved');
    cmp_ok(scalar @numbers, '>=', 150, 'what was said is there');
    oggz_ok($out, 'in one file');
    $s->stop;
};

# the worker that has the recording open, which is the room's owner
sub owner {
    my ($s, $space) = @_;
    for my $pid ($s->worker_pids) {
        return $pid if grep { (readlink $_ // '') =~ m{/live/$space->{id}\.} }
                       glob "/proc/$pid/fd/*";
    }
}

subtest 'a worker hangs' => sub {
    my $s = Test::Spaces->new(workers => 2, quiet => ['exited on signal 9',
                                                'has not mixed it'])->start;
    my $space = $s->create(record => true);
    my $socket = $s->begin_ingest($space);
    Test::Spaces::chunk($socket, $streams[0]);
    ok(until_ok(sub { ($s->space($space->{id})->{duration} // 0) > 2 }),
       'live');

    my $pid = owner($s, $space);
    kill 'STOP', $pid;
    sleep 1.5;
    is(owner($s, $space), $pid, 'a short halt is borne');
    ok(until_ok(sub { (owner($s, $space) // $pid) != $pid }),
       'then another goes on');
    # by who killed it, which need not be who goes on
    ok(until_ok(sub { $s->error_log =~ /\b$pid has not mixed it for/ }),
       'which is logged');
    ok(until_ok(sub { !grep { $_ == $pid } $s->worker_pids }),
       'the one that hung is gone');

    close $socket;
    $socket = $s->begin_ingest($space);
    Test::Spaces::chunk($socket, $streams[1]);
    print $socket "0\r\n\r\n";
    like(Test::Spaces::read_all($socket, 30), qr/^HTTP\/1.1 200 .*"ended"/s,
         'the host returns, and ends it');
    my $out = $s->replay($space->{id});
    is_deeply([numbers($out)], [1 .. 200], 'all that was said, once');
    oggz_ok($out, 'in one file');
    $s->stop;
};

subtest 'reload, with a Space live' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my $space = $s->create(record => true);
    my $socket = $s->begin_ingest($space);
    my $stream = build(packets => \@packets, no_eos => 1);
    my @pages = map { $_->{raw} } pages($stream);
    my $old = join ' ', sort $s->worker_pids;
    for my $i (0 .. $#pages) {
        Test::Spaces::chunk($socket, $pages[$i]);
        $s->signal('HUP') if $i == 3 || $i == 6;
        sleep 0.95 if $i > 1;
    }
    print $socket "0\r\n\r\n";
    my $answer = Test::Spaces::read_all($socket, 30);
    like($answer, qr/^HTTP\/1.1 200 .*"ended"/s, 'the host was not cut');
    my $out = $s->replay($space->{id});
    is_deeply([numbers($out)], [1 .. 400], 'every packet, once');
    oggz_ok($out, 'in one file');
    isnt(join(' ', sort $s->worker_pids), $old, 'there are new workers');
    like($s->error_log, qr/goes on in this worker/, 'one of them took over');
    $s->stop;
};

subtest 'a reload with recordings somewhere else' => sub {
    my $s = Test::Spaces->new(workers => 2,
                              quiet => ['"spaces_path" was'])->start;
    my $space = $s->create(record => true);
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, build(packets => [silence_of(50)],
                                     no_eos => 1));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    my $conf = slurp("$s->{dir}/nginx.conf");
    my $path = "$s->{dir}/other";
    ok($conf =~ s/spaces_path [^;]+;/spaces_path $path;/, 'another path');
    spurt("$s->{dir}/nginx.conf", $conf);
    my $workers = join ' ', sort $s->worker_pids;
    $s->signal('HUP');
    ok(until_ok(sub {
        $s->error_log =~ m{"spaces_path" was "\S+/spaces", .* restart nginx};
    }), 'is refused, with what to do');
    is(join(' ', sort $s->worker_pids), $workers, 'nobody has to leave');
    print $host "0\r\n\r\n";
    like(Test::Spaces::read_all($host), qr/"recording":"available"/,
         'the recording is there');
    is_deeply([numbers($s->replay($space->{id}))], [1 .. 50], 'all of it');
    $s->stop;
};

subtest 'all of nginx is killed' => sub {
    my $s = Test::Spaces->new(workers => 2, http => { spaces_reconnect => '30s' },
                              quiet => ['exited on signal 9'])->start;
    my %space = map { $_ => $s->create(record => $_ eq 'plain' ? false : true,
                                       title => $_) } qw(back torn plain);
    my %socket;
    for (keys %space) {
        $socket{$_} = $s->begin_ingest($space{$_});
        Test::Spaces::chunk($socket{$_}, $streams[0]);
    }
    for my $name (keys %space) {
        ok(until_ok(sub {
            my $space = $s->space($space{$name}{id});
            $space->{state} eq 'live' && ($space->{duration} // 0) > 1.5;
        }), 'live');
    }
    sleep 0.5;
    $s->stop_nginx('KILL');

    # power that goes in the middle of a page leaves half of it, or zeroes
    my $torn = "$s->{dir}/spaces/live/$space{torn}{id}.opus";
    my $had = slurp($torn);
    my @whole = grep { $_->{granule} > 0 } pages($had);
    open my $fh, '>>', $torn or die;
    print $fh substr($whole[-1]{raw}, 0, length($whole[-1]{raw}) / 2),
        "\0" x 200_000;
    close $fh;

    $s->start_nginx;

    for my $name (keys %space) {
        ok(until_ok(sub {
            ($s->space($space{$name}{id}) // {})->{state} eq 'live'
                && !@{ $s->space($space{$name}{id})->{speakers} };
        }), "$name: live again");
        my $socket = $s->begin_ingest($space{$name});
        Test::Spaces::chunk($socket, $streams[1]);
        print $socket "0\r\n\r\n";
        like(Test::Spaces::read_all($socket, 30), qr/^HTTP\/1.1 200 /,
             "$name: the host is back");
    }
    for my $name (qw(back torn)) {
        my $out = $s->replay($space{$name}{id});
        my @numbers = numbers($out);
        is_deeply([@numbers[-100 .. -1]], [101 .. 200], "$name: the rest");
        my @first = @numbers[0 .. $#numbers - 100];
        is_deeply(\@first, [1 .. @first], "$name: the beginning");
        cmp_ok(scalar @first, '>=', 50, "$name: at most a second is lost");
        oggz_ok($out, "$name: in one file");
    }
    $s->stop;
};

subtest 'what a host changed while live outlives a crash' => sub {
    my $s = Test::Spaces->new(workers => 2, http => { spaces_reconnect => '30s' },
                              quiet => ['exited on signal 9'])->start;
    my $space = $s->create(record => true, topics => ['chess']);
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, $streams[0]);
    my $file = "$s->{dir}/spaces/live/$space->{id}.opus";
    ok(until_ok(sub { -e $file && grep { $_->{granule} > 0 } pages(slurp($file)) }),
       'live, with audio on disk');
    is($s->http('PATCH', "/spaces/$space->{id}", $s->bearer($space->{token}),
                json => { title => 'Better', topics => ['go'] })->code, 200,
       'renamed');
    $s->stop_nginx('KILL');
    $s->start_nginx;
    ok(until_ok(sub { ($s->space($space->{id}) // {})->{duration} }),
       'recovered');
    is($s->end_space($space)->code, 200, 'ended');
    my $found = $s->space($space->{id});
    is($found->{title}, 'Better', 'its title');
    is_deeply($found->{topics}, ['go'], 'its topics');
    is($s->redis('ZCARD', "spaces:topic:$_->[0]"), $_->[1],
       "in the list of $_->[0]: $_->[1]") for ['chess', 0], ['go', 1];

    # what Redis was told and the disk was not, as by a worker that dies between
    # the two, is not left in a list
    $s->redis('HSET', "spaces:space:{$space->{id}}", topics => '["blitz"]',
              language => 'de-AT');
    $s->redis('ZREM', 'spaces:topic:go', $space->{id});
    $s->redis('ZADD', "spaces:$_", 1, $space->{id})
        for qw(topic:blitz language:de-at);
    is($s->http('DELETE', "/spaces/$space->{id}",
                $s->bearer($space->{token}))->code, 200, 'deleted');
    is($s->redis('ZCARD', "spaces:$_"), 0, "nothing is left in $_")
        for qw(topic:blitz language:de-at topic:go topic:chess);
    $s->stop;
};

subtest 'what has no audio on disk is live again as well' => sub {
    my $s = Test::Spaces->new(workers => 2, http => { spaces_reconnect => '30s' },
                              durable => 1,
                              quiet => ['exited on signal 9'])->start;
    my %space = map {
        my $visibility = $_;
        map { ("$visibility $_" => $s->create(record => false,
                                              visibility => $visibility)) }
        qw(ends returns)
    } qw(public unlisted ticketed);
    my @hosts;
    for my $name (sort keys %space) {
        my $host = $s->begin_ingest($space{$name});
        Test::Spaces::chunk($host, $streams[0]);
        push @hosts, $host;
        ok(until_ok(sub {
            $s->redis('HGET', "spaces:space:{$space{$name}{id}}", 'state')
                eq 'live';
        }), "$name: live");
    }
    is($s->redis('SCARD', 'spaces:live:here'), 6, 'all are in one set');
    $s->stop_nginx('KILL');

    # Redis isn't there when nginx begins
    $s->stop_redis;
    $s->start_nginx;
    $s->start_redis;

    for my $name (sort keys %space) {
        my ($id, $token) = @{ $space{$name} }{qw(id token)};
        ok(until_ok(sub {
            $s->http('HEAD', "/spaces/$id/live", $s->bearer($token))->code
                == 200;
        }), "$name: live again");
        if ($name =~ /returns/) {
            my $host = $s->begin_ingest($space{$name});
            Test::Spaces::chunk($host, $streams[1]);
            ok(until_ok(sub {
                @{ $s->space($id, $token)->{speakers} };
            }), "$name: the host is back");
            push @hosts, $host;
        }
        my $res = $s->end_space($space{$name});
        is($res->code, 200, "$name: ended");
        is($res->json->{state}, 'ended', "$name: ended");
    }
    is($s->redis('SCARD', 'spaces:live:here'), 0, 'none is live');
    $s->stop;
};

subtest 'a stop, and a start when it is too late to come back' => sub {
    my $s = Test::Spaces->new(workers => 2,
                              http => { spaces_reconnect => '1s' })->start;
    my $space = $s->create(record => true);
    my $socket = $s->begin_ingest($space);
    Test::Spaces::chunk($socket, $streams[0]);
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    sleep 0.5;
    $s->stop_nginx('TERM');
    sleep 1.5;
    $s->start_nginx;
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'ended' }), 'ended');
    my $out = $s->replay($space->{id});
    is_deeply([numbers($out)], [1 .. 100], 'with all that had come');
    oggz_ok($out, 'as others see it');
    $s->stop;
};

# twelve hours, made in no time: the end must not care

subtest 'twelve hours' => sub {
    my $s = Test::Spaces->new(workers => 2, http => { spaces_reconnect => '1h',
                                           spaces_max_duration => '24h' })->start;
    my $space = $s->create(record => true);
    my $socket = $s->begin_ingest($space);
    Test::Spaces::chunk($socket, $streams[0]);
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    sleep 1;
    $s->stop_nginx('TERM');

    # pages of a second, in place of those that were written
    my $file = "$s->{dir}/spaces/live/$space->{id}.opus";
    my @pages = pages(slurp($file));
    my @second = map { "\xf8" . 'x' x 159 } 1 .. 50;
    open my $fh, '>:raw', $file or die;
    print $fh $pages[0]{raw}, $pages[1]{raw};
    for my $i (1 .. 12 * 3600) {
        # the checksum matters only where the end is looked for
        my $page = $i < 12 * 3600 - 200 && $i > 1
            ? pack('a4 C C q< V V V C', 'OggS', 0, 0, $i * 48000,
                   $pages[0]{serial}, $i + 1, 0, 50) . "\xa0" x 50
              . join('', @second)
            : page(packets => \@second, serial => $pages[0]{serial},
                   sequence => $i + 1, granule => $i * 48000);
        print $fh $page;
    }
    # what has to reach the disk first is not what is measured
    $fh->flush;
    $fh->sync or die "sync: $!";
    close $fh;
    my $size = -s $file;

    $s->start_nginx;
    ok(until_ok(sub { ($s->space($space->{id})->{duration} // 0) > 43000 }),
       'recovered');
    my $rss = sub {
        my $sum = 0;
        for my $pid ($s->worker_pids) {
            $sum += $1 if slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;
        }
        return $sum;
    };
    my $before = $rss->();
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, $streams[1]);
    ok(until_ok(sub { @{ $s->space($space->{id})->{speakers} } }), 'back');
    my $began = time;
    my $res = $s->end_space($space);
    my $took = time - $began;
    is($res->code, 200, 'ended');
    is($res->json->{recording}, 'available', 'available');
    cmp_ok($res->json->{duration}, '>', 43200, 'twelve hours');
    cmp_ok($res->json->{bytes}, '>', $size, 'all of it');
    is($s->http('GET', "/spaces/$space->{id}/replay",
                { Range => 'bytes=300000000-300000099' })->code, 206,
       'the middle is there at once');
    # a copy or a scan of 340 MB would be far from this on any machine
    cmp_ok($took, '<', 1, sprintf 'it ended in %d ms', $took * 1000);
    # a sanitizer has memory of its own for what is touched first
    cmp_ok($rss->() - $before, '<', $ENV{SPACES_SANITIZED} ? 65536 : 4096,
           'memory did not grow');
    $s->stop;
};

done_testing;
