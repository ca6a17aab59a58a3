#!/usr/bin/perl

# The README: what it says exists, what exists it says, and its configuration
# is one that nginx takes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Spaces;
use Test::Spaces::Readme;

my $top = "$FindBin::Bin/..";
my $readme = readme();
my $module = slurp("$top/src/ngx_http_spaces_module.c")
             . slurp("$top/src/ngx_http_spaces_variables.c");
my $answer = slurp("$top/src/ngx_http_spaces_answer.c");

sub same {
    my ($said, $are, $name) = @_;
    my %seen;
    is_deeply([sort grep { !$seen{$_}++ } @$said], [sort @$are], $name);
}

my ($table) = $readme =~ /^## Directives\n(.*?)^## /ms;
same([$table =~ /^\| `(spaces_\w+)/mg],
     [$module =~ /\{ ngx_string\("(spaces_\w+)"\),\s+NGX_HTTP/g],
     'every directive');

# each in the contexts where nginx takes it; "same" is as the one before

my %context = (MAIN => 'http', SRV => 'server', LOC => 'location');
my (%in, $before);
for ($table =~ /^\| (`spaces_.*)/mg) {
    my ($name, $contexts) = /^`(spaces_\w+)[^|]*\| ([^|]*?) \|/ or die $_;
    $before = $contexts =~ s/ \(.*\)//r if $contexts ne 'same';
    $in{$name} = $before;
}
my %takes;
while ($module =~ /\{ ngx_string\("(spaces_\w+)"\),\s+(NGX_HTTP_[A-Z_|0-9]+)/g) {
    my ($name, $flags) = ($1, $2);
    $takes{$name} = join ', ', map { $context{$_} }
                    $flags =~ /NGX_HTTP_([A-Z]+)_CONF\b/g;
}
is_deeply(\%in, \%takes, 'and where it may be');

my ($variables) = $table =~ /^Variables: (.*?)\n\n/ms;
same([$variables =~ /`\$(spaces_\w+)`/g],
     [$module =~ /\{ ngx_string\("(spaces_\w+)"\), NULL/g], 'every variable');

my %problems = reverse $answer =~ /\{ (\d{3}), "(urn:spaces:[\w-]+)"/g;
my %said = reverse $readme =~ /^\| (\d{3}) \| `(urn:spaces:[\w-]+)`/mg;
# what the module doesn't answer, but nginx in the same words
is(delete $said{'urn:spaces:too-many-requests'}, 429, 'that of the limits');
is_deeply(\%said, \%problems, 'every error, with its status');

my $s = Test::Spaces->new(no_redis => 1);
my $dir = $s->{dir};
my $line = $s->module_line;

my $block = take_block('nginx', qr/^load_module/);
cmp_ok(scalar(() = $block =~ /spaces_/g), '>=', 8, 'has its lines');
$block =~ s/^load_module.*/$line\npid $dir\/nginx.pid;/m;
$block =~ s/\/srv\/spaces/$dir\/spaces/;
$block =~ s/listen 8080/listen 127.0.0.1:$s->{port}/;
spurt("$dir/users", '');
spurt("$dir/readme.conf", $block);
my $out = `@{[ $s->nginx ]} -p $dir/ -c $dir/readme.conf -e $dir/e.log -t 2>&1`;
is($?, 0, 'nginx takes it') or diag($out);

# the picture of the architecture has every file, and no other

my $picture = take_block('', qr/src\/media, which knows no nginx/);
nothing_left();
my %there = map { s/.*?(?:ngx_http_)?spaces_(\w+)\.c$/$1/r => 1 }
            glob("$top/src/*.c $top/src/media/*.c");
my ($text) = $readme =~ /^## Architecture\n(.*?)^## /ms;
my @missing = grep { $picture !~ /\b$_\b/ && $text !~ /`$_`/ }
              sort keys %there;
is_deeply(\@missing, [], 'every file is in the picture');
my @gone = grep { !$there{$_} }
           $picture =~ /\b([a-z]+_[a-z_]+)\b/g;
is_deeply(\@gone, [], 'and nothing that is gone');

# every block says by which tests it is run, and they take theirs, and fail on
# what is left; the picture at the top is none

my $marked = '';
for my $line (split /\n/, $readme =~ s/\A.*?^## //msr) {
    if ($line =~ /^```(\w*)$/ && $marked ne 'open') {
        my ($language) = $1;
        my @tests = $marked =~ /(t\/\w+\.t)/g;
        ok(@tests && !(grep {
               my $test = slurp("$top/$_");
               $test !~ /\btake_block\(/ || $test !~ /^\s*nothing_left\(\);/m
           } @tests), "a block of '$language', tested by '@tests'");
        $marked = 'open';
    } elsif ($line eq '```') {
        $marked = '';
    } elsif ($marked ne 'open') {
        $marked = $line =~ /^<!-- tested by (.*) -->$/ ? $1 : '';
    }
}

# every file it links to

ok(-e "$top/$_", "$_ is there") for $readme =~ /\]\(([\w\/.]+)\)/g;

done_testing;
