#!/usr/bin/perl

# Who may do what: all of t/access.table, asked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::JSON qw(encode_json true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build silence_of);

# no source is given up for being silent while this runs
my $s = Test::Spaces->new(workers => 2, body_timeout => '600s',
                          http => { spaces_reconnect => '600s',
                              spaces_moderator => '$cookie_moderator' })->start;

my @visibilities = qw(public unlisted ticketed);
my @callers = qw(nobody user host h-token speaker ticket share other garbage
                 moderat.);

# what Redis is told after a start, it is told before this begins
until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }) or die;

my $other = $s->create(user => 'eve');

# A Space in each state.  What may be used up was made before, and enough of
# it: a speaker for each time that one talks, speakers and links to remove.

my %states = (
    scheduled => sub { return space_of($_[0]) },
    live => sub { return live(space_of($_[0])) },
    ended => sub {
        my $space = live(space_of($_[0]));
        $s->end_space($space);
        close delete $space->{source};
        is($s->space($space->{id}, $space->{token})->{recording}, 'available',
           "a recorded one, $_[0]");
        return $space;
    },
    deleted => sub {
        my $space = space_of($_[0]);
        $s->end_space(live($space));
        close delete $space->{source};
        is($s->http('DELETE', "/spaces/$space->{id}",
                    $s->bearer($space->{token}))->code, 200,
           "a deleted one, $_[0]");
        return $space;
    },
    expired => sub {
        my $space = space_of($_[0]);
        $s->end_space(live($space));
        close delete $space->{source};
        my $key = "spaces:space:{$space->{id}}";
        ok(until_ok(sub { $s->redis('HGET', $key, 'state') eq 'ended' }),
           "one that has ended, $_[0]");
        $s->redis('HSET', $key, 'expires_at', int((time - 60) * 1000));
        $s->redis('ZADD', 'spaces:due:here', 1, $space->{id});
        ok(until_ok(sub { $s->redis('HGET', $key, 'recording') eq 'expired' }),
           "an expired one, $_[0]");
        return $space;
    },
);

# those that are over in one way or another
my @over = qw(ended deleted expired);

sub space_of {
    my ($visibility) = @_;
    my $space = $s->create(record => true, visibility => $visibility);
    $space->{speakers} = [map { $s->invite($space, "speaker $_") } 1 .. 20];
    $space->{removed} = [splice @{ $space->{speakers} }, 0, 3];
    my $post = sub {
        return $s->http('POST', "/spaces/$space->{id}/$_[0]",
                        $s->bearer($space->{token}), json => {})->json;
    };
    $space->{share} = $post->('shares');
    $space->{revoked} = [map { $post->('shares') } 1 .. 3];
    $space->{ticket} = $post->('tickets')->{tickets}[0]
        if $visibility eq 'ticketed';
    return $space;
}

sub live {
    my ($space) = @_;
    $space->{source} = $s->begin_ingest($space);
    Test::Spaces::chunk($space->{source}, build(packets => [silence_of(10)],
                                                no_eos => 1));
    until_ok(sub {
        $s->http('HEAD', "/spaces/$space->{id}/live",
                 $s->bearer($space->{token}))->code == 200;
    }) or die 'not live';
    return $space;
}

# What is sent: method, path behind the Space, and what else there is: a body
# as JSON, other headers, a WebSocket's subprotocol.  "link": the path is that
# of a link.  What is used up is, if the caller may.

my $may_host = qr/^(?:host|h-token)$/;

sub target {
    my ($list, $caller) = @_;
    push @$list, shift @$list;
    return $caller =~ $may_host ? (pop @$list)->{id} : $list->[0]{id};
}

my @soon = gmtime(time + 3600);
my $soon = sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $soon[5] + 1900,
    $soon[4] + 1, @soon[3, 2, 1, 0];

my %routes = (
    'space' => sub { ['GET', ''] },
    'space HEAD' => sub { ['HEAD', ''] },
    'change' => sub { ['PATCH', '', json => { title => 'New' }] },
    'delete' => sub { ['DELETE', ''] },
    'review list' => sub { ['GET', '/review', all => 1] },
    'review' => sub { ['GET', '/review'] },
    'review HEAD' => sub { ['HEAD', '/review'] },
    'extend' => sub { ['PATCH', '/review', json => { hold_until => $soon }] },
    'purge' => sub { ['DELETE', '/review'] },
    'review audio' => sub { ['GET', '/review/audio'] },
    'review audio HEAD' => sub { ['HEAD', '/review/audio'] },
    'review audio Range' => sub { ['GET', '/review/audio',
                                   range => 'bytes=0-9'] },
    'end' => sub { ['POST', '/end', json => {}] },
    'invite' => sub { ['POST', '/speakers', json => { name => 'x' }] },
    'mute' => sub { ['PATCH', "/speakers/$_[0]{removed}[0]{id}",
                     json => { muted => Mojo::JSON::false }] },
    'remove' => sub { ['DELETE', '/speakers/'
                       . target($_[0]{removed}, $_[1])] },
    'tickets' => sub { ['POST', '/tickets', json => {}] },
    'shares list' => sub { ['GET', '/shares'] },
    'shares create' => sub { ['POST', '/shares', json => {}] },
    'shares revoke' => sub { ['DELETE', '/shares/'
                              . target($_[0]{revoked}, $_[1])] },
    'ingest' => sub { ['PUT', '/ingest', body => "no audio\n"] },
    'ingest WebSocket' => sub { ['GET', '/ingest', ws => 'spaces.opus.v1'] },
    'events' => sub { ['GET', '/events'] },
    'events HEAD' => sub { ['HEAD', '/events'] },
    'live' => sub { ['GET', '/live'] },
    'live HEAD' => sub { ['HEAD', '/live'] },
    'live WebSocket' => sub { ['GET', '/live', ws => 'spaces.ogg.v1'] },
    'replay' => sub { ['GET', '/replay'] },
    'replay HEAD' => sub { ['HEAD', '/replay'] },
    'replay Range' => sub { ['GET', '/replay', range => 'bytes=0-9'] },
    'link' => sub { ['GET', '', link => 1] },
    'link HEAD' => sub { ['HEAD', '', link => 1] },
    'link audio' => sub { ['GET', '/audio', link => 1] },
    'link audio HEAD' => sub { ['HEAD', '/audio', link => 1] },
    'link audio Range' => sub { ['GET', '/audio', link => 1,
                                 range => 'bytes=0-1'] },
);

