#!/usr/bin/perl

# Another nginx goes on: with a new binary, with a module that was replaced,
# with other shared memory.  Spaces that are live are in one of the two.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Copy qw(copy);
use Mojo::JSON qw(true false);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build numbers pages silence_of);
use Test::Spaces::WebSocket;
use Time::HiRes qw(sleep time);

my $top = "$FindBin::Bin/..";
my $module = $ENV{SPACES_MODULE} // "$top/build/ngx_http_spaces_module.so";

my @packets = silence_of(1000);
my @pages = map { $_->{raw} } pages(build(packets => \@packets, no_eos => 1));
my @back = silence_of(1100);
my $back = build(packets => [@back[1000 .. 1099]], no_eos => 1);

# a host who speaks until nginx closes the connection; what it said then

sub host {
    my ($s, $space) = @_;
    my $host = { socket => $s->begin_ingest($space), sent => 0, said => '' };
    speak($host) for 1 .. 3;
    until_ok(sub {
        $s->space($space->{id}, $space->{token})->{state} eq 'live'
    }) or die 'not live';
    return $host;
}

sub speak {
    my ($host) = @_;
    local $SIG{PIPE} = 'IGNORE';
    Test::Spaces::chunk($host->{socket}, $pages[$host->{sent}++])
        if $host->{sent} < @pages;
}

