#!/usr/bin/perl

# The clock of the machine is set: what is live is timed by another one, and
# what is timed by it comes right when the clock does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::Date;
use Mojo::JSON qw(true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Bystander;
use Test::Spaces::Faults;
use Test::Spaces::Ogg qw(build silence_of);
use Test::Spaces::Toll;
use Time::HiRes qw(sleep time);

my $s = Test::Spaces->new(
    workers => 2, with_faults,
    http => { spaces_reconnect => '20s', spaces_replay_ttl => '3d' },
    server_more => 'location = /metrics { spaces_metrics; }',
)->start;
my $bystander = Test::Spaces::Bystander->new($s);
my $toll = Test::Spaces::Toll->new($s);

my $audio = build(packets => [silence_of(50)]);

sub recorded {
    my $space = $s->create(record => true);
    my $res = $s->ingest($space, $audio);
    is($res->code, 200, 'recorded') or diag($res->body);
    return $res->json;
}

sub epoch { return Mojo::Date->new($_[0])->epoch }

# what nginx takes for the time, in seconds off the true one
sub is_off {
    my ($off, $name) = @_;
    faults($s, $off ? "clock wall $off" : ());
    ok(until_ok(sub {
        my $date = $s->http('GET', '/spaces')->headers->date;
        abs(epoch($date) - time - $off) < 30;
    }), $name);
}

my $hour = 3600;
my $old = recorded();
my $share = $s->http('POST', "/spaces/$old->{id}/shares", $s->as('ana'),
                     json => { ttl => 2 * $hour })->json;
my $link = "/s/$share->{token}/audio";

for (
    ['an hour ahead', $hour], ['an hour behind', -$hour],
    ['a day ahead', 24 * $hour], ['a day behind', -24 * $hour],
    ['two days behind', -48 * $hour],
) {
    my ($name, $off) = @$_;
    subtest $name => sub {
        # one that is live from before to after
        my $across = $s->create(record => true);
        my $socket = $s->begin_ingest($across);
        Test::Spaces::chunk($socket, $audio);
        ok(until_ok(sub { $s->space($across->{id})->{state} eq 'live' }),
           'one is live');

        is_off($off, "the clock is $name");
        is($s->space($across->{id})->{state}, 'live', 'it still is');
        is($s->http('GET', "/spaces/$old->{id}/replay")->code, 200,
           'what was recorded before is replayed');
        is($s->http('GET', $link)->code, $off > 2 * $hour ? 404 : 200,
           'its link holds as long as the clock says')
            or diag($s->http('GET', $link)->body);
        my $now = recorded();
        is($s->http('GET', "/spaces/$now->{id}/replay")->code, 200,
           'another is, too');
        is($now->{duration}, $old->{duration}, 'as long as it is');
        cmp_ok(abs(epoch($now->{ended_at}) - time - $off), '<', 60,
               'by that clock it ended');

        is_off(0, 'the clock is right again');
        print $socket "0\r\n\r\n";
        like(Test::Spaces::read_all($socket, 20), qr/^HTTP\/1\.1 200 /,
             'a body that went on all the while is taken');
        my $ended = $s->space($across->{id});
        is($ended->{state}, 'ended', 'and its Space ended');
        is($s->http('GET', "/spaces/$_->{id}/replay")->code, 200,
           "$_->{id} is replayed") for $ended, $now, $old;
        is($s->http('GET', $link)->code, 200, 'the link leads there');
    };
}

my @left;
ok(until_ok(sub { !(@left = $toll->left('first')) }, 60),
   'all is given back') or diag(join "\n", @left);
$bystander->is_unharmed;
$s->stop;

done_testing;
