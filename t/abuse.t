#!/usr/bin/perl

# Requests that nobody sends in good faith: they get an answer, what they took
# is given back, and who listens meanwhile hears every packet.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Bystander;
use Test::Spaces::Ogg qw(build crc page pages silence_of);
use Test::Spaces::Toll;
use Time::HiRes qw(sleep time);

my $s = Test::Spaces->new(
    # nginx alone answers a request whose header never ends
    own_answers => qr/: 408$/,
    workers => 2, connections => 4000, body_timeout => '2s',
    redis_timeout => '10s',
    http => { spaces_moderator => '$cookie_moderator' },
    http_more => 'client_header_timeout 2s; client_body_timeout 2s;
                  keepalive_timeout 2s; lingering_timeout 1s;',
    server_more => 'location = /metrics { spaces_metrics; }',
)->start;
my $bystander = Test::Spaces::Bystander->new($s);

# all that the attacks are about is there from the start, and stays
my $space = $s->create(record => true);
is($s->ingest($space, build(packets => [silence_of(100)]))->code, 200,
   'something is recorded');
my $waiting = $s->create;
my $share = $s->http('POST', "/spaces/$space->{id}/shares",
                     $s->bearer($space->{token}), json => {})->json;
my $speaker = $s->invite($waiting, 'Bea');
my $live = "/spaces/$bystander->{space}{id}";
my $here = "/spaces/$space->{id}";
my $mine = "/spaces/$waiting->{id}";

my $toll = Test::Spaces::Toll->new($s);

# every route: its method, path, and a body where it takes one
my @routes = (
    ['POST', '/spaces', 1], ['GET', '/spaces'], ['GET', $here],
    ['PATCH', $mine, 1], ['POST', "$mine/end", 1], ['GET', "$here/shares"],
    ['POST', "$here/shares", 1], ['POST', "$mine/speakers", 1],
    ['PATCH', "$mine/speakers/$speaker->{id}", 1],
    ['POST', "$mine/tickets", 1], ['PUT', "$mine/ingest", 1],
    ['POST', "$mine/ingest", 1], ['SOURCE', "$mine/ingest", 1],
    ['GET', "$live/live"], ['GET', "$live/events"], ['GET', "$here/replay"],
    ['GET', "$here/replay?start=0.5&end=1"], ['GET', "$here/replay/waveform"],
    ['GET', "/s/$share->{token}"], ['GET', "/s/$share->{token}/audio"],
    ['GET', "/oembed?url=http%3A%2F%2Fh%2Fs%2F$share->{token}"],
    ['GET', '/spaces/review'], ['GET', '/metrics'],
);

my $bearer = "Authorization: Bearer $waiting->{token}\r\n"
           . "Content-Type: application/json\r\n";

sub begun {
    my ($text) = @_;
    my $socket = $s->socket;
    local $SIG{PIPE} = 'IGNORE';
    print $socket $text;
    $socket->flush;
    $socket->blocking(0);
    return $socket;
}

# whether the other side has closed each of them, which it has 60 s for
sub are_closed {
    my ($name, @sockets) = @_;
    my @open = @sockets;
    ok(until_ok(sub {
        @open = grep {
            my $n;
            1 while $n = sysread $_, my $data, 65536;
            !defined $n && $!{EAGAIN};
        } @open;
        !@open;
    }, 60), "$name: all are closed") or diag(scalar @open . ' are not');
}

$toll->is_paid('a header that never ends', sub {
    are_closed('headers', map {
        my ($method, $path) = @$_;
        map { begun($_) } $method, "$method $path HTTP/1.1\r\nHost: h",
                          "$method $path HTTP/1.1\r\nHost: h\r\n$bearer"
    } @routes);
});

$toll->is_paid('a body that never comes, or stops', sub {
    my @sockets = map {
        my ($method, $path) = @$_;
        my $head = "$method $path HTTP/1.1\r\nHost: h\r\n$bearer";
        map { begun($head . $_) } "Content-Length: 1000\r\n\r\n",
            "Content-Length: 1000\r\n\r\n{\"title\":",
            "Transfer-Encoding: chunked\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"title",
    } grep { $_->[2] } @routes;
    are_closed('bodies', @sockets);
});

