package Test::Spaces::Example;

# Copyright (C) Spaces for nginx contributors

# An example of conf/examples in a folder of its own: all but the port, the
# module and one more log is its own.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);

use parent 'Test::Spaces';

my $top = abs_path(dirname(__FILE__) . '/../../../..');

sub start {
    my ($self) = @_;
    symlink "$top/html", "$self->{dir}/html";
    return $self->SUPER::start;
}

sub conf {
    my ($self) = @_;
    my $conf = Test::Spaces::slurp("$top/conf/examples/$self->{example}.conf");
    my $module = $self->module_line;
    $conf =~ s/^load_module .*/$module/m or die 'no load_module';
    $conf =~ s/listen 127\.0\.0\.1:8080;/listen 127.0.0.1:$self->{port};/
        or die 'no port';
    my $contract = $self->contract_log;
    $conf =~ s/^(    access_log .*)$/$1\n$contract/m or die 'no access_log';
    $self->{metrics_port} = Test::Spaces::free_port();
    $conf =~ s/listen 127\.0\.0\.1:9145;/listen 127.0.0.1:$self->{metrics_port};/;
    return $conf;
}

1;
