#!/usr/bin/perl

# Every file of conf/examples, started as it is, does what it promises.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Mojo::JSON qw(false true);
use Mojo::UserAgent;
use Test::More;
use Test::Spaces;
use Test::Spaces::Example qw(examples keep_promises);
use Test::Spaces::Ogg qw(build silence_of);

keep_promises(
    metrics => { does => \&metrics },
    spaces => { does => \&spaces },
    rollout => { does => \&rollout },
);

# this file has three of them, those beside it have the others

my @tested = map { slurp($_) =~ /^    (\w+) => \{ does => /mg }
             glob "$FindBin::Bin/examples*.t";
is_deeply([sort @tested], [examples()], 'each is tested');

my ($table) = slurp("$FindBin::Bin/../README.md")
    =~ /^## Examples\n(.*?)^## /ms;
is_deeply([sort $table =~ /^\| \[`(\w+)\.conf`\]/mg], [examples()],
          'and the README has it');

# whatever is below a link, nginx is not to look for it, and to log its name

for my $name (examples()) {
    my $conf = slurp("$FindBin::Bin/../conf/examples/$name.conf");
    my @links = $conf =~ /location ([^{}]*?) \{[^{}]*spaces_share /g;
    is("@links", '~ "^/s/(?<share>[^/]+)"', "$name: all of a link");
}

done_testing;

sub body { return build(packets => [silence_of(25)]) }

# the whole way round: talk, listen, replay, share

sub spaces {
    my ($s) = @_;
    my $space = $s->create(record => true);
    is($s->ingest($space, body())->code, 200, 'recorded');
    is($s->http('GET', "/spaces/$space->{id}/replay")->code, 200, 'replayed');
    my $share = $s->http('POST', "/spaces/$space->{id}/shares", $s->as('bob'),
                         json => {})->json;
    like($share->{url}, qr{^http://127\.0\.0\.1:$s->{port}/s/}, 'shared');
    is($s->http('GET', "/s/$share->{token}/audio")->code, 200, 'by link');
    like($s->http('GET', '/')->body, qr/<title>Spaces for nginx</, 'the page');
    is($s->http('GET', "/s/$share->{token}$_")->code, 404, "link$_: nothing")
        for '/', '/audio/', '/nope';
    unlike(slurp("$s->{dir}/logs/$_.log"), qr/\Q$share->{token}\E/,
           "no token in $_.log") for qw(access error);
}

# numbers on a port of their own, and a log of JSON

sub metrics {
    my ($s) = @_;
    my $get = sub {
        return Mojo::UserAgent->new(max_connections => 0)
            ->get("http://127.0.0.1:@{[ $s->port(9145) ]}$_[0]")->res;
    };
    is($get->('/')->code, 404, 'nothing else there');
    is($s->http('GET', '/metrics')->code, 404, 'nor they elsewhere');
    ok(until_ok(sub {
        my $text = $get->('/metrics')->body;
        my ($workers) = $text =~ /^spaces_workers (\d+)$/m;
        my ($ready) = $text =~ /^spaces_redis_connected_workers (\d+)$/m;
        return $workers && $ready == $workers;
    }), 'it counts');

    my $space = $s->create(title => 'A "Space"');
    $s->space($space->{id}, $space->{token});
    $s->http('GET', "/spaces/$space->{id}?token=$space->{token}&x=\"");
    my $log = sub {
        return grep { /\/spaces/ } split /\n/,
            slurp("$s->{dir}/logs/access.log");
    };
    ok(until_ok(sub { $log->() == 3 }), 'what is logged');
    for ($log->()) {
        my $said = eval { Mojo::JSON::decode_json($_) };
        is($said->{status} // 0, $said->{request} =~ /POST/ ? 201 : 200,
           'a line is JSON');
        unlike($_, qr/\Q$space->{token}\E/, 'without the token');
    }
}

sub rollout {
    my ($s) = @_;
    my $create = sub {
        my ($user, $record) = @_;
        return $s->http('POST', '/spaces', $s->as($user),
                        json => { title => 'x', record => $record });
    };
    my $slug = sub { return ($_[0]->json->{type} // '') =~ s/.*://r };

    # the list

    for my $user ('ana', 'bea@example.com') {
        is($create->($user, true)->code, 201, "$user records");
        is($create->($user, false)->code, 201, "$user hosts");
    }
    is($slug->($create->('mallory', false)), 'hosting-off',
       'mallory does not host');

    # the share: who is in is settled by the name alone

    my (%hosts, %records);
    my @users = map { "user$_" } 1 .. 200;
    for my $user (@users) {
        my $res = $create->($user, true);
        my $slug = $slug->($res);
        $hosts{$user} = $slug ne 'hosting-off';
        $records{$user} = $res->code == 201;
        fail("$user: $slug") if $res->code != 201
            && ($res->code != 403 || $slug !~ /^(?:hosting|recording)-off$/);
    }
    my $hosts = grep { $hosts{$_} } @users;
    my $records = grep { $records{$_} } @users;
    cmp_ok($hosts, '>', 70, 'half of them host');
    cmp_ok($hosts, '<', 130, 'and half do not');

    # of those who host a tenth record: the two are drawn apart
    cmp_ok($records, '>', 2, 'a tenth of these record');
    cmp_ok($records, '<', 25, 'and the others do not');

    for my $user (@users[0 .. 19]) {
        is($create->($user, true)->code == 201, $records{$user},
           "$user: the same again");
    }

    # one who may host and not record

    my ($user) = grep { $hosts{$_} && !$records{$_} } @users;
    my $res = $create->($user, true);
    is($res->code, 403, 'one who may not record yet');
    is($slug->($res), 'recording-off', 'is told so');
    my $own = $create->($user, false)->json;
    is($slug->($s->http('PATCH', "/spaces/$own->{id}", $s->as($user),
                        json => { record => true })), 'recording-off',
       'nor afterwards');
    my $ended = $s->ingest($own, body())->json;
    is($ended->{state}, 'ended', 'hosts all the same');
    is($ended->{recording}, 'none', 'unrecorded');

    # and takes part in what another records

    my $space = $s->create(record => true, user => 'ana');
    my $guest = $s->invite($space, $user);
    my $host = $s->begin_ingest($space);
    Test::Spaces::chunk($host, build(packets => [silence_of(50)], no_eos => 1));
    ok(until_ok(sub {
        $s->http('HEAD', "/spaces/$space->{id}/live", $s->as($user))->code
            == 200;
    }), 'listens');
    is($s->http('PUT', "/spaces/$space->{id}/ingest",
                $s->bearer($guest->{token}), body())->code, 200, 'joins');
    is($s->end_space($space)->json->{recording}, 'available', 'recorded');
    $res = $s->http('GET', "/spaces/$space->{id}/replay", $s->as($user));
    is($res->code, 200, 'replays');
    cmp_ok(length $res->body, '>', 0, 'it');
    is($s->http('POST', "/spaces/$space->{id}/shares", $s->as($user),
                json => {})->code, 201, 'and shares it');

    # who is in by name alone needs no other right: mallory hears too
    is($s->http('GET', "/spaces/$space->{id}/replay", $s->as('mallory'))->code,
       200, 'mallory replays');
}
