#!/usr/bin/perl

# src/media under AddressSanitizer and UBSan: "make test" builds it.

use strict;
use warnings;

use FindBin;

exec { 'env' } 'env', 'CMOCKA_MESSAGE_OUTPUT=TAP', 'ASAN_OPTIONS=detect_leaks=1',
    "$FindBin::Bin/../build/unit-media" or die "build/unit-media: $!";
