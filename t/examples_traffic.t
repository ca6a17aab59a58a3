#!/usr/bin/perl

# The examples of how audio comes and goes: Icecast's clients, an edge in front,
# limits.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Find qw(find);
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 qw(encode_base64);
use Mojo::JSON qw(decode_json true);
use Mojo::Message::Response;
use Mojo::Promise;
use Mojo::UserAgent;
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(heard tone_power);
use Test::Spaces::Example qw(is_limited keep_promises);
use Test::Spaces::Ogg qw(build packets silence_of);
use Test::Spaces::Readme qw(readme);
use Test::Spaces::Recordings qw(delete_it);
use Test::Spaces::WebSocket;
use Time::HiRes qw(sleep time);

my %number = (one => 1, five => 5, six => 6, seven => 7, eight => 8);

keep_promises(
    icecast => { does => \&icecast, answers => qr/^GET .*: 404$/ },
    edge => { does => \&edge },
    limits => { does => \&limits, answers => qr/: 429$/ },
);

done_testing;

sub body { return build(packets => [silence_of(25)]) }

sub has_tone {
    my ($audio, $name) = @_;
    cmp_ok(tone_power(heard($audio), 500, 0.5, 1.5), '>', -30, $name);
}

sub talk {
    my ($seconds, @to) = @_;
    return ('ffmpeg', '-v', 'error', '-re', '-f', 'lavfi', '-i',
            "sine=frequency=500:sample_rate=48000:duration=$seconds",
            '-c:a', 'libopus', '-b:a', '32k', '-page_duration', '20000',
            '-f', 'ogg', @to);
}

# Icecast's clients

sub icecast {
    my ($s) = @_;
    my $port = $s->port(8000);
    my $connect = sub {
        return IO::Socket::INET->new("127.0.0.1:$port") // die "connect: $!";
    };
    my $get = sub {
        my ($path) = @_;
        my $socket = $connect->();
        print $socket "GET $path HTTP/1.0\r\nHost: localhost\r\n\r\n";
        return Test::Spaces::read_all($socket);
    };

    # FFmpeg, with an ending; a player listens at the same path

    my $space = $s->create(record => true);
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDERR, '>', "$s->{dir}/talk.log";
        exec talk(4, "icecast://source:$space->{token}\@127.0.0.1:$port/"
                     . "$space->{id}.opus");
    }
    push @{ $s->{children} }, $pid;
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    run_ok('a player', 'ffmpeg', '-v', 'error', '-i',
           "http://127.0.0.1:$port/$space->{id}.opus?from=-16", '-t', 2,
           '-c', 'copy', '-f', 'ogg', "$s->{dir}/heard.ogg");
    has_tone(slurp("$s->{dir}/heard.ogg"), 'hears it');
    waitpid $pid, 0;
    is($?, 0, 'ffmpeg') or diag(slurp("$s->{dir}/talk.log"));
    is($s->end_space($space)->json->{recording}, 'available', 'ended');
    has_tone($s->replay($space->{id}), 'recorded');

    # libshout's way, by a name: it probes, then sends, and tells a title

    my @tokens = $space->{token};
    $space = $s->create(record => true);
    push @tokens, $space->{token};
    spurt("$s->{dir}/mounts", "studio $space->{id};\n");
    my %old = map { $_ => 1 } $s->worker_pids;
    $s->signal('HUP');
    ok(until_ok(sub { !grep { $old{$_} } $s->worker_pids }), 'a name');

    my $probe = $connect->();
    print $probe "PUT /studio HTTP/1.1\r\nHost: localhost\r\n",
                 "Content-Length: 0\r\nConnection: close\r\n\r\n";
    my $answer = Test::Spaces::read_all($probe);
    like($answer, qr/^HTTP\/1.1 401 /, 'asked for a password');
    is(header_of($answer, 'WWW-Authenticate'), 'Basic realm="Space"', 'Basic');

    my $source = sub {
        my ($mount, $password) = @_;
        my $socket = $connect->();
        $socket->autoflush(1);
        print $socket "SOURCE $mount HTTP/1.0\r\nAuthorization: Basic ",
            encode_base64("source:$password", ''), "\r\n",
            "User-Agent: libshout/2.4.6\r\nContent-Type: application/ogg\r\n",
            "ice-public: 0\r\nice-audio-info: bitrate=32\r\n\r\n";
        my $line = <$socket> // '';
        return ($socket, $line =~ s/\r\n//r);
    };
    my ($socket, $line) = $source->('/studio', 'hackme');
    like($line, qr/ 401 /, 'a wrong one');
    ($socket, $line) = $source->('/other', $space->{token});
    like($line, qr/ 40[134] /, 'a wrong mount');
    ($socket, $line) = $source->('/studio.ogg', $space->{token});
    is($line, 'HTTP/1.0 200 OK', 'the right one');
    print $socket tone(hz => 500, seconds => 3);
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    like($get->("/admin/metadata?mode=updinfo&mount=/studio&song=x"),
         qr/^HTTP\/1.1 200 .*<return>1</s, 'thanked for a title');
    my ($second, $busy) = $source->('/studio', $space->{token});
    like($busy, qr/ 409 /, 'not twice at a time');
    ok(until_ok(sub {
        my ($live) = glob "$s->{dir}/spaces/live/$space->{id}.opus";
        return -s $live > 8000;
    }), 'it is played');
    close $socket;
    is($s->end_space($space)->code, 200, 'ended');
    has_tone($s->replay($space->{id}), 'recorded');

    # nothing else is there, and the other port has no sources

    for my $path ('/', '/admin/stats', "/listen/$space->{id}",
                  "/spaces/$space->{id}") {
        like($get->($path), qr/^HTTP\/1.1 404 /, "not $path");
    }
    like($s->http('PUT', "/$space->{id}", $s->bearer($space->{token}),
                  body())->code, qr/^40[45]$/, 'nor mounts elsewhere');
    $space = $s->create;
    $socket = $connect->();
    print $socket "PUT /$space->{id} HTTP/1.1\r\nHost: localhost\r\n",
        "Connection: close\r\nCookie: spaces_user=ana\r\n",
        "Content-Length: 4\r\n\r\nOggS";
    like(Test::Spaces::read_all($socket), qr/^HTTP\/1.1 401 /,
         'tokens alone count');

    my $log = slurp("$s->{dir}/logs/access.log") . $s->error_log;
    like($log, qr/ 200 .* "libshout\/2.4.6" space=\w+ role=host/,
         'the log tells who it was');
    unlike($log, qr/\Q$_\E/, 'and no token') for @tokens;
}

