package Test::Spaces::Bench;

# Copyright (C) Spaces for nginx contributors

# What t/bench/fanout and t/bench/tick share: the programs of fanout.c, their
# pipes, and an nginx with room for many.

use strict;
use warnings;

use parent 'Test::Spaces';

use Exporter 'import';
use IPC::Open2 qw(open2);
use Mojo::JSON qw(decode_json);
use POSIX qw(WNOHANG);
use Test::Spaces qw(slurp spurt);
use Time::HiRes qw(clock_gettime);

our @EXPORT_OK = qw(compile command ask stop alive feed cpu busy pin head_of
                    mine);

# no log of all answers: each of its variables takes memory of each request
sub contract_log { return '' }

sub no_contract { return 'writing it would be measured as well' }

# what is alive, so that nothing stays behind when a run dies

my %children;
$SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { exit 1 } for qw(INT TERM);
END { local $?; kill 'KILL', keys %children if %children }

my ($program, $dir, $pinned);

# the program, in a folder that is ours; "pin" if each gets a core of its own
sub compile {
    my ($source, $where, $pin) = @_;
    ($program, $dir, $pinned) = ("$where/fanout", $where, $pin);
    system('gcc', '-O2', '-o', $program, $source) == 0
        or die "$source does not compile\n";
}

# a process that is ours now: it doesn't outlive us
sub mine { $children{ $_[0] } = 1 }

# a mode of the C program, with pipes to it and from it
sub command {
    my $pid = open2(my $out, my $in, $program, @_);
    mine($pid);
    return { pid => $pid, in => $in, out => $out };
}

sub ask {
    my ($child, $what) = @_;
    syswrite $child->{in}, "$what\n";
    my $line = readline $child->{out};
    return decode_json($line // die "no answer to $what\n");
}

sub stop {
    my ($child) = @_;
    kill 'KILL', $child->{pid};
    waitpid $child->{pid}, 0;
    delete $children{ $child->{pid} };
}

sub alive {
    my ($child, $kind) = @_;
    return if waitpid($child->{pid}, WNOHANG) == 0;
    delete $children{ $child->{pid} };
    die "$kind: the sources ended before the listeners\n";
}

# sources that send the pages of a file, each behind its head
sub feed {
    my ($port, $pages, @heads) = @_;
    spurt("$dir/heads", join '', map { "$_\0" } @heads);
    my $feed = command('feed', $port, $pages, "$dir/heads");
    pin($feed->{pid}, 1);
    readline $feed->{out} // die "the sources could not begin\n";
    return $feed;
}

# what a source of a Space says first
sub head_of {
    my ($space) = @_;
    return "PUT /spaces/$space->{id}/ingest HTTP/1.1\r\nHost: localhost\r\n"
           . "Authorization: Bearer $space->{token}\r\n"
           . "Transfer-Encoding: chunked\r\n\r\n";
}

# The CPU time of all threads of processes, in seconds: what utime and stime
# in /proc/<pid>/stat say in hundredths of a second (clock_getcpuclockid(3)).

sub cpu {
    my $cpu = 0;
    $cpu += clock_gettime(-8 * ($_ + 1) + 2) for @_;
    return $cpu;
}

# that of the whole machine
sub busy {
    my (undef, $user, $nice, $system, undef, undef, $irq, $softirq)
        = split ' ', slurp('/proc/stat');
    return ($user + $nice + $system + $irq + $softirq) / 100;
}

sub pin {
    my ($pid, $core) = @_;
    system("taskset -acp $core $pid >/dev/null") if $pinned;
}

# the tests' nginx, with room for the listeners
sub conf {
    my ($self) = @_;
    my $conf = $self->SUPER::conf;

    my $files = $self->{connections} + 200;
    $conf =~ s/worker_connections \d+/multi_accept on; worker_connections $self->{connections}/;
    $conf =~ s/^(worker_processes.*)$/$1\nworker_rlimit_nofile $files;/m;

    return $conf;
}

1;
