#!/usr/bin/perl

# Many speakers: what listeners, the speakers themselves and the recording get
# of each, measured where it comes out.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256_hex);
use List::Util qw(max min sum uniq);
use Mojo::JSON qw(false true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(@tones babble broken_pages heard seconds_of steady
                           tone_power tone_profile);
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(build packets);
use Test::Spaces::WebSocket;
use Time::HiRes qw(time);

# the same losses in each run
srand 1;

my $s = Test::Spaces->new(workers => 4)->start;

sub end_it {
    my ($loop, $space) = @_;
    my $res = $loop->http('POST', "/spaces/$space->{id}/end",
                          $s->bearer($space->{token}));
    is($res->code, 200, 'ended');
    return $s->replay($space->{id});
}

# which of the packets that were sent came, by their numbers
sub numbers {
    my ($sent, @came) = @_;
    my %number = map { $sent->[$_] => $_ } 0 .. $#$sent;
    return map { $number{$_} // () } @came;
}

sub is_sound {
    my ($audio, $name) = @_;
    is(broken_pages($audio, from_start => 1), '', "$name: continuous");
    oggz_ok($audio, "$name: one stream, as others see it");
}

# each tone of a list is heard, or is not
sub hears {
    my ($packets, $heard, $not, $name) = @_;
    my $pcm = heard($packets);
    my %power = map { $_ => tone_power($pcm, $_) } @$heard, @$not;
    my $all = join ' ', map { sprintf '%d:%.0f', $_, $power{$_} }
                        sort { $a <=> $b } keys %power;
    my $low = min @power{@$heard};
    cmp_ok($low, '>', -25, "$name hears @$heard ($all)");
    cmp_ok(max(@power{@$heard}), '<', -15, "$name: none is too loud");
    cmp_ok(max(@power{@$not}), '<', $low - 30, "$name: nor hears @$not")
        if @$not;
}

subtest 'one talks: every packet passes as it is' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my @packets = babble(400, seconds => 5);

    my $host = $loop->speak($space, \@packets, page => 20);
    ok($loop->until(sub {
        $s->space($space->{id})->{state} eq 'live';
    }), 'live');
    my @listeners = map { $loop->listen($space, how => $_) } qw(http opus);
    ok($loop->until(sub { $host->{said_all} }), 'all is said');

    my $began = $host->{sent}[0][0];
    my $at_least = time - $began;
    my $out = end_it($loop, $space);
    my $at_most = time - $began;

    my @came = packets($out);
    is_deeply([numbers(\@packets, @came)], [0 .. $#packets],
              'each is recorded, once, in order');
    is_sound($out, 'the recording');

    my $lasts = seconds_of(@came);
    cmp_ok($lasts, '>', $at_least - 0.1, "it lasts $lasts s");
    cmp_ok($lasts, '<', $at_most + 0.1, 'as the clock on the wall');

    ok($loop->until(sub { !grep { !$_->{gone} } @listeners }), 'it is over');
    for my $l (@listeners) {
        my @n = numbers(\@packets, $l->{how} eq 'opus'
                        ? $l->{ws}->data : packets($l->audio));
        is_deeply(\@n, [$n[0] // 0 .. $#packets],
                  "$l->{how}: from where it came in, to the end");
    }
};

subtest 'two talk: each has the packets of the other' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my %sent = (ana => [babble(430, seconds => 6)],
                bea => [babble(1270, seconds => 6)]);

    # beside it, two who are loud
    my $loud = $s->create(record => true);
    my %loud = map { $_ => [steady($_, level => -2)] } 430, 1090;

    my %who = (
        ana => $loop->speak($space, $sent{ana}, how => 'opus'),
        loud => $loop->speak($loud, $loud{430}, repeat => 1),
    );
    ok($loop->until(sub {
        2 == grep { $s->space($_->{id})->{state} eq 'live' } $space, $loud;
    }), 'live');
    $who{bea} = $loop->speak($space, $sent{bea}, how => 'opus',
                             token => $s->invite($space, 'Bea')->{token});
    $loop->speak($loud, $loud{1090}, repeat => 1,
                 token => $s->invite($loud, 'Lou')->{token});
    my $listener = $loop->listen($space);

    ok($loop->until(sub { $who{ana}{said_all} }), 'one has said all');
    my $both_until = time;
    ok($loop->until(sub { $who{bea}{said_all} }), 'so has the other');
    my $out = end_it($loop, $space);
    my $loud_out = end_it($loop, $loud);

    for (['ana', 'bea'], ['bea', 'ana']) {
        my ($me, $other) = @$_;
        my @came = $who{$me}{ws}->data;
        my @n = numbers($sent{$other}, @came);
        is_deeply(\@n, [sort { $a <=> $b } uniq @n],
                  "$me: in order, each once");
        # what was said before one came isn't there
        cmp_ok(scalar @n, '>', 200,
               sprintf '%s: %d packets as they were sent', $me, scalar @n);
        is(scalar(numbers($sent{$me}, @came)), 0, "$me: none of the own");
    }

    my $began = $who{bea}{sent}[0][0];
    my @mixed = $listener->packets_between($began + 1, $both_until - 1);
    hears(\@mixed, [430, 1270], [890], 'a listener');
    cmp_ok(numbers($sent{ana}, @mixed) + numbers($sent{bea}, @mixed), '<',
           @mixed / 10, 'a mix, not one or the other');
    is_sound($out, 'the recording');

    # half a wave is louder than 0 dB, and the rest is turned down with it
    my $pcm = heard($loud_out);
    my $to = length($pcm) / 32000 - 1;
    my %power = map { $_ => tone_power($pcm, $_, 2, $to) }
                430, 1090, 3 * 430, 2 * 1090 - 430, 3 * 1090 - 430;
    my $all = join ' ', map { sprintf '%d:%.0f', $_, $power{$_} }
                        sort { $a <=> $b } keys %power;
    cmp_ok(min(@power{430, 1090}), '>', -12, "the loud are heard ($all)");
    cmp_ok(max(@power{3 * 430, 2 * 1090 - 430, 3 * 1090 - 430}), '<',
           min(@power{430, 1090}) - 20, 'limited, not clipped');
};

subtest 'three talk; one is muted, unmuted, one removed' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my %hz = (ana => 310, bea => 890, cem => 1670);
    my %sid = (bea => undef, cem => undef);
    my %voice = map { $_ => [steady($hz{$_})] } keys %hz;
    my %who;

    $who{ana} = $loop->speak($space, $voice{ana}, how => 'opus', repeat => 1);
    ok($loop->until(sub { $s->space($space->{id})->{state} eq 'live' }),
       'live');
    for (sort keys %sid) {
        $sid{$_} = $s->invite($space, $_);
        $who{$_} = $loop->speak($space, $voice{$_}, how => 'opus',
                                repeat => 1, token => $sid{$_}{token});
    }
    $who{listener} = $loop->listen($space);
    ok($loop->until(sub { @{ $who{cem}{sent} // [] } }), 'all talk');

    # who talks for three seconds; what is heard of them is measured later,
    # for that takes long, and those who talk would fall silent meanwhile
    my @parts;
    my $part = sub {
        my ($name, @talk) = @_;
        my $from = time + 1;
        $loop->run(3.2);
        push @parts, { name => $name, from => $from, to => time - 0.2,
                       talk => \@talk,
                       there => [sort grep { !$who{$_}{gone} } keys %who] };
    };
    my $speaker = sub {
        my ($method, $name, $json) = @_;
        return $loop->http($method,
                           "/spaces/$space->{id}/speakers/$sid{$name}{id}",
                           $s->bearer($space->{token}), $json);
    };

    $part->('all', qw(ana bea cem));

    my $res = $speaker->('PATCH', 'bea', { muted => true });
    is($res->code, 200, 'bea is muted');
    is_deeply([@{ $res->json }{qw(id name role muted)}],
              [$sid{bea}{id}, 'bea', 'speaker', true], 'and it says so');
    $part->('bea is muted', qw(ana cem));

    is($speaker->('PATCH', 'bea', { muted => false })->code, 200, 'unmuted');
    $part->('bea is back', qw(ana bea cem));

    is($speaker->('DELETE', 'cem')->code, 204, 'cem is removed');
    ok($loop->until(sub { $who{cem}{gone} }), 'and closed');
    is($who{cem}{ws}{code}, 1008, 'with 1008');
    $part->('cem is gone', qw(ana bea));
    my (undef, $line) = Test::Spaces::WebSocket->connect(
        $s, "/spaces/$space->{id}/ingest", 'spaces.opus.v1',
        %{ $s->bearer($sid{cem}{token}) });
    like($line, qr/^HTTP\/1\.1 403 /, 'and has no way back');

    my $out = end_it($loop, $space);
    is_sound($out, 'the recording');
    my $pcm = heard($out);
    my $began = $who{ana}{sent}[0][0];
    for my $part (@parts) {
        my ($name, $from, $to) = @$part{qw(name from to)};
        for my $who (@{ $part->{there} }) {
            my @hz = map { $hz{$_} } grep { $_ ne $who } @{ $part->{talk} };
            my %is = map { $_ => 1 } @hz;
            hears([$who{$who}->packets_between($from, $to)], \@hz,
                  [grep { !$is{$_} } sort values %hz], "$name: $who");
        }
        my %talks = map { $hz{$_} => 1 } @{ $part->{talk} };
        for my $hz (sort values %hz) {
            my $power = tone_power($pcm, $hz, $from - $began, $to - $began);
            $talks{$hz} ? cmp_ok($power, '>', -25, "$name: $hz is recorded")
                        : cmp_ok($power, '<', -50, "$name: $hz is not");
        }
    }
};

subtest 'what is decided of who is not there' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create;
    my @voice = steady(590);
    $loop->speak($space, \@voice, how => 'opus', repeat => 1);
    ok($loop->until(sub { $s->space($space->{id})->{state} eq 'live' }),
       'live');
    my $bea = $s->invite($space, 'Bea');
    my $ask = sub {
        my ($method, $json) = @_;
        return $loop->http($method, "/spaces/$space->{id}/speakers/$bea->{id}",
                           $s->bearer($space->{token}), $json)->code;
    };
    my $is = sub {
        my ($voice) = grep { $_->{id} eq $bea->{id} }
                      @{ $s->space($space->{id})->{speakers} };
        return $voice;
    };
    my $talks = sub {
        my $end = $loop->speak($space, \@voice, how => 'opus', repeat => 1,
                               token => $bea->{token});
        ok($loop->until(sub { $is->() }), 'Bea talks');
        return $end;
    };

    my $end = $talks->();
    is($ask->('PATCH', { muted => true }), 200, 'she is muted');
    $loop->leave($end);
    ok($loop->until(sub { !$is->() }), 'leaves');
    $loop->run(1);      # what she has said is played out
    is($ask->('PATCH', { muted => false }), 200, 'is unmuted meanwhile');
    $end = $talks->();
    ok($loop->until(sub { ($is->() // {})->{speaking} }), 'and is heard again');
    ok(!$is->()->{muted}, 'nor said to be muted');

    # Redis had been told, and was too late to say so
    my $hash = sha256_hex($bea->{token});
    is($s->redis('HSET', "spaces:token:$hash", 'removed', 1), 1, 'removed');
    is($ask->('DELETE'), 204, 'who asks again');
    ok($loop->until(sub { $end->{gone} }), 'has her off the air');
    is($end->{ws}{code}, 1008, 'with 1008');
    ok($loop->until(sub { !$is->() }), 'and when she is gone');
    is($ask->('DELETE'), 404, 'there is nobody');
    end_it($loop, $space);
};

subtest 'thirteen talk, each in another way' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my @ways = (
        { how => 'opus' },
        { how => 'http', channels => 2 },
        { how => 'opus', frame => 60 },
        { how => 'icecast' },
        { how => 'opus', loss => 0.05 },
        { how => 'source', frame => 40 },
        { how => 'opus', jitter => 300 },
        { how => 'ogg', channels => 2 },
        { how => 'opus', drift => 200 },
        { how => 'http', page => 20, loss => 0.05, jitter => 300 },
        { how => 'opus', drift => -200, channels => 2, frame => 60 },
        { how => 'ogg', page => 20, drift => 200 },
        { how => 'opus', frame => 40 },
    );
    my (%way, %name, %voice, %who);
    @way{@tones} = @ways;

    # all are made before one talks
    for my $hz (@tones) {
        my $way = $way{$hz};
        $name{$hz} = join ' ', $hz, map { "$_ $way->{$_}" } sort keys %$way;
        my %o = map { $_ => delete $way->{$_} }
                grep { exists $way->{$_} } qw(frame channels);
        $voice{$hz} = [steady($hz, level => -26, %o)];
    }

    for my $hz (@tones) {
        my $token = %who ? $s->invite($space, "Hz $hz")->{token}
                         : $space->{token};
        $who{$hz} = $loop->speak($space, $voice{$hz}, repeat => 1,
                                 token => $token, %{ $way{$hz} });
        $loop->until(sub { $s->space($space->{id})->{state} eq 'live' })
            if keys %who == 1;
    }
    my $listener = $loop->listen($space);
    ok($loop->until(sub {
        !grep { !@{ $who{$_}{sent} } } @tones;
    }), 'all talk');

    $loop->run(4);
    my $from = time;
    $loop->run(7);
    my $to = time;
    my $out = end_it($loop, $space);
    is(scalar(grep { $who{$_}{cuts} || $who{$_}{status} > 200 } @tones), 0,
       'nobody was refused');
    is_sound($out, 'the recording');

    my $began = $who{ $tones[0] }{sent}[0][0];
    my $recorded = substr heard($out), int(($from - $began) * 8000) * 4,
                   int(($to - $from) * 8000) * 4;
    my $live = heard([$listener->packets_between($from, $to)]);

    for my $hz (@tones) {
        for (['recorded', $recorded], ['live', $live]) {
            my ($where, $pcm) = @$_;
            my $power = tone_power($pcm, $hz);
            cmp_ok(abs($power + 26), '<', 6,
                   sprintf '%s, %s: %.1f dB', $name{$hz}, $where, $power);
            # a hole would be a step in which the tone isn't there
            my @steps = tone_profile($pcm, $hz, 0.5);
            my @low = grep { $_ < -38 } @steps;
            cmp_ok(scalar @low, '<=', @steps / 10,
                   "$name{$hz}, $where: no holes")
                or diag(join ' ', map { sprintf '%.0f', $_ } @steps);
        }
    }

    for my $me (grep { $who{$_}{how} eq 'opus' } @tones) {
        my $pcm = heard([$who{$me}->packets_between($from, $to)]);
        my %power = map { $_ => tone_power($pcm, $_) } @tones;
        my $own = delete $power{$me};
        cmp_ok(min(values %power), '>', -34, "$me hears all others");
        cmp_ok($own, '<', sum(values %power) / 12 - 25,
               sprintf '%d hears itself at %.0f dB', $me, $own);
    }

    my @workers = uniq grep { $_ } map { $who{$_}->worker } @tones;
    cmp_ok(scalar @workers, '>', 1, 'over several workers');

    # how far the clock of the stream is behind that on the wall, at best,
    # in its first seconds and its last; at the end all comes at once
    my @behind = map { [$_->{arrived}, $_->{arrived} - $_->{granule} / 48000] }
                 grep { $_->{granule} > 0 && $_->{arrived} < $to }
                 $listener->pages;
    my $middle = ($behind[0][0] + $behind[-1][0]) / 2;
    my $early = min map { $_->[1] } grep { $_->[0] < $middle } @behind;
    my $late = min map { $_->[1] } grep { $_->[0] >= $middle } @behind;
    cmp_ok(abs($late - $early), '<', 0.1, sprintf
           'the two clocks part by %.1f ms', ($late - $early) * 1000);
};

subtest 'the host has said all and goes, before it is played' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    # whole packets of the host end between two frames of the mix
    my @said = steady(440, frame => 60);
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, build(packets => [@said[0 .. 9]], per => 1,
                                     no_eos => 1));
    ok($loop->until(sub { $s->space($space->{id})->{state} eq 'live' }),
       'live');
    my $guest = $loop->speak($space, [steady(1670)], repeat => 1, how => 'opus',
                             token => $s->invite($space, 'Bea')->{token});
    ok($loop->until(sub { @{ $guest->{sent} } > 50 }), 'a guest talks');

    Test::Spaces::chunk($host, build(packets => [(@said) x 2], per => 1));
    print $host "0\r\n\r\n";
    # all of it has been read by then, and the last two seconds aren't played
    $loop->run(4.8);
    close $host;
    ok($loop->until(sub { $s->space($space->{id})->{state} eq 'ended' }, 60),
       'the Space ends, whoever else talks');
    is_sound($s->replay($space->{id}), 'the recording');
    $guest->close;
};

subtest 'who may talk, and how many' => sub {
    my $s = Test::Spaces->new(workers => 2, redis_timeout => '10s',
                              http => { spaces_max_speakers => 3 })->start;
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create;
    my @invited = map { $s->invite($space, "No $_") } 1 .. 3;
    my @packets = steady(590);

    my $try = sub {
        my ($token, $how) = @_;
        my $end = $loop->speak($space, \@packets, how => $how,
                               repeat => 1, token => $token);
        $loop->until(sub { $end->{status} || @{ $end->{sent} } > 50 });
        return $end;
    };

    is($try->($invited[0]{token}, $_)->{status}, 409,
       "$_: a speaker before the host") for qw(http icecast opus);

    is($try->($space->{token}, 'http')->{status}, 0, 'the host talks');
    my $first = $try->($invited[0]{token}, 'opus');
    is($first->{status}, 101, 'the first joins');
    is($try->($invited[0]{token}, 'opus')->{status}, 409, 'but once');
    is($try->($invited[1]{token}, 'http')->{status}, 0, 'the second joins');
    for my $how (qw(opus http)) {
        my $third = $try->($invited[2]{token}, $how);
        is($third->{status}, 503, "$how: the third finds no room");
        like($third->{headers}{'retry-after'}, qr/^\d+$/,
             "$how: and is told when");
    }
    is_deeply([sort map { "$_->{role} $_->{name}" }
               @{ $s->space($space->{id})->{speakers} }],
              ['host ana', 'speaker No 1', 'speaker No 2'], 'the speakers');

    $loop->leave($first);
    ok($loop->until(sub {
        @{ $s->space($space->{id})->{speakers} } == 2;
    }), 'one leaves');
    is($try->($invited[2]{token}, 'opus')->{status}, 101,
       'there is room for the third');

    # muting and removing are the host's alone
    my $url = "/spaces/$space->{id}/speakers";
    for (
        ['PATCH', "$url/$invited[1]{id}", {}, { muted => true }, 401],
        ['PATCH', "$url/$invited[1]{id}", $s->bearer($invited[1]{token}),
         { muted => false }, 403],
        ['PATCH', "$url/nobody", $s->as('ana'), { muted => true }, 404],
        ['PATCH', "$url/$invited[1]{id}", $s->as('ana'), { muted => 1 }, 400],
        ['PATCH', "$url/$invited[1]{id}", $s->as('ana'), { loud => true },
         400],
        ['DELETE', "$url/$invited[1]{id}", $s->as('bob'), undef, 403],
        ['DELETE', "$url/nobody", $s->as('ana'), undef, 404],
        ['POST', $url, {}, { name => 'x' }, 401],
        ['POST', $url, $s->bearer($invited[1]{token}), { name => 'x' }, 403],
        ['POST', $url, $s->as('ana'), {}, 400],
        ['POST', $url, $s->as('ana'), { name => 'x' x 65 }, 400],
        ['PATCH', "$url/$invited[0]{id}", $s->as('ana'), { muted => true },
         200],
    ) {
        my ($method, $path, $headers, $json, $status) = @$_;
        is($loop->http($method, $path, $headers, $json)->code, $status,
           "$method $path: $status");
    }
    is($try->($invited[0]{token}, 'opus')->{status}, 403,
       'who is muted has no way in');

    # between the look at the token and its change, the token expires
    for (['PATCH', { muted => true }], ['DELETE', undef]) {
        my ($method, $json) = @$_;
        my $id = $s->invite($space, 'late')->{id};
        my ($hash) = grep { /^$id/ }
            @{ $s->redis('SMEMBERS', "spaces:space:{$space->{id}}:tokens") };
        $s->redis('PEXPIRE', "spaces:token:$hash", 500);
        is($s->redis('CLIENT', 'PAUSE', 800, 'WRITE'), 'OK', 'no writes now');
        is($loop->http($method, "$url/$id", $s->as('ana'), $json)->code, 404,
           "$method, but the invitation has just expired: 404");
        is($s->redis('EXISTS', "spaces:token:$hash"), 0, 'and stays so');
    }
    undef $loop;
    $s->stop;
};

$s->stop;

done_testing;
