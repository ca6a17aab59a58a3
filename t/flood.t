#!/usr/bin/perl

# Connections by the thousand, and what is done to WebSockets out of spite:
# whoever else listens hears every packet, and all that it took is given back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX ();
use Socket;
use Test::More;
use Test::Spaces;
use Test::Spaces::Bench qw(compile command ask stop);
use Test::Spaces::Bystander;
use Test::Spaces::Toll;
use Test::Spaces::WebSocket;
use Time::HiRes qw(sleep time);

# listeners, as many as asked for, or as there may be files
my $crowd = $ENV{SPACES_TEST_CROWD} // 2000;
my ($files) = slurp('/proc/self/limits') =~ /^Max open files +\d+ +(\d+)/m;
$crowd = $files - 1000 if defined $files && $crowd > $files - 1000;

my $dir = tempdir('spaces-flood-XXXXXX', TMPDIR => 1, CLEANUP => 1);
compile("$FindBin::Bin/bench/fanout.c", $dir);

my $most = $crowd + 1000;
my $s = Test::Spaces->new(
    workers => 2, connections => $most, small => 1, redis_timeout => '10s',
    main_more => "worker_rlimit_nofile $most;",
    http_more => 'access_log off; client_header_timeout 40s;',
    server_more => 'location = /metrics { spaces_metrics; }',
)->start;
my $bystander = Test::Spaces::Bystander->new($s);
my $toll = Test::Spaces::Toll->new($s);

sub live_on { return "/spaces/$bystander->{space}{id}/$_[0]" }

# with hardly any room for what is not read
sub websocket {
    my ($path, %headers) = @_;
    my ($ws, $line) = Test::Spaces::WebSocket->connect(
        $s->small_socket, $path, 'spaces.opus.v1', %headers);
    die "$path: $line" if !$ws->{open};
    return $ws;
}

# of a host of a Space of their own, who says nothing
sub silent_host {
    my $space = $s->create;
    return websocket("/spaces/$space->{id}/ingest",
                     %{ $s->bearer($space->{token}) });
}

# some who listen, and some who are hosts
sub websockets {
    my ($n) = @_;
    return ((map { websocket(live_on('live')) } 1 .. $n),
            map { silent_host() } 1 .. $n);
}

# all send the same, again and again, and read nothing; the KB that it took
sub pour {
    my ($bytes, $what, @ws) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my ($before, $most) = ($toll->memory, 0);
    my %left = map { $_ => $bytes } @ws;
    my $idle = time;

    while (time < $idle + 2) {
        for my $ws (grep { $left{$_} > 0 } @ws) {
            $ws->{out} = $what x (8192 / length $what) if !length $ws->{out};
            my $n = syswrite $ws->{socket}, $ws->{out};
            $left{$ws} = 0 if !defined $n && !$!{EAGAIN};
            next if !$n;
            substr $ws->{out}, 0, $n, '';
            $left{$ws} -= $n;
            $idle = time;
        }
        my $memory = $toll->memory - $before;
        $most = $memory if $memory > $most;
        last if !grep { $_ > 0 } values %left;
        sleep 0.01;
    }

    return $most;
}

for (
    ['pings without end, and no look at an answer', 2 << 20,
     "\x89\x80abcd"],
    ['long ones', 2 << 20, "\x89\xfdabcd" . 'x' x 125],
    ['a message of empty pieces', 1 << 20, "\x00\x80abcd"],
    ['a message of pieces of a byte', 1 << 20, "\x00\x81abcdx"],
) {
    my ($name, $bytes, $what) = @$_;
    $toll->is_paid($name, sub {
        my @ws = websockets(5);
        # of a message that goes on
        $_->send_frame('binary', 'x', fin => 0) for @ws;
        my $took = pour($bytes, $what, @ws);
        # a sanitizer has memory of its own
        cmp_ok($took, '<', ($ENV{SPACES_SANITIZED} ? 4096 : 256) * @ws,
               "$took KB for all");
        close $_->{socket} for @ws;
    });
}

# what a listener is in the middle of, pings behind it, and then it is gone
subtest 'gone in the middle of a frame' => sub {
    my $space = $s->create;
    my $fat = tone(source => 'anoisesrc=d=12:r=48000', bitrate => '400k',
                   cbr => 1, channels => 2);
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $s->ingest($space, $fat);
        POSIX::_exit(0);
    }
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    my $workers = join ' ', $s->worker_pids;
    my @ws;
    # of many ages
    for my $n (1 .. 30) {
        push @ws, websocket("/spaces/$space->{id}/live");
        next if $n % 3 || @ws < 15;
        sleep 0.5;
        for my $ws (splice @ws, 0, 3) {
            syswrite $ws->{socket}, "\x89\x80abcd" x 500;
            sleep 0.1;
            close $ws->{socket};
        }
    }
    close $_->{socket} for @ws;
    waitpid $pid, 0;
    is(join(' ', $s->worker_pids), $workers, 'nobody else is');
    my @left;
    ok(until_ok(sub { !(@left = $toll->left('first')) }, 60),
       'nothing is left of them') or diag(join "\n", @left);
};

for my $what (qw(live live?from=-16 events)) {
    $toll->is_paid("$crowd times $what", sub {
        spurt("$dir/paths", live_on($what) . "\n");
        my ($before, $began) = ($toll->memory, time);
        my $listen = command('listen', $s->{port}, $crowd, 1500, "$dir/paths");
        my $status;
        ok(until_ok(sub {
            $status = ask($listen, 'status');
            $status->{hearing} == $crowd;
        }, 120), 'all hear') or diag(explain($status));
        my $each = ($toll->memory - $before) / $crowd;
        note(sprintf '%d joined and were served in %.1f s, %.1f KB each',
             $crowd, time - $began, $each);
        cmp_ok($each, '<', 24, "$each KB for each");
        # who leave all at once
        stop($listen);
    });
}

# begun, and left there: a server is told by nothing but time
subtest 'WebSockets that say nothing' => sub {
    my $path = live_on('live');
    my $upgrade = "HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
        . "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        . "Sec-WebSocket-Key: c3BhY2VzLWZvci1uZ2lueA==\r\n"
        . "Sec-WebSocket-Protocol: spaces.opus.v1\r\n";
    my @open = map {
        my $space = $s->create;
        my $ingest = "GET /spaces/$space->{id}/ingest $upgrade"
                   . "Authorization: Bearer $space->{token}\r\n";
        map {
            my $socket = $s->socket;
            print $socket $_;
            $socket;
        } "GET $path $upgrade", "GET $path $upgrade\r\n",
          "GET $path $upgrade\r\n\x82", $ingest, "$ingest\r\n",
          "$ingest\r\n\x82\xfe\x10\x00abcdbegun", "$ingest\r\n\x02\x81abcde";
    } 1 .. 10;
    $_->blocking(0) for @open;
    # half of them have ears
    my @deaf = splice @open, 0, @open / 2;
    ok(until_ok(sub {
        @open = grep {
            my $n;
            1 while $n = sysread $_, my $data, 65536;
            !defined $n && $!{EAGAIN};
        } @open;
        !@open;
    }, 120), 'those that read are closed') or diag(scalar @open);
    my @left;
    ok(until_ok(sub { !(@left = $toll->left('first')) }, 120),
       'and nothing is left of any') or diag(join "\n", @left);
};

$bystander->is_unharmed;
$s->stop;

done_testing;
