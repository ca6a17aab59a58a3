#!/usr/bin/perl

# What the README says to type is typed, line by line, against the server that
# "make run" would serve; its pieces of configuration are put where it says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::JSON qw(true);
use POSIX qw(WNOHANG);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build silence_of);
use Test::Spaces::Recordings;

my $readme = slurp("$FindBin::Bin/../README.md");

# what of it is to be tried here: [language, text]
my @blocks;
while ($readme =~ /<!-- tested by t\/manual\.t -->\n```(\w*)\n(.*?)^```$/msg) {
    push @blocks, [$1, $2];
}

sub blocks {
    my ($language, $like) = @_;
    my @found = grep { $_->[0] eq $language && $_->[1] =~ $like } @blocks;
    is(scalar @found, 1, "the README has $like, once");
    @blocks = grep { my $block = $_; !grep { $block == $_ } @found } @blocks;
    return $found[0][1];
}

# Before a line is typed: a Space as it expects it, and the variables it has.

sub scheduled { return $_[0]->create(record => true) }

sub live {
    my ($s) = @_;
    my $space = $s->create(record => true);
    $s->{host} = $s->begin_ingest($space);
    Test::Spaces::chunk($s->{host}, build(packets => [silence_of(100)],
                                          no_eos => 1));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    return $space;
}

sub ended { return recorded($_[0], topics => ['music']) }

sub ticketed {
    return $_[0]->create(visibility => 'ticketed', capacity => 20);
}

sub type {
    my ($s, $line, $space) = @_;
    my ($id, $token) = @$space{qw(id token)};

    my ($sid, $share) = ('none', 'none');
    if ($line =~ /\$sid/) {
        $sid = $s->invite($space, 'Bea')->{id};
    }
    if ($line =~ /\$share\b/) {
        $share = $s->http('POST', "/spaces/$id/shares", $s->as('ana'),
                          json => {})->json->{id};
    }

    $line =~ s/localhost:8080/127.0.0.1:$s->{port}/;
    spurt("$s->{dir}/typed/line.sh", <<"END");
set -e
cd $s->{dir}/typed
export SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy
curl() { command curl -fsS "\$@"; }
ffmpeg() { command ffmpeg -nostdin -hide_banner -loglevel error "\$@"; }
ffplay() { command ffplay -hide_banner -loglevel error -nodisp -autoexit "\$@"; }
url=http://127.0.0.1:$s->{port} id=$id token=$token sid=$sid share=$share
$line
END
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$s->{dir}/typed/out";
        open STDERR, '>&', \*STDOUT;
        exec 'bash', "$s->{dir}/typed/line.sh" or POSIX::_exit(127);
    }
    return $pid;
}

sub typed {
    my ($s, $line, $space, $meanwhile) = @_;
    my $pid = type($s, $line, $space);
    $meanwhile->() if $meanwhile;

    my $gone;
    ok(until_ok(sub { $gone = waitpid($pid, WNOHANG) > 0 }, 60), 'it is done');
    my $status = $?;
    kill 'KILL', $pid if !$gone;
    my $out = slurp("$s->{dir}/typed/out");
    is($status, 0, $line) or diag($out);
    return $out;
}

my $s = Test::Spaces->new(workers => 2, http => {
    spaces_moderator => '$cookie_moderator',
})->start;
mkdir "$s->{dir}/typed";
run_ok('something to say', 'ffmpeg', '-y', '-loglevel', 'error', '-f', 'lavfi',
       '-i', 'sine=440:d=2', "$s->{dir}/typed/talk.wav");
run_ok('and as Opus', 'ffmpeg', '-y', '-loglevel', 'error', '-i',
       "$s->{dir}/typed/talk.wav", '-c:a', 'libopus',
       "$s->{dir}/typed/talk.opus");

subtest 'talk' => sub {
    for my $line (split /\n/, blocks('sh', qr/talk\.opus/)) {
        my $space = scheduled($s);
        typed($s, $line, $space);
        if ($line =~ /icecast/) {
            is($s->end_space($space)->code, 200, 'which never says it is done');
        }
        ok(until_ok(sub { $s->space($space->{id})->{state} eq 'ended' }),
           'the Space has ended');
        cmp_ok($s->space($space->{id})->{duration}, '>', 1.5, 'all is there');
    }
};

subtest 'listen' => sub {
    for my $line (split /\n/, blocks('sh', qr/ffplay/)) {
        my $space = live($s);
        my $out = typed($s, $line, $space, sub {
            ok(until_ok(sub {
                $s->http('GET', "/spaces/$space->{id}")->json->{listeners} > 0
                || $line =~ /events/ && slurp("$s->{dir}/typed/out") =~ /hello/
            }), 'it listens');
            is($s->end_space($space)->code, 200, 'the Space ends');
        });
        like($out, qr/^event: hello\n/, 'the first event')
            if $line =~ /events/;
        cmp_ok(-s "$s->{dir}/typed/$1", '>', 500, "$1 is there")
            if $line =~ /-o (\S+)/;
    }
};

