package Test::Spaces::Fuzz;

# Copyright (C) Spaces for nginx contributors

# The targets of t/fuzz: what they are, how they are run, what they reach.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use Mojo::JSON qw(decode_json);

our @EXPORT_OK = qw(targets seeds command in_parallel covered $built);

my $top = abs_path(dirname(__FILE__) . '/../../../..');

our $built = "$top/build/fuzz";

# recordings are the same for whoever takes them
my %seeds_of = (clip => ['ogg'], tail => ['ogg']);

sub targets { return map { basename($_, '.c') } sort glob "$top/t/fuzz/*.c" }

sub seeds {
    my ($target) = @_;
    return sort grep { -f } map { glob "$top/t/fuzz/seeds/$_/*" }
        $target, @{ $seeds_of{$target} // [] };
}

# a run of libFuzzer: new inputs go to a folder, bad ones beside it
sub command {
    my ($target, $corpus, @options) = @_;
    my $dictionary = "$top/t/fuzz/$target.dict";
    make_path($corpus, "$built/crashes");
    return ("$built/$target", '-max_len=8192', '-timeout=60',
            '-rss_limit_mb=1500', '-print_final_stats=1',
            "-artifact_prefix=$built/crashes/$target-",
            -f $dictionary ? "-dict=$dictionary" : (), @options, $corpus,
            grep { -d } map { "$top/t/fuzz/seeds/$_" }
                $target, @{ $seeds_of{$target} // [] });
}

# Runs [name, command…] several at a time, and tells $done of each: its name,
# its status, what it said.
sub in_parallel {
    my ($jobs, $done, @commands) = @_;
    my %running;

    while (@commands || %running) {
        while (@commands && keys %running < $jobs) {
            my ($name, @command) = @{ shift @commands };
            my $log = "$built/$name.log";
            my $pid = fork // die "fork: $!";
            if ($pid == 0) {
                $ENV{LLVM_PROFILE_FILE} //= '/dev/null';
                open STDOUT, '>', $log or die "$log: $!";
                open STDERR, '>&', \*STDOUT;
                exec @command or die "@command: $!";
            }
            $running{$pid} = [$name, $log];
        }

        my $pid = waitpid -1, 0;
        my ($name, $log) = @{ delete $running{$pid} // next };
        my $status = $?;
        open my $fh, '<', $log or die "$log: $!";
        local $/;
        $done->($name, $status, scalar <$fh>);
    }
}

# the part of its lines, in percent, that inputs reach of each file of
# src/media and of the target itself: { 'spaces_clip.c' => 93.1, … }
sub covered {
    my ($target, @inputs) = @_;
    my ($profile, $merged) = map { "$built/$target.$_" } qw(profraw profdata);

    unlink $profile;
    local $ENV{LLVM_PROFILE_FILE} = $profile;
    my $said = `$built/$target @inputs 2>&1`;
    die $said if $? != 0;

    my $bin = '/usr/lib/llvm-14/bin';
    system("$bin/llvm-profdata", 'merge', '-o', $merged, $profile) == 0
        or die 'llvm-profdata';
    open my $out, '-|', "$bin/llvm-cov", 'export', '-summary-only',
        "-instr-profile=$merged", "$built/$target" or die "llvm-cov: $!";
    local $/;
    my $json = <$out>;
    close $out;
    die 'llvm-cov' if $? != 0;

    return { map { (basename($_->{filename}) => $_->{summary}{lines}{percent}) }
             @{ decode_json($json)->{data}[0]{files} } };
}

1;
