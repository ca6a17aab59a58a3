#!/usr/bin/perl

# Half a minute of what t/bench/soak does for hours.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Spaces::Soak;

my @said;
my $s = Test::Spaces::Soak->new(seed => 7, hit => 14, calm => 4, rooms => 6,
                                say => sub { push @said, $_[0] });

is(join("\n", $s->run), '', 'all is accounted for') or diag(join "\n", @said);
cmp_ok(scalar(grep { $_->{final} } values %{ $s->{kept} }), '>', 5,
       'there was something to account for');

done_testing;
