package Test::Spaces::Loop;

# Copyright (C) Spaces for nginx contributors

# Speakers who talk in real time, and listeners, any number of them at once, in
# one process.  Speakers keep to absolute deadlines: a loop that was held up
# catches up.

use strict;
use warnings;

use Errno;
use IO::Select;
use Mojo::JSON qw(encode_json);
use Mojo::Message::Response;
use Time::HiRes qw(time);

sub new {
    my ($class, $s) = @_;
    return bless { s => $s, ends => [], timers => [] }, $class;
}

# Somebody talks: $packets, in real time, on an ingest of the Space, with the
# Space's own token if there is no other.
#
#   how      http (the default), icecast, source: Ogg in an HTTP body
#            opus, ogg: a WebSocket with spaces.opus.v1, spaces.ogg.v1
#   token    whose
#   page     ms on a page (100)
#   wait     s to wait before it begins
#   repeat   begins anew with the first packet, for ever
#   speed    times faster than real time
#   drift    ppm that the sender's clock is too fast
#   jitter   ms that a packet may be late; their order stays
#   loss     the part of the packets that is never sent
#   end      the body is complete after the last packet
#   reconnect  comes back if it is cut
#   connection  another one than to the usual port
#
# "sent" holds [when, packet].

sub speak {
    my ($self, $space, $packets, %o) = @_;
    return $self->add(Test::Spaces::Loop::Speaker->new(
        s => $self->{s}, space => $space,
        token => $space->{token}, packets => $packets, how => 'http',
        page => 100, sent => [], %o));
}

# Somebody listens.
#
#   how      http (the default), http/1.0, opus, ogg: WebSockets, events
#   query    of the request, as "from=start"
#   headers  more of them
#   token    whose
#   reads    0: never reads
#   connection  another one than to the usual port
#   command  a program that writes the audio to its stdout, instead
#
# See Test::Spaces::Loop::End for what it heard.

sub listen {
    my ($self, $space, %o) = @_;
    return $self->add(Test::Spaces::Loop::Listener->new(
        s => $self->{s}, space => $space, how => 'http',
        reads => 1, %o));
}

sub add {
    my ($self, $end) = @_;
    push @{ $self->{ends} }, $end;
    return $end;
}

# an answer, as Test::Spaces::http() gives it, while everybody goes on
sub http {
    my ($self, $method, $path, $headers, $json) = @_;
    my $body = defined $json ? encode_json($json) : '';
    my %headers = (Host => 'localhost', Connection => 'close', %$headers);
    @headers{'Content-Type', 'Content-Length'}
        = ('application/json', length $body) if defined $json;

    my $end = $self->add(Test::Spaces::Loop::End->new(
        s => $self->{s}, reads => 1, how => 'http'));
    $end->use_socket($self->{s}->socket);
    $end->put("$method $path HTTP/1.1\r\n"
              . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers)
              . "\r\n$body");
    $self->until(sub { $end->{gone} }, 60);
    $end->close;

    my $res = Mojo::Message::Response->new;
    $res->parse($end->{raw});
    return $res;
}

sub run {
    my ($self, $seconds) = @_;
    my $until = time + $seconds;
    $self->step($until) while time < $until;
}