# An edge

sub edge {
    my ($s) = @_;
    my $dir = $s->{dir};
    my ($keeps) = $s->text =~ /proxy_cache_valid 206 (\d+)s;/;
    my ($words) = $s->text =~ /for (\w+) SECONDS/;
    is($number{ lc $words }, $keeps, 'what is stated is what is so');

    # what is promised, in two places
    my $gone_within = $number{ lc(($s->text =~ /than (\w+) SECONDS after/)[0]) };
    my ($said, $revoked_within) = readme()
        =~ /gone from it within (\w+) seconds, a revoked link within (\w+) \|/;
    is($number{$said}, $gone_within, 'the README says the same');
    is($number{$revoked_within}, 1, 'and of a link');
    like($s->text, qr/a link is revoked everywhere within a second/,
         'the same, too');

    my $get = sub {
        my ($path, $headers, $method) = @_;
        return $s->http($method // 'GET', $path, $headers // {});
    };
    my $is = sub {
        my ($res, $status, $cache, $name) = @_;
        is($res->code . ' ' . ($res->headers->header('X-Cache') // '-'),
           "$status $cache", $name);
    };
    my $asked = sub {
        my ($id) = @_;
        return scalar grep { m{GET /spaces/$id/replay} }
            split /\n/, slurp("$dir/logs/access.log");
    };

    # live through the edge, as it comes

    my $space = $s->create(record => true);
    my $path = "/spaces/$space->{id}";
    my $host = $s->begin_ingest($space);
    my @audio = packets(tone(hz => 500, seconds => 4));
    Test::Spaces::chunk($host, build(packets => [@audio[0 .. 99]],
                                     no_eos => 1));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }),
       'a body that is not at its end is passed on');
    my ($ws, $status) = Test::Spaces::WebSocket->connect($s, "$path/live",
                                                         'spaces.opus.v1');
    like($status, qr/ 101 /, 'a WebSocket');
    ok($ws->wait(sub { @{ $_[0]{messages} } >= 5 }), 'that hears');
    my $listener = $s->socket;
    print $listener "GET $path/live HTTP/1.0\r\nHost: localhost\r\n\r\n";
    my $heard = '';
    ok(until_ok(sub {
        $listener->blocking(0);
        sysread $listener, $heard, 65536, length $heard;
        return $heard =~ /^HTTP.*OggS.*OggS.*OggS/s;
    }), 'a listener hears as well, while it goes on');
    is($get->("$path/replay")->code, 409, 'no replay yet');
    print $host "0\r\n\r\n";
    like(Test::Spaces::read_all($host, 60), qr/^HTTP\/1.1 200 /,
         'the end is passed on');
    has_tone($get->("$path/replay")->body, 'replayed');

    # a recording as large as that of two hours

    my ($file) = glob "$dir/spaces/recordings/*/$space->{id}.opus";
    my $whole = slurp($file);
    $whole .= pack 'N', length $whole while length $whole < 2_500_000;
    my $large = recorded_as($s, $whole);
    my $replay = "/spaces/$large->{id}/replay";

    my $res = $get->($replay);
    $is->($res, 200, 'MISS', 'the first who asks');
    ok($res->body eq $whole, 'gets it');
    my $etag = $res->headers->etag;
    ok(until_ok(sub { $asked->($large->{id}) == 3 }),
       'three slices were fetched');
    is($res->headers->cache_control, 'public, max-age=0',
       'a browser is to ask again');

    # all of this is served within the five seconds, or it is asked whether it
    # still stands: no audio crosses in either case

    my $sent_by_origin = sub {
        my $sum = 0;
        $sum += (/" 20\d (\d+) /)[0] // 0 for grep { /GET $replay/ }
            split /\n/, slurp("$dir/logs/access.log");
        return $sum;
    };
    my $sent = $sent_by_origin->();
    cmp_ok($sent, '>=', length $whole, 'which came from the origin');
    for (['bytes=0-99', 0, 100], ['bytes=1048570-1048585', 1048570, 16],
         ['bytes=-10', length($whole) - 10, 10],
         ['bytes=2400000-', 2400000, length($whole) - 2400000]) {
        my ($range, $from, $length) = @$_;
        my $res = $get->($replay, { Range => $range });
        is($res->code, 206, $range);
        is($res->headers->content_range, sprintf('bytes %d-%d/%d', $from,
           $from + $length - 1, length $whole), 'which part it is');
        ok($res->body eq substr($whole, $from, $length), 'is that part');
        is($res->headers->etag, $etag, 'of the same');
    }
    $res = $get->($replay, { Range => 'bytes=0-9', 'If-Range' => $etag });
    is($res->code, 206, 'If-Range');
    is(length $get->($replay, { Range => 'bytes=0-9', 'If-Range' => '"x"' })
       ->body, length $whole, 'of another one');
    is($get->($replay, { 'If-None-Match' => $etag })->code, 304,
       'not modified');
    $res = $get->($replay, {}, 'HEAD');
    is($res->code . ' ' . $res->headers->content_length,
       '200 ' . length $whole, 'HEAD');
    is($get->($replay, { Range => 'bytes=9999999-' })->code, 416,
       'a range that is not there');
    $res = $get->($replay, { Cookie => 'a=b; spaces_user=bob' });
    is($res->code, 200, 'whoever they are');
    is($sent_by_origin->(), $sent, 'none of it came from the origin again');
    is($get->($replay, $s->bearer('x' x 32))->headers->cache_control,
       'private, no-store', 'what is asked for by token is kept nowhere');
    ok(until_ok(sub {
        my $res = $get->($replay, { Range => 'bytes=0-9' });
        return $res->headers->header('X-Cache') eq 'HIT';
    }), 'a HIT');

    # many at once

    my $popular = recorded_as($s, $whole);
    my $same = "/spaces/$popular->{id}/replay";
    my $ua = Mojo::UserAgent->new(max_connections => 50,
                                  max_response_size => 0);
    my %codes;
    my $began = time;
    Mojo::Promise->all(map {
        $ua->get_p($s->url($same) => { Range => 'bytes=0-999' })
           ->then(sub {
               my $res = $_[0]->res;
               $codes{ $res->code . ', ' . length $res->body }++;
           })
    } 1 .. 30)->wait;
    is_deeply(\%codes, { '206, 1000' => 30 }, 'thirty at once');
    my $took = time - $began;
    my $fetched = sub {
        return scalar grep { m{GET $same } && / 206 1048576 / }
            split /\n/, slurp("$dir/logs/access.log");
    };
    ok(until_ok(sub { $fetched->() > 0 }), 'are asked for at the origin');

    # nobody waits for another for longer than that
    cmp_ok($fetched->(), '<=', $took < 5 ? 1 : 30, 'once');

    # what is not kept

    my $ticketed = $s->create(record => true, visibility => 'ticketed');
    is($s->ingest($ticketed, body())->code, 200, 'a ticketed one');
    my $theirs = "/spaces/$ticketed->{id}/replay";
    for (1 .. 2) {
        $is->($get->($theirs, { Cookie => 'spaces_user=ana' }), 200, '-',
              'for its host, by name');
        $is->($get->($theirs, $s->bearer($ticketed->{token})), 200, '-',
              'by Bearer');
        $is->($get->("$theirs?token=$ticketed->{token}"), 200, '-',
              'by a token in the address');
        $is->($get->($theirs), 403, '-', 'for nobody else');
    }
    $is->($get->("$path/replay?start=0&end=1"), 200, '-', 'a clip');
    my $share = $s->http('POST', "/spaces/$large->{id}/shares",
                         $s->as('ana'), json => {})->json;
    is($share->{url}, $s->url("/s/$share->{token}"), 'a link to the edge');
    for my $at ('', '/audio') {
        $is->($get->("/s/$share->{token}$at"), 200, '-', "a link$at");
    }

    # a link that is revoked: within a second, also for who is in the middle of
    # it; of a recording larger than all that sockets hold

    my $long = recorded_as($s, '');
    ($file) = glob "$dir/spaces/recordings/*/$long->{id}.opus";
    truncate $file, 60_000_000 or die "truncate: $!";
    $share = $s->http('POST', "/spaces/$long->{id}/shares", $s->as('ana'),
                      json => {})->json;
    my $slow = $s->socket;
    print $slow "GET /s/$share->{token}/audio HTTP/1.0\r\n",
                "Host: localhost\r\n\r\n";
    sysread $slow, my $begun, 1024;
    like($begun, qr/^HTTP\/1.1 200 .*^Content-Length: 60000000\r$/ms, 'begun');
    is($s->http('DELETE', "/spaces/$long->{id}/shares/$share->{id}",
                $s->as('ana'))->code, 204, 'revoked');
    my $revoked = time;
    my $late = 0;
    ok(until_ok(sub {
        my $began = time;
        my $code = $get->("/s/$share->{token}/audio", {}, 'HEAD')->code;
        $late = $began - $revoked if $code == 200;
        return $code == 404;
    }), 'it opens nothing');

    # the half is for a machine that runs other tests as well: each worker hears
    # of it at once, but may have to wait for its turn to listen
    cmp_ok($late, '<=', $number{$revoked_within} + 0.5, 'in time');
    ok(until_ok(sub {
        slurp("$dir/logs/access.log") =~ m{"GET /s/\*+/audio HTTP/1.1" 200 }
    }), 'the origin has stopped sending');
    cmp_ok(length Test::Spaces::read_all($slow, 60), '<', 59_000_000,
           'who was hearing it is cut');

    # deletion: it is bounded, wherever the slices are in their seconds

    # each slice has its own five seconds

    my @kept = map { my $id = $_->{id}; map { [$id, "bytes=$_-$_"] }
                     0, 1 << 20, 2 << 20 } $large, $popular;
    my $part = sub {
        my ($id, $range) = @{ $_[0] };
        return $get->("/spaces/$id/replay", { Range => $range });
    };
    $get->("/spaces/$_->{id}/replay") for $large, $popular;
    is($part->($_)->code, 206, "kept: $_->[1]") for @kept;
    is(delete_it($s, $_)->code, 200, 'deleted') for $large, $popular;
    my $deleted = time;
    my (%late, %gone);
    ok(until_ok(sub {
        for my $kept (grep { !$gone{"@$_"} } @kept) {
            my $began = time;
            my $code = $part->($kept)->code;
            $code == 410 ? $gone{"@$kept"} = 1
                         : ($late{"@$kept"} = $began - $deleted);
        }
        return keys %gone == @kept;
    }, 60), 'gone');

    # a second more than they are kept, for nginx counts whole ones, and another
    # in which every worker learns of it
    is($gone_within, $keeps + 1 + 1, 'what is promised');
    cmp_ok($late{"@$_"} // 0, '<=', $gone_within, "in time: $_->[1]")
        for @kept;
    ok((grep { $_ > 0 } values %late), 'some was heard until then');

    for my $kept (@kept) {
        my $res = $part->($kept);
        $is->($res, 410, 'EXPIRED', 'it stays so');
        is($res->headers->cache_control, 'private, no-store', 'kept by nobody');
        is($res->json->{type}, 'urn:spaces:deleted', 'and why');
    }

    # no token anywhere at the edge

    my $logs = slurp("$dir/logs/edge.log") . $s->error_log;
    like($logs, qr{"GET /s/\*\*\*/audio" 200}, 'links are in the log');
    like($logs, qr{cache=HIT origin=-}, 'and how they were served');
    my @tokens = map { $_->{token} } $space, $ticketed, $share;
    unlike($logs, qr/\Q$_\E/, 'without the token') for @tokens;
    my ($files, $found) = (0, 0);
    find(sub {
        return if !-f;
        $files++;
        my $text = slurp($_);
        $found++ if grep { index($text, $_) >= 0 } @tokens;
    }, "$dir/cache");
    cmp_ok($files, '>=', 7, 'slices on the disk');
    is($found, 0, 'none with a token');
}

# a public recording of these bytes, whatever they are
sub recorded_as {
    my ($s, $bytes) = @_;
    my $space = $s->create(record => true);
    is($s->ingest($space, body())->code, 200, 'recorded');
    my ($file) = glob "$s->{dir}/spaces/recordings/*/$space->{id}.opus";
    open my $fh, '+<:raw', $file or die "$file: $!";
    print $fh $bytes;
    close $fh or die "$file: $!";
    return $space;
}

# Limits

# a request from an address of its own, on a socket
sub ask_from {
    my ($s, $address, $request) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $s->{port}, LocalAddr => $address) // die "connect: $!";
    $socket->autoflush(1);
    print $socket $request =~ s/\n/\r\n/gr;
    return $socket;
}

