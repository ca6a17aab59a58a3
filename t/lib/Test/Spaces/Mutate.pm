package Test::Spaces::Mutate;

# Copyright (C) Spaces for nginx contributors

# Requests, bodies and frames, and what becomes of them: all by one seed, so
# that the same comes again.

use strict;
use warnings;

use Mojo::JSON qw(encode_json false true);

my @methods = qw(GET HEAD POST PUT PATCH DELETE OPTIONS SOURCE TRACE MKCOL X
                 CONNECT get);

# what a value may be, in a path, a header, an argument
my @texts = ('', '0', '-1', '1', '4294967296', '18446744073709551616',
             '-9223372036854775808', '9223372036854775807', '1e999', 'nan',
             'inf', '0x10', ' 1', '1.5', '.', '%', '%00', '%zz', '%ff%fe',
             '..', '../..', '%2e%2e%2f', "\xff\xfe", "\x01", "\t", '"', '\\',
             'null', 'true', '*', ',', ';', 'a' x 20, '2' x 20, 'z' x 300,
             '[' x 200, '&' x 100, '=' x 50, ',' x 400, "\xc0\xaf",
             "\xed\xa0\x80", "\xf4\x90\x80\x80", '2030-02-30T00:00:00Z',
             '2030-01-01T00:00:00+23:59', '1969-12-31T23:59:59Z');

my @ranges = ('bytes=0-0', 'bytes=0-', 'bytes=-1', 'bytes=5-2', 'bytes=1-2,4-5',
              'bytes=0-0,-1', 'bytes=-0', 'bytes=18446744073709551615-',
              'bytes=9223372036854775807-9223372036854775807', 'bytes=a-b',
              'bytes=', 'bits=0-1', 'bytes=-9223372036854775808',
              'bytes=0-1' . ',2-3' x 40, 'bytes= 0 - 1 , 3 -');

my @headers = (
    'Accept: text/vtt', 'Accept: application/json', 'Accept: */*;q=0,,',
    'Accept-Encoding: gzip', 'Connection: close', 'Connection: upgrade',
    'Content-Length: 0', 'Content-Length: 5', 'Content-Length: -1',
    'Content-Length: 99999999999', 'Content-Type: application/json',
    'Content-Type: application/jsonx', 'Content-Type: text/plain',
    'Expect: 100-continue', 'Host:', 'Host: [::1', 'If-Match: *',
    'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT', 'If-None-Match: *',
    'If-Range: x', 'Origin: null', 'Origin: http://evil.example',
    'Origin: http://localhost', 'Referer: http://localhost/s/x?token=y',
    'Sec-WebSocket-Key: c3BhY2VzLWZvci1uZ2lueA==',
    'Sec-WebSocket-Key: short', 'Sec-WebSocket-Protocol: spaces.opus.v1',
    'Sec-WebSocket-Protocol: ,,, ,spaces.ogg.v1',
    'Sec-WebSocket-Extensions: permessage-deflate',
    'Sec-WebSocket-Version: 13', 'Transfer-Encoding: chunked',
    'Transfer-Encoding: gzip, chunked', 'Upgrade: websocket',
    'Upgrade: h2c', 'Authorization: Basic', 'Authorization: Bearer',
    'Authorization: Basic Og==', 'Cookie: spaces_user=',
    'Cookie: spaces_user=%ff; moderator=1', 'Ice-Name: x', 'X: ' . 'y' x 3000,
);

sub new {
    my ($class, $seed) = @_;
    return bless { state => $seed & 0xffffffff }, $class;
}

# below $n, and the same for the same seed, whatever else calls rand()
sub chance {
    my ($self, $n) = @_;
    $self->{state} = ($self->{state} * 1664525 + 1013904223) & 0xffffffff;
    return int($self->{state} / 4294967296 * $n);
}

sub one_of {
    my ($self, @of) = @_;
    return $of[$self->chance(scalar @of)];
}

sub text { return $_[0]->one_of(@texts) }
sub range { return $_[0]->one_of(@ranges) }

# { method, path, query => [[name, value]…], headers => [line…], body,
#   framing: length, chunked, none } changed in $n places

sub request {
    my ($self, $request, $n) = @_;
    my %r = (%$request, query => [map { [@$_] } @{ $request->{query} }],
             headers => [@{ $request->{headers} }]);

    while ($n-- > 0) {
        my $what = $self->chance(9);
        if ($what == 0) {
            $r{method} = $self->one_of(@methods);
        } elsif ($what == 1) {
            my @parts = split m{/}, $r{path}, -1;
            $parts[$self->chance(scalar @parts)] = $self->text;
            $r{path} = join '/', @parts;
        } elsif ($what == 2) {
            push @{ $r{query} },
                [$self->one_of(qw(token start end from cursor limit state
                                  topic language host download url format
                                  maxwidth x)), $self->text];
        } elsif ($what == 3) {
            my $pair = $self->one_of(@{ $r{query} });
            $pair->[1] = $self->text if $pair;
        } elsif ($what == 4) {
            push @{ $r{headers} }, $self->one_of(@headers);
        } elsif ($what == 5) {
            splice @{ $r{headers} }, $self->chance(1 + @{ $r{headers} }), 1
                if @{ $r{headers} };
        } elsif ($what == 6) {
            my $i = $self->chance(scalar @{ $r{headers} });
            $r{headers}[$i] =~ s/:\s*.*/': ' . $self->text/es
                if @{ $r{headers} };
        } elsif ($what == 7) {
            $r{body} = $self->bytes($r{body});
        } else {
            $r{framing} = $self->one_of(qw(length chunked none short long));
        }
    }

    return \%r;
}

