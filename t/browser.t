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
use Test::Spaces::Script;

my $top = "$FindBin::Bin/..";
my $chromium = $ENV{CHROMIUM} // '/usr/bin/chromium';

# what isn't there is no reason to pass
die "no browser: \"make test\" installs what is missing\n"
    if !-x $chromium || !-d "$top/build/browser/node_modules";

sub script { return "$FindBin::Bin/browser/$_[0].mjs" }

told('strings', begin(script('strings')));

# side by side: most of the time they wait for what takes its time

my @running;
for my $name (grep { !/^(?:lib|strings|screenshots)$/ }
              map { /([^\/]+)\.mjs$/ } sort glob "$top/t/browser/*.mjs")
{
    my $s = Test::Spaces::Example->new(example => 'spaces');
    $s->start;
    push @running, [$name, begin(script($name), $s->url), $s];
}
for (@running) {
    my ($name, $tap, $s) = @$_;
    told($name, $tap);
    $s->stop;
}

done_testing;
