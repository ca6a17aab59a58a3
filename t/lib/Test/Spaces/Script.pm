package Test::Spaces::Script;

# Copyright (C) Spaces for nginx contributors

# Scripts for Node.js that tell in TAP what they have found.

use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT = qw(begin told);

# one that goes on by itself
sub begin {
    my ($script, @args) = @_;
    open my $tap, '-|', 'node', $script, @args or die "node: $!";
    return $tap;
}

# what it says, to its end
sub told {
    my ($name, $tap) = @_;
    subtest $name => sub {
        my $plan;
        while (my $line = <$tap>) {
            if (my ($not, $what) = $line =~ /^(not )?ok \d+ - (.*)/) {
                ok(!$not, $what);
            } elsif ($line =~ /^1\.\.\d+/) {
                $plan = 1;
            } else {
                diag($line =~ s/^# |\n\z//gr);
            }
        }
        close $tap;
        ok($plan, 'it came to its end');
    };
}

1;
