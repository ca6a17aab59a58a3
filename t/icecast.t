#!/usr/bin/perl

# Icecast source clients as they are: what they send, and real ones.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw(encode_base64);
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build numbers page silence_of);
use Time::HiRes qw(sleep);

my $s = Test::Spaces->new(workers => 4)->start;

my @packets = silence_of(60);
my $audio = build(packets => \@packets, per => 10);

sub basic { return 'Basic ' . encode_base64("source:$_[0]{token}", '') }

# libshout's: a probe that wants a 401, then SOURCE over HTTP/1.0

subtest 'SOURCE, HTTP/1.0' => sub {
    my $space = $s->create(record => true);
    my $path = "/spaces/$space->{id}/ingest";

    my $probe = $s->socket;
    print $probe "PUT $path HTTP/1.1\r\nHost: localhost\r\n",
                 "Content-Length: 0\r\nConnection: close\r\n\r\n";
    my $answer = Test::Spaces::read_all($probe);
    like($answer, qr/^HTTP\/1.1 401 /, 'the probe is told 401');
    like(header_of($answer, 'WWW-Authenticate'), qr/^Basic /, 'and how');

    # what may be in the audio of who doesn't wait for the answer
    $probe = $s->socket;
    print $probe "PUT $path HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 "GET /spaces/$space->{id} HTTP/1.1\r\nHost: localhost\r\n\r\n";
    $answer = Test::Spaces::read_all($probe);
    like($answer, qr/^HTTP\/1.1 401 /, 'refused');
    is(() = $answer =~ /^HTTP\/1/mg, 1, 'and nothing of it is a request');

    my $socket = $s->socket;
    print $socket "SOURCE $path HTTP/1.0\r\nAuthorization: ", basic($space),
                  "\r\nUser-Agent: libshout/2.4.6\r\nContent-Type: audio/mpeg",
                  "\r\nIce-Public: 0\r\n\r\n";
    my $line = <$socket>;
    is($line, "HTTP/1.0 200 OK\r\n", 'told to begin, in its own version');
    my $headers = '';
    while (($line = <$socket>) ne "\r\n") {
        $headers .= $line;
    }
    like($headers, qr/^Spaces-Recording: on\r$/m, 'and that it is recorded');

    print $socket $audio;
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    sleep 1.5;
    close $socket;

    is($s->end_space($space)->code, 200, 'ended by the API');
    my $out = $s->replay($space->{id});
    is_deeply([numbers($out)], [1 .. @packets], 'every packet');
    oggz_ok($out, 'as others see it');
};

subtest 'PUT with Expect, neither length nor chunks' => sub {
    my $space = $s->create(record => true);
    my $socket = $s->socket;
    print $socket "PUT /spaces/$space->{id}/ingest HTTP/1.1\r\n",
                  "Host: localhost\r\nAuthorization: ", basic($space), "\r\n",
                  "Expect: 100-continue\r\nContent-Type: audio/mpeg\r\n\r\n";
    is(scalar <$socket>, "HTTP/1.1 100 Continue\r\n", '100 Continue');
    is(scalar <$socket>, "\r\n", 'and no more');
    print $socket $audio;
    shutdown $socket, 1;
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    sleep 1.5;
    is($s->end_space($space)->code, 200, 'ended by the API');
    is_deeply([numbers($s->replay($space->{id}))], [1 .. @packets],
              'every packet');
};

subtest 'the body with the head, in one write' => sub {
    my $space = $s->create(record => true);
    my $socket = $s->socket;
    print $socket "SOURCE /spaces/$space->{id}/ingest HTTP/1.0\r\n",
                  'Authorization: ', basic($space), "\r\n\r\n", $audio;
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    sleep 1.5;
    is($s->end_space($space)->code, 200, 'ended by the API');
    is_deeply([numbers($s->replay($space->{id}))], [1 .. @packets],
              'every packet');
};

subtest 'refusals' => sub {
    my $space = $s->create(record => true);

    my $ask = sub {
        my ($authorization, $body, $expect, $later) = @_;
        my $socket = $s->socket;
        print $socket "PUT /spaces/$space->{id}/ingest HTTP/1.1\r\n",
                      "Host: localhost\r\n",
                      $expect ? "Expect: 100-continue\r\n" : '',
                      $authorization ? "Authorization: $authorization\r\n"
                                     : '', "\r\n",
                      $later ? '' : $body // '';
        my $said = '';
        if ($later) {
            sysread $socket, $said, 1000;
            print $socket $body;
        }
        shutdown $socket, 1 if defined $body;
        return $said . Test::Spaces::read_all($socket, 5);
    };

    like($ask->('', undef, 1), qr/^HTTP\/1.1 401 /, 'no password');
    like($ask->('Basic ' . encode_base64('source:nope', ''), undef, 1),
         qr/^HTTP\/1.1 401 /, 'a wrong one: before anything is sent');
    like($ask->(basic($space), 'noise ' x 100, 1, 1),
         qr/^HTTP\/1.1 100 .*HTTP\/1.1 415 .*not-opus/s, 'noise: 415');
    like($ask->(basic($space), 'noise ' x 100, $_),
         qr/^HTTP\/1.1 415 .*not-opus/s, 'noise with the head: 415 at once')
        for 0, 1;
    like($ask->(basic($space), page(packets => ["\x01vorbis" . "\0" x 23],
                                    flags => 2, serial => 1, sequence => 0)
                               . page(packets => ['x'], serial => 1,
                                      sequence => 1)),
         qr/^HTTP\/1.1 415 .*no stream in it is Opus/s,
         'so is Ogg without Opus');
    like($s->error_log,
         qr/a source of space $space->{id} is refused: the first bytes are/,
         'and a line in the log');
    like($ask->(basic($space), '', 1),
         qr/^HTTP\/1.1 100 .*HTTP\/1.1 400 .*bad-audio/s, 'nothing: 400');

    # who has its 200 already can only be cut off
    like($ask->(basic($space), 'noise ' x 100, 0, 1),
         qr/^HTTP\/1.1 200 OK\r\n.*\r\n\r\n\z/s, 'noise after 200: closed');
    like($s->error_log, qr/connection closed: The audio is not Ogg Opus/,
         'and the log says why');
    is($s->space($space->{id})->{state}, 'scheduled', 'nothing has happened');
};

