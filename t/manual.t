#!/usr/bin/perl

# What the README says to type is typed, line by line, against the server that
# "make run" would serve; its pieces of configuration are put where it says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Cwd qw(abs_path);
use IO::Socket::INET;
use Mojo::JSON qw(encode_json true);
use Mojo::UserAgent;
use POSIX qw(WNOHANG);
use Test::More;
use Test::Spaces;
use Test::Spaces::Example;
use Test::Spaces::Ogg qw(build silence_of);
use Test::Spaces::Readme;
use Test::Spaces::Recordings;

# Who is to be erased: no id can hold this by chance, as its alphabet has no "@".

my $name = 'zoe@site';

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

    my ($sid, $share, $link) = ('none', 'none', 'none');
    if ($line =~ /\$sid/) {
        $sid = $s->invite($space, 'Bea')->{id};
    }
    if ($line =~ /\$(?:share|link)\b/) {
        ($share, $link) = @{ $s->http('POST', "/spaces/$id/shares",
            $s->as('ana'), json => {})->json }{qw(id token)};
    }

    $line =~ s/localhost:8080/127.0.0.1:$s->{port}/;
    spurt("$s->{dir}/typed/line.sh", <<"END");
set -e
cd $s->{dir}/typed
export SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy
curl() { command curl -fsS "\$@"; }
ffmpeg() { command ffmpeg -nostdin -hide_banner -loglevel error "\$@"; }
ffplay() { command ffplay -hide_banner -loglevel error -nodisp -autoexit "\$@"; }
url=http://127.0.0.1:$s->{port} id=$id token=$token sid=$sid share=$share link=$link
name=$name
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

my $s = Test::Spaces::Example->new(example => 'spaces')->start;
mkdir "$s->{dir}/typed";
run_ok('something to say', 'ffmpeg', '-y', '-loglevel', 'error', '-f', 'lavfi',
       '-i', 'sine=440:d=2', "$s->{dir}/typed/talk.wav");
run_ok('and as Opus', 'ffmpeg', '-y', '-loglevel', 'error', '-i',
       "$s->{dir}/typed/talk.wav", '-c:a', 'libopus',
       "$s->{dir}/typed/talk.opus");

