#!/usr/bin/perl

# Clips: a part of a recording as a stream of its own, by Range, and by link.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp;
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(samples);
use Test::Spaces::Ogg qw(build packets pages silence_of);
use Test::Spaces::Recordings qw(preconditions);
use Time::HiRes qw(sleep time);

# noise, so that a sample that is not in its place is told
my $noise = tone(source => "aevalsrc='0.2*sin(2*PI*(200+50*t)*t)"
                           . "+0.02*(random(0)-0.5)':s=48000:d=4",
                 channels => 2, bitrate => '64k');

sub file_of {
    my ($s, $id) = @_;
    return "$s->{dir}/spaces/recordings/" . substr($id, 0, 2) . "/$id.opus";
}

# as a player hears it: pre-skip and end are the decoder's affair
sub heard {
    my ($audio) = @_;
    my $file = File::Temp->new(SUFFIX => '.opus');
    binmode $file;
    print $file $audio;
    close $file;
    my $pcm = `ffmpeg -v error -c:a libopus -i $file -f f32le -ac 2 -ar 48000 -`;
    return $pcm;
}

# how far two are apart, in dB below what is heard
sub apart {
    my ($x, $y) = @_;
    my @x = unpack 'f<*', $x;
    my @y = unpack 'f<*', $y;
    my ($signal, $error) = (1e-9, 1e-9);
    for (0 .. $#x) {
        $signal += $x[$_] ** 2;
        $error += ($x[$_] - $y[$_]) ** 2;
    }
    return 10 * log($signal / $error) / log(10);
}

for (
    [4, ''],
    [2, 'sendfile on; open_file_cache max=100; aio threads;'],
) {
    my ($workers, $more) = @$_;
    subtest "$workers workers, $more" => sub { run($workers, $more) };
}

sub run {
    my ($workers, $more) = @_;
    my $s = Test::Spaces->new(workers => $workers, replay_more => $more)->start;
    my $space = $s->create(record => true, title => 'Clips');
    is($s->ingest($space, $noise)->code, 200, 'recorded');
    my $id = $space->{id};
    my $path = "/spaces/$id/replay";

    my $whole = $s->replay($id);
    my $pcm = heard($whole);
    my $duration = length($pcm) / 8 / 48000;
    my ($n) = map { $_->{serial} } pages($whole);
    my %etags;

    for (
        ['start=1&end=2', 1, 2],
        ['start=1.5', 1.5, $duration],
        ['start=1%2E5', 1.5, $duration],
        ['end=0.75', 0, 0.75],
        ['start=0', 0, $duration],
        ['start=0&end=99999', 0, $duration],
        ['start=2.345&end=2.4', 2.345, 2.4],
        ['start=0.01&end=3', 0.01, 3],
        ['start=3.0049&end=3.5', 3.004, 3.5],
    ) {
        my ($query, $from, $to) = @$_;
        my $res = $s->http('GET', "$path?$query");
        is($res->code, 200, $query) or diag($res->body);
        my $clip = $res->body;
        is($res->headers->content_length, length $clip, "$query: its length");
        is($res->headers->content_type, 'audio/ogg', "$query: its type");
        like($res->headers->cache_control, qr/^public, max-age=\d+$/,
             "$query: cached as the whole");
        like($res->headers->etag, qr/^"[^"]+"$/, "$query: a strong ETag");
        $etags{$res->headers->etag}++;
        oggz_ok($clip, "$query: valid");

        my $part = heard($clip);
        my $want = substr $pcm, int($from * 48000 + 0.5) * 8,
            (int($to * 48000 + 0.5) - int($from * 48000 + 0.5)) * 8;
        is(length $part, length $want, "$query: to the sample");
        cmp_ok(apart($want, $part), '>', 40, "$query: it sounds the same");

        my %known = map { $_ => 1 } packets($whole);
        is(scalar(grep { !$known{$_} } packets($clip)), 0,
           "$query: nothing was encoded");
        isnt((pages($clip))[0]{serial}, $n, "$query: a serial of its own");
    }
    # ffmpeg can't both skip and trim in one packet
    my $tiny = File::Temp->new(SUFFIX => '.opus');
    binmode $tiny;
    print $tiny $s->http('GET', "$path?start=2.345&end=2.346")->body;
    close $tiny;
    is(length(`opusdec --quiet --rate 48000 $tiny - 2>/dev/null`), 48 * 4,
       'a millisecond');

    is(scalar(keys %etags), 7, 'each has an ETag, the same one the same');

    ranges($s, "$path?start=0.5&end=3.25");

    for ('start=2&end=2', 'start=3&end=1', "start=$duration", 'start=99',
         'start=-1', 'end=-1', 'start=x', 'end=', 'start=1.', 'start=.5',
         'start=1e3', 'end=0', 'start=1,5', 'start=0x1', 'start=1%2e',
         'start', 'end', 'start=', 'start&end=2',
         'start=1&end=2.x', 'start=' . '9' x 30, 'end=nan') {
        my $res = $s->http('GET', "$path?$_");
        is($res->code, 400, "$_: 400");
        is($res->json->{type}, 'urn:spaces:bad-request', "$_: and why");
    }

    my $res = $s->http('GET', "$path?start=1&end=2&download=1");
    like($res->headers->content_disposition, qr/^attachment/, 'to be saved');
    is($s->http('POST', "$path?start=1")->code, 405, 'POST');

    shares($s, $space, $pcm, $duration);
    refused($s, $space, $path);
    $s->stop;
}

