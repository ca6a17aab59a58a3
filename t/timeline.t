#!/usr/bin/perl

# The timeline: every filter with every other, pages that hold still while
# Spaces come and go, and what has had its time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build silence_of);

my $s = Test::Spaces->new(workers => 2)->start;

sub list {
    my ($query) = @_;
    my $res = $s->http('GET', "/spaces?$query");
    is($res->code, 200, "list $query") if $res->code != 200;
    return $res->json;
}

# all pages
sub ids {
    my ($query, $between) = @_;
    my ($cursor, $pages, @ids) = ('', 0);
    while (defined $cursor) {
        my $page = list("$query&cursor=$cursor");
        push @ids, map { $_->{id} } @{ $page->{spaces} };
        $cursor = $page->{next};
        $between->(\@ids, $page) if $between && defined $cursor;
        die 'no end' if ++$pages > 100;
    }
    return @ids;
}

# the Space as its room would have stored it
sub set_state {
    my ($id, $state) = @_;
    my $key = "spaces:space:{$id}";
    my $score = $s->redis('HGET', $key, 'created_at');
    $s->redis('HSET', $key, 'state', $state);
    $s->redis('HSET', $key, 'expires_at', (time + 3600) * 1000);
    $s->redis('ZREM', "spaces:$_", $id) for qw(scheduled live ended);
    $s->redis('ZADD', "spaces:$state", $score, $id);
}

sub remove {
    my ($id) = @_;
    $s->redis('DEL', "spaces:space:{$id}");
    for my $key (@{ $s->redis('KEYS', 'spaces:*') }) {
        $s->redis('ZREM', $key, $id) if $s->redis('TYPE', $key) eq 'zset';
    }
}

# every filter with every other

subtest 'filters' => sub {
    my @states = qw(scheduled live ended);
    my @languages = qw(en pt-BR);
    my @users = qw(ana bob);
    my @spaces;
    for my $n (0 .. 35) {
        my $space = $s->create(
            title => "n$n", user => $users[$n % 2],
            language => $languages[$n / 2 % 2],
            topics => [$n % 3 ? () : 'music', $n % 5 ? () : 'art', 'all']);
        $space->{state} = $states[$n % 7 % 3];
        set_state($space->{id}, $space->{state}) if $space->{state} ne
            'scheduled';
        push @spaces, $space;
    }
    # those of the same millisecond are by id
    my %score = map { ($_->{id} => $s->redis('ZSCORE',
                       "spaces:$_->{state}", $_->{id})) } @spaces;
    @spaces = sort { $score{$b->{id}} <=> $score{$a->{id}}
                     || $b->{id} cmp $a->{id} } @spaces;

    my $n = 0;
    for my $state ('', @states) {
        for my $topic ('', 'music', 'art', 'none') {
            for my $language ('', @languages, 'de') {
                for my $host ('', @users) {
                    my @expected = map { $_->{id} } grep {
                        my $space = $_;
                        ($state eq '' || $space->{state} eq $state)
                        && ($language eq '' || $space->{language} eq $language)
                        && ($host eq '' || $space->{host} eq $host)
                        && ($topic eq ''
                            || grep { $_ eq $topic } @{ $space->{topics} })
                    } @spaces;
                    my $query = "state=$state&topic=$topic&"
                                . "language=$language&host=$host&limit=5";
                    my @got = ids($query);
                    $n++ if "@got" eq "@expected";
                    is("@got", "@expected", $query) if "@got" ne "@expected";
                }
            }
        }
    }
    is($n, 4 * 4 * 4 * 3, 'each gives what it should, newest first');
    is(scalar @{ list('language=PT-br')->{spaces} }, 18,
       'a language tag is the same in any case');
};

# pages, while Spaces come and go

subtest 'pages' => sub {
    $s->redis('FLUSHALL');
    my @spaces = map { $s->create(title => "n$_") } 1 .. 30;
    my (%gone, %new);
    my $round = 0;
    my @ids = ids('limit=4', sub {
        my ($seen, $page) = @_;
        my %seen = map { ($_ => 1) } @$seen;
        my @later = grep { !$seen{$_} && !$gone{$_} } map { $_->{id} } @spaces;

        # new ones in front; the one that the cursor stands on and one more
        # behind it go; one ahead goes; one ahead changes
        $new{ $s->create(title => 'new')->{id} } = 1 for 1 .. 3;
        $gone{$_} = 1 for $seen->[-1], $seen->[0];
        remove($_) for $seen->[-1], $seen->[0];
        if (@later > 8) {
            $gone{ $later[$round] } = 1;
            remove($later[$round]);
        }
        set_state($later[-1], $round++ % 2 ? 'live' : 'ended') if @later;
    });
    my %n;
    $n{$_}++ for @ids;
    is((grep { $_ > 1 } values %n), 0, 'none twice');
    my @missed = grep { !$n{$_} && !$gone{$_} } map { $_->{id} } @spaces;
    is_deeply(\@missed, [], 'none left out that was there all the time');
    is((grep { $new{$_} } @ids), 0, 'none of the new ones, which are ahead');
    cmp_ok($round, '>', 5, 'there were pages');
};

