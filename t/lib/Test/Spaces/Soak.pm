package Test::Spaces::Soak;

# Copyright (C) Spaces for nginx contributors

# Spaces by the dozen, with short lives, while workers, Redis and all of nginx
# are hit at random; then an exact reckoning.  Hosts speak packets that are
# numbered, a number is never sent twice, and it is known when and over which
# connection each was sent: what is not in a recording has to have a reason.

use strict;
use warnings;

use parent 'Test::Spaces';

use List::Util qw(max min sum0 shuffle);
use Mojo::JSON qw(encode_json true false);
use Mojo::Message::Response;
use POSIX qw(WNOHANG);
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use Test::Spaces qw(slurp spurt until_ok);
use Test::Spaces::Audio qw(samples steady);
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(packets pages);
use Test::Spaces::Soak::Reckoning;
use Test::Spaces::Soak::Speaker;
use Time::Local qw(timegm);
use Time::HiRes qw(sleep time);

# what befalls it, and how often one thing beside the others

my %blows = (
    worker_killed => 5, worker_stopped => 4, worker_hangs => 1,
    redis_killed => 2, redis_paused => 3, redis_flushed => 1,
    nginx_killed => 2, nginx_reloaded => 3, nginx_restarted => 1.5,
);

# Seconds.  "seed" of what happens; "hit", "calm": how long it is hit, and then
# not; "rooms" at a time; "say" is told what goes on.

sub new {
    my ($class, %o) = @_;

    my $self = $class->SUPER::new(
        workers => 3, seed => 1, hit => 60, calm => 20, rooms => 8,
        shutdown_timeout => '2s', redis_timeout => '500ms', say => sub { },
        durable => 1,
        server_more => <<'END',
        location /lasting {
            spaces_api; spaces_replay_ttl 30d; spaces_hold 30d 120d;
        }
        location = /metrics { spaces_metrics; access_log off; }
END
        http => {
            spaces_replay_ttl => '7s', spaces_hold => '4s 8s',
            spaces_reconnect => '4s', spaces_max_duration => '60s',
            spaces_max_speakers => 4,
            spaces_moderator => '$cookie_moderator',
        },
        %o,
        quiet => ['exited on signal 9'],
        agenda => [], pending => [], spaces => {}, blows => [], count => {},
        kept => {}, stopped_pids => {}, wrong => [],
    );

    $self->{loop} = Test::Spaces::Loop->new($self);

    return $self;
}