sub written {
    my ($self, $r) = @_;
    my $query = join '&', map { "$_->[0]=$_->[1]" } @{ $r->{query} };
    my @lines = ("$r->{method} $r->{path}" . ($query ne '' ? "?$query" : '')
                 . ' HTTP/' . ($r->{version} // '1.1'), @{ $r->{headers} });
    my ($body, $framing) = @$r{qw(body framing)};
    my $length = length $body;

    $framing //= $length ? 'length' : 'none';
    push @lines, "Content-Length: $length" if $framing eq 'length';
    push @lines, 'Content-Length: ' . int($length / 2) if $framing eq 'short';
    push @lines, 'Content-Length: ' . ($length + 9) if $framing eq 'long';

    if ($framing eq 'chunked') {
        push @lines, 'Transfer-Encoding: chunked';
        my $chunks = '';
        while (length $body) {
            my $part = substr $body, 0, 1 + $self->chance(2000), '';
            $chunks .= sprintf "%x%s\r\n%s\r\n", length $part,
                       $self->chance(9) ? '' : ';x=y', $part;
        }
        $body = $chunks . ($self->chance(4) ? "0\r\n\r\n" : '');
    }

    return join("\r\n", @lines) . "\r\n\r\n$body";
}

# bytes in which something is changed, left out, there twice, or from elsewhere
sub bytes {
    my ($self, $data) = @_;
    my $len = length $data;
    return $self->text if !$len;

    my $at = $self->chance($len);
    my $n = 1 + $self->chance($self->one_of(1, 4, 30, $len - $at));
    my $what = $self->chance(7);

    if ($what == 0) {
        substr($data, $at, 1) ^= chr(1 << $self->chance(8));
    } elsif ($what == 1) {
        substr $data, $at, $n, '';
    } elsif ($what == 2) {
        substr $data, $at, 0, substr $data, $at, $n;
    } elsif ($what == 3) {
        substr $data, $at, 0, $self->text;
    } elsif ($what == 4) {
        substr $data, $at, $n, pack 'C*', map { $self->chance(256) } 1 .. $n;
    } elsif ($what == 5) {
        $data = substr $data, 0, $at;
    } else {
        substr $data, $at, 0, substr $data, $self->chance($len), $n;
    }

    return $data;
}

# JSON of some fields, each of which may be anything
sub json {
    my ($self, %fields) = @_;
    for my $name (sort keys %fields) {
        next if $self->chance(4);
        $fields{$name} = $self->value(2);
    }
    $fields{ $self->one_of('x', '', "\x{ff}", 'title', 'token', 'id') }
        = $self->value(2) if !$self->chance(6);
    my $json = encode_json(\%fields);
    $json = $self->bytes($json) if !$self->chance(5);
    return $json;
}

sub value {
    my ($self, $depth) = @_;
    my $what = $self->chance($depth ? 10 : 8);
    return $what == 0 ? undef
         : $what == 1 ? $self->one_of(true, false)
         : $what == 2 ? $self->one_of(0, -1, 1, 2 ** 31, 2 ** 53, -2 ** 62,
                                      1e300, 0.5, 1e-9)
         : $what < 8 ? $self->one_of($self->text, 'x' x 201, "\x{1f600}" x 200,
                                     "\x{0}", "a\x{0}b", "<script>", "\x{202e}")
         : $what == 8 ? [map { $self->value($depth - 1) }
                         1 .. $self->chance(5)]
         : { map { $self->text => $self->value($depth - 1) }
             1 .. $self->chance(3) };
}

# a WebSocket's frames: mostly sound, and each rule may be broken
sub frames {
    my ($self, @messages) = @_;
    my $out = '';

    for my $message (@messages) {
        $message = $self->bytes($message) if !$self->chance(4);
        my $type = $self->chance(6) ? 2 : $self->one_of(0 .. 15);

        if (!$self->chance(5)) {
            my $at = $self->chance(1 + length $message);
            $out .= $self->frame($type, substr($message, 0, $at), fin => 0);
            $out .= $self->frame(9, 'ping') if !$self->chance(3);
            $out .= $self->frame(0, substr $message, $at);
            next;
        }
        $out .= $self->frame($type, $message);
    }

    $out = $self->bytes($out) if !$self->chance(3);
    $out .= $self->frame(8, $self->one_of('', pack('n', 1000), "\3",
                                          pack('n', 999), "\3\xe8\xff\xff"))
        if !$self->chance(3);
    return $out;
}

sub frame {
    my ($self, $type, $payload, %o) = @_;
    my $length = length $payload;
    $length = $self->one_of(0, 125, 126, 65535, 65536, 2 ** 31, 2 ** 62)
        if !$self->chance(30);
    my $masked = $self->chance(40) ? 0x80 : 0;
    my $rsv = $self->chance(40) ? 0 : $self->chance(8) << 4;

    my $head = pack 'C', ($o{fin} // 1) << 7 | $rsv | $type;
    $head .= $length < 126 && $self->chance(20) ? pack 'C', $masked | $length
           : $length < 65536 ? pack 'C n', $masked | 126, $length
           : pack 'C Q>', $masked | 127, $length;
    return $head . $payload if !$masked;

    my $key = pack 'N', $self->chance(2 ** 32);
    my $n = length $payload;
    return $head . $key . ($payload ^ substr $key x ($n / 4 + 1), 0, $n);
}

1;