subtest 'the API' => sub {
    my %answers = (
        '"title":"Hello"' => qr/"record":true.*"token":"|"token":".*"record":true/,
        'state=ended' => qr/"next":/,
        'PATCH -H' => qr/"title":"New"/,
        'X POST -H' => qr/"recording":"available"/,
        'for Bob' => qr/"url":"http/,
        '"name":"Bea"' => qr/"token":"/,
        '"muted"' => qr/"muted":true/,
        '"count":10' => qr/"tickets":\[(?:\{[^}]*\},?){10}\]/,
    );
    for my $line (split /\n/, blocks('sh', qr/^url=/)) {
        next if $line eq 'url=http://localhost:8080';
        my $space = $line =~ /tickets/ ? ticketed($s)
                  : $line =~ /speakers/ ? scheduled($s)
                  : $line =~ /\/end/ ? live($s) : ended($s);
        $line =~ s/start=90&end=102\.5/start=0.2&end=0.8/;
        my $out = typed($s, $line, $space);
        my ($key) = grep { index($line, $_) >= 0 } keys %answers;
        like($out, $answers{$key}, 'it answers') if $key;
        delete $answers{$key} if $key;
    }
    is_deeply([keys %answers], [], 'all that was to be answered');
    cmp_ok(-s "$s->{dir}/typed/clip.opus", '>', 100, 'the clip is there');
};

subtest 'a page of the operator' => sub {
    my $location = blocks('nginx', qr/share\.html/);
    mkdir "$s->{dir}/pages";
    spurt("$s->{dir}/pages/share.html", blocks('html', qr/spaces_title/));
    $location =~ s/root \/var\/www/root $s->{dir}/ or die;

    my $own = Test::Spaces->new(workers => 1, no_redis => 1, http => {
        spaces_redis => "unix:$s->{dir}/redis.sock",
        spaces_path => "$s->{dir}/spaces",
    }, server_more => $location =~ s/\^\/s\//^\/mine\//r)->start;
    my $space = ended($s);
    my $token = $s->http('POST', "/spaces/$space->{id}/shares", $s->as('ana'),
                         json => {})->json->{token};
    my $page = $own->http('GET', "/mine/$token")->body;
    like($page, qr/<title>\Q$space->{title}\E<\/title>/, 'the title');
    like($page, qr/<p>By ana, 0:00:0\d<\/p>/, 'by whom, and how long');
    like($page, qr/rel="canonical" href="http[^"]+\/s\/$token"/, 'and where');
    $own->stop;
};

subtest 'metrics' => sub {
    my $other = Test::Spaces->new(workers => 1, server_more =>
        blocks('nginx', qr/spaces_metrics/))->start;
    like($other->http('GET', '/metrics')->body, qr/^spaces_workers 1$/m,
         'are there');
    $other->stop;
};

subtest 'Redis that loses nothing' => sub {
    my $other = Test::Spaces->new(workers => 1, redis_options => [
        map { /^(\S+) (\S+)$/ ? ("--$1", $2) : die $_ }
        split /\n/, blocks('', qr/appendonly/)
    ])->start;
    my $space = $other->create;
    ok(until_ok(sub {
        my ($aof) = glob "$other->{dir}/appendonlydir/*.incr.aof";
        return $aof && slurp($aof) =~ /\Q$space->{id}\E/;
    }), 'it is in the log');
    $other->stop_redis;
    $other->start_redis;
    ok(until_ok(sub {
        $other->http('GET', "/spaces/$space->{id}")->code == 200
    }), 'a Space that was only announced is there after a crash');
    is($other->redis('CONFIG', 'GET', 'maxmemory-policy')->[1], 'noeviction',
       'nothing is thrown away');
    $other->stop;
};

subtest 'backup and restore' => sub {
    my $from = Test::Spaces->new(workers => 1, http => {
        spaces_moderator => '$cookie_moderator',
    })->start;
    my ($kept, $deleted, $later) = map { recorded($from) } 1 .. 3;
    delete_it($from, $deleted);
    my $redis = "redis-cli -s $from->{dir}/redis.sock";
    mkdir "$from->{dir}/typed";
    my $backup = blocks('sh', qr/backup\.tar\.gz/);
    $backup =~ s/\/srv\/spaces/$from->{dir}\/spaces/;
    $backup =~ s/^redis-cli/$redis/m;
    typed($from, $_, $kept) for split /\n/, $backup;
    delete_it($from, $later);
    my $audit = blocks('sh', qr/XRANGE/) =~ s/redis-cli/$redis/r;
    my $out = typed($from, $audit =~ s/\n//r, $kept);
    like($out, qr/delete\n(?:.*\n)*?\Q$later->{id}\E/,
         'the audit has what was deleted since');

    # another machine, with an empty Redis
    my $to = Test::Spaces->new(workers => 1, http => {
        spaces_moderator => '$cookie_moderator',
    });
    run_ok('unpacked', 'tar', '-C', "$to->{dir}/spaces", '-xzf',
           "$from->{dir}/typed/backup.tar.gz");
    $from->stop;
    $to->start;
    ok(until_ok(sub {
        ($to->http('GET', "/spaces/$kept->{id}/replay")->code // 0) == 200
    }), 'what was recorded is replayed');
    ok(until_ok(sub {
        ($to->http('GET', "/spaces/$deleted->{id}/replay")->code // 0) == 410
    }), 'what was deleted is not');
    is($to->http('GET', "/spaces/$deleted->{id}/review", moderator('mo'))->code,
       200, 'but held');
    $to->stop;
};

is_deeply(\@blocks, [], 'nothing is left that was to be tried');

$s->stop;
done_testing;