# the tests' own, but nginx may be down: then it is as if it had just closed
sub socket {
    my ($self) = @_;
    my $socket = IO::Socket::INET->new(
        PeerAddr => "127.0.0.1:$self->{port}", Timeout => 1);
    return $socket if $socket;
    my ($mine, $other) = IO::Socket->socketpair(AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "socketpair: $!";
    close $other;
    return $mine;
}

# all of it; the list of what is wrong

sub run {
    my ($self) = @_;

    srand $self->{seed};
    mkdir "$self->{dir}/kept" or die "kept: $!";
    $self->{tone} = [steady(440, bitrate => '24k')];
    $self->start;

    $self->pass('fresh', 0.5);
    my $fresh = $self->zone_free;

    $self->{next_blow} = time + 2;
    $self->pass('hit', $self->{hit}, create => 1, blows => 1);
    $self->drain;
    $self->is_empty('after all that', $fresh);

    # once more, and nothing happens: what it takes then is given back
    $self->restart('QUIT');
    $self->pass('warming up', min(6, $self->{calm} / 2), create => 1,
                mixed => 1);
    $self->drain;
    $self->is_empty('warm', $fresh);
    my $before = $self->rest;
    $self->pass('calm', $self->{calm}, create => 1);
    $self->drain;
    $self->is_empty('after the calm', $fresh);
    $self->compare($before);

    push @{ $self->{wrong} }, Test::Spaces::Soak::Reckoning::of($self);

    $self->stop_nginx('QUIT') or $self->wrong('nginx does not stop');
    $self->stop_redis;
    $self->{stopped} = 1;
    $self->wrong("log: $_") for $self->bad_lines;

    return @{ $self->{wrong} };
}

sub wrong {
    my ($self, $what) = @_;
    push @{ $self->{wrong} }, $what;
    $self->{say}->("WRONG: $what");
}

sub note {
    my ($self, $what) = @_;
    $self->{say}->($what);
}

sub did { $_[0]{count}{ $_[1] }++ }

# time passes, with everybody doing what they do

sub pass {
    my ($self, $name, $seconds, %o) = @_;
    my ($until, $told) = (time + $seconds, 0);
    my $next_space = 0;

    while ((my $now = time) < $until) {

        if ($o{create} && $now >= $next_space
            && $self->live_spaces < $self->{rooms})
        {
            $self->begin_space($o{mixed});
            $next_space = $now + 0.1 + rand 0.6;
        }

        $self->strike if $o{blows} && $now >= $self->{next_blow}
                         && $until - $now > 1;
        $self->turn;

        if ($now > $told + 5) {
            $told = $now;
            $self->note($self->status($name, $until - $now));
        }
    }
}

sub status {
    my ($self, $name, $left) = @_;
    my $c = $self->{count};
    return sprintf '%-10s %4d s left, %d live of %d; %s', $name, $left,
        scalar($self->live_spaces), scalar(keys %{ $self->{spaces} }),
        join ', ', map { "$_ $c->{$_}" } sort keys %$c;
}

sub turn {
    my ($self) = @_;

    $self->{loop}->step(time + 0.05);
    $self->answers;
    $self->link_files;

    my $now = time;
    my @due = grep { $_->[0] <= $now } @{ $self->{agenda} };
    if (@due) {
        @{ $self->{agenda} } = grep { $_->[0] > $now } @{ $self->{agenda} };
        $_->[1]->() for sort { $a->[0] <=> $b->[0] } @due;
    }
}

sub at {
    my ($self, $seconds, $what) = @_;
    push @{ $self->{agenda} }, [time + $seconds, $what];
}

# as until_ok(), while everybody goes on
sub await {
    my ($self, $seconds, $condition) = @_;
    my $until = time + $seconds;
    while (1) {
        $self->turn;
        return 1 if $condition->();
        return 0 if time > $until;
    }
}

# requests; "done" gets the answer, which has no code if there was none

sub ask {
    my ($self, $method, $path, $headers, $json, $done) = @_;
    my $body = defined $json ? encode_json($json) : '';
    my %headers = (Host => 'localhost', Connection => 'close', %$headers);
    @headers{'Content-Type', 'Content-Length'}
        = ('application/json', length $body) if defined $json;

    my $end = $self->{loop}->add(Test::Spaces::Loop::End->new(
        s => $self, reads => 1, how => 'http'));
    $end->use_socket($self->socket);
    $end->put("$method $path HTTP/1.1\r\n"
              . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers)
              . "\r\n$body");
    push @{ $self->{pending} }, {
        end => $end, done => $done // sub { }, until => time + 20,
        sent => time, what => "$method $path $body",
    };
}

sub answers {
    my ($self) = @_;
    my $now = time;
    my @ready = grep { $_->{end}{gone} || $now > $_->{until} }
                @{ $self->{pending} };
    return if !@ready;
    @{ $self->{pending} } = grep { !($_->{end}{gone} || $now > $_->{until}) }
                            @{ $self->{pending} };

    for my $asked (@ready) {
        my $res = Mojo::Message::Response->new;
        $res->max_message_size(0);
        $res->parse($asked->{end}{raw});
        $asked->{end}->close;
        # what was cut is no answer
        my $length = $res->headers->content_length;
        $res->code(0) if defined $length && length $res->body < $length
                         && ($asked->{end}{raw} !~ /\A.*? 304/);
        $res->code(0) if !defined $res->code;
        push @{ $self->{history}{$1} },
            [$asked->{sent}, $now, "$asked->{what}: " . $res->code]
            if $asked->{what} =~ m{/spaces/(\w{20})};
        $asked->{done}->($res, $asked->{sent});
    }
}

sub host { return { Cookie => "spaces_user=$_[0]{user}" } }

