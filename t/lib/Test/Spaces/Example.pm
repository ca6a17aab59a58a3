package Test::Spaces::Example;

# Copyright (C) Spaces for nginx contributors

# An example of conf/examples in a folder of its own: all but the ports,
# the module and one more log is its own.  {port} is the free one that 8080 became, port(8443)
# that of another.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use Test::More;
use Test::Spaces::Contract qw(document schema_of);

use parent 'Test::Spaces';

our @EXPORT_OK = qw(examples is_limited keep_promises);

my $top = abs_path(dirname(__FILE__) . '/../../../..');

# the names of all there are
sub examples {
    return sort map { /([^\/]+)\.conf$/ } glob "$top/conf/examples/*.conf";
}

# Starts each and has it do what it promises: { does => sub }, and "before" it
# is started what it needs, where that is something.  "answers" are those that
# it makes by itself, and not the module: html/openapi.yaml has none of them.

sub keep_promises {
    my (%promises) = @_;
    for my $example (sort keys %promises) {
        my ($does, $before, $own)
            = @{ $promises{$example} }{qw(does before answers)};
        subtest $example => sub {
            my $s = __PACKAGE__->new(example => $example,
                                     own_answers => $own);
            $before->($s) if $before;
            $s->start;
            $does->($s);
            $s->stop;
        };
    }
}

# what nginx itself has refused, in the module's words
sub is_limited {
    my ($res, $name) = @_;
    my $headers = $res->headers;
    my $is = $res->json // {};
    my $schema = document()->{components}{schemas}{TooManyRequestsProblem};
    my @wrong = map { "$_" } schema_of($schema)->validate($is);
    is(join('; ', $res->code, $headers->content_type,
            $headers->header('Retry-After'), $headers->cache_control,
            $headers->connection // '', @wrong),
       '429; application/problem+json; 5; private, no-store; close', $name);
}

sub file { return "$top/conf/examples/$_[1]" }

sub text { return Test::Spaces::slurp($_[0]->file("$_[0]{example}.conf")) }

sub port {
    my ($self, $port) = @_;
    return $self->{port} if $port == 8080;
    return $self->{ports}{$port} //= Test::Spaces::free_port();
}

sub start {
    my ($self) = @_;
    symlink "$top/html", "$self->{dir}/html";
    return $self->SUPER::start;
}

sub conf {
    my ($self) = @_;
    my $conf = $self->text;
    my $module = $self->module_line;
    $conf =~ s/^load_module .*/$module/m or die 'no load_module';
    $conf =~ /listen 127\.0\.0\.1:8080\b/ or die 'no port';
    $conf =~ s/(?<=:)(\d{4})\b/$self->port($1)/ge;
    my $contract = $self->contract_log;
    $conf =~ s/^(    access_log .*)$/$1\n$contract/m or die 'no access_log';
    return worker_user() . $conf;
}

# workers of a master that is root are nobody, unless the pages are where that
# one can't get
sub worker_user {
    return '' if $> != 0;
    my @reads = qw(setpriv --reuid nobody --clear-groups test -r);
    return system(@reads, "$top/html/index.html") == 0 ? '' : "user root;\n";
}

1;
