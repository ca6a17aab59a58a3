package Test::Spaces;

# Copyright (C) Spaces for nginx contributors

# An nginx with the module, a Redis, a folder: all of a test's own, on loopback
# and on free ports.  Every test also fails if the error log tells of a crash.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IO::Socket::UNIX;
use Mojo::JSON qw(decode_json encode_json);
use Mojo::UserAgent;
use POSIX qw(WNOHANG);
use Socket qw(AF_UNIX PF_INET PF_UNSPEC SOCK_STREAM SOL_SOCKET SO_RCVBUF
              SO_REUSEADDR SO_REUSEPORT inet_aton pack_sockaddr_in
              unpack_sockaddr_in);
use Test::More;
use Test::Spaces::Contract ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(tone decoded_ms oggz_ok run_ok slurp spurt until_ok
                 header_of opus_of);

my $top = abs_path(dirname(__FILE__) . '/../../..');

# what is on this machine isn't to be looked for at a proxy
$ENV{$_} = '127.0.0.1,localhost' for qw(no_proxy NO_PROXY);

my @alive;

sub new {
    my ($class, %o) = @_;

    my $dir = tempdir('spaces-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    make_path("$dir/logs", "$dir/temp", "$dir/spaces");
    chmod 0777, "$dir/temp", "$dir/logs";

    my $self = bless {
        dir => $dir, workers => 4, port => free_port(), quiet => [], %o,
    }, $class;

    push @alive, $self;

    return $self;
}

# A port that is this test's until it ends.  It stays bound by a socket that
# doesn't listen: whoever sets SO_REUSEADDR can listen there, and nobody is
# given it who asks for any.

my @held;

sub free_port {
    socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
    for (SO_REUSEADDR, SO_REUSEPORT) {
        setsockopt $socket, SOL_SOCKET, $_, 1 or die "setsockopt: $!";
    }
    bind $socket, pack_sockaddr_in(0, inet_aton('127.0.0.1'))
        or die "no free port: $!";
    push @held, $socket;
    return (unpack_sockaddr_in(getsockname $socket))[0];
}

sub start {
    my ($self) = @_;
    $self->start_redis if !$self->{no_redis};
    $self->start_nginx;
    return $self;
}

# With "durable => 1" it knows after a KILL what it has answered before.  What is
# written is the kernel's: by default it would wait with that for an fsync that
# is under way.

my @durable = ('--appendonly', 'yes', '--appendfsync', 'no');

sub start_redis {
    my ($self) = @_;
    my $dir = $self->{dir};

    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>>', "$dir/redis.log";
        open STDERR, '>&', \*STDOUT;
        exec 'redis-server', '--port', 0, '--unixsocket', "$dir/redis.sock",
             '--unixsocketperm', '777', '--save', '', '--dir', $dir,
             $self->{durable} ? @durable : (),
             @{ $self->{redis_options} // [] };
        die "exec: $!";
    }

    $self->{redis_pid} = $pid;
    until_ok(sub { ($self->redis('PING') // '') eq 'PONG' }, 10)
        or die "no redis: " . slurp("$dir/redis.log");
}

sub stop_redis {
    my ($self) = @_;
    my $pid = delete $self->{redis_pid} or return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    unlink "$self->{dir}/redis.sock";
}

# a command; an array of strings where that is the answer
sub redis {
    my ($self, @args) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => "$self->{dir}/redis.sock")
        or return undef;
    print $socket '*' . @args . "\r\n",
        map { '$' . length($_) . "\r\n$_\r\n" } @args;
    return read_reply($socket);
}

sub read_reply {
    my ($socket) = @_;
    my $line = <$socket> // return undef;
    $line =~ s/\r\n\z//;
    my ($type, $rest) = $line =~ /^(.)(.*)/s;
    return $rest if $type eq '+' || $type eq ':';
    return "ERROR $rest" if $type eq '-';
    if ($type eq '$') {
        return undef if $rest < 0;
        my $data = '';
        read $socket, $data, $rest + 2;
        return substr $data, 0, $rest;
    }
    return [map { read_reply($socket) } 1 .. $rest];
}

sub conf {
    my ($self) = @_;
    my $dir = $self->{dir};

    my $user = $> == 0 ? ($ENV{SPACES_TEST_USER} // '') : '';
    $user = "user $user;" if $user;

    # what a new binary is to have as well
    my $environment = $ENV{SPACES_SANITIZED}
        ? 'env ASAN_OPTIONS; env LSAN_OPTIONS; env UBSAN_OPTIONS;' : '';

    my %http = (
        spaces_zone => 'spaces 16m',
        spaces_path => "$dir/spaces",
        spaces_redis => "unix:$dir/redis.sock timeout="
                        . ($self->{redis_timeout}
                           // ($ENV{SPACES_SANITIZED} ? '10s' : '2s')),
        spaces_min_free => '1k',
        spaces_node => 'here',
        spaces_user => '$cookie_spaces_user',
        spaces_reconnect => '3s',
        %{ $self->{http} // {} },
    );
    my $http = join '', map { defined $http{$_} ? "    $_ $http{$_};\n" : '' }
                        sort keys %http;
    my $module = $self->module_line;
    my $contract = $self->contract_log;

    return <<"END";
$module
$user
$environment
worker_processes $self->{workers};
error_log $dir/logs/error.log info;
pid $dir/nginx.pid;
worker_shutdown_timeout @{[ $self->{shutdown_timeout} // '10s' ]};
events { worker_connections @{[ $self->{connections} // 1024 ]}; }
@{[ $self->{main_more} // '' ]}
http {
$http
    log_format t '\$spaces_request \$status \$spaces_id \$spaces_role';
    access_log $dir/logs/access.log t;
    $contract
    client_body_temp_path $dir/temp/body;
    proxy_temp_path $dir/temp/proxy;
    fastcgi_temp_path $dir/temp/fastcgi;
    uwsgi_temp_path $dir/temp/uwsgi;
    scgi_temp_path $dir/temp/scgi;
    @{[ $self->{http_more} // '' ]}
    server {
        listen 127.0.0.1:$self->{port} reuseport;
        @{[ $self->listen_more ]}
        @{[ $self->{server_more} // '' ]}
        add_header X-Worker \$pid always;
        location /spaces { spaces_api; @{[ $self->{api_more} // '' ]} }
        location ~ "^/spaces/(?<space>[^/]+)/ingest\$" {
            spaces_ingest \$space;
            client_body_timeout @{[ $self->{body_timeout} // '20s' ]};
        }
        location ~ "^/spaces/(?<space>[^/]+)/replay(?:/waveform|/speakers(?:\\.vtt)?)?\$" {
            spaces_replay \$space; @{[ $self->{replay_more} // '' ]}
        }
        location ~ "^/spaces/(?<space>[^/]+)/live\$" {
            spaces_live \$space; @{[ $self->{live_more} // '' ]}
        }
        location ~ "^/spaces/(?<space>[^/]+)/events\$" {
            spaces_events \$space;
        }
        location ~ "^/s/(?<share>[^/]+)" {
            spaces_share \$share @{[ $self->{share_page} // "" ]};
        }
        location = /oembed { spaces_oembed; }
    }
}
END
}

sub contract_log {
    my ($self) = @_;
    return Test::Spaces::Contract::log_lines("$self->{dir}/logs/contract.log");
}

# why there is none of that log, where it is not
sub no_contract { return undef }

# "h2 => 1", "tls => 1", "small => 1": ports besides, on which it speaks HTTP/2
# without TLS, TLS, and with little room for what a client doesn't read
sub listen_more {
    my ($self) = @_;
    my $dir = $self->{dir};
    my %listen = (h2 => 'http2', tls => 'ssl', small => 'sndbuf=16k');

    my $more = '';
    for my $name (grep { $self->{$_} } sort keys %listen) {
        my $port = $self->{"${name}_port"} //= free_port();
        $more .= "listen 127.0.0.1:$port $listen{$name};\n";
    }

    $more .= "ssl_certificate $dir/cert.pem;\n"
           . "ssl_certificate_key $dir/key.pem;\n" if $self->{tls};
    $self->make_certificate if $self->{tls} && !-s "$dir/cert.pem";

    return $more;
}

sub make_certificate {
    my ($self) = @_;
    my $dir = $self->{dir};
    spurt("$dir/openssl.cnf", "[req]\ndistinguished_name = dn\n"
          . "x509_extensions = v3\n[dn]\n[v3]\n"
          . "subjectAltName = DNS:localhost,IP:127.0.0.1\n");
    my @args = (qw(-x509 -newkey rsa:2048 -nodes -days 2 -batch),
                '-subj', '/CN=localhost', '-config', "$dir/openssl.cnf",
                '-keyout', "$dir/key.pem", '-out', "$dir/cert.pem");
    my $out = `openssl req @args 2>&1`;
    die "openssl: $out" if $? != 0;
}

# a static nginx, as for sanitizers, has the module in itself
sub module_line {
    my $module = $ENV{SPACES_MODULE} // "$top/build/ngx_http_spaces_module.so";
    return $module ? "load_module $module;" : '';
}

# as a path: by that name it starts a new binary of itself
sub nginx {
    my ($nginx) = grep { -x } map { "$_/nginx" } split(/:/, $ENV{PATH}),
                  '/usr/sbin';
    return $ENV{SPACES_NGINX} // $nginx // 'nginx';
}

sub start_nginx {
    my ($self) = @_;
    my $dir = $self->{dir};

    spurt("$dir/nginx.conf", $self->conf);

    my $daemon = $self->{daemon} ? 'on' : 'off';
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>>', "$dir/logs/stderr.log";
        open STDERR, '>&', \*STDOUT;
        @ENV{qw(LD_PRELOAD FAULTS)} = ($self->{preload}, "$dir/faults")
            if $self->{preload};
        exec nginx(), '-p', "$dir/", '-c', "$dir/nginx.conf",
             '-e', "$dir/logs/error.log", '-g', "daemon $daemon;";
        die "exec: $!";
    }

    if ($self->{daemon}) {
        waitpid $pid, 0;

        # written behind the back of who has started it
        my $failed = $? != 0;
        until_ok(sub { $failed || ($pid = $self->pid_in_file) }, 10);
        die 'nginx did not start: ' . slurp("$dir/logs/stderr.log")
            if $failed || !$pid;
    }

    $self->{nginx_pid} = $pid;
    $self->{has_run} = 1;

    until_ok(sub {
        die 'nginx did not start: ' . slurp("$dir/logs/stderr.log")
            if is_gone($pid);
        IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{port}");
    }, 20) or die 'nginx does not listen';

    # the connections of all workers to Redis
    if (!$self->{no_redis}) {
        until_ok(sub {
            my $log = slurp("$dir/logs/error.log");
            my $n = () = $log =~ /is connected$/mg;
            $n >= $self->{workers} * ++$self->{starts};
        }, 0.01);
        $self->{starts} = 1;
    }
}

# "nginx -t": the messages, and whether it passed
sub check_conf {
    my ($self) = @_;
    my $dir = $self->{dir};
    spurt("$dir/nginx.conf", $self->conf);
    my $out = `@{[ nginx() ]} -p $dir/ -c $dir/nginx.conf -t 2>&1`;
    return ($? == 0, $out);
}

sub signal {
    my ($self, $signal) = @_;
    kill $signal, $self->{nginx_pid};
}

sub stop_nginx {
    my ($self, $signal) = @_;
    my $pid = delete $self->{nginx_pid} or return;
    my @workers = $self->worker_pids($pid);
    kill $signal // 'TERM', $pid;
    kill 'KILL', @workers if ($signal // '') eq 'KILL';
    my $gone = until_ok(sub { is_gone($pid) }, 60);
    kill 'KILL', $pid, @workers if !$gone;
    return $gone;
}

# a child, or with "daemon => 1" somebody else's, who may not look after it
sub is_gone {
    my ($pid) = @_;
    return 1 if waitpid($pid, WNOHANG) > 0;
    return slurp("/proc/$pid/stat") !~ /^\d+ \(.*\) [^Z]/s;
}

sub pid_in_file {
    my ($pid) = slurp("$_[0]{dir}/nginx.pid" . ($_[1] // '')) =~ /^(\d+)$/m;
    return $pid;
}

# a new nginx beside the old one, whose pid it returns; for "daemon => 1"
sub new_binary {
    my ($self) = @_;
    my $old = $self->{nginx_pid};
    kill 'USR2', $old;
    until_ok(sub {
        my $new = $self->pid_in_file;
        return $new && $new != $old && $self->worker_pids($new);
    }) or die 'no new binary: ' . $self->error_log;
    $self->{nginx_pid} = $self->pid_in_file;
    push @{ $self->{children} }, $old;
    return $old;
}

sub worker_pids {
    my ($self, $master) = @_;
    die 'this kernel does not tell whose children are whose'
        if !-e "/proc/$$/task/$$/children";
    $master //= $self->{nginx_pid};
    return grep { $_ } split /\s+/,
        slurp("/proc/$master/task/$master/children");
}

# of each worker: descriptors by what they are, and KB of memory of its own
sub footprint {
    my ($self) = @_;
    my %of;
    for my $pid ($self->worker_pids) {
        my %fds;
        $fds{ (readlink($_) // 'gone') =~ s/\[\d+\]|\d{3,}//gr }++
            for glob "/proc/$pid/fd/*";
        my ($rss) = slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;
        $of{$pid} = { fds => join(', ', map { "$_ $fds{$_}" } sort keys %fds),
                      rss => $rss };
    }
    return \%of;
}

sub stop {
    my ($self) = @_;
    return if $self->{stopped}++;

    my $gone = $self->stop_nginx('QUIT');
    ok($gone, 'nginx stops') if defined $gone;
    $self->stop_redis;
    $self->check_log;
}

sub error_log { return slurp("$_[0]{dir}/logs/error.log") }

# what tells of a crash, but for what the test expects
sub bad_lines {
    my ($self) = @_;
    my $log = $self->error_log . slurp("$self->{dir}/logs/stderr.log");

    my @bad = grep {
        /\[(?:alert|emerg)\]|Sanitizer|runtime error|exited on signal/
    } split /\n/, $log;
    my @quiet = @{ $self->{quiet} // [] };

    # nginx kills who is still looking for leaks a second after it is told to
    # stop
    push @quiet, 'exited on signal 9' if $ENV{SPACES_SANITIZED};

    for my $quiet (@quiet) {
        @bad = grep { !/$quiet/ } @bad;
    }

    return @bad;
}

sub check_log {
    my ($self) = @_;
    my @bad = $self->bad_lines;
    is(join("\n", @bad[0 .. ($#bad > 9 ? 9 : $#bad)]), '',
       'no alert and no crash in the log');
    my ($report) = $self->error_log =~ /(Sanitizer: .{0,3000})/s;
    Test::More::diag($report) if @bad && $report;
    my $why_none = $self->{has_run} ? $self->no_contract : 'it never ran';
    Test::Spaces::Contract::hold_log("$self->{dir}/logs/contract.log",
                                     $self->{own_answers}, $why_none);
}

sub DESTROY {
    my ($self) = @_;
    local $?;
    my ($nginx, $redis) = delete @$self{qw(nginx_pid redis_pid)};
    my @workers = $nginx ? $self->worker_pids($nginx) : ();

    # the master first, which would start another worker for each that is gone
    kill 'KILL', grep { defined } $nginx, $redis, @workers,
                      @{ $self->{children} // [] };
}

END { undef @alive }

# requests

sub url { return "http://127.0.0.1:$_[0]{port}" . ($_[1] // '') }

# a new connection each time, so that any worker may get it
sub http {
    my ($self, $method, $path, $headers, @body) = @_;
    my $ua = Mojo::UserAgent->new(max_connections => 0,
                                  inactivity_timeout => 60,
                                  request_timeout => 120,
                                  max_response_size => 0);
    my $tx = $ua->build_tx($method => $self->url($path) => $headers // {},
                           @body);
    $tx = $ua->start($tx);
    my $what = "$method $path: " . ($tx->res->code // 0);
    hold($method, $path, $tx)
        if !$self->{own_answers} || $what !~ $self->{own_answers};
    return $tx->res;
}

# what didn't come as a whole, or at all, is no answer
sub hold {
    my ($method, $path, $tx) = @_;
    my ($req, $res) = ($tx->req, $tx->res);
    return if !$res->code || $tx->error && !$tx->error->{code};
    my $is_json = ($req->headers->content_type // '') =~ /^application\/json/;
    Test::Spaces::Contract::hold(
        method => $method, target => $path, status => $res->code,
        header => sub { $res->headers->header($_[0]) }, body => $res->body,
        request => $is_json ? $req->body : undef);
}

sub as { return { Cookie => "spaces_user=$_[1]" } }

sub bearer { return { Authorization => "Bearer $_[1]" } }

sub create {
    my ($self, %fields) = @_;
    my $user = delete $fields{user} // 'ana';
    my $res = $self->http('POST', '/spaces', $self->as($user),
                          json => { title => 'A Space', %fields });
    die 'not created: ' . $res->code . ' ' . $res->body if $res->code != 201;
    return $res->json;
}

sub space {
    my ($self, $id, $token) = @_;
    return $self->http('GET', "/spaces/$id",
                       $token ? $self->bearer($token) : {})->json;
}

sub ingest {
    my ($self, $space, $audio) = @_;
    return $self->http('PUT', "/spaces/$space->{id}/ingest",
                       $self->bearer($space->{token}), $audio);
}

sub end_space {
    my ($self, $space) = @_;
    return $self->http('POST', "/spaces/$space->{id}/end",
                       $self->bearer($space->{token}));
}

sub replay { return $_[0]->http('GET', "/spaces/$_[1]/replay", $_[2])->body }

sub socket {
    my ($self) = @_;
    return IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{port}",
                                 Timeout => 10)
        // die "connect: $!";
}

# with "small => 1": a client for whom little waits, neither there nor here
sub small_socket {
    my ($self, $bytes) = @_;
    my $socket = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";
    $socket->setsockopt(SOL_SOCKET, SO_RCVBUF, $bytes // 2048)
        or die "setsockopt: $!";
    $socket->connect(pack_sockaddr_in($self->{small_port},
                                      inet_aton('127.0.0.1')))
        or die "connect: $!";
    return $socket;
}

# a socket whose other end speaks TLS with nginx
sub tls_socket {
    my ($self) = @_;
    my ($mine, $other) = IO::Socket->socketpair(AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "socketpair: $!";

    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<&', $other or die;
        open STDOUT, '>&', $other or die;
        open STDERR, '>>', "$self->{dir}/logs/s_client.log";
        exec 'openssl', 's_client', '-quiet', '-verify_return_error',
             '-CAfile', "$self->{dir}/cert.pem",
             '-connect', "127.0.0.1:$self->{tls_port}";
        die "exec: $!";
    }
    push @{ $self->{children} }, $pid;

    return $mine;
}

# speakers

sub invite {
    my ($self, $space, $name) = @_;
    my $res = $self->http('POST', "/spaces/$space->{id}/speakers",
                          $self->bearer($space->{token}),
                          json => { name => $name });
    die 'not invited: ' . $res->code . ' ' . $res->body if $res->code != 201;
    return $res->json;
}

sub mute {
    my ($self, $space, $id, $muted) = @_;
    return $self->http('PATCH', "/spaces/$space->{id}/speakers/$id",
                       $self->bearer($space->{token}),
                       json => { muted => $muted });
}

sub remove {
    my ($self, $space, $id) = @_;
    return $self->http('DELETE', "/spaces/$space->{id}/speakers/$id",
                       $self->bearer($space->{token}));
}

# a chunked body that the test feeds by hand
sub begin_ingest {
    my ($self, $space, %headers) = @_;
    my $socket = $self->socket;
    print $socket "PUT /spaces/$space->{id}/ingest HTTP/1.1\r\n",
                  "Host: localhost\r\n",
                  "Authorization: Bearer $space->{token}\r\n",
                  map({ "$_: $headers{$_}\r\n" } sort keys %headers),
                  "Connection: close\r\n",
                  "Transfer-Encoding: chunked\r\n\r\n";
    $socket->autoflush(1);
    return $socket;
}

sub chunk {
    my ($socket, $data) = @_;
    printf $socket "%x\r\n%s\r\n", length $data, $data;
}

# everything until the other side closes, or the time is over
sub read_all {
    my ($socket, $seconds) = @_;
    my ($data, $until) = ('', time + ($seconds // 10));
    $socket->blocking(0);
    while (time < $until) {
        my $n = sysread $socket, $data, 65536, length $data;
        last if defined $n && $n == 0;
        last if !defined $n && !$!{EAGAIN};
        sleep 0.02 if !defined $n;
    }
    return $data;
}

# plain helpers

sub slurp {
    my ($file) = @_;
    open my $fh, '<:raw', $file or return '';
    local $/;
    return <$fh> // '';
}

sub spurt {
    my ($file, $data) = @_;
    open my $fh, '>:raw', $file or die "$file: $!";
    print $fh $data;
    close $fh or die "$file: $!";
}

# waits for something that is bound to come; how long is only a bound
sub until_ok {
    my ($condition, $seconds) = @_;
    my $until = time + ($seconds // 20);
    while (1) {
        return 1 if $condition->();
        return 0 if time > $until;
        sleep 0.02;
    }
}

sub run_ok {
    my ($name, @command) = @_;
    my $pid = open my $out, '-|' // die;
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec @command or die "@command: $!";
    }
    local $/;
    my $text = <$out> // '';
    close $out;
    is($?, 0, $name) or diag(substr $text, -2000);
    return $text;
}

# a file of Ogg Opus, made once per test file
my $made;

sub tone {
    my (%o) = @_;
    $made //= tempdir('spaces-audio-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    
    my $file = "$made/" . join('_', map { "$_=$o{$_}" } sort keys %o) . '.opus';
    $file =~ s/[^\w.=\/-]/_/g;
    return slurp($file) if -s $file;

    my $hz = $o{hz} // 440;
    my $seconds = $o{seconds} // 2;
    my @args = ('ffmpeg', '-v', 'error', '-y', '-f', 'lavfi', '-i',
                $o{source} // "sine=frequency=$hz:sample_rate=48000:"
                              . "duration=$seconds");
    my @codec = ('-ac', $o{channels} // 1, '-c:a', 'libopus',
                 '-b:a', $o{bitrate} // '32k',
                 '-frame_duration', $o{frame} // 20,
                 '-application', $o{application} // 'audio');
    push @codec, '-vbr', 'off' if $o{cbr};

    system(@args, @codec, '-f', 'ogg', $file) == 0 or die "ffmpeg: $?";
    return slurp($file);
}

# from raw audio by opusenc, for what ffmpeg has no switch for
sub opus_of {
    my ($seconds, @switches) = @_;
    my $dir = tempdir('spaces-audio-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    system('ffmpeg', '-v', 'error', '-f', 'lavfi', '-i',
           "sine=frequency=300:sample_rate=48000:duration=$seconds",
           '-ac', 1, "$dir/in.wav") == 0 or die 'ffmpeg';
    system('opusenc', '--quiet', @switches, "$dir/in.wav", "$dir/out.opus")
        == 0 or die 'opusenc';
    return slurp("$dir/out.opus");
}

# what a full decode by ffmpeg gives, in ms; dies if it complains
sub decoded_ms {
    my ($audio) = @_;
    my ($fh, $file) = File::Temp::tempfile(UNLINK => 1, SUFFIX => '.opus');
    print $fh $audio;
    close $fh;
    my $pcm = `ffmpeg -v warning -i $file -f s16le -ac 1 -ar 48000 - 2>$file.err`;
    my $errors = slurp("$file.err");
    unlink "$file.err";
    die "ffmpeg: $errors" if $errors ne '';
    return length($pcm) / 96;
}

sub oggz_ok {
    my ($audio, $name, $as_it_came) = @_;
    my ($fh, $file) = File::Temp::tempfile(UNLINK => 1, SUFFIX => '.opus');
    print $fh $audio;
    close $fh;
    subtest $name => sub {
        my $out = `oggz-validate $file 2>&1`;
        is($out, '', 'oggz-validate has nothing to say');
        $out = `opusinfo $file 2>&1`;
        $out =~ s/^.*$as_it_came.*$//mg if $as_it_came;
        unlike($out, qr/WARNING|ERROR|Error/, 'nor has opusinfo')
            or diag($out);
        like($out, qr/Logical stream 1 ended/, 'the stream has its end');
        unlike($out, qr/Logical stream 2|New logical stream \(#2/,
               'one logical stream');
        is(`ffprobe -v error -show_entries stream=codec_name -of csv=p=0 $file`,
           "opus\n", 'ffprobe sees Opus');
    };
}

sub header_of {
    my ($response, $name) = @_;
    return $response =~ /^\Q$name\E:\s*(.*?)\r?$/mi ? $1 : undef;
}

1;
