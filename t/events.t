#!/usr/bin/perl

# What happens in a Space, told as it happens: as Server-Sent Events, and as
# JSON over WebSocket.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Mojo::JSON qw(false true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(steady voice);
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(packets);

my $s = Test::Spaces->new(workers => 4)->start;
my $loop = Test::Spaces::Loop->new($s);

# the last event of a name
sub last_of {
    my ($end, $name) = @_;
    return ($end->events($name))[-1] // {};
}

# a speaker, as the last event tells of them
sub speaker {
    my ($end, $id) = @_;
    my ($is) = grep { $_->{id} eq $id } @{ last_of($end, 'speakers')->{speakers}
                                           // [] };
    return $is;
}

# an event without what differs by its way
sub told {
    my ($event) = @_;
    my %told = %$event;
    delete $told{at};
    return \%told;
}

subtest 'who may know' => sub {
    my $scheduled = $s->create;
    my $unlisted = $s->create(visibility => 'unlisted');
    my $ticketed = $s->create(visibility => 'ticketed');
    for (
        [$unlisted, undef, 404],
        [$ticketed, undef, 403],
        [{ id => 'a' x 20 }, undef, 404],
        [$scheduled, undef, 200],
        [$unlisted, $unlisted->{token}, 200],
        [$ticketed, $ticketed->{token}, 200],
    ) {
        my ($space, $token, $status) = @$_;
        my $l = $loop->listen($space, how => 'events', token => $token);
        $loop->until(sub { $l->{status} });
        is($l->{status}, $status,
           ($space->{visibility} // 'none') . ", $status");
        if ($status == 200) {
            like($l->{headers}{'content-type'}, qr/^text\/event-stream\b/,
                 'its type');
            like($l->{headers}{'cache-control'}, qr/no-(?:cache|store)/,
                 'it is not kept');
            ok($loop->until(sub { $l->events('hello') }), 'hello');
        }
        $loop->leave($l);
    }
};

subtest 'a Space, from before it is live until it ends' => sub {
    my $space = $s->create(record => true, title => 'Told');
    my @sse = map { $loop->listen($space, how => 'events') } 1 .. 5;
    my ($first) = @sse;
    ok($loop->until(sub { !grep { !$_->events('hello') } @sse }), 'hello');
    my $hello = $first->{events}[0];
    is_deeply([@$hello{qw(event role recording)},
               @{ $hello->{space} }{qw(id title state)}],
              ['hello', 'listener', true, $space->{id}, 'Told', 'scheduled'],
              'the first says what it is');
    ok(!exists $hello->{space}{token}, 'but no token');

    my $as_host = $loop->listen($space, how => 'events',
                                token => $space->{token});
    ok($loop->until(sub { $as_host->events('hello') }), 'hello, host');
    is($as_host->{events}[0]{role}, 'host', 'the role is the host');
    push @sse, $as_host;

    # the host begins
    my $ana = $loop->speak($space, [steady(590)], repeat => 1);
    ok($loop->until(sub { last_of($first, 'state')->{state} }), 'a state');
    my $state = last_of($first, 'state');
    is_deeply([$state->{state}, @{ $state->{space} }{qw(id state recording)}],
              ['live', $space->{id}, 'live', 'recording'], 'live');
    ok($loop->until(sub { $first->events('recording') }), 'recording');
    is(last_of($first, 'recording')->{recording}, true, 'is on');
    ok($loop->until(sub { (speaker($first, 'host') // {})->{speaking} }),
       'the host speaks');
    is_deeply(speaker($first, 'host'),
              { id => 'host', name => 'ana', role => 'host', muted => false,
                speaking => true }, 'as the event says');

    # over WebSocket the same is told
    my $ws = $loop->listen($space, how => 'opus');
    ok($loop->until(sub { $ws->events('hello') }), 'hello, WebSocket');
    is($ws->{events}[0]{event}, 'hello', 'as the first');
    is($ws->{events}[0]{space}{state}, 'live', 'with the Space as it is');

    # a second one joins, is silent, speaks, is muted, leaves
    my $bea = $s->invite($space, 'Bea');
    my $her = $loop->speak($space, [voice(890, on => 3, off => 3,
                                          seconds => 6)],
                           token => $bea->{token}, how => 'opus',
                           repeat => 1);
    my @all = (@sse, $ws);
    my $all_told = sub {
        my ($name, $condition) = @_;
        ok($loop->until(sub {
            !grep { !$condition->(speaker($_, $bea->{id})) } @all;
        }), "all are told: $name");
    };
    $all_told->('she joined', sub { $_[0] });
    $all_told->('she speaks', sub { $_[0] && $_[0]{speaking} });
    $all_told->('she is silent', sub { $_[0] && !$_[0]{speaking} });
    $all_told->('she speaks again', sub { $_[0] && $_[0]{speaking} });

    my $patch = sub {
        return $loop->http('PATCH', "/spaces/$space->{id}/speakers/$bea->{id}",
                           $s->bearer($space->{token}),
                           { muted => $_[0] })->code;
    };
    is($patch->(true), 200, 'muted');
    $all_told->('she is muted', sub { $_[0] && $_[0]{muted} });
    is_deeply(speaker($first, $bea->{id}),
              { id => $bea->{id}, name => 'Bea', role => 'speaker',
                muted => true, speaking => false }, 'as the event says');
    is($patch->(false), 200, 'unmuted');
    $all_told->('she is not', sub { $_[0] && !$_[0]{muted} });
    $loop->leave($her);
    $all_told->('she left', sub { !$_[0] });

    # the end
    is($loop->http('POST', "/spaces/$space->{id}/end",
                   $s->bearer($space->{token}))->code, 200, 'ended');
    ok($loop->until(sub { !grep { !$_->{gone} && !$_->{complete} } @all }),
       'every stream ends');
    for my $l (@all) {
        my $state = last_of($l, 'state');
        is_deeply([$state->{state}, @{ $state->{space} // {} }{qw(state)}],
                  ['ended', 'ended'], "$l->{how}: ended");
    }
    ok($first->{complete}, 'SSE: with a clean end');
    is($ws->{ws}{code}, 1000, 'WebSocket: with 1000');
    is_deeply(told(last_of($ws, 'state')), told(last_of($first, 'state')),
              'both say the same');
    is(scalar(grep { $_->{wrong} } map { @{ $_->{events} } } @all), 0,
       'all of it is JSON');
};

subtest 'listeners are counted once each' => sub {
    my $space = $s->create;
    my $ana = $loop->speak($space, [steady(590)], repeat => 1);
    ok($loop->until(sub { $s->space($space->{id})->{state} eq 'live' }),
       'live');
    my @sse = map { $loop->listen($space, how => 'events') } 1 .. 4;
    my $counted = sub {
        my ($n, $name) = @_;
        ok($loop->until(sub {
            !grep { (last_of($_, 'listeners')->{listeners} // -1) != $n } @sse;
        }), "$name: $n") or diag(join ' ', map {
            last_of($_, 'listeners')->{listeners} // '-' } @sse);
    };

    my @l = map { $loop->listen($space, how => $_) } (('http') x 8, 'opus',
                                                      'ogg');
    $counted->(10, 'over all workers');
    ok($loop->until(sub {
        $loop->http('GET', "/spaces/$space->{id}", {})->json->{listeners} == 10;
    }), 'the Space says the same');

    # who only looks whether something is there is no listener
    my @most = map { scalar @{ $_->{events} } } @sse;
    for (1 .. 8) {
        my $l = $loop->listen($space);
        $loop->leave($l);
    }
    is($loop->http('HEAD', "/spaces/$space->{id}/live", {})->code, 200, 'HEAD')
        for 1 .. 4;
    $loop->run(2.5);
    is(scalar(grep { $_->{listeners} > 10 }
              map { $_->events('listeners') } @sse), 0,
       'probes are not counted');

    $loop->leave(splice @l, 0, 6);
    $counted->(4, 'some leave');
    $loop->leave(@l);
    $counted->(0, 'all leave');
    $loop->http('POST', "/spaces/$space->{id}/end",
                $s->bearer($space->{token}));
};

subtest 'not recorded' => sub {
    my $space = $s->create;
    my $ana = $loop->speak($space, [steady(590)], how => 'opus', repeat => 1);
    my $l = $loop->listen($space, how => 'events');
    ok($loop->until(sub {
        $l->events('hello') && $ana->events('hello');
    }), 'hello');
    is($_->{events}[0]{recording}, false, "$_->{how}: recording is off")
        for $l, $ana;
    is($ana->{events}[0]{role}, 'host', 'the host is told the role');
};

undef $loop;
$s->stop;

subtest 'who comes from the past knows what the others were told' => sub {
    my $s = Test::Spaces->new(workers => 1, small => 1)->start;
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my @fat = packets(tone(source => 'anoisesrc=d=8:r=48000', cbr => 1,
                           bitrate => '400k', channels => 2));
    my $host = $loop->speak($space, \@fat, repeat => 1, how => 'opus');
    $loop->run(8);

    # one that takes its time, with little room for what waits
    my $late = $loop->listen($space, how => 'opus', query => 'from=start',
                             connection => $s->small_socket(4096));
    ok($loop->until(sub { $late->events('hello') }), 'it begins');
    $late->{reads} = 0;
    $loop->run(1);
    my $guest = $loop->speak($space, [steady(3)], how => 'opus',
                             token => $s->invite($space, 'Bea')->{token});
    $loop->run(2);
    ok(!grep({ grep { $_->{name} eq 'Bea' } @{ $_->{speakers} } }
             $late->events('speakers')), 'somebody came meanwhile');
    $late->{reads} = 1;
    ok($loop->until(sub {
        grep { grep { $_->{name} eq 'Bea' } @{ $_->{speakers} } }
            $late->events('speakers');
    }), 'it is told of them');
    is_deeply([map { $_->{recording} } $late->events('recording')], [true],
              'that it is recorded');
    ok(scalar(grep { $_->{listeners} == 1 } $late->events('listeners')),
       'and of itself');
    undef $loop;
    $s->stop;
};

done_testing;
