package Test::Spaces::Soak::Reckoning;

# Copyright (C) Spaces for nginx contributors

# What a soak ends with: the disk, Redis and what is answered agree with each
# other and with what was done, and every packet is in a recording or has a
# reason not to be.

use strict;
use warnings;

use List::Util qw(max min sum0);
use Test::Spaces qw(slurp);
use Test::Spaces::Audio qw(samples);
use Test::Spaces::Ogg qw(numbers pages);
use Time::HiRes qw(time);

sub of {
    my ($s) = @_;
    my @wrong;

    # what is due at this moment is done in the next
    my $until = time + 20;
    while (1) {
        @wrong = agreement($s);
        last if !@wrong || time > $until;
        $s->await(0.5, sub { 0 });
    }

    push @wrong, promises($s), answers($s), recordings($s);

    my %told;
    for my $space (grep { $_ && !$told{ $_->{id} }++ }
                   map { $s->{spaces}{ substr $_, 0, 20 } } @wrong)
    {
        $s->note(story($s, $space));
    }
    return @wrong;
}

# Redis

sub hash { return { @{ $_[0]->redis('HGETALL', $_[1]) } } }

sub zset { return @{ $_[0]->redis('ZRANGE', "spaces:$_[1]", 0, -1) } }

sub known {
    my ($s) = @_;
    return { map { /^spaces:space:\{(\w+)\}\z/
                       ? ($1 => hash($s, $_)) : () }
             @{ $s->redis('KEYS', 'spaces:space:*') } };
}

# files by id: where/suffix
sub files {
    my ($s) = @_;
    my (%of, @odd);
    for my $file (map { glob "$s->{dir}/spaces/$_" }
                  'live/*', 'recordings/*/*', 'held/*')
    {
        my ($where, $id, $suffix)
            = $file =~ m{(live|recordings|held)/(?:\w\w/)?(\w{20})\.(opus|json)\z};
        if ($file =~ /\.wave\z/) {
            # it goes with its audio
            push @odd, $file if !-e $file =~ s/wave\z/opus/r;
        } elsif ($id) {
            $of{$id}{"$where/$suffix"} = $file;
        } elsif ($file !~ /\.tmp\z/ || time - (stat $file)[9] > 70) {
            push @odd, $file;
        }
    }
    return (\%of, @odd);
}

