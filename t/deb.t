#!/usr/bin/perl

# The Debian package, from "make deb" to "apt-get purge", on this very machine;
# and "make install".

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/lib";

use Fcntl qw(:flock);
use File::Temp qw(tempdir);
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build silence_of);
use Test::Spaces::Readme;

my $top = abs_path("$FindBin::Bin/..");
my $name = 'libnginx-mod-http-spaces';
my $so = '/usr/lib/nginx/modules/ngx_http_spaces_module.so';
my $doc = "/usr/share/doc/$name";
my $html = "/usr/share/$name/html";
my $available = '/usr/share/nginx/modules-available/mod-http-spaces.conf';
my $link = '/etc/nginx/modules-enabled/50-mod-http-spaces.conf';

my @sudo = $> == 0 ? () : 'sudo';

# others who install something are waited for
my @apt = (@sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1',
           'apt-get', '-y', '-q', '-o', 'DPkg::Lock::Timeout=600');

sub output { return scalar qx($_[0]) }

# the checkout stays as it is

my $status = "cd $top && git status --porcelain 2> /dev/null";
my $before = output($status);
run_ok('make deb', 'make', '-C', $top, 'deb');
is(output($status), $before, 'it leaves nothing in the sources');

my ($version) = slurp("$top/debian/changelog") =~ /^\Q$name\E \((\S+)\)/;
my ($deb) = glob "$top/build/deb/${name}_${version}_*.deb";
ok($deb, "the version is that of the changelog: $version")
    or BAIL_OUT('no package');

my $readme = readme();
my ($make, $install) = take_block('sh', qr/\.deb\b/)
    =~ /^(make \w+).*\n.*apt-get install (\S+\.deb)/;
