#!/usr/bin/perl

# A little of "make fuzz": every seed holds, reaches what it is there for, and
# so do some new inputs and some mutated requests.  "make test" builds it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use Test::More;
use Test::Spaces::Fuzz qw(targets seeds command in_parallel covered);
use Test::Spaces::Readme;

# lines that the seeds of a target reach, in percent at least
my %reach = (
    ogg => { 'spaces_ogg_reader.c' => 80, 'spaces_ogg_writer.c' => 95,
             'spaces_demuxer.c' => 95 },
    webm => { 'spaces_webm_reader.c' => 80, 'spaces_demuxer.c' => 95 },
    opus => { 'spaces_opus.c' => 80, 'spaces_celt.c' => 90,
              'spaces_celt_share.c' => 90, 'spaces_range.c' => 90,
              'spaces_activity.c' => 65 },
    clip => { 'spaces_clip.c' => 80, 'spaces_ogg_seek.c' => 75 },
    tail => { 'spaces_ogg_tail.c' => 80, 'spaces_ogg_seek.c' => 75 },
    token => { 'ngx_http_spaces_secret.c' => 75, 'ngx_http_spaces_id.c' => 75,
               'ngx_http_spaces_mask.c' => 85 },
    wave => { 'spaces_wave.c' => 85 },
    playout => { 'spaces_playout.c' => 80, 'spaces_playout_mix.c' => 90,
                 'spaces_playout_select.c' => 85, 'spaces_mixer.c' => 80,
                 'spaces_jitter.c' => 80, 'spaces_packet_ring.c' => 90,
                 'spaces_activity.c' => 80, 'spaces_ogg_writer.c' => 95 },
);

is("@{[ targets() ]}", "@{[ sort keys %reach ]}", 'all targets');

# what the README says to type, as far as make tells what it would do

my %is_target = map { ($_ => 1) } targets(), 'server';
for my $line (split /\n/, take_block('sh', qr/^make fuzz/)) {
    $line =~ s/\s*#.*//;
    my $does = `cd $FindBin::Bin/.. && env -u MAKEFLAGS $line -n 2>&1`;
    my ($seconds, $targets)
        = $does =~ /^t\/fuzz\/run --seconds (\d+) *(.*)$/m;
    ok($seconds, $line) or diag($does);
    is(join(' ', grep { !$is_target{$_} } split ' ', $targets // ''), '',
       'its targets are some');
}
nothing_left();

for my $target (sort keys %reach) {
    my @seeds = seeds($target);
    cmp_ok(scalar @seeds, '>', 0, "$target: seeds");
    cmp_ok(-s $_, '<', 8192, "$_ is small") for @seeds;

    my $covered = eval { covered($target, @seeds) };
    ok($covered, "$target: every seed holds") or diag($@);
    for my $file (sort keys %{ $reach{$target} }) {
        cmp_ok($covered->{$file} // 0, '>=', $reach{$target}{$file},
               "$target: lines of $file reached, percent");
    }
}

# as many as a slow machine makes in that time, the same ones anywhere

my $dir = tempdir(CLEANUP => 1);

in_parallel(2, sub {
    my ($name, $status, $said) = @_;
    is($status, 0, "$name: holds") or diag(substr $said, -6000);
    return if $name eq 'server';
    my ($n) = $said =~ /^stat::number_of_executed_units:\s*(\d+)/m;
    my @seeds = seeds($name);
    cmp_ok($n // 0, '>', @seeds, "$name: new inputs beside the seeds");
}, [server => "$FindBin::Bin/fuzz/server", '--seed', 1, '--rounds', 2],
   map { [$_, command($_, "$dir/$_", '-seed=1', '-runs=20000',
                      '-max_total_time=8')] } sort keys %reach);

done_testing;
