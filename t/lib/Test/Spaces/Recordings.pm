package Test::Spaces::Recordings;

# Copyright (C) Spaces for nginx contributors

# Recordings, and what is on the disk of them.

use strict;
use warnings;

use File::Path qw(make_path);
use Mojo::JSON qw(decode_json encode_json true);
use Test::More;
use Test::Spaces;
use Test::Spaces::Ogg qw(build silence_of);

use parent 'Exporter';
our @EXPORT = qw(files available held recorded delete_it moderator audit
                 plant rfc3339);
our @EXPORT_OK = qw(preconditions);

# a second of it
our $audio = build(packets => [silence_of(50)]);

# every file under spaces_path
sub files {
    my ($s) = @_;
    return join ' ', sort map { s{^\Q$s->{dir}\E/spaces/}{}r }
        grep { -f } map { glob "$s->{dir}/spaces/$_" }
        qw(live/* recordings/*/* held/*);
}

# those of one recording, as files() has them
sub available {
    my ($s, $id) = @_;
    my $xx = substr $id, 0, 2;
    return "recordings/$xx/$id.json recordings/$xx/$id.opus "
           . "recordings/$xx/$id.wave";
}

sub held { return join ' ', map { "held/$_[0].$_" } qw(json opus wave) }

sub recorded {
    my ($s, %fields) = @_;
    my $space = $s->create(record => true, %fields);
    my $res = $s->ingest($space, $audio);
    is($res->code, 200, 'recorded')
        or diag($res->body, grep { /\[(?:crit|error)\]/ }
                            $s->error_log =~ /^.*\n/mg);
    return $space;
}

sub delete_it {
    my ($s, $space) = @_;
    return $s->http('DELETE', "/spaces/$space->{id}",
                    $s->bearer($space->{token}));
}

sub moderator { return { Cookie => "spaces_user=$_[0]; moderator=1" } }

sub audit {
    my ($s) = @_;
    return map { my %f = @{ $_->[1] }; "$f{action} $f{by} $f{space}" }
           @{ $s->redis('XRANGE', 'spaces:audit', '-', '+') };
}

# so many more recordings like this one, which Redis knows nothing of; one in
# "hold" of them was deleted
sub plant {
    my ($s, $space, $n, $hold) = @_;
    my $dir = "$s->{dir}/spaces";
    my ($like) = glob "$dir/recordings/*/$space->{id}.opus";
    my $document = decode_json(slurp($like =~ s/opus$/json/r));
    my %made;
    my $owner = $like;

    for my $i (1 .. $n) {
        my $id = sprintf '%c%c%018d', 97 + $i % 16, 97 + $i / 16 % 16, $i;
        $id =~ tr/0-9/a-j/;
        my $held = $hold && $i % $hold == 0;
        my $folder = $held ? "$dir/held" : "$dir/recordings/"
                                           . substr $id, 0, 2;
        make_path($folder) if !$made{$folder}++;
        if (!link $like, "$folder/$id.opus") {
            # a file has so many names and no more: of another one, then
            spurt("$folder/$id.opus", slurp($like));
            $like = "$folder/$id.opus";
        }
        spurt("$folder/$id.json", encode_json({
            %$document, id => $id, $held ? (
                recording => 'deleted', held_at => $document->{ended_at},
                hold_until => $document->{expires_at},
            ) : (),
        }));
    }
    system('chown', '-R', '--reference', $owner, $dir) if $> == 0;
}

# what $get, with these headers, gets of a recording of this entity tag
sub preconditions {
    my ($get, $etag) = @_;
    for ({ 'If-Match' => '"other"' }, { 'If-Match' => "W/$etag" },
         { 'If-Unmodified-Since' => 'Thu, 01 Jan 1970 00:00:00 GMT' }) {
        my $res = $get->($_);
        my $name = join ': ', %$_;
        is($res->code, 412, "$name: 412");
        is(($res->json // {})->{type}, 'urn:spaces:precondition-failed',
           "$name: a problem");
        is($res->headers->cache_control, 'private, no-store',
           "$name: that nobody keeps");
    }
    is($get->($_)->code, 200, join ': ', %$_)
        for { 'If-Match' => "\"other\", $etag" }, { 'If-Match' => '*' },
            { 'If-Unmodified-Since' => 'Fri, 01 Jan 2100 00:00:00 GMT' },
            { 'If-Unmodified-Since' => 'never' };
}

# a time in so many seconds
sub rfc3339 {
    my @t = gmtime(time + $_[0]);
    return sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $t[5] + 1900, $t[4] + 1,
        @t[3, 2, 1, 0];
}

1;
