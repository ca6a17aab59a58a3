#!/usr/bin/perl

# html/openapi.yaml: that it is OpenAPI, that it has all that the source has and
# nothing else, and that an answer which is not as it has it fails its test.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::JSON qw(decode_json encode_json);
use Test::More;
use Test::Spaces;
use Test::Spaces::Contract qw(complaints document event_complaints operations
                              resolved schema_of);
use Test::Spaces::Example;
use Test::Spaces::Script;

my $top = abs_path("$FindBin::Bin/..");
my $document = document();

# by its specification, and by JSON Schema as it is today

die "no validator: \"make test\" installs what is missing\n"
    if !-d "$top/build/browser/node_modules/\@seriousme";

told('valid', begin("$FindBin::Bin/openapi.mjs", "$top/html/openapi.yaml"));

# The paths: those of the API from its source, the others from the locations of
# the example that leads to them.

sub api_routes {
    my $source = slurp("$top/src/ngx_http_spaces_api.c");
    my ($handler)
        = $source =~ /^ngx_http_spaces_api_handler\(.*?\n(\{\n.*?^\})/ms;
    my (%routes, $n, %name);

    # "review" stands where an id would: it is asked for before
    while ($handler =~ /route\.n\ ==\ (\d) | s\[(\d)\]\.data,\ "(\w+)"
                        | bad_method\(r,\ "([^"]+)"\)/gx)
    {
        if (defined $1) {
            $n = $1;
        } elsif (defined $2) {
            $name{$2} = $3;
        } else {
            my $last = ($name{1} // '') eq 'speakers' ? '{sid}' : '{share}';
            my @of = ($name{0} // '{id}', $name{1}, $name{2} // $last);
            $routes{ join '/', '/spaces', @of[0 .. $n - 1] }
                = join ' ', sort split /, /, $4;
            %name = ();
        }
    }

    return %routes;
}

# what a location of the example may be
sub expanded {
    my ($pattern) = @_;
    if ($pattern =~ /^(.*)\(\?:([^()]*)\)\?(.*)$/) {
        my ($before, $any, $behind) = ($1, $2, $3);
        return map { expanded("$before$_$behind") } '', split /\|/, $any, -1;
    }
    return $pattern;
}

sub location_paths {
    my $conf = slurp("$top/conf/examples/spaces.conf");
    my %path;
    # all below a link is the module's: its source says what there is
    my $links = slurp("$top/src/ngx_http_spaces_share.c");
    my %part = map { ($_ => 1) }
               $links =~ /share_ends\(r, &ctx->target, "(.*?)"\)/g;
    while ($conf =~ /location\ (?:~\ "\^(.*?)\$?"|=\ (\S+))\ \{\s*
                     (?:\#.*\s*)*(spaces_\w+)/gx)
    {
        my ($pattern, $handler) = ($1 // $2, $3);
        $pattern =~ s/\(\?<space>\[\^\/\]\+\)/{id}/;
        $pattern =~ s/\(\?<share>\[\^\/\]\+\)/{token}/;
        $pattern =~ s/\\\././g;
        $path{$_} = $handler for $handler eq 'spaces_share'
            ? map { "$pattern$_" } keys %part : expanded($pattern);
    }
    return %path;
}

my %api = api_routes();
my %located = location_paths();

is($document->{info}{version},
   (slurp("$top/debian/changelog") =~ /^\S+ \(([^)]+)\)/)[0],
   'the version is that of the package');

subtest 'paths' => sub {
    cmp_ok(scalar keys %api, '>=', 11, 'the API has its paths');
    is_deeply([sort keys %{ $document->{paths} }],
              [sort keys %api, keys %located],
              'every path of the source, and no other');

    my $module = slurp("$top/src/ngx_http_spaces_module.c");
    my %handler = map { ($_ => 1) } values %located;
    is_deeply([sort keys %handler, 'spaces_api'],
              [sort { $a cmp $b }
               $module =~ /string\("(spaces_\w+)"\),\s+NGX_HTTP_LOC_CONF\|/g],
              'every handler has its location');

    my %methods;
    push @{ $methods{ $_->[1] } }, $_->[0] for operations();
    for my $path (sort keys %api) {
        my %method = map { ($_ => 1) } @{ $methods{$path} };
        $method{HEAD} = 1 if $method{GET};
        is(join(' ', sort keys %method), $api{$path}, "the methods of $path");
    }
};

# The problems, and where they are

my $answer = slurp("$top/src/ngx_http_spaces_answer.c");
my %problems = map { ($_->[1] => $_) } problems_of($answer);

sub problems_of {
    my ($source) = @_;
    my @problems;
    push @problems, [$1, $2, $3]
        while $source =~ /\{\ (\d{3}),\ "(urn:spaces:[\w-]+)",\s+
                          "([^"]+)"\ \}/gx;
    return @problems;
}

subtest 'problems' => sub {
    cmp_ok(scalar keys %problems, '>', 30, 'the source has its problems');

    my %schemas = map { ($_->[1] => $_) } map { [@$_{qw(status type title)}] }
        map { my $p = $_; +{ map { ($_ => $p->{$_}{const}) } keys %$p } }
        map { $_->{allOf}[1]{properties} }
        map { $document->{components}{schemas}{$_} }
        grep { /.Problem\z/ } keys %{ $document->{components}{schemas} };
    # the limits of the examples have one besides, in their configuration
    is_deeply(delete $schemas{'urn:spaces:too-many-requests'},
              [429, 'urn:spaces:too-many-requests', 'Too many requests'],
              'that of the limits is documented');
    is_deeply(\%schemas, \%problems,
              'every one is documented, with its status and title');

    # in the operations' answers, by the status they have
    my (%used, @wrong);
    for (operations()) {
        my ($method, $path, $operation) = @$_;
        for my $status (keys %{ $operation->{responses} }) {
            my $media = resolved($operation->{responses}{$status})
                ->{content}{'application/problem+json'} or next;
            my $schema = $media->{schema};
            my @each = map { resolved($_) } @{ $schema->{oneOf} // [$schema] };
            for my $one (@each) {
                my $is = $one->{allOf}[1]{properties};
                $used{ $is->{type}{const} } = 1;
                push @wrong, "$method $path: $status is $is->{type}{const}"
                    if $is->{status}{const} != $status;
            }
            my $mapped = $schema->{discriminator}
                && $schema->{discriminator}{mapping};
            push @wrong, "$method $path: $status has another mapping"
                if $mapped && join(' ', sort keys %$mapped)
                   ne join(' ', sort map {
                       $_->{allOf}[1]{properties}{type}{const}
                   } @each);
        }
    }
    is_deeply([sort keys %used], [sort keys %problems],
              'every one is the answer to something');
    is_deeply(\@wrong, [], 'of its own status');
};

# Each operation has what one looks for, and examples have no field too many

subtest 'operations' => sub {
    my %id;
    for (operations()) {
        my ($method, $path, $operation) = @$_;
        next if $method eq 'SOURCE';
        is(++$id{ $operation->{operationId} }, 1, "$method $path has its name");
        ok($operation->{summary} && $operation->{description}, 'and its words');
        my %named = map { ($_->{name} => 1) }
            grep { $_->{in} eq 'path' } map { resolved($_) }
            @{ $document->{paths}{$path}{parameters} // [] };
        is(join(' ', sort keys %named), join(' ', sort $path =~ /\{(\w+)\}/g),
           'and the parts of its path');
        like($_, qr/^(?:101|[23]\d\d|4\d\d|5\d\d)$/, "$method $path: $_")
            for keys %{ $operation->{responses} };
    }
};

subtest 'examples' => sub {
    my $n = 0;
    for (operations()) {
        my ($method, $path, $operation) = @$_;
        for my $status (sort keys %{ $operation->{responses} }) {
            my $response = resolved($operation->{responses}{$status});
            my $content = $response->{content} // {};
            for my $type (grep { /json/ } sort keys %$content) {
                my $media = $content->{$type};
                my @examples = map { resolved($_)->{value} }
                    values %{ $media->{examples} // {} };
                push @examples, $media->{example} if $media->{example};
                push @examples, map { @{ resolved($_)->{examples} } }
                    @{ $media->{schema}{oneOf} // [$media->{schema}] }
                    if $type =~ /problem/;
                ok(scalar @examples, "$method $path: $status has an example");
                for my $example (@examples) {
                    $n++;
                    my $schema = schema_of($media->{schema});
                    my @wrong = $schema->validate($example);
                    is("@wrong", '', 'which is as it says');
                }
            }
        }
    }
    cmp_ok($n, '>', 100, 'all of them');
};

# In a stream of events each is as it says

subtest 'events' => sub {
    my $n = 0;
    for (operations()) {
        my ($method, $path, $operation) = @$_;
        my $stream = resolved($operation->{responses}{200} // {})
            ->{content}{'text/event-stream'} or next;
        for my $event (split /\n\n/, $stream->{example}) {
            my ($name, $data) = $event =~ /\Aevent: (\w+)\ndata: (\{.*\})\n?\z/;
            ok($name, "$path: an event, and its data") or diag($event);
            my $is = eval { decode_json($data // '') } // {};
            is(join('; ', event_complaints({ %$is, event => $name // '' })),
               '', 'which is as it says');
            $n++;
        }
    }
    cmp_ok($n, '>=', 3, 'all of them');
};

# The example serves it, and answers no method that is not there

subtest 'served' => sub {
    my $s = Test::Spaces::Example->new(example => 'spaces')->start;
    my $res = $s->http('GET', '/openapi.yaml');
    is($res->code, 200, 'it is there');
    is($res->headers->content_type, 'application/yaml', 'for what it is');
    is($res->body, slurp("$top/html/openapi.yaml"), 'and whole');

    my %there;
    $there{ $_->[1] }{ $_->[0] } = 1 for operations();
    for my $path (sort keys %there) {
        my %part = (id => 'a' x 20, sid => 'host', share => '0' x 20,
                    token => 'a' x 32);
        my $at = $path =~ s/\{(\w+)\}/$part{$1}/gr;
        my $has = $there{$path};
        for my $method (qw(GET HEAD POST PUT PATCH DELETE OPTIONS SOURCE)) {
            my $code = $s->http($method, $at)->code;
            # what begins a WebSocket is not for who wants none
            my $known = $has->{$method} && $path !~ /ingest/
                || $has->{$method} && $method ne 'GET'
                || $method eq 'HEAD' && $has->{GET} && $path !~ /ingest/;
            $known ? isnt($code, 405, "$method $path")
                   : is($code, 405, "$method $path: it has no such method");
        }
    }
    $s->stop;
};

# Nothing that is wrong goes by

my $id = 'a' x 20;
my %headers = ('Content-Type' => 'application/json',
               'Cache-Control' => 'private, no-store',
               'Referrer-Policy' => 'no-referrer');
my $space = $document->{components}{examples}{ScheduledSpace}{value};
my $problem = resolved({ '$ref' => '#/components/schemas/NotFoundProblem' })
    ->{examples}[0];

sub wrong {
    my (%o) = @_;
    my %sent = (%headers, %{ delete $o{headers} // {} });
    $o{body} = encode_json($o{body}) if ref $o{body};
    return join "\n", complaints(
        method => 'GET', target => "/spaces/$id", status => 200,
        body => encode_json($space), header => sub { $sent{ $_[0] } }, %o);
}

sub without {
    my ($hash, $key) = @_;
    my %copy = %$hash;
    delete $copy{$key};
    return \%copy;
}

subtest 'what is wrong' => sub {
    is(wrong(), '', 'a right answer');
    is(wrong(target => "http://localhost/spaces/$id?token=x#y"), '',
       'of any address');
    is(wrong(status => 404, body => $problem, headers => {
        'Content-Type' => 'application/problem+json' }), '', 'a right problem');

    like(wrong(status => 202), qr/no answer 202/, 'a status');
    like(wrong(target => "/spaces/$id/nothing"), qr/no path/, 'a path');
    like(wrong(method => 'PUT'), qr/no method PUT/, 'a method');
    like(wrong(headers => { 'Content-Type' => 'text/plain' }),
         qr/Content-Type "text\/plain"/, 'a type');
    like(wrong(headers => { 'Cache-Control' => undef }), qr/no Cache-Control/,
         'no header');
    like(wrong(headers => { 'Cache-Control' => 'public' }), qr/Cache-Control/,
         'another header');
    like(wrong(body => '{'), qr/no JSON/, 'no JSON');
    like(wrong(body => without($space, $_)), qr/\b$_\b/, "no $_")
        for sort keys %$space;
    like(wrong(body => { %$space, more => 1 }), qr/more|Properties/,
         'a field that is not documented');
    like(wrong(body => { %$space, listeners => '1' }), qr/listeners/,
         'a text where a number should be');
    like(wrong(body => { %$space, speakers => [{ id => 'host' }] }),
         qr/speakers/, 'a speaker without a name');
    like(wrong(body => { %$space, state => 'gone' }), qr/state/, 'a state');
    like(wrong(body => { %$space, created_at => '2026-11-23' }), qr/created_at/,
         'a time');

    my %type = ('Content-Type' => 'application/problem+json');
    my %as_problem = (status => 404, headers => \%type);
    like(wrong(%as_problem, body => { %$problem, type => 'urn:spaces:ended' }),
         qr/type/, 'a problem of another status');
    like(wrong(%as_problem, body => { %$problem, status => 410 }), qr/status/,
         'a status that is not that of the answer');
    like(wrong(%as_problem, target => "/spaces/$id/replay",
               body => { %$problem, title => 'Gone' }), qr/title/,
         'one of several problems, with another title');

    like(wrong(method => 'PUT', status => 405, body => resolved(
                   { '$ref' => '#/components/schemas/BadMethodProblem' })
                   ->{examples}[0],
               headers => { %type, Allow => 'GET, HEAD' }),
         qr/Allow: GET, HEAD/, 'methods that are not told');
    like(wrong(method => 'PATCH', request => '{"titel":"x"}'), qr/request/,
         'what was done with a request that is not documented');

    is(join('', event_complaints({ event => 'listeners', listeners => 2 })), '',
       'a right event');
    like(join('', event_complaints({ event => 'listeners' })), qr/listeners/,
         'an event without its data');
    like(join('', event_complaints({ event => 'warning', detail => 'x',
                                     more => 1 })), qr/./, 'or with more');
    like(join('', event_complaints({ event => 'nothing' })), qr/./,
         'or that is none');
};

# and fails the test that got it, whichever way it came

my $script = <<'END';
use strict;
use warnings;
use Test::More;
use Test::Spaces;
use Test::Spaces::Loop;
use Test::Spaces::WebSocket;

my ($wrong) = @ARGV;
my $id = 'a' x 20;
my $s = Test::Spaces->new(no_redis => 1, workers => 1, server_more => "
    location = /spaces/$id { return 418; }
    location = /spaces/$id/events {
        default_type text/event-stream;
        add_header Cache-Control 'private, no-store';
        add_header Referrer-Policy no-referrer;
        add_header X-Accel-Buffering no;
        return 200 'event: listeners\ndata: {}\n\n';
    }
    location = /spaces/$id/shares {
        default_type application/json;
        add_header Cache-Control 'private, no-store';
        add_header Referrer-Policy no-referrer;
        return 200 '{}';
    }")->start;

if ($wrong eq 'client') {
    $s->http('GET', "/spaces/$id");

} elsif ($wrong eq 'socket') {
    my $socket = $s->socket;
    print $socket "GET /spaces/$id HTTP/1.0\r\n\r\n";
    Test::Spaces::read_all($socket);

} elsif ($wrong eq 'body') {
    $s->http('GET', "/spaces/$id/shares");

} elsif ($wrong eq 'loop body') {
    Test::Spaces::Loop->new($s)->http('GET', "/spaces/$id/shares", {});

} elsif ($wrong eq 'loop event') {
    my $loop = Test::Spaces::Loop->new($s);
    my $l = $loop->listen({ id => $id }, how => 'events');
    $loop->until(sub { $l->{gone} || $l->{complete} });

} elsif ($wrong eq 'handshake') {
    Test::Spaces::WebSocket->connect($s, "/spaces/$id/shares", 'x');

} elsif ($wrong eq 'WebSocket event') {
    my $ws = bless { in => '', part => '', open => 1, status => 'x', held => 1,
                     events => [] }, 'Test::Spaces::WebSocket';
    $ws->feed(pack 'C C a*', 0x81, 21, '{"event":"listeners"}');
}

unlink "$s->{dir}/logs/contract.log" if $wrong eq 'no log';

ok(1, 'a test');
$s->stop;
done_testing;
END

subtest 'it fails its test' => sub {
    my %told = (
        'nothing' => undef,
        'no log' => qr/no \S+contract\.log: put log_lines\(\)/,
        'client' => qr/GET \/spaces\/$id: 418: as html\/openapi\.yaml has it/,
        'socket' => qr/GET \/spaces\/$id: 418, by nginx: as html/,
        'body' => qr/GET \/spaces\/$id\/shares: 200: as html/,
        'loop body' => qr/GET \/spaces\/$id\/shares: 200: as html/,
        'loop event' => qr/the event "listeners": as html/,
        'handshake' => qr/GET \/spaces\/$id\/shares: 200: as html/,
        'WebSocket event' => qr/the event "listeners": as html/,
    );
    for my $wrong (sort keys %told) {
        open my $out, '-|', $^X, "-I$FindBin::Bin/lib", '-e',
            'open STDERR, ">&", \*STDOUT; eval shift; die $@ if $@', $script,
            $wrong or die "perl: $!";
        my $text = do { local $/; <$out> };
        close $out;
        if ($told{$wrong}) {
            isnt($?, 0, "$wrong: it fails");
            like($text, qr/^not ok \d+ - $told{$wrong}/m, 'and says where');
        } else {
            is($?, 0, "$wrong: it passes") or diag($text);
        }
    }
};

done_testing;
