#!/usr/bin/perl

# Listening over HTTP: who may, what they get, from when, and what they don't
# notice of others, of a reload, of a worker that dies.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use List::Util qw(max);
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(babble broken_pages seconds_of steady
                           whole);
use Test::Spaces::Bystander qw(number_of numbered);
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(packets pages);
use Time::HiRes qw(time);

my @packets = babble(400, seconds => 10);
my %number = map { $packets[$_] => $_ } 0 .. $#packets;

# the numbers of the packets of babble() that came
sub numbers { return map { $number{$_} // () } packets($_[0]) }

sub is_live {
    my ($s, $loop, @spaces) = @_;
    ok($loop->until(sub {
        @spaces == grep { $s->space($_->{id}, $_->{token})->{state} eq 'live' }
                   @spaces;
    }), 'live');
}

sub end_it {
    my ($s, $loop, $space) = @_;
    is($loop->http('POST', "/spaces/$space->{id}/end",
                   $s->bearer($space->{token}))->code, 200, 'ended');
}

# all of a stream that runs to the end of the Space
sub is_whole {
    my ($l, $name, $first, $about) = @_;
    my $audio = $l->audio;
    is(broken_pages($audio), '', "$name: sound pages, none left out");
    ok($l->{complete}, "$name: the body is complete");
    my $last = (pages(whole($audio)))[-1] // {};
    is(($last->{flags} // 0) & 4, 4, "$name: the last page ends the stream");
    my @n = numbers($audio);
    is_deeply(\@n, [$n[0] // 0 .. $#packets], "$name: no packet is missing");
    return if !defined $first;
    my $begins = $n[0] // 'none';
    ok(@n && abs($begins - $first) <= ($about // 0),
       "$name: it begins at packet $begins, near $first");
}

my $s = Test::Spaces->new(workers => 4, h2 => 1, tls => 1, small => 1,
                          shutdown_timeout => '60s')->start;

subtest 'who may listen' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my %space = (
        live => $s->create, scheduled => $s->create, ended => $s->create,
        unlisted => $s->create(visibility => 'unlisted'),
        ticketed => $s->create(visibility => 'ticketed'),
    );
    my @on_air = @space{qw(live ended unlisted ticketed)};
    my @steady = steady(590);
    my @hosts = map { $loop->speak($_, \@steady, repeat => 1) } @on_air;
    is_live($s, $loop, @on_air);
    end_it($s, $loop, $space{ended});

    my $ask = sub {
        my ($path, $headers) = @_;
        my ($name, $query) = split /\?/, $path;
        my $l = $loop->listen($space{$name} // { id => $name },
                              query => $query, headers => $headers);
        $loop->until(sub { $l->{status} });
        return $l;
    };
    my $share = $s->http('POST', "/spaces/$space{unlisted}{id}/shares",
                         $s->bearer($space{unlisted}{token}), json => {})->json;
    my $ticket = $s->http('POST', "/spaces/$space{ticketed}{id}/shares",
                          $s->bearer($space{ticketed}{token}),
                          json => {})->json;

    for (
        ['live', {}, 200],
        ['live?from=-16', {}, 200],
        ['live?from=-16.5', {}, 200],
        ['live?from=%2D16', {}, 200],
        ['live?from', {}, 400],
        ['live?from=', {}, 400],
        ['live?from=start&from=-1', {}, 400],
        ['live?from=-1.', {}, 400],
        ['scheduled', {}, 409],
        ['ended', {}, 409],
        ['unlisted', {}, 404],
        ['unlisted', $s->as('bob'), 404],
        ['unlisted', $s->bearer($space{live}{token}), 404],
        ['unlisted', $s->bearer($share->{token}), 200],
        ["unlisted?token=$share->{token}", {}, 200],
        ['unlisted', $s->as('ana'), 200],
        ['ticketed', {}, 403],
        ['ticketed', $s->bearer('x' x 32), 403],
        ['ticketed', $s->bearer($ticket->{token}), 200],
        ["ticketed?token=$ticket->{token}", {}, 200],
        ['a' x 20, {}, 404],
        map { ["live?from=$_", {}, 400] }
            'x', '-', '5', '-x', 'start1', '-16s', '--16', '-9e9', '%00',
            '-99999999999999999999999', 'now,start',
    ) {
        my ($path, $headers, $status) = @$_;
        my $l = $ask->($path, $headers);
        my $name = "$path, " . join ' ', keys %$headers;
        is($l->{status}, $status, "$name: $status");
        if ($status == 200) {
            is($l->{headers}{'content-type'}, 'audio/ogg', "$name: its type");
            is($l->{headers}{'spaces-recording'}, 'off',
               "$name: Spaces-Recording");
        } else {
            is($l->{headers}{'content-type'}, 'application/problem+json',
               "$name: a problem");
        }
        $loop->leave($l);
    }

    is($loop->http('POST', "/spaces/$space{live}{id}/live", {})->code, 405,
       'POST');

    # a body is none of a listener's business, and in nobody's way
    my @with = map {
        $loop->listen($space{live}, how => $_,
                      headers => { 'Content-Length' => 8_000_000 })
    } qw(http events);
    $_->put('x' x 8_000_000) for @with;
    ok($loop->until(sub {
        !grep { length $_->{out} || !$_->{status} } @with;
    }), 'a body is read, and they hear all the same');

    end_it($s, $loop, $_) for @space{qw(live unlisted ticketed)};
    ok($loop->until(sub { !grep { !$_->{gone} } @with }), 'to the end');
    is(scalar(grep { !$_->{complete} } @with), 0, 'which is a clean one');
    $loop->leave(@hosts);
};

subtest 'from when, and by which protocol' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my %space = (recorded => $s->create(record => true), plain => $s->create);
    my %host = map { $_ => $loop->speak($space{$_}, \@packets) } keys %space;
    is_live($s, $loop, values %space);
    ok($loop->until(sub { @{ $host{recorded}{sent} } >= 300 }), '6 s are said');

    my $now = @{ $host{recorded}{sent} };
    my ($recorded, $plain) = @space{qw(recorded plain)};
    my $dir = $s->{dir};
    my $curl = sub {
        my ($file, $url, @more) = @_;
        return $loop->listen($recorded, command => [
            qw(curl -sN), '-D', "$dir/$file", @more,
            "$url/spaces/$recorded->{id}/live?from=start"]);
    };

    # where each begins: a short burst at most, or what was asked for
    my %l = (
        'from the present' => [$loop->listen($recorded), $now - 50, 75],
        'from the present, not recorded'
            => [$loop->listen($plain), $now - 50, 75],
        'from the start' => [$loop->listen($recorded, query => 'from=start'),
                             0],
        'from 3 s back' => [$loop->listen($recorded, query => 'from=-3'),
                            $now - 150, 50],
        'from before the start'
            => [$loop->listen($recorded, query => 'from=-300'), 0],
        'not recorded, from 3 s back'
            => [$loop->listen($plain, query => 'from=-3'), $now - 150, 50],
        'not recorded, from 16 s back'
            => [$loop->listen($plain, query => 'from=-16'), 0],
        'HTTP/1.0' => [$loop->listen($recorded, how => 'http/1.0',
                                     query => 'from=start'), 0],
        'TLS' => [$curl->('tls', "https://127.0.0.1:$s->{tls_port}", '--cacert',
                          "$dir/cert.pem", '--http1.1'), 0],
    );
    $l{'HTTP/2'} = [$curl->('h2', "http://127.0.0.1:$s->{h2_port}",
                            '--http2-prior-knowledge'), 0]
        if `curl --version` =~ /HTTP2/;

    # the first version of HTTP: no header, nor in the answer
    my $bare = $loop->add(Test::Spaces::Loop::End->new(s => $s, reads => 1,
                                                       how => 'http'));
    $bare->use_socket($s->socket);
    $bare->put("GET /spaces/$recorded->{id}/live\r\n");

    # what has been said is there at once, what will be comes when it is said
    my $start = $l{'from the start'}[0];
    ok($loop->until(sub { numbers($start->audio) >= 250 }, 2),
       'the past comes faster than it went');

    ok($loop->until(sub { !grep { !$_->{said_all} } values %host }),
       'all is said');
    end_it($s, $loop, $_) for values %space;
    ok($loop->until(sub { !grep { !$_->[0]{gone} } values %l }),
       'every connection is closed');

    is_whole(@{ $l{$_} }[0], $_, @{ $l{$_} }[1, 2]) for sort keys %l;

    like(slurp("$dir/h2"), qr/^HTTP\/2 200/, 'it was HTTP/2') if $l{'HTTP/2'};
    like(slurp("$dir/tls"), qr/^HTTP\/1\.1 200/, 'it was TLS');
    like($l{'HTTP/1.0'}[0]{raw}, qr/^HTTP\/1\.[01] 200/, 'it was HTTP/1.0');
    is($l{'HTTP/1.0'}[0]{chunked}, '', 'without chunks');
    ok($loop->until(sub { $bare->{gone} }), 'HTTP/0.9: closed');
    is(broken_pages($bare->{raw}), '', 'and nothing but sound pages');

    # a recording and what is heard live are the same stream
    my $replay = $s->replay($recorded->{id});
    is($start->audio, $replay, 'from the start: the recording, byte by byte');
};

subtest 'a link that is revoked' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(visibility => 'unlisted');
    $loop->speak($space, [steady(590)], repeat => 1);
    is_live($s, $loop, $space);
    my $share = $s->http('POST', "/spaces/$space->{id}/shares",
                         $s->bearer($space->{token}), json => {})->json;
    my %l = map {
        $_ => $loop->listen($space, how => $_, token => $share->{token})
    } qw(http opus);
    ok($loop->until(sub { !grep { !$_->{status} } values %l }), 'they listen');
    # whoever changes something makes it be asked again whether they may
    for my $title ('One', 'Two', 'Three') {
        is($loop->http('PATCH', "/spaces/$space->{id}",
                       $s->bearer($space->{token}),
                       { title => $title })->code, 200, "changed: $title");
        $loop->run(1.2);
    }
    is(scalar(grep { $_->{gone} } values %l), 0, 'and go on to');

    is($s->http('DELETE', "/spaces/$space->{id}/shares/$share->{id}",
                $s->bearer($space->{token}))->code, 204, 'revoked');
    ok($loop->until(sub { !grep { !$_->{gone} } values %l }), 'they are cut');
    is($l{opus}{ws}{code}, 1008, 'and told so');
};

# with hardly any room in it, here and there
# what is kept for who is behind: five seconds, and no more
subtest 'some that read late' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create;
    my @fat = steady(590, bitrate => '256k', channels => 2);
    $loop->speak($space, [map { numbered($fat[$_ % @fat], $_) } 0 .. 2000]);
    is_live($s, $loop, $space);
    my %pause = (late => 2.5, 'too late' => 6.3);
    my %l = map { $_ => $loop->listen($space, connection => $s->small_socket) }
            keys %pause;
    my $beside = $loop->listen($space);
    my $begun = sub { !grep { length $_->audio < 20_000 } values %l };
    ok($loop->until($begun), 'they listen');

    $loop->{stall} = 0;
    my $began = time;
    $_->{reads} = 0 for values %l;
    for my $name (sort { $pause{$a} <=> $pause{$b} } keys %pause) {
        $loop->run($began + $pause{$name} - time);
        $l{$name}{reads} = 1;
        my $had = length $l{$name}->audio;
        # what is in the sockets, and the present behind it; or no more
        ok($loop->until(sub {
            $l{$name}{gone} || length $l{$name}->audio > $had + 200_000;
        }), "$name: reads on");
    }
    my $stall = $loop->{stall};

    for my $name (sort keys %l) {
        my @n = map { number_of($_) // () } packets($l{$name}->audio);
        my @gaps = grep { $_ != 1 } map { $n[$_] - $n[$_ - 1] } 1 .. $#n;
        # who could not read when they wanted to is later than that, and who
        # is later than memory goes is let go
        my $late = $pause{$name} + $stall;
        if ($late < 4.5) {
            is("@gaps", '', "$name: nothing is left out");
            ok(!$l{$name}{gone}, "$name: nor is it let go");
        } elsif ($pause{$name} > 5 && !$l{$name}{gone}) {
            is(scalar @gaps, 1, "$name: some is left out, once");
            cmp_ok($gaps[0] // 0, '>', 50, "$name: more than a second");
        }
        my @pages = pages(whole($l{$name}->audio));
        is(scalar(grep { !$_->{good} } @pages), 0, "$name: sound pages");
    }
    is(broken_pages($beside->audio), '', 'who reads at once has every page');
    end_it($s, $loop, $space);
};

subtest 'one that never reads beside fifty that do' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create;
    my @fat = steady(590, bitrate => '256k', channels => 2);
    $loop->speak($space, \@fat, repeat => 1);
    is_live($s, $loop, $space);

    my $never = $loop->listen($space, connection => $s->small_socket, reads => 0);
    $loop->{stall} = 0;
    my @l = map { $loop->listen($space) } 1 .. 50;
    $loop->until(sub { !grep { !length $_->{body} } @l });
    $loop->run(7);
    my $stall = $loop->{stall};
    end_it($s, $loop, $space);
    ok($loop->until(sub { !grep { !$_->{gone} } @l }), 'the fifty are done');

    is(join(' ', grep { $_ } map { broken_pages($_->audio) } @l), '',
       'each of them has every page');
    my $gap = max(map { $_->longest_gap } @l);
    cmp_ok($gap, '<', 1 + $stall,
           sprintf 'in time: at most %.2f s between two', $gap);

    # what it was spared is left out, what it got is sound
    $never->{reads} = 1;
    ok($loop->until(sub { $never->{gone} }), 'the slow one is closed');
    my @pages = pages(whole($never->audio));
    is(scalar(grep { !$_->{good} } @pages), 0, 'it got sound pages');
    my @granules = map { $_->{granule} } @pages;
    is_deeply(\@granules, [sort { $a <=> $b } @granules], 'in order');
};

subtest 'reload' => sub {
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my $host = $loop->speak($space, \@packets, page => 20);
    is_live($s, $loop, $space);
    # she has nothing to say
    my $bea = $loop->speak($space, [], how => 'opus',
                           token => $s->invite($space, 'Bea')->{token});
    my @l = map { $loop->listen($space, how => $_) }
            qw(http http ogg opus events);
    $loop->until(sub { !grep { !$_->{status} } @l });

    for (1, 2) {
        my $old = join ' ', sort $s->worker_pids;
        $loop->run(1);
        $s->signal('HUP');
        my %old = map { $_ => 1 } split / /, $old;
        ok($loop->until(sub {
            4 <= grep { !$old{$_} } $s->worker_pids;
        }), 'there are new workers');
        push @l, map { $loop->listen($space, how => $_) } qw(http opus);
    }
    ok($loop->until(sub { $host->{said_all} }), 'all is said');
    is(scalar(grep { $_->{gone} } $host, $bea, @l), 0, 'nobody was cut');
    end_it($s, $loop, $space);
    ok($loop->until(sub { !grep { !$_->{gone} } @l }), 'now it is over');
    is_whole($_, 'a listener') for grep { $_->{how} eq 'http' } @l;

    my $out = $s->replay($space->{id});
    is(broken_pages($out, from_start => 1), '', 'the recording is sound');
    is_deeply([numbers($out)], [0 .. $#packets], 'and has every packet');
    oggz_ok($out, 'in one file');
};

$s->stop;

subtest 'worker_shutdown_timeout' => sub {
    my $s = Test::Spaces->new(workers => 2, shutdown_timeout => '1s')->start;
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my $host = $loop->speak($space, [steady(590)], how => 'opus', repeat => 1);
    is_live($s, $loop, $space);
    my %l = map { $_ => $loop->listen($space, how => $_) } qw(http opus ogg);
    my @guests = map {
        $loop->speak($space, \@packets, page => 20, speed => $_,
                     token => $s->invite($space, "x$_")->{token});
    } 1, 50;
    $loop->until(sub { !grep { !$_->{status} } values %l });
    ok($loop->until(sub { @{ $s->space($space->{id})->{speakers} } == 3 }),
       'two guests talk over HTTP');

    $s->signal('HUP');
    ok($loop->until(sub { !grep { !$_->{gone} } $host, @guests, values %l }),
       'everybody is cut');
    for (@guests) {
        is($_->{status}, 503, 'a guest: 503');
        is($_->answer->{type}, 'urn:spaces:restarting', 'a guest: and why');
    }
    for (['the host', $host], map { [$_, $l{$_}] } qw(opus ogg)) {
        my ($who, $end) = @$_;
        my $ws = $end->{ws};
        is($ws->{code}, 1012, "$who: with 1012")
            or diag(explain({ %$ws, socket => 0, messages =>
                              scalar @{ $ws->{messages} } }));
    }
    ok($l{http}{complete}, 'http: with a clean end');
    is(broken_pages($l{http}->audio), '', 'http: of sound pages');

    is($s->space($space->{id})->{state}, 'live', 'the Space waits');
    my $back = $loop->speak($space, [steady(590)], how => 'opus', repeat => 1);
    ok($loop->until(sub { @{ $back->{sent} } > 50 }), 'the host is back');
    end_it($s, $loop, $space);
    oggz_ok($s->replay($space->{id}), 'in the same file');
    undef $loop;
    $s->stop;
};

subtest 'each worker is killed in turn' => sub {
    my $s = Test::Spaces->new(workers => 4, quiet => ['exited on signal 9'])
        ->start;
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my $host = $loop->speak($space, \@packets, page => 20, reconnect => 1);
    is_live($s, $loop, $space);

    my (@all, %killed);
    for my $pid ($s->worker_pids) {
        push @all, map { $loop->listen($space) } 1 .. 8;
        $loop->until(sub { !grep { !length $_->{body} } @all });
        $loop->run(0.5);

        kill 'KILL', $pid;
        $killed{$pid} = 1;
        ok($loop->until(sub {
            !grep { $_->worker == $pid && !$_->{gone} } @all;
        }), 'a worker is killed, its listeners are cut');

        my @left = grep { !$killed{ $_->worker } } @all;
        cmp_ok(scalar @left, '>', 0, scalar(@left) . ' are left');
        is(scalar(grep { $_->{gone} } @left), 0, 'none of them is cut');
        my %had = map { $_ => length $_->{body} } @left;
        ok($loop->until(sub {
            !grep { length $_->{body} == $had{$_} } @left;
        }, 3), 'they hear on');
    }

    # the host comes back when the worker was theirs
    ok($loop->until(sub { $host->{said_all} }), 'all is said');
    my $began = $host->{sent}[0][0];
    my $at_least = time - $began;
    end_it($s, $loop, $space);
    my $at_most = time - $began;
    ok($loop->until(sub { !grep { !$_->{gone} } @all }), 'it is over');
    is(join(' ', grep { $_ } map { broken_pages($_->audio) } @all), '',
       'no listener misses a page, nor a sample');

    my $out = $s->replay($space->{id});
    is(broken_pages($out, from_start => 1), '', 'the recording is sound');
    oggz_ok($out, 'in one file');
    my @n = numbers($out);
    is_deeply(\@n, [sort { $a <=> $b } @n], 'in order');
    my $lasts = seconds_of(packets($out));
    cmp_ok($lasts, '>', $at_least - 0.5, "it lasts $lasts s");
    cmp_ok($lasts, '<', $at_most + 0.5, 'as the clock on the wall');
    undef $loop;
    $s->stop;
};

done_testing;