# what is used up by a success wants a Space of its own
my %fresh = ('end live' => 1, 'purge deleted' => 1, 'purge expired' => 1,
             map { ("delete $_" => 1) } keys %states);

sub token_of {
    my ($caller, $space) = @_;
    return $space->{token} if $caller eq 'h-token';
    return $space->{$caller}{token} if $caller =~ /^(?:ticket|share)$/;
    return $other->{token} if $caller eq 'other';
    return 'g' x 32 if $caller eq 'garbage';
    return undef if $caller ne 'speaker';
    push @{ $space->{speakers} }, shift @{ $space->{speakers} };
    return $space->{speakers}[0]{token};
}

sub ask {
    my ($route, $space, $caller) = @_;
    my ($method, $path, %o) = @{ $routes{$route}->($space, $caller) };
    my $token = token_of($caller, $space);

    $path = $o{link} ? "/s/$token$path"
          : $o{all} ? "/spaces$path" : "/spaces/$space->{id}$path";

    my %headers = (Host => 'localhost', Connection => 'close');
    $headers{Cookie} = 'spaces_user=ana' if $caller eq 'host';
    $headers{Cookie} = 'spaces_user=bob' if $caller eq 'user';
    $headers{Cookie} = 'spaces_user=mo; moderator=1' if $caller eq 'moderat.';
    $headers{Authorization} = "Bearer $token" if $token && !$o{link};
    $headers{Range} = $o{range} if $o{range};

    my $body = $o{body} // '';
    if ($o{json}) {
        $body = encode_json($o{json});
        $headers{'Content-Type'} = 'application/json';
    }
    $headers{'Content-Length'} = length $body if $body ne '';
    if ($o{ws}) {
        %headers = (%headers, Connection => 'Upgrade', Upgrade => 'websocket',
                    'Sec-WebSocket-Version' => 13,
                    'Sec-WebSocket-Key' => 'c3BhY2VzLWZvci1uZ2lueA==',
                    'Sec-WebSocket-Protocol' => $o{ws});
    }

    my $socket = $s->socket;
    print $socket "$method $path HTTP/1.1\r\n",
        (map { "$_: $headers{$_}\r\n" } sort keys %headers), "\r\n", $body;
    my $line = <$socket> // '';
    return $line =~ /^HTTP\/1\.1 (\d+)/ ? $1 : "no answer";
}

# the table

my (@rows, @routes);
for (split /\n/, slurp("$FindBin::Bin/access.table")) {
    next if /^\s*(?:#|$)/;
    if (/^(\w.*):$/) {
        @routes = split /, /, $1;
        next;
    }
    my ($state, $visibility, @codes) = split;
    for my $route (@routes) {
        push @rows, map { [$route, $_, $visibility, @codes] }
            $state eq '*' ? sort keys %states
          : $state eq 'over' ? @over
          : $state eq 'gone' ? qw(deleted expired) : $state;
    }
}

my %left = map { ($_ => 1) } map {
    my $route = $_;
    map { my $state = $_; map { "$route, $state, $_" } @visibilities }
        keys %states;
} keys %routes;
for (@rows) {
    my $name = join ', ', @$_[0 .. 2];
    ok(delete $left{$name}, "$name: not twice, and known") or $_ = undef;
    is(scalar @$_, 3 + @callers, "$name: each caller") if $_;
}
is_deeply([sort keys %left], [], 'all of it is in the table');

my %space;
for my $state (sort keys %states) {
    $space{"$state $_"} = $states{$state}->($_) for @visibilities;
}

for (grep { $_ } @rows) {
    my ($route, $state, $visibility, @expected) = @$_;
    my @got = map {
        my $caller = $callers[$_];
        my $space = $space{"$state $visibility"};
        $space = $states{$state}->($visibility)
            if $fresh{"$route $state"} && $expected[$_] =~ /^20/;
        $expected[$_] eq '-' ? '-' : ask($route, $space, $caller);
    } 0 .. $#callers;

    my @wrong = grep { $got[$_] ne $expected[$_] } 0 .. $#callers;
    is(join(', ', map { "$callers[$_] $got[$_]" } @wrong),
       join(', ', map { "$callers[$_] $expected[$_]" } @wrong),
       "$route, $state, $visibility");
}

# what does not exist is told from what is unlisted by nothing

for my $route (sort keys %routes) {
    next if $route =~ /^link/;
    my $none = { %{ $space{'live unlisted'} }, id => 'a' x 20 };
    for my $caller (qw(nobody user other garbage)) {
        is(ask($route, $none, $caller),
           ask($route, $space{'live unlisted'}, $caller),
           "$route: $caller can't tell");
    }
}

$s->stop;

done_testing;