# more of the same age than are looked at in one go

subtest 'the same age' => sub {
    $s->redis('FLUSHALL');
    my $space = $s->create(title => 'many');
    my %fields = @{ $s->redis('HGETALL', "spaces:space:{$space->{id}}") };
    my @ids = ($space->{id});
    for my $n (1 .. 300) {
        my $id = sprintf('%04d', $n) =~ tr/0-9/a-j/r . 'q' x 16;
        $s->redis('HSET', "spaces:space:{$id}", %fields, id => $id);
        $s->redis('ZADD', 'spaces:scheduled', $fields{created_at}, $id);
        push @ids, $id;
    }
    # what was live tells an emptied Redis of itself
    is_deeply([ids("limit=$_&state=scheduled")], [sort { $b cmp $a } @ids],
              "by $_") for 7, 100;
};

# what is asked for wrongly

for my $query ('limit=0', 'limit=101', 'limit=-1', 'limit=1.5', 'limit=x',
               'state=x', 'state=deleted', 'cursor=x', 'cursor=' . 'A' x 3000,
               'cursor=MTIz', 'cursor=MS5hYmM', 'nope=1', 'stat=live',
               'state=live&order=x', 'states=live',
               'state=live&state=ended', 'limit=5&Limit=6',
               'topic=' . 'x' x 300)
{
    my $res = $s->http('GET', "/spaces?$query");
    is($res->code, 400, substr($query, 0, 40) . ': 400') or diag($res->body);
    is(($res->json // {})->{type}, 'urn:spaces:bad-request', 'a bad request');
}
like($s->http('GET', '/spaces?stat=live')->json->{detail}, qr/"stat"/,
     'what is wrong is named');
is($s->http('GET', "/spaces?$_")->code, 200, "'$_' is fine")
    for '', '&', 'limit=1', 'limit=100', 'token=x', 'cursor=';

$s->stop;

# a Space through its life, and out

subtest 'newest first, be they made in the same millisecond' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my $body = sub {
        my ($path, $json) = @_;
        return "POST $path HTTP/1.1\r\nHost: localhost\r\n"
               . "Cookie: spaces_user=ana\r\nContent-Length: "
               . length($json) . "\r\n"
               . "Content-Type: application/json\r\n\r\n$json";
    };
    my $at_once = sub {
        my ($path, $field, $n) = @_;
        my $socket = $s->socket;
        print $socket map { $body->($path, "{\"$field\":\"n$_\"}") } 1 .. $n;
        $socket->flush;
        $socket->blocking(0);
        my $said = '';
        ok(until_ok(sub {
            sysread $socket, $said, 65536, length $said;
            return $n == (() = $said =~ /HTTP\/1\.1 201 /g);
        }), "$n at once to $path");
    };
    $at_once->('/spaces', 'title', 60);
    my $spaces = $s->http('GET', '/spaces?limit=100')->json->{spaces};
    is_deeply([map { $_->{title} } @$spaces], [map { "n$_" } reverse 1 .. 60],
              'the timeline');
    my $path = "/spaces/$spaces->[0]{id}/shares";
    $at_once->($path, 'label', 40);
    is_deeply([map { $_->{label} }
               @{ $s->http('GET', $path, $s->as('ana'))->json->{shares} }],
              [map { "n$_" } reverse 1 .. 40], 'the links of a Space');
    $s->stop;
};

subtest 'a life' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my $in = sub {
        my ($id) = @_;
        return join ' ', grep {
            my $state = $_;
            grep { $_->{id} eq $id && $_->{state} eq $state }
                @{ $s->http('GET', "/spaces?state=$state&topic=x")
                     ->json->{spaces} };
        } qw(scheduled live ended);
    };
    my $comes = sub {
        my ($id, $where, $name) = @_;
        ok(until_ok(sub { $in->($id) eq $where }), $name)
            or diag($in->($id));
    };
    for my $record (true, Mojo::JSON::false) {
        my $name = $record ? 'recorded' : 'not recorded';
        my $space = $s->create(record => $record, topics => ['x']);
        my $id = $space->{id};
        is($in->($id), 'scheduled', "$name: scheduled");
        my $host = $s->begin_ingest($space);
        Test::Spaces::chunk($host, build(packets => [silence_of(10)],
                                         no_eos => 1));
        $comes->($id, 'live', "$name: live");
        is($s->end_space($space)->code, 200, "$name: an end");
        $comes->($id, 'ended', "$name: ended");

        # its time is over, and nobody has come to take it away yet
        ok(until_ok(sub {
            $s->redis('HSET', "spaces:space:{$id}", 'expires_at', 1);
            $s->http('GET', '/spaces?topic=x')->body !~ /$id/;
        }), "$name: out when its time is over");
        is($in->($id), '', "$name: of every list");
        ok(until_ok(sub {
            $s->space($id)->{recording} eq ($record ? 'expired' : 'none');
        }), "$name: as the Space says itself");
        is($s->redis('ZCARD', 'spaces:ended'), $record ? 1 : 2,
           "$name: though it is there");
    }
    $s->stop;
};

done_testing;
