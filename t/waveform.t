#!/usr/bin/perl

# What there is to draw of a recording: how loud it is, who speaks when.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(voice_file);

my $s = Test::Spaces->new(workers => 2)->start;

# two seconds of talk, two of silence, two of talk, two of silence
my $audio = voice_file(430, seconds => 8, on => 2, off => 2, level => -12);

my $space = $s->create(record => true, title => 'Drawn');
is($s->ingest($space, $audio)->code, 200, 'recorded');
my $id = $space->{id};
my $path = "/spaces/$id/replay";

my $res = $s->http('GET', "$path/waveform");
is($res->code, 200, 'a waveform');
like($res->headers->content_type, qr{^application/json}, 'is JSON');
my $wave = $res->json;
is_deeply([@$wave{qw(version channels sample_rate bits)}], [2, 1, 48000, 8],
          'in the known layout');
is(scalar(@{ $wave->{data} }), 2 * $wave->{length}, 'pairs');
is($s->http('GET', "$path/waveform?download=1")->headers->content_disposition,
   undef, 'not saved as audio');
cmp_ok($wave->{length} * $wave->{samples_per_pixel}, '>=',
       48000 * $s->space($id)->{duration}, 'of all of it');

# the loudest from there to there, in seconds
sub loudest {
    my ($wave, $from, $to) = @_;
    my ($n, $max) = ($wave->{samples_per_pixel} / 48000, 0);
    for my $i (int($from / $n) .. int($to / $n)) {
        my ($low, $high) = @{ $wave->{data} }[2 * $i, 2 * $i + 1];
        is($low, -$high, 'both sides the same') if $low != -$high;
        $max = $high if $high > $max;
    }
    return $max;
}

for ([0.3, 1.7, 22, 60], [2.5, 3.5, 0, 2], [4.3, 5.7, 22, 60], [6.5, 7.4, 0, 2]) {
    my ($from, $to, $least, $most) = @$_;
    my $is = loudest($wave, $from, $to);
    cmp_ok($is, '>=', $least, "from $from s to $to s: as loud");
    cmp_ok($is, '<=', $most, "and no louder");
}

is($s->http('GET', "$path/waveform?points=4")->json->{length}, 4, 'four points');
my $part = $s->http('GET', "$path/waveform?start=2.5&end=3.5")->json;
cmp_ok(loudest($part, 0, 0.9), '<=', 2, 'of a part');
is($s->http('GET', "$path/waveform?$_")->code, 400, "$_: 400")
    for 'points=0', 'points=4097', 'points=x', 'start=x', 'start=99';

$res = $s->http('GET', "$path/speakers");
is($res->code, 200, 'who spoke');
my $speakers = $res->json->{speakers};
is(scalar(@$speakers), 1, 'one did');
is($speakers->[0]{id}, 'host', 'the host');
is($speakers->[0]{name}, 'ana', 'by name');
my @segments = @{ $speakers->[0]{segments} };
is(scalar(@segments), 2, 'twice') or diag(explain(\@segments));
for ([0, 0, 2], [1, 4, 6]) {
    my ($i, $from, $to) = @$_;
    cmp_ok(abs($segments[$i][0] - $from), '<', 0.4, "from $from s");
    cmp_ok(abs($segments[$i][1] - $to), '<', 0.4, "to $to s");
}

for (["$path/speakers.vtt", {}], ["$path/speakers", { Accept => 'text/vtt' }]) {
    $res = $s->http('GET', @$_);
    like($res->headers->content_type, qr{^text/vtt}, 'WebVTT');
    like($res->body, qr/^WEBVTT\n\n00:00:0\S+ --> 00:00:0\S+\n<v ana>ana\n\n/,
         'a cue for each');
}

# kept for as long as the recording, and not sent twice
my %etags;
for my $what ('waveform', 'waveform?points=4', 'waveform?end=4', 'speakers',
              'speakers.vtt')
{
    $res = $s->http('GET', "$path/$what");
    my $etag = $res->headers->etag;
    like($etag, qr/^"[^"]+"$/, "$what: a strong ETag");
    ok(!$etags{$etag}++, 'of its own');
    like($res->headers->cache_control, qr/^public, max-age=[1-9]\d+$/, 'public');
    is($s->http('GET', "$path/$what", { 'If-None-Match' => $etag })->code, 304,
       'not sent again');
}
is($s->http('GET', "$path/speakers", $_)->headers->vary, 'Accept',
   'by Accept') for {}, { Accept => 'text/vtt' };
for my $what (qw(waveform speakers speakers.vtt)) {
    $res = $s->http('GET', "$path/$what", $s->bearer($space->{token}));
    is($res->headers->cache_control, 'private, no-store',
       "$what by token: kept by nobody, said once");
    is($res->headers->header('Referrer-Policy'), 'no-referrer', 'no referrer');
}

# a link to a clip tells of that alone
my $share = $s->http('POST', "/spaces/$id/shares", $s->as('ana'),
                     json => { start => 2.5, end => 5 })->json;
$wave = $s->http('GET', "$path/waveform?token=$share->{token}")->json;
cmp_ok($wave->{length} * $wave->{samples_per_pixel}, '<=', 125000, 'no more');

my $hidden = $s->create(record => true, visibility => 'unlisted');
is($s->http('GET', "/spaces/$hidden->{id}/replay/$_")->code, 404,
   "$_ of what doesn't exist") for qw(waveform speakers);

my ($file) = glob "$s->{dir}/spaces/recordings/*/$id.wave";
ok(-s $file, 'it lies beside the recording');
$s->http('DELETE', "/spaces/$id", $s->as('ana'));
is($s->http('GET', "$path/$_")->code, 410, "$_ of what is deleted")
    for qw(waveform speakers);
ok(!-e $file, 'it is held');
ok(-s "$s->{dir}/spaces/held/$id.wave", 'with the audio');

$s->stop;

done_testing;
