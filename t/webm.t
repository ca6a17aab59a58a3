#!/usr/bin/perl

# WebM in: as browsers record it, and as ffmpeg writes it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(steady);
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(packets);
use Test::Spaces::WebSocket;
use Time::HiRes qw(sleep);

my $s = Test::Spaces->new(workers => 2)->start;
my $dir = tempdir('spaces-webm-XXXXXX', TMPDIR => 1, CLEANUP => 1);

my $ogg = tone(hz => 500, seconds => 3);
spurt("$dir/tone.opus", $ogg);

sub remux {
    my ($name, @args) = @_;
    system("ffmpeg -v error -i $dir/tone.opus -c copy @args - > $dir/$name")
        == 0 or die 'ffmpeg';
    return slurp("$dir/$name");
}

my %webm = (
    # to a pipe: neither the segment nor its clusters know how long they are
    piped => remux('piped.webm', '-f webm -live 1'),
    whole => do {
        system("ffmpeg -v error -i $dir/tone.opus -c copy $dir/whole.webm")
            == 0 or die 'ffmpeg';
        slurp("$dir/whole.webm");
    },
    matroska => remux('m.mkv', '-f matroska -cluster_time_limit 100'),
    'with video' => do {
        system('ffmpeg -v error -f lavfi -i testsrc=size=64x64:rate=5:duration=3'
               . " -i $dir/tone.opus -c:v libvpx -c:a copy $dir/v.webm") == 0
            or die 'ffmpeg';
        slurp("$dir/v.webm");
    },
);

for my $name (sort keys %webm) {
    subtest $name => sub {
        my $space = $s->create(record => true);
        my $res = $s->ingest($space, $webm{$name});
        is($res->code, 200, 'taken in') or diag($res->body);
        my $out = $s->replay($space->{id});
        is_deeply([map { unpack 'H*', $_ } packets($out)],
                  [map { unpack 'H*', $_ } packets($ogg)],
                  'every packet as it came');
        oggz_ok($out, 'as others see it');
        cmp_ok(abs($res->json->{duration} - 3), '<', 0.05, 'as long as it was');
    };
}

subtest 'over a WebSocket, in the pieces of a recorder' => sub {
    my $space = $s->create(record => true);
    my ($ws, $line) = Test::Spaces::WebSocket->connect($s,
        "/spaces/$space->{id}/ingest", 'spaces.webm.v1',
        %{ $s->bearer($space->{token}) });
    like($line, qr/ 101 /, 'open');
    my $rest = $webm{piped};
    while (length $rest) {
        $ws->send_binary(substr $rest, 0, 777, '');
        $ws->flush;
        sleep 0.05;
    }
    ok(until_ok(sub { ($s->space($space->{id})->{duration} // 0) > 2.9 }),
       'said');
    is($s->end_space($space)->code, 200, 'ended');
    my %sent = map { $_ => 1 } packets($ogg);
    my @out = grep { $sent{$_} } packets($s->replay($space->{id}));
    is(scalar @out, scalar(packets($ogg)), 'every packet');
};

subtest 'who sends a container hears the others, if they want to' => sub {
    my $space = $s->create;
    my $ask = sub {
        my ($protocol, $query, $token) = @_;
        my ($ws, $line) = Test::Spaces::WebSocket->connect($s,
            "/spaces/$space->{id}/ingest$query", $protocol,
            %{ $s->bearer($token) });
        like($line, qr/ 101 /, "$protocol$query: open");
        $ws->flush;
        return $ws;
    };
    my $loop = Test::Spaces::Loop->new($s);
    $loop->speak($space, [steady(330)], how => 'opus', repeat => 1);
    ok($loop->until(sub {
        $s->space($space->{id})->{state} eq 'live';
    }), 'live');
    my %guest = map {
        my ($protocol, $query) = split / /, $_, -1;
        $_ => $ask->($protocol, $query, $s->invite($space, $_)->{token})
    } 'spaces.webm.v1 ', 'spaces.webm.v1 ?returns=opus',
      'spaces.ogg.v1 ?returns=opus', 'spaces.webm.v1 ?returns=x';
    my %said = map { $_ => 1 } steady(330);
    my $heard = sub {
        my ($ws) = @_;
        $ws->read;
        return scalar grep { $said{$_} } $ws->data;
    };
    my $listens = sub {
        my @n = map { $heard->($guest{$_}) } grep { /returns=opus/ } keys %guest;
        return !grep { $_ < 20 } @n;
    };
    ok($loop->until($listens), 'the packets of the host, as they are');
    is($heard->($guest{'spaces.webm.v1 '}), 0, 'not who does not ask');
    is($heard->($guest{'spaces.webm.v1 ?returns=x'}), 0,
       'nor who asks for what there is not');
};

subtest 'refusals' => sub {
    system("ffmpeg -v error -f lavfi -i testsrc=size=64x64:rate=5:duration=1 "
           . "-c:v libvpx $dir/video.webm") == 0 or die 'ffmpeg';
    system("ffmpeg -v error -f lavfi -i sine=duration=1 -c:a libvorbis "
           . "$dir/vorbis.webm") == 0 or die 'ffmpeg';
    for (qw(video vorbis)) {
        my $space = $s->create(record => true);
        my $res = $s->ingest($space, slurp("$dir/$_.webm"));
        is($res->code, 415, "$_: refused");
        is($res->json->{type}, 'urn:spaces:not-opus', 'and why');
        is($s->space($space->{id})->{state}, 'scheduled', 'nothing happened');
    }
    my $space = $s->create(record => true);
    is($s->ingest($space, "\x1a\x45\xdf\xa3" . "\xff" x 100)->code, 400,
       'nonsense that begins well');
    is($s->ingest($space, substr $webm{piped}, 0, 100)->code, 400,
       'no audio in it');
};

$s->stop;

done_testing;