is($make, 'make deb', 'how the README makes it');
nothing_left();
is_deeply([glob "$top/$install"], ["$top/./build/deb/" . $deb =~ s/.*\///r],
          'what the README installs');

# what is in it

my %field = map { split /: /, $_, 2 } grep { /^\S/ }
            split /\n/, output("dpkg-deb -f $deb");
like($field{Depends}, qr/\b\Q$_\E\b/, "depends on $_")
    for qw(libhiredis0.14 libjansson4 libogg0 libopus0 libssl3 libwslay1);
like($field{Depends}, qr/\bnginx-abi-[\d.-]+/, 'and on the ABI of nginx');
like($field{Recommends}, qr/\b$_\b/, "recommends $_")
    for qw(nginx redis-server);

my $tree = tempdir('spaces-deb-XXXXXX', TMPDIR => 1, CLEANUP => 1);
run_ok('unpacked', 'dpkg-deb', '-x', $deb, $tree);
my @files = map { s/^\Q$tree\E//r }
            split /\n/, output("find $tree -type f | sort");
my @ours = split /\n/, output("cd $top && find html -type f");
is(slurp("$tree/usr/share/$name/$_"), slurp("$top/$_"), $_) for @ours;
my @examples = map { s/.*\///r } glob "$top/conf/examples/*";
is_deeply([sort @files],
          [sort $so, $available,
                (map { "$doc/$_" } qw(README.md.gz changelog.gz copyright)),
                (map { "$doc/examples/$_" } @examples),
                (map { "/usr/share/$name/$_" } @ours)], 'and nothing else');
is(output("zcat $tree$doc/README.md.gz"), $readme, 'the README');
my ($license) = slurp("$top/LICENSE") =~ /(Redistribution.*)/s;
my $copyright = slurp("$tree$doc/copyright") =~ s/^ \.?//mgr;
is(join(' ', $copyright =~ /(Redistribution.*)/s ? split ' ', $1 : ()),
   join(' ', split ' ', $license), 'the license, word by word');

my $root = $> == 0 ? '--allow-root' : '';
is(output("LC_ALL=C.UTF-8 lintian $root --tag-display-limit 0 $deb 2>&1"), '',
   'lintian has neither errors nor warnings');

# installed: one test at a time has this machine's nginx for itself

open my $lock, '>>', '/run/lock/spaces-deb-test' or die "lock: $!";
flock $lock, LOCK_EX or die;

my $installed = "dpkg-query -W -f '\${Status}' $name 2> /dev/null";
if (output($installed) =~ /^(?:install|hold|deinstall) ok \w/
    && output($installed) !~ /not-installed$/)
{
    fail("it is here already: apt-get purge $name");
    done_testing;
    exit;
}

# neither nginx nor anything else is started by it
my $policy = '/usr/sbin/policy-rc.d';
my $is_ours = !-e $policy;
system(@sudo, 'sh', '-c', "printf '#!/bin/sh\\nexit 101\\n' > $policy"
                          . " && chmod 755 $policy") if $is_ours;
my $purge;

END {
    local $?;
    system(join ' ', @apt, 'purge', $name, '> /dev/null') if $purge;
    system(@sudo, 'rm', '-f', $policy) if $is_ours;
}

$purge = 1;
run_ok('apt-get install', @apt, 'install', '--no-install-recommends', $deb);
is(readlink $link, $available, 'it is enabled');

# the README's configuration, in what Debian's nginx.conf includes

my ($block) = $readme =~ /```nginx\n(load_module.*?)```/s;
my ($http) = $block =~ /^http \{\n(.*)^\}/ms;
ok($http, 'the README has a configuration');

my $s = Test::Spaces->new(daemon => 1, quiet => ['is already loaded']);
my $dir = $s->{dir};
$http =~ s/spaces_path\s+\S+;/spaces_path $dir\/spaces;/;
$http =~ s/spaces_redis\s+\S+;/spaces_redis unix:$dir\/redis.sock;/;
$http =~ s/listen 8080/listen 127.0.0.1:$s->{port}/;
spurt("$dir/users", 'ana:{PLAIN}secret');

# as it is below the prefix that Debian's nginx has
symlink '/usr/lib/nginx/modules', "$dir/modules";

sub conf {
    my ($include) = @_;
    return "$include\npid $dir/nginx.pid;\nerror_log $dir/logs/error.log info;"
           . "\nworker_processes 2;\nevents {}\nhttp {\n"
           . "client_body_timeout 900s;\n"
           . "access_log $dir/logs/access.log;\n" . $s->contract_log
           . join('', map { "${_}_temp_path $dir/temp/$_;\n" }
                      qw(client_body proxy fastcgi uwsgi scgi))
           . "${http}}\n";
}

my $nginx = Test::Spaces::nginx();
my $test = "$nginx -p $dir/ -c $dir/test.conf -e $dir/logs/error.log -t 2>&1";
spurt("$dir/test.conf", conf('include /etc/nginx/modules-enabled/*.conf;'));
my $out = output($test);
is($?, 0, 'nginx takes it') or diag($out);

my $twice = "load_module modules/ngx_http_spaces_module.so;\n";
spurt("$dir/test.conf",
      conf("include /etc/nginx/modules-enabled/*.conf;\n$twice"));
like(output($test), qr/module "ngx_http_spaces_module" is already loaded/,
     'not what loads it again');

# a Space, and the pages

{
    no warnings 'redefine';
    local *Test::Spaces::conf = sub {
        my $conf = conf('include /etc/nginx/modules-enabled/*.conf;');
        my $pages = "location / { root $html; }";
        return $conf =~ s/(spaces_user \$remote_user;)/$pages $1/r;
    };
    $s->start;
}

my $ana = { Authorization => 'Basic YW5hOnNlY3JldA==' };
my $space = $s->http('POST', '/spaces', $ana,
                     json => { title => 'A Space', record => true })->json;
ok($space->{token}, 'a Space');
my $host = $s->begin_ingest($space);
Test::Spaces::chunk($host, build(packets => [silence_of(50)], no_eos => 1));
ok(until_ok(sub {
    my $found = $s->http('GET', "/spaces/$space->{id}", $ana)->json;
    return $found->{state} eq 'live';
}), 'is live');
is($s->http('GET', '/studio.html', $ana)->body, slurp("$top/html/studio.html"),
   'the pages');

# an upgrade, meanwhile

my @workers = $s->worker_pids;
run_ok('upgraded', @apt, 'install', '--reinstall', '--no-install-recommends',
       $deb);
is_deeply([$s->worker_pids], \@workers, 'what is live goes on');
print $host "0\r\n\r\n";
like(Test::Spaces::read_all($host, 30), qr/^HTTP\/1.1 200 .*"available"/s,
     'recorded');
oggz_ok($s->http('GET', "/spaces/$space->{id}/replay", {})->body, 'replayed');
my $share = $s->http('POST', "/spaces/$space->{id}/shares", $ana, json => {});
is($s->http('GET', '/s/' . $share->json->{token} . '/audio')->code, 200,
   'shared');
my $old = $s->new_binary;
kill 'QUIT', $old;
ok(until_ok(sub { Test::Spaces::is_gone($old) }, 60),
   'a new binary takes over');
is($s->http('GET', "/spaces/$space->{id}/replay", {})->code, 200,
   'and goes on');

# what the operator has disabled stays so

system(@sudo, 'rm', $link);
run_ok('upgraded', @apt, 'install', '--reinstall', '--no-install-recommends',
       $deb);
ok(!-l $link, 'not enabled against the will of the operator');
system(@sudo, 'ln', '-s', $available, $link);

# gone: all that came with it, and nothing else

run_ok('removed', @apt, 'remove', $name);
ok(!-l $link, 'and not enabled');
spurt("$dir/test.conf", "include /etc/nginx/modules-enabled/*.conf;\n"
                        . "pid $dir/other.pid;\nevents {}\n");
$out = output($test);
is($?, 0, 'nginx starts without it') or diag($out);
run_ok('purged', @apt, 'purge', $name);
$purge = 0;
is_deeply([grep { -e || -l } @files, $html, $doc, glob "$link*"], [],
          'nothing of it is left');
is(scalar(() = glob "$dir/spaces/recordings/*/*.opus"), 1,
   'but the recordings');
is($s->http('GET', "/spaces/$space->{id}/replay", {})->code, 200,
   'which can be heard until nginx restarts');

$s->stop;

# make install, twice: what a running nginx has mapped is not written to

my $destination = "$dir/destination";
my (@inodes, @mapped);
for (1, 2) {
    run_ok('make install', 'make', '-C', $top, 'install',
           "DESTDIR=$destination");
    open my $mapped, '<', "$destination$so" or die;
    push @inodes, (stat $mapped)[1];
    push @mapped, $mapped;
}
is(output("cd $destination && find . -type f -printf '%P %m\\n'"),
   substr("$so 644\n", 1), 'the module, and nothing else');
isnt($inodes[0], $inodes[1], 'it is a new file');
spurt("$dir/test.conf", conf("load_module $destination$so;"));
$out = output($test);
is($?, 0, 'nginx takes it') or diag($out);

done_testing;