# it comes, a byte at a time: never so late that it were late
$toll->is_paid('a body in drops', sub {
    my $before = $toll->memory;
    my @dripping = map {
        my ($method, $path) = @$_;
        map { begun("$method $path HTTP/1.1\r\nHost: h\r\n${bearer}"
                    . "Content-Length: 60000\r\n\r\n") } 1 .. 20;
    } grep { $_->[2] } @routes;
    for (1 .. 40) {
        local $SIG{PIPE} = 'IGNORE';
        syswrite $_, ' ' for @dripping;
        sleep 0.1;
    }
    my $took = $toll->memory - $before;
    my $n = @dripping;
    cmp_ok($took, '<', 96 * $n, "$took KB for $n");
    close $_ for @dripping;
});

# Range

my $size = $s->space($space->{id})->{bytes};

my %ranges = (
    'hundreds' => join(',', map { "$_-$_" } map { 2 * $_ } 0 .. 699),
    'hundreds that overlap' => join(',', ('0-') x 700),
    'hundreds from the end' => join(',', map { "-$_" } 1 .. 700),
    'backwards' => join(',', map { "$_-" } reverse 1 .. 700),
    'commas' => ',' x 3000,
    'dashes' => '-' x 3000,
    'too large' => '0-' . '9' x 3000,
    'the largest' => join(',', map { ("$_-", "-$_", "0-$_", "$_-$_") }
                          2 ** 31, 2 ** 32, '9223372036854775807',
                          '9223372036854775808', '18446744073709551615',
                          '18446744073709551616'),
    'none' => '',
);

$toll->is_paid('Range', sub {
    for my $path ("$here/replay", "$here/replay?start=0.5&end=1.5",
                  "/s/$share->{token}/audio")
    {
        for my $name (sort keys %ranges) {
            my $res = $s->http('GET', $path,
                               { Range => "bytes=$ranges{$name}" });
            like($res->code, qr/^(?:200|206|416)$/, "$path: $name");
            # a part, and what is around it
            my $n = () = $ranges{$name} =~ /,/g;
            cmp_ok(length $res->body, '<=', $size + 200 * ($n + 2),
                   "$path: $name: no more than there is");
        }
    }
});

# tokens that are guessed

