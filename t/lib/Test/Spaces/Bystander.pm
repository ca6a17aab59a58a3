package Test::Spaces::Bystander;

# Copyright (C) Spaces for nginx contributors

# A recorded Space that goes on while something else is done to nginx, in a
# process of its own: a host who says a tone, and who listens to it by HTTP and
# by WebSocket.  Its packets are numbered, so that each can be accounted for.

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(max min);
use Mojo::JSON qw(true);
use POSIX ();
use Storable qw(nstore retrieve);
use Test::More;
use Test::Spaces;
use Test::Spaces::Audio qw(broken_pages heard samples steady tone_power);
use Test::Spaces::Loop;
use Test::Spaces::Ogg qw(packets);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(numbered number_of);

my $hz = 590;

# A packet with a number: padding, which no decoder looks at, RFC 6716, 3.2.5.

sub numbered {
    my ($packet, $number) = @_;
    my ($toc, $frame) = unpack 'C a*', $packet;
    die 'not one frame' if $toc & 3;
    return pack 'C C C a* a4 N', $toc | 3, 0x41, 8, $frame, 'No. ', $number;
}

sub number_of {
    my ($packet) = @_;
    return $packet =~ /No\. (....)\z/s ? unpack 'N', $1 : undef;
}

# "seconds": what there is to say, more than the test lasts

sub new {
    my ($class, $s, %o) = @_;
    my $self = bless { s => $s, space => $s->create(record => true),
                       file => "$s->{dir}/bystander" }, $class;

    my @steady = steady($hz);
    my $n = ($o{seconds} // 1800) / 0.02;
    $self->{packets} = [map { numbered($steady[$_ % @steady], $_) } 0 .. $n];

    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        eval { $self->live; 1 } or print STDERR "bystander: $@";
        POSIX::_exit(0);
    }

    ok(until_ok(sub { -e "$self->{file}.listens" }, 60),
       'a bystander talks and listens');

    return $self;
}

# the process of its own

sub live {
    my ($self) = @_;
    my ($s, $space) = @$self{qw(s space)};

    my $loop = Test::Spaces::Loop->new($s);
    my $host = $loop->speak($space, $self->{packets});
    $loop->until(sub { $s->space($space->{id})->{state} eq 'live' });
    my @listeners = map { $loop->listen($space, how => $_) }
                    qw(http http opus opus);
    $loop->until(sub { !grep { !length $_->audio } @listeners });
    spurt("$self->{file}.listens", '');

    $loop->{stall} = 0;
    my $looked = 0;
    $loop->until(sub {
        return 0 if time < $looked + 0.2;
        $looked = time;
        return -e "$self->{file}.enough" || $host->{said_all};
    }, 3600);

    # a page is whole: the body ends behind the last one that was begun
    $host->{end} = 1;
    $#{ $self->{packets} } = $host->{at} - 1;
    $loop->until(sub { $host->{complete} && !grep { !$_->{gone} } @listeners },
                 60);

    my @late = map {
        $_->[0] - $host->{zero} - 0.02 * (1 + number_of($_->[1]))
    } @{ $host->{sent} };

    nstore({
        sent => scalar @{ $host->{sent} }, status => $host->{status},
        late => max(@late), stall => $loop->{stall},
        listeners => [map { {
            how => $_->{how}, gap => longest_gap($_),
            complete => $_->{ws} ? ($_->{ws}{code} // 0) == 1000
                                 : $_->{complete},
            broken => $_->{ws} ? '' : broken_pages($_->audio),
            numbers => [grep { defined } map { number_of($_) }
                        $_->{ws} ? $_->{ws}->data : packets($_->audio)],
        } } @listeners],
    }, "$self->{file}.new");
    rename "$self->{file}.new", "$self->{file}.result";
}

# between two things that came, and when that was
sub longest_gap {
    my ($listener) = @_;
    return $listener->longest_gap if !$listener->{ws};
    my @at = map { $_->{at} } @{ $listener->{messages} };
    return max(0, map { $at[$_] - $at[$_ - 1] } 1 .. $#at);
}

# it ends, and all of it was heard

sub is_unharmed {
    my ($self) = @_;
    my $s = $self->{s};

    spurt("$self->{file}.enough", '');
    ok(until_ok(sub { -e "$self->{file}.result" }, 120), 'the bystander ends')
        or return;
    waitpid delete $self->{pid}, 0;
    my $got = retrieve("$self->{file}.result");

    subtest 'the bystander' => sub {
        is($got->{status}, 200, 'was never cut');
        my $held = sprintf 'its packets up to %.2f s late, itself held for '
                           . 'up to %.2f s', @$got{qw(late stall)};
        note($held);

        for my $l (@{ $got->{listeners} }) {
            my @n = @{ $l->{numbers} };
            ok($l->{complete}, "$l->{how}: listened to the end");
            is($l->{broken}, '', "$l->{how}: sound pages");
            is_deeply(\@n, [$n[0] // 0 .. $got->{sent} - 1],
                      "$l->{how}: every packet, in order");
            # what is late to begin with comes late
            cmp_ok($l->{gap}, '<', 2 + $got->{stall} + $got->{late},
                   "$l->{how}: never $l->{gap} s without any");
        }

        my $audio = $s->replay($self->{space}{id});
        is(broken_pages($audio, from_start => 1), '', 'a sound recording');
        oggz_ok($audio, 'as others see it');
        my @packets = packets($audio);
        my @n = grep { defined } map { number_of($_) } @packets;
        is_deeply(\@n, [0 .. $got->{sent} - 1], 'with every packet, in order');

        my $filled = 0;
        $filled += samples($_) / 48000
            for grep { !defined number_of($_) } @packets;
        cmp_ok($filled, '<', 0.5 + 2 * $got->{late},
               "and with $filled s of nothing: $held");
        my $power = tone_power(heard([@packets[50 .. min($#packets, 999)]]),
                               $hz);
        cmp_ok(abs($power + 20), '<', 1, "the tone: $power dB");
    };
}

sub DESTROY {
    my ($self) = @_;
    local $?;
    kill 'KILL', $self->{pid} if $self->{pid};
}

1;
