package Test::Spaces::Toll;

# Copyright (C) Spaces for nginx contributors

# What an nginx takes of the machine, and whether it gives it back: memory and
# descriptors of its workers, its connections, Spaces and shared memory.

use strict;
use warnings;

use List::Util qw(sum0);
use Test::More;
use Test::Spaces;

# KB that a worker may still grow by when the same is done to it again; with a
# sanitizer what is freed is kept for a while
my $grows = $ENV{SPACES_SANITIZED} ? 65536 : 4096;

# what it takes now is what it has to come back to
sub new {
    my ($class, $s) = @_;
    my $self = bless { s => $s }, $class;
    # what ended before this lingers for some seconds
    until_ok(sub {
        $self->{metrics} = $self->metrics;
        !$self->{metrics}{'spaces_rooms{state="ended"}'};
    }, 60);
    $self->{footprint} = $s->footprint;
    return $self;
}

sub metrics {
    my ($self) = @_;
    my %all = $self->{s}->http('GET', '/metrics')->body
              =~ /^(spaces_\S+) ([\d.e+-]+)$/mg;
    return { map { $_ => $all{$_} }
             grep { /^spaces_(?:rooms\{|speakers$|listeners\{|zone_free|workers)/ }
             keys %all };
}

# KB of all workers
sub memory {
    my ($self) = @_;
    return sum0 map { $_->{rss} } values %{ $self->{s}->footprint };
}

# Something is done, and done again.  Afterwards nothing is left of it, and the
# second time has taken no more memory: what was free()d once serves again,
# though malloc() keeps it.

sub is_paid {
    my ($self, $name, $do) = @_;

    subtest $name => sub {
        for my $time (qw(first second)) {
            $do->();
            my @left;
            until_ok(sub { !(@left = $self->left($time)) }, 60);
            is(join("\n", @left), '', "the $time time all is given back");
        }
    };
}

sub left {
    my ($self, $time) = @_;
    my ($metrics, $now) = ($self->metrics, $self->{s}->footprint);
    my $before = $self->{footprint};

    my @left = map { "$_: $metrics->{$_}, before $self->{metrics}{$_}" }
               grep { $metrics->{$_} != $self->{metrics}{$_} }
               sort keys %$metrics;

    return (@left, 'other workers')
        if join(' ', sort keys %$now) ne join(' ', sort keys %$before);

    for my $pid (sort keys %$now) {
        my ($was, $is) = ($before->{$pid}, $now->{$pid});
        push @left, "descriptors: $is->{fds}; before: $was->{fds}"
            if $is->{fds} ne $was->{fds};
        push @left, "memory: $is->{rss} KB, before $was->{rss} KB"
            if $time eq 'second' && $is->{rss} > $was->{rss} + $grows;
    }

    # for the second time
    $before->{$_}{rss} = $now->{$_}{rss}
        for @left || $time eq 'second' ? () : keys %$now;

    return @left;
}

1;
