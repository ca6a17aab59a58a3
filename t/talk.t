#!/usr/bin/perl

# Three who talk while workers die and nginx is reloaded, and two hundred who
# listen: what all of them hear, measured in the streams and the recording.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use List::Util qw(max min);
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(broken_pages heard steady tone_power tone_profile);
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(pages);
use Time::HiRes qw(time);

my $s = Test::Spaces->new(workers => 4, small => 1, shutdown_timeout => '60s',
                          quiet => ['exited on signal 9'])->start;

my %hz = (ana => 310, bea => 890, cem => 1670);

# seconds, the length of the longest silence of a tone, in steps of 100 ms
sub longest_hole {
    my ($pcm, $hz, $from, $to) = @_;
    my $part = substr $pcm, int($from * 8000) * 4,
                      int(($to - $from) * 8000) * 4;
    my ($longest, $hole) = (0, 0);
    for (tone_profile($part, $hz, 0.1)) {
        $hole = $_ < -35 ? $hole + 1 : 0;
        $longest = $hole if $hole > $longest;
    }
    return $longest / 10;
}

# the pages of a listener, without those of the header, as one string
sub body_of {
    my (undef, undef, @pages) = map { $_->{raw} } $_[0]->pages;
    return join '', @pages;
}

# how much of it is in the recording as it is
sub parted {
    my ($piece, $out) = @_;
    my ($least, $most) = (0, length $piece);
    while ($least < $most) {
        my $half = int(($least + $most + 1) / 2);
        if (index($out, substr $piece, 0, $half) < 0) {
            $most = $half - 1;
        } else {
            $least = $half;
        }
    }
    return "the first $least of " . length($piece) . ' bytes';
}

