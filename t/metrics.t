#!/usr/bin/perl

# Metrics: by the letter of Prometheus's text format, true, complete in the
# README, the same from every worker, and of nobody who is gone.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(babble);
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(build silence_of);
use Test::Spaces::Readme;
use YAML::XS qw(Load);

my $top = abs_path("$FindBin::Bin/..");
my @packets = babble(401, seconds => 10);

my @server = (server_more => 'location = /metrics { spaces_metrics; }
                              location = /denied { spaces_metrics; deny all; }');

# The text as { name => { type, help, samples => { labels => value } } }; every
# line is one of the format, and what is wrong with it dies.
sub parse {
    my ($text) = @_;
    my (%family, $f, $name);
    die "does not end with a newline\n" if $text !~ /\n\z/;
    my $label = qr/[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"/;

    for my $line (split /\n/, $text) {
        if ($line =~ /^# HELP ([a-zA-Z_:][\w:]*) ((?:[^\\]|\\[\\n])+)$/) {
            $name = $1;
            die "$name twice\n" if $family{$name};
            $f = $family{$name} = { help => $2, samples => {}, order => [] };
        } elsif ($line =~ /^# TYPE ([\w:]+) (counter|gauge|histogram)$/) {
            die "TYPE of $1 behind $name\n" if $1 ne $name || $f->{type};
            $f->{type} = $2;
        } elsif ($line =~ /^([\w:]+)(?:\{($label(?:,$label)*)\})? (\d+(?:\.\d+)?)$/)
        {
            my ($sample, $labels, $value) = ($1, $2 // '', $3);
            my $suffix = $f->{type} eq 'histogram' ? '_(?:bucket|sum|count)'
                                                   : '';
            die "$sample behind $name\n" if $sample !~ /^\Q$name\E$suffix$/;
            my $key = substr($sample, length $name) . "{$labels}";
            die "$key of $name twice\n" if exists $f->{samples}{$key};
            $f->{samples}{$key} = $value;
            push @{ $f->{order} }, $key;
        } else {
            die "no line of the format: $line\n";
        }
    }
    check_family($_, $family{$_}) for keys %family;
    return \%family;
}

sub check_family {
    my ($name, $f) = @_;
    die "$name has no type\n" if !$f->{type};
    die "$name: prefix\n" if $name !~ /^spaces_[a-z_]+$/;
    die "$name: _total\n" if ($f->{type} eq 'counter') != ($name =~ /_total$/);
    return if $f->{type} ne 'histogram';

    my @buckets = grep { /^_bucket/ } @{ $f->{order} };
    my ($last, $bound) = (0, 0);
    for (@buckets) {
        my ($le) = /^_bucket\{le="([^"]+)"\}$/ or die "$name: $_\n";
        die "$name: bounds\n" if $le ne '+Inf' && $le <= $bound;
        $bound = $le;
        die "$name: buckets\n" if $f->{samples}{$_} < $last;
        $last = $f->{samples}{$_};
    }
    die "$name: +Inf\n" if $bound ne '+Inf'
                           || $last != $f->{samples}{'_count{}'};
}

my $s = Test::Spaces->new(workers => 4, small => 1, @server,
                          shutdown_timeout => '60s',
                          quiet => ['exited on signal 9'])->start;
my $loop = Test::Spaces::Loop->new($s);

sub scrape {
    my $res = $loop->http('GET', '/metrics', {});
    return parse($res->body);
}

# "name" or "name{label}" is that label's value, "_count" and such go behind
sub value {
    my ($m, $what) = @_;
    my ($name, $label) = $what =~ /^(\w+)(?:\{(.*)\})?$/;
    my $suffix = '';
    if (!$m->{$name} && $name =~ s/(_count|_sum)$//) { $suffix = $1 }
    my ($key) = defined $label
        ? grep { /^\Q$suffix\E\{\w+="\Q$label\E"\}$/ } keys %{ $m->{$name}{samples} }
        : "$suffix\{}";
    return defined $key ? $m->{$name}{samples}{$key} : undef;
}

# waits until all of them are what they should be
sub are {
    my ($name, %expected) = @_;
    my %got;
    my $ok = $loop->until(sub {
        my $m = scrape();
        %got = map { $_ => value($m, $_) } keys %expected;
        !grep { !defined $got{$_} || $got{$_} != $expected{$_} } keys %got;
    }, 60);
    is_deeply(\%got, \%expected, $name) if !$ok;
    ok($ok, $name);
}

# waits until all of them are more than that
sub exceed {
    my ($name, %than) = @_;
    ok($loop->until(sub {
        my $m = scrape();
        !grep { value($m, $_) <= $than{$_} } keys %than;
    }, 60), $name);
}

subtest 'the answer' => sub {
    my $res = $s->http('GET', '/metrics');
    is($res->code, 200, 'GET');
    is($res->headers->content_type, 'text/plain; version=0.0.4', 'its type');
    is($res->headers->cache_control, 'no-store', 'not to be kept');
    my $m = eval { parse($res->body) };
    is($@, '', 'every line is of the format');
    unlike($res->body, qr/\Q$s->{dir}\E/, 'nothing of this machine');

    my $head = $s->http('HEAD', '/metrics');
    is($head->code, 200, 'HEAD');
    is($head->body, '', 'HEAD: no body');
    my $post = $s->http('POST', '/metrics');
    is($post->code, 405, 'POST');
    is($post->headers->header('Allow'), 'GET, HEAD', 'POST: what is allowed');
    is($s->http('GET', '/denied')->code, 403, 'access rules apply');
};

subtest 'the README' => sub {
    my $m = scrape();
    my $readme = readme();
    my ($section) = $readme =~ /^## Metrics\n(.*?)^## /ms;

    my %said = map { /^\| `(spaces_\w+)(?:\{(\w+)\})?` \| (\w+) \|/
                     ? ($1 => [$3, $2]) : () } split /\n/, $section;
    my %is = map {
        my @keys = grep { !/^_/ } keys %{ $m->{$_}{samples} };
        my ($label) = @keys ? $keys[0] =~ /^\{(\w+)=/ : $said{$_}[1];
        ($_ => [$m->{$_}{type}, $label]);
    } keys %$m;
    # what is not counted yet has no samples to tell its label
    $is{$_}[1] //= $said{$_}[1]
        for grep { !%{ $m->{$_}{samples} } } keys %is;
    is_deeply(\%said, \%is, 'every metric, its type and label');

    my $rules = Load(take_block('yaml', qr/alert:/));
    my @alerts = map { @{ $_->{rules} } } @{ $rules->{groups} };
    cmp_ok(scalar @alerts, '>=', 3, 'alerts');

    # [{ label => value }] of each sample, by its name
    my %samples;
    for (split /\n/, $loop->http('GET', '/metrics', {})->body) {
        my ($name, $labels) = /^(spaces_\w+)(?:\{(.*)\})? / or next;
        push @{ $samples{$name} }, { ($labels // '') =~ /(\w+)="([^"]*)"/g };
    }
    for my $alert (@alerts) {
        my @used = $alert->{expr} =~ /\b(spaces_\w+)(?:\{(.*?)\})?/g;
        cmp_ok(scalar @used, '>=', 2, "$alert->{alert} looks at something");
        while (my ($name, $selector) = splice @used, 0, 2) {
            my %wanted = ($selector // '') =~ /(\w+)="([^"]*)"/g;
            is(join(',', map { "$_=\"$wanted{$_}\"" } sort keys %wanted),
               $selector // '', "$name: labels that are equal to something");
            ok((grep {
                my $sample = $_;
                !grep { ($sample->{$_} // '') ne $wanted{$_} } keys %wanted;
            } @{ $samples{$name} }), "$alert->{alert}: there is a $name\{"
                                     . ($selector // '') . '}');
        }
    }
    nothing_left();

    my @types = keys %{ $m->{spaces_errors_total}{samples} };
    my %slugs = map { $_ => 1 } $readme =~ /`urn:spaces:([\w-]+)`/g;
    # nginx's own, which the examples put in the same words
    ok(delete $slugs{'too-many-requests'}, 'that of the limits');
    is_deeply([sort @types], [sort map { "{type=\"$_\"}" } keys %slugs],
              'every error has a counter');
};

subtest 'nothing is going on' => sub {
    are('all is zero',
        spaces_speakers => 0, spaces_workers => 4,
        spaces_redis_connected_workers => 4,
        (map { ("spaces_rooms{$_}" => 0) } qw(starting live ending ended)),
        (map { ("spaces_listeners{$_}" => 0) } qw(http websocket events)),
        'spaces_recordings{recording}' => 0,
        spaces_zone_size_bytes => 16 * 1024 * 1024);
    my $m = scrape();
    my ($free, $size) = map { value($m, "spaces_zone_${_}_bytes") }
                        qw(free size);
    cmp_ok($free, '>', $size / 2, 'the zone is free');
    cmp_ok($free, '<', $size, 'but for our own');
};

subtest 'errors and requests' => sub {
    my $before = scrape();
    $s->http('GET', '/spaces/' . 'a' x 20) for 1 .. 3;
    $s->http('POST', '/spaces', {}, json => { title => 'x' });
    $s->http('POST', '/spaces', $s->as('ana'), json => { no => 'x' });
    $s->http('GET', '/spaces/' . 'a' x 20 . '/replay');
    $s->http('GET', '/s/nothing');
    my %more = (
        'spaces_errors_total{not-found}' => 5,
        'spaces_errors_total{unauthorized}' => 1,
        'spaces_errors_total{unknown-field}' => 1,
        'spaces_errors_total{bad-json}' => 0,
        'spaces_requests_total{api}' => 5,
        'spaces_requests_total{replay}' => 1,
        'spaces_requests_total{share}' => 1,
        'spaces_requests_total{metrics}' => 1,
        'spaces_requests_total{other}' => 0,
    );
    my $after = scrape();
    is(value($after, $_) - value($before, $_), $more{$_}, "$_ by $more{$_}")
        for sort keys %more;
};

# what the README says that a live Space takes, to the hundredth of a MB

subtest 'the zone' => sub {
    my ($row) = readme() =~ /^\| `spaces_zone` \| (a live Space: .*?)\. /m;
    my %said = reverse $row =~ /([\d.]+) MB with (?:`spaces_max_speakers )?(\d+)/g;
    is_deeply([sort { $a <=> $b } keys %said], [2, 4, 13, 32],
              'by how many may speak');
    my ($each, $of, $less)
        = readme() =~ /at least\. (\d+) KB each with (\d+) speakers, (\d+) KB/;
    is(sprintf('%.2f', $each / 1000), $said{$of}, 'and so the directive');
    is(sprintf('%.0f', ($said{32} - $said{2}) * 1000 / 30), $less,
       'less for each speaker');

    for my $speakers (sort { $a <=> $b } keys %said) {
        my $one = Test::Spaces->new(workers => 1, @server,
            http => { spaces_max_speakers => $speakers })->start;
        my $free = sub {
            return value(parse($one->http('GET', '/metrics')->body),
                         'spaces_zone_free_bytes');
        };
        my @free = $free->();
        my @hosts;
        for (1, 2) {
            my $space = $one->create(record => true);
            my $host = $one->begin_ingest($space);
            Test::Spaces::chunk($host, build(packets => [silence_of(100)],
                                             no_eos => 1));
            ok(until_ok(sub {
                $one->space($space->{id})->{state} eq 'live'
            }), 'live');
            push @hosts, [$host, $space];
            push @free, $free->();
        }
        # the first one has made what there is one of for all
        is(sprintf('%.2f', ($free[1] - $free[2]) / 1e6), $said{$speakers},
           "a live Space of $speakers") or diag("@free");
        $one->end_space($_->[1]) for @hosts;
        $one->stop;
    }
};

subtest 'the life of a recording' => sub {
    my $short = Test::Spaces->new(workers => 2, @server,
        http => { spaces_replay_ttl => '1s', spaces_hold => '1s 1s' })->start;
    my $events = sub {
        my $m = parse($short->http('GET', '/metrics')->body);
        return join ' ', map { value($m, "spaces_recording_events_total{$_}") }
                         qw(started available stopped expired purged);
    };
    is($events->(), '0 0 0 0 0', 'nothing yet');
    for (1, 2) {
        my $space = $short->create(record => true);
        is($short->ingest($space, Test::Spaces::tone(seconds => 1))->code, 200,
           'recorded');
    }
    ok(until_ok(sub { $events->() eq '2 2 0 2 2' }, 60),
       'each is counted once, from its beginning to its end')
        or diag($events->());
    $short->stop;
};

my ($space, $guest);

subtest 'a Space' => sub {
    my $before = scrape();
    $space = $s->create(record => true);
    $guest = $s->invite($space, 'Bea');

    my $host = $loop->speak($space, \@packets, repeat => 1);
    are('it is live', 'spaces_rooms{live}' => 1, spaces_speakers => 1,
        'spaces_recordings{recording}' => 1);
    my @listeners = map { $loop->listen($space, how => $_) }
                    qw(http http/1.0 opus ogg ogg events);
    my $bea = $loop->speak($space, \@packets, repeat => 1, how => 'opus',
                           token => $guest->{token});
    are('who is in it', spaces_speakers => 2,
        'spaces_listeners{http}' => 2, 'spaces_listeners{websocket}' => 3,
        'spaces_listeners{events}' => 1);

    my $began = scrape();
    cmp_ok(value($began, 'spaces_zone_free_bytes'), '<',
           value($before, 'spaces_zone_free_bytes') - 500_000,
           'it takes its part of the zone');
    exceed('what grows', map { ($_ => value($began, $_)) }
        qw(spaces_recording_written_bytes_total
           spaces_recording_sync_seconds_count
           spaces_recording_sync_seconds_sum
           spaces_tick_lateness_seconds_count
           spaces_redis_command_seconds_count
           spaces_redis_command_seconds_sum));
    ok($loop->until(sub {
        my $m = scrape();
        value($m, 'spaces_codec_seconds_total{event_loop}')
            + value($m, 'spaces_codec_seconds_total{thread}') > 0;
    }, 60), 'two who speak are mixed');
    like(value(scrape(), 'spaces_recording_sync_lag_seconds'), qr/^\d+\.\d{6}$/,
         'what is not on disk yet');

    $loop->leave(@listeners, $bea);
    are('some have left', spaces_speakers => 1,
        (map { ("spaces_listeners{$_}" => 0) } qw(http websocket events)));
    $loop->leave($host);
    my $res = $loop->http('POST', "/spaces/$space->{id}/end",
                          $s->bearer($space->{token}));
    is($res->code, 200, 'ended');

    are('it has gone', spaces_speakers => 0,
        (map { ("spaces_rooms{$_}" => 0) } qw(starting live ending ended)),
        'spaces_recordings{recording}' => 0,
        spaces_zone_free_bytes => value($before, 'spaces_zone_free_bytes'),
        spaces_recording_sync_lag_seconds => 0,
        'spaces_recording_events_total{started}' => 1,
        'spaces_recording_events_total{available}' => 1,
        'spaces_recording_events_total{stopped}' => 0);
    is(value(scrape(), 'spaces_recording_written_bytes_total'),
       $res->json->{bytes}, 'written is what the recording has');
};

subtest 'whichever worker' => sub {
    # the reaper asks Redis each second, and this is a request
    my $still = sub {
        my ($m) = @_;
        delete $m->{spaces_redis_command_seconds};
        delete $m->{spaces_requests_total}{samples}{'{handler="metrics"}'};
        return $m;
    };
    my $first = $still->(scrape());
    my %by;
    ok($loop->until(sub {
        my $res = $loop->http('GET', '/metrics', {});
        $by{ $res->headers->header('X-Worker') } = $still->(parse($res->body));
        keys %by == 4;
    }, 60), 'all four answer');
    is_deeply($by{$_}, $first, "worker $_ says the same") for sort keys %by;
};

subtest 'a reload' => sub {
    my $before = scrape();
    my @old = $s->worker_pids;
    $s->signal('HUP');
    ok($loop->until(sub {
        my %now = map { $_ => 1 } $s->worker_pids;
        !grep { $now{$_} } @old;
    }, 60), 'other workers');
    are('four, all connected', spaces_workers => 4,
        spaces_redis_connected_workers => 4);
    my $after = scrape();
    for my $name (grep { $before->{$_}{type} eq 'counter' } sort keys %$before) {
        my $samples = $before->{$name}{samples};
        my @less = grep { $after->{$name}{samples}{$_} < $samples->{$_} }
                   keys %$samples;
        is("@less", '', "$name goes on");
    }
};

subtest 'workers that are killed leave no ghosts' => sub {
    my $space = $s->create;
    my $host = $loop->speak($space, \@packets, repeat => 1);
    are('live', 'spaces_rooms{live}' => 1);
    my @listeners = map { $loop->listen($space, how => $_) }
                    (qw(http opus events)) x 4;
    are('who listens', 'spaces_listeners{http}' => 4,
        'spaces_listeners{websocket}' => 4, 'spaces_listeners{events}' => 4);

    kill 'KILL', $s->worker_pids;
    are('nobody does', spaces_speakers => 0, spaces_workers => 4,
        spaces_redis_connected_workers => 4,
        (map { ("spaces_listeners{$_}" => 0) } qw(http websocket events)));
    exceed('somebody took over', spaces_rooms_taken_over_total => 0);
    $loop->leave($host, @listeners);
    are('it ends by itself', 'spaces_rooms{live}' => 0);
};

subtest 'a listener who does not read' => sub {
    my $space = $s->create;
    my $host = $loop->speak($space, \@packets, repeat => 1);
    are('live', 'spaces_rooms{live}' => 1);

    my $never = $loop->listen($space, connection => $s->small_socket(4096),
                              reads => 0);
    my $m;
    ok($loop->until(sub {
        $m = scrape();
        $never->{reads} = value($m, 'spaces_listeners{http}')
                          && ($never->{waited} //= time) + 15 < time;
        value($m, 'spaces_slow_listeners_total{skipped}')
            + value($m, 'spaces_slow_listeners_total{dropped}') > 0;
    }, 90), 'is skipped or dropped');
    $loop->leave($host, $never);
    $loop->http('POST', "/spaces/$space->{id}/end",
                $s->bearer($space->{token}));
};

subtest 'Redis' => sub {
    my $before = scrape();
    $s->stop_redis;
    are('is gone', spaces_redis_connected_workers => 0);
    $loop->http('GET', '/spaces', {});
    exceed('and missed', map { ($_ => value($before, $_)) }
        'spaces_redis_errors_total{connection}', 'spaces_errors_total{redis}');
    $s->start_redis;
    are('is back', spaces_redis_connected_workers => 4);
    exceed('by connecting', spaces_redis_connects_total
           => value($before, 'spaces_redis_connects_total'));
};

$s->stop;

done_testing;
