package Test::Spaces::Soak::Speaker;

# Copyright (C) Spaces for nginx contributors

# A host of numbered packets in real time, who comes back whenever cut, with
# the token or, if that was forgotten, as who they are.  {sent} of the Space
# has [when, connection] of each number from 1 on; a connection is
#
#   how, opened, gone   what it was, and from when to when
#   status, slug        the answer, if there was one
#   left                it was us who went

use strict;
use warnings;

use parent -norequire, 'Test::Spaces::Loop::Speaker';

use Test::Spaces::Loop;
use Time::HiRes qw(time);

my $page = 5;           # packets
my $behind = 0.5;       # s; what is later is not said any more

sub new {
    my ($class, %o) = @_;
    return $class->SUPER::new(sent => [], packets => [], page => 100, at => 0,
                              sample => 0, due => time, %o);
}

sub pause { $_[0]{paused} = 1 }

# what was sent is received: only our direction is closed
sub leave_for {
    my ($self, $seconds) = @_;
    return if $self->{over} || $self->{completing};
    $self->{away} = time + $seconds;
    return if !$self->{socket};
    $self->{leaving} = time + 3;
    $self->{shut} = 1;
    $self->flush;
}

sub complete {
    my ($self) = @_;
    my $how = $self->{how};
    return $self->leave_for(1000) if $how =~ /^(?:icecast|source)$/;
    @$self{qw(paused completing)} = (1, 1);
    return if !$self->{socket} || !$self->is_ready;
    $how eq 'http' ? $self->put("0\r\n\r\n") : $self->{ws}->send_close(1000);
}

# a WebSocket's, too
sub flush {
    my ($self) = @_;
    $self->SUPER::flush;
    if ($self->{ws} && $self->{shut} && !length $self->{ws}{out}) {
        $self->{socket}->shutdown(1);
        $self->{shut} = 0;
    }
}

sub turn {
    my ($self) = @_;
    my $now = time;

    if ($self->{socket}) {
        my $refused = $self->{status} >= 400;
        return $self->closed
            if $self->{gone} || $refused && $self->heard_why
               || $self->{leaving} && $now > $self->{leaving};
        return undef if $self->{leaving} || $self->{status} >= 300
                        || !$self->is_ready;
    } else {
        return $self->{away} if ($self->{away} // 0) > $now;
        return undef if $self->{paused};
        $self->come_in;
    }

    return undef if $self->{paused} || !$self->is_ready;

    $self->{due} = $now if $self->{due} < $now - $behind;
    while ($self->{due} <= $now) {
        # a full socket is the server's way to slow a fast sender down
        last if length($self->{ws} ? $self->{ws}{out} : $self->{out}) > 65536;
        $self->say_more;
        $self->{due} += 0.02 * $page;
    }
    return $self->{due};
}

sub come_in {
    my ($self) = @_;
    local $self->{token} = $self->{token};
    $self->enter;
    my $connection = { how => $self->{how}, opened => time };
    push @{ $self->{space}{connections} }, $connection;
    @$self{qw(connected leaving shut due)} = ($connection, 0, 0, time);
}

# who was forgotten is still known by name
sub enter {
    my ($self) = @_;
    return $self->SUPER::enter if !$self->{by_name};
    my ($path, $how) = ("/spaces/$self->{space}{id}/ingest", $self->{how});
    my $cookie = "spaces_user=$self->{space}{user}";
    return $self->use_websocket($path, Cookie => $cookie)
        if $how eq 'opus' || $how eq 'ogg';
    @$self{qw(sequence continue how)} = (0, 0, 'http');
    $self->use_socket($self->{s}->socket);
    $self->put("PUT $path HTTP/1.1\r\nHost: localhost\r\nCookie: $cookie\r\n"
               . "Transfer-Encoding: chunked\r\n\r\n");
}

sub say_more {
    my ($self) = @_;
    my $sent = $self->{space}{sent};
    my @packets = map { pack 'C n N', 0xf8, 0xfffe, @$sent + $_ } 1 .. $page;
    push @$sent, map { [time, $self->{connected}] } 1 .. $page;
    $self->{sample} += 960 * $page;
    $self->send_unit({ packets => \@packets, granule => $self->{sample} });
    $self->{sent} = [];
}

sub answer_text {
    my ($self) = @_;
    return $self->{ws} ? $self->{ws}{in} : $self->{raw};
}

sub heard_why { return $_[0]->answer_text =~ /urn:spaces:[\w-]+"/ }

sub closed {
    my ($self) = @_;
    my ($connection, $s, $space) = @$self{qw(connected s space)};
    my ($slug) = $self->answer_text =~ /urn:spaces:([\w-]+)/;
    my $status = $self->{status};
    my $code = $self->{ws} ? $self->{ws}{code} // 0 : 0;

    @$connection{qw(gone status slug left code)}
        = (time, $status, $slug, $self->{leaving} ? 1 : 0, $code);
    CORE::close(delete $self->{socket});
    delete $self->{ws};
    @$self{qw(leaving gone status out)} = (0, 0, 0, '');
    $self->{away} = time + ($status >= 400 ? 0.4 : 0.1)
        if ($self->{away} // 0) < time;
    $self->{by_name} = 1 if $status == 401;
    $s->did("refused " . ($slug // $status)) if $status >= 400;

    if (($slug // '') eq 'ended' || $status == 200 || $code == 1000) {
        $space->{said} //= 'over';
        $s->over($space);
    }
    return undef;
}

1;
