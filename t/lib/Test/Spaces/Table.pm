package Test::Spaces::Table;

# Copyright (C) Spaces for nginx contributors

# The one table of all that is measured: each measurement adds its rows to a
# file that t/bench/table names in the environment, and prints.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(row rows);

# What was measured, ours and theirs with their units ('' where there is none),
# the figure that is judged, and its aim: "at most" or "at least" so much.
sub row {
    my ($what, $ours, $theirs, $figure, $bound, $aim) = @_;
    my $name = $ENV{SPACES_BENCH_TABLE} // return;
    my $met = $bound eq 'at most' ? $figure <= $aim : $figure >= $aim;
    open my $out, '>>', $name or die "$name: $!";
    print $out join("\t", $what, $ours, $theirs, $figure, "$bound $aim",
                    $met ? 'met' : 'missed'), "\n";
    close $out or die "$name: $!";
}

sub rows {
    my ($name) = @_;
    open my $in, '<', $name or return;
    return map { chomp; [split /\t/, $_, -1] } <$in>;
}

1;
