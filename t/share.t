#!/usr/bin/perl

# What a share link shows: the page, its tags, the player for frames, oEmbed,
# an operator's own page; and why there is nothing any more.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256);
use MIME::Base64 qw(encode_base64);
use Mojo::DOM;
use Mojo::JSON qw(true);
use Mojo::Util qw(url_escape);
use POSIX qw(strftime);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build silence_of);

my $audio = build(packets => [silence_of(150)]);
my $nasty = '<b>"A" & \'B\'</b><script>alert(1)</script>';

sub shared {
    my ($s, %fields) = @_;
    my $space = $s->create(record => true, title => $nasty, %fields);
    is($s->ingest($space, $audio)->code, 200, 'recorded');
    my $share = $s->http('POST', "/spaces/$space->{id}/shares", $s->as('ana'),
                         json => {})->json;
    return ($space, $share);
}

my %browser = (Accept => 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8');

subtest 'markup in Host' => sub {
    my $s = Test::Spaces->new(workers => 1, own_answers => qr/: 400$/)->start;
    my (undef, $share) = shared($s);
    my $res = $s->http('GET', "/s/$share->{token}",
                       { %browser, Host => 'x"><b>' });
    # a newer nginx refuses it by itself
    like($res->code, qr/^[24]00$/, 'the page');
    unlike($res->body, qr/<b>/, 'is text');
    $s->stop;
};

subtest 'the built-in pages' => sub {
    my $s = Test::Spaces->new(workers => 2)->start;
    my ($space, $share) = shared($s, language => 'fr-CA');

    my $res = $s->http('GET', "/s/$share->{token}", \%browser);
    is($res->code, 200, 'the page');
    like($res->headers->content_type, qr{^text/html; charset=utf-8}, 'HTML');
    is($res->headers->cache_control, 'private, no-store', 'not cached');
    is($res->headers->header('Referrer-Policy'), 'no-referrer', 'no referrer');
    like($res->headers->header('Content-Security-Policy'),
         qr/default-src 'none'.*frame-ancestors 'none'/, 'its policy');
    unlike($res->body, qr/<script|<b>/, 'markup in a title is text');
    my $dom = $res->dom;
    is($dom->at('html')->attr('lang'), 'fr-CA', 'the language');
    is($dom->at('h1')->text, $nasty, 'the title');
    my $meta = sub {
        my $e = $dom->at("meta[property='$_[0]'], meta[name='$_[0]']");
        return $e && $e->attr('content');
    };
    is($meta->('og:title'), $nasty, 'og:title');
    is($meta->('og:url'), $share->{url}, 'og:url');
    is($meta->('og:audio'), "$share->{url}/audio", 'og:audio');
    is($meta->('og:audio:type'), 'audio/ogg', 'og:audio:type');
    like($meta->('og:description'), qr/ana, 0:00:0[23]$/, 'host and length');
    is($meta->('twitter:card'), 'player', 'a player card');
    is($meta->('twitter:player'), "$share->{url}/embed", 'its player');
    is($s->http('GET', "/s/" . $dom->at('audio')->attr('src'))->code, 200,
       'what it plays');

    my $style = encode_base64(sha256($dom->at('style')->content), '');
    like($res->headers->header('Content-Security-Policy'),
         qr/style-src 'sha256-\Q$style\E'/, 'the policy knows its style');

    my $link = $dom->at('link[type="application/json+oembed"]')->attr('href');
    is($link, $s->url('/oembed?format=json&url=' . url_escape($share->{url})),
       'oEmbed is discovered');
    my $oembed = $s->http('GET', $link =~ s/^http:..[^\/]*//r);
    is($oembed->code, 200, 'oEmbed');
    my $json = $oembed->json;
    is($json->{version}, '1.0', 'its version');
    is($json->{type}, 'rich', 'its type');
    is($json->{title}, $nasty, 'the title');
    is($json->{author_name}, 'ana', 'the host');
    my $frame = Mojo::DOM->new($json->{html})->at('iframe');
    is($frame->attr('src'), "$share->{url}/embed", 'a frame');
    is($frame->attr('title'), $nasty, 'with a title');
    is($oembed->headers->cache_control, 'private, no-store', 'not cached');

    my $embed = $s->http('GET', "/s/$share->{token}/embed", \%browser);
    is($embed->code, 200, 'the player');
    like($embed->headers->header('Content-Security-Policy'),
         qr/frame-ancestors \*/, 'any site may frame it');
    is($embed->dom->at('a')->attr('href'), $share->{url}, 'leads to the page');
    is($embed->dom->at('a')->text, $nasty, 'by its title');
    is($embed->dom->at('audio')->attr('src'), 'audio', 'plays the audio');

    my $ask = sub {
        return $s->http('GET', '/oembed?url=' . url_escape($_[0])
                               . ($_[1] // ''))->code;
    };
    is($ask->("$share->{url}/embed"), 200, 'of what is behind the link, too');
    is($s->http('GET', '/oembed?maxwidth=300&maxheight=90&url='
                       . url_escape($share->{url}))->json->{width}, 300,
       'as small as wanted');
    is($ask->($share->{url}, '&format=xml'), 501, 'not as XML');
    is($ask->($share->{url}, '&maxwidth=x'), 400, 'nonsense');
    is($s->http('GET', '/oembed')->code, 400, 'without a URL');
    is($ask->('http://example.com/s/' . 'a' x 32), 404, 'another site');
    is($ask->($s->url('/s/' . 'a' x 32)), 404, 'no such link');
    is($ask->($s->url("/s/$space->{token}")), 404, 'no link but a host');
    is($ask->("$share->{url}x"), 404, 'nor one that goes on');

    is($s->http('DELETE', "/spaces/$space->{id}", $s->as('ana'))->code, 200,
       'deleted');
    for my $path ("/s/$share->{token}", "/s/$share->{token}/embed") {
        my $res = $s->http('GET', $path, \%browser);
        is($res->code, 410, "$path is gone");
        like($res->dom->at('main')->all_text, qr/deleted/, 'and says why');
        is($s->http('GET', $path)->json->{type}, 'urn:spaces:deleted',
           'to a program as well');
    }
    is($ask->($share->{url}), 410, 'oEmbed says so, too');
    is($s->http('GET', '/s/' . 'a' x 32, \%browser)->code, 404,
       'what never was is not found');
    like($s->http('GET', '/s/' . 'a' x 32, \%browser)->headers->content_type,
         qr/html/, 'in HTML');

    my $log = slurp("$s->{dir}/logs/access.log") . $s->error_log;
    unlike($log, qr/\Q$share->{token}\E/, 'no token in the logs');
    $s->stop;
};

subtest 'a token opens its own Space alone' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my ($one, $two) = map { (shared($s))[0] } 1, 2;
    my $clip = $s->http('POST', "/spaces/$one->{id}/shares", $s->as('ana'),
                        json => { start => 0.5, end => 1 })->json->{token};
    for my $what (qw(replay replay/waveform replay/speakers)) {
        my ($cut, $whole, $with) = map { $s->http('GET', $_)->body }
            "/spaces/$one->{id}/$what?token=$clip",
            map { "/spaces/$two->{id}/$what$_" } '', "?token=$clip";
        # nobody is heard to speak in silence
        isnt($cut, $s->http('GET', "/spaces/$one->{id}/$what")->body,
             "$what: a clip of its own") if $what !~ /speakers/;
        ok($with eq $whole, "$what: and all of another");
    }

    my ($three, $four) = map { $s->create } 1, 2;
    my $bea = $s->invite($three, 'Bea');
    is($s->http('DELETE', "/spaces/$three->{id}/speakers/$bea->{id}",
                $s->as('ana'))->code, 204, 'a speaker is removed');
    for ([$three->{id}, 403, qr/removed/], [$four->{id}, 403, qr/only the host/],
         ['a' x 20, 404, qr/no Space/]) {
        my ($id, $status, $why) = @$_;
        my $res = $s->http('PUT', "/spaces/$id/ingest",
                           $s->bearer($bea->{token}), $audio);
        is($res->code, $status, "who was removed: $status");
        like($res->json->{detail}, $why, 'and why');
    }
    $s->stop;
};

subtest 'the list of links' => sub {
    my $s = Test::Spaces->new(workers => 1)->start;
    my $space = $s->create(record => true, scheduled_at =>
        strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 86400)));
    my $url = "/spaces/$space->{id}/shares";
    my $share = $s->http('POST', $url, $s->as('ana'), json => {})->json;
    is($s->ingest($space, $audio)->code, 200, 'a day early');
    my $foreign = { %{ $s->as('ana') }, Origin => 'http://evil.example' };
    my $res = $s->http('GET', $url, $foreign);
    is($res->code, 200, 'read from anywhere');
    is(join(' ', map { $_->{expires_at} } @{ $res->json->{shares} }),
       $s->space($space->{id})->{expires_at}, 'none outlives the recording');

    is($s->http('DELETE', "$url/$share->{id}", $foreign)->code, 403,
       'but not changed');
    $res = $s->http('DELETE', "$url/$share->{id}", $s->as('ana'));
    is(join(', ', $res->code, map { $res->headers->header($_) }
                              qw(Cache-Control Referrer-Policy)),
       '204, private, no-store, no-referrer', 'revoked');
    $s->stop;
};

subtest "an operator's own page" => sub {
    my $s = Test::Spaces->new(workers => 2, share_page => '/page/share.shtml',
        server_more => 'location /page/ { internal; ssi on;'
            . ' ssi_types text/html; root html; default_type text/html; }');
    mkdir "$s->{dir}/html"; mkdir "$s->{dir}/html/page";
    spurt("$s->{dir}/html/page/share.shtml",
          '<p title="<!--# echo var="spaces_title" -->">'
          . '<!--# echo var="spaces_host" -->, '
          . '<!--# echo var="spaces_duration" --></p>'
          . '<a href="<!--# echo var="spaces_link" -->">link</a>');
    chmod 0755, "$s->{dir}/html", "$s->{dir}/html/page";
    $s->start;
    my ($space, $share) = shared($s);

    for (1 .. 4) {
        my $res = $s->http('GET', "/s/$share->{token}");
        is($res->code, 200, 'the page');
        is($res->dom->at('p')->attr('title'), $nasty, 'has the title');
        like($res->dom->at('p')->text, qr/^ana, 0:00:0[23]$/, 'and the rest');
        is($res->dom->at('a')->attr('href'), $share->{url}, 'and the link');
        is($res->headers->header('Referrer-Policy'), 'no-referrer',
           'no referrer');
        is($res->headers->cache_control, 'private, no-store', 'not cached');
    }
    is($s->http('GET', "/s/$share->{token}/audio")->code, 200, 'the audio');
    is($s->http('GET', '/page/share.shtml')->code, 404, 'not without a link');
    is($s->http('GET', '/s/' . 'a' x 32)->code, 404, 'nor with a wrong one');
    unlike(slurp("$s->{dir}/logs/access.log"), qr/\Q$share->{token}\E/,
           'no token in the log');
    $s->stop;
};

subtest 'a named location' => sub {
    my $s = Test::Spaces->new(workers => 1, share_page => '@page',
        server_more => 'location @page { default_type text/html; return 200 '
            . '"$spaces_title|$spaces_host|$spaces_duration|$spaces_link"; }')
        ->start;
    my ($space, $share) = shared($s, title => 'Plain');
    like($s->http('GET', "/s/$share->{token}")->body,
         qr/^Plain\|ana\|0:00:0[23]\|\Q$share->{url}\E$/, 'has the variables');
    $s->stop;
};

done_testing;