sub slug { return $_[0]->body =~ /urn:spaces:([\w-]+)/ ? $1 : '' }

# Spaces

sub live_spaces {
    return grep { $_->{begun} && !$_->{over} } values %{ $_[0]{spaces} };
}

sub begin_space {
    my ($self, $mixed) = @_;

    my $draw = rand;
    my $record = rand() < 0.9;
    my %fields = (title => 'A Space', record => $record ? true : false);
    $fields{visibility} = rand() < 0.7 ? 'public'
                        : rand() < 0.5 ? 'unlisted' : 'ticketed';
    $fields{capacity} = 20 if $fields{visibility} eq 'ticketed';
    $fields{topics} = ['chess'] if rand() < 0.3;
    $fields{language} = 'de-AT' if rand() < 0.3;

    my $space = {
        visibility => $fields{visibility}, record => $record, user => 'u' . int rand 5, lasting => rand() < 0.4,
        kind => $mixed || $draw < 0.15 ? 'mixed'
              : $draw < 0.25 ? 'scheduled' : 'numbered',
        sent => [], connections => [], shares => [], tickets => [],
        life => 2 + rand min(14, $self->{hit} / 3),
    };

    $self->ask('POST', $space->{lasting} ? '/lasting' : '/spaces',
               host($space), \%fields, sub {
        my ($res) = @_;
        $self->did('created ' . $res->code) if $res->code != 201;
        return if $res->code != 201;
        @$space{qw(id token)} = @{ $res->json }{qw(id token)};
        $space->{created} = time;
        $self->{spaces}{ $space->{id} } = $space;
        $self->live($space);
    });
}

