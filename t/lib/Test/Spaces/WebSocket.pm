package Test::Spaces::WebSocket;

# Copyright (C) Spaces for nginx contributors

# A WebSocket client by the letter of RFC 6455, over any socket.  It keeps to
# the rules, and breaks them where a test says so.

use strict;
use warnings;

use Digest::SHA qw(sha1_base64);
use Errno;
use IO::Select;
use Mojo::JSON qw(decode_json);
use Test::Spaces::Contract;
use Time::HiRes qw(time);

my %opcode = (continuation => 0, text => 1, binary => 2, close => 8, ping => 9,
              pong => 10);

# Opens $path of a Test::Spaces, or of the other end of a socket.  A header
# that is undef is left out.  Returns the client, the status line, the headers;
# the client is of use only after a 101.

sub connect {
    my $self = begin(@_);
    $self->wait(sub { $self->{status} }, 10);
    return ($self, $self->{status} // '', $self->{headers} // {});
}

# the same, without waiting for the answer
sub begin {
    my ($class, $s, $path, $protocol, %headers) = @_;

    # a key is any 16 bytes
    my $key = 'c3BhY2VzLWZvci1uZ2lueA==';
    my %all = (
        'Host' => 'localhost', 'Upgrade' => 'websocket',
        'Connection' => 'Upgrade', 'Sec-WebSocket-Version' => 13,
        'Sec-WebSocket-Key' => $key, 'Sec-WebSocket-Protocol' => $protocol,
        %headers,
    );

    my $socket = $s->isa('Test::Spaces') ? $s->socket : $s;
    $socket->blocking(0);

    my $self = bless {
        socket => $socket, out => '', in => '', head => '', messages => [],
        events => [], pongs => [], open => 0, gone => 0, key => $key,
        path => $path, halves => 0,
    }, $class;

    $self->send_raw("GET $path HTTP/1.1\r\n"
        . join('', map { defined $all{$_} ? "$_: $all{$_}\r\n" : '' }
                   sort keys %all) . "\r\n");

    return $self;
}

sub send_text { return $_[0]->send_frame('text', $_[1]) }
sub send_binary { return $_[0]->send_frame('binary', $_[1]) }
sub send_ping { return $_[0]->send_frame('ping', $_[1] // '') }

sub send_close {
    my ($self, $code, $reason) = @_;
    $self->{closing} = 1;
    return $self->send_frame('close', defined $code
                             ? pack('n a*', $code, $reason // '') : '');
}

# fin => 0 for a fragment, rsv => 1 to 7, mask => 0, length => a lie
sub send_frame {
    my ($self, $type, $payload, %o) = @_;
    my $length = $o{length} // length $payload;

    my $head = pack 'C', ($o{fin} // 1) << 7 | ($o{rsv} // 0) << 4
                         | ($opcode{$type} // $type);
    my $masked = ($o{mask} // 1) << 7;
    $head .= $length < 126 ? pack 'C', $masked | $length
           : $length < 65536 ? pack 'C n', $masked | 126, $length
           : pack 'C Q>', $masked | 127, $length;

    if ($masked) {
        my $key = pack 'N', int rand 2 ** 32;
        $head .= $key;
        my $n = length $payload;
        $payload ^= substr $key x ($n / 4 + 1), 0, $n;
    }

    return $self->send_raw($head . $payload);
}

# what can't be sent now waits in {out} for the next flush
sub send_raw {
    my ($self, $data) = @_;
    $self->{out} .= $data;
    $self->flush;
    return $self;
}

sub flush {
    my ($self) = @_;
    local $SIG{PIPE} = 'IGNORE';
    while (length $self->{out}) {
        my $n = syswrite $self->{socket}, $self->{out};
        if (!defined $n) {
            return if $!{EAGAIN} || $!{EINTR};
            # what the other side still has to say can be read
            $self->{out} = '';
            return;
        }
        substr $self->{out}, 0, $n, '';
    }
}

# Takes what there is to read, without waiting; false at the end.  {halves} is
# how often that ended in the middle of a frame.  Once, not
# until nothing is left: who sends as fast as this reads would never let it end,
# and who reads "a little" would have all.
sub read {
    my ($self) = @_;
    return 0 if $self->{gone};
    my $n = sysread $self->{socket}, my $data, 65536;
    if ($n) {
        $self->feed($data);
        $self->{halves}++ if $self->{open} && length $self->{in};
    } elsif (defined $n || !$!{EAGAIN} && !$!{EINTR}) {
        $self->{gone} = 1;
    }
    return !$self->{gone};
}

# reads until a condition holds, or the end, or the time is over
sub wait {
    my ($self, $condition, $seconds) = @_;
    my $until = time + ($seconds // 10);
    while (1) {
        $self->flush;
        my $more = $self->read;
        return 1 if $condition->($self);
        return 0 if !$more || time > $until;
        my $socket = IO::Select->new($self->{socket});
        IO::Select->select($socket, length $self->{out} ? $socket : undef,
                           undef, 0.1);
    }
}

sub closed { return $_[0]->wait(sub { $_[0]{gone} }, $_[1]) }

sub events {
    my ($self, $name) = @_;
    return grep { $_->{event} eq $name } @{ $self->{events} };
}

# the data of all binary messages
sub data { return map { $_->{data} } @{ $_[0]{messages} } }

# bytes from the other side
sub feed {
    my ($self, $data) = @_;
    $self->{in} .= $data;
    $self->take_answer if !$self->{status};
    $self->hold if $self->{status} && !$self->{held};
    return if !$self->{open};
    1 while $self->take_frame;
}

sub take_answer {
    my ($self) = @_;
    $self->{in} =~ s/\A(.*?\r\n)\r\n//s or return;
    my ($status, @lines) = split /\r\n/, $1;

    $self->{status} = $status;
    $self->{headers} = { map { /^([^:]+):\s*(.*)/ ? (lc $1, $2) : () } @lines };
    ($self->{code_of_answer}) = $status =~ /^HTTP\/1\.1 (\d+)/;
    return if ($self->{code_of_answer} // 0) != 101;

    my $accept = sha1_base64($self->{key}
                             . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
    $self->wrong('Sec-WebSocket-Accept')
        if ($self->{headers}{'sec-websocket-accept'} // '') ne $accept;
    $self->{open} = 1;
}

# the answer, once it is there as a whole
sub hold {
    my ($self) = @_;
    my $headers = $self->{headers};
    my $length = $self->{open} ? 0 : $headers->{'content-length'} // 0;
    return if length $self->{in} < $length;
    $self->{held} = 1;
    Test::Spaces::Contract::hold(
        method => 'GET', target => $self->{path},
        status => $self->{code_of_answer} // 0,
        header => sub { $headers->{ lc $_[0] } },
        body => substr $self->{in}, 0, $length);
}

sub take_frame {
    my ($self) = @_;
    my $in = \$self->{in};

    return 0 if length $$in < 2;
    my ($first, $length) = unpack 'C C', $$in;
    $self->wrong('a masked frame') if $length & 0x80;
    $self->wrong('reserved bits') if $first & 0x70;

    my $at = 2;
    if ($length == 126) {
        return 0 if length $$in < 4;
        ($length, $at) = (unpack('x2 n', $$in), 4);
    } elsif ($length == 127) {
        return 0 if length $$in < 10;
        ($length, $at) = (unpack('x2 Q>', $$in), 10);
    }
    return 0 if length $$in < $at + $length;

    my $payload = substr $$in, $at, $length;
    substr $$in, 0, $at + $length, '';
    $self->take($first & 0x0f, $first & 0x80, $payload);
    return 1;
}

sub take {
    my ($self, $type, $fin, $payload) = @_;

    if ($type >= 8) {
        $self->wrong('a long or fragmented control frame')
            if !$fin || length $payload > 125;
        return $self->take_control($type, $payload);
    }

    $self->{type} = $type if $type;
    $self->{part} .= $payload;
    return if !$fin;
    $payload = delete $self->{part};

    if ($self->{type} == 2) {
        push @{ $self->{messages} }, { data => $payload, at => time };
        return;
    }

    my $event = eval { decode_json($payload) };
    $self->wrong("text that is no JSON: $payload") if ref $event ne 'HASH';
    return if ref $event ne 'HASH';
    Test::Spaces::Contract::hold_event($event);
    push @{ $self->{events} }, { %$event, at => time };
}

sub take_control {
    my ($self, $type, $payload) = @_;

    if ($type == 9) {
        $self->{pings}++;
        $self->send_frame('pong', $payload);

    } elsif ($type == 10) {
        push @{ $self->{pongs} }, $payload;

    } else {
        @$self{qw(code reason)} = length $payload ? unpack 'n a*', $payload
                                                  : (1005, '');
        $self->send_close(length $payload ? $self->{code} : undef)
            if !$self->{closing};
    }
}

# what the server did against the rules; tests want none
sub wrong { push @{ $_[0]{wrong} }, $_[1] }

1;
