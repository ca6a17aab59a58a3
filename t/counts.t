#!/usr/bin/perl

# What a Space counts: replays, as people understand them, and the most that
# listened at a time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build silence_of);

my $s = Test::Spaces->new(workers => 2)->start;

# a player: its program, and the address it comes from
sub play {
    my ($path, $player, %headers) = @_;
    my $method = delete $headers{method} // 'GET';
    my $socket = IO::Socket::INET->new(
        PeerAddr => "127.0.0.1:$s->{port}", Timeout => 10,
        LocalAddr => $player->{address} // '127.0.0.1') or die "connect: $!";
    $headers{'User-Agent'} = $player->{program} if $player->{program};
    print $socket "$method $path HTTP/1.1\r\nHost: h\r\nConnection: close\r\n",
        (map { "$_: $headers{$_}\r\n" } sort keys %headers), "\r\n";
    my $answer = Test::Spaces::read_all($socket);
    my ($code) = $answer =~ /^HTTP\/1.1 (\d+)/;
    $s->{served}{ header_of($answer, 'X-Worker') // '' }++;
    return $code;
}

sub recorded {
    my $space = $s->create(record => true, @_);
    is($s->ingest($space, build(packets => [silence_of(25)]))->code, 200,
       'recorded');
    return $space;
}

# what is counted is told to Redis behind the answer: what has come by the time
# that a later one has come is all there is
my $probe = recorded();
my $probed = 0;

sub replays {
    my ($space) = @_;
    for (1 .. 4) {
        play("/spaces/$probe->{id}/replay", { program => 'probe ' . ++$probed });
    }
    until_ok(sub { $s->space($probe->{id})->{replays} == $probed })
        or die 'not counted';
    return $s->space($space->{id}, $space->{token})->{replays};
}

my $space = recorded();
my $path = "/spaces/$space->{id}/replay";
my $size = -s "$s->{dir}/spaces/recordings/" . substr($space->{id}, 0, 2)
              . "/$space->{id}.opus";
my $fox = { program => 'Firefox' };

is($s->space($space->{id})->{replays}, 0, 'none at first');

# what is no replay

is(play($path, $fox, method => 'HEAD'), 200, 'HEAD');
is(play($path, $fox, Range => 'bytes=0-1'), 206, 'the probe of Safari');
is(play($path, $fox, Range => 'bytes=0-0'), 206, 'one byte');
is(play($path, $fox, Range => "bytes=$size-"), 416, 'a range outside');
is(play($path, $fox, 'If-None-Match' =>
        $s->http('HEAD', $path)->headers->etag), 304, 'not modified');
is(play($path, $fox, 'If-Match' => '"x"'), 412, 'another than it is');
is(replays($space), 0, 'none of these is a replay');

# a playing: from the start, in parts, back and forth, on both workers

$s->{served} = {};
is(play($path, $fox, Range => 'bytes=0-'), 206, 'as a browser begins');
for my $n (1 .. 20) {
    my $from = $n * 10 % ($size - 60);
    play($path, $fox, Range => "bytes=$from-" . ($from + 50));
}
is(play($path, $fox), 200, 'again from the start');
is(play("$path?download=1", $fox), 200, 'and saved');
is(scalar keys %{ $s->{served} }, 2, 'by two workers');
is(replays($space), 1, 'is one replay');

# others

play($path, { program => 'Chrome' }, Range => 'bytes=0-') for 1 .. 5;
is(replays($space), 2, 'another program: two');
play($path, { %$fox, address => '127.0.0.2' }, Range => 'bytes=0-') for 1 .. 5;
is(replays($space), 3, 'another address: three');
play($path, {}) for 1 .. 5;
is(replays($space), 4, 'no program at all: four');
play("$path?download=1", { program => 'curl' }) for 1 .. 3;
is(replays($space), 5, 'a download: once');
my $other = recorded();
play("/spaces/$other->{id}/replay", $fox);
is(replays($other), 1, 'another recording has its own');
is(replays($space), 5, 'and takes none');

# a guessed token does not make one listener many
play("$path?token=" . $_ x 32, $fox) for 'a' .. 'f';
is(replays($space), 5, 'tokens that are none');

# by link: it is many people's

my $share = $s->http('POST', "/spaces/$space->{id}/shares", $s->as('ana'),
                     json => {})->json;
for my $n (1 .. 3) {
    play("/s/$share->{token}/audio", { program => "friend $n" },
         Range => "bytes=$_-") for 0, 100, 50;
}
is(replays($space), 8, 'three friends with one link');
play("/s/$share->{token}", { program => 'friend 4' });
play("/s/$share->{token}/audio", { program => 'friend 4' }, method => 'HEAD');
is(replays($space), 8, 'the page is not a replay');

# by ticket: it is one person's

my $ticketed = recorded(visibility => 'ticketed');
my $tickets = $s->http('POST', "/spaces/$ticketed->{id}/tickets",
                       $s->bearer($ticketed->{token}), json => { count => 2 })
                ->json->{tickets};
for my $ticket (@$tickets) {
    play("/spaces/$ticketed->{id}/replay?token=$ticket->{token}",
         { address => "127.0.0.$_" }, Range => 'bytes=0-') for 1 .. 3;
}
play("/spaces/$ticketed->{id}/replay", $fox);
is(replays($ticketed), 2, 'two tickets, wherever they are');

# no save sets it back

my $listed = sub {
    my ($found) = grep { $_->{id} eq $space->{id} }
        @{ $s->http('GET', '/spaces?limit=100')->json->{spaces} };
    return $found->{replays};
};
is($listed->(), 8, 'the timeline has it');
my $res = $s->http('PATCH', "/spaces/$space->{id}",
                   $s->bearer($space->{token}), json => { title => 'New' });
is($res->json->{replays}, 8, 'a change has it');
is($s->space($space->{id})->{replays}, 8, 'and leaves it');
is($s->end_space($space)->json->{replays}, 8, 'an end as well');

my $told = sub { return $s->redis('GET', 'spaces:node:here') // '' };
my $before = $told->();
$s->signal('HUP');
ok(until_ok(sub { $s->error_log =~ /gracefully shutting down/ }), 'reloaded');
play($path, $fox, Range => 'bytes=100-');
is(replays($space), 8, 'a reload forgets no playing');

# a Space that is gone does not come back as a number; but a new worker tells
# Redis of all that is on the disk, which has to be over

ok(until_ok(sub { $told->() ne $before }), 'Redis was told of all');
my $gone = recorded();
play("/spaces/$gone->{id}/replay", {}, method => 'HEAD') for 1 .. 10;
$s->redis('DEL', "spaces:space:{$gone->{id}}");
play("/spaces/$gone->{id}/replay", $fox) for 1 .. 10;
replays($space);
is($s->redis('EXISTS', "spaces:space:{$gone->{id}}"), 0, 'gone stays gone');

# listeners: the most at a time, over all workers

subtest 'listeners' => sub {
    my $space = $s->create(record => true);
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, build(packets => [silence_of(50)], no_eos => 1));
    ok(until_ok(sub {
        $s->http('HEAD', "/spaces/$space->{id}/live")->code == 200;
    }), 'live');

    my $listen = sub {
        my $socket = $s->socket;
        print $socket "GET /spaces/$space->{id}/live HTTP/1.1\r\n",
                      "Host: h\r\n\r\n";
        return $socket;
    };
    my $are = sub {
        my ($n, $name) = @_;
        ok(until_ok(sub { $s->space($space->{id})->{listeners} == $n }),
           "$name: $n") or diag($s->space($space->{id})->{listeners});
    };

    my @sockets = map { $listen->() } 1 .. 6;
    my %workers;
    for my $socket (@sockets) {
        my $head = '';
        until_ok(sub { sysread $socket, $head, 100, length $head;
                       $head =~ /\r\n\r\n/ });
        $workers{ header_of($head, 'X-Worker') }++;
    }
    $are->(6, 'some come');
    splice @sockets, 0, 4;
    $are->(2, 'some leave');
    push @sockets, map { $listen->() } 1 .. 2;
    $are->(4, 'others come');
    diag('by one worker only') if keys %workers < 2;

    my $ended = $s->end_space($space)->json;
    is($ended->{listeners}, 6, 'the most at a time, when it has ended');
    ok(until_ok(sub {
        ($s->redis('HGET', "spaces:space:{$space->{id}}", 'listeners') // '')
            eq '6';
    }), 'in Redis too');
    is($s->space($space->{id})->{listeners}, 6, 'and it stays');

    my $alone = recorded();
    is($s->space($alone->{id})->{listeners}, 0, 'nobody listened');
};

$s->stop;

done_testing;
