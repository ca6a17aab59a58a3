#!/usr/bin/perl

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

# a script that tells in TAP what it has found
sub script {
    my ($name, @args) = @_;
    subtest $name => sub {
        open my $tap, '-|', 'node', "$FindBin::Bin/browser/$name.mjs", @args
            or die "node: $!";
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

script('strings');

for my $name (grep { !/^(?:lib|strings|screenshots)$/ }
              map { /([^\/]+)\.mjs$/ } sort glob "$top/t/browser/*.mjs")
{
    my $s = Test::Spaces::Example->new(example => 'spaces');
    $s->start;
    script($name, $s->url);
    $s->stop;
}

done_testing;
