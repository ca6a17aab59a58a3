#!/usr/bin/perl

# A disk that is low, full, gone; and memory that is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Path qw(remove_tree);
use Mojo::JSON qw(true false);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(broken_pages);
use Test::Spaces::Faults;
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(build numbers packets silence_of);
use Test::Spaces::WebSocket;
use Time::HiRes qw(sleep);

my $audio = build(packets => [silence_of(50)]);

# what a source is answered that has said nothing yet

sub source {
    my ($s, $space) = @_;
    my $socket = $s->socket;
    print $socket "SOURCE /spaces/$space->{id}/ingest HTTP/1.0\r\n",
                  "Authorization: Bearer $space->{token}\r\n\r\n";
    return Test::Spaces::read_all($socket, 2);
}

sub upgrade {
    my ($s, $space) = @_;
    my (undef, $line) = Test::Spaces::WebSocket->connect($s,
        "/spaces/$space->{id}/ingest", 'spaces.opus.v1',
        %{ $s->bearer($space->{token}) });
    return $line;
}

subtest 'too little disk' => sub {
    my $s = Test::Spaces->new(workers => 2,
                              http => { spaces_min_free => '8000000000g' })->start;
    my $space = $s->create(record => true);
    for (1 .. 2) {
        my $res = $s->ingest($space, $audio);
        is($res->code, 507, 'refused');
        is($res->json->{type}, 'urn:spaces:disk-low', 'and why');
        ok($res->headers->header('Retry-After'), 'and when');
    }
    for (['SOURCE', source($s, $space)], ['WebSocket', upgrade($s, $space)]) {
        my ($how, $answer) = @$_;
        like($answer, qr/^HTTP\/1.[01] 507 /, "$how: refused by an answer");
        unlike($answer, qr/ (?:101|200) /, "$how: before it is told to begin");
    }
    is($s->space($space->{id})->{state}, 'scheduled', 'nothing has happened');
    my $unrecorded = $s->create;
    like(upgrade($s, $unrecorded), qr/ 101 /, 'unrecorded gets in');
    is($s->ingest($unrecorded, $audio)->code, 200, 'and is fine');
    is_deeply([glob "$s->{dir}/spaces/live/*"], [], 'live/ is empty');
    like($s->error_log, qr/spaces_min_free.*free some space/, 'the log tells');
    $s->stop;
};

subtest 'the folder is gone' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my $space = $s->create(record => true);
    remove_tree("$s->{dir}/spaces");
    my $res = $s->ingest($space, $audio);
    is($res->code, 503, 'refused');
    is($res->json->{type}, 'urn:spaces:storage', 'and why');
    is($s->space($space->{id})->{state}, 'scheduled', 'nothing has happened');
    is($s->ingest($s->create, $audio)->code, 200, 'unrecorded is fine');
    like($s->error_log, qr/recording of space $space->{id} stops: /,
         'the log tells');
    $s->stop;
};

subtest 'the folder goes while a Space is recorded' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my $space = $s->create(record => true);
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, build(packets => [silence_of(50)],
                                     no_eos => 1));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    sleep 0.5;
    remove_tree("$s->{dir}/spaces");
    my $res = $s->end_space($space);
    is($res->code, 200, 'it ends');
    is($res->json->{recording}, 'none', 'and says that nothing is left');
    is($s->http('GET', "/spaces/$space->{id}/replay")->code, 404, 'no replay');
    $s->stop;
};

