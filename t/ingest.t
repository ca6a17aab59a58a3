#!/usr/bin/perl

# Audio in, a recording out: any Opus, bit-exact; and what is no Opus.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw(encode_base64);
use Mojo::JSON qw(decode_json true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build numbers packets page pages silence_of);
use Time::HiRes qw(sleep time);

my $s = Test::Spaces->new(workers => 4, h2 => 1)->start;
my $h2 = $s->{h2_port};

# each goes into a Space of its own, all at once, for they play in real time

my @packets = silence_of(60);

my %good = (
    'plain' => tone(seconds => 2),
    'stereo' => tone(seconds => 2, channels => 2, bitrate => '96k'),
    '2.5 ms packets' => tone(seconds => 1, frame => 2.5, bitrate => '96k'),
    '5 ms packets' => tone(seconds => 1, frame => 5),
    '10 ms packets' => tone(seconds => 1, frame => 10),
    '40 ms packets' => tone(seconds => 2, frame => 40),
    '60 ms packets' => tone(seconds => 2, frame => 60),
    '120 ms packets' => tone(seconds => 2, frame => 120),
    'SILK' => tone(seconds => 2, bitrate => '10k', application => 'voip'),
    'hybrid' => tone(seconds => 2, bitrate => '26k', application => 'voip'),
    'CELT' => tone(seconds => 2, application => 'lowdelay'),
    'the fattest' => tone(seconds => 2, channels => 2, bitrate => '510k',
                          cbr => 1),
    'opusenc' => opus_of(2),
    'DTX' => opus_of(2, '--bitrate', 12, '--set-ctl-int', '4016=1'),
    'no end flag' => build(packets => \@packets, no_eos => 1),
    'a large pre-skip' => build(packets => \@packets, pre_skip => 3840),
    'no pre-skip' => build(packets => \@packets, pre_skip => 0),
    'a trimmed end' => build(packets => \@packets, trim => 500),
    'a late start' => build(packets => \@packets, start => 48000 * 100),
    'large tags' => build(packets => \@packets,
                          tags => pack('a8 V/a* V V/a*', 'OpusTags', 'test', 1,
                                       'X=' . 'y' x 300_000)),
    'one packet a page' => build(packets => \@packets, per => 1),
    'all on one page' => build(packets => \@packets, per => 255),
    'gain' => build(packets => \@packets, gain => -256),
);

my (%space, %answer, %pid);

for my $name (sort keys %good) {
    $space{$name} = $s->create(title => $name, record => true);
}