sub path { return "/spaces/$_[0]{id}" . ($_[1] // '') }

sub live {
    my ($self, $space) = @_;

    if ($space->{kind} eq 'scheduled') {
        $self->at(rand 3, sub { $self->delete_space($space) })
            if rand() < 0.5;
        return;
    }

    $space->{begun} = time;
    $space->{kind} eq 'mixed' ? $self->talk_together($space)
                              : $self->talk($space);

    my $life = $space->{life};
    $self->at(rand $life, sub { $self->listener($space, $life) })
        for 1 .. rand 5;
    $self->at(rand $life, sub { $self->chore($space) }) for 1 .. rand 5;
    $self->at($life, sub { $self->finish($space) });
}

sub talk {
    my ($self, $space) = @_;
    my $speaker = $space->{speaker} = $self->{loop}->add(
        Test::Spaces::Soak::Speaker->new(
            s => $self, space => $space, token => $space->{token},
            how => (qw(http http opus ogg icecast source))[rand 6]));

    # drops, and comes back
    for (1 .. rand 3) {
        my $away = 0.3 + rand 2;
        $self->at(rand $space->{life}, sub { $speaker->leave_for($away) });
    }
}

sub talk_together {
    my ($self, $space) = @_;
    my @how = qw(http opus ogg);
    my %o = (repeat => 1, reconnect => 1);
    $space->{speakers} = [$self->{loop}->speak($space, $self->{tone}, %o,
                                               how => $how[rand 3])];

    for my $i (1 .. 1 + rand 2) {
        $self->at(0.5 + rand 2, sub {
            $self->ask('POST', path($space, '/speakers'), host($space),
                       { name => "guest $i" }, sub {
                my ($res) = @_;
                return if $res->code != 201 || $space->{over};
                push @{ $space->{speakers} }, $self->{loop}->speak(
                    $space, $self->{tone}, %o, token => $res->json->{token},
                    how => $how[rand 3]);
            });
        });
    }
}

sub silence {
    my ($self, $space) = @_;
    $space->{speaker}->close if $space->{speaker};
    $_->close for @{ $space->{speakers} // [] };
}

sub listener {
    my ($self, $space, $life) = @_;
    return if $space->{over};
    my $how = (qw(http http opus ogg events))[rand 5];
    my $ticket = $space->{tickets}[0];
    my $end = $self->{loop}->listen(
        $space, how => $how, reads => rand() < 0.2 ? 0 : 1,
        $ticket && rand() < 0.5 ? (token => $ticket)
                                : (headers => host($space)),
        $how eq 'http' ? (query => ('', 'from=-16', 'from=start')[rand 3])
                       : ());
    $self->did('listened');
    push @{ $self->{listeners} }, $end;
    $self->at(rand(1.2 * $life), sub { $end->close });
}

# one of the many things that can be asked for

sub chore {
    my ($self, $space) = @_;
    my $host = host($space);
    my $what = (qw(share share replay replay listen_share listen_share revoke
                   ticket patch list space moderate live_share))[rand 13];

    $self->did('asked');

    if ($what eq 'share') {
        my %wish = rand() < 0.3 ? (ttl => 2) : ();
        $self->ask('POST', path($space, '/shares'), $host, \%wish, sub {
            my ($res, $sent) = @_;
            return if $res->code != 201;
            push @{ $space->{shares} }, {
                %{ $res->json }, made => time,
                ends => seconds($res->json->{expires_at}),
            };
        });

    } elsif ($what eq 'revoke') {
        my ($share) = grep { !$_->{revoking} } @{ $space->{shares} } or return;
        $share->{revoking} = 1;
        $self->ask('DELETE', path($space, "/shares/$share->{id}"), $host,
                   undef, sub {
            my ($res) = @_;
            $share->{revoked} = time if $res->code == 204;
        });

    } elsif ($what eq 'listen_share') {
        my @shares = @{ $space->{shares} } or return;
        $self->try_share($space, $shares[rand @shares]);

    } elsif ($what eq 'replay') {
        $self->try_replay($space);

    } elsif ($what eq 'ticket') {
        return if $space->{visibility} ne 'ticketed';
        $self->ask('POST', path($space, '/tickets'), $host, { count => 2 },
                   sub {
            my ($res) = @_;
            push @{ $space->{tickets} },
                map { $_->{token} } @{ $res->json->{tickets} }
                if $res->code == 201;
        });

    } elsif ($what eq 'patch') {
        $self->ask('PATCH', path($space), $host, {
            title => 'Another ' . rand, topics => ['go'],
        });

    } elsif ($what eq 'list') {
        $self->ask('GET', '/spaces?state=ended&limit=100', {}, undef, sub { });

    } elsif ($what eq 'space') {
        $self->ask('GET', path($space), $host, undef, sub { });

    } elsif ($what eq 'moderate') {
        my $mo = { Cookie => 'spaces_user=mo; moderator=1' };
        return $self->ask('GET', '/spaces/review', $mo, undef)
            if !$space->{deleted} || rand() < 0.4;
        $space->{purging} = 1;
        $self->ask('DELETE', path($space, '/review'), $mo, undef, sub {
            my ($res) = @_;
            $space->{purged} = time if $res->code == 204;
            $self->did('purged') if $res->code == 204;
        });
    }
}

# a share is dead once it was revoked, and while nothing is there to replay
sub try_share {
    my ($self, $space, $share) = @_;
    my @dead = share_dead($space, $share, time);
    $self->ask('GET', "/s/$share->{token}/audio", {}, undef, sub {
        my ($res) = @_;
        $self->wrong("$space->{id}: a share is alive: @dead")
            if $res->code == 200 && @dead;
        $self->compare_replay($space, $res, 'share') if $res->code == 200;
    });
}

# of a time as the API tells it
sub seconds {
    my ($y, $mo, @t) = $_[0] =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)/;
    return timegm(reverse(@t), $mo - 1, $y);
}

sub share_dead {
    my ($space, $share, $now) = @_;
    return (($share->{revoked} // $now) < $now - 1.2 ? 'revoked' : (),
            $share->{ends} < $now - 1.2 ? 'over' : (),
            $space->{deleted} ? 'deleted' : (),
            $space->{purged} ? 'purged' : ());
}

sub try_replay {
    my ($self, $space) = @_;
    my $dead = $space->{deleted} || $space->{purged};
    $self->ask('GET', path($space, '/replay'), host($space), undef, sub {
        my ($res) = @_;
        $self->did('replayed') if $res->code == 200;
        $self->wrong("$space->{id}: is replayed, but was deleted")
            if $res->code == 200 && $dead;
        $self->compare_replay($space, $res, 'replay') if $res->code == 200;
    });
}

sub compare_replay {
    my ($self, $space, $res, $what) = @_;
    my $file = $self->kept($space->{id});
    $self->wrong("$space->{id}: its $what is not the file")
        if defined $file && $res->body ne $file;
}

# the end, in one of many ways

sub finish {
    my ($self, $space) = @_;
    return if $space->{over};

    my $way = (qw(complete end end leave delete))[rand 5];
    my $speaker = $space->{speaker};

    $self->did($way);

    if ($speaker && $way eq 'complete') {
        $speaker->complete;
        $self->at(8, sub { $self->end_it($space) });
        return;
    }

    if ($speaker && $way eq 'leave') {
        $speaker->leave_for(1000);
        $self->at(10, sub { $self->end_it($space) });
        return;
    }

    # all that was sent is there, when it ends
    $speaker->pause if $speaker;
    $self->at(0.6, sub {
        $way eq 'delete' ? $self->delete_space($space)
                         : $self->end_it($space);
    });
}

# until it is over

sub end_it {
    my ($self, $space) = @_;
    return if $space->{over};
    my $sent = $self->reaches_back;
    $self->ask('POST', path($space, '/end'), host($space), undef, sub {
        my ($res) = @_;
        my $slug = slug($res);
        $space->{ended} = min($space->{ended} // $sent, $sent)
            if !$res->code || $res->code == 200;
        if ($res->code == 200 || $res->code == 404
            || $slug eq 'ended' || $slug eq 'not-live')
        {
            $space->{said} = $slug || $res->code;
            return $self->over($space);
        }
        $self->at(0.5, sub { $self->end_it($space) });
    });
}

# a moment ago, or when what is stopped now was stopped
sub reaches_back { return min(time - 0.3, values %{ $_[0]{stopped_pids} }) }

sub over {
    my ($self, $space) = @_;
    return if $space->{over};
    $space->{over} = time;
    $self->silence($space);

    my $chance = $space->{lasting} ? 20 : 8;
    $self->at(rand $chance, sub { $self->chore($space) }) for 1 .. rand 12;
    $self->at(1 + rand 6, sub { $self->delete_space($space) })
        if rand() < 0.35;
}

sub delete_space {
    my ($self, $space) = @_;
    return if $space->{deleted};
    $space->{deleting} = 1;
    my $sent = $self->reaches_back;
    $self->ask('DELETE', path($space), host($space), undef, sub {
        my ($res) = @_;
        $space->{ended} = min($space->{ended} // $sent, $sent)
            if $res->code =~ /^(?:0|20[04]|503)/;
        $self->did('deleted') if $res->code == 200;
        $space->{deleted} = time if $res->code == 200;
        $space->{gone} = time if $res->code == 204;
        return $self->over($space) if $res->code =~ /^(?:20[04]|404)$/;
        $self->at(0.5, sub { $self->end_it($space) }) if $space->{begun};
    });
}

# everybody leaves, and everything comes to its end

sub drain {
    my ($self) = @_;

    for my $space ($self->live_spaces) {
        next if $space->{draining}++;
        $space->{speaker}->pause if $space->{speaker};
        $self->at(0.6, sub { $self->end_it($space) });
    }
    $self->await(30, sub { !$self->live_spaces && !@{ $self->{pending} } })
        or $self->wrong('not all Spaces end: '
                        . join ' ', map { $_->{id} } $self->live_spaces);
    $_->close for @{ delete $self->{listeners} // [] };

    # the agenda has also what brings back whom a blow has stopped
    $self->await(60, sub {
        !$self->{down} && !$self->{redis_busy} && !%{ $self->{stopped_pids} };
    }) or $self->wrong('who was stopped does not go on');
    $self->{agenda} = [];
    $self->await(20, sub { !@{ $self->{pending} } });
}

# what hits it

sub strike {
    my ($self) = @_;
    $self->{next_blow} = time + 0.6 + rand 3;

    my $draw = rand sum0 values %blows;
    for my $blow (sort keys %blows) {
        next if ($draw -= $blows{$blow}) > 0;
        $self->did($blow);
        $self->$blow;
        return;
    }
}

# what is remembered of a blow: when it fell, from when on it may have cost
# something, and for how long it may be noticed
sub blow {
    my ($self, $kind, %o) = @_;
    my $blow = { kind => $kind, at => time, from => time, lasts => 3, %o };
    push @{ $self->{blows} }, $blow;
    $self->note(sprintf '%.1f %s', time, $kind) if $self->{verbose};
    return $blow;
}

sub a_worker {
    my ($self) = @_;
    my @workers = grep { !$self->{stopped_pids}{$_} } $self->worker_pids;
    return @workers ? $workers[rand @workers] : undef;
}

sub worker_killed {
    my ($self) = @_;
    return if $self->{down};
    my $pid = $self->a_worker or return;
    $self->blow('worker', from => time - 0.3);
    kill 'KILL', $pid;
}

sub stop_worker {
    my ($self, $seconds) = @_;
    return if $self->{down} || %{ $self->{stopped_pids} };
    my $pid = $self->a_worker or return;
    my $blow = $self->blow('stop', lasts => $seconds + 3, pid => $pid,
                           stall => $seconds);
    kill 'STOP', $pid;
    $self->{stopped_pids}{$pid} = time - 0.3;
    $self->at($seconds, sub {
        kill 'CONT', $pid;
        delete $self->{stopped_pids}{$pid};
    });
    return $pid;
}

sub worker_stopped { $_[0]->stop_worker(0.1 + rand 1.3) }

# longer than the others bear
sub worker_hangs { $_[0]->stop_worker(7) }

sub redis_killed {
    my ($self) = @_;
    return if $self->{redis_busy}++;
    $self->blow('redis');
    $self->stop_redis;
    $self->at(0.1 + rand 3, sub {
        $self->start_redis;
        $self->{redis_busy} = 0;
    });
}

sub redis_paused {
    my ($self) = @_;
    return if $self->{redis_busy}++;
    $self->blow('redis');
    kill 'STOP', $self->{redis_pid};
    $self->at(0.2 + rand 1.5, sub {
        kill 'CONT', $self->{redis_pid};
        $self->{redis_busy} = 0;
    });
}

sub redis_flushed {
    my ($self) = @_;
    return if $self->{redis_busy};
    $self->blow('flush');
    $self->{flushed} = time;
    $self->redis('FLUSHALL');
}

sub nginx_killed {
    my ($self) = @_;
    return if $self->{down};
    $self->{down} = 1;

    # not one that is born meanwhile stays behind
    my $pid = delete $self->{nginx_pid};
    kill 'STOP', $pid;
    $self->blow('all', from => time);
    kill 'KILL', $self->worker_pids($pid), $pid;
    waitpid $pid, 0;
    $self->{stopped_pids} = {};
    $self->at(rand 1.5, sub { $self->up });
}

sub up {
    my ($self) = @_;
    $self->blow('start');
    $self->start_nginx;
    $self->blow('start');
    $self->{down} = 0;
}

sub nginx_reloaded {
    my ($self) = @_;
    return if $self->{down};
    $self->blow('leave', lasts => 6, from => time - 0.3);
    $self->signal('HUP');
}

sub nginx_restarted {
    my ($self) = @_;
    return if $self->{down};
    $self->{down} = 1;
    my $pid = delete $self->{nginx_pid};
    $self->blow('leave', lasts => 15, from => time - 0.3);
    kill 'QUIT', $pid;
    my $until = time + 40;
    my $look;
    $look = sub {
        if (waitpid($pid, WNOHANG) == 0) {
            return $self->at(0.05, $look) if time < $until;
            $self->wrong('nginx does not leave');
            kill 'KILL', $self->worker_pids($pid), $pid;
        }
        $self->blow('all');
        $self->up;
    };
    $look->();
}

sub restart {
    my ($self) = @_;
    $self->nginx_restarted;
    $self->await(60, sub { !$self->{down} }) or $self->wrong('no restart');
}

# a link to every recording, so that it can be judged when it is purged; it
# stays the same file wherever it is moved

sub link_files {
    my ($self) = @_;
    my $now = time;
    return if $now < ($self->{linked} // 0) + 0.2;
    $self->{linked} = $now;

    for my $file (map { glob "$self->{dir}/spaces/$_" }
                  'live/*.opus', 'recordings/*/*.opus', 'held/*.opus')
    {
        my ($where, $id) = $file =~ m{(live|recordings|held)/(?:\w\w/)?(\w+)\.opus\z}
            or next;
        my $inode = (stat $file)[1] // next;
        my $kept = "$self->{dir}/kept/$id.opus";
        my $known = $self->{kept}{$id};

        if (!$known || $known->{inode} != $inode) {
            $self->wrong("$id: its recording has become another file")
                if $known && $known->{final};
            unlink $kept;
            link $file, $kept or next;
            $known = $self->{kept}{$id} = { inode => $inode };
        }
        $known->{final} = 1 if $where ne 'live';
    }
}

# a recording that is finished
sub kept {
    my ($self, $id) = @_;
    my $known = $self->{kept}{$id} or return undef;
    return $known->{final} ? slurp("$self->{dir}/kept/$id.opus") : undef;
}

# what nginx takes

sub metrics {
    my ($self) = @_;
    my $got;
    for (1 .. 5) {
        $self->ask('GET', '/metrics', {}, undef, sub { $got = $_[0] });
        $self->await(20, sub { $got });
        last if $got && $got->code == 200;
        $got = undef;
    }
    return {} if !$got;
    return { $got->body =~ /^(spaces_\S+) ([\d.e+-]+)$/mg };
}

sub zone_free { return $_[0]->metrics->{spaces_zone_free_bytes} // 0 }

# the time it takes is Redis', and that of rooms that linger
sub is_empty {
    my ($self, $when, $free) = @_;
    my @left;
    my $look = sub {
        my $m = $self->metrics;
        @left = map { "$_ is $m->{$_}" }
                grep { /^spaces_(?:rooms\{|speakers|listeners\{)/ && $m->{$_} }
                sort keys %$m;
        push @left, "the zone has $m->{spaces_zone_free_bytes} free, not $free"
            if ($m->{spaces_zone_free_bytes} // 0) != $free;
        return !@left;
    };
    my $until = time + 25;
    $self->await(0.3, sub { 0 }) while !$look->() && time < $until;
    $self->wrong("$when, $_") for @left;
}

# the footprint, when no folder is being read
sub rest {
    my ($self) = @_;
    my $until = time + 30;
    my ($now, $last);
    do {
        $last = $now // $self->footprint;
        $self->await(1, sub { 0 });
        $now = $self->footprint;
    } while (join(' ', fds($now)) ne join(' ', fds($last)) && time < $until);
    return $now;
}

sub fds { return map { "$_ $_[0]{$_}{fds}" } sort keys %{ $_[0] } }

sub compare {
    my ($self, $before) = @_;
    my @left;
    my $until = time + 15;

    while (1) {
        my $now = $self->footprint;
        @left = join(' ', sort keys %$now) eq join(' ', sort keys %$before)
            ? () : ('other workers');
        for my $pid (@left ? () : sort keys %$now) {
            my ($was, $is) = ($before->{$pid}, $now->{$pid});
            push @left, "descriptors: $is->{fds}; before: $was->{fds}"
                if $is->{fds} ne $was->{fds};
            push @left, "memory: $is->{rss} KB, before $was->{rss} KB"
                if $is->{rss} > $was->{rss} + 6144;
        }
        last if !@left || time > $until;
        $self->await(0.5, sub { 0 });
    }
    $self->note('memory of a worker, KB: '
                . join ', ', map { "$before->{$_}{rss} to "
                                   . ($self->footprint->{$_}{rss} // '?') }
                             sort keys %$before);
    $self->wrong("after the calm, $_") for @left;
}

1;