sub agreement {
    my ($s) = @_;
    my $known = known($s);
    my ($files, @wrong) = files($s);
    @wrong = map { "a file that is none: $_" } @wrong;
    my %due = map { $_ => 1 } zset($s, 'due:here');

    for my $id (sort keys %$known) {
        my $space = $known->{$id};
        my $recording = $space->{recording};
        my $has = join ' ', sort keys %{ $files->{$id} // {} };
        my $where = $recording eq 'available' ? 'recordings'
                  : $recording =~ /^(?:deleted|expired)$/ ? 'held' : '';
        my $should = $where ? "$where/json $where/opus" : '';
        push @wrong, "$id: $recording, but there is: $has" if $has ne $should;
        push @wrong, "$id: is $space->{state}, $recording, at the end"
            if $space->{state} eq 'live' || $recording eq 'recording';
        push @wrong, "$id: has no due date" if !$due{$id};
        push @wrong, measured($id, $space, $files->{$id}{"$where/opus"})
            if $where && $has eq $should;
    }

    push @wrong, map { "$_: is on disk, not in Redis: "
                       . join ' ', sort keys %{ $files->{$_} } }
                 grep { !$known->{$_} } sort keys %$files;
    push @wrong, map { "$_: is due, and is nothing" }
                 grep { !$known->{$_} } sort keys %due;
    push @wrong, lists($s, $known), tokens($s, $known);

    return @wrong;
}

sub measured {
    my ($id, $space, $file) = @_;
    my $audio = slurp($file);
    my $size = length $audio;
    return "$id: has $space->{bytes} bytes, its file $size"
        if $space->{bytes} != $size;
    my ($first, $last) = (pages($audio))[0, -1];
    my $skip = unpack 'x10 v', $first->{body};
    my $ms = int(($last->{granule} - $skip) / 48);
    return "$id: lasts $space->{duration} ms, its file $ms"
        if abs($space->{duration} - $ms) > 1;
    return;
}

sub lists {
    my ($s, $known) = @_;
    my @wrong;

    for my $key (@{ $s->redis('KEYS', 'spaces:*') }) {
        my ($list, $kind) = $key
            =~ /^spaces:((live|ended|scheduled|held|(?:topic|host|language):.*))/
            or next;
        my @ids = zset($s, $list);
        push @wrong, map { "$_: is in $list, and is nothing" }
                     grep { !$known->{$_} } @ids;
        next if $kind !~ /^(?:live|ended|scheduled)$/;
        push @wrong, map { "$_: is in $list, but $known->{$_}{state}" }
                     grep { $known->{$_} && $known->{$_}{state} ne $list } @ids;
    }

    my %in = map { my $list = $_; map { $_ => $list } zset($s, $list) }
             qw(live ended scheduled);
    my %held = map { $_ => 1 } zset($s, 'held');

    for my $id (sort keys %$known) {
        my $is_held = $known->{$id}{recording} =~ /^(?:deleted|expired)$/;
        my $listed = !$is_held && $known->{$id}{visibility} ne 'unlisted';
        push @wrong, "$id: is " . ($in{$id} ? '' : 'not ') . 'in the timeline'
            if !!$in{$id} != !!$listed;
        push @wrong, "$id: is " . ($held{$id} ? '' : 'not ') . 'in the held'
            if !!$held{$id} != !!$is_held;
    }
    return @wrong;
}

# of what was purged nothing stays but tokens, and these not for ever
sub tokens {
    my ($s, $known) = @_;
    my @wrong;
    for my $key (@{ $s->redis('KEYS', 'spaces:space:*:tokens') }) {
        my ($id) = $key =~ /\{(\w+)\}/;
        push @wrong, "$id: is gone, but for $key" if !$known->{$id};
    }
    for my $key (@{ $s->redis('KEYS', 'spaces:token:*') }) {
        my $left = $s->redis('TTL', $key);
        push @wrong, "$key never ends" if $left == -1;
    }
    return @wrong;
}

# what was told to a host is so

sub promises {
    my ($s) = @_;
    my $known = known($s);
    my @wrong;

    for my $space (values %{ $s->{spaces} }) {
        my $id = $space->{id};
        my $is = $known->{$id} ? $known->{$id}{recording} : 'nothing';
        my $could_be = $space->{deleting} || $space->{purging};
        my $recorded = $space->{record} && $s->kept($id);

        push @wrong, "$id: was deleted, and is $is"
            if $space->{deleted} && $is !~ /^(?:deleted|nothing)$/;
        push @wrong, "$id: was purged, and is $is"
            if $space->{purged} && $is ne 'nothing';
        push @wrong, "$id: was cancelled, and is $is"
            if $space->{gone} && $is ne 'nothing';
        push @wrong, "$id: was recorded for a month, and is $is"
            if $space->{lasting} && $recorded && !$could_be
               && $is ne 'available';
        push @wrong, "$id: was deleted, held for a month, and is $is"
            if $space->{lasting} && $recorded && $space->{deleted}
               && !$space->{purging} && $is ne 'deleted';
    }
    return @wrong;
}

# how each is replayed and its links answer, and that the bytes are the file's

sub answers {
    my ($s) = @_;
    my $known = known($s);
    my @wrong;

    for my $space (values %{ $s->{spaces} }) {
        my $id = $space->{id};
        my $before = $known->{$id};

        my $judge = sub {
            my ($what, $res, $dead, @no) = @_;
            my $now = $s->redis('HGET', "spaces:space:{$id}", 'recording');
            return if ($before ? $before->{recording} : '') ne ($now // '');
            my @may = !$before ? (404)
                    : $now eq 'available' ? ($dead ? () : 200, @no)
                    : $now eq 'none' ? (404, 409) : (410, @no);
            # its time may be over, and Redis not told yet
            push @may, 410 if $before && $before->{expires_at} / 1000 < time;
            my $code = $res->code;
            return push @wrong, "$id: the $what, " . ($now // 'nothing')
                                . ", is answered $code"
                if !grep { $_ == $code } @may;
            push @wrong, "$id: the $what is not the file"
                if $code == 200
                   && $res->body ne ($s->kept($id) // 'nothing');
        };

        $s->ask('GET', "/spaces/$id/replay",
                Test::Spaces::Soak::host($space), undef,
                sub { $judge->('replay', $_[0], 0) });

        for my $share (@{ $space->{shares} }) {
            my $dead_at = sub {
                return grep { /revoked|over/ }
                    Test::Spaces::Soak::share_dead($space, $share, $_[0]);
            };
            # it may end between the question and the answer; what Redis has
            # forgotten is unknown
            my ($dead) = $dead_at->(time);
            my $lost = $share->{made} < ($s->{flushed} // 0) + 1;
            $s->ask('GET', "/s/$share->{token}/audio", {}, undef, sub {
                $judge->('link' . ($dead ? ", $dead" : ''), $_[0], $dead,
                         $lost || $share->{revoking} || $dead_at->(time + 3)
                         ? 404 : ());
            });
        }
        $s->await(20, sub { !@{ $s->{pending} } });
    }
    return @wrong;
}

# the recordings

sub recordings {
    my ($s) = @_;
    my (@wrong, %sum);

    for my $space (sort { $a->{created} <=> $b->{created} }
                   values %{ $s->{spaces} })
    {
        my $audio = $s->kept($space->{id});
        push @wrong, map { "$space->{id}: $_" } well_formed($audio)
            if defined $audio;
        push @wrong, map { "$space->{id}: $_" }
                     numbered($s, $space, $audio, \%sum);
    }

    my @some = grep { defined $s->kept($_) } sort keys %{ $s->{spaces} };
    for my $id (grep { defined } @some[0 .. 7]) {
        my $file = "$s->{dir}/kept/$id.opus";
        my $said = `oggz-validate $file 2>&1; opusinfo $file 2>&1`;
        push @wrong, "$id: $said"
            if $said =~ /WARNING|ERROR|serialno|error/i
               || $said !~ /Logical stream 1 ended/;
    }

    $s->note(join ', ', map { "$_ $sum{$_}" } sort keys %sum);
    return @wrong;
}

sub well_formed {
    my ($audio) = @_;
    my @pages = eval { pages($audio) } or return "no pages: $@";
    my ($n, $samples, @wrong) = (0, 0);

    for my $page (@pages) {
        my $last = $n == $#pages;
        push @wrong, "page $n: checksum" if !$page->{good};
        push @wrong, "page $n: serial" if $page->{serial} != $pages[0]{serial};
        push @wrong, "page $n: number $page->{sequence}"
            if $page->{sequence} != $n;
        push @wrong, "page $n: flags $page->{flags}"
            if $page->{flags} != ($n == 0 ? 2 : $last ? 4 : 0);
        push @wrong, "page $n: no packet" if !@{ $page->{lacing} };
        if ($n > 1) {
            my $at = 0;
            for my $lace (@{ $page->{lacing} }) {
                $samples += samples(substr $page->{body}, $at, 2)
                    if $lace < 255;
                $at += $lace;
            }
            push @wrong, "page $n: ends at $page->{granule}, has $samples"
                if $last ? $page->{granule} > $samples
                         : $page->{granule} != $samples;
        }
        $n++;
    }
    return @wrong > 5 ? @wrong[0 .. 4] : @wrong;
}

sub numbered {
    my ($s, $space, $audio, $sum) = @_;
    my $sent = $space->{sent};
    return if $space->{kind} ne 'numbered' || !$space->{record} || !@$sent;

    my @numbers = numbers($audio // '');
    my (@wrong, %seen, $before);
    for my $n (@numbers) {
        push @wrong, "number $n twice" if $seen{$n}++;
        push @wrong, "number $n was never sent" if $n > @$sent;
        push @wrong, "number $n behind $before" if $n < ($before // 0);
        $before = $n;
    }

    $sum->{packets} += @$sent;
    $sum->{recorded} += @numbers;

    # what nothing accounts for may have been shed after a halt
    my (@lost, %why);
    for my $n (grep { !$seen{$_} } 1 .. @$sent) {
        my $why = excuse($s, $space, @{ $sent->[$n - 1] });
        $why ? $sum->{$why}++ : push @lost, $n;
    }
    my $shed = max(0, halted($s, $space) - 1.4) * 50;
    if (@lost && @lost <= $shed) {
        $sum->{shed} += @lost;
        @lost = ();
    }
    push @wrong, sprintf '%d of %d packets are missing: %s', scalar @lost,
                         scalar @$sent, runs(@lost) if @lost;

    for my $connection (@{ $space->{connections} }) {
        push @wrong, sprintf 'a connection (%s) was cut at %.2f for nothing',
                             $connection->{how}, $connection->{gone}
            if cut($connection) && !causes($s, $connection);
    }
    return @wrong;
}

sub runs {
    my @runs;
    for my $n (@_) {
        if (@runs && $runs[-1][1] == $n - 1) {
            $runs[-1][1] = $n;
        } else {
            push @runs, [$n, $n];
        }
    }
    return join ', ', map { $_->[0] == $_->[1] ? $_->[0] : "$_->[0]-$_->[1]" }
                      @runs;
}

# by the other side, and without a word
sub cut {
    my ($connection) = @_;
    return $connection->{gone} && !$connection->{left}
           && ($connection->{status} < 200 && !$connection->{code}
               || $connection->{code} == 1012);
}

# the blows that may have cut it
sub causes {
    my ($s, $connection) = @_;
    return grep { $_->{kind} =~ /^(?:worker|all|leave|start|stop)$/
                  && $_->{at} - 0.2 <= $connection->{gone}
                  && $connection->{gone} <= $_->{at} + $_->{lasts} }
           @{ $s->{blows} };
}

# why a packet may be missing that was sent then and there

sub excuse {
    my ($s, $space, $at, $connection) = @_;

    return 'refused' if ($connection->{status} // 0) >= 400;

    # more was waiting, if it had been halted
    my $waits = 1 + min(halted($s, $space, $at), 6);
    for my $blow (grep { $_->{kind} eq 'all' } @{ $s->{blows} }) {
        return 'killed' if $at >= $blow->{at} - $waits && $at <= $blow->{at};
    }

    if (cut($connection)) {
        for my $blow (causes($s, $connection)) {
            return 'cut' if $at >= ($blow->{kind} eq 'leave'
                                    ? $connection->{gone} - 0.5
                                    : $blow->{from});
        }
    }

    return 'ended' if $space->{ended} && $at >= $space->{ended};
    return undef;
}

# for how long it was halted, by what stopped or took over, until then
sub halted {
    my ($s, $space, $until) = @_;
    $until //= time;
    return sum0 map { $_->{stall} // 0.5 }
                grep { $_->{kind} =~ /^(?:stop|worker|leave|all)$/
                       && $_->{at} >= $space->{begun} - 1
                       && $_->{at} <= $until }
                @{ $s->{blows} };
}

# all that is known of one of which something is wrong
sub story {
    my ($s, $space) = @_;
    my $zero = $space->{begun} // $space->{created};
    my $end = ($space->{over} // time) + 1;
    my ($n, $last) = (0, 0);
    my @lines = map { [$_->{opened}, sprintf 'to %.2f %s, status %s%s%s',
                       ($_->{gone} // $zero) - $zero, $_->{how},
                       $_->{status} // '-', $_->{slug} ? " $_->{slug}" : '',
                       $_->{left} ? ', left' : ''] }
                @{ $space->{connections} };

    for my $sent (@{ $space->{sent} }) {
        $n++;
        push @lines, [$sent->[0], "number $n"]
            if $sent->[0] - $last > 0.7 || $n % 100 == 0;
        $last = $sent->[0];
    }
    push @lines, map { [$_->{at}, "$_->{kind} " . ($_->{pid} // '')] }
                 grep { $_->{at} > $zero - 3 && $_->{at} < $end }
                 @{ $s->{blows} };
    push @lines, map { [$_->[0], sprintf '%s, at %.2f', $_->[2],
                        $_->[1] - $zero] } @{ $s->{history}{ $space->{id} } };

    return join "\n    ", "$space->{id}, $space->{kind}, "
        . ($space->{lasting} ? 'lasting, ' : '') . 'said '
        . ($space->{said} // '-')
        . sprintf(', ended %.2f, over %.2f, number %d last sent',
                  ($space->{ended} // $zero) - $zero, $end - 1 - $zero, $n),
        map { sprintf '%7.2f %s', $_->[0] - $zero, $_->[1] }
        sort { $a->[0] <=> $b->[0] } @lines;
}

1;