sub from { return Test::Spaces::read_all(ask_from(@_)) }

sub status { return ($_[0] =~ /^HTTP\/1\.1 (\d+) /)[0] // 'none' }

sub limits {
    my ($s) = @_;
    my ($noisy, $bystander) = ('127.0.0.2', '127.0.0.3');

    my $space = $s->create(record => true);
    my $path = "/spaces/$space->{id}";
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, build(packets => [silence_of(100)],
                                     no_eos => 1));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');

    # each is asked for so many times at once, from an address of its own, and
    # is answered otherwise while that is not too many

    my %asks = (
        'guesses tokens' => ["GET $path?token=guess# HTTP/1.0\n\n", 80, 200],
        'guesses links' => ["GET /s/guess#/audio HTTP/1.0\n\n", 60, 404],
        'creates' => ["POST /spaces HTTP/1.0\nCookie: spaces_user=eve\n"
                      . "Content-Type: application/json\n"
                      . "Content-Length: 13\n\n{\"title\":\"x\"}", 40, 201],
        'joins' => ["HEAD $path/live HTTP/1.0\n\n", 90, 200],
        'talks' => ["PUT $path/ingest HTTP/1.0\nContent-Length: 0\n\n", 30,
                    401],
        'asks oEmbed' => ["GET /oembed?url=http://localhost/s/guess# "
                          . "HTTP/1.0\n\n", 60, 404],
    );
    my $n = 4;
    for my $what (sort keys %asks) {
        my ($request, $times, $right) = @{ $asks{$what} };
        my $address = '127.0.0.' . ++$n;
        my (%codes, $last);
        ok(until_ok(sub {
            my @sockets = map { ask_from($s, $address, $request =~ s/#/$_/r) }
                          1 .. $times;
            for my $socket (@sockets) {
                my $answer = Test::Spaces::read_all($socket);
                $codes{ status($answer) }++;
                $last = $answer if status($answer) eq '429';
            }
            return $codes{429};
        }, 60), "who $what too often is told so");
        cmp_ok($codes{$right} // 0, '>=', 10, 'not before');
        is(join(' ', sort keys %codes), join(' ', sort $right, 429),
           'nor otherwise') or diag(explain(\%codes));
        if ($request !~ /^HEAD/) {
            is_limited(Mojo::Message::Response->new->parse($last),
                       'as a problem, with when, and closed');
        }
        is(status(from($s, $bystander, $request =~ s/#/0/r)), $right,
           'a bystander is not');
        Test::Spaces::chunk($host, build(packets => [silence_of(5)],
                                         no_eos => 1));
    }

    # for as long as they stay

    my @stay;
    my $full = sub {
        return slurp("$s->{dir}/logs/access.log")
               =~ m{GET $path/events .* 429 .* limit=PASSED/REJECTED};
    };
    ok(until_ok(sub {
        my $socket = ask_from($s, $noisy, "GET $path/events HTTP/1.1\n"
                                          . "Host: localhost\n\n");
        push @stay, $socket if (<$socket> // '') =~ / 200 /;
        return $full->();
    }, 120), 'some listen from one address, and then no more');
    is(scalar @stay, 50, 'fifty');
    my $join = "HEAD $path/live HTTP/1.0\n\n";
    is(status(from($s, $bystander, $join)), 200, 'a bystander does');
    close $_ for splice @stay;
    ok(until_ok(sub { status(from($s, $noisy, $join)) eq '200' }, 60),
       'and they, when the others are gone');

    # so with who replays, fifty at a time ...

    my $limited = sub {
        my ($method, $what) = @_;
        return slurp("$s->{dir}/logs/access.log")
               =~ m{"$method \S+/$what .* 429 .* limit=PASSED/REJECTED};
    };
    my $long = recorded_as($s, '');
    my ($file) = glob "$s->{dir}/spaces/recordings/*/$long->{id}.opus";
    truncate $file, 60_000_000 or die "truncate: $!";
    my $replay = "GET /spaces/$long->{id}/replay HTTP/1.1\nHost: localhost\n\n";
    @stay = map { ask_from($s, $noisy, $replay) } 1 .. 50;
    is(scalar(grep { (<$_> // '') =~ / 200 / } @stay), 50,
       'fifty replay from one address');
    is(status(from($s, $noisy, $replay)), 429, 'and no more');
    ok(until_ok(sub { $limited->('GET', 'replay') }), 'as the log says');
    is(status(from($s, $bystander, $replay =~ s/^GET/HEAD/r
                                   =~ s/1\.1/1.0/r)), 200, 'a bystander does');
    close $_ for splice @stay;

    # ... and with who talks, ten

    my @talk = map {
        my $token = $s->invite($space, "guest $_")->{token};
        ask_from($s, $noisy, "PUT $path/ingest HTTP/1.1\nHost: localhost\n"
            . "Authorization: Bearer $token\nContent-Length: 10000\n\n");
    } 1 .. 11;
    ok(until_ok(sub { $limited->('PUT', 'ingest') }),
       'eleven talk from one address, and one of them does not');
    my $ready = IO::Select->new(@talk);
    is(scalar(() = $ready->can_read(0.5)), 1, 'which is told, and no other');
    close $_ for @talk;

    # the host has noticed nothing

    Test::Spaces::chunk($host, build(packets => [silence_of(25)]));
    print $host "0\r\n\r\n";
    like(Test::Spaces::read_all($host, 60), qr/^HTTP\/1.1 200 /,
         'the host talks on');

    # a source of no length that is refused: what it sends is no request

    my $source = "PUT $path/ingest HTTP/1.1\nHost: localhost\n"
               . "Authorization: Basic x\n\n"
               . "GET /spaces HTTP/1.1\nHost: localhost\n\n";
    my @sources = map { ask_from($s, '127.0.0.20', $source) } 1 .. 40;
    my ($refused) = grep { <$_> =~ / 429 / } @sources;
    ok($refused, 'a source is refused') or return;
    unlike(Test::Spaces::read_all($refused), qr/^HTTP\/1/m,
           'and its audio not answered');

    # whom the operator knows nobody counts

    my $conf = slurp("$s->{dir}/nginx.conf");
    $conf =~ s/# 192\.0\.2\.0\/24 ours;/$noisy\/32 ours;/ or die 'no geo';
    spurt("$s->{dir}/nginx.conf", $conf);
    my %old = map { $_ => 1 } $s->worker_pids;
    $s->signal('HUP');
    ok(until_ok(sub { !grep { $old{$_} } $s->worker_pids }, 60), 'a reload');
    my $guess = "GET /s/guess0/audio HTTP/1.0\n\n";
    my %codes;
    $codes{ status(from($s, $noisy, $guess)) }++ for 1 .. 60;
    is_deeply(\%codes, { 404 => 60 }, 'one of theirs is not limited');

    my $log = slurp("$s->{dir}/logs/access.log");
    like($log, qr{ 429 .* limit=REJECTED/}, 'the log tells');
    unlike($log . $s->error_log, qr/guess\d/, 'without what was guessed');
}
