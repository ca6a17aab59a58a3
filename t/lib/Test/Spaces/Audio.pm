package Test::Spaces::Audio;

# Copyright (C) Spaces for nginx contributors

# What a test hears.  Tones are measured where the audio comes out, so that no
# flag of the module has to be believed.

use strict;
use warnings;

use Exporter 'import';
use File::Temp;
use Test::Spaces qw(tone);
use Test::Spaces::Ogg qw(page packets pages);

our @EXPORT_OK = qw(@tones samples seconds_of ogg_of_packets voice voice_file
                    steady babble pcm heard tone_power tone_profile
                    broken_pages in_order whole);

# Hz, ten times a prime: none is a harmonic of another, nor near one
our @tones = (310, 430, 590, 730, 890, 1090, 1270, 1490, 1670, 1810, 1990,
              2230, 2390);

# the rate at which tones are measured: six times less to count than at 48 kHz
my $rate = 8000;

# how long a packet lasts in samples of 48 kHz, from its TOC: RFC 6716, 3.1
sub samples {
    my ($packet) = @_;
    my ($toc, $m) = unpack 'C C', $packet;
    my $config = $toc >> 3;
    my $frame = $config < 12 ? (480, 960, 1920, 2880)[$config & 3]
              : $config < 16 ? (480, 960)[$config & 1]
              : 120 << ($config & 3);
    my $code = $toc & 3;
    return $frame * ($code == 0 ? 1 : $code < 3 ? 2 : ($m // 0) & 63);
}

sub seconds_of {
    my $sum = 0;
    $sum += samples($_) for @_;
    return $sum / 48000;
}

# packets, as of a WebSocket, as a file: from 0, nothing to skip or to trim
sub ogg_of_packets {
    my (@packets) = @_;
    my ($granule, $n) = (0, 0);

    my $out = page(packets => [pack 'a8 C C v V v C', 'OpusHead', 1, 2, 0,
                                    48000, 0, 0],
                   flags => 2, sequence => $n++)
            . page(packets => [pack 'a8 V/a* V', 'OpusTags', 'test', 0],
                   sequence => $n++);

    while (my @some = splice @packets, 0, 25) {
        $granule += samples($_) for @some;
        $out .= page(packets => \@some, granule => $granule,
                     sequence => $n++, flags => @packets ? 0 : 4);
    }

    return $out;
}

# The packets of somebody who says one tone.  "level" in dB of a full-scale
# sine; "on" and "off", in seconds, to talk and to listen by turns.

sub voice { return packets(voice_file(@_)) }

# three seconds of it that can be repeated without a seam: whole waves, whole
# packets of 20, 40 and 60 ms, and neither the encoder's beginning nor its end
sub steady {
    my ($hz, %o) = @_;
    my @packets = voice($hz, %o, seconds => 4);
    my $samples = samples($packets[0]);
    return @packets[28800 / $samples .. 172800 / $samples - 1];
}

sub voice_file {
    my ($hz, %o) = @_;
    my $level = sprintf '%.5f', 10 ** ((delete $o{level} // -20) / 20);
    my $seconds = delete $o{seconds} // 2;
    my ($on, $off) = delete @o{qw(on off)};

    my $wave = "$level*sin(2*PI*$hz*t)";
    $wave .= sprintf '*lt(mod(t\\,%s)\\,%s)', $on + $off, $on if $off;
    $wave = join '|', ($wave) x ($o{channels} // 1);

    return tone(source => "aevalsrc='$wave':s=48000:d=$seconds", %o);
}

# packets of which no two are the same: a tone, and a little noise

sub babble {
    my ($hz, %o) = @_;
    my $seconds = delete $o{seconds} // 2;
    return packets(tone(source => "aevalsrc='0.1*sin(2*PI*$hz*t)"
                                  . "+0.01*(random(0)-0.5)':s=48000:d=$seconds",
                        %o));
}

# An Ogg Opus stream as float32, each sample of each packet in its turn.  The
# packets are put on pages anew, from granule 0 and with nothing to skip: so
# neither a stream joined midway, nor a cut end, a pre-skip or a hole in the
# granules makes ffmpeg pad or drop.  libopus does the decoding.  No packets
# give no samples.

sub pcm {
    my ($audio, $channels, $hz) = @_;
    return pcm_of([packets(whole($audio))], $channels, $hz);
}

sub pcm_of {
    my ($packets, $channels, $hz) = @_;
    return '' if !@$packets;

    my $file = File::Temp->new(SUFFIX => '.opus');
    binmode $file;
    print $file ogg_of_packets(@$packets);
    close $file;

    open my $out, '-|', 'ffmpeg', '-v', 'error', '-c:a', 'libopus',
        '-i', "$file", ($channels // 1) == 1
            ? ('-af', 'pan=mono|c0=0.5*c0+0.5*c1') : ('-ac', $channels),
        '-ar', $hz // 48000, '-f', 'f32le', '-' or die "ffmpeg: $!";
    binmode $out;
    local $/;
    my $pcm = <$out> // '';
    close $out or die "ffmpeg: $?";

    return $pcm;
}

# the pages of a stream that are there as a whole
sub whole {
    my ($audio) = @_;
    my $at = 0;
    while (length($audio) - $at >= 27) {
        my $n = unpack 'C', substr $audio, $at + 26, 1;
        my $len = 27 + $n;
        $len += $_ for unpack 'C*', substr $audio, $at + 27, $n;
        last if $at + $len > length $audio;
        $at += $len;
    }
    return substr $audio, 0, $at;
}

# a stream, or a list of packets, as the functions below take it
sub heard {
    my ($audio) = @_;
    return pcm_of(ref $audio ? $audio : [packets(whole($audio))], 1, $rate);
}

# How loud a tone is, in dB of a full-scale sine: the mean of windows of 250 ms,
# for where a packet was lost or left out, the tone goes on in another phase.

my $step = $rate / 4;

sub tone_power {
    my ($heard, $hz, $from, $to) = @_;
    my $at = int(($from // 0) * $rate);
    my $end = length($heard) / 4;
    $end = int($to * $rate) if defined $to && $to * $rate < $end;

    my ($sum, $n) = (0, 0);
    while ($at < $end && ($n == 0 || $at + $step <= $end)) {
        my $long = $end - $at < $step ? $end - $at : $step;
        $sum += power([unpack 'f<*', substr $heard, $at * 4, $long * 4], $hz);
        $n++;
        $at += $long;
    }

    return $sum > $n * 1e-12 ? 10 * log($sum / $n) / log(10) : -120;
}

# Goertzel in a Hann window
my %window;

sub power {
    my ($x, $hz) = @_;
    my $n = @$x;
    my $pi = atan2(0, -1);
    my $w = $window{$n} //= [map { 0.5 - 0.5 * cos(2 * $pi * ($_ + 0.5) / $n) }
                             0 .. $n - 1];
    my $c = 2 * cos(2 * $pi * $hz / $rate);
    my ($i, $s1, $s2) = (0, 0, 0);

    for (@$x) {
        ($s1, $s2) = ($_ * $w->[$i++] + $c * $s1 - $s2, $s1);
    }

    # a window of n samples sums to n / 2, a sine is in two bins
    return ($s1 * $s1 + $s2 * $s2 - $c * $s1 * $s2) * 16 / ($n * $n);
}

# the same over time, one figure for each step
sub tone_profile {
    my ($heard, $hz, $step) = @_;
    my $n = int(length($heard) / 4 / $rate / $step + 1e-9);
    return map { tone_power($heard, $hz, $_ * $step, ($_ + 1) * $step) }
           0 .. $n - 1;
}

# What is wrong with the pages of a stream: nothing, '', if the two headers
# come first, every checksum is good, no page is left out, and each granule is
# that of the page before and what its packets last.  Where a live stream is
# joined is up to the stream.

sub broken_pages {
    my ($audio, %o) = @_;
    my @pages = eval { pages(whole($audio)) } or return "no pages: $@";
    my ($head, $tags, $before) = splice @pages, 0, 2;

    return 'no headers' if $head->{body} !~ /^OpusHead/ || $head->{flags} != 2
                           || !$tags || $tags->{body} !~ /^OpusTags/;

    # where a recording begins, so does its stream
    $before = $tags if $o{from_start};

    for my $page (@pages) {
        my $where = "page $page->{sequence}, granule $page->{granule}";
        return "$where: bad checksum" if !$page->{good};
        return "$where: another serial" if $page->{serial} != $head->{serial};

        if ($before) {
            return "$where: follows page $before->{sequence}"
                if $page->{sequence} != $before->{sequence} + 1;
            my $lasts = 48000 * seconds_of(packets($page->{raw}));
            my $is = $page->{granule} - $before->{granule};
            # the last one of a recording may be trimmed
            return sprintf '%s: %d samples of packets, %d of granule', $where,
                   $lasts, $is
                if $is != $lasts && !($page->{flags} & 4 && $is < $lasts);
        }

        return "$where: behind the end" if $before && $before->{flags} & 4;
        $before = $page;
    }

    return '';
}

# How the packets that were sent are among those that came, in their order:
# the numbers of those that are missing, and what came between them.

sub in_order {
    my ($sent, $came) = @_;
    my ($at, @missing, @between) = (0);

    for my $i (0 .. $#$sent) {
        my $found = $at;
        $found++ while $found < @$came && $came->[$found] ne $sent->[$i];
        if ($found == @$came) {
            push @missing, $i;
            next;
        }
        push @between, @$came[$at .. $found - 1] if $at;
        $at = $found + 1;
    }

    return (\@missing, \@between);
}

1;
