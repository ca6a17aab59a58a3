#!/usr/bin/perl

# Tickets: a token for each seat, and never one too many.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::JSON qw(encode_json true);
use Mojo::UserAgent;
use Mojo::IOLoop;
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build silence_of);

my $s = Test::Spaces->new(workers => 4)->start;

sub tickets {
    my ($space, $json, $headers) = @_;
    return $s->http('POST', "/spaces/$space->{id}/tickets",
                    $headers // $s->bearer($space->{token}), json => $json);
}

sub problem {
    my ($res, $status, $slug, $name) = @_;
    is($res->code, $status, "$name: $status") or diag($res->body);
    is(($res->json // {})->{type}, "urn:spaces:$slug", "$name: $slug");
}

my $space = $s->create(visibility => 'ticketed', capacity => 5,
                       record => true);
my $res = tickets($space, { count => 2 });
is($res->code, 201, 'two tickets');
is($res->headers->cache_control, 'private, no-store', 'kept by nobody');
my @tickets = @{ $res->json->{tickets} };
is(scalar @tickets, 2, 'are two');
like($_->{id}, qr/^[0-9a-f]{20}$/, 'an id') for @tickets;
like($_->{token}, qr/^[\w-]{22,}$/, 'a token') for @tickets;
isnt($tickets[0]{token}, $tickets[1]{token}, 'each its own');

my $hashes = $s->redis('SMEMBERS', "spaces:space:{$space->{id}}:tokens");
for my $ticket (@tickets) {
    my ($hash) = grep { /^$ticket->{id}/ } @$hashes;
    ok($hash, 'a token of the Space, by its id');
    my %stored = @{ $s->redis('HGETALL', "spaces:token:$hash") };
    is($stored{kind}, 'ticket', 'a ticket');
    unlike("@{[ %stored ]}", qr/\Q$ticket->{token}\E/, 'not as it is');
    my ($host) = grep { !/^(?:$tickets[0]{id}|$tickets[1]{id})/ } @$hashes;
    is($s->redis('HGET', "spaces:token:$hash", 'expires_at'),
       $s->redis('HGET', "spaces:token:$host", 'expires_at'),
       'it ends when the token of the host does');
    cmp_ok(abs($s->redis('TTL', "spaces:token:$hash")
               - $s->redis('TTL', "spaces:token:$host")), '<=', 1,
           'in Redis too');
}

is(scalar @{ tickets($space, {})->json->{tickets} }, 1, 'one, if not told');

$res = tickets($space, { count => 3 });
problem($res, 409, 'sold-out', 'more than there are');
like($res->json->{detail}, qr/\b5\b.*\b2\b/, 'and told how many are');
is(tickets($space, { count => 2 })->code, 201, 'the last two');
problem(tickets($space, {}), 409, 'sold-out', 'one more');
is($s->redis('SCARD', "spaces:space:{$space->{id}}:tokens"), 6,
   'five seats, and the host');

# nothing that stores the Space sets the count back

is($s->http('PATCH', "/spaces/$space->{id}", $s->bearer($space->{token}),
            json => { title => 'New' })->code, 200, 'changed');
problem(tickets($space, {}), 409, 'sold-out', 'after a change');
is($s->ingest($space, build(packets => [silence_of(50)]))->code, 200,
   'recorded');
problem(tickets($space, {}), 409, 'sold-out', 'after the end');

# valid for the replay

my $replay = "/spaces/$space->{id}/replay";
is($s->http('GET', $replay)->code, 403, 'no replay without');
for my $ticket (@tickets) {
    is($s->http('GET', "$replay?token=$ticket->{token}")->code, 200, 'replay');
    is($s->http('HEAD', $replay, $s->bearer($ticket->{token}))->code, 200,
       'HEAD');
    is($s->http('GET', $replay, { %{ $s->bearer($ticket->{token}) },
                                  Range => 'bytes=0-9' })->code, 206,
       'by Range');
    is($s->http('GET', "/s/$ticket->{token}")->code, 404,
       'a ticket is no link');
}

# after the end: as long as there is something to hear

my $later = $s->create(visibility => 'ticketed', record => true);
$s->ingest($later, build(packets => [silence_of(50)]));
my $ticket = tickets($later, {})->json->{tickets}[0];
is($s->http('GET', "/spaces/$later->{id}/replay?token=$ticket->{token}")->code,
   200, 'bought for the replay');
is($s->http('GET', "$replay?token=$ticket->{token}")->code, 403,
   'and of no use elsewhere');
my $unrecorded = $s->create(visibility => 'ticketed');
$s->ingest($unrecorded, build(packets => [silence_of(5)]));
problem(tickets($unrecorded, {}), 404, 'not-recorded', 'nothing to hear');

# wrong

problem(tickets($later, $_), 400, 'bad-field', encode_json($_))
    for { count => 0 }, { count => -1 }, { count => 1.5 }, { count => 1001 },
        { count => 'x' };
problem(tickets($later, { seats => 1 }), 400, 'unknown-field', 'seats');
problem(tickets($later, {}, {}), 401, 'unauthorized', 'nobody');
problem(tickets($later, {}, $s->as('bob')), 403, 'forbidden', 'another');
problem(tickets($later, {}, $s->bearer($ticket->{token})), 403, 'forbidden',
        'with a ticket');
problem(tickets($later, {}, { %{ $s->as('ana') }, Origin => 'http://evil' }),
        403, 'foreign-origin', 'a foreign page');
problem(tickets($s->create(visibility => $_, capacity => 5), {}), 409,
        'not-ticketed', $_) for 'public', 'unlisted';
$res = $s->http('GET', "/spaces/$later->{id}/tickets", $s->as('ana'));
problem($res, 405, 'bad-method', 'GET');
is($res->headers->header('Allow'), 'POST', 'Allow');

# without a capacity there is no limit

is(scalar @{ tickets($later, { count => 1000 })->json->{tickets} }, 1000,
   'a thousand') for 1 .. 2;

# a Space that is gone is not there again

$s->redis('DEL', "spaces:space:{$later->{id}}");
is(tickets($later, {})->code, 404, 'gone');
is($s->redis('EXISTS', "spaces:space:{$later->{id}}"), 0, 'and stays so');

# all at once, on all workers

for my $count (1, 3) {
    my $space = $s->create(visibility => 'ticketed', capacity => 100);
    my $ua = Mojo::UserAgent->new(max_connections => 0);
    my (%codes, %tokens, %workers);
    Mojo::Promise->all(map {
        $ua->post_p($s->url("/spaces/$space->{id}/tickets"),
                    $s->bearer($space->{token}), json => { count => $count })
           ->then(sub {
               my $res = $_[0]->res;
               $codes{$res->code}++;
               $workers{ $res->headers->header('X-Worker') }++;
               $tokens{ $_->{token} }++ for @{ $res->json->{tickets} // [] };
           });
    } 1 .. 150)->wait;

    my $requests = int 100 / $count;
    is_deeply(\%codes, { 201 => $requests, 409 => 150 - $requests },
              "$count at a time: all that fit, and no more");
    is(scalar keys %tokens, $requests * $count, "$count: each its own");
    cmp_ok(scalar keys %workers, '>', 1, "$count: by several workers");
    is($s->redis('SCARD', "spaces:space:{$space->{id}}:tokens"),
       $requests * $count + 1, "$count: as many tokens");
    $res = tickets($space, { count => 1 });
    is($res->code, $count == 3 ? 201 : 409, "$count: what was left");
}

subtest 'links among many tickets' => sub {
    my $space = $s->create(visibility => 'ticketed');
    my ($url, $host) = ("/spaces/$space->{id}/shares", $s->as('ana'));
    is(tickets($space, { count => 1000 })->code, 201, 'a thousand tickets')
        for 1 .. 2;
    my @links = map { $s->http('POST', $url, $host, json => {})->json } 1 .. 3;
    my $listed = sub {
        return join ' ', sort map { $_->{id} }
                              @{ $s->http('GET', $url, $host)->json->{shares} };
    };
    my @ids = sort map { $_->{id} } @links;
    is($listed->(), "@ids", 'all links, each once');
    is($s->http('DELETE', "$url/$ids[1]", $host)->code, 204, 'one is revoked');
    is($listed->(), "@ids[0, 2]", 'the others are left');
    is($s->http('DELETE', "$url/$_", $host)->code, 404, "$_: no link")
        for $ids[1], '*' x 20, $ids[0] =~ s/.\z/%3F/r, 'A' x 20;
    is($listed->(), "@ids[0, 2]", 'and are still');
};

$s->stop;

my $log = slurp("$s->{dir}/logs/access.log") . $s->error_log;
unlike($log, qr/\Q$_->{token}\E/, 'no token in a log') for @tickets;

done_testing;
