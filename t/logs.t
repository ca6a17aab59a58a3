#!/usr/bin/perl

# Logs: no token in any of them, and no flood of one failure.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw(encode_base64);
use Mojo::JSON qw(true);
use Mojo::Util qw(url_escape);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build silence_of);
use Test::Spaces::WebSocket;

my $audio = build(packets => [silence_of(5)]);

# every way to carry a token, and every log format that people use

sub carry_tokens {
    my ($s) = @_;
    my $space = $s->create(record => true, visibility => 'unlisted');
    my $id = $space->{id};
    my %token = (host => $space->{token},
                 guest => $s->invite($space, 'Bea')->{token},
                 wrong => 'w' x 32);
    my $basic = sub {
        return { Authorization => 'Basic ' . encode_base64("source:$_[0]", '') };
    };
    my $from = sub { return { Referer => $s->url("/x?a=b&token=$_[0]&c=d") } };

    # while there is nothing to hear yet, and after
    for my $round (0, 1) {
        for my $secret (@token{qw(host guest wrong)}) {
            for my $path ("/spaces/$id", map { "/spaces/$id/$_" }
                          qw(replay live events shares end))
            {
                next if $path =~ /events$/ && !$round && $secret !~ /^w/;
                $s->http('GET', "$path?token=$secret");
                $s->http('GET', "$path?from=x&ToKeN=$secret&a=b",
                         $from->($secret));
                $s->http('GET', $path, $s->bearer($secret));
                $s->http('GET', $path, $basic->($secret));
            }
            $s->http('DELETE', "/spaces/$id/shares/x?token=$secret");
            Test::Spaces::WebSocket->connect($s, "/spaces/$id/$_?token=$secret",
                                             'spaces.ogg.v1',
                                             Origin => 'http://foreign')
                for qw(live ingest);
        }
        $s->http('PUT', "/spaces/$id/ingest", $basic->($token{wrong}), $audio);
        $s->http('PUT', "/spaces/$id/ingest?token=$token{host}", {}, $audio);
        is($s->space($id, $token{host})->{state}, 'ended', 'ended');

        my $share = $s->http('POST', "/spaces/$id/shares",
                             $s->bearer($token{host}), json => {})->json;
        $token{"share$round"} = $share->{token} // next;
        my $spelt = join '', map { sprintf '%%%02x', ord }
                    split //, $share->{token};
        $token{"spelt$round"} = $spelt;
        for my $secret ($share->{token}, $spelt) {
            my $page = $s->url("/s/$secret");
            for my $path ("/s/$secret", "/s/$secret/audio", "/s/$secret/x/",
                          "/s/$secret/audio?x=y", "/s/$secret?token=$secret",
                          "/denied/s/$secret", "/limited/s/$secret")
            {
                $s->http('GET', $path, { Referer => $page }) for 1 .. 3;
                $s->http('GET', $path, { Range => 'bytes=9999999-' });
            }
        }
    }

    # what breaks off, and what isn't HTTP
    my $socket = $s->socket;
    print $socket "PUT /spaces/$id/ingest?token=$token{host} HTTP/1.1\r\n",
                  "Host: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n";
    Test::Spaces::read_all($socket, 5);

    return values %token;
}

my $debug = `@{[ Test::Spaces::nginx() ]} -V 2>&1` =~ /--with-debug/
            ? 'error_log logs/debug.log debug;' : '';