subtest 'all at once' => sub {
    my %reader;
    for my $name (sort keys %good) {
        pipe $reader{$name}, my $out or die;
        my $pid = fork // die;
        if ($pid == 0) {
            my $res = $s->ingest($space{$name}, $good{$name});
            print $out $res->code, "\n", $res->headers->header(
                'Spaces-Recording') // '', "\n", $res->body;
            close $out;
            POSIX::_exit(0);
        }
        $pid{$name} = $pid;
    }
    for my $name (sort keys %good) {
        local $/;
        $answer{$name} = readline $reader{$name};
        waitpid $pid{$name}, 0;
        like($answer{$name}, qr/\A200\non\n\{/, "$name: 200");
    }
};

for my $name (sort keys %good) {
    subtest $name => sub {
        my $space = Mojo::JSON::decode_json((split /\n/, $answer{$name}, 3)[2]);
        is($space->{state}, 'ended', 'ended');
        is($space->{recording}, 'available', 'available at once');

        my $in = $good{$name};
        my $out = $s->replay($space->{id});
        is(length $out, $space->{bytes}, 'as many bytes as it says');
        is_deeply([map { unpack 'H*', $_ } packets($out)],
                  [map { unpack 'H*', $_ } packets($in)],
                  'every packet as it came');

        my @pages = pages($out);
        is(scalar(grep { !$_->{good} } @pages), 0, 'every checksum is right');
        is_deeply([map { $_->{sequence} } @pages], [0 .. $#pages],
                  'no page is missing');
        is($pages[1]{granule}, 0, 'it begins at 0');

        oggz_ok($out, 'as others see it',
                $name eq 'no pre-skip' ? qr/Implausibly low preskip/ : undef);

        my @before = pages($in);
        my ($head) = $before[0]{body} =~ /^OpusHead..(..)/s;
        is(unpack('v', $head), unpack('v', substr $pages[0]{body}, 10, 2),
           'the pre-skip');
        is(substr($pages[0]{body}, 16, 2), substr($before[0]{body}, 16, 2),
           'the gain');

        my ($had, $has) = (decoded_ms($in), decoded_ms($out));
        cmp_ok(abs($had - $has), '<', 1, "$had ms in, $has ms out");
        cmp_ok(abs($space->{duration} * 1000 - $has), '<', 1,
               'the duration it says');
    };
}

subtest 'chained streams become one' => sub {
    my $space = $s->create(record => true);
    my $in = build(packets => [@packets[0 .. 19]], serial => 1)
           . build(packets => [@packets[20 .. 39]], serial => 2, no_eos => 1)
           . build(packets => [@packets[40 .. 59]], serial => 3);
    is($s->ingest($space, $in)->code, 200, 'accepted');
    my $out = $s->replay($space->{id});
    is(join(' ', packets($out)), join(' ', @packets), 'every packet');
    oggz_ok($out, 'one stream');
};

subtest 'one stream among others' => sub {
    my $space = $s->create(record => true);
    my @opus = pages(build(packets => \@packets, serial => 5, per => 10));
    my $other = sub {
        return page(packets => ["\x80theora" . $_[0]], serial => 9,
                    sequence => $_[0], flags => $_[0] ? 0 : 2,
                    granule => $_[0]);
    };
    my $in = $other->(0) . $opus[0]{raw};
    $in .= $other->($_) . $opus[$_]{raw} for 1 .. $#opus;
    is($s->ingest($space, $in)->code, 200, 'accepted');
    is(join(' ', packets($s->replay($space->{id}))), join(' ', @packets),
       'every packet');
};

subtest 'in chunks, byte by byte' => sub {
    my $space = $s->create(record => true);
    my $socket = $s->begin_ingest($space);
    my $in = build(packets => \@packets, per => 7);
    Test::Spaces::chunk($socket, $_) for split //, $in;
    print $socket "0\r\n\r\n";
    like(Test::Spaces::read_all($socket, 20), qr/^HTTP\/1.1 200 /, 'accepted');
    is(join(' ', packets($s->replay($space->{id}))), join(' ', @packets),
       'every packet');
};

subtest 'faster than real time is slowed, and dropped is nothing' => sub {
    my $space = $s->create(record => true);
    my @many = silence_of(500);
    my $began = time;
    my $res = $s->ingest($space, build(packets => \@many));
    my $took = time - $began;
    is($res->code, 200, 'accepted');
    cmp_ok($took, '>', 9, "10 s of audio took $took s");
    is(join(' ', packets($s->replay($space->{id}))), join(' ', @many),
       'every packet');
};

subtest 'over HTTP/2' => sub {
    my $space = $s->create(record => true);
    spurt("$s->{dir}/in.opus", build(packets => \@packets));
    my $out = run_ok('curl', 'curl', '-s', '--http2-prior-knowledge', '-T',
                     "$s->{dir}/in.opus", '-H',
                     "Authorization: Bearer $space->{token}", '-w',
                     ' %{http_version} %{http_code}',
                     "http://127.0.0.1:$h2/spaces/$space->{id}/ingest");
    like($out, qr/"ended".* 2 200\z/s, 'played out, and ended');
    is(join(' ', packets($s->replay($space->{id}))), join(' ', @packets),
       'every packet');
};

subtest 'a hole in the clock becomes silence' => sub {
    my $space = $s->create(record => true);
    my @pages = pages(build(packets => \@packets, per => 10));
    my $in = join '', map { $_->{raw} } @pages[0, 1, 2, 3, 6, 7];
    is($s->ingest($space, $in)->code, 200, 'accepted');
    my $out = $s->replay($space->{id});
    my @out = packets($out);
    is(join(' ', @out[0 .. 19]), join(' ', @packets[0 .. 19]), 'before');
    is(join(' ', @out[-20 .. -1]), join(' ', @packets[40 .. 59]), 'after');
    cmp_ok(abs(decoded_ms($out) - 1200 + 6.5), '<', 1, 'nothing is shorter');
    like($s->error_log, qr/source of space $space->{id} is damaged/,
         'it is logged');
    oggz_ok($out, 'as others see it');
};

subtest 'a damaged page is passed over' => sub {
    my $space = $s->create(record => true);
    my @pages = pages(build(packets => \@packets, per => 10));
    substr $pages[3]{raw}, 100, 1, 'X';
    substr $pages[5]{raw}, 60, 20, '';
    my $in = join 'noise' x 20, map { $_->{raw} } @pages;
    $in =~ s/\A(OggS.*?)(?:noise)+/$1/s;
    is($s->ingest($space, $in)->code, 200, 'accepted');
    my $out = $s->replay($space->{id});
    is(join(' ', (packets($out))[-10 .. -1]), join(' ', @packets[50 .. 59]),
       'the end is there');
    cmp_ok(abs(decoded_ms($out) - 1200 + 6.5), '<', 1, 'nothing is shorter');
    my $n = () = $s->error_log =~ /$space->{id} is damaged/g;
    # or not, if this worker has said so of another one just now
    cmp_ok($n, '<=', 1, 'it is logged once');
    oggz_ok($out, 'as others see it');
};

subtest 'a hostile clock' => sub {
    for my $granule (-2, 2 ** 62, -2 ** 62, 9223372036854775807, 1) {
        my $space = $s->create(record => true);
        my @pages = pages(build(packets => [@packets[0 .. 29]], per => 10));
        my $in = $pages[0]{raw} . $pages[1]{raw} . $pages[2]{raw}
            . page(packets => [@packets[10 .. 19]], serial => 7, sequence => 3,
                   granule => $granule)
            . page(packets => [@packets[20 .. 29]], serial => 7, sequence => 4,
                   granule => 28800, flags => 4);
        is($s->ingest($space, $in)->code, 200, "$granule: 200");
        my $out = $s->replay($space->{id});
        is_deeply([numbers($out)], [1 .. 30], "$granule: every packet");
        cmp_ok(length $out, '<', 4000, 'and little more');
    }
};

# what is wrong, and leaves the Space as it was

my $wav = `ffmpeg -v error -f lavfi -i sine=duration=1 -f wav -`;
my $mp3 = `ffmpeg -v error -f lavfi -i sine=duration=1 -f mp3 -`;
my $flac = `ffmpeg -v error -f lavfi -i sine=duration=1 -c:a flac -f ogg -`;
my $vorbis = `ffmpeg -v error -f lavfi -i sine=duration=1 -ac 2 -strict -2 -c:a vorbis -f ogg -`;
my $surround = `ffmpeg -v error -f lavfi -i sine=duration=1 -ac 6 -c:a libopus -mapping_family 1 -f ogg -`;
my $plain = build(packets => \@packets);
my @pages = pages($plain);

for (
    ['an empty body', '', 400, 'bad-audio'],
    ['headers alone', $pages[0]{raw} . $pages[1]{raw}, 400, 'bad-audio'],
    ['half a page', substr($plain, 0, 40), 400, 'bad-audio'],
    ['a broken first page', 'OggS' . 'x' x 70000, 400, 'bad-audio'],
    ['audio without tags', $pages[0]{raw} . $pages[2]{raw}
                           =~ s/^(.{18})..../$1\x01\0\0\0/sr, 400, 'bad-audio'],
    ['no packet that is Opus',
     build(packets => [map { "\xff\xff" } 1 .. 5]), 400, 'bad-audio'],
    ['WAV', $wav, 415, 'not-opus'],
    ['MP3', $mp3, 415, 'not-opus'],
    ['Ogg FLAC', $flac, 415, 'not-opus'],
    ['Ogg Vorbis', $vorbis, 415, 'not-opus'],
    ['surround', $surround, 415, 'not-opus'],
    ['noise', join('', map { chr int rand 256 } 1 .. 5000), 415, 'not-opus'],
    ['text', "hello\n", 415, 'not-opus'],
) {
    my ($name, $body, $status, $slug) = @$_;
    my $space = $s->create(record => true);
    my $res = $s->ingest($space, $body);
    is($res->code, $status, "$name: $status") or diag($res->body);
    is(($res->json // {})->{type}, "urn:spaces:$slug", "$name: $slug");
    my $after = $s->space($space->{id});
    is($after->{state}, 'scheduled', "$name: the Space is as it was");
}

subtest 'chunks that are none' => sub {
    for (['at once', ''], ['behind audio', $plain]) {
        my ($name, $said) = @$_;
        my $socket = $s->begin_ingest($s->create);
        Test::Spaces::chunk($socket, $said) if $said;
        print $socket "ZZ\r\nfoo";
        like(Test::Spaces::read_all($socket),
             qr/^HTTP\/1.1 400 .*urn:spaces:bad-audio/s, $name);
    }
};

subtest 'neither length nor chunks' => sub {
    my $space = $s->create;
    for (['POST', qr/^HTTP\/1.1 400 .*urn:spaces:bad-audio/s],
         ['PUT', qr/^HTTP\/1.1 200 /]) {
        my ($method, $answer) = @$_;
        my $socket = $s->socket;
        print $socket "$method /spaces/$space->{id}/ingest HTTP/1.1\r\n",
                      "Host: h\r\nConnection: close\r\n",
                      "Authorization: Bearer $space->{token}\r\n\r\n";
        like(Test::Spaces::read_all($socket, 2), $answer, $method);
    }
};

# who may not

my $space = $s->create(record => true);
my $other = $s->create;
my $path = "/spaces/$space->{id}/ingest";

for (
    ['nobody', {}, 401, 'unauthorized'],
    ['an unknown token', $s->bearer('x' x 32), 401, 'unauthorized'],
    ['the token of another Space', $s->bearer($other->{token}), 403,
     'forbidden'],
    ['another user', $s->as('bob'), 403, 'forbidden'],
    ['a foreign page', { %{ $s->as('ana') }, Origin => 'http://evil.example' },
     403, 'foreign-origin'],
) {
    my ($name, $headers, $status, $slug) = @$_;
    my $res = $s->http('PUT', $path, $headers, $plain);
    is($res->code, $status, "$name: $status");
    is($res->json->{type}, "urn:spaces:$slug", "$name: $slug");
    is($res->headers->header('Spaces-Recording'), 'on',
       "$name: whether it is recorded");
}

# who is refused at either door is told as well, unless it isn't theirs to know

subtest 'recorded or not is told with every refusal' => sub {
    my %space = map {
        my ($record, $visibility) = split / /;
        ($_ => $s->create(record => $record eq 'on' ? true : Mojo::JSON::false,
                          visibility => $visibility));
    } map { ("on $_", "off $_") } qw(public unlisted ticketed);
    for my $what (sort keys %space) {
        my ($record, $visibility) = split / /, $what;
        my ($id, $token) = @{ $space{$what} }{qw(id token)};
        my $told = $visibility eq 'unlisted' ? undef : $record;
        for (['PUT', 'ingest', {}, 401, $told],
             ['PUT', 'ingest', $s->as('bob'), undef, $told],
             ['GET', 'live', {}, undef, $told],
             ['GET', 'live', $s->bearer($token), 409, $record],
             ['GET', 'live?from=x', $s->bearer($token), 400, $record],
             ['PUT', 'ingest', $s->bearer($token), 400, $record])
        {
            my ($method, $path, $headers, $status, $is) = @$_;
            my $res = $s->http($method, "/spaces/$id/$path", $headers, '');
            is($res->code, $status, "$what: $path") if $status;
            cmp_ok($res->code, '>=', 400, "$what: $path is refused");
            is_deeply($res->headers->every_header('Spaces-Recording'),
                      [$is // ()], "$what: $path: whether it is recorded");
        }
    }
};

# a guest whose page makes the browser of the host send the guest's own token:
# it is still the cookie that makes a host of them

for (
    ['POST', $path, $plain, "$path: audio"],
    ['POST', "/spaces/$space->{id}/end", '', 'the end'],
) {
    my ($method, $to, $body, $name) = @$_;
    my $guest = $s->invite($space, 'mallory')->{token};
    my $res = $s->http($method, "$to?token=$guest",
                       { %{ $s->as('ana') }, Origin => 'http://evil.example',
                         'Content-Type' => 'text/plain' }, $body);
    is($res->code, 403, "$name by a guest's token and the host's cookie: 403");
    is($res->json->{type}, 'urn:spaces:foreign-origin', 'and told why');
}

# and a password that the browser knows is as good as a cookie
{
    my $basic = 'Basic ' . encode_base64("host:$space->{token}", '');
    for my $origin ('http://evil.example', $s->url) {
        my $res = $s->http('PATCH', "/spaces/$space->{id}",
                           { Authorization => $basic, Origin => $origin },
                           json => { title => 'y' });
        is($res->code, $origin eq $s->url ? 200 : 403, "Basic from $origin");
    }
}

is($s->http('PUT', '/spaces/' . 'a' x 20 . '/ingest', $s->as('ana'),
            $plain)->code, 404, 'no such Space');
is($s->http('PUT', '/spaces/..%2e/ingest', $s->as('ana'), $plain)->code, 404,
   'no id at all');
is($s->http('GET', $path, $s->as('ana'))->code, 405, 'GET');
is($s->http('PUT', $path, { Authorization => 'Basic c291cmNlOg==' },
            $plain)->code, 401, 'an empty password');
is($s->space($space->{id})->{state}, 'scheduled', 'nothing has happened');

# a browser that knows a password sends it, be it wanted or not
{
    my $space = $s->create;
    is($s->http('PUT', "/spaces/$space->{id}/ingest?token=$space->{token}",
                { Authorization => 'Basic YW5hOnNlY3JldA==' }, $plain)->code,
       200, 'a token in the address, a password beside it');
}

subtest 'two sources' => sub {
    my $space = $s->create(record => true);
    my $first = $s->begin_ingest($space);
    Test::Spaces::chunk($first, build(packets => \@packets, no_eos => 1));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    for (1 .. 4) {
        my $res = $s->ingest($space, $plain);
        is($res->code, 409, 'the second is refused');
        is($res->json->{type}, 'urn:spaces:speaking', 'and told why');
    }
    my $live = $s->space($space->{id});
    is_deeply([map { "$_->{id} $_->{role}" } @{ $live->{speakers} }],
              ['host host'], 'the host is there');
    is($live->{recording}, 'recording', 'recording');
    is($s->http('GET', "/spaces/$space->{id}/replay")->code, 409,
       'no replay yet');
    my $settled = sub {
        my ($name) = @_;
        is($s->http('PATCH', "/spaces/$space->{id}", $s->as('ana'),
                    json => { record => $_ })->code, 409, "$name: $_")
            for true, Mojo::JSON::false;
    };
    $settled->('record is settled while it is live');
    print $first "0\r\n\r\n";
    like(Test::Spaces::read_all($first), qr/^HTTP\/1.1 200 /, 'the first ends');
    my $res = $s->ingest($space, $plain);
    is($res->code, 409, 'ended');
    is($res->json->{type}, 'urn:spaces:ended', 'and told why');
    $settled->('and after');
};

# who sends faster than it is played has a lot on its way when they are cut:
# they need not wait for that.  It has to fit into what the kernel holds for a
# reader, or nobody here can know that they are gone.

subtest 'back before all was read' => sub {
    my $much = tone(seconds => 30, bitrate => '8k');
    for (['chunks', "PUT", "HTTP/1.1\r\nTransfer-Encoding: chunked"],
         ['a length', "PUT", "HTTP/1.1\r\nContent-Length: 9000000"],
         ['a source client', 'SOURCE', 'HTTP/1.0'])
    {
        my ($how, $method, $rest) = @$_;
        my $space = $s->create(record => true);
        my $socket = $s->socket;
        print $socket "$method /spaces/$space->{id}/ingest $rest\r\n",
                      "Host: localhost\r\n",
                      "Authorization: Bearer $space->{token}\r\n\r\n";
        if ($how eq 'chunks') {
            Test::Spaces::chunk($socket, $much);
        } else {
            print $socket $much;
        }
        $socket->flush;
        ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }),
           "$how: live");
        is($s->ingest($space, $plain)->code, 409, "$how: it is taken");
        close $socket;
        my $res;
        ok(until_ok(sub {
            $res = $s->ingest($space, $plain);
            return $res->code != 409;
        }), "$how: it is free");
        is($res->code, 200, "$how: for the same token");
        my $is = $res->json;
        is($is->{recording}, 'available', "$how: one recording");
        cmp_ok($is->{duration}, '<', 25, "$how: without what was on its way");
        oggz_ok($s->replay($space->{id}), "$how: as others see it");
    }
};

subtest 'what came before is played before' => sub {
    my $space = $s->create(record => true);
    my @said = silence_of(400);
    my $first = $s->begin_ingest($space);
    Test::Spaces::chunk($first, build(packets => [@said[0 .. 299]],
                                      no_eos => 1));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    close $first;
    my $res;
    ok(until_ok(sub {
        $res = $s->ingest($space, build(packets => [@said[300 .. 399]]));
        return $res->code != 409;
    }), 'back');
    is($res->code, 200, 'and to the end');
    is_deeply([numbers($s->replay($space->{id}))], [1 .. 400],
              'every packet, once, in order');
};

# what nobody has told of is known by its silence, long before a time-out

subtest 'back, and the cable was pulled' => sub {
    my $space = $s->create(record => true);
    my $first = $s->begin_ingest($space);
    my $began = time;
    Test::Spaces::chunk($first, build(packets => [silence_of(50)],
                                      no_eos => 1));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    my (%codes, $res);
    ok(until_ok(sub {
        $res = $s->ingest($space, build(packets => [silence_of(10)]));
        $codes{$res->code}++;
        return $res->code != 409;
    }), 'back');
    is($res->code, 200, 'and to the end');
    cmp_ok(time - $began, '>', 10, 'not before it was silent for long');
    cmp_ok($codes{409}, '>', 0, 'it was taken until then');
    is(Test::Spaces::read_all($first), '', 'the other is cut');
    is_deeply([numbers($s->replay($space->{id}))], [1 .. 50, 1 .. 10],
              'all is there');
};

subtest 'the answer knows what was changed meanwhile' => sub {
    my $space = $s->create(record => true);
    my $guest = $s->invite($space, 'Bea');
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, build(packets => \@packets, no_eos => 1));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    my $bea = $s->begin_ingest({ %$space, token => $guest->{token} });
    Test::Spaces::chunk($bea, build(packets => \@packets));
    is($s->http('PATCH', "/spaces/$space->{id}", $s->as('ana'),
                json => { title => 'another', topics => ['go'] })->code, 200,
       'changed');
    for (["a guest's", $bea, 'live'], ["the host's", $host, 'ended']) {
        my ($whose, $socket, $state) = @$_;
        print $socket "0\r\n\r\n";
        my ($json) = Test::Spaces::read_all($socket, 30)
                     =~ /^HTTP\/1.1 200 .*?\r\n\r\n.*?(\{.*\})/s;
        my $is = decode_json($json // '{}');
        is_deeply([@$is{qw(state title topics)}], [$state, 'another', ['go']],
                  "$whose has it");
    }
};

subtest 'a body that stalls' => sub {
    my $s = Test::Spaces->new(workers => 2, body_timeout => '2s')->start;
    my $space = $s->create(record => true);
    my $socket = $s->begin_ingest($space);
    Test::Spaces::chunk($socket, build(packets => \@packets, no_eos => 1));
    like(Test::Spaces::read_all($socket, 20), qr/^HTTP\/1.1 408 .*timeout/s,
         'is told so');
    is($s->space($space->{id})->{state}, 'live', 'the Space waits');
    is($s->end_space($space)->code, 200, 'and ends');
    $s->stop;
};

subtest 'ended by the API while the host sends' => sub {
    my $space = $s->create(record => true);
    my $socket = $s->begin_ingest($space);
    my @many = silence_of(150);
    Test::Spaces::chunk($socket, build(packets => \@many, no_eos => 1));
    ok(until_ok(sub {
        @{ $s->space($space->{id})->{speakers} };
    }), 'there');
    my $began = time;
    my $res = $s->end_space($space);
    is($res->code, 200, 'accepted');
    # three seconds have come, and hardly any of them was played
    cmp_ok(time - $began, '<', 2, 'at once');
    is($res->json->{recording}, 'available', 'with the recording');
    like(Test::Spaces::read_all($socket), qr/^HTTP\/1.1 200 .*"ended"/s,
         'the host is told');
    my $got = numbers($s->replay($space->{id}));
    cmp_ok($got, '>=', 100, "all that was received ($got packets)");
    is($s->end_space($space)->code, 200, 'a second end is no harm');
};

subtest 'not recorded' => sub {
    my $space = $s->create;
    my $res = $s->ingest($space, $plain);
    is($res->code, 200, 'accepted');
    is($res->headers->header('Spaces-Recording'), 'off', 'the header says so');
    is($res->json->{recording}, 'none', 'no recording');
    $res = $s->http('GET', "/spaces/$space->{id}/replay");
    is($res->code, 404, 'no replay');
    is($res->json->{type}, 'urn:spaces:not-recorded', 'and told why');
};

is_deeply([glob "$s->{dir}/spaces/live/*"], [], 'live/ is empty');

$s->stop;

done_testing;