subtest 'talk' => sub {
    for my $line (split /\n/, take_block('sh', qr/talk\.opus/)) {
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
    for my $line (split /\n/, take_block('sh', qr/ffplay/)) {
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
    my $ended = \&ended;
    my $deleted = sub {
        my $space = ended($_[0]);
        is(delete_it($_[0], $space)->code, 200, 'deleted');
        return $space;
    };

    # what a line has in it, the Space that it is about, what it is answered
    my @is = (
        ['"title":"Hello"', $ended, qr/^(?=.*"record":true).*"token":"/],
        ['state=ended', $ended, qr/"next":/],
        ['curl $url/spaces/$id', $ended, qr/"state":"ended"/],
        ['"title":"New"', $ended, qr/"title":"New"/],
        ['$id/end', \&live, qr/"recording":"available"/],
        ['"name":"Bea"', \&scheduled, qr/"token":"/],
        ['"muted"', \&scheduled, qr/"muted":true/],
        ['X DELETE -b spaces_user=ana $url/spaces/$id/speakers/$sid',
         \&scheduled, qr/^$/],
        ['"count":10', \&ticketed, qr/"tickets":\[(?:\{[^}]*\},?){10}\]/],
        ['part.opus', $ended, qr/^$/],
        ['clip.opus', $ended, qr/^$/],
        ['/waveform', $ended, qr/"samples_per_pixel":/],
        ['/replay/speakers', $ended, qr/"segments":\[/],
        ['/replay/speakers.vtt', $ended, qr/^WEBVTT/],
        ['for Bob', $ended, qr/"url":"http/],
        ['curl -b spaces_user=ana $url/spaces/$id/shares', $ended,
         qr/"shares":\[/],
        ['curl $url/s/$link', $ended, qr/<title>A Space/],
        ['/embed', $ended, qr/<audio /],
        ['shared.opus', $ended, qr/^$/],
        ['/oembed', $ended, qr/"type":"/],
        ['X DELETE -H "Authorization: Bearer $token" $url/spaces/$id/shares/$share',
         $ended, qr/^$/],
        ['X DELETE -H "Authorization: Bearer $token" $url/spaces/$id', $ended,
         qr/"hold_until":"/],
        ['$url/spaces/review', $deleted, qr/"reason":"deleted"/],
        ['curl -b spaces_moderator=mo $url/spaces/$id/review', $deleted,
         qr/"reason":"deleted"/],
        ['held.opus', $deleted, qr/^$/],
        ['"hold_until":', $deleted, qr/"hold_until":"/],
        ['X DELETE -b spaces_moderator=mo $url/spaces/$id/review', $deleted,
         qr/^$/],
    );
    my $given = '';
    for my $line (split /\n/, take_block('sh', qr/^url=/)) {
        $line =~ s/\s+#.*//;
        next if $line eq '' || $line eq 'url=http://localhost:8080';
        if ($line =~ /^until=/) {
            $given = $line;
            next;
        }

        # the longest is the one that is meant
        my ($of) = sort { length $b->[0] <=> length $a->[0] }
                   grep { index($line, $_->[0]) >= 0 } @is;
        ok($of, "known: $line") or next;
        @is = grep { $_ != $of } @is;
        my $space = $of->[1]->($s);
        $line =~ s/start=90&end=102\.5/start=0.2&end=0.8/;
        like(typed($s, "$given\n$line", $space), $of->[2], 'it answers');
        cmp_ok(-s "$s->{dir}/typed/$1", '>', 100, "$1 is there")
            if $line =~ /-o (\S+)/;
    }
    is_deeply([map { $_->[0] } @is], [], 'all that there is');
};

# all of a person, in the way it is told

subtest 'to erase all of a person' => sub {
    my ($public, $unlisted, $ticketed, $before)
        = map { recorded($s, user => $name, visibility => $_) }
          qw(public unlisted ticketed unlisted);
    my $other = recorded($s);
    is(delete_it($s, $before)->code, 200, 'one was deleted before');
    my $lines = take_block('sh', qr/\$name/) =~ s/\/srv\/spaces/$s->{dir}\/spaces/r;
    my ($listed, $on_disk, $held) = map { s/\s+#.*//r } split /\n/, $lines;
    my $ids = sub {
        my ($line, $like) = @_;
        my $out = typed($s, $line, $other);
        return [sort $out =~ /$like/g];
    };

    is_deeply($ids->($listed, qr/"id":"(\w{20})"/),
              [sort map { $_->{id} } $public, $ticketed],
              'the list has two of them');
    is_deeply($ids->($on_disk, qr/\/(\w{20})\.json/),
              [sort map { $_->{id} } $public, $unlisted, $ticketed],
              'the disk has all');
    is($s->http('DELETE', "/spaces/$_->{id}", $s->as($name))->code, 200,
       'deleted') for $public, $unlisted, $ticketed;
    my $found = $ids->($held, qr/"id":"(\w{20})"/);
    is_deeply($found, [sort map { $_->{id} } $public, $unlisted, $ticketed,
                       $before], 'all of them are held');
    is($s->http('DELETE', "/spaces/$_/review",
                { Cookie => 'spaces_moderator=mo' })->code, 204, 'purged')
        for @$found;

    is(`grep -Frl '$name' $s->{dir}/spaces`, '', 'nothing of it on disk');
    my @left = grep {
        my ($key, $type) = ($_, $s->redis('TYPE', $_));
        my $value = encode_json(
            $type eq 'hash' ? $s->redis('HGETALL', $key)
            : $type eq 'zset' ? $s->redis('ZRANGE', $key, 0, -1)
            : $type eq 'set' ? $s->redis('SMEMBERS', $key)
            : $type eq 'stream' ? $s->redis('XRANGE', $key, '-', '+')
            : $s->redis('GET', $key));
        index("$key $value", $name) >= 0;
    } @{ $s->redis('KEYS', '*') };
    is("@left", 'spaces:audit', 'nor in Redis, but that it was done');
};

# in a folder of its own, on a port that is free

subtest 'an example by hand' => sub {
    my $dir = "$s->{dir}/try";
    my $port = Test::Spaces::free_port();
    my $top = abs_path("$FindBin::Bin/..");
    my $module = $ENV{SPACES_MODULE} // "$top/build/ngx_http_spaces_module.so";
    my $lines = take_block('sh', qr/conf\/examples/);
    $lines =~ s/\$PWD\/build\/try/$dir/ or die 'no folder';
    $lines =~ s/^cp build\/\S+/$module ? "cp $module" : 'true'/me or die;
    $lines =~ s/^(cp conf.*)$/$1; sed -i 's,:8080,:$port,' \$dir\/nginx.conf/m
        or die 'no example';
    if ($ENV{SPACES_NGINX}) {
        $lines =~ s/ nginx / $ENV{SPACES_NGINX} /;
        $lines =~ s/^(cp conf.*)$/$1; sed -i '\/^load_module\/d' \$dir\/nginx.conf/m;
    }

    # the end of nginx, as the terminal would tell it
    $lines =~ s/^(PATH=.*?)\s+#.*/$1 & echo \$! > \$dir\/pid; wait || true/m
        or die 'no nginx';
    typed($s, "cd $top\n$lines", recorded($s), sub {
        ok(until_ok(sub {
            IO::Socket::INET->new("127.0.0.1:$port")
        }), 'it listens') or return;
        my $res = Mojo::UserAgent->new->get("http://127.0.0.1:$port/")->res;
        like($res->body, qr/<title>Spaces for nginx</, 'its pages');
        is(Mojo::UserAgent->new->get("http://127.0.0.1:$port/spaces")->res
           ->code, 200, 'and its Spaces');
        kill 'INT', slurp("$dir/pid") =~ /(\d+)/;
    });
    ok(!-e "$dir/redis.sock", 'nothing is left running');
};

subtest 'a page of the operator' => sub {
    my $location = take_block('nginx', qr/share\.html/);
    my $own = Test::Spaces->new(workers => 1);
    mkdir "$own->{dir}/pages";
    spurt("$own->{dir}/pages/share.html", take_block('html', qr/spaces_title/));
    $location =~ s/root \/var\/www/root $own->{dir}/ or die;
    $own->{server_more} = $location =~ s/\^\/s\//^\/mine\//r;
    $own->start;

    my $space = ended($own);
    my $token = $own->http('POST', "/spaces/$space->{id}/shares",
                           $own->as('ana'), json => {})->json->{token};
    my $page = $own->http('GET', "/mine/$token")->body;
    like($page, qr/<title>\Q$space->{title}\E<\/title>/, 'the title');
    like($page, qr/<p>By ana, 0:00:0\d<\/p>/, 'by whom, and how long');
    like($page, qr/rel="canonical" href="http[^"]+\/s\/$token"/, 'and where');
    $own->stop;
};

subtest 'metrics' => sub {
    my $other = Test::Spaces->new(workers => 1, server_more =>
        take_block('nginx', qr/spaces_metrics/))->start;
    like($other->http('GET', '/metrics')->body, qr/^spaces_workers 1$/m,
         'are there');
    $other->stop;
};

subtest 'several nodes' => sub {
    my ($node, $front) = map { take_block('nginx', $_) }
                         qr/^spaces_node/, qr/^map/;
    my $http = sub {
        my $text = $node =~ s/\ba(?=;|\.example)/$_[0]/gr;
        return { $text =~ /^(spaces_\w+)\s+(.*?);/mg };
    };
    my $port = Test::Spaces::free_port();
    my ($first, $second) = map { Test::Spaces->new(workers => 1) } 1, 2;
    my %node = (a => $first, b => $second);
    $front =~ s/\b$_\.example\.org:8080/127.0.0.1:$node{$_}{port}/ for qw(a b);
    @$first{qw(http http_more)} = ($http->('a'), "$front server {
        listen 127.0.0.1:$port;
        location / { proxy_pass http://spaces; proxy_set_header Host a; } }");
    @$second{qw(no_redis http)} = (1, $http->('b'));
    $second->{http}{spaces_redis} = "unix:$first->{dir}/redis.sock";
    $_->start for $first, $second;

    my %on;
    {
        local $first->{port} = $port;
        until_ok(sub {
            my $space = recorded($first);
            is($first->http('GET', "/spaces/$space->{id}/replay")->code, 200,
               'replayed');
            my $share = $first->http('POST', "/spaces/$space->{id}/shares",
                                     $first->as('ana'), json => {})->json;
            my ($name) = $share->{url} =~ /^https:\/\/([ab])\.example\.org\/s\//
                or die "another link: $share->{url}";
            $on{$name} = [$space, $share];
            return keys %on == 2;
        }, 120) or fail('both nodes have one');
    }

    for my $name (sort keys %on) {
        my ($space, $share) = @{ $on{$name} };
        my ($here, $there) = @node{$name, $name eq 'a' ? 'b' : 'a'};
        is($first->redis('HGET', "spaces:space:{$space->{id}}", 'node'), $name,
           "its node is $name");
        for my $path ("/spaces/$space->{id}/replay",
                      "/s/$share->{token}/audio")
        {
            is($here->http('GET', $path)->code, 200, 'to be heard there');
            is($there->http('GET', $path)->json->{type}, 'urn:spaces:storage',
               'and nowhere else');
        }
        is($there->http('GET', "/spaces/$space->{id}/replay/waveform")
           ->json->{type}, 'urn:spaces:not-recorded', 'nor to be drawn');
        my $problem = delete_it($there, $space)->json;
        is($problem->{type}, 'urn:spaces:no-room', 'not to be deleted');
        like($problem->{detail}, qr/on node "$name"/, 'which says where');
        is($there->http('GET', '/spaces')->json->{spaces}[-1]{id},
           $here->http('GET', '/spaces')->json->{spaces}[-1]{id},
           'the same list');
    }

    for (['https://spaces.example.org', 201], ['https://a.example.org', 201],
         [$first->url, 403]) {
        my ($origin, $code) = @$_;
        is($first->http('POST', '/spaces', { %{ $first->as('ana') },
               Origin => $origin }, json => { title => 'x' })->code, $code,
           "from a page of $origin: $code");
    }
    $_->stop for $second, $first;
};

subtest 'Redis that loses nothing' => sub {
    my $other = Test::Spaces->new(workers => 1, redis_options => [
        map { /^(\S+) (\S+)$/ ? ("--$1", $2) : die $_ }
        split /\n/, take_block('', qr/appendonly/)
    ])->start;
    my $space = $other->create;
    my ($aof) = glob "$other->{dir}/appendonlydir/*.incr.aof";
    like(slurp($aof), qr/\Q$space->{id}\E/, 'what was answered is in the log');
    is($other->redis('CONFIG', 'GET', 'appendfsync')->[1], 'always',
       'and on the disk');
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
    my $announced = $from->create;
    my ($revoked, $open) = map {
        $from->http('POST', "/spaces/$kept->{id}/shares", $from->as('ana'),
                    json => {})->json
    } 1, 2;
    mkdir "$from->{dir}/typed";

    # of another Redis, in another folder
    my $for = sub {
        my ($server, $block) = @_;
        my $dir = $server->{dir};
        $block =~ s/\/srv\/spaces/$dir\/spaces/g;
        $block =~ s/\/var\/lib\/redis\b/$dir/g;
        $block =~ s/redis-cli/redis-cli -s $dir\/redis.sock/g;
        $block =~ s/\/etc\/redis\/redis\.conf/--port 0 --dir $dir --unixsocket $dir\/redis.sock --unixsocketperm 777/;
        return $block;
    };
    my $backup = $for->($from, take_block('sh', qr/-czf backup\.tar\.gz/));
    my ($redis, $files) = $backup =~ /^(.*\n)(tar .*\n)\z/s;

    # LASTSAVE begins with when Redis did, in seconds
    sleep 2;
    typed($from, $redis, $kept);
    is($from->http('DELETE', "/spaces/$kept->{id}/shares/$revoked->{id}",
                   $from->as('ana'))->code, 204, 'revoked meanwhile');
    ok(until_ok(sub { -s "$from->{dir}/spaces/revoked" }), 'written down');
    typed($from, $files, $kept);
    delete_it($from, $later);
    my $audit = $for->($from, take_block('sh', qr/XRANGE/));
    my $out = typed($from, $audit =~ s/\n//r, $kept);
    like($out, qr/delete\n(?:.*\n)*?\Q$later->{id}\E/,
         'the audit has what was deleted since');
    my $restore = take_block('sh', qr/-xzf backup\.tar\.gz/);
    my ($unpack) = $restore =~ /^(tar .*\n)/;

    my $are_back = sub {
        my ($to) = @_;
        ok(until_ok(sub {
            ($to->http('GET', "/spaces/$kept->{id}/replay")->code // 0) == 200
        }), 'what was recorded is replayed');
        ok(until_ok(sub {
            ($to->http('GET', "/spaces/$deleted->{id}/replay")->code // 0)
                == 410
        }), 'what was deleted is not');
        is($to->http('GET', "/spaces/$deleted->{id}/review", moderator('mo'))
           ->code, 200, 'but held');
    };

    # other machines: one with an empty Redis, and one with that of the backup
    for my $whole (0, 1) {
        my $to = Test::Spaces->new(workers => 1, http => {
            spaces_moderator => '$cookie_moderator',
        }, $whole ? (redis_options => ['--appendonly', 'yes']) : ());
        rename "$from->{dir}/typed", "$to->{dir}/typed" or die "rename: $!";
        typed($to, $for->($to, $whole ? $restore : $unpack), $kept);
        ok(!-e "$to->{dir}/spaces/live", 'nothing of what was live');
        if ($whole) {
            is($to->redis('SHUTDOWN'), undef, 'Redis is stopped');
            ok(until_ok(sub { !-e "$to->{dir}/redis.sock" }), 'gone');
        }
        $from->stop;
        $to->start;
        $are_back->($to);
        my $of = sub { $to->http('GET', "/s/$_[0]{token}/audio")->code };
        if ($whole) {
            is($to->http('GET', "/spaces/$announced->{id}")->code, 200,
               'what was only announced');
            is($of->($open), 200, 'a link');
        }
        ok(until_ok(sub { $of->($revoked) == 404 }), 'not one that was revoked');
        rename "$to->{dir}/typed", "$from->{dir}/typed" or die "rename: $!";
        $to->stop;
    }
};

nothing_left();

$s->stop;
done_testing;
