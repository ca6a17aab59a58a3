package Test::Spaces::Ogg;

# Copyright (C) Spaces for nginx contributors

# Ogg by the letter of RFC 3533, written apart from the module's own code, so
# that the one can judge the other.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(pages packets page build silence_of numbers crc);

my @crc_table = map {
    my $r = $_ << 24;
    for (1 .. 8) {
        $r = ($r & 0x80000000 ? ($r << 1) ^ 0x04c11db7 : $r << 1) & 0xffffffff;
    }
    $r;
} 0 .. 255;

sub crc {
    my $crc = 0;
    for (unpack 'C*', $_[0]) {
        $crc = (($crc << 8) & 0xffffffff)
               ^ $crc_table[(($crc >> 24) ^ $_) & 0xff];
    }
    return $crc;
}

# all pages of a stream; dies where the bytes are none
sub pages {
    my ($data) = @_;
    my ($at, @pages) = (0);

    while ($at < length $data) {
        my ($magic, $version, $flags, $granule, $serial, $sequence, $crc, $n)
            = unpack 'a4 C C q< V V V C', substr $data, $at, 27;
        die "no page at $at" if $magic ne 'OggS';

        my @lacing = unpack 'C*', substr $data, $at + 27, $n;
        my $len = 0;
        $len += $_ for @lacing;

        my $raw = substr $data, $at, 27 + $n + $len;
        my $zeroed = $raw;
        substr $zeroed, 22, 4, "\0" x 4;

        push @pages, {
            at => $at, raw => $raw, flags => $flags, granule => $granule,
            serial => $serial, sequence => $sequence,
            good => (crc($zeroed) == $crc),
            lacing => \@lacing, body => substr($data, $at + 27 + $n, $len),
        };

        $at += 27 + $n + $len;
    }

    return @pages;
}

# the audio packets of one logical stream, without its two headers
sub packets {
    my ($data, %o) = @_;
    my ($open, @packets) = ('');

    for my $page (pages($data)) {
        next if defined $o{serial} && $page->{serial} != $o{serial};
        my $at = 0;
        for my $lace (@{ $page->{lacing} }) {
            $open .= substr $page->{body}, $at, $lace;
            $at += $lace;
            if ($lace < 255) {
                push @packets, $open;
                $open = '';
            }
        }
    }

    return grep { !/^Opus(?:Head|Tags)/ } @packets;
}

# a page around whole packets
sub page {
    my (%p) = @_;
    my ($lacing, $body) = ('', '');

    for my $packet (@{ $p{packets} }) {
        my $len = length $packet;
        $lacing .= "\xff" x int($len / 255) . chr($len % 255);
        $body .= $packet;
    }

    my $page = pack('a4 C C q< V V V C', 'OggS', 0, $p{flags} // 0,
                    $p{granule} // 0, $p{serial} // 1, $p{sequence} // 0, 0,
                    length $lacing) . $lacing . $body;
    substr $page, 22, 4, pack 'V', crc($page);

    return $page;
}

# a stream of the packets, each lasting "duration" samples, on pages of "per"
sub build {
    my (%s) = @_;
    my $serial = $s{serial} // 7;
    my $pre_skip = $s{pre_skip} // 312;
    my $duration = $s{duration} // 960;
    my $granule = $s{start} // 0;
    my $n = 0;

    my $head = pack 'a8 C C v V v C', 'OpusHead', 1, $s{channels} // 1,
                    $pre_skip, 48000, $s{gain} // 0, $s{family} // 0;
    my $tags = $s{tags} // pack 'a8 V/a* V', 'OpusTags', 'test', 0;

    my $out = page(packets => [$head], flags => 2, serial => $serial,
                   sequence => $n++);

    if (length $tags < 60000) {
        $out .= page(packets => [$tags], serial => $serial, sequence => $n++);

    } else {
        my $flags = 0;
        while (length $tags) {
            my $part = substr $tags, 0, 255 * 255, '';
            my $lacing = length $part == 255 * 255 ? "\xff" x 255
                : "\xff" x int(length($part) / 255) . chr(length($part) % 255);
            my $page = pack('a4 C C q< V V V C', 'OggS', 0, $flags, 0, $serial,
                            $n++, 0, length $lacing) . $lacing . $part;
            substr $page, 22, 4, pack 'V', crc($page);
            $out .= $page;
            $flags = 1;
        }
    }

    my @packets = @{ $s{packets} };

    while (@packets) {
        my @some = splice @packets, 0, $s{per} // 50;
        $granule += $duration * @some;
        my $last = !@packets && !$s{no_eos};
        $out .= page(packets => \@some, serial => $serial, sequence => $n++,
                     granule => $granule - ($last ? $s{trim} // 0 : 0),
                     flags => $last ? 4 : 0);
    }

    return $out;
}

# packets of silence, 20 ms each, that can be told apart
sub silence_of {
    my ($n) = @_;
    return map { pack 'C n N', 0xf8, 0xfffe, $_ } 1 .. $n;
}

# the numbers of those that are in a stream, in its order: not of what filled the
# time when nobody spoke
sub numbers {
    return map { /\A\xf8\xff\xfe(....)\z/s ? unpack 'N', $1 : () }
           packets($_[0]);
}

1;