subtest 'a file system that fills' => sub {
    my $s = Test::Spaces->new(workers => 2, with_faults);
    my $mounted = system('mount', '-t', 'tmpfs', '-o', 'size=256k,mode=755',
                         'none', "$s->{dir}/spaces") == 0;
    $s->start;
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    my $fat = tone(seconds => 12, bitrate => '400k', cbr => 1, channels => 2);
    my $host = $loop->speak($space, [packets($fat)], how => 'opus',
                            repeat => 1);
    ok($loop->until(sub { $s->space($space->{id})->{state} eq 'live' }),
       'live');
    my @told = ($host, map { $loop->listen($space, how => $_) }
                           qw(events opus));
    my $hears = $loop->listen($space);
    if (!$mounted) {
        # without the right to mount: from now on there is no block for more
        my $file = "$s->{dir}/spaces/live/$space->{id}.opus";
        ok($loop->until(sub { (-s $file // 0) > 150_000 }), 'it grows');
        faults($s, 'pwrite live/ 28');
    }
    ok($loop->until(sub {
        $s->error_log =~ /recording of space .* stops: pwrite/;
    }, 30), 'the log tells');
    faults($s);
    ok($loop->until(sub {
        my $live = $s->space($space->{id});
        $live->{state} eq 'live' && $live->{recording} eq 'none';
    }), 'the Space goes on, and says that it is not recorded any more');
    ok($loop->until(sub {
        ($s->redis('HGET', "spaces:space:{$space->{id}}", 'recording') // '')
            eq 'none';
    }), 'and so does Redis');

    # who speaks and who listens are told, and what is said goes on
    for my $l (@told) {
        ok($loop->until(sub { $l->events('warning') }),
           "$l->{how}: a warning");
        like(($l->events('warning'))[0]{detail}, qr/recording has stopped/,
             "$l->{how}: says what");
        is(($l->events('recording'))[-1]{recording}, false,
           "$l->{how}: recording is off");
        is($l->{events}[0]{recording}, true, "$l->{how}: it was on");
    }
    my $late = $loop->listen($space, how => 'opus');
    ok($loop->until(sub { $late->events('hello') }), 'one comes later');
    is($late->{events}[0]{recording}, false, 'and is told that it is off');
    my $had = length $hears->audio;
    ok($loop->until(sub { length $hears->audio > $had + 10_000 }),
       'it is heard on');

    my $res = $loop->http('POST', "/spaces/$space->{id}/end",
                          $s->bearer($space->{token}));
    is($res->code, 200, 'it ends');
    is($res->json->{recording}, 'available', 'what was written is kept');
    is(broken_pages($hears->audio), '', 'who listened has missed nothing');
    undef $loop;
    my $out = $s->replay($space->{id});
    oggz_ok($out, 'a file of its own right');
    my @in = packets($fat);
    # but for what fills the time when the sender of this test is held up
    my @out = grep { length > 3 } packets($out);
    is(join(' ', map { length } @out),
       join(' ', map { length } @in[0 .. $#out]), 'its first packets');
    $s->stop;
    system('umount', "$s->{dir}/spaces") if $mounted;
};

subtest 'shared memory is full' => sub {
    my $s = Test::Spaces->new(workers => 4, http => { spaces_zone => 'spaces 1m' })
        ->start;
    my (@hosts, @spaces);
    my $refused;
    for (1 .. 5) {
        my $space = $s->create(record => true);
        my $host = $s->begin_ingest($space);
        Test::Spaces::chunk($host, build(packets => [silence_of(250)],
                                         no_eos => 1));
        my $answer = Test::Spaces::read_all($host, 0.7);
        if ($answer ne '') {
            like($answer, qr/^HTTP\/1.1 503 .*Retry-After.*urn:spaces:no-room/s,
                 'no room: 503');
            is($s->space($space->{id})->{state}, 'scheduled',
               'the Space is as it was');
            $refused++;
            next;
        }
        push @spaces, $space;
        push @hosts, $host;
    }
    cmp_ok($refused, '>=', 1, 'not all found room');
    cmp_ok(scalar @hosts, '>=', 1, 'but some did');
    for my $how (\&source, \&upgrade) {
        like($how->($s, $s->create), qr/^HTTP\/1.[01] 503 /,
             'who would have none is not told to begin');
    }
    print $_ "0\r\n\r\n" for @hosts;
    like(Test::Spaces::read_all($_), qr/^HTTP\/1.1 200 /, 'those go on')
        for @hosts;
    is_deeply([numbers($s->replay($_->{id}))], [1 .. 250], 'and lose nothing')
        for @spaces;
    # and their room is free again
    my $space = $s->create(record => true);
    ok(until_ok(sub { $s->ingest($space, $audio)->code == 200 }),
       'there is room again');
    $s->stop;
};

subtest 'no descriptor, no room is left behind' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my ($pid) = $s->worker_pids;
    my $open = sub { scalar(() = glob "/proc/$pid/fd/*") };
    $s->ingest($s->create(record => true), build(packets => [silence_of(5)]));
    sleep 4;
    my $before = $open->();
    for (1 .. 3) {
        $s->ingest($s->create(record => true),
                   build(packets => [silence_of(5)]));
        $s->ingest($s->create(record => true), 'noise');
        my $socket = $s->begin_ingest($s->create(record => true));
        Test::Spaces::chunk($socket, substr $audio, 0, 100);
        close $socket;
        $s->http('GET', '/spaces/' . 'a' x 20 . '/replay');
    }
    ok(until_ok(sub { $open->() <= $before }), 'descriptors');
    $s->stop;
};

done_testing;
