#!/usr/bin/perl

# A disk that is full, that only reads, that stalls: what is live goes on, and
# what can be done to recordings is done.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Mojo::Date;
use Mojo::JSON qw(decode_json false true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(broken_pages steady);
use Test::Spaces::Faults;
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(build packets silence_of);
use Test::Spaces::Recordings;
use Time::HiRes qw(time);

my %moderated = (spaces_moderator => '$cookie_moderator');

sub is_busy {
    my ($res, $name) = @_;
    is($res->code, 503, "$name: 503") or diag($res->body);
    is($res->json->{type}, 'urn:spaces:storage', "$name: and why");
    like($res->headers->header('Retry-After'), qr/^\d+$/, "$name: when");
}

sub due_now {
    my ($s, @spaces) = @_;
    for (@spaces) {
        $s->redis('HSET', "spaces:space:{$_->{id}}", 'expires_at',
                  int((time - 60) * 1000));
        $s->redis('ZADD', 'spaces:due:here', 1, $_->{id});
    }
}

subtest 'what a full disk can do' => sub {
    my $s = Test::Spaces->new(workers => 2, with_faults,
                              http => \%moderated);
    my $mounted = system('mount', '-t', 'tmpfs', '-o', 'size=1m,mode=755',
                         'none', "$s->{dir}/spaces") == 0;
    $s->start;
    my @spaces = map { recorded($s, title => "n$_") } 1 .. 3;
    my ($deleted, $expired, $purged) = @spaces;
    delete_it($s, $purged);

    if ($mounted) {
        open my $out, '>', "$s->{dir}/spaces/filler" or die;
        1 while syswrite $out, "\0" x 512;
    } else {
        # without the right to mount: no block for a new file
        faults($s, 'write held/ 28', 'write recordings/ 28');
    }

    my $id = $deleted->{id};
    my $res = delete_it($s, $deleted);
    is($res->code, 200, 'deleting') or diag($res->body);
    is($s->http('GET', "/spaces/$id/replay")->code, 410, 'is done');
    my $held = decode_json(slurp("$s->{dir}/spaces/held/$id.json"));
    is($held->{recording}, 'deleted', 'and written down');
    is($held->{title}, 'n1', 'with all that was there');
    my $until = rfc3339(35 * 86400);
    $res = $s->http('PATCH', "/spaces/$id/review", moderator('mo'),
                    json => { hold_until => $until });
    is($res->code, 200, 'holding for longer');
    is($res->json->{hold_until}, $until, 'until then');
    is(decode_json(slurp("$s->{dir}/spaces/held/$id.json"))->{hold_until},
       Mojo::Date->new($until)->epoch * 1000, 'is written down');

    due_now($s, $expired);
    ok(until_ok(sub { files($s) =~ /\Q@{[ held($expired->{id}) ]}\E/ }),
       'expiring') or diag(files($s));
    is($s->http('DELETE', "/spaces/$purged->{id}/review", moderator('mo'))
           ->code, 204, 'purging');
    is(files($s), join(' ', sort map { split ' ', held($_->{id}) }
                            $deleted, $expired), 'all is where it belongs');
    unlike($s->error_log, qr/No space left/, 'nothing failed');
    $s->stop;
    system('umount', "$s->{dir}/spaces") if $mounted;
};

subtest 'killed while the disk is full' => sub {
    my $s = Test::Spaces->new(workers => 2, with_faults, http => \%moderated,
                              quiet => ['exited on signal 9'])->start;

    for my $step ('rename held/ID.json before', 'rename held/ID.json after',
                  'pwrite held/ID.json before', 'fdatasync held/ID.json before',
                  'rename held/ID.opus before')
    {
        my $space = recorded($s);
        my $id = $space->{id};
        faults($s, 'write held/ 28', $step =~ s/ID/$id/r);
        delete_it($s, $space);
        ok(!-s "$s->{dir}/faults", "$step: killed there");
        my $decided = $step ne 'rename held/ID.json before';
        my $state = $decided ? 'deleted' : 'available';
        ok(until_ok(sub {
            # of Redis: it is told when all is done
            $s->redis('HGET', "spaces:space:{$id}", 'recording') eq $state;
        }), "$step: it is $state");
        ok(until_ok(sub { (delete_it($s, $space)->code // 0) == 200 }),
           "$step: and deleted");
        ok(until_ok(sub {
            held($id) eq join ' ', grep { /\Q$id/ && !/tmp$/ }
                                   split / /, files($s);
        }), "$step: on the disk") or diag(files($s));
        my $held = decode_json(slurp("$s->{dir}/spaces/held/$id.json"));
        is($held->{recording}, 'deleted', "$step: which says so");
        is($held->{hold_until} - $held->{held_at}, 30 * 86400_000,
           "$step: and until when");
    }
    $s->stop;
};

subtest 'a disk that only reads' => sub {
    my $s = Test::Spaces->new(workers => 2, with_faults)->start;
    my @spaces = map { recorded($s) } 1 .. 4;
    my ($bad, @good) = @spaces;
    my $id = $bad->{id};

    faults($s, "rename held/$id.opus 30");
    is_busy(delete_it($s, $bad), 'deleting');
    is($s->http('GET', "/spaces/$id/replay")->code, 200, 'it is still there');
    due_now($s, @spaces);
    ok(until_ok(sub {
        my @left = grep { /^recordings/ } split / /, files($s);
        return @left == 3;
    }), 'others expire') or diag(files($s));
    ok(until_ok(sub {
        $s->redis('ZSCORE', 'spaces:due:here', $id) > time + 30;
    }), 'it is put off');
    is($s->http('GET', "/spaces/$id/replay")->code, 410,
       'and not replayed, its time is over');
    my @lines = $s->error_log =~ /(rename\(\) to held\S+ failed.*)/g;
    cmp_ok(scalar @lines, '<=', 2, 'a line for each attempt')
        or diag(join "\n", @lines);
    like($s->error_log, qr/\Q$id\E: the rename\(\) to held.*\(30: Read-only/,
         'which says why');
    faults($s);
    $s->redis('ZADD', 'spaces:due:here', 1, $id);
    ok(until_ok(sub { files($s) !~ /recordings/ }), 'it expires later');

    faults($s, 'open live/ 30');
    is_busy($s->ingest($s->create(record => true),
                       $Test::Spaces::Recordings::audio), 'recording');
    is($s->ingest($s->create, $Test::Spaces::Recordings::audio)->code, 200,
       'unrecorded is fine');
    $s->stop;
};

subtest 'deleted, though it was never published' => sub {
    my $s = Test::Spaces->new(workers => 2, with_faults,
                              quiet => ['rename\(\) of live/'],
                              http => \%moderated)->start;
    my $space = $s->create(record => true);
    my $id = $space->{id};
    faults($s, 'rename recordings/' . substr($id, 0, 2) . "/$id.opus 30");
    is($s->ingest($space, $Test::Spaces::Recordings::audio)->code, 200,
       'it ends');
    is($s->space($id)->{recording}, 'none', 'there is nothing to replay');
    like(files($s), qr{live/$id\.opus}, 'but what was recorded is there');
    faults($s);
    my $res = delete_it($s, $space);
    is($res->code, 200, 'deleted') or diag($res->body);
    is($res->json->{recording}, 'deleted', 'and held, for there is audio');
    is(files($s), held($id), 'on the disk');
    my @lines = grep { /^delete/ } audit($s);
    is(scalar @lines, 1, 'the audit says so');
    $s->stop_nginx;
    $s->start_nginx;
    ok(until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }), 'restarted');
    is($s->http('GET', "/spaces/$id/replay")->code, 410, 'it stays deleted');
    is(files($s), held($id), 'and held');
    $s->stop;
};

# what that deletion does on the disk, and whether it is decided by then

my @steps = (
    ['write held/', 'before', 0],
    ['rename held/ID.json', 'before', 0],
    ['rename held/ID.json', 'after', 1],
    ['rename held/ID.opus', 'before', 1],
    ['rename held/ID.opus', 'after', 1],
    ['unlink live/ID.json', 'before', 1],
    ['unlink live/ID.json', 'after', 1],
);

# one that ended, and could not be published
sub unpublished {
    my ($s) = @_;
    my $space = $s->create(record => true);
    my $id = $space->{id};
    faults($s, 'rename recordings/' . substr($id, 0, 2) . "/$id.opus 30");
    is($s->ingest($space, $Test::Spaces::Recordings::audio)->code, 200,
       'it ends');
    faults($s);
    # its room is let go
    ok(until_ok(sub {
        $s->space($id)->{recording} eq 'none'
            && $s->http('GET', '/metrics')->body
               =~ /^spaces_rooms\{state="ended"\} 0/m;
    }), 'with nothing to replay');
    return $space;
}

sub unpublished_nginx {
    return Test::Spaces->new(
        workers => $_[0], with_faults, http => \%moderated,
        quiet => ['rename\(\) of live/', 'exited on signal 9'],
        server_more => 'location = /metrics { spaces_metrics; }')->start;
}

# how it is replayed, until it is as it should be
sub replays_until {
    my ($s, $id, $code) = @_;
    my %codes;
    until_ok(sub {
        my $is = $s->http('GET', "/spaces/$id/replay")->code // 0;
        $codes{$is} = 1;
        return $is == $code;
    });
    return %codes;
}

sub is_deleted_for_good {
    my ($s, $id, $name) = @_;
    my %codes = replays_until($s, $id, 410);
    ok($codes{410}, "$name: it is deleted");
    ok(!$codes{200}, "$name: and was never to be heard");
    ok(until_ok(sub {
        my @mine = grep { /\Q$id/ && !/\.tmp$/ } split / /, files($s);
        return "@mine" eq held($id);
    }), "$name: the files are where they belong") or diag(files($s));
    ok(until_ok(sub { grep { /^delete .*\Q$id/ } audit($s) }),
       "$name: the audit has it");
    is($s->http('GET', "/spaces/$id/review", moderator('mo'))->code, 200,
       "$name: it can be reviewed");
}

subtest 'a worker is killed while it deletes what was never published' => sub {
    my $s = unpublished_nginx(2);

    for my $step (@steps) {
        my ($where, $when, $decided) = @$step;
        my $name = "$when $where";
        my $space = unpublished($s);
        my $id = $space->{id};
        faults($s, "$where $when" =~ s/ID/$id/r);
        delete_it($s, $space);
        ok(!-s "$s->{dir}/faults", "$name: killed there");
        faults($s);
        if (!$decided) {
            my $res;
            ok(until_ok(sub {
                $res = $s->http('GET', "/spaces/$id");
                ($res->code // 0) == 200;
            }), "$name: it is still there");
            is($res->json->{recording}, 'none', "$name: and as it was");
            ok(until_ok(sub { (delete_it($s, $space)->code // 0) == 200 }),
               "$name: it can be deleted again");
        }
        is_deleted_for_good($s, $id, $name);
    }
    $s->stop;
};

subtest 'and all of nginx is killed with it' => sub {
    my $s = unpublished_nginx(1);

    for my $step (@steps) {
        my ($where, $when, $decided) = @$step;
        my $name = "$when $where";
        my $space = unpublished($s);
        my $id = $space->{id};
        faults($s, "$where $when" =~ s/ID/$id/r);
        # so that no worker follows
        kill 'STOP', $s->{nginx_pid};
        delete_it($s, $space);
        ok(!-s "$s->{dir}/faults", "$name: killed there");
        faults($s);
        $s->stop_nginx('KILL');
        $s->start_nginx;
        if (!$decided) {
            my %codes = replays_until($s, $id, 200);
            ok($codes{200}, "$name: now it is published");
            is(delete_it($s, $space)->code, 200, "$name: and deleted");
        }
        is_deleted_for_good($s, $id, $name);
    }
    $s->stop;
};

subtest 'a deletion waits for who looks for what was live' => sub {
    my $s = unpublished_nginx(1);
    my $space = unpublished($s);
    my $id = $space->{id};
    $s->stop_nginx;
    faults($s, "open live/$id.opus stall");
    $s->start_nginx;
    my $socket = $s->socket;
    print $socket "DELETE /spaces/$id HTTP/1.1\r\nHost: h\r\n",
        "Authorization: Bearer $space->{token}\r\nConnection: close\r\n\r\n";
    ok(!IO::Select->new($socket)->can_read(1), 'it waits');
    unlike(files($s), qr{held/}, 'and does nothing yet');
    faults($s);
    like(Test::Spaces::read_all($socket, 30), qr{^HTTP/1.1 (?:200|503) },
         'then it is answered, one way or another');
    ok(until_ok(sub { (delete_it($s, $space)->code // 0) == 200 }),
       'it is deleted');
    is_deleted_for_good($s, $id, 'after a start');
    $s->stop;
};

# what the beginning of a recording does on the disk

subtest 'a worker is killed while it begins a recording' => sub {
    my $s = Test::Spaces->new(workers => 2, with_faults,
                              http => { spaces_reconnect => '30s' },
                              quiet => ['exited on signal 9'])->start;
    for my $step (['mkdir recordings/XX', 'before'],
                  ['mkdir recordings/XX', 'after'],
                  ['open live/ID.opus', 'before'],
                  ['open live/ID.opus', 'after'],
                  ['rename live/ID.json', 'before'],
                  ['rename live/ID.json', 'after'],
                  ['pwrite live/ID.opus', 'before'])
    {
        my ($where, $when) = @$step;
        my $name = "$when $where";
        my $space = $s->create(record => true);
        my ($id, $xx) = ($space->{id}, substr $space->{id}, 0, 2);
        faults($s, "$where $when" =~ s/ID/$id/r =~ s/XX/$xx/r);
        my $host = $s->begin_ingest($space);
        Test::Spaces::chunk($host, $Test::Spaces::Recordings::audio);
        ok(until_ok(sub { !-s "$s->{dir}/faults" }), "$name: killed there");
        faults($s);
        close $host;
        my $res;
        ok(until_ok(sub {
            $res = $s->ingest($space, $Test::Spaces::Recordings::audio);
            return ($res->code // 0) == 200;
        }), "$name: the host comes back") or diag($res->body);
        is($res->json->{recording}, 'available', "$name: it is published");
        oggz_ok($s->replay($id), "$name: and sound");
    }
    $s->stop;
};

subtest 'a worker that leaves waits for the disk' => sub {
    my $s = Test::Spaces->new(workers => 1, with_faults)->start;
    my $deleted = recorded($s);
    my $heard = recorded($s);
    my ($old) = $s->worker_pids;
    faults($s, "rename held/$deleted->{id}.opus stall",
           "open $heard->{id}.opus stall", "open $heard->{id}.wave stall");
    my %ask = (
        deletion => "DELETE /spaces/$deleted->{id}",
        clip => "GET /spaces/$heard->{id}/replay?start=0&end=0.5",
        waveform => "GET /spaces/$heard->{id}/replay/waveform",
    );
    my %socket;
    for my $name (sort keys %ask) {
        my $socket = $socket{$name} = $s->socket;
        print $socket "$ask{$name} HTTP/1.1\r\nHost: h\r\n",
            "Authorization: Bearer $deleted->{token}\r\n",
            "Connection: close\r\n\r\n";
        ok(!IO::Select->new($socket)->can_read(0.3), "$name: it stalls");
    }
    $s->signal('HUP');
    ok(until_ok(sub { $s->error_log =~ /gracefully shutting down/ }), 'it leaves');
    is($s->http('GET', "/spaces/$heard->{id}")->code, 200, 'there is another');
    ok(kill(0, $old), 'but is there yet');
    faults($s);
    like(Test::Spaces::read_all($socket{$_}, 30), qr{^HTTP/1.1 200 },
         "$_: answered") for sort keys %ask;
    ok(until_ok(sub { !kill 0, $old }), 'then it goes');
    $s->stop;
};

# more recordings than there are threads for the disk
my $many = 36;

subtest 'a disk that stalls' => sub {
    my $s = Test::Spaces->new(workers => 1, with_faults,
                              http => { spaces_zone => 'spaces 64m',
                                        %moderated })->start;
    my $old = recorded($s);
    my $doomed = recorded($s);
    my $loop = Test::Spaces::Loop->new($s);
    my @recorded = map { $s->create(record => true) } 1 .. $many;
    my @speakers = map {
        $loop->speak($_, [steady(590)], page => 500, repeat => 1)
    } @recorded;
    my $mixed = $s->create;
    my @talkers = map {
        my $token = $_ ? $s->invite($mixed, "n$_")->{token} : $mixed->{token};
        $loop->speak($mixed, [steady((310, 430, 730)[$_])], how => 'opus',
                     token => $token, repeat => 1, wait => $_ ? 1 : 0);
    } 0 .. 2;
    my $live = sub {
        my $list = $s->http('GET', '/spaces?state=live&limit=50')->json;
        return scalar @{ $list->{spaces} // [] };
    };
    ok($loop->until(sub { $live->() == $many + 1 }), 'live') or diag($live->());
    my $listener = $loop->listen($recorded[0]);
    my $hears = $loop->listen($mixed, how => 'opus');
    ok($loop->until(sub { length $hears->audio && length $listener->audio }),
       'they listen');

    faults($s, 'pwrite live/ stall', 'fdatasync live/ stall',
           'rename held/ stall');
    my $size = sub { -s "$s->{dir}/spaces/live/$_[0]{id}.opus" };
    $loop->run(2);
    my @sizes = map { $size->($_) } @recorded;

    my $had = length $listener->audio;
    ok($loop->until(sub { length $listener->audio > $had + 8000 }),
       'who listens to what is recorded hears on');
    is($loop->http('GET', '/spaces', {})->code, 200, 'the API answers');
    is($loop->http('GET', "/spaces/$old->{id}/replay", {})->code, 200,
       'another one is replayed');
    my $res = $loop->http('DELETE', "/spaces/$doomed->{id}",
                          $s->bearer($doomed->{token}));
    is_busy($res, 'a deletion');
    is($loop->http('GET', "/spaces/$doomed->{id}/replay", {})->code, 410,
       'whose recording is out of reach at once');
    my $review = "/spaces/$doomed->{id}/review";
    is_busy($loop->http('GET', $review, moderator('mo')), 'a review of it');
    is_busy($loop->http('PATCH', $review, moderator('mo'),
                        { hold_until => rfc3339(35 * 86400) }),
            'and to hold it for longer');

    # what several say is mixed up to the end, which is for a thread
    $res = $loop->http('POST', "/spaces/$mixed->{id}/end",
                       $s->bearer($mixed->{token}));
    is($res->code, 200, 'what is not recorded ends');
    ok($loop->until(sub { $hears->{gone} }), 'for all who listen');
    is_deeply([map { $size->($_) } @recorded], \@sizes,
              'all the while nothing was written');
    is_busy($loop->http('POST', "/spaces/$recorded[1]{id}/end",
                        $s->bearer($recorded[1]{token})), 'an end');

    faults($s);
    ok($loop->until(sub {
        my @now = map { $size->($_) // 1e9 } @recorded;
        return !grep { $now[$_] < $sizes[$_] + 8000 } 0 .. $#now;
    }), 'then all of it is');
    ok($loop->until(sub {
        ($s->space($recorded[1]{id})->{recording} // '') eq 'available';
    }), 'and has ended');
    ok($loop->until(sub {
        ($s->redis('HGET', "spaces:space:{$doomed->{id}}", 'recording') // '')
            eq 'deleted';
    }), 'and is deleted');
    $res = $loop->http('POST', "/spaces/$recorded[0]{id}/end",
                       $s->bearer($recorded[0]{token}));
    is($res->json->{recording}, 'available', 'recording went on');
    ok($loop->until(sub { $listener->{gone} }), 'the listener is told');
    cmp_ok($listener->longest_gap, '<', 4, 'and never waited for the disk');
    undef $loop;
    for (@recorded[0, 1]) {
        my $audio = $s->replay($_->{id});
        oggz_ok($audio, 'whole');
        is(broken_pages($audio), '', 'with nothing missing');
    }
    unlike($s->error_log, qr/recording of space \S+ stops/, 'none stopped');
    $s->stop;
};

subtest 'a disk that stalls for too long' => sub {
    my $s = Test::Spaces->new(workers => 1, with_faults)->start;
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create(record => true);
    # what is kept for the disk in memory is 256 KB
    my $fat = tone(source => 'anoisesrc=d=12:r=48000', bitrate => '400k',
                   cbr => 1, channels => 2);
    my $host = $loop->speak($space, [packets($fat)], repeat => 1,
                            how => 'opus');
    my $hears;
    ok($loop->until(sub { $s->space($space->{id})->{state} eq 'live' }),
       'live');
    $hears = $loop->listen($space, query => 'from=start');
    my $file = "$s->{dir}/spaces/live/$space->{id}.opus";
    ok($loop->until(sub { -s $file > 50_000 }), 'recorded');
    faults($s, 'pwrite live/ stall');
    ok($loop->until(sub { $s->error_log =~ /too slow or stalled/ }, 40),
       'it stops');
    ok($loop->until(sub { $host->events('warning') }), 'the host is warned');
    my $live = $s->space($space->{id});
    is("$live->{state} $live->{recording}", 'live none', 'the Space goes on');
    $loop->run(1);
    faults($s);
    my $had = length $hears->audio;
    ok($loop->until(sub { length $hears->audio > $had + 50_000 }),
       'and is heard');
    my $res = $loop->http('POST', "/spaces/$space->{id}/end",
                          $s->bearer($space->{token}));
    is($res->json->{recording}, 'available', 'what was written is kept');
    ok($loop->until(sub { $hears->{gone} }), 'over');
    undef $loop;
    my $audio = $s->replay($space->{id});
    oggz_ok($audio, 'a file of its own right');
    is(broken_pages($audio), '', 'of one piece');
    my @written = packets($audio);
    my @heard = packets($hears->audio);
    cmp_ok(scalar @written, '<', scalar @heard, 'it is a part');
    is(scalar(grep { $written[$_] ne $heard[$_] } 0 .. $#written), 0,
       'of what was heard, from the beginning');
    $s->stop;
};

subtest 'what is being deleted does not begin' => sub {
    my $s = Test::Spaces->new(workers => 2, with_faults)->start;
    chmod 0777, $s->{dir};
    my $space = $s->create(record => true);
    my $id = $space->{id};
    faults($s, "unlink live/$id.json stall");
    my $delete = $s->socket;
    print $delete "DELETE /spaces/$id HTTP/1.1\r\nHost: localhost\r\n",
          "Authorization: Bearer $space->{token}\r\nConnection: close\r\n\r\n";
    $delete->flush;
    ok(until_ok(sub { -e "$s->{dir}/faults.stalled" }), 'in the middle of it');
    my $res = $s->ingest($space, build(packets => [silence_of(5)]));
    is($res->code, 409, 'its host is refused');
    faults($s);
    like(Test::Spaces::read_all($delete), qr{^HTTP/1.1 (?:204|503) }, 'deleted');
    ok(until_ok(sub {
        $s->http('GET', "/spaces/$id", $s->as('ana'))->code == 404;
    }), 'and gone');
    is($s->redis('EXISTS', "spaces:space:{$id}"), 0, 'for good');
    $s->stop;
};

subtest 'who comes before it is known what a crash left' => sub {
    my $s = Test::Spaces->new(workers => 2, with_faults)->start;
    chmod 0777, $s->{dir};
    my @spaces = map { $s->create(record => $_) } (true, false);
    my $plain = $s->create;
    $s->stop_nginx('KILL');
    my $left = 'a' x 20;
    spurt("$s->{dir}/spaces/live/$left.json", '{}');
    faults($s, "open live/$left stall");
    $s->start_nginx;
    ok(until_ok(sub { -e "$s->{dir}/faults.stalled" }), 'it is looked for');

    my $said = build(packets => [silence_of(5)]);
    my @hosts = map {
        my $host = $s->begin_ingest($_);
        Test::Spaces::chunk($host, $said);
        print $host "0\r\n\r\n";
        $host;
    } @spaces;
    is(scalar(() = IO::Select->new(@hosts)->can_read(1)), 0,
       'hosts are kept waiting');
    is($s->http('GET', '/spaces')->code, 200, 'who reads is not');
    close $s->begin_ingest($plain);
    faults($s);
    like(Test::Spaces::read_all($_, 60), qr{^HTTP/1.1 200 }, 'and talk then')
        for @hosts;
    $s->stop;
};

subtest 'what is said goes out at once' => sub {
    my $s = Test::Spaces->new(workers => 1, with_faults,
                              quiet => ['TCP_NODELAY'])->start;
    my $loop = Test::Spaces::Loop->new($s);
    my $space = $s->create;
    my $host = $loop->speak($space, [steady(300)], repeat => 1);
    ok($loop->until(sub { $s->space($space->{id})->{state} eq 'live' }),
       'live');

    # a connection that can't be told to, is none
    faults($s, 'setsockopt nodelay 22');
    for my $how (qw(opus ogg http)) {
        my $ear = $loop->listen($space, how => $how);
        ok($loop->until(sub { $ear->{gone} }), "$how: it is asked for");
    }
    faults($s);
    my $ear = $loop->listen($space, how => 'opus');
    ok($loop->until(sub { @{ $ear->{messages} } > 3 }), 'and had');
    undef $loop;
    $s->stop;
};

done_testing;