sub ranges {
    my ($s, $path) = @_;
    my $get = sub {
        my ($headers, $method) = @_;
        return $s->http($method // 'GET', $path, $headers // {});
    };

    my $all = $get->();
    my $body = $all->body;
    my $n = length $body;
    my $etag = $all->headers->etag;

    for (1 .. 8) {
        my $res = $get->();
        ok($res->body eq $body && $res->headers->etag eq $etag,
           'the same bytes and ETag on any worker');
    }

    my $head = $get->({}, 'HEAD');
    is($head->code, 200, 'HEAD');
    is($head->headers->content_length, $n, 'HEAD has the length');
    is($head->headers->etag, $etag, 'and the ETag');
    is($head->body, '', 'and no body');

    my @ranges = (['bytes=0-0', 0, 0], ['bytes=0-1', 0, 1],
                  ['bytes=-10', $n - 10, $n - 1], ['bytes=100-', 100, $n - 1],
                  ['bytes=0-999999999', 0, $n - 1]);
    for my $i (1 .. 60) {
        my $from = $i * 7919 % $n;
        my $to = $from + $i * $i * 37 % ($n - $from);
        push @ranges, ["bytes=$from-$to", $from, $to];
    }
    my @wrong;
    for (@ranges) {
        my ($range, $from, $to) = @$_;
        my $res = $get->({ Range => $range });
        push @wrong, $range if $res->code != 206
            || $res->headers->content_range ne "bytes $from-$to/$n"
            || $res->body ne substr $body, $from, $to - $from + 1;
    }
    is("@wrong", '', 'every range is that of the whole clip');

    my $res = $get->({ Range => 'bytes=0-9,20-29' });
    is($res->code, 200, 'several ranges: all of it');
    ok($res->body eq $body, 'these bytes');
    for ("bytes=$n-", 'bytes=-0') {
        $res = $get->({ Range => $_ });
        is($res->code, 416, "$_: 416");
        is($res->headers->content_range, "bytes */$n", "$_: how many there are");
        is($res->json->{type}, 'urn:spaces:bad-range', "$_: a problem");
    }
    is($get->({ Range => 'bytes=0-9', 'If-Range' => $etag })->code, 206,
       'If-Range that holds');
    is($get->({ Range => 'bytes=0-9', 'If-Range' => '"other"' })->body, $body,
       'If-Range that does not');
    is($get->({ 'If-None-Match' => $etag })->code, 304, 'If-None-Match');
    preconditions($get, $etag);

    # several on one connection
    my $socket = $s->socket;
    print $socket "GET $path HTTP/1.1\r\nHost: x\r\nRange: bytes=5-9\r\n"
                  . "Connection: $_\r\n\r\n" for 'keep-alive', 'close';
    my $answer = Test::Spaces::read_all($socket);
    my $part = quotemeta substr $body, 5, 5;
    like($answer, qr/^HTTP.* 206 .*\r\n\r\n${part}HTTP.* 206 .*\r\n\r\n$part\z/s,
         'one after the other');

    $s->stop_nginx('QUIT');
    $s->start_nginx;
    $res = $get->();
    ok($res->body eq $body, 'the same bytes after a restart');
    is($res->headers->etag, $etag, 'and the same ETag');
}

sub shares {
    my ($s, $space, $pcm, $duration) = @_;
    my $shares = "/spaces/$space->{id}/shares";
    my $mint = sub {
        return $s->http('POST', $shares, $s->as('ana'), json => $_[0]);
    };

    my $res = $mint->({ start => 1, end => 2.5, label => 'a clip' });
    is($res->code, 201, 'a link to a clip');
    my $share = $res->json;
    is($share->{start}, 1, 'from there');
    is($share->{end}, 2.5, 'to there');
    my ($listed) = grep { ($_->{label} // '') eq 'a clip' }
        @{ $s->http('GET', $shares, $s->as('ana'))->json->{shares} };
    is("$listed->{start} $listed->{end}", '1 2.5', 'the host is told');

    # nothing that is asked for is more than the clip, and 0 is where it begins
    my $audio = "/s/$share->{token}/audio";
    for (
        ['', 1, 2.5], ['?start=0', 1, 2.5], ['?end=99', 1, 2.5],
        ['?start=0.5', 1.5, 2.5], ['?start=0.25&end=0.75', 1.25, 1.75],
        ['?start=1.4&end=9', 2.4, 2.5],
    ) {
        my ($query, $from, $to) = @$_;
        for my $headers ({}, $s->as('ana')) {
            my $res = $s->http('GET', "$audio$query", $headers);
            is($res->code, 200, "link$query");
            is($res->headers->cache_control, 'private, no-store', 'private');
            my $part = heard($res->body);
            my $want = substr $pcm, $from * 48000 * 8, ($to - $from) * 48000 * 8;
            is(length $part, length $want, "link$query: so long");
            cmp_ok(apart($want, $part), '>', 40, "link$query: this span");
        }
    }
    is($s->http('GET', "$audio?start=1.5")->code, 400, 'not behind its end');
    is($s->http('GET', $audio, { Range => 'bytes=0-3' })->body, 'OggS',
       'by Range');
    is(length heard($s->http('GET', "/spaces/$space->{id}/replay?token="
                                    . $share->{token})->body),
       1.5 * 48000 * 8, 'its token opens no more elsewhere');
    like($s->http('GET', "/s/$share->{token}")->body, qr/ 0:00:01 long/,
         'its page tells its own length');

    is($mint->({ end => 9999 })->json->{end}, $s->space($space->{id})->{duration},
       'an end behind the end is that');
    is($mint->($_)->code, 400, 'wrong: ' . Mojo::JSON::encode_json($_))
        for { start => -1 }, { start => '1' }, { start => 2, end => 2 },
            { start => 3, end => 2 }, { start => 99 }, { end => 0 },
            { end => [] }, { start => 1e300 };

    my $other = $s->create(record => true);
    is($s->http('POST', "/spaces/$other->{id}/shares", $s->as('ana'),
                json => { start => 1 })->json->{type}, 'urn:spaces:not-ended',
       'no clips before the end');

    is($s->http('DELETE', "$shares/$share->{id}", $s->as('ana'))->code, 204,
       'revoked');
    is($s->http('GET', $audio)->code, 404, 'it is gone');
}

sub refused {
    my ($s, $space, $path) = @_;

    for my $kind (['unlisted', 404], ['ticketed', 403]) {
        my ($visibility, $code) = @$kind;
        my $space = $s->create(record => true, visibility => $visibility);
        $s->ingest($space, build(packets => [silence_of(5)]));
        my $path = "/spaces/$space->{id}/replay?start=0.01";
        is($s->http('GET', $path)->code, $code, "$visibility: not by nobody");
        my $res = $s->http('GET', $path, $s->as('ana'));
        is($res->code, 200, "$visibility: by its host");
        like($res->headers->cache_control, qr/private/, "$visibility: private");
    }

    my $live = $s->create(record => true);
    is($s->http('GET', "/spaces/$live->{id}/replay?start=0")->code, 409,
       'none before the end');

    # what is damaged is told, and harms nothing
    my $file = file_of($s, $space->{id});
    my $whole = slurp($file);
    push @{ $s->{quiet} }, 'is damaged';
    for my $size (0, 30, 80, 200) {
        spurt($file, substr $whole, 0, $size);
        is($s->http('GET', "$path?start=1")->code, 503, "$size bytes: 503");
    }
    unlink $file;
    is($s->http('GET', "$path?start=1")->code, 503, 'gone: 503');
    spurt($file, $whole);

    $s->http('DELETE', "/spaces/$space->{id}", $s->as('ana'));
    is($s->http('GET', "$path?start=1")->json->{type}, 'urn:spaces:deleted',
       'none of what is deleted');
}

# half a day, of which only the ends and what is asked for are looked at

subtest 'a long recording' => sub {
    my $s = Test::Spaces->new(workers => 2, small => 1)->start;
    my $space = $s->create(record => true);
    is($s->ingest($space, build(packets => [silence_of(5)]))->code, 200,
       'recorded');
    my $id = $space->{id};
    my $file = file_of($s, $id);

    my $short = File::Temp->new(SUFFIX => '.opus');
    binmode $short;
    print $short tone(seconds => 10, bitrate => '8k');
    close $short;
    is(system(qw(ffmpeg -v error -y -stream_loop 4400 -i), "$short",
              qw(-t 43200 -c copy -page_duration 100000 -f ogg), $file), 0,
       'twelve hours long');
    $s->redis('HSET', "spaces:space:{$id}", 'duration', 43200000);
    $s->redis('PUBLISH', 'spaces:changed', $id);
    my $path = "/spaces/$id/replay";
    ok(until_ok(sub {
        !grep { $s->http('HEAD', "$path?start=43000")->code != 200 } 1 .. 8;
    }), 'its length is known');

    for my $from (0, 5, 21603.7, 43198) {
        my $clip = $s->http('GET', "$path?start=$from&end=" . ($from + 1.5))->body;
        is(length heard($clip), 72000 * 8, "a clip from $from s on");
        cmp_ok(length $clip, '<', 20000, "is no larger than that");
    }

    # a long one, by piece, and all of it
    my $long = "$path?start=100.5&end=43100";
    my $head = $s->http('HEAD', $long);
    my $n = $head->headers->content_length;
    cmp_ok($n, '>', 40_000_000, 'a clip of hours');
    my $all = $s->http('GET', $long)->body;
    is(length $all, $n, 'as long as was said');
    my @wrong;
    for (1 .. 40) {
        my $from = $_ * 1_048_573 % ($n - 100_000);
        my $res = $s->http('GET', $long,
                           { Range => "bytes=$from-" . ($from + 99_999) });
        push @wrong, $from
            if $res->code != 206 || $res->body ne substr $all, $from, 100_000;
    }
    is("@wrong", '', 'every piece is that of the whole');

    # a client that reads slowly, and what is deleted meanwhile
    my $socket = $s->small_socket(65536);
    print $socket "GET $long HTTP/1.1\r\nHost: x\r\n\r\n";
    my $got = '';
    while (length $got < 2_000_000) {
        sysread $socket, $got, 30_000, length $got or last;
    }
    like($got, qr/\r\n\r\n\Q@{[ substr $all, 0, 1_000_000 ]}\E/,
         'piece by piece');
    is($s->http('DELETE', "/spaces/$id", $s->as('ana'))->code, 200, 'deleted');
    ok(until_ok(sub { $s->error_log =~ /not for this client any more/ }),
       'it is cut');
    my $rest = Test::Spaces::read_all($socket, 20);
    cmp_ok(length($got) + length($rest), '<', 10_000_000, 'what is left is not sent');

    # a client that leaves while it is read
    for (1 .. 10) {
        my $socket = $s->socket;
        print $socket "GET $path?start=1&token=$_ HTTP/1.0\r\n\r\n";
        close $socket;
    }
    $s->stop;
};

# over TLS, HTTP/2 and at a limited rate: the pieces are the same

subtest 'other ways' => sub {
    my $s = Test::Spaces->new(workers => 2, tls => 1, h2 => 1,
                              replay_more => 'limit_rate 200k;')->start;
    my $space = $s->create(record => true);
    my $audio = tone(seconds => 4, bitrate => '256k', channels => 2);
    is($s->ingest($space, $audio)->code, 200, 'recorded');
    my $path = "/spaces/$space->{id}/replay?start=0.5&end=3.9";

    my $plain = $s->http('GET', $path)->body;
    cmp_ok(length $plain, '>', 70_000, 'several pieces');
    for (['http2', $s->{h2_port}, 'http', '--http2-prior-knowledge'],
         ['TLS', $s->{tls_port}, 'https', '--insecure']) {
        my ($name, $port, $scheme, @more) = @$_;
        open my $out, '-|', 'curl', '-s', @more, '-m', 60,
            "$scheme://127.0.0.1:$port$path" or die;
        binmode $out;
        local $/;
        my $body = <$out> // '';
        close $out;
        ok($body eq $plain, "by $name the same");
    }
    $s->stop;
};

done_testing;