# FFmpeg in its three ways; -re sends at the pace of the audio

my @source = ('ffmpeg', '-v', 'error', '-re', '-f', 'lavfi', '-i',
              'sine=frequency=500:sample_rate=48000:duration=3',
              '-c:a', 'libopus', '-b:a', '32k', '-page_duration', '20000',
              '-f', 'ogg');

for (
    ['icecast://', 0, sub {
        my ($space) = @_;
        return "icecast://source:$space->{token}\@127.0.0.1:$s->{port}"
               . "/spaces/$space->{id}/ingest";
    }],
    ['http://, chunked', 1, sub {
        my ($space) = @_;
        return ('-method', 'PUT', "http://127.0.0.1:$s->{port}"
                . "/spaces/$space->{id}/ingest?token=$space->{token}");
    }],
    ['http://, neither', 0, sub {
        my ($space) = @_;
        return ('-method', 'PUT', '-chunked_post', 0, '-send_expect_100', 1,
                "http://source:$space->{token}\@127.0.0.1:$s->{port}"
                . "/spaces/$space->{id}/ingest");
    }],
) {
    my ($name, $ends, $args) = @$_;
    subtest "ffmpeg $name" => sub {
        my $space = $s->create(record => true);
        run_ok('ffmpeg', @source, $args->($space));
        if ($ends) {
            ok(until_ok(sub { $s->space($space->{id})->{state} eq 'ended' }),
               'a whole body ends the Space');
        } else {
            # all it sent has come, and is played: silence would follow
            ok(until_ok(sub {
                !@{ $s->space($space->{id})->{speakers} };
            }), 'it is gone');
        }
        my $space_after = $s->end_space($space)->json;
        my $out = $s->replay($space->{id});
        oggz_ok($out, 'as others see it');
        cmp_ok(decoded_ms($out), '>=', 2990, 'nothing is missing');
        cmp_ok($space_after->{duration} * 1000, '>=', 2990,
               "$space_after->{duration} s");
    };
}

# its pages are a second long by default: the last are still on their way

subtest 'an end takes in all that was sent' => sub {
    my $space = $s->create(record => true);
    run_ok('ffmpeg', grep({ $_ ne '-page_duration' && $_ ne '20000' } @source),
           "icecast://source:$space->{token}\@127.0.0.1:$s->{port}"
           . "/spaces/$space->{id}/ingest");
    my $res = $s->end_space($space);
    is($res->code, 200, 'ended at once');
    cmp_ok(decoded_ms($s->replay($space->{id})), '>=', 2990,
           'nothing is missing');
};

# one that was admitted, and kept silent until it was over

subtest 'no second beginning' => sub {
    my $space = $s->create(record => true);
    my $late = $s->begin_ingest($space, Expect => '100-continue');
    like(join('', map { scalar <$late> } 1, 2), qr/^HTTP\/1.1 100 /,
         'who has been let in');
    is($s->ingest($space, $audio)->code, 200, 'recorded and ended');
    my $out = $s->replay($space->{id});
    sleep 4;
    Test::Spaces::chunk($late, build(packets => [silence_of(10)]));
    like(Test::Spaces::read_all($late), qr/^HTTP\/1.1 409 .*urn:spaces:ended/s,
         'refused');
    ok($s->replay($space->{id}) eq $out, 'the recording is untouched');
};

subtest 'two that come before the first audio' => sub {
    my $space = $s->create(record => true);
    my @sockets = map { $s->begin_ingest($space) } 1 .. 4;
    Test::Spaces::chunk($_, $audio) for @sockets;
    print $_ "0\r\n\r\n" for @sockets;
    my @answers = map { Test::Spaces::read_all($_) } @sockets;
    is(scalar(grep { /^HTTP\/1.1 200 / } @answers), 1, 'one is taken');
    is(scalar(grep { /^HTTP\/1.1 409 / } @answers), 3, 'the others are not');
    is_deeply([numbers($s->replay($space->{id}))], [1 .. @packets],
              'every packet, once');
};

$s->stop;

done_testing;