my $s = Test::Spaces->new(workers => 2, http_more => '
        log_format own "$spaces_request $spaces_id $spaces_role $spaces_state";
        log_format usual "$remote_user $request $http_referer";
        limit_req_zone $server_name zone=slow:1m rate=1r/m;
    ', server_more => $debug . '
        error_log logs/error.log info;
        access_log logs/own.log own;
        access_log logs/usual.log usual;
        access_log logs/combined.log;
        location ~ "^/denied/s/(?<share>[^/]+)" { spaces_share $share; deny all; }
        location ~ "^/limited/s/(?<share>[^/]+)" {
            spaces_share $share; limit_req zone=slow;
        }
    ')->start;
my @tokens = carry_tokens($s);
cmp_ok(scalar @tokens, '>=', 5, 'tokens');

for my $worker ($s->{nginx_pid}, $s->worker_pids) {
    my $line = slurp("/proc/$worker/cmdline");
    is(scalar(grep { index($line, $_) >= 0 } @tokens), 0, 'list of processes');
}
$s->stop;

for my $log (map { "$s->{dir}/logs/$_.log" } qw(own usual combined error stderr))
{
    my ($name) = $log =~ /(\w+)\.log$/;
    my $text = slurp($log);
    cmp_ok(length $text, '>', 100, "$name: there is something in it")
        if $name ne 'stderr';
    my @lines = grep { my $line = $_; grep { index($line, $_) >= 0 } @tokens }
                split /\n/, $text;
    is($lines[0] // '', '', "$name: no token in it");
}
# nginx tells everything it reads there, and we nothing more
if ($debug) {
    my @lines = grep { !/\[debug\] \S+ \*\d+ http (?!spaces)/ }
                grep { my $line = $_; grep { index($line, $_) >= 0 } @tokens }
                split /\n/, slurp("$s->{dir}/logs/debug.log");
    is($lines[0] // '', '', 'no token in a line of our own in the debug log');
}

my $own = slurp("$s->{dir}/logs/own.log");
like($own, qr/^GET \/spaces\/\w{20}\?token=\*+ HTTP\/1\.1 \w{20} host scheduled$/m,
     'request, id, role, state');
like($own, qr/^GET \/s\/\*+\/audio HTTP\/1\.1 \w{20} share ended$/m,
     'a share link');

subtest 'a failure that goes on is no flood' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;

    # nobody compares Redis with the disk any more, and finds the file gone
    ok(until_ok(sub { $s->redis('EXISTS', 'spaces:node:here') }), 'started');

    my @spaces = map { $s->create(record => true) } 1 .. 2;
    my $space = $spaces[0];
    $s->ingest($space, $audio);

    my ($file) = glob "$s->{dir}/spaces/recordings/*/$space->{id}.opus";
    unlink $file or die;
    isnt($s->http('GET', "/spaces/$space->{id}/replay")->code, 200, 'no replay')
        for 1 .. 20;
    my $lines = sub {
        return grep { /Redis says that this recording is available/ }
               split /\n/, $s->error_log;
    };
    is(scalar($lines->()), 1, 'one line at once');
    like(($lines->())[0], qr/\[crit\].*\/$space->{id}\.opus" failed/,
         'that names the file');
    ok(until_ok(sub { $lines->() > 1 }, 60), 'another one later');
    like(($lines->())[1], qr/ \(19 times more\)/, 'with how many there were');

    # those who leave tell what they know
    $s->http('GET', "/spaces/$space->{id}/replay") for 1 .. 2;
    $s->stop;
    like(($lines->())[-1], qr/ \((?:2 times|once) more\)/,
         'what was left out is told at the end');
};

subtest 'Redis refuses' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    $s->redis('CONFIG', 'SET', 'maxmemory', 1);
    is($s->http('POST', '/spaces', $s->as('ana'), json => { title => 'x' })->code,
       503, 'create') for 1 .. 10;
    my $n = () = $s->error_log =~ /refused a command: .*(?:OOM|EXECABORT)/g;
    cmp_ok($n, '>=', 1, 'the log tells');
    cmp_ok($n, '<=', 2, 'and does not repeat it');
    $s->stop;
};

# nginx logs a listener when they go: the memory that their headers were in when
# they came was given back meanwhile, and others have it
subtest 'what listeners said when they came' => sub {
    my @asked = qw(host user_agent referer cookie x_forwarded_for x_own accept);
    my $s = Test::Spaces->new(workers => 1, http_more => "
        connection_pool_size 400; request_pool_size 1k;
        log_format said '" . join('|', '$spaces_host',
                                  (map { "\$http_$_" } @asked),
                                  '$sent_http_spaces_recording') . "';
    ", live_more => 'access_log logs/said.log said;')->start;
    my $space = $s->create(record => true);
    my $path = "/spaces/$space->{id}/live";
    my $in = $s->begin_ingest($space);
    Test::Spaces::chunk($in, $audio);
    ok(until_ok(sub {
        $s->space($space->{id}, $space->{token})->{state} eq 'live'
    }), 'live');

    my (@open, @expected);
    for my $n (1 .. 8) {
        my %said = ('User-Agent' => "listener $n", Referer => "http://r$n/",
                    'X-Own' => "own $n", Accept => "audio/$n");
        push @expected, join '|', 'ana', 'localhost', "listener $n",
                                  "http://r$n/", "a=$n; b=$n", "10.0.0.$n, 10.1.0.$n",
                                  "own $n", "audio/$n", 'on';

        # the ones that a hash can't hold twice
        my $twice = "Cookie: a=$n\r\nCookie: b=$n\r\nX-Forwarded-For: 10.0.0.$n"
                    . "\r\nX-Forwarded-For: 10.1.0.$n\r\n";

        if ($n % 2) {
            my ($client) = Test::Spaces::WebSocket->connect($s, $path,
                'spaces.ogg.v1', %said, 'X-Twice' => "1\r\n" . $twice =~ s/\r\n\z//r);
            ok($client->wait(sub { $client->data }, 10), "$n hears");
            push @open, $client;
            next;
        }
        my $socket = $s->socket;
        print $socket "GET $path HTTP/1.1\r\nHost: localhost\r\n$twice"
                      . join('', map { "$_: $said{$_}\r\n" } sort keys %said)
                      . "\r\n";
        my $line = <$socket>;
        like($line, qr/ 200 /, "$n hears");
        push @open, $socket;
    }
    undef @open;

    my @said;
    ok(until_ok(sub {
        @said = split /\n/, slurp("$s->{dir}/logs/said.log");
        return @said >= @expected;
    }), 'all are logged');
    is_deeply([sort @said], [sort @expected], 'with what each of them said');
    $s->stop;
};

# "if" makes a location of its own, which is to know what the one around it is

subtest 'the inside of "if"' => sub {
    my $s = Test::Spaces->new(workers => 1, server_more => <<'END')->start;
        location = /o { spaces_oembed; if ($http_x) { add_header A b; } }
        location ~ "^/t/(?<share>[^/]+)$" {
            spaces_share $share /page/own.html;
            if ($http_x) { add_header A b; }
        }
        location /page/ { internal; return 200 "the operator's"; }
END
    my $space = $s->create(record => true);
    $s->ingest($space, $audio);
    my $share = $s->http('POST', "/spaces/$space->{id}/shares", $s->as('ana'),
                         json => {})->json;
    for my $headers ({}, { X => 1 }) {
        my $inside = $headers->{X} ? 'inside' : 'outside';
        is($s->http('GET', '/o?url=' . url_escape($share->{url}), $headers)
               ->code, 200, "oEmbed, $inside");
        is($s->http('GET', "/t/$share->{token}", $headers)->body,
           "the operator's", "the operator's page, $inside");
    }
    my $log = slurp("$s->{dir}/logs/access.log");
    like($log, qr{GET /o\?url=\*+ }, 'the link is masked');
    unlike($log, qr/\Q$share->{token}/, 'always');
    $s->stop;
};

done_testing;