# as until_ok(), while everybody goes on
sub until {
    my ($self, $condition, $seconds) = @_;
    my $until = time + ($seconds // 20);
    while (1) {
        return 1 if $condition->();
        return 0 if time > $until;
        $self->step($until);
    }
}

# {stall} is the longest time for which nobody was looked after
sub step {
    my ($self, $until) = @_;
    my $now = time;
    my $stall = $now - ($self->{awake} // $now);
    $self->{stall} = $stall if $stall > ($self->{stall} // 0);
    $self->{awake} = $now;
    my $next = $now + 0.02;
    $next = $until if $until < $next;

    # only who still has a socket, or will have one
    @{ $self->{ends} } = grep { !$_->{over} } @{ $self->{ends} };

    for my $end (@{ $self->{ends} }) {
        my $due = $end->turn // next;
        $next = $due if $due < $next;
    }

    my ($in, $out) = (IO::Select->new, IO::Select->new);
    my %of;
    for my $end (grep { $_->{socket} } @{ $self->{ends} }) {
        $of{ fileno $end->{socket} } = $end;
        $in->add($end->{socket}) if $end->{reads} && !$end->{gone};
        $out->add($end->{socket}) if length $end->{out};
    }

    my $wait = $next - time;
    my ($readable, $writable) = IO::Select->select($in, $out, undef,
                                                   $wait > 0 ? $wait : 0);
    for my $socket (@{ $writable // [] }) {
        $of{ fileno $socket }->flush;
    }
    for my $socket (@{ $readable // [] }) {
        $of{ fileno $socket }->take_what_came;
    }
}

# somebody closes, and is forgotten
sub leave {
    my ($self, @ends) = @_;
    $_->close for @ends;
}

sub DESTROY { $_->close for grep { $_ } @{ $_[0]{ends} } }


package Test::Spaces::Loop::End;

# One connection, and what came over it:
#
#   raw        every byte, of a plain one
#   status, headers  of the answer; status is a number, 0 until it is there
#   audio      the body, as far as it came
#   pages      its pages, each with "arrived"
#   events     of SSE or WebSocket, each with "event" and "at"
#   messages   of a WebSocket, each with "data" and "at"
#   ws         the WebSocket
#   gone, complete  the other side closed; and the body had its end

use strict;
use warnings;

use Mojo::JSON qw(decode_json);
use Test::Spaces::Audio;
use Test::Spaces::Contract;
use Test::Spaces::Ogg;
use Test::Spaces::WebSocket;
use Time::HiRes qw(time);

sub new {
    my ($class, %o) = @_;
    return bless {
        out => '', raw => '', body => '', answer_at => 0, arrived => [],
        events => [], messages => [], status => 0, headers => {}, gone => 0,
        began => time,
        %o,
    }, $class;
}

sub turn { return undef }

sub use_socket {
    my ($self, $socket) = @_;
    $socket->blocking(0);
    @$self{qw(socket raw in status gone out complete)}
        = ($socket, '', '', 0, 0, '', 0);
}

sub use_websocket {
    my ($self, $path, %headers) = @_;
    my $ws = Test::Spaces::WebSocket->begin(
        delete $self->{connection} // $self->{s}, $path,
        "spaces.$self->{how}.v1", %headers);
    @$self{qw(ws socket gone status)} = ($ws, $ws->{socket}, 0, 0);
    # one list for all the connections of somebody who comes back
    @$ws{qw(events messages)} = @$self{qw(events messages)};
}

sub put {
    my ($self, $data) = @_;
    return $self->{ws}->send_raw($data) if $self->{ws};
    @$self{qw(method target)} = ($1, $2) if $data =~ /\A(\w+) (\S+) HTTP\//;
    $self->{out} .= $data;
    $self->flush;
}

sub flush {
    my ($self) = @_;
    if ($self->{ws}) {
        $self->{ws}->flush;
        $self->{out} = $self->{ws}{out};
        return;
    }
    local $SIG{PIPE} = 'IGNORE';
    my $n = syswrite $self->{socket}, $self->{out};
    if (defined $n) {
        substr $self->{out}, 0, $n, '';
    } elsif (!$!{EAGAIN} && !$!{EINTR}) {
        $self->{out} = '';
    }
    if ($self->{shut} && !length $self->{out}) {
        $self->{socket}->shutdown(1);
        $self->{shut} = 0;
    }
}

sub take_what_came {
    my ($self) = @_;

    if (my $ws = $self->{ws}) {
        $ws->read;
        @$self{qw(gone status headers)}
            = ($ws->{gone}, $ws->{code_of_answer} // 0, $ws->{headers} // {});
        return;
    }

    my $n = sysread $self->{socket}, my $data, 65536;
    return if !defined $n && ($!{EAGAIN} || $!{EINTR});
    if (!$n) {
        $self->{gone} = 1;
        if ($self->{command}) {
            CORE::close(delete $self->{socket});
            delete $self->{pid};
            $self->{complete} = $? == 0;
            return;
        }
        $self->{complete} ||= $self->{status} && !$self->{chunked}
            && !defined $self->{headers}{'content-length'};
        return;
    }

    $self->{raw} .= $data;
    if ($self->{command}) {
        $self->add_body($data);
        return;
    }

    $self->{in} .= $data;
    $self->take_head if !$self->{status};
    return if !$self->{status};
    return $self->take_chunks if $self->{chunked};
    $self->add_body($self->{in});
    $self->{in} = '';
    my $length = $self->{headers}{'content-length'};
    return if !defined $length
        || length($self->{body}) - $self->{answer_at} < $length;
    $self->{complete} = 1;
    $self->hold;
}

# an answer that is there as a whole, once
sub hold {
    my ($self) = @_;
    return if !$self->{method};
    my $method = delete $self->{method};
    Test::Spaces::Contract::hold(
        method => $method, target => $self->{target},
        status => $self->{status},
        header => sub { $self->{headers}{ lc $_[0] } },
        body => substr $self->{body}, $self->{answer_at});
}

sub take_head {
    my ($self) = @_;
    $self->{continue} ||= $self->{in} =~ s/\AHTTP\/1\.1 100.*?\r\n\r\n//s;
    $self->{in} =~ s/\A(HTTP\/1\.[01] (\d+).*?\r\n)\r\n//s or return;
    $self->{status} = $2;
    # behind what was answered on the connections before
    $self->{answer_at} = length $self->{body};
    $self->{headers} = {
        map { /^([^:]+):\s*(.*)/ ? (lc $1, $2) : () } split /\r\n/, $1
    };
    $self->{chunked}
        = ($self->{headers}{'transfer-encoding'} // '') eq 'chunked';
}

sub take_chunks {
    my ($self) = @_;
    while ($self->{in} =~ /\A([0-9a-fA-F]+)\r\n/) {
        my ($size, $head) = (hex $1, length $&);
        return if length $self->{in} < $head + $size + 2;
        $self->add_body(substr $self->{in}, $head, $size);
        substr $self->{in}, 0, $head + $size + 2, '';
        $self->{complete} = 1 if $size == 0;
    }
}

sub add_body {
    my ($self, $data) = @_;
    $self->{body} .= $data;
    push @{ $self->{arrived} }, [length $self->{body}, time];
    $self->take_events if $self->{how} eq 'events';
}

sub take_events {
    my ($self) = @_;
    while ($self->{body} =~ s/\A(.*?)\n\n//s) {
        my %field;
        for (split /\n/, $1) {
            my ($name, $value) = /^([^:]*):? ?(.*)/;
            $field{$name} = defined $field{$name} ? "$field{$name}\n$value"
                                                  : $value;
        }
        next if !defined $field{data};
        my $data = eval { decode_json($field{data}) };
        Test::Spaces::Contract::hold_event(
            { %{ $data // {} }, event => $field{event} // 'message' });
        push @{ $self->{events} }, {
            %{ $data // { wrong => $field{data} } },
            event => $field{event} // 'message', at => time,
        };
    }
}

sub audio {
    my ($self) = @_;
    return $self->{body} if !$self->{ws};
    return join '', map { $_->{data} } @{ $self->{messages} };
}

sub pages {
    my ($self) = @_;
    my @pages = Test::Spaces::Ogg::pages(
        Test::Spaces::Audio::whole($self->audio));
    my $at = 0;
    my @arrived = $self->{ws}
        ? map { [$at += length $_->{data}, $_->{at}] } @{ $self->{messages} }
        : @{ $self->{arrived} };

    for my $page (@pages) {
        my $end = $page->{at} + length $page->{raw};
        shift @arrived while @arrived > 1 && $arrived[0][0] < $end;
        $page->{arrived} = $arrived[0][1];
    }

    return @pages;
}

# the packets that came from one time to another
sub packets_between {
    my ($self, $from, $to) = @_;
    if ($self->{ws} && $self->{how} eq 'opus') {
        return map { $_->{data} }
               grep { $_->{at} >= $from && $_->{at} < $to }
               @{ $self->{messages} };
    }
    return Test::Spaces::Ogg::packets(
        join '', map { $_->{raw} }
                 grep { $_->{arrived} >= $from && $_->{arrived} < $to }
                 $self->pages);
}

sub events {
    my ($self, $name) = @_;
    return grep { $_->{event} eq $name } @{ $self->{events} };
}

# the longest time between two pages that came
sub longest_gap {
    my ($self) = @_;
    my @at = map { $_->{arrived} } $self->pages;
    my ($longest) = sort { $b <=> $a } map { $at[$_] - $at[$_ - 1] } 1 .. $#at;
    return $longest // 0;
}

# the worker that serves it, by the header of t/lib/Test/Spaces.pm
sub worker { return $_[0]{headers}{'x-worker'} // 0 }

# the last answer of a body that is complete, as JSON
sub answer {
    my ($self) = @_;
    return eval { decode_json(substr $self->{body}, $self->{answer_at}) } // {};
}

sub close {
    my ($self) = @_;
    kill 'TERM', delete $self->{pid} if $self->{pid};
    CORE::close(delete $self->{socket}) if $self->{socket};
    @$self{qw(gone over out)} = (1, 1, '');
}


package Test::Spaces::Loop::Listener;

use strict;
use warnings;

our @ISA = ('Test::Spaces::Loop::End');

sub new {
    my $self = Test::Spaces::Loop::End::new(@_);

    if ($self->{command}) {
        $self->{pid} = open my $out, '-|', @{ $self->{command} }
            or die "$self->{command}[0]: $!";
        $self->use_socket($out);
        return $self;
    }

    my %headers = %{ $self->{headers} };
    $self->{headers} = {};
    $headers{Authorization} = "Bearer $self->{token}" if $self->{token};
    my $what = $self->{how} eq 'events' ? 'events' : 'live';
    my $path = "/spaces/$self->{space}{id}/$what"
               . ($self->{query} ? "?$self->{query}" : '');

    if ($self->{how} =~ /^(?:opus|ogg)$/) {
        $self->use_websocket($path, %headers);
        return $self;
    }

    $self->use_socket(delete $self->{connection} // $self->{s}->socket);
    %headers = (Host => 'localhost', %headers);
    $self->put("GET $path HTTP/" . ($self->{how} eq 'http/1.0' ? '1.0' : '1.1')
               . "\r\n" . join('', map { "$_: $headers{$_}\r\n" }
                                   sort keys %headers) . "\r\n");
    return $self;
}


package Test::Spaces::Loop::Speaker;

use strict;
use warnings;

use MIME::Base64 qw(encode_base64);
use Test::Spaces::Audio;
use Test::Spaces::Ogg;
use Time::HiRes qw(time);

our @ISA = ('Test::Spaces::Loop::End');

sub new {
    my $self = Test::Spaces::Loop::End::new(@_);
    $self->{reads} = 1;
    $self->{start} = time + ($self->{wait} // 0);
    return $self;
}

sub enter {
    my ($self) = @_;
    my $path = "/spaces/$self->{space}{id}/ingest";
    my $how = $self->{how};
    my $bearer = "Authorization: Bearer $self->{token}\r\n";
    my $basic = 'Authorization: Basic '
        . encode_base64("source:$self->{token}", '') . "\r\n";

    $self->{sequence} = 0;
    $self->{continue} = 0;

    return $self->use_websocket($path,
                                Authorization => "Bearer $self->{token}")
        if $how eq 'opus' || $how eq 'ogg';

    $self->use_socket(delete $self->{connection} // $self->{s}->socket);
    $self->put(
        $how eq 'http'
            ? "PUT $path HTTP/1.1\r\nHost: localhost\r\n$bearer"
              . "Transfer-Encoding: chunked\r\n\r\n"
        : $how eq 'icecast'
            ? "PUT $path HTTP/1.1\r\nHost: localhost\r\n$basic"
              . "User-Agent: Lavf/59\r\nAccept: */*\r\nConnection: close\r\n"
              . "Expect: 100-continue\r\nContent-Type: audio/mpeg\r\n\r\n"
            : "SOURCE $path HTTP/1.0\r\n$basic"
              . "User-Agent: libshout/2.4.6\r\n"
              . "Content-Type: application/ogg\r\n\r\n");
}

# an HTTP client talks at once, the others once they may
sub is_ready {
    my ($self) = @_;
    return $self->{ws} ? $self->{ws}{open}
         : $self->{how} eq 'icecast' ? $self->{continue} : 1;
}

# sends what is due; when there is more to do
sub turn {
    my ($self) = @_;
    my $now = time;

    return $self->{start} if $now < $self->{start};

    if (!$self->{socket}) {
        $self->enter;
    } elsif ($self->{gone} || $self->{reconnect} && $self->{status} >= 400) {
        return undef if !$self->{reconnect};
        # not all the time, and behind what was missed
        $self->{start} = $now + 0.1;
        $self->{cuts}++;
        CORE::close(delete $self->{socket});
        delete $self->{ws};
        return $self->{start};
    }

    return undef if !$self->is_ready;
    $self->begin if !defined $self->{zero};

    while (1) {
        my $unit = $self->{unit} //= $self->next_unit // return undef;
        return $unit->{due} if $unit->{due} > $now;
        # a full socket is the server's way to slow a fast sender down
        return undef if length($self->{ws} ? $self->{ws}{out} : $self->{out})
                        > 65536;
        delete $self->{unit};
        $self->send_unit($unit) if !$self->{cuts} || $unit->{due} > $now - 0.3;
    }
}

sub begin {
    my ($self) = @_;
    @$self{qw(zero at sample last_due)} = (time, 0, 0, 0);
}

# The next message or page: its packets, when it is due, and its granule.  It
# is due when its last packet has been spoken.

sub next_unit {
    my ($self) = @_;
    my $packets = $self->{packets};
    my $longest = $self->{how} eq 'opus' ? 0 : $self->{page} * 48;
    my ($granule, $lasts, @unit) = ($self->{sample}, 0);

    while ($self->{at} < @$packets) {
        my $packet = $packets->[$self->{at}++];
        my $samples = Test::Spaces::Audio::samples($packet);
        $self->{at} = 0 if $self->{repeat} && $self->{at} == @$packets;
        $self->{sample} += $samples;

        if (rand() < ($self->{loss} // 0)) {
            push @{ $self->{lost} }, $packet;
            # a page ends where a packet is missing
            last if @unit;
            next;
        }

        push @unit, $packet;
        $granule = $self->{sample};
        $lasts += $samples;
        last if $lasts >= $longest;
    }

    return $self->over if !@unit;

    my $due = $self->{zero} + $granule / 48000
              / ($self->{speed} // 1) / (1 + ($self->{drift} // 0) / 1e6)
              + rand() * ($self->{jitter} // 0) / 1000;
    $due = $self->{last_due} if $due < $self->{last_due};
    $self->{last_due} = $due;

    return { due => $due, packets => \@unit, granule => $granule };
}

# nothing more to say: stays on the line, or completes the body
sub over {
    my ($self) = @_;
    $self->{said_all} = 1;
    if (delete $self->{end}) {
        $self->{how} eq 'http' ? $self->put("0\r\n\r\n")
            : $self->{ws} ? $self->{ws}->send_close(1000)
            : ($self->{shut} = 1, $self->put(''));
    }
    return undef;
}

sub send_unit {
    my ($self, $unit) = @_;
    my $how = $self->{how};

    push @{ $self->{sent} }, map { [time, $_] } @{ $unit->{packets} };

    if ($how eq 'opus') {
        $self->{ws}->send_binary($_) for @{ $unit->{packets} };
        $self->{out} = $self->{ws}{out};
        return;
    }

    # each connection has a stream of its own, from 0
    my $data = '';
    if (!$self->{sequence}) {
        $data = headers_of_stream();
        $self->{sequence} = 2;
        $self->{base} = $unit->{granule}
            - 48000 * Test::Spaces::Audio::seconds_of(@{ $unit->{packets} });
    }
    $data .= Test::Spaces::Ogg::page(
        packets => $unit->{packets}, serial => 7,
        sequence => $self->{sequence}++,
        granule => $unit->{granule} - $self->{base});

    if ($how eq 'ogg') {
        $self->{ws}->send_binary($data);
        $self->{out} = $self->{ws}{out};
    } elsif ($how eq 'http') {
        $self->put(sprintf "%x\r\n%s\r\n", length $data, $data);
    } else {
        $self->put($data);
    }
}

sub headers_of_stream {
    return Test::Spaces::Ogg::page(
               packets => [pack 'a8 C C v V v C', 'OpusHead', 1, 2, 312,
                                48000, 0, 0], flags => 2, serial => 7)
         . Test::Spaces::Ogg::page(
               packets => [pack 'a8 V/a* V', 'OpusTags', 'test', 0],
               serial => 7, sequence => 1);
}

1;