# goes on a second at a time; true as soon as nginx has closed it
sub is_cut {
    my ($host) = @_;
    if (time > ($host->{next} // 0)) {
        $host->{next} = time + 1;
        speak($host);
    }
    my $socket = $host->{socket};
    $socket->blocking(0);
    my $n = sysread $socket, $host->{said}, 65536, length $host->{said};
    my $over = defined $n ? $n == 0 : !$!{EAGAIN};
    $socket->blocking(1);
    return $over || $host->{said} =~ /^HTTP.*\r\n\r\n\{.*\}/s;
}

# as programs do: again, until they are let in
sub come_back {
    my ($s, $space) = @_;
    my ($socket, $said);
    my $in = until_ok(sub {
        $socket = $s->begin_ingest($space);
        Test::Spaces::chunk($socket, $back);
        return until_ok(sub {
            my @speakers = @{ $s->space($space->{id})->{speakers} };
            $said = Test::Spaces::read_all($socket, 0.1);
            return length $said || @speakers;
        }) && !length $said;
    }, 30);
    diag($said) if !$in;
    $socket->blocking(1);
    return $in && $socket;
}

# the whole of it: all that the host had said and a second at most, once
sub is_whole {
    my ($s, $space, $host) = @_;
    my $out = $s->replay($space->{id});
    my @numbers = numbers($out);
    my @rest = grep { $_ > 1000 } @numbers;
    my @first = grep { $_ <= 1000 } @numbers;
    is_deeply(\@first, [1 .. @first], 'the beginning');
    cmp_ok(scalar @first, '>=', 50 * ($host->{sent} - 4), 'all of it');
    is_deeply(\@rest, [1001 .. 1100], 'and the rest');
    is_deeply(\@numbers, [@first, @rest], 'in this order');
    oggz_ok($out, 'in one file');
    is_deeply([glob "$s->{dir}/spaces/live/*"], [], 'nothing is left');
}

for my $record (true, false) {
    my $what = $record ? 'recorded' : 'not recorded';

    subtest "a new binary, with a Space live: $what" => sub {
        my $s = Test::Spaces->new(daemon => 1, workers => 2,
                                  shutdown_timeout => '60s',
                                  http => { spaces_reconnect => '30s' })->start;
        my $space = $s->create(record => $record);
        my $host = host($s, $space);
        my $guest = $s->invite($space, 'Bea');
        my %ws;
        ($ws{guest}) = Test::Spaces::WebSocket->connect($s,
            "/spaces/$space->{id}/ingest?token=$guest->{token}",
            'spaces.opus.v1');
        $ws{guest}->send_binary($_) for silence_of(5);
        ($ws{listener}) = Test::Spaces::WebSocket->connect($s,
            "/spaces/$space->{id}/live", 'spaces.ogg.v1');
        my $listener = $s->socket;
        print $listener "GET /spaces/$space->{id}/live HTTP/1.1\r\n",
                        "Host: localhost\r\n\r\n";
        my $early = $s->create(record => true);
        ok(until_ok(sub {
            @{ $s->space($space->{id})->{speakers} } == 2
                && $s->space($space->{id})->{listeners} == 2
        }), 'two speak, two listen');

        my $old = $s->new_binary;

        # both take connections now, until the old one is asked to go
        my $until = time + 3;
        my %codes;
        until_ok(sub {
            $codes{$s->http('HEAD', "/spaces/$space->{id}/live")->code}++;
            return is_cut($host) || time > $until;
        });
        is_deeply([grep { !/^(?:200|503)$/ } keys %codes], [],
                  'it is live in one of them') or diag(explain(\%codes));
        ok(!is_cut($host), 'nobody is cut');

        kill 'QUIT', $old;
        ok(until_ok(sub { $s->error_log =~ /gracefully shutting down/ }),
           'the old one goes');
        my $res = $s->ingest($early, build(packets => [silence_of(25)]));
        is($res->code, 200, 'a new Space begins in the new one')
            or diag($res->body);

        ok(until_ok(sub { is_cut($host) }, 60), 'the host is asked back');
        like($host->{said}, qr/^HTTP\/1.1 503 .*^Retry-After: /ms, 'and when');
        for my $who (sort keys %ws) {
            ok($ws{$who}->closed(60), "the $who, too");
            is($ws{$who}{code}, 1012, 'by WebSocket');
            is(scalar $ws{$who}->events('state'), 0, 'it has not ended');
        }
        like(Test::Spaces::read_all($listener, 60), qr/\r\n0\r\n\r\n\z/,
             'a clean end for who listens');

        my $socket = come_back($s, $space);
        ok($socket, 'the host is back');
        my @codes = map {
            $s->http('HEAD', "/spaces/$space->{id}/live")->code
        } 1 .. 4;
        is_deeply([grep { $_ != 200 } @codes], [], 'everybody may listen');
        print $socket "0\r\n\r\n";
        like(Test::Spaces::read_all($socket, 30), qr/^HTTP\/1.1 200 .*"ended"/s,
             'and ends it');
        is_whole($s, $space, $host) if $record;
        unlike($s->error_log, qr/\[(?:crit|error)\]/, 'no error in the log');
        ok(until_ok(sub { Test::Spaces::is_gone($old) }, 60),
           'the old one is gone');
        $s->stop;
    };
}

subtest 'nobody follows' => sub {
    my $s = Test::Spaces->new(workers => 2, shutdown_timeout => '8s',
                              http => { spaces_reconnect => '30s' })->start;
    my $space = $s->create(record => true);
    my $host = host($s, $space);
    my ($listener) = Test::Spaces::WebSocket->connect($s,
        "/spaces/$space->{id}/live", 'spaces.ogg.v1');
    my $began = time;
    $s->signal('QUIT');
    ok(until_ok(sub { is_cut($host) }, 60), 'nginx goes');
    cmp_ok(time - $began, '>', 7.5, 'who is there stays until it has to');
    ok($listener->closed(60), 'a listener, too');
    is($listener->{code}, 1012, 'who is to come back');
    ok($s->stop_nginx('QUIT'), 'it is gone');
    $s->start_nginx;
    my $socket = come_back($s, $space);
    ok($socket, 'the host is back');
    print $socket "0\r\n\r\n";
    like(Test::Spaces::read_all($socket, 30), qr/^HTTP\/1.1 200 .*"ended"/s,
         'and ends it');
    is_whole($s, $space, $host);
    $s->stop;
};

subtest 'a new binary that is sent back' => sub {
    my $s = Test::Spaces->new(daemon => 1, workers => 2)->start;
    my $space = $s->create(record => true);
    my $host = host($s, $space);
    my $old = $s->new_binary;
    ok($s->stop_nginx('QUIT'), 'it is there, and goes');
    $s->{nginx_pid} = $old;
    ok(!until_ok(sub { is_cut($host) }, 4), 'nobody is cut');
    $s->end_space($space);
    my @numbers = numbers($s->replay($space->{id}));
    is_deeply(\@numbers, [1 .. @numbers], 'every packet, once');
    cmp_ok(scalar @numbers, '>', 150, 'there are some');
    $s->stop;
};

subtest 'a new binary, and the old one again' => sub {
    my $s = Test::Spaces->new(daemon => 1, workers => 2,
                              http => { spaces_reconnect => '60s' })->start;
    my $space = $s->create(record => true);
    my $host = host($s, $space);
    close $host->{socket};
    ok(until_ok(sub { !@{ $s->space($space->{id})->{speakers} } }),
       'the host drops');

    my $old = $s->new_binary;
    my $workers = sub {
        return scalar grep { $_ != $s->{nginx_pid} } $s->worker_pids($old);
    };
    kill 'WINCH', $old;
    ok(until_ok(sub { !$workers->() }, 60),
       'the workers of the old one go, it stays');
    my $socket = come_back($s, $space);
    ok($socket, 'the host is back, in the new one');
    close $socket;
    ok(until_ok(sub { !@{ $s->space($space->{id})->{speakers} } }),
       'and drops');

    kill 'HUP', $old;
    ok(until_ok(sub { $workers->() == 2 }), 'the old one is back');
    ok($s->stop_nginx('QUIT'), 'the new one goes');
    $s->{nginx_pid} = $old;
    $socket = come_back($s, $space);
    ok($socket, 'the host is back, in the old one');
    print $socket "0\r\n\r\n";
    like(Test::Spaces::read_all($socket, 30), qr/^HTTP\/1.1 200 .*"ended"/s,
         'and ends it');
    my @numbers = numbers($s->replay($space->{id}));
    is_deeply([@numbers[-200 .. -1]], [(1001 .. 1100) x 2], 'both times');
    is_deeply([@numbers[0 .. $#numbers - 200]], [1 .. @numbers - 200],
              'and the beginning');
    oggz_ok($s->replay($space->{id}), 'in one file');
    $s->stop;
};

subtest 'a new binary, and the old one is killed' => sub {
    my $s = Test::Spaces->new(daemon => 1, workers => 2,
                              http => { spaces_reconnect => '30s' },
                              quiet => ['exited on signal 9'])->start;
    my $space = $s->create(record => true);
    my $host = host($s, $space);
    my $old = $s->new_binary;
    sleep 1;

    # the new one is a child of the old one, and is not meant
    kill 'KILL', $old, grep { $_ != $s->{nginx_pid} } $s->worker_pids($old);
    ok(until_ok(sub { is_cut($host) }), 'the host is cut');
    my $socket = come_back($s, $space);
    ok($socket, 'and comes back');
    print $socket "0\r\n\r\n";
    like(Test::Spaces::read_all($socket, 30), qr/^HTTP\/1.1 200 .*"ended"/s,
         'the new one ends it');
    is_whole($s, $space, $host);
    $s->stop;
};

# What nginx has loaded it keeps, and all that is loaded later is bound to it;
# a module that is part of the binary is not replaced.

my $replaced = sub {
    my $s = Test::Spaces->new(workers => 2, shutdown_timeout => '60s');
    my $path = "$s->{dir}/spaces.so";
    copy($module, $path) or die;
    local $ENV{SPACES_MODULE} = $path;
    $s->start;
    my $space = $s->create(record => true);
    my $host = host($s, $space);

    copy($module, "$path.new") or die;
    rename "$path.new", $path or die;
    my @old = $s->worker_pids;
    $s->signal('HUP');
    ok(until_ok(sub {
        my %now = map { $_ => 1 } $s->worker_pids;
        return keys %now >= 2 && grep { !$now{$_} } @old;
    }), 'there are new workers');
    ok(!until_ok(sub { is_cut($host) }, 4), 'nobody is cut');
    like(slurp("/proc/$s->{nginx_pid}/maps"), qr/\Q$path\E \(deleted\)/,
         'the old module goes on');

    copy($module, "$s->{dir}/other.so") or die;
    $ENV{SPACES_MODULE} = "$s->{dir}/other.so";
    spurt("$s->{dir}/nginx.conf", $s->conf);
    $s->signal('HUP');
    ok(until_ok(sub {
        slurp("/proc/$s->{nginx_pid}/maps") =~ /other\.so/
    }), 'another one, from elsewhere');
    ok(!until_ok(sub { is_cut($host) }, 4), 'nobody is cut');
    $s->end_space($space);
    my @numbers = numbers($s->replay($space->{id}));
    is_deeply(\@numbers, [1 .. @numbers], 'every packet, once');
    cmp_ok(scalar @numbers, '>', 200, 'there are some');
    $s->stop;
};
subtest 'the module is replaced, and nginx reloaded' => $replaced if $module;

subtest 'a zone of another size' => sub {
    my $s = Test::Spaces->new(workers => 2, shutdown_timeout => '60s',
                              http => { spaces_reconnect => '30s' })->start;
    my $space = $s->create(record => true);
    my $host = host($s, $space);
    $s->{http}{spaces_zone} = 'spaces 17m';
    spurt("$s->{dir}/nginx.conf", $s->conf);
    $s->signal('HUP');
    ok(until_ok(sub { is_cut($host) }, 60), 'the host is asked back');
    like($host->{said}, qr/^HTTP\/1.1 503 .*^Retry-After: /ms, 'and when');
    my $socket = come_back($s, $space);
    ok($socket, 'the host is back');
    print $socket "0\r\n\r\n";
    like(Test::Spaces::read_all($socket, 30), qr/^HTTP\/1.1 200 .*"ended"/s,
         'and ends it');
    is_whole($s, $space, $host);
    $s->stop;
};

done_testing;
