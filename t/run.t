#!/usr/bin/perl

# "make run", as a newcomer meets it: what it prints is pasted into a shell.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use POSIX qw(WNOHANG);
use Test::More;
use Test::Spaces;
use Test::Spaces::Readme;
use Time::HiRes qw(sleep);

my $top = abs_path("$FindBin::Bin/..");
my $tmp = tempdir('spaces-run-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $tmp;

my @runs;

# what the README says to type, and that there is such a thing
my @lines = split /\n/, take_block('sh', qr/^make run\b/);
nothing_left();
my @commands = map { s/\s*#.*//r } @lines;
is($commands[0], 'make run', 'the first command');
my $targets = slurp("$top/Makefile");
like($targets, qr/^\Q@{[ s{^make }{}r ]}\E:/m, $_) for @commands;

# two at once, beside each other
for my $n (1, 2) {
    my $run = { port => Test::Spaces::free_port(), dir => "$tmp/run$n",
                out => "$tmp/out$n" };
    $run->{pid} = fork // die;
    if ($run->{pid} == 0) {
        POSIX::setsid();
        # who runs this in the background has it ignored
        $SIG{INT} = 'DEFAULT';
        # as Debian has it for who is not root: nginx isn't in it
        $ENV{PATH} = '/usr/local/bin:/usr/bin:/bin' if $n == 2;
        chdir $top;
        open STDOUT, '>', $run->{out};
        open STDERR, '>&', \*STDOUT;
        exec split(/ /, $commands[0]), "PORT=$run->{port}", "RUN_DIR=$run->{dir}";
        die;
    }
    push @runs, $run;
}

for my $run (@runs) {
    my $dead;
    until_ok(sub {
        $dead = waitpid($run->{pid}, WNOHANG) > 0;
        return $dead || slurp($run->{out}) =~ /^Share it:\n\n.*\n\n/m;
    }, 120);
    ok(!$dead, 'it runs') or BAIL_OUT(slurp($run->{out}));
    like(slurp($run->{out}), qr/http:\/\/localhost:$run->{port}\b/,
         'and says where');

    mkdir "$run->{dir}/paste";
    my $paste = join '', map { s/^    //r } grep { /^    / }
                split /^/, slurp($run->{out});
    spurt("$run->{dir}/paste.sh", "set -e\ncd $run->{dir}/paste\n$paste");
    my $out = run_ok('what it says to paste works', 'sh',
                     "$run->{dir}/paste.sh");
    like($out, qr/Audio: opus, 48000 Hz/, 'a recording was played');
    like($out, qr/"url":"http:\/\/localhost:$run->{port}\/s\/[\w-]+"/,
         'and shared');
    my $recorded = slurp("$run->{dir}/paste/first.opus");
    oggz_ok($recorded, 'as others see it');
    cmp_ok(decoded_ms($recorded), '>', 4900, 'five seconds');

    my $page = `curl -s http://localhost:$run->{port}/`;
    like($page, qr/Spaces for nginx/, 'the page');
    my $log = slurp("$run->{dir}/logs/access.log");
    like($log, qr/"GET \/spaces\/\w+\/replay HTTP.*state=ended/, 'the log');
}

# Ctrl-C goes to the terminal's whole foreground group; who has started "make"
# from a program of theirs tells it alone

for my $run (@runs) {
    my @below = below($run->{pid});
    cmp_ok(scalar @below, '>=', 4, 'processes');
    kill $run == $runs[0] ? ('INT', -$run->{pid}) : ('TERM', $run->{pid});
    ok(until_ok(sub { waitpid($run->{pid}, WNOHANG) > 0 }, 60), 'it stops');
    ok(until_ok(sub { !grep { kill 0, $_ } @below }, 20),
       'and leaves no process behind');
    like(slurp($run->{out}), qr/^stopped$/m, 'and says so');
}

# a port that is taken

my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
my $out = `cd $top && make run PORT=@{[ $taken->sockport ]} RUN_DIR=$tmp/run3 2>&1`;
isnt($?, 0, 'a port that is taken: refused');
like($out, qr/is port \d+ taken\? PORT= gives another/, 'and told what to do');

done_testing;

sub below {
    my ($pid) = @_;
    my @children = grep { $_ } split /\s+/,
        slurp("/proc/$pid/task/$pid/children");
    return @children, map { below($_) } @children;
}