sub guess {
    my ($method, $path, $how, $token) = @_;
    my $res = $s->http($method, $how eq 'argument' ? "$path?token=$token"
                                                   : $path,
        $how eq 'Bearer' ? { Authorization => "Bearer $token" } : {});
    my $h = $res->headers;
    return join "\n", $res->code, (map { "$_: " . ($h->header($_) // '') }
        qw(Content-Type WWW-Authenticate Content-Length Cache-Control)),
        $res->body;
}

my $unlisted = $s->create(visibility => 'unlisted');
my $token = $unlisted->{token};
my @malformed = ('x', 'x' x 31, 'x' x 3000, '%ff%fe', '%00', '"', "'--", '*',
                 '{}', $token . 'x', substr($token, 1), uc $token, lc $token,
                 scalar reverse $token);

sub reads {
    return $s->redis('INFO', 'commandstats') =~ /hgetall:calls=(\d+)/ ? $1 : 0;
}

$toll->is_paid('tokens that are guessed', sub {
    # of a Space that is there, and of none
    for my $route (['GET', "/spaces/$unlisted->{id}"],
                   ['GET', "/spaces/$unlisted->{id}/live"],
                   ['GET', "/spaces/$unlisted->{id}/events"],
                   ['GET', "/spaces/$unlisted->{id}/replay"],
                   ['POST', "/spaces/$unlisted->{id}/end"])
    {
        my ($method, $path) = @$route;
        my $none = $path =~ s/$unlisted->{id}/'a' x 20/er;
        for my $how (qw(Bearer argument)) {
            my $said = guess($method, $path, $how, 'y' x 32);
            is(guess($method, $none, $how, 'y' x 32), $said,
               "$path, $how: as if it were not there");
            my @other = grep { guess($method, $path, $how, $_) ne $said }
                        @malformed;
            is("@other", '', "$path, $how: all of them the same");
        }
    }
    for my $link ("", '/audio', '/embed') {
        my $said = guess('GET', '/s/' . 'y' x 32 . $link, '', '');
        my @other = grep { guess('GET', "/s/$_$link", '', '') ne $said }
                    grep { !/%00/ } @malformed;
        is("@other", '', "a link$link: all of them the same");
    }

    # and none is known sooner than another to be wrong
    my %reads;
    for my $guess ('y' x 32, @malformed) {
        my $before = reads();
        guess('GET', '/spaces/' . 'a' x 20, 'Bearer', $guess) for 1 .. 3;
        $reads{$guess} = reads() - $before;
    }
    my @other = grep { $reads{$_} != $reads{'y' x 32} } keys %reads;
    is("@other", '', 'for all of them Redis is asked as often');

    # many; none is kept
    my $keys = $s->redis('DBSIZE');
    my $answers = 0;
    for my $lot (1 .. 20) {
        my $socket = begun(join '', map {
            "GET /spaces/$unlisted->{id} HTTP/1.1\r\nHost: h\r\n"
            . "Authorization: Bearer " . sprintf('%032d', rand 1e9)
            . ($_ == 200 ? "\r\nConnection: close" : '') . "\r\n\r\n"
        } 1 .. 200);
        my $got = Test::Spaces::read_all($socket, 60);
        $answers += () = $got =~ /HTTP\/1\.1 404/g;
    }
    is($answers, 4000, 'thousands are told the same');
    is($s->redis('DBSIZE'), $keys, 'nor are they kept in Redis');
});

# JSON

my %json = (
    'lists in lists' => '[' x 60_000,
    'lists in lists that end' => '[' x 30_000 . ']' x 30_000,
    'objects in objects' => '{"a":' x 10_000 . '1' . '}' x 10_000,
    'lists in a field' => '{"title":' . '[' x 30_000 . ']' x 30_000 . '}',
    'a long text' => '{"title":"' . 'x' x 65_000 . '"}',
    'a long name' => '{"' . 'x' x 65_000 . '":1}',
    'many names' => '{' . join(',', map { "\"a$_\":1" } 1 .. 5000) . '}',
    'a name twice' => '{"title":"a","title":"b"}',
    'a large number' => '{"title":"a","capacity":' . '9' x 60_000 . '}',
    'a large exponent' => '{"title":"a","capacity":1e99999}',
    'a long fraction' => '{"title":"a","capacity":0.' . '3' x 60_000 . '}',
    'nothing' => "\0" x 60_000,
    'a zero' => '{"title":"\u0000"}',
    'half a character' => '{"title":"\ud83d"}',
    'no character' => "{\"title\":\"\xff\xfe\"}",
    'backslashes' => '{"title":"' . '\\' x 65_001 . '"}',
    'white space' => ' ' x 65_000,
);

$toll->is_paid('JSON', sub {
    my %headers = (%{ $s->as('ana') }, 'Content-Type' => 'application/json');
    for my $name (sort keys %json) {
        for (['POST', '/spaces'], ['PATCH', $mine], ['POST', "$here/shares"]) {
            my $res = $s->http(@$_, \%headers, $json{$name});
            is($res->code, 400, "@$_: $name") or diag(substr $res->body, 0, 300);
        }
    }
    for my $chunked (0, 1) {
        my $socket = begun(join '', "POST /spaces HTTP/1.1\r\nHost: h\r\n",
                           (map { "$_: $headers{$_}\r\n" } keys %headers),
                           $chunked ? "Transfer-Encoding: chunked\r\n"
                                    : "Content-Length: 4000000000\r\n",
                           "\r\n");
        $socket->blocking(1);
        local $SIG{PIPE} = 'IGNORE';
        for (1 .. 100) {
            my $data = 'x' x 65536;
            print $socket ($chunked ? "10000\r\n$data\r\n" : $data) or last;
        }
        my $got = Test::Spaces::read_all($socket, 60);
        like($got, qr/^HTTP\/1\.1 413 /, 'megabytes of it');
    }
});

# an ingest of what is no audio, or never becomes any

my $head = join '', map { $_->{raw} }
    (pages(build(packets => [silence_of(1)])))[0, 1];
# the pages of a packet that goes on and on
my @endless = map {
    my $page = pack('a4 C C q< V V V C', 'OggS', 0, $_ > 2 ? 1 : 0, -1, 7, $_,
                    0, 255) . "\xff" x 255 . "\xfc" x (255 * 255);
    substr $page, 22, 4, pack 'V', crc($page);
    $page;
} 2 .. 21;

$toll->is_paid('bodies of megabytes', sub {
    for (['OggS', ('OggS' x 16384) x 200], ['zeros', ("\0" x 65536) x 200],
         ['pages of another stream', (page(packets => ['x' x 60_000],
                                           serial => 99)) x 200],
         ['a packet without an end', $head, @endless],
         ['EBML', ("\x1a\x45\xdf\xa3\x01" . "\xff" x 65531) x 200],
         ['a cluster without an end',
          "\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" . "\xff" x 7,
          ("\x1f\x43\xb6\x75\x01" . "\xff" x 7 . 'x' x 65524) x 200])
    {
        my ($name, @pieces) = @$_;
        my $before = $toll->memory;
        my $socket = $s->begin_ingest($waiting);
        local $SIG{PIPE} = 'IGNORE';
        Test::Spaces::chunk($socket, $_) for @pieces;
        print $socket "0\r\n\r\n";
        my $got = Test::Spaces::read_all($socket, 60);
        my $took = $toll->memory - $before;
        like($got, qr/^HTTP\/1\.1 4(?:00|15) /, "$name: refused");
        cmp_ok($took, '<', $ENV{SPACES_SANITIZED} ? 32768 : 4096,
               "$name: $took KB");
        is($s->space($waiting->{id})->{state}, 'scheduled',
           "$name: the Space is as it was");
    }
});

# Redis has something else there

subtest 'keys of another type' => sub {
    my @keys = map { "spaces:$_" }
        "space:{$space->{id}}", "space:{$space->{id}}:tokens",
        "space:{$waiting->{id}}", "space:{$waiting->{id}}:tokens",
        'due:here', 'ended', 'live', 'scheduled', 'host:ana';
    push @keys, map { "spaces:token:$_" }
        @{ $s->redis('SMEMBERS', "spaces:space:{$space->{id}}:tokens") };

    for my $key (@keys) {
        for my $type (['SET', $key, 'x'], ['LPUSH', $key, 'x'],
                      ['HSET', $key, 'x', 'y'], ['ZADD', $key, 1, 'x'],
                      ['SADD', $key, 'x'], ['XADD', $key, '*', 'x', 'y'])
        {
            $s->redis('RENAME', $key, "kept:$key") if $s->redis('EXISTS', $key);
            $s->redis('DEL', $key);
            $s->redis(@$type);
            # what was cached is asked for again
            $s->redis('PUBLISH', 'spaces:changed', $_->{id})
                for $space, $waiting;
            my @codes;
            for (['GET', '/spaces'], ['GET', $here], ['GET', $mine],
                 ['GET', "$here/shares"], ['POST', "$here/shares"],
                 ['POST', "$mine/speakers"], ['PATCH', $mine],
                 ['GET', "/s/$share->{token}"], ['GET', "$here/replay"],
                 ['POST', '/spaces'])
            {
                my ($method, $path) = @$_;
                my $res = $s->http($method, $path,
                                   { %{ $s->as('ana') } },
                                   $method eq 'GET' ? () : (json => {
                                       $path =~ /shares/ ? ()
                                       : $path =~ /speakers/ ? (name => 'C')
                                       : (title => 'T') }));
                push @codes, "$method $path: " . ($res->code // 'none')
                    if ($res->code // 0) !~ /^(?:20[0-4]|4\d\d|503)$/;
            }
            is(join(', ', @codes), '', "$key by $type->[0]: all is answered");
            $s->redis('DEL', $key);
            $s->redis('RENAME', "kept:$key", $key)
                if $s->redis('EXISTS', "kept:$key");
        }
    }
    $s->redis('PUBLISH', 'spaces:changed', $_->{id}) for $space, $waiting;
    ok(until_ok(sub {
        !grep { ($_->code // 0) != 200 }
              map { $s->http('GET', $_, $s->as('ana')) }
              '/spaces', $here, $mine, "$here/shares", "$here/replay",
              "/s/$share->{token}";
    }), 'what is right again is found again');
};

$bystander->is_unharmed;
$s->stop;

done_testing;
