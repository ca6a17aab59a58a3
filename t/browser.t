#!/usr/bin/perl

# Copyright (C) Spaces for nginx contributors

# The pages, in Chromium: t/browser/*.mjs against the example as it is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Spaces;
use Test::Spaces::Example;

my $top = "$FindBin::Bin/..";
my $chromium = $ENV{CHROMIUM} // '/usr/bin/chromium';

# what isn't there is no reason to pass
die "no browser: \"make test\" installs what is missing\n"
    if !-x $chromium || !-d "$top/build/browser/node_modules";

# a script that tells in TAP what it has found; it goes on by itself

sub begin {
    my ($name, @args) = @_;
    open my $tap, '-|', 'node', "$FindBin::Bin/browser/$name.mjs", @args
        or die "node: $!";
    return $tap;
}

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

told('strings', begin('strings'));

# side by side: most of the time they wait for what takes its time

my @running;
for my $name (grep { !/^(?:lib|strings|screenshots)$/ }
              map { /([^\/]+)\.mjs$/ } sort glob "$top/t/browser/*.mjs")
{
    my $s = Test::Spaces::Example->new(example => 'spaces');
    $s->start;
    push @running, [$name, begin($name, $s->url), $s];
}
for (@running) {
    my ($name, $tap, $s) = @$_;
    told($name, $tap);
    $s->stop;
}

done_testing;
