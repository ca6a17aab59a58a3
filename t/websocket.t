#!/usr/bin/perl

# Talking and listening over WebSocket: who gets in, what is said, how it ends.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::SSL;
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(babble broken_pages heard in_order steady
                           tone_power);
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(packets);
use Test::Spaces::WebSocket;

my $s = Test::Spaces->new(workers => 4, tls => 1)->start;
my $loop = Test::Spaces::Loop->new($s);

# somebody to listen to, all the time
my $live = $s->create(record => true);
my $host = $loop->speak($live, [steady(590)], repeat => 1);
ok($loop->until(sub { $s->space($live->{id})->{state} eq 'live' }), 'live');

sub ask { return Test::Spaces::WebSocket->connect($s, @_) }

subtest 'who gets in' => sub {
    my $scheduled = $s->create;
    my $ticketed = $s->create(visibility => 'ticketed');
    my $unlisted = $s->create(visibility => 'unlisted');
    my $speaker = $s->invite($scheduled, 'Bea');
    my $share = $s->http('POST', "/spaces/$live->{id}/shares",
                         $s->bearer($live->{token}), json => {})->json;
    my $own = $s->url;
    my @own = (Host => $own =~ s/^http:\/\///r, Origin => $own);
    my ($opus, $ogg) = ('spaces.opus.v1', 'spaces.ogg.v1');

    for (
        ['a foreign page', $live, 'live', $opus,
         { Origin => 'http://evil.example' }, 403],
        ['a foreign page, with a token', $live, 'ingest', $opus,
         { Origin => 'http://evil.example', %{ $s->bearer($live->{token}) } },
         403],
        ['a page from nowhere', $live, 'live', $opus, { Origin => 'null' },
         403],
        ['no subprotocol', $live, 'live', undef, {}, 400],
        ['an unknown one', $live, 'live', 'chat', {}, 400],
        ['nobody talks', $live, 'ingest', $opus, {}, 401],
        ['an unknown token', $live, 'ingest', $opus, $s->bearer('x' x 32),
         401],
        ['the token of another Space', $live, 'ingest', $opus,
         $s->bearer($scheduled->{token}), 403],
        ['a token to listen', $live, 'ingest', $opus,
         $s->bearer($share->{token}), 403],
        ['no such Space', { id => 'a' x 20 }, 'live', $opus, {}, 404],
        ['nor one to talk in', { id => 'a' x 20 }, 'ingest', $opus,
         $s->as('ana'), 404],
        ['an unlisted one', $unlisted, 'live', $opus, {}, 404],
        ['a ticketed one', $ticketed, 'live', $opus, {}, 403],
        ['one to come', $scheduled, 'live', $opus, {}, 409],
        ['a speaker before the host', $scheduled, 'ingest', $opus,
         $s->bearer($speaker->{token}), 409],
        ['a token that speaks already', $live, 'ingest', $opus,
         $s->bearer($live->{token}), 409],
        ['its own page', $live, 'live', $opus, { @own }, 101],
        ['one of several subprotocols', $live, 'live', "chat, $ogg", {}, 101],
        ['no page at all', $live, 'live', $opus, {}, 101],
        ['a host', $scheduled, 'ingest', $opus,
         $s->bearer($scheduled->{token}), 101],
        ['a host, with the token in the address', $s->create, 'ingest?token=',
         $ogg, {}, 101],
    ) {
        my ($name, $space, $what, $protocol, $headers, $status) = @$_;
        $what =~ s/token=/token=$space->{token}/;
        my ($ws, $line, $got) = ask("/spaces/$space->{id}/$what", $protocol,
                                    %$headers);
        like($line, qr/^HTTP\/1\.1 $status /, "$name: $status");
        next if $status != 101;
        like("$protocol", qr/\Q$got->{'sec-websocket-protocol'}\E$/,
             "$name: the subprotocol");
        is($got->{'spaces-recording'}, $space->{record} ? 'on' : 'off',
           "$name: Spaces-Recording");
        ok($ws->wait(sub { @{ $ws->{events} } }), "$name: an event");
        is($ws->{events}[0]{event}, 'hello', "$name: hello");
        is_deeply($ws->{wrong}, undef, "$name: by the rules");
    }

    my ($ws, $line) = ask("/spaces/$live->{id}/live", 'spaces.opus.v1',
                          'Sec-WebSocket-Key' => undef);
    like($line, qr/^HTTP\/1\.1 400 /, 'no key');
    ($ws, $line) = ask("/spaces/$live->{id}/live", 'spaces.opus.v1',
                       'Sec-WebSocket-Version' => 12);
    like($line, qr/^HTTP\/1\.1 4(?:00|26) /, 'another version');

    for (
        ['no Connection', { Connection => undef }, 400],
        ['a Connection that says something else',
         { Connection => 'keep-alive' }, 400],
        ['that says other things, too',
         { Connection => 'keep-alive, UPGRADE' }, 101],
        ['in a list of its own',
         { Connection => "keep-alive\r\nConnection: upgrade" }, 101],
        ['a body', { 'Content-Length' => 5 }, 400],
        ['a body in chunks', { 'Transfer-Encoding' => 'chunked' }, 400],
    ) {
        my ($name, $headers, $status) = @$_;
        for my $what (qw(live ingest)) {
            my $space = $what eq 'live' ? $live : $s->create;
            (undef, $line) = ask("/spaces/$space->{id}/$what", $opus,
                                 %{ $s->bearer($space->{token}) }, %$headers);
            like($line, qr/^HTTP\/1\.1 $status /, "$name, $what: $status");
        }
    }
};

for my $how (qw(opus ogg)) {
    subtest "the host talks $how" => sub {
        my @packets = babble(400, seconds => 3);
        my $space = $s->create(record => true);
        my $talks = $loop->speak($space, \@packets, how => $how);
        ok($loop->until(sub { $talks->{said_all} }), 'all is said');

        my $hello = $talks->{events}[0];
        is_deeply([@$hello{qw(event role recording)}, $hello->{space}{id}],
                  ['hello', 'host', true, $space->{id}], 'hello');

        my $is = $loop->http('GET', "/spaces/$space->{id}", {})->json;
        is("$is->{state} $is->{recording}", 'live recording', 'on air');
        is($loop->http('POST', "/spaces/$space->{id}/end",
                       $s->bearer($space->{token}))->code, 200, 'ended');
        ok($loop->until(sub { $talks->{gone} }), 'the connection too');
        is($talks->{ws}{code}, 1000, 'with 1000');

        my $out = $s->replay($space->{id});
        my ($missing) = in_order(\@packets, [packets($out)]);
        is("@$missing", '', 'every packet as it was sent');
        is(broken_pages($out, from_start => 1), '', 'on sound pages');
        oggz_ok($out, 'as others see it');
    };
}

subtest 'listening' => sub {
    # those who talk have fallen silent while something else was checked
    $loop->run(1);
    my %l = map { $_ => $loop->listen($live, how => $_) } qw(opus ogg);
    ok($loop->until(sub {
        @{ $l{opus}{messages} } >= 100 && length $l{ogg}->audio > 8000;
    }), 'audio comes');

    for my $how (qw(opus ogg)) {
        my $hello = $l{$how}{events}[0];
        is_deeply([@$hello{qw(event role recording)}, $hello->{space}{id}],
                  ['hello', 'listener', true, $live->{id}], "$how: hello");
        is($l{$how}{headers}{'spaces-recording'}, 'on', "$how: the header");
        is_deeply($l{$how}{ws}{wrong}, undef, "$how: by the rules");
    }

    my @packets = $l{opus}{ws}->data;
    is(scalar(grep { /^Opus|^OggS/ } @packets), 0, 'bare packets');
    is(broken_pages($l{ogg}->audio), '', 'sound pages');
    for (\@packets, $l{ogg}->audio) {
        my $power = tone_power(heard($_), 590, 0.5, 1.5);
        cmp_ok(abs($power + 20), '<', 3, "the tone: $power dB");
    }
    $loop->leave(values %l);
};

subtest 'over TLS' => sub {
    my @packets = babble(500, seconds => 2);
    my $space = $s->create(record => true);
    my $talks = $loop->speak($space, \@packets, how => 'opus',
                             connection => $s->tls_socket);
    ok($loop->until(sub { $talks->{said_all} }), 'all is said');
    my $listens = $loop->listen($space, how => 'opus',
                                connection => $s->tls_socket);
    ok($loop->until(sub { @{ $listens->{messages} } > 10 }), 'it is heard');
    $loop->http('POST', "/spaces/$space->{id}/end",
                $s->bearer($space->{token}));
    ok($loop->until(sub { $listens->{gone} && $talks->{gone} }), 'and ends');
    is($_->{ws}{code}, 1000, 'with 1000') for $talks, $listens;
    my ($missing) = in_order(\@packets, [packets($s->replay($space->{id}))]);
    is("@$missing", '', 'every packet as it was sent');
};

subtest 'an end over TLS, which takes its time' => sub {
    my $tls = IO::Socket::SSL->new(
        PeerAddr => "127.0.0.1:$s->{tls_port}", SSL_verify_mode => 0)
        or die "TLS: $IO::Socket::SSL::SSL_ERROR";
    my ($ws) = Test::Spaces::WebSocket->connect(
        $tls, "/spaces/$live->{id}/live", 'spaces.opus.v1');
    ok($ws->wait(sub { @{ $ws->{messages} } > 2 }), 'audio comes');
    $ws->send_close(1000);
    # neither does it close, nor does the host stop talking
    $loop->run(1);
    ok($ws->closed, 'it is closed');
    is($ws->{code}, 1000, 'as was asked for');
    unlike($s->error_log, qr/\[crit\]/, 'and nothing is sent behind that');
};

subtest 'until its time is over' => sub {
    my $space = $s->create(visibility => 'unlisted');
    my $talks = $loop->speak($space, [steady(590)], how => 'opus', repeat => 1);
    ok($loop->until(sub {
        $s->space($space->{id}, $space->{token})->{state} eq 'live'
    }), 'live');
    my $share = $s->http('POST', "/spaces/$space->{id}/shares",
                         $s->bearer($space->{token}), json => { ttl => 3 })
        ->json;
    my $l = $loop->listen($space, how => 'opus', token => $share->{token});
    ok($loop->until(sub { @{ $l->{messages} // [] } > 2 }), 'heard by a link');
    ok($loop->until(sub { $l->{gone} }), 'which ends');
    is($l->{ws}{code}, 1008, 'with 1008');
    $loop->leave($talks);
};

subtest 'fragments, pings' => sub {
    my @packets = babble(600, seconds => 1);
    my $space = $s->create(record => true);
    my ($ws) = ask("/spaces/$space->{id}/ingest", 'spaces.opus.v1',
                   %{ $s->bearer($space->{token}) });
    for my $packet (@packets) {
        my ($one, $two, $three) = unpack 'a1 a20 a*', $packet;
        $ws->send_frame('binary', $one, fin => 0);
        $ws->send_ping('between');
        $ws->send_frame('continuation', $two, fin => 0);
        $ws->send_frame('continuation', $three);
    }
    ok($ws->wait(sub { @{ $ws->{pongs} } == @packets }), 'each is answered');
    is((grep { $_ ne 'between' } @{ $ws->{pongs} }), 0, 'with what it said');
    is($ws->{halves}, 0, 'and no frame comes in two segments');
    ok($loop->until(sub {
        ($s->space($space->{id})->{duration} // 0) > 1.1;
    }), 'it is played');
    is($s->end_space($space)->code, 200, 'ended');
    my ($missing) = in_order(\@packets, [packets($s->replay($space->{id}))]);
    is("@$missing", '', 'every packet in one piece');
    ok($ws->closed, 'closed');
    is_deeply($ws->{wrong}, undef, 'by the rules');
};

subtest 'against the rules' => sub {
    for (
        ['text', sub { $_[0]->send_text('{"muted":false}') }, 1008],
        ['a frame without a mask',
         sub { $_[0]->send_frame('binary', 'x', mask => 0) }, 1002],
        ['reserved bits', sub { $_[0]->send_frame('binary', 'x', rsv => 2) },
         1002],
        ['an unknown opcode', sub { $_[0]->send_frame(5, 'x') }, 1002],
        ['a continuation of nothing',
         sub { $_[0]->send_frame('continuation', 'x') }, 1002],
        ['a long ping', sub { $_[0]->send_ping('x' x 126) }, 1005],
        ['a message too big', sub {
            $_[0]->send_frame('binary', 'x' x 65536, length => 1 << 30);
        }, 1009],
        ['too big in fragments', sub {
            my ($ws) = @_;
            $ws->send_frame('binary', 'x' x 60000, fin => 0);
            $ws->send_frame('continuation', 'x' x 60000, fin => 0)
                for 1 .. 100;
        }, 1009],
        ['what is no packet', sub { $_[0]->send_binary("\xff\xff") }, undef],
    ) {
        my ($name, $do, $code) = @$_;
        my $space = $s->create;
        my ($ws) = ask("/spaces/$space->{id}/ingest", 'spaces.opus.v1',
                       %{ $s->bearer($space->{token}) });
        $do->($ws);
        ok($ws->closed(15), "$name: closed");
        is($ws->{code}, $code, "$name: $code") if $code;
        is($s->space($space->{id})->{state}, 'scheduled',
           "$name: the Space is as it was");
    }

    my ($ws) = ask("/spaces/$live->{id}/live", 'spaces.opus.v1');
    $ws->send_raw("\x89\x80abcd" x 20_000);
    $ws->wait(sub { 0 }, 1);
    $ws->send_close(1000);
    ok($ws->closed, 'a flood of pings: it ends');

    ($ws) = ask("/spaces/$live->{id}/live", 'spaces.opus.v1');
    $ws->send_close(1000, 'bye');
    ok($ws->closed, 'a close is answered');
    is($ws->{code}, 1000, 'in kind');
};

subtest 'packets that no voice needs' => sub {
    my $space = $s->create;
    my $talks = $loop->speak($space, [steady(590)], how => 'opus',
                             repeat => 1);
    ok($loop->until(sub {
        $s->space($space->{id})->{state} eq 'live';
    }), 'live');

    # 48 frames of 2.5 ms
    my $fat = sub { return pack('C C', 0xe7, 48) . 'x' x (48 * $_[0]) };
    for (['16 KB less a little', 340, undef], ['16 KB', 341, 1009]) {
        my ($name, $bytes, $code) = @$_;
        my $token = $s->invite($space, 'x')->{token};
        my ($ws, $line) = ask("/spaces/$space->{id}/ingest", 'spaces.opus.v1',
                              %{ $s->bearer($token) });
        like($line, qr/^HTTP\/1\.1 101 /, "$name: they speak");
        $ws->send_binary($fat->($bytes));
        $ws->send_ping('there');
        ok($ws->wait(sub { $ws->{gone} || @{ $ws->{pongs} } }),
           "$name: an answer");
        is($ws->{code}, $code, "$name: " . ($code // 'taken'));
    }
    my $ogg = $loop->speak($space, [$fat->(20), $fat->(341)], page => 20,
                           token => $s->invite($space, 'y')->{token});
    ok($loop->until(sub { $ogg->{status} }), 'over HTTP: an answer');
    is($ogg->{status}, 415, 'over HTTP: 415');
    is($ogg->answer->{type}, 'urn:spaces:too-long', 'over HTTP: and why');
    like($s->error_log, qr/A packet is too long: a packet of a speaker has/,
         'it is logged');
    $loop->leave($talks);
};

subtest 'faster than real time is slowed, and dropped is nothing' => sub {
    my @packets = babble(300, seconds => 8);
    my %space = map { $_ => $s->create(record => true) } qw(opus ogg);
    my %talks = map { $_ => $loop->speak($space{$_}, \@packets, how => $_,
                                         speed => 10) } keys %space;
    # without a look at anything else, which would hold the senders up
    ok($loop->until(sub { !grep { !$_->{said_all} } values %talks }, 30),
       'all is sent');
    for my $how (sort keys %space) {
        ok($loop->until(sub {
            ($s->space($space{$how}{id})->{duration} // 0) > 8.1;
        }, 30), "$how: it is played");
        is($s->end_space($space{$how})->code, 200, "$how: ended");
        my ($missing, $between) = in_order(
            \@packets, [packets($s->replay($space{$how}{id}))]);
        is("@$missing", '', "$how: every packet");
        is(scalar @$between, 0, "$how: with nothing between");
    }
};

subtest 'the end' => sub {
    my ($ws) = ask("/spaces/$live->{id}/live", 'spaces.opus.v1');
    ok($ws->wait(sub { @{ $ws->{messages} } }), 'audio comes');
    is($s->end_space($live)->code, 200, 'ended');
    ok($ws->closed, 'closed');
    is($ws->{code}, 1000, 'with 1000');
    my ($state) = $ws->events('state');
    is($state->{state}, 'ended', 'the last event says so');
    my (undef, $line) = ask("/spaces/$live->{id}/live", 'spaces.opus.v1');
    like($line, qr/^HTTP\/1\.1 409 /, 'nothing more to hear');
};

undef $loop;
$s->stop;

done_testing;
