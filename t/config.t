#!/usr/bin/perl

# "nginx -t": every mistake stops it, and the message names the fix.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Spaces;

my $good = Test::Spaces->new(no_redis => 1);
my ($ok, $out) = $good->check_conf;
ok($ok, 'the configuration of the tests passes') or diag($out);
ok(-d "$good->{dir}/spaces/$_", "$_/ is made") for qw(live recordings held);

for (
    [{ spaces_zone => undef }, qr/nginx\.conf:\d+.*add "spaces_zone \w+ \d+m;"/,
     'no zone'],
    [{ spaces_path => undef }, qr/add "spaces_path \S+;"/, 'no path'],
    [{ spaces_redis => undef }, qr/add "spaces_redis \S+;"/, 'no Redis'],
    [{ spaces_zone => 'spaces 100k' }, qr/too small.*1m at least/,
     'a zone too small'],
    [{ spaces_zone => 'spaces lots' }, qr/invalid size "lots".*64m/,
     'a size that is none'],
    [{ spaces_zone => 'spaces' }, qr/number of arguments/, 'a zone without'],
    [{ spaces_path => '/proc/nope' }, qr/can't be written.*give it to the user/,
     'a path that can not be'],
    [{ spaces_path => '/dev/null' }, qr/can't be written/, 'a path that is a file'],
    [{ spaces_path => '/nowhere/at/all' }, qr/can't be written; create it/,
     'a path without its parent'],
    [{ spaces_redis => 'unix:' }, qr/no path behind "unix:"/, 'unix: alone'],
    [{ spaces_redis => '127.0.0.1:99999' }, qr/host:port/, 'a port too large'],
    [{ spaces_redis => 'no.such.host.invalid' }, qr/host not found.*host:port/,
     'no such host'],
    [{ spaces_redis => '127.0.0.1 db=x' }, qr/invalid parameter "db=x".*"db=1"/,
     'a database that is no number'],
    [{ spaces_redis => '127.0.0.1 nope=1' }, qr/invalid parameter "nope=1"/,
     'an unknown parameter'],
    [{ spaces_redis => '127.0.0.1 db=99999999999' }, qr/"db=\d+".*"db=1"/,
     'a database that is none'],
    [{ spaces_redis => '127.0.0.1 db=1 prefix=x db=2' },
     qr/"db=2".*it is given twice/, 'two databases'],
    [{ spaces_redis => '127.0.0.1 password=x password_file=/dev/null' },
     qr/"password_file=\S+".*it is given twice/, 'two passwords'],
    [{ spaces_redis => '127.0.0.1 timeout=0' },
     qr/invalid parameter "timeout=0".*"timeout=500ms"/, 'no time at all'],
    [{ spaces_redis => '127.0.0.1 user=x' }, qr/"user=" without "password="/,
     'a user without a password'],
    [{ spaces_redis => '127.0.0.1 password_file=/nope' }, qr/can't be read/,
     'no password file'],
    [{ spaces_redis => '127.0.0.1 password_file=/dev/null' },
     qr/holds no password/, 'an empty password file'],
    [{ spaces_replay_ttl => 'long' }, qr/invalid time "long".*"30d"/, 'a ttl'],
    [{ spaces_replay_ttl => '0' }, qr/invalid time "0"/, 'no ttl at all'],
    [{ spaces_reconnect => '-1s' }, qr/invalid time "-1s"/, 'reconnect'],
    [{ spaces_max_duration => '1x' }, qr/invalid time "1x"/, 'max_duration'],
    [{ spaces_max_speakers => '0' }, qr/invalid number "0".*1 to 32/,
     'nobody may speak'],
    [{ spaces_max_speakers => '33' }, qr/write 1 to 32/, 'too many may speak'],
    [{ spaces_max_speakers => '32', spaces_zone => 'spaces 1m' },
     qr/too small for one Space.*of 32: write \d+k/, 'a zone without a room'],
    [{ spaces_bitrate => '5k' }, qr/invalid bitrate "5k".*6k to 510k/,
     'a bitrate too low'],
    [{ spaces_bitrate => 'fast' }, qr/invalid bitrate "fast"/,
     'a bitrate that is none'],
    [{ spaces_channels => '3' }, qr/invalid number "3".*1 or 2/, 'channels'],
    [{ spaces_hold => '200d 100d' }, qr/longer than its maximum.*swap/,
     'a hold outside its maximum'],
    [{ spaces_replay_ttl => '101y' }, qr/"101y".*is too long.*36500d/,
     'a ttl for ever'],
    [{ spaces_hold => '1d 99999999999999d' }, qr/"99999999999999d"/,
     'a hold for ever'],
    [{ spaces_hold => 'x' }, qr/invalid time "x"/, 'a hold that is none'],
    [{ spaces_min_free => 'much' }, qr/invalid size "much".*"1g"/, 'min_free'],
    [{ spaces_record => 'no' }, qr/invalid value "no" in "spaces_record".*"off"/,
     'a switch that is neither on nor off'],
    [{ spaces_create => 'false' },
     qr/invalid value "false" in "spaces_create".*"off"/, 'likewise'],
    [{ spaces_share_url => 'https://x.example/s/' },
     qr/has no token.*\$spaces_token/, 'links without a token'],
    [{ spaces_node => '""' }, qr/must be a name/, 'a node without a name'],
    [{ spaces_origin => 'example.com' }, qr/invalid origin.*https:\/\/example/,
     'an origin without its scheme'],
    [{ spaces_origin => 'https://example.com/' }, qr/no slash at its end/,
     'an origin with a slash'],
    [{ spaces_origin => 'http://a/b' }, qr/invalid origin "http:\/\/a\/b"/,
     'an origin with a path'],
    [{ spaces_origin => 'https://' }, qr/invalid origin/, 'one without a host'],
    (map { [{ spaces_origin => "\"$_\"" }, qr/invalid origin "\Q$_\E"/, $_] }
     'http://a b', 'http://a.example:99999', 'http://*.example.org',
     'http://a.example:x', 'http://:80'),
    [{ spaces_node => '$host' }, qr/"spaces_node" .*no variables.*one name/,
     'a node by a variable'],
    [{ spaces_path => 'logs/$host' }, qr/"spaces_path" .*no variables.*one folder/,
     'a path by a variable'],
    [{ spaces_zone => '"" 8m' }, qr/"spaces_zone" directive has no name.*spaces_zone spaces/,
     'a zone without a name'],
) {
    my ($http, $expected, $name) = @$_;
    my $s = Test::Spaces->new(no_redis => 1, http => $http);
    my ($ok, $out) = $s->check_conf;
    ok(!$ok, "$name: refused");
    like($out, qr/\[emerg\].*$expected/, "$name: the message");
    like($out, qr/nginx\.conf:\d+/, "$name: the file and the line");
}

for (
    ['location ~ ^/x { spaces_api; }', qr/needs a location with a prefix/,
     'a regular expression'],
    ['location @x { spaces_api; }', qr/needs a location with a prefix/,
     'a named location'],
    ['location /x { spaces_api; spaces_ingest $arg_id; }',
     qr/conflicts with another handler/, 'two handlers'],
    ['location = /x { spaces_api; }', qr/needs a location with a prefix/,
     'an exact location'],
    ['location /x { spaces_live $arg_id; proxy_pass http://127.0.0.1:1; }',
     qr/"\/x" has a handler of Spaces and another.* in \S+nginx\.conf:\d+/,
     'something else as well'],
    ['location /x { spaces_ingest ""; }', qr/"spaces_ingest".* empty/,
     'an empty id'],
    ['location /x { spaces_share $arg_id page.html; }',
     qr/needs a page such as "\/share\.html"/, 'a page that is no address'],
    ['spaces_api;', qr/not allowed here/, 'a handler in a server'],
    ['location /x { spaces_ingest; }', qr/number of arguments/, 'no id'],
    ['location /x { spaces_ingest $no_such_variable; }',
     qr/unknown "no_such_variable" variable/, 'no such variable'],
) {
    my ($server, $expected, $name) = @$_;
    my $s = Test::Spaces->new(no_redis => 1, server_more => $server);
    my ($ok, $out) = $s->check_conf;
    ok(!$ok, "$name: refused");
    like($out, $expected, "$name: the message");
}

for (
    [{ spaces_hold => '200d' }, 'a hold alone may be long'],
    [{ spaces_reconnect => '0' }, 'no time to come back'],
    [{ spaces_redis => '[::1]:6379 db=3 prefix=x: timeout=250ms' }, 'IPv6'],
    [{ spaces_redis => 'localhost' }, 'a name'],
    [{ spaces_origin => 'https://a.example http://b.example:8080' },
     'two origins'],
    [{ spaces_origin => 'http://[::1]:8080 http://127.0.0.1 HTTPS://xn--e1a.example' },
     'origins of all kinds'],
    [{ spaces_redis => '127.0.0.1 user=x password=y prefix=user: db=0' },
     'names in values'],
    [{ spaces_record => 'OFF', spaces_create => '""' }, 'off in two ways'],
    [{ spaces_record => '$arg_x', spaces_share_url => '$arg_url' },
     'what only a request tells'],
) {
    my ($http, $name) = @$_;
    my $s = Test::Spaces->new(no_redis => 1, http => $http);
    my ($ok, $out) = $s->check_conf;
    ok($ok, $name) or diag($out);
}

# what may be meant is told of

for (['http://x/$uri', qr/\[warn\].*no "\$spaces_token".*nginx\.conf:\d+/],
     ['http://x/${spaces_token}', qr/\A(?!.*\[warn\])/s]) {
    my ($url, $expected) = @$_;
    my $s = Test::Spaces->new(no_redis => 1,
                              http => { spaces_share_url => $url });
    my ($ok, $out) = $s->check_conf;
    ok($ok, "$url: passes") or diag($out);
    like($out, $expected, "$url: the message");
}

# a module that is loaded and not used asks for nothing

my $dir = $good->{dir};
spurt("$dir/bare.conf", $good->module_line
      . "\npid $dir/nginx.pid; events {} http { server { listen "
      . "127.0.0.1:$good->{port}; } }\n");
my $bare = `@{[ $good->nginx ]} -p $dir/ -c $dir/bare.conf -e $dir/e.log -t 2>&1`;
is($?, 0, 'loaded, not used') or diag($bare);

done_testing;
