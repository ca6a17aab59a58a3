package Test::Spaces::Readme;

# Copyright (C) Spaces for nginx contributors

# The blocks of the README, for the tests that are named above them: each test
# takes its own by what it says, and fails on what it has not taken.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(basename dirname);
use Test::More;

our @EXPORT = qw(readme blocks_of take_block nothing_left);

my $top = abs_path(dirname(__FILE__) . '/../../../..');
my (%left, $whole);

sub readme {
    return $whole if defined $whole;
    open my $file, '<:raw', "$top/README.md" or die "README.md: $!";
    local $/;
    return $whole = <$file>;
}

# [language, text] of each that a test is named above
sub blocks_of {
    my ($test) = @_;
    my ($text, @blocks) = readme();
    while ($text =~ /^<!-- tested by ([^\n]*) -->\n```(\w*)\n(.*?)^```$/msg) {
        my ($by, @block) = ($1, $2, $3);
        push @blocks, \@block if grep { $_ eq $test } split /, | and /, $by;
    }
    return @blocks;
}

sub left { return $left{ $_[0] } //= [blocks_of($_[0])] }

sub caller_test { return 't/' . basename($0) }

# the one block of this test in that language with that in it
sub take_block {
    my ($language, $like) = @_;
    my $left = left(caller_test());
    my @found = grep { $_->[0] eq $language && $_->[1] =~ $like } @$left;
    is(scalar @found, 1, "the README has $like, once") or return '';
    @$left = grep { $_ != $found[0] } @$left;
    return $found[0][1];
}

sub nothing_left {
    is_deeply(left(caller_test()), [],
              'nothing of the README is left that was to be tried here');
}

1;
