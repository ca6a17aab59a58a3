#!/usr/bin/perl

# The examples of who may come in: logins, TLS, tickets.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use MIME::Base64 qw(encode_base64);
use Mojo::JSON qw(decode_json true);
use Mojo::Promise;
use Mojo::UserAgent;
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(heard tone_power);
use Test::Spaces::Example qw(is_limited keep_promises);
use Test::Spaces::Ogg qw(build packets silence_of);
use Test::Spaces::WebSocket;

keep_promises(
    login => { does => \&login, before => \&application },
    basic => { does => \&basic, before => \&users,
               answers => qr/: 4(?:01|29)$/ },
    tls => { does => \&tls, before => \&certificate,
             answers => qr/: 301$|^PUT .*: 403$|^POST .*: 401$/ },
    tickets => { does => \&tickets, answers => qr/ickets\/?: 403$/ },
);

done_testing;

sub body { return build(packets => [silence_of(25)]) }

sub slug { return (($_[0]->json // {})->{type} // '') =~ s/.*://r }

sub is_problem {
    my ($res, $status, $slug, $name) = @_;
    is($res->code . ' ' . slug($res), "$status $slug", $name);
}

# what FFmpeg sends, for seconds of a tone, to a URL

sub talk {
    my ($seconds, @to) = @_;
    return ('ffmpeg', '-v', 'error', '-re', '-f', 'lavfi', '-i',
            "sine=frequency=500:sample_rate=48000:duration=$seconds",
            '-c:a', 'libopus', '-b:a', '32k', '-page_duration', '20000',
            '-f', 'ogg', @to);
}

sub has_tone {
    my ($audio, $name) = @_;
    cmp_ok(tone_power(heard($audio), 500, 0.5, 1.5), '>', -30, $name);
}

# A login of one's own

sub application {
    my ($s) = @_;
    my $users = "$s->{dir}/users";

    for my $user ('ana', 'bob') {
        open my $in, '|-', $s->file('login.py'), 'add', $users, $user
            or die "login.py: $!";
        print $in "$user knows\n";
        close $in or die "login.py: $?";
    }
    is((stat $users)[2] & 0777, 0600, 'the passwords are for nobody else');
    unlike(slurp($users), qr/knows/, 'and not in there as they are');

    start_application($s);
}

sub start_application {
    my ($s) = @_;
    my $port = $s->port(8081);
    $s->{application} = fork // die "fork: $!";
    if ($s->{application} == 0) {
        open STDERR, '>>', "$s->{dir}/logs/login.log";
        exec $s->file('login.py'), 'serve', "$s->{dir}/users", $port;
        die "exec: $!";
    }
    push @{ $s->{children} }, $s->{application};
    until_ok(sub { IO::Socket::INET->new("127.0.0.1:$port") })
        or die 'login.py: ' . slurp("$s->{dir}/logs/login.log");
}

sub log_in {
    my ($s, $name, $password, %headers) = @_;
    return $s->http('POST', '/login', \%headers,
                    form => { name => $name, password => $password });
}

sub login {
    my ($s) = @_;
    my $own = $s->url;
    my $create = sub {
        return $s->http('POST', '/spaces', { @_ },
                        json => { title => 'x', record => true });
    };

    # who has not logged in is nobody, whatever they say

    is_problem($create->(@$_), 401, 'unauthorized', "@$_[0 .. 1]")
        for ['X-User', 'ana'], ['Cookie', 'spaces_user=ana'],
            ['Cookie', 'session=ana'], ['Cookie', 'session='],
            ['Authorization', 'Basic ' . encode_base64('ana:ana knows', '')];
    is($s->http('GET', '/who')->code, 404, 'who it is is told to nginx alone');
    is($s->http('GET', '/spaces')->code, 200, 'anybody reads');

    # logging in

    is(log_in($s, 'ana', 'bob knows')->code, 403, 'a wrong password');
    is(log_in($s, 'eve', 'ana knows')->code, 403, 'an unknown name');
    is(log_in($s, 'ana', 'ana knows', Origin => 'http://evil')->code, 403,
       'from a foreign page');

    my %session;
    for my $user ('ana', 'bob') {
        my $res = log_in($s, $user, "$user knows", Origin => $own);
        is($res->code, 303, "$user logs in");
        my $cookie = $res->headers->set_cookie;
        like($cookie, qr/; HttpOnly; SameSite=Lax$/, 'by a cookie of its kind');
        my ($value) = $cookie =~ /^(session=[\w-]{43});/;
        $session{$user} = $value // die "no session: $cookie";
    }
    like($s->http('GET', '/', { Cookie => $session{ana} })->body,
         qr/You are ana/, 'and is told so');

    # by name

    my $space = $create->(Cookie => $session{ana}, Origin => $own)->json;
    is($space->{host}, 'ana', 'she hosts');
    is_problem($create->(Cookie => $session{ana}, Origin => 'http://evil'),
               403, 'foreign-origin', 'not by a foreign page');
    my $end = "/spaces/$space->{id}/end";
    is_problem($s->http('POST', $end, { Cookie => $session{bob} }), 403,
               'forbidden', 'bob does not end it');

    my ($ws, $status) = Test::Spaces::WebSocket->connect($s,
        "/spaces/$space->{id}/ingest", 'spaces.opus.v1',
        Cookie => $session{ana}, Origin => 'http://evil');
    like($status, qr/ 403 /, 'nor is she talked for by a foreign page');

    # her audio waits for the application to say who she is: with its length,
    # in chunks, and neither; and over a WebSocket

    my $path = "/spaces/$space->{id}/ingest";
    # a length is not reached, for that would end the Space
    my @sent;
    for my $way (['POST', 'HTTP/1.1', 'Content-Length: 100000'],
                 ['PUT', 'HTTP/1.1', 'Transfer-Encoding: chunked'],
                 ['PUT', 'HTTP/1.1', 'Expect: 100-continue'],
                 ['SOURCE', 'HTTP/1.0', 'User-Agent: none']) {
        my ($method, $version, $header) = @$way;
        my @packets = map { pack 'C n N', 0xf8, 0xfffe, @sent + $_ } 1 .. 30;
        push @sent, @packets;
        my $audio = build(packets => \@packets, per => 10, no_eos => 1);
        my $socket = $s->socket;
        print $socket "$method $path $version\r\nHost: localhost\r\n",
                      "Cookie: $session{ana}\r\n$header\r\n\r\n",
                      $header =~ /chunked/
                      ? sprintf "%x\r\n%s\r\n", length $audio, $audio : $audio;
        ok(until_ok(sub {
            my ($live) = glob "$s->{dir}/spaces/live/$space->{id}.opus";
            return $live && index(slurp($live), $packets[-1]) >= 0;
        }), "she talks: $method, $header");
        close $socket;
        ok(until_ok(sub { !@{ $s->space($space->{id})->{speakers} } }),
           'and goes');
    }

    ($ws, $status) = Test::Spaces::WebSocket->connect($s, $path,
        'spaces.opus.v1', Cookie => $session{ana}, Origin => $own,
        Host => "127.0.0.1:$s->{port}");
    like($status, qr/ 101 /, 'and over a WebSocket');
    $ws->wait(sub { $ws->events('hello') });
    is(($ws->events('hello'))[0]{role}, 'host', 'as the host');
    $ws->send_close(1000);
    $ws->closed;

    is($s->http('POST', $end, { Cookie => $session{ana} })->code, 200,
       'she ends it');
    is_deeply([map { length == 7 ? unpack 'x3 N', $_ : () }
               packets($s->replay($space->{id}))],
              [map { unpack 'x3 N', $_ } @sent], 'every packet');

    # an unlisted Space is there for its host, and for who has a link

    my $secret = $s->http('POST', '/spaces', { Cookie => $session{ana} },
                          json => { title => 'x', record => true,
                                    visibility => 'unlisted' })->json;

    # a real client, with a token and no session

    run_ok('ffmpeg with the token', talk(2, "icecast://source:$secret->{token}"
        . "\@127.0.0.1:$s->{port}/spaces/$secret->{id}/ingest"));
    is($s->end_space($secret)->json->{recording}, 'available', 'recorded');
    my $replay = "/spaces/$secret->{id}/replay";
    is($s->http('GET', $replay)->code, 404, 'not for anybody');
    is($s->http('GET', $replay, { Cookie => $session{bob} })->code, 404,
       'not for bob');
    has_tone($s->http('GET', $replay, { Cookie => $session{ana} })->body,
             'ana hears it');
    my $share = $s->http('POST', "/spaces/$secret->{id}/shares",
                         { Cookie => $session{ana} }, json => {})->json;
    is($s->http('GET', "/s/$share->{token}/audio")->code, 200, 'by link');

    # without the application: tokens and links go on, names are not known

    kill 'KILL', $s->{application};
    waitpid $s->{application}, 0;
    is($s->http('GET', "$replay?token=$share->{token}")->code, 200,
       'the application is gone, tokens are not');
    is($s->http('GET', "/s/$share->{token}/audio")->code, 200, 'nor links');
    is($s->ingest($space, body())->code, 409,
       'a host by token is known');
    is($s->http('GET', "/spaces/$space->{id}/replay",
                { Cookie => $session{ana} })->code, 200,
       'what is public is public');
    is_problem($create->(Cookie => $session{ana}), 401, 'unauthorized',
               'a session is nobody');
    start_application($s);

    # logging out

    is_problem($create->(Cookie => $session{ana}), 401, 'unauthorized',
               'sessions were in memory');
    my ($again) = log_in($s, 'ana', 'ana knows')->headers->set_cookie
        =~ /^(session=[\w-]+);/;
    is($create->(Cookie => $again)->code, 201, 'logged in again');
    is($s->http('POST', '/logout', { Cookie => $again,
                                     Origin => 'http://evil' })->code, 403,
       'no foreign page logs her out');
    is($create->(Cookie => $again)->code, 201, 'she is still there');
    like($s->http('POST', '/logout', { Cookie => $again })->headers->set_cookie,
         qr/^session=; .*Max-Age=0/, 'logged out');
    is_problem($create->(Cookie => $again), 401, 'unauthorized',
               'what was her session is none');

    # guessing

    my $res;
    ok(until_ok(sub { ($res = log_in($s, 'ana', 'guess'))->code == 429 }),
       'some tries, and then none');
    is_limited($res, 'and told in the words of all');
    is($s->http('GET', '/')->code, 200, 'the page is there all the same');

    my $log = slurp("$s->{dir}/logs/access.log") . $s->error_log
              . slurp("$s->{dir}/logs/login.log");
    like($log, qr/user=ana/, 'the log has the name');
    for my $secret ($share->{token}, $space->{token}, $secret->{token},
                    $again =~ s/.*=//r, 'ana knows') {
        unlike($log, qr/\Q$secret\E/, 'and nothing secret');
    }
}

# Names and passwords of nginx

sub users {
    my ($s) = @_;
    for my $user ('ana', 'mo', 'bob') {
        my $hash = `openssl passwd -apr1 '$user knows'`;
        die 'openssl' if $?;
        spurt("$s->{dir}/users", slurp("$s->{dir}/users") . "$user:$hash");
    }
}

sub knows {
    my ($user, $password) = @_;
    $password //= "$user knows";
    return { Authorization => 'Basic ' . encode_base64("$user:$password", '') };
}

sub basic {
    my ($s) = @_;
    my $create = sub {
        return $s->http('POST', '/spaces', $_[0],
                        json => { title => 'x', record => true,
                                  visibility => $_[1] // 'public' });
    };

    # who is asked

    my $res = $create->({});
    is($res->code, 401, 'who writes is asked for a password');
    is($res->headers->www_authenticate, 'Basic realm="Spaces"', 'which one');
    is($create->(knows('ana', 'bob knows'))->code, 401, 'and not any');
    is($create->(knows('eve'))->code, 401, 'nor anybody');
    is($create->(knows('source'))->code, 401, 'nor as a source');
    is($s->http('GET', '/spaces')->code, 200, 'who reads is not asked');
    is($s->http('GET', '/spaces', knows('ana', 'guess'))->code, 401,
       'but a password is a right one');

    $res = $create->(knows('ana'), 'unlisted');
    is($res->code, 201, 'ana hosts');
    my $space = $res->json;
    is($space->{host}, 'ana', 'by name');
    is($create->({ %{ knows('ana') }, Origin => 'http://evil' })->code, 403,
       'not by a foreign page');

    # as ana, to the API and to hear, only with her password

    my $path = "/spaces/$space->{id}";
    is($s->http('GET', $path, knows('ana'))->code, 200, 'she sees it');
    is($s->http('GET', $path, $_->[0])->code, $_->[1], $_->[2])
        for [{}, 404, 'others do not'], [knows('bob'), 404, 'nor does bob'],
            [knows('source'), 404, 'nor a source'],
            [knows('ana', 'x'), 401, 'nor who claims to be her'];

    # who talks: by token as Icecast's clients do it, who may ask first

    $res = $s->http('PUT', "$path/ingest", {}, '');
    is($res->headers->www_authenticate, 'Basic realm="Space"',
       'a client that asks first');
    run_ok('ffmpeg', talk(2, "icecast://source:$space->{token}\@127.0.0.1:"
                             . "$s->{port}$path/ingest"));

    # by password, and beside one by a token, which is more than the password

    my ($ws, $status) = Test::Spaces::WebSocket->connect($s, "$path/ingest",
        'spaces.opus.v1', %{ knows('ana') });
    like($status, qr/ 101 /, 'ana talks by password');
    my $guest = $s->http('POST', "$path/speakers", $s->bearer($space->{token}),
                         json => { name => 'Bo' });
    is($guest->code, 201, 'a token instead of a password');
    my ($bob, $bob_status) = Test::Spaces::WebSocket->connect($s,
        "$path/ingest?token=" . $guest->json->{token}, 'spaces.opus.v1',
        %{ knows('bob') });
    like($bob_status, qr/ 101 /, "bob's browser has both");
    $_->send_close(1000), $_->closed for $bob, $ws;
    is($s->http('POST', "$path/end", knows('bob'))->code, 404,
       'bob does not end it');
    is($s->http('POST', "$path/end", knows('ana'))->code, 200, 'ana does');
    has_tone($s->http('GET', "$path/replay", knows('ana'))->body,
             'she hears it');
    is($s->http('GET', "$path/replay")->code, 404, 'others do not');
    my $share = $s->http('POST', "$path/shares", knows('ana'),
                         json => {})->json;
    is($s->http('GET', "/s/$share->{token}")->code, 200, 'but by link');

    # review: by name

    is($s->http('DELETE', $path, knows('ana'))->code, 200, 'deleted');
    is($s->http('GET', "/s/$share->{token}")->code, 410, 'for the link, too');
    for my $review ('/spaces/review', "$path/review", "$path/review/audio") {
        is($s->http('GET', $review)->code, 401, "$review: who is it");
        is($s->http('GET', $review, knows('mo', 'x'))->code, 401, 'not mo');
        is($s->http('GET', $review, knows('ana'))->code, 403, 'ana may not');
        is($s->http('GET', $review, knows('mo'))->code, 200, 'mo may');
    }
    like($s->error_log, qr/"mo"|\bmo\b.*\Q$space->{id}\E/, 'as the log says');

    # guessing: more tries than the burst

    my (%codes, $slowed);
    my $ua = Mojo::UserAgent->new(max_connections => 20);
    Mojo::Promise->all(map {
        $ua->get_p($s->url('/spaces'), knows('ana', $_))
           ->then(sub {
               my $res = $_[0]->res;
               $codes{ $res->code }++;
               $slowed = $res if $res->code == 429;
           });
    } 1 .. 200)->wait;
    is(join(' ', sort keys %codes), '401 429', 'who guesses is slowed')
        or diag(explain(\%codes));
    is_limited($slowed, 'and told in the words of all') if $slowed;
    is($s->http('GET', '/spaces')->code, 200, 'who has none is not');
}

# TLS and HTTP/2

sub certificate {
    my ($s) = @_;
    users($s);

    # as the example says
    my ($command) = $s->text =~ /(openssl req .*?\\\n.*?\\\n.*?)\n/;
    $command =~ s/^#//mg;
    my $out = `cd $s->{dir} && $command 2>&1`;
    is($?, 0, 'a certificate, as it says') or diag($out);
}

sub curl {
    my ($s, @args) = @_;
    return run_ok("curl @args[0 .. 1]", 'curl', '-sS', '-m', 60, '--cacert',
                  "$s->{dir}/cert.pem", @args);
}

sub tls {
    my ($s) = @_;
    my $tls = 'https://127.0.0.1:' . $s->port(8443);

    # on the way there

    my $res = $s->http('GET', '/s/abc?x=1');
    is($res->code, 301, 'sent to TLS');
    is($res->headers->location, "$tls/s/abc?x=1", 'all of it');
    is($s->http('PUT', '/spaces/x/ingest', {}, 'x')->code, 403,
       'what writes is not');
    mkdir "$s->{dir}/acme";
    mkdir "$s->{dir}/acme/.well-known";
    mkdir "$s->{dir}/acme/.well-known/acme-challenge";
    spurt("$s->{dir}/acme/.well-known/acme-challenge/x", 'proof');
    is($s->http('GET', '/.well-known/acme-challenge/x')->body, 'proof',
       'but for what proves the name');

    # over HTTP/2

    my @json = ('-H', 'Content-Type: application/json', '-d');
    my $out = curl($s, '--http2', '-i', @json, '{"title":"x"}', "$tls/spaces");
    like($out, qr/^HTTP\/2 401/, 'HTTP/2; a password is wanted');
    like($out, qr/^strict-transport-security: max-age=\d+\r$/mi, 'HSTS');
    $out = curl($s, '--http2', '-i', '-u', 'ana:ana knows', @json,
                '{"title":"x","record":true}', "$tls/spaces");
    like($out, qr/^HTTP\/2 201/, 'created');
    like($out, qr/^strict-transport-security:/mi, 'HSTS');
    my $space = decode_json($out =~ s/.*?\r\n\r\n//sr);
    my $path = "/spaces/$space->{id}";

    # two listeners by one connection, while the host talks in TLS; the end of
    # the body ends the Space, and so the streams

    my $dir = $s->{dir};
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', "$dir/talk.log";
        open STDERR, '>&', \*STDOUT;
        exec talk(5, '-ca_file', "$dir/cert.pem", '-method', 'PUT',
                  "$tls$path/ingest?token=$space->{token}");
    }
    push @{ $s->{children} }, $pid;
    ok(until_ok(sub {
        my $said = `curl -s --cacert $dir/cert.pem $tls$path/live -I`;
        $said =~ /^HTTP\/2 200/;
    }), 'live');
    $out = curl($s, '--http2', '--parallel', '--parallel-max', 2,
                '-w', '%{http_version} %{num_connects} %{http_code}\n',
                '-o', "$dir/one", "$tls$path/live?from=start",
                '-o', "$dir/two", "$tls$path/live?from=start");
    is(join(' ', sort $out =~ /^(2 .*)$/mg), '2 0 200 2 1 200',
       'two live streams in one connection');
    waitpid $pid, 0;
    is($?, 0, 'FFmpeg over TLS') or diag(slurp("$dir/talk.log"));
    has_tone(slurp("$dir/$_"), "listener $_") for 'one', 'two';
    $out = curl($s, '--http2', '-r', '0-99', '-o', "$dir/replay", '-w',
                '%{http_version} %{http_code} %{size_download}',
                "$tls$path/replay");
    is($out, '2 206 100', 'a range of the replay');

    # a body over HTTP/2, and a WebSocket over TLS

    $out = curl($s, '--http2', '-u', 'ana:ana knows', @json, '{"title":"x"}',
                "$tls/spaces");
    my $next = decode_json($out);
    spurt("$dir/body", body());
    $out = curl($s, '--http2', '-T', "$dir/body", '-w', '%{http_version}',
                '-H', "Authorization: Bearer $next->{token}",
                "$tls/spaces/$next->{id}/ingest");
    like($out, qr/"state":"ended".*2$/, 'talked over HTTP/2');

    $out = curl($s, '--http2', '-u', 'ana:ana knows', @json, '{"title":"x"}',
                "$tls/spaces");
    $next = decode_json($out);
    $s->{tls_port} = $s->port(8443);
    my ($ws, $status) = Test::Spaces::WebSocket->connect($s->tls_socket,
        "/spaces/$next->{id}/ingest?token=$next->{token}", 'spaces.opus.v1',
        Host => 'localhost:8443', Origin => 'https://localhost:8443');
    like($status, qr/ 101 /, 'a WebSocket');
    $ws->send_binary($_) for silence_of(25);
    ok($ws->wait(sub { grep { $_->{state} eq 'live' } $ws->events('state') }),
       'and it is live');
    $ws->send_close(1000);
    $ws->closed;

    my $log = slurp("$dir/logs/access.log");
    like($log, qr/HTTP\/2\.0 TLSv1\.[23] /, 'the log tells how');
    unlike($log, qr/\Q$space->{token}\E/, 'and no token');
}

# A shop

sub tickets {
    my ($s) = @_;
    my $shop = 'http://127.0.0.1:' . $s->port(8081);
    my $ua = Mojo::UserAgent->new(max_connections => 0);
    my $sell = sub {
        my ($host, $path, $json, %headers) = @_;
        return $ua->post("$shop$path" => { 'X-Host' => $host, %headers },
                         json => $json)->res;
    };

    # the shop's commands, as they stand there

    my @curl = $s->text =~ /^#     (curl .*\n(?:#      .*\n)*)/mg;
    is(scalar @curl, 2, 'two commands');
    my %env = (shop => $shop);
    my @answers = map {
        chomp(my $command = s/^#//mgr);
        local @ENV{keys %env} = values %env;
        my $out = `$command 2>>$s->{dir}/logs/curl.log`;
        my $json = decode_json($out);
        $env{id} //= $json->{id};
        $json;
    } @curl;
    my ($space, $sold) = @answers;
    is($space->{host}, 'ana', 'a Space that ana hosts');
    is("$space->{visibility} $space->{capacity} $space->{price}",
       'ticketed 100 8 EUR', 'with tickets');
    my @tickets = map { $_->{token} } @{ $sold->{tickets} };
    is(scalar @tickets, 2, 'two are sold');

    # nobody else sells

    my $path = "/spaces/$space->{id}";
    is_problem($s->http('POST', '/spaces', { 'X-Host' => 'ana' },
                        json => { title => 'x' }), 401, 'unauthorized',
               'at the other door nobody has a name');
    for my $headers ({ 'X-Host' => 'ana' }, $s->bearer($space->{token}), {}) {
        is($s->http('POST', "$path/$_", $headers, json => {})->code, 403,
           "nor makes tickets: $_") for 'tickets', '%74ickets', './tickets';
        isnt($s->http('POST', "$path/tickets/", $headers, json => {})->code,
             201, 'nor otherwise');
    }
    is($sell->('ana', "$path/tickets", {}, Origin => 'http://evil')->code, 403,
       'nor does a page in a browser on this machine');
    my $elsewhere = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $s->port(8081), LocalAddr => '127.0.0.2');
    print $elsewhere "POST $path/tickets HTTP/1.0\r\nHost: localhost\r\n",
                     "X-Host: ana\r\n\r\n";
    like(Test::Spaces::read_all($elsewhere), qr/^HTTP\/1.1 403 /,
         'nor who comes from elsewhere');

    # what the shop is told

    is_problem($sell->('bob', "$path/tickets", {}), 403, 'forbidden',
               'bob is not its host');
    is_problem($sell->('ana', "$path/tickets", { count => 99 }), 409,
               'sold-out', 'more than there are');
    is($sell->('ana', "$path/tickets", { count => 98 })->code, 201, 'the rest');
    is_problem($sell->('ana', "$path/tickets", {}), 409, 'sold-out',
               'one more');
    my $public = $sell->('ana', '/spaces', { title => 'y' })->json;
    is_problem($sell->('ana', "/spaces/$public->{id}/tickets", {}), 409,
               'not-ticketed', 'of what is public');
    my $unrecorded = $sell->('ana', '/spaces', { title => 'y',
                             visibility => 'ticketed' })->json;

    # ana talks by her token, buyers hear

    is($s->http('GET', '/spaces')->json->{spaces}[0]{visibility}, 'ticketed',
       'everybody sees it');
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, tone(hz => 500, seconds => 3));
    ok(until_ok(sub { $s->space($space->{id})->{state} eq 'live' }), 'live');
    is_problem($s->http('GET', "$path/live"), 403, 'forbidden',
               'not without a ticket');
    is($s->http('HEAD', "$path/live?token=$_")->code, 200, 'with one')
        for @tickets;
    print $host "0\r\n\r\n";
    like(Test::Spaces::read_all($host, 60), qr/^HTTP\/1.1 200 /, 'over');
    is_problem($s->http('GET', "$path/replay"), 403, 'forbidden',
               'nor later');
    has_tone($s->http('GET', "$path/replay?token=$tickets[0]")->body,
             'a buyer hears it later');

    is($s->ingest($unrecorded, body())->code, 200, 'one not recorded');
    is_problem($sell->('ana', "/spaces/$unrecorded->{id}/tickets", {}), 404,
               'not-recorded', 'nothing to hear');

    my $share = $sell->('ana', "$path/shares", {})->json;
    is($share->{url}, $s->url("/s/$share->{token}") =~ s/127.0.0.1/localhost/r,
       'a link leads to the other door');
    is($s->http('GET', "/s/$share->{token}/audio")->code, 200, 'and there on');

    is($s->http('DELETE', $path, $s->bearer($space->{token}))->code, 200,
       'deleted by the host');
    is_problem($sell->('ana', "$path/tickets", {}), 410, 'deleted',
               'nothing to sell');
    is($s->http('GET', "$path/replay?token=$tickets[0]")->code, 410,
       'nor to hear');

    my $log = slurp("$s->{dir}/logs/access.log") . $s->error_log;
    unlike($log, qr/\Q$_\E/, 'no ticket in a log') for @tickets;
}
