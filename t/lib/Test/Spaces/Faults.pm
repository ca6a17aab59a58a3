package Test::Spaces::Faults;

# Copyright (C) Spaces for nginx contributors

# An nginx whose calls to the disk fail, stall or kill it where a test says;
# see t/fault/fault.c.

use strict;
use warnings;

use File::Temp ();
use FindBin;

use parent 'Exporter';
our @EXPORT = qw(with_faults faults);

my $folder;

# the library, built once per test file
sub library {
    return "$folder/fault.so" if $folder;
    $folder = File::Temp->newdir;
    system($ENV{CC} // 'cc', '-O1', '-Wall', '-Werror', '-shared', '-fPIC', '-o',
           "$folder/fault.so", "$FindBin::Bin/fault/fault.c", '-ldl') == 0
        or die 'fault.c does not compile';
    return "$folder/fault.so";
}

# for Test::Spaces->new
sub with_faults { return (preload => library()) }

# what is to happen from now on; nothing without lines
sub faults {
    my ($s, @lines) = @_;
    Test::Spaces::spurt("$s->{dir}/faults", join '', map { "$_\n" } @lines);
    chmod 0666, "$s->{dir}/faults";
}

1;