subtest 'workers die, nginx is reloaded' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my (%who, %token, @listeners, @parts);

    for my $name (sort keys %hz) {
        my @voice = steady($hz{$name}, level => -23);
        $token{$name} = $name eq 'ana' ? $space->{token}
                                       : $s->invite($space, $name)->{token};
        $who{$name} = $loop->speak($space, \@voice, repeat => 1,
                                   reconnect => 1, token => $token{$name},
                                   how => $name eq 'bea' ? 'ogg' : 'opus');
        ok($loop->until(sub { @{ $who{$name}{sent} } > 25 }), "$name talks");
    }

    # A part begins with something that happens.  What is heard of it is looked
    # at later, for that takes long.
    my $part = sub {
        my ($name, $do) = @_;
        my @more = map { $loop->listen($space) } 1 .. 6;
        ok($loop->until(sub { !grep { !length body_of($_) } @more }),
           "$name: six more listen");
        push @listeners, @more;
        my @here = grep { !$_->{gone} } @listeners;
        my %at = map { $_ => $who{$_}->worker } keys %who;
        my %part = (name => $name, began => time, killed => 0,
                    here => \@here, at => \%at);
        my %cuts = map { $_ => $who{$_}{cuts} // 0 } keys %who;
        $loop->{stall} = 0;
        $do->(\%part);
        $loop->run(3.5);
        @part{qw(stall ended)} = ($loop->{stall}, time);
        push @parts, \%part;

        my @cut = grep { $_->{gone} && $_->worker != $part{killed} } @here;
        push @cut, grep { ($who{$_}{cuts} // 0) > $cuts{$_}
                          && $at{$_} != $part{killed} } keys %who;
        is(scalar @cut, 0, "$name: nobody elsewhere is cut");
    };

    $part->('nothing happens', sub {});
    for my $pid ($s->worker_pids) {
        $part->("worker $pid is killed", sub {
            $_[0]{killed} = $pid;
            kill 'KILL', $pid;
        });
    }
    $part->('reload', sub {
        my %old = map { $_ => 1 } $s->worker_pids;
        $s->signal('HUP');
        ok($loop->until(sub { 4 <= grep { !$old{$_} } $s->worker_pids }),
           'there are new workers');
    });

    $_->{reconnect} = 0 for values %who;
    is($loop->http('POST', "/spaces/$space->{id}/end",
                   $s->bearer($space->{token}))->code, 200, 'ended');
    ok($loop->until(sub { !grep { !$_->{gone} } @listeners }), 'it is over');

    my $out = $s->replay($space->{id});
    is(broken_pages($out, from_start => 1), '',
       'the recording: no page, no sample is missing');
    oggz_ok($out, 'the recording: one stream');

    # what anybody heard is what was recorded, from where they came in
    my @pieces = map { body_of($_) } @listeners;
    is(scalar(grep { !length } @pieces), 0, 'every listener has heard a part');
    is(join('; ', map { parted($_, $out) } grep { index($out, $_) < 0 } @pieces),
       '', 'in one piece');
    my @whole = grep { $_->{complete} } @listeners;
    cmp_ok(scalar @whole, '>=', 6, scalar(@whole) . ' heard it to the end');

    my $pcm = heard($out);
    my %clock;
    for my $part (@parts) {
        my ($name, $killed) = @$part{qw(name killed)};
        my @left = grep { $_->worker != $killed } @{ $part->{here} };
        my $gap = max(map { gap_of($_, @$part{qw(began ended)}) } @left);
        cmp_ok($gap, '<', 1 + $part->{stall},
               sprintf '%s: elsewhere a page comes every %.2f s', $name, $gap);

        # the media clock at a time on the wall, by who hears soonest
        my @behind = map { [$_->{arrived}, $_->{arrived}
                                           - $_->{granule} / 48000] }
                     grep { $_->{granule} > 0 } map { $_->pages } @left;
        my $settled = $part->{began} + 1.5;
        $clock{$name} = min map { $_->[1] }
                            grep { $_->[0] > $settled
                                   && $_->[0] < $part->{ended} } @behind;
        my ($from, $to) = map { $_ - $clock{$name} } @$part{qw(began ended)};
        $to = min($to, length($pcm) / 32000);

        for my $me (sort keys %hz) {
            my $hit = $part->{at}{$me} == $killed;
            my $hole = longest_hole($pcm, $hz{$me}, $from, $to);
            my $most = ($killed ? 1 : 0.5) + $part->{stall};
            cmp_ok($hole, '<=', $most, "$name: $me is silent for $hole s")
                if !$hit;
            my $power = tone_power($pcm, $hz{$me}, $to - 1, $to);
            cmp_ok($power, '>', -33,
                   sprintf '%s: %s is at %.1f dB %s', $name, $me, $power,
                           $hit ? 'again' : 'still');
            cmp_ok($power, '<', -20, "$name: $me is not louder");

            # and what they hear of the others
            my $hears = heard([$who{$me}->packets_between(
                                   $part->{ended} - 1.5, $part->{ended})]);
            next if $who{$me}{how} ne 'opus';
            for my $other (grep { $_ ne $me } sort keys %hz) {
                cmp_ok(tone_power($hears, $hz{$other}), '>', -33,
                       "$name: $me hears $other");
            }
            cmp_ok(tone_power($hears, $hz{$me}), '<', -50,
                   "$name: $me doesn't hear the own voice");
        }
    }

    my @clock = map { $clock{ $_->{name} } } @parts;
    my $lasts = $parts[-1]{ended} - $parts[0]{began};
    my $parted = max(@clock) - min(@clock);
    cmp_ok($parted, '<', 0.1, sprintf 'in %d s the clock of the stream and '
           . 'that on the wall part by %.1f ms', $lasts, $parted * 1000);
    like($s->error_log, qr/goes on in this worker/,
         'another worker has gone on with it');
};

# the longest time without a page
sub gap_of {
    my ($l, $from, $to) = @_;
    my @at = grep { $_ > $from && $_ < $to } map { $_->{arrived} } $l->pages;
    return max(map { $at[$_] - $at[$_ - 1] } 1 .. $#at) // 0;
}

sub memory_of {
    my $sum = 0;
    for my $pid ($s->worker_pids) {
        $sum += $1 if slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;
    }
    return $sum;
}

subtest 'some that never read beside two hundred that do' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my @fat = steady(590, bitrate => '98k', cbr => 1, channels => 2);
    $loop->speak($space, \@fat, repeat => 1);
    ok($loop->until(sub { $s->space($space->{id})->{state} eq 'live' }),
       'live');

    my @l = map { $loop->listen($space) } 1 .. 200;
    my @never;
    for (1 .. 40) {
        push @never, $loop->listen($space, connection => $s->small_socket,
                                   reads => 0);
    }
    ok($loop->until(sub { !grep { length $_->{body} < 20_000 } @l }),
       'two hundred listen');

    # whoever holds back has no memory of their own
    my $before = memory_of();
    my $log = length $s->error_log;
    my $dropped = sub {
        return () = substr($s->error_log, $log) =~ /listener was too slow/g;
    };
    ok($loop->until(sub { @never <= scalar $dropped->() }, 60),
       'those who never read are dropped');
    my $grown = memory_of() - $before;
    # a copy for each would be eight times as much; sanitizers keep some, too
    my $most = $ENV{SPACES_SANITIZED} ? 4096 : 1024;
    cmp_ok($grown, '<', $most, "memory grew by $grown KB");

    is(scalar(grep { $_->{gone} } @l), 0, 'nobody else is');
    is($loop->http('POST', "/spaces/$space->{id}/end",
                   $s->bearer($space->{token}))->code, 200, 'ended');
    ok($loop->until(sub { !grep { !$_->{complete} } @l }),
       'they hear it to the end');

    my $out = $s->replay($space->{id});
    is(broken_pages($out, from_start => 1), '', 'the recording is sound');
    my @pieces = map { body_of($_) } @l;
    is(scalar(grep { !length $_ || substr($out, -length $_) ne $_ } @pieces),
       0, 'each has all of it, from where they came in');
    cmp_ok(scalar $dropped->(), '==', @never, 'nobody else was too slow');
};

$s->stop;

done_testing;
