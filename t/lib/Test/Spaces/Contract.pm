package Test::Spaces::Contract;

# Copyright (C) Spaces for nginx contributors

# html/openapi.yaml, and whether an answer is as it has it.  Every answer that
# a test gets comes by here: with its body where the test's own clients read it
# (hold), and without one by a log that nginx writes of all requests, whoever
# sent them (hold_log).  An answer that is not as documented fails the test.
#
# Clients are told to let fields be that they do not know.  Tests are not: what
# an answer has and the document has not is wrong.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use JSON::Validator::Schema::Draft201909;
use Mojo::JSON qw(decode_json from_json);
use Mojo::Util qw(url_unescape);
use Test::More ();
use YAML::XS ();

our @EXPORT_OK = qw(document complaints event_complaints hold hold_event
                    hold_log log_lines resolved schema_of operations);

my $file = abs_path(dirname(__FILE__) . '/../../../../html/openapi.yaml');

# what nginx says itself: of a client that went away, and of what it closes
# without an answer
my %no_answer = (0 => 1, 444 => 1, 499 => 1);

# read when the first answer comes, once in a test file
my ($document, @routes, %compiled, %known);

sub document {
    return $document if $document;
    local $YAML::XS::Boolean = 'JSON::PP';
    $document = YAML::XS::LoadFile($file);
    @routes = map { route($_) }
              # a word before what may be any
              sort { $a =~ s/\{/~/gr cmp $b =~ s/\{/~/gr }
              keys %{ $document->{paths} };
    return $document;
}

sub route {
    my ($path) = @_;
    my $item = $document->{paths}{$path};
    my %operation = map { ($_ => $item->{$_}) }
        grep { $item->{$_} } qw(get put post delete patch head);
    my $more = $item->{'x-additionalOperations'} // {};
    $operation{lc $_} = resolved($more->{$_}) for keys %$more;
    my $pattern = join '[^/]+', map { quotemeta } split /\{\w+\}/, $path, -1;
    return { path => $path, pattern => qr{\A$pattern/?\z},
             operation => \%operation };
}

# every method of every path
sub operations {
    document();
    return map {
        my $route = $_;
        map { [uc $_, $route->{path}, $route->{operation}{$_}] }
            sort keys %{ $route->{operation} };
    } @routes;
}

sub resolved {
    my ($node) = @_;
    while (ref $node eq 'HASH' && defined $node->{'$ref'}) {
        my ($pointer) = $node->{'$ref'} =~ m{\A#/(.*)} or die $node->{'$ref'};
        $node = document();
        for my $step (split /\//, $pointer) {
            $step =~ s/~1/\//g;
            $step =~ s/~0/~/g;
            $node = $node->{$step} // die "$pointer leads nowhere";
        }
    }
    return $node;
}

# A schema for JSON::Validator: nothing in it refers to anything, "allOf" is one
# object, and objects have no other fields than they say.

sub closed {
    my ($schema) = @_;
    return $schema if ref $schema ne 'HASH';

    my %schema = %$schema;
    if (my $ref = delete $schema{'$ref'}) {
        %schema = (%{ closed(resolved({ '$ref' => $ref })) }, %schema);
    }

    if (my $parts = delete $schema{allOf}) {
        my %own = %schema;
        %schema = ();
        for my $part (map { closed($_) } @$parts, \%own) {
            my %properties = %{ $schema{properties} // {} };
            my @required = @{ $schema{required} // [] };
            %schema = (%schema, %$part,
                       properties => { %properties,
                                       %{ $part->{properties} // {} } },
                       required => [@required, @{ $part->{required} // [] }]);
        }
    }

    $schema{oneOf} = [map { closed($_) } @{ $schema{oneOf} }] if $schema{oneOf};
    $schema{items} = closed($schema{items}) if $schema{items};
    if ($schema{properties}) {
        my $properties = $schema{properties};
        $schema{properties} = { map { ($_ => closed($properties->{$_})) }
                                keys %$properties };
        $schema{additionalProperties} //= Mojo::JSON::false;
    }

    # they have their meaning where it is looked for
    delete @schema{qw(description example examples discriminator title)};
    return \%schema;
}

# compiled once, by where it is in the document
sub schema_of {
    my ($node) = @_;
    return $compiled{$node} //= do {
        my $plain = closed($node);
        my $schema = JSON::Validator::Schema::Draft201909->new(
            recursive_data_protection => 0);
        $schema->resolve($plain);
    };
}

# The branch that a value means, so that what is wrong with it can be told.

sub meant {
    my ($schema, $value) = @_;
    $schema = resolved($schema);
    my $by = $schema->{discriminator} or return $schema;
    return $schema if ref $value ne 'HASH';
    my $name = $value->{ $by->{propertyName} } // '';
    my $ref = $by->{mapping}{$name} or return $schema;
    return resolved({ '$ref' => $ref });
}

sub invalid {
    my ($schema, $value, $where) = @_;
    return map { $where . $_->path . ': ' . $_->message }
           schema_of(meant($schema, $value))->validate($value);
}

# What is wrong with an answer: nothing, or what, a line each.
#
#   method, target, status   of the request and its answer
#   header    gives a header of the answer by its name, or undef
#   body      of the answer, if it is known as a whole
#   request   the JSON that was sent, if any
#   untold    by nginx's log: headers that it doesn't know
#   early     it may be what a source client is told before it sends

sub complaints {
    my (%o) = @_;
    document();

    my ($path) = url_unescape($o{target}) =~ m{\A(?:\w+://[^/]*)?([^?#]*)};
    # nginx lets no handler see it, or makes it another one
    return () if $path =~ /\0|\.\./ && $o{status} >= 400;

    my ($route) = grep { $path =~ $_->{pattern} } @routes;
    my $ours = $path =~ m{\A/(?:spaces|s|oembed|metrics)(?:/|\z)};
    return $ours && $o{status} < 400 ? "$path is no path of it" : ()
        if !$route;

    my $operation = $route->{operation}{ lc $o{method} };
    my $head = $o{method} eq 'HEAD';
    $operation //= $route->{operation}{get} if $head;
    $o{body} = undef if $head;
    return other_method($route, %o) if !$operation;

    my $response = resolved($operation->{responses}{ $o{status} });
    if (!$response) {
        # where an operator has put none of the module's handlers
        return () if $o{status} == 404 && $path !~ /^\/spaces/
            && ($o{header}->('Content-Type') // '') eq 'text/html';
        return "no answer $o{status} of $o{method} $route->{path}";
    }

    my @wrong = answer_complaints($response, %o);
    push @wrong, request_complaints($operation, $o{request})
        if defined $o{request} && $o{status} =~ /^2/;
    return @wrong;
}

# 405, with those that there are

sub other_method {
    my ($route, %o) = @_;
    return "no method $o{method} of $route->{path}" if $o{status} != 405;

    my $response = document()->{components}{responses}{BadMethod};
    my @wrong = answer_complaints($response, %o);

    # what begins a WebSocket is no method to try
    my %there = map { (uc $_ => 1) }
        grep { grep { /^2/ } keys %{ $route->{operation}{$_}{responses} } }
        keys %{ $route->{operation} };
    $there{HEAD} = 1 if $there{GET};
    my $there = join ', ', sort keys %there;
    my $said = join ', ', sort split /,\s*/, $o{header}->('Allow') // '';
    push @wrong, "Allow: $said, and not $there" if $said ne $there;
    return @wrong;
}

sub answer_complaints {
    my ($response, %o) = @_;
    my @wrong;
    my $type = lc($o{header}->('Content-Type') // '') =~ s/\s*;.*//sr;

    # by nginx's log: there was nobody any more to send it to
    return () if $o{untold} && $o{status} >= 400 && $type eq '';

    for my $name (sort keys %{ $response->{headers} // {} }) {
        next if grep { $_ eq $name } @{ $o{untold} // [] };
        my $header = resolved($response->{headers}{$name});
        my $value = $o{header}->($name);
        if (!defined $value || $value eq '') {
            push @wrong, "no $name" if $header->{required};
            next;
        }
        $value += 0
            if $header->{schema}{type} eq 'integer' && $value =~ /^\d+$/;
        push @wrong, invalid($header->{schema}, $value, "$name \"$value\"");
    }

    my $content = $response->{content} // {};
    if (!%$content) {
        return (@wrong, $type eq '' || !length($o{body} // '')
                        ? () : "a body of $type");
    }
    # a source client is answered before it has sent anything
    return @wrong if $type eq '' && $o{early};
    my $media = $content->{$type}
        or return (@wrong, "Content-Type \"$type\"");

    return @wrong if !defined $o{body} || $type !~ /\bjson\z/;
    my $json = eval { decode_json($o{body}) };
    return (@wrong, "no JSON: $o{body}") if !defined $json;
    return (@wrong, invalid($media->{schema}, $json, ''));
}

# what was done was asked for as the document says

sub request_complaints {
    my ($operation, $body) = @_;
    my $media = resolved($operation->{requestBody} // {})
        ->{content}{'application/json'};
    return () if !$media || $body eq '';
    my $json = eval { decode_json($body) };
    return defined $json ? invalid($media->{schema}, $json, 'request ')
                         : "a request that is no JSON: $body";
}

sub event_complaints {
    my ($event) = @_;
    return invalid(document()->{components}{schemas}{Event}, $event, '');
}

# Fails the test that is running, and says why, once for each that is wrong.

my %told;

sub complain {
    my ($what, @wrong) = @_;
    my $kind = $what =~ s/ .*:/ /r;
    @wrong = grep { !$told{"$kind $_"}++ } @wrong or return;
    # of the line in the test
    my $level = 0;
    $level++ while caller($level) && (caller $level)[1] !~ /\.t\z/;
    local $Test::Builder::Level = $level + 2;
    Test::More::fail("$what: as html/openapi.yaml has it");
    Test::More::diag($_) for @wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)];
}

sub hold {
    my (%o) = @_;
    my @wrong = complaints(%o);
    complain("$o{method} $o{target}: $o{status}", @wrong) if @wrong;
}

sub hold_event {
    my ($event) = @_;
    my @wrong = event_complaints($event);
    complain("the event \"" . ($event->{event} // '') . '"', @wrong) if @wrong;
}

# The lines for nginx's configuration: a log of what the document speaks of.
# nginx has no variable for a "Cache-Control" that it has not made itself.

my @untold = 'Cache-Control';

sub header_names {
    my %name;
    for my $response (map { resolved($_) }
                      map { values %{ $_->[2]{responses} } } operations()) {
        $name{$_} = 1 for keys %{ $response->{headers} // {} };
    }
    delete @name{@untold};
    return sort keys %name, 'Content-Type';
}

sub log_lines {
    my ($log) = @_;
    my @variables = (
        [method => 'request_method'], [target => 'request_uri'],
        [status => 'status'],
        map { [$_ => 'sent_http_' . lc tr/-/_/r] } header_names());
    my $format = join ',', map { "\"$_->[0]\":\"\$$_->[1]\"" } @variables;
    return "log_format contract escape=json '{$format}';\n"
           . "access_log $log contract;\n";
}

# all that is looked at; of an id or a token nothing depends
sub kind_of {
    my ($answer) = @_;
    my %kind = %$answer;
    $kind{target} =~ s/\?.*//s;
    $kind{target} =~ s/[\w-]{20,}/x/g;
    return join "\n", map { "$_: $kind{$_}" } sort keys %kind;
}

# what nginx has answered, but for the bodies, and for the answers that its
# configuration makes by itself: "METHOD target: status"; how many answers that
# were.  Without a log nothing was held against anything, so there has to be a
# reason for that.

sub hold_log {
    my ($log, $own, $why_none) = @_;
    my $n = 0;
    open my $lines, '<:raw', $log or do {
        Test::More::fail("no $log: put log_lines() into the configuration")
            if !$why_none;
        return 0;
    };

    while (my $line = <$lines>) {
        # Bytes of an address need not be UTF-8; a worker that was killed has
        # perhaps written a part of a line.
        my $answer = eval { from_json($line) } or next;
        next if $no_answer{ 0 + $answer->{status} } || $answer->{method} eq '';
        $n++;
        next if $own
            && "$answer->{method} $answer->{target}: $answer->{status}" =~ $own;

        my $wrong = $known{ kind_of($answer) } //= [complaints(
            method => $answer->{method}, target => $answer->{target},
            status => 0 + $answer->{status},
            early => scalar $answer->{method} =~ /^(?:PUT|SOURCE)$/,
            header => sub { $answer->{ $_[0] } }, untold => \@untold)];
        complain("$answer->{method} $answer->{target}: $answer->{status}, "
                 . 'by nginx', @$wrong) if @$wrong;
    }

    return $n;
}

1;
