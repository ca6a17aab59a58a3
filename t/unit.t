#!/usr/bin/perl

# src/media under AddressSanitizer and UBSan: "make test" builds it.

use strict;
use warnings;

use FindBin;

$ENV{CMOCKA_MESSAGE_OUTPUT} = 'TAP';
$ENV{ASAN_OPTIONS} = 'detect_leaks=1';

use Test::More;

for my $source (sort glob "$FindBin::Bin/unit/*.c") {
    my ($name) = $source =~ m{([^/]+)\.c$};
    my $out = `$FindBin::Bin/../build/unit-$name 2>&1`;
    is($?, 0, "unit-$name passes") or diag($out);
    my $n = () = $out =~ /^ok /mg;
    cmp_ok($n, '>', 0, "with $n tests");
}

done_testing();
