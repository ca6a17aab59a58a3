
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * spaces_clip: spans of recordings as streams of their own, looked at by
 * libogg; and what becomes of files that are none.
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ogg/ogg.h>

#include "spaces_clip.h"


#define SERIAL    0x12345678
#define PRE_SKIP  312
#define RATE      SPACES_OPUS_RATE

/* 20, 60, 2.5 and 10 ms: a TOC byte, RFC 6716, 3.1 */
static const uint8_t  tocs[] = { 0xf8, 0x18, 0xe0, 0xf0 };
static const int      lasts[] = { 960, 2880, 120, 480 };


typedef struct {
    FILE     *file;
    int       fd;
    int64_t   total;         /* samples that are heard */
    off_t     size;
} recording_t;


/* packets hold what looks like pages: see pretend() */
static int  pretending;


/*
 * A whole page of another stream, from a time that never comes; and the header
 * of one that is longer than anything, whose rest is not there.
 */

static void
pretend(uint8_t *out)
{
    size_t                len;
    const uint8_t         data[] = { 0xf8, 0xff, 0xfe };

    static spaces_ogg_writer_t  writer;

    spaces_ogg_writer_init(&writer, SERIAL + 1, 7, INT64_MAX / 2);
    spaces_ogg_writer_add(&writer, data, sizeof(data), 960);
    len = spaces_ogg_writer_flush(&writer, 0, out);

    memset(out + len, 255, 27 + 255);
    memcpy(out + len, "OggS\0", 6);
}


/* packets are told apart by what is in them: when they begin */

static size_t
packet_at(int64_t granule, int kind, size_t more, uint8_t *out)
{
    memset(out, 0, 9 + more);

    out[0] = tocs[kind];
    memcpy(out + 1, &granule, 8);

    if (pretending && more >= 400) {
        pretend(out + 9);
    }

    return 9 + more;
}


/* kinds: a mask of the above; "more": up to so many bytes in a packet */

static recording_t
record(int64_t samples, unsigned kinds, size_t more, unsigned trim)
{
    int                   kind;
    size_t                len;
    int64_t               n;
    uint8_t               packet[9 + 1260];
    recording_t           rec;
    spaces_opus_head_t    head = { 1, PRE_SKIP, 48000, 0 };

    static const char    *comments[] = { "TITLE=x" };
    static uint8_t        out[2 * SPACES_OGG_MAX_PAGE];
    static spaces_ogg_writer_t  writer;

    rec.file = tmpfile();
    assert_non_null(rec.file);

    len = spaces_ogg_writer_begin(&writer, SERIAL, &head, comments, 1, out);
    assert_int_equal(fwrite(out, 1, len, rec.file), len);

    for (n = 0; writer.granule < samples; n++) {

        kind = (int) (n * 7 % 4);

        while (!(kinds & (1u << kind))) {
            kind = (kind + 1) % 4;
        }

        len = packet_at(writer.granule, kind,
                        more ? (size_t) (n * 31) % more : 0, packet);

        if (writer.nsegments
            && (writer.samples + (uint32_t) lasts[kind] > 4800
                || !spaces_ogg_writer_fits(&writer, len)))
        {
            len = spaces_ogg_writer_flush(&writer, 0, out);
            assert_int_equal(fwrite(out, 1, len, rec.file), len);
            n--;
            continue;
        }

        spaces_ogg_writer_add(&writer, packet, len, lasts[kind]);
    }

    writer.granule -= trim;
    rec.total = writer.granule - PRE_SKIP;

    len = spaces_ogg_writer_flush(&writer, SPACES_OGG_EOS, out);
    assert_int_equal(fwrite(out, 1, len, rec.file), len);
    assert_int_equal(fflush(rec.file), 0);

    rec.size = ftell(rec.file);
    rec.fd = fileno(rec.file);

    return rec;
}


static uint8_t *
read_from(spaces_clip_t *clip, int fd, off_t offset, off_t end)
{
    off_t           at;
    ssize_t         n;
    uint8_t        *all;
    const uint8_t  *data;

    static uint8_t  buffer[SPACES_CLIP_BUFFER];

    all = malloc((size_t) (end - offset) + 1);
    assert_non_null(all);

    for (at = offset; at < end; at += n) {
        n = spaces_clip_read(clip, fd, at, buffer, &data);
        assert_true(n > 0);
        assert_true(n <= clip->length - at);

        if (n > end - at) {
            n = end - at;
        }

        memcpy(all + (at - offset), data, (size_t) n);
    }

    return all;
}


/* it is a stream of its own that plays from "start" to "end", and no other */

static void
check_clip(const uint8_t *data, size_t len, int64_t start, int64_t end)
{
    int               serial, eos;
    long              pages;
    char             *buffer;
    int64_t           granule, first, began;
    unsigned          skip;
    ogg_page          page;
    ogg_packet        packet;
    ogg_sync_state    sync;
    ogg_stream_state  stream;

    (void) ogg_sync_init(&sync);
    buffer = ogg_sync_buffer(&sync, (long) len);
    memcpy(buffer, data, len);
    (void) ogg_sync_wrote(&sync, (long) len);

    first = -1;
    granule = 0;
    skip = 0;
    serial = 0;
    eos = 0;

    for (pages = 0; ogg_sync_pageout(&sync, &page) == 1; pages++) {

        if (pages == 0) {
            serial = ogg_page_serialno(&page);
            (void) ogg_stream_init(&stream, serial);
        }

        assert_int_equal(ogg_page_serialno(&page), serial);
        assert_int_equal(ogg_page_pageno(&page), pages);
        assert_int_equal(ogg_page_bos(&page) != 0, pages == 0);
        assert_false(eos);
        eos = ogg_page_eos(&page) != 0;

        assert_int_equal(ogg_stream_pagein(&stream, &page), 0);

        while (ogg_stream_packetout(&stream, &packet) == 1) {

            if (pages == 0) {
                assert_memory_equal(packet.packet, "OpusHead", 8);
                skip = packet.packet[10] | packet.packet[11] << 8;
                continue;
            }

            if (pages == 1) {
                assert_memory_equal(packet.packet, "OpusTags", 8);
                continue;
            }

            memcpy(&began, packet.packet + 1, 8);

            if (first == -1) {
                first = began;
            }

            assert_int_equal(began - first, granule);
            granule += spaces_opus_duration(packet.packet,
                                            (size_t) packet.bytes);
        }

        if (pages > 1 && !eos) {
            assert_int_equal(ogg_page_granulepos(&page), granule);
        }
    }

    assert_true(eos);
    assert_int_equal(sync.fill, sync.returned);

    /* the last page ends it, in its last packet */

    assert_int_equal(first + ogg_page_granulepos(&page), PRE_SKIP + end);
    assert_in_range(granule - ogg_page_granulepos(&page), 0, 2879);

    /* and where it begins, with what comes before */

    assert_int_equal(first + skip, PRE_SKIP + start);

    if (first != 0) {
        assert_in_range(skip, SPACES_CLIP_PRE_ROLL,
                        SPACES_CLIP_PRE_ROLL + 2880);
    }

    (void) ogg_stream_clear(&stream);
    (void) ogg_sync_clear(&sync);
}


static void
check_span(recording_t *rec, int64_t start, int64_t end)
{
    uint8_t        *all;
    spaces_clip_t   clip;

    assert_int_equal(spaces_clip_open(&clip, rec->fd, start, end),
                     SPACES_CLIP_OK);

    all = read_from(&clip, rec->fd, 0, clip.length);
    check_clip(all, (size_t) clip.length, start,
               end < rec->total ? end : rec->total);

    free(all);
    spaces_clip_free(&clip);
}


static void
test_spans(void **state)
{
    int          i;
    int64_t      start, end;
    unsigned     kinds;
    recording_t  rec;

    for (kinds = 1; kinds < 16; kinds++) {

        rec = record(2 * RATE, kinds, kinds & 1 ? 0 : 600, kinds % 3 * 50);

        for (i = 0; i < 400; i++) {
            start = (int64_t) i * 7919 % rec.total;
            end = start + 1 + (int64_t) i * i * 131 % (rec.total - start);
            check_span(&rec, start, end);
        }

        check_span(&rec, 0, rec.total);
        check_span(&rec, 0, 1);
        check_span(&rec, rec.total - 1, rec.total);
        check_span(&rec, 100, INT64_MAX);

        (void) fclose(rec.file);
    }
}


static void
test_empty(void **state)
{
    size_t         i;
    recording_t    rec;
    spaces_clip_t  clip;

    rec = record(RATE, 1, 0, 0);

    const int64_t  none[][2] = {
        { 5, 5 }, { 6, 5 }, { -1, 5 }, { rec.total, rec.total + 1 },
        { INT64_MAX, INT64_MAX }, { INT64_MIN, INT64_MIN }, { 0, 0 },
        { 0, -5 }, { INT64_MAX - 1, INT64_MAX },
    };

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(spaces_clip_open(&clip, rec.fd, none[i][0],
                                          none[i][1]),
                         SPACES_CLIP_EMPTY);
    }

    (void) fclose(rec.file);
}


/* wherever a packet looks like a page, it is none */

static void
test_pretence(void **state)
{
    int             i;
    off_t           from;
    int64_t         start;
    uint8_t        *all, *part;
    recording_t     rec;
    spaces_clip_t   clip;

    pretending = 1;
    rec = record(40 * RATE, 1, 1260, 0);
    pretending = 0;

    for (i = 0; i < 200; i++) {
        start = (int64_t) i * 9973 * 31 % (rec.total - RATE);
        check_span(&rec, start, start + RATE);
    }

    assert_int_equal(spaces_clip_open(&clip, rec.fd, RATE, 39 * RATE),
                     SPACES_CLIP_OK);

    all = read_from(&clip, rec.fd, 0, clip.length);

    for (i = 0; i < 500; i++) {
        from = (off_t) i * 104729 % clip.length;
        part = read_from(&clip, rec.fd, from, clip.length);
        assert_memory_equal(all + from, part,
                            (size_t) (clip.length - from));
        free(part);
    }

    free(all);
    spaces_clip_free(&clip);
    (void) fclose(rec.file);
}


/* any bytes of it are the same as when all of it is read */

static void
test_ranges(void **state)
{
    off_t          from, end;
    unsigned       i;
    uint8_t       *all, *part;
    recording_t    rec;
    spaces_clip_t  clip;

    rec = record(30 * RATE, 15, 1260, 100);

    assert_int_equal(spaces_clip_open(&clip, rec.fd, RATE, 29 * RATE),
                     SPACES_CLIP_OK);

    all = read_from(&clip, rec.fd, 0, clip.length);

    for (i = 0; i < 1500; i++) {
        from = (off_t) i * 104729 % clip.length;
        end = from + 1 + (off_t) i * 7 % (clip.length - from);

        part = read_from(&clip, rec.fd, from, end);
        assert_memory_equal(part, all + from, end - from);
        free(part);
    }

    free(all);
    spaces_clip_free(&clip);
    (void) fclose(rec.file);
}


static void
test_stable(void **state)
{
    uint8_t        *one, *two;
    recording_t     rec;
    spaces_clip_t   a, b;

    rec = record(5 * RATE, 5, 100, 0);

    assert_int_equal(spaces_clip_open(&a, rec.fd, 999, 4 * RATE),
                     SPACES_CLIP_OK);
    assert_int_equal(spaces_clip_open(&b, rec.fd, 999, 4 * RATE),
                     SPACES_CLIP_OK);

    assert_int_equal(a.length, b.length);

    one = read_from(&a, rec.fd, 0, a.length);
    two = read_from(&b, rec.fd, 0, b.length);
    assert_memory_equal(one, two, a.length);
    assert_int_not_equal(a.serial, SERIAL);

    spaces_clip_free(&b);
    assert_int_equal(spaces_clip_open(&b, rec.fd, 1000, 4 * RATE),
                     SPACES_CLIP_OK);
    assert_int_not_equal(a.serial, b.serial);

    free(one);
    free(two);
    spaces_clip_free(&a);
    spaces_clip_free(&b);
    (void) fclose(rec.file);
}


/* all that was read by this process, bytes */

static long
bytes_read(void)
{
    long   n;
    FILE  *file;

    file = fopen("/proc/self/io", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "rchar: %ld", &n), 1);
    (void) fclose(file);

    return n;
}


static void
test_long(void **state)
{
    int             i;
    long            before;
    off_t           at;
    int64_t         start;
    uint8_t        *part;
    recording_t     rec;
    spaces_clip_t   clip;

    rec = record((int64_t) 12 * 3600 * RATE, 1, 0, 0);

    for (i = 0; i < 12; i++) {
        start = ((int64_t) i * 3600 + 1234) * RATE + 1;

        before = bytes_read();
        check_span(&rec, start, start + RATE);
        assert_in_range(bytes_read() - before, 0, 5000000);
    }

    /* a long clip likewise, anywhere in it */

    assert_int_equal(spaces_clip_open(&clip, rec.fd, RATE, INT64_MAX),
                     SPACES_CLIP_OK);

    for (i = 1; i < 12; i++) {
        at = clip.length / 12 * i;

        before = bytes_read();
        part = read_from(&clip, rec.fd, at, at + 1000);
        assert_in_range(bytes_read() - before, 0, 1000000);
        free(part);
    }

    spaces_clip_free(&clip);
    (void) fclose(rec.file);
}


/* what comes of it is no matter, so it comes to an end */

static void
try_file(int fd, int64_t start, int64_t end)
{
    off_t           at;
    ssize_t         n;
    spaces_clip_t   clip;
    const uint8_t  *data;

    static uint8_t  buffer[SPACES_CLIP_BUFFER];

    if (spaces_clip_open(&clip, fd, start, end) != SPACES_CLIP_OK) {
        return;
    }

    assert_true(clip.length > 0);

    for (at = 0; at < clip.length; at += n) {
        n = spaces_clip_read(&clip, fd, at, buffer, &data);

        if (n == -1) {
            break;
        }

        assert_in_range(n, 1, clip.length - at);
    }

    (void) spaces_clip_read(&clip, fd, clip.length / 2, buffer, &data);

    spaces_clip_free(&clip);
}


static void
test_torn(void **state)
{
    off_t        size;
    recording_t  rec;

    rec = record(RATE, 15, 300, 0);

    for (size = rec.size; size >= 0; size -= 1 + size % 5) {
        assert_int_equal(ftruncate(rec.fd, size), 0);
        try_file(rec.fd, 1000, 20000);
        try_file(rec.fd, 0, INT64_MAX);
    }

    (void) fclose(rec.file);
}


/* bytes changed anywhere; "mend": in pages whose sum is right all the same */

static void
damage(int mend)
{
    int             i, j;
    size_t          at, len;
    uint32_t        random;
    uint8_t        *good, *bad;
    ogg_page        page;
    recording_t     rec;

    rec = record(RATE, 15, 300, 0);

    good = malloc((size_t) rec.size);
    bad = malloc((size_t) rec.size);
    assert_int_equal(pread(rec.fd, good, (size_t) rec.size, 0), rec.size);

    random = 1;

    for (i = 0; i < 3000; i++) {

        memcpy(bad, good, (size_t) rec.size);

        for (j = 0; j < 3; j++) {
            random = random * 1664525 + 1013904223;
            at = (random >> 8) % (size_t) rec.size;

            /* headers are more to the point than what is in packets */

            if (j) {
                while (at && memcmp(good + at, "OggS", 4) != 0) {
                    at--;
                }

                at += 5 + (random >> 4) % 25;
            }

            bad[at] = (uint8_t) (random >> 16);
        }

        for (at = 0; mend && at + 27 < (size_t) rec.size; at += len) {

            len = 27u + bad[at + 26];

            for (j = 0; j < bad[at + 26] && at + 27 + (size_t) j
                                            < (size_t) rec.size; j++)
            {
                len += bad[at + 27 + j];
            }

            if (at + len > (size_t) rec.size) {
                break;
            }

            page.header = bad + at;
            page.header_len = 27 + bad[at + 26];
            page.body = bad + at + page.header_len;
            page.body_len = (long) len - page.header_len;
            ogg_page_checksum_set(&page);
        }

        assert_int_equal(pwrite(rec.fd, bad, (size_t) rec.size, 0), rec.size);

        try_file(rec.fd, 10000, 30000);
        try_file(rec.fd, 0, INT64_MAX);
    }

    free(good);
    free(bad);
    (void) fclose(rec.file);
}


static void
test_damaged(void **state)
{
    damage(0);
}


static void
test_hostile(void **state)
{
    damage(1);
}


/* a page that is damaged in the file is no better in the clip */

static void
test_honest(void **state)
{
    size_t           good, bad, i;
    uint8_t         *all, byte;
    ogg_page         page;
    recording_t      rec;
    spaces_clip_t    clip;
    ogg_sync_state   sync;

    rec = record(3 * RATE, 1, 0, 0);

    assert_int_equal(pread(rec.fd, &byte, 1, rec.size / 2), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(rec.fd, &byte, 1, rec.size / 2), 1);

    assert_int_equal(spaces_clip_open(&clip, rec.fd, RATE / 2, 5 * RATE / 2),
                     SPACES_CLIP_OK);

    all = read_from(&clip, rec.fd, 0, clip.length);

    (void) ogg_sync_init(&sync);
    memcpy(ogg_sync_buffer(&sync, (long) clip.length), all,
           (size_t) clip.length);
    (void) ogg_sync_wrote(&sync, (long) clip.length);

    good = 0;
    bad = 0;

    for (i = 0; i < 100; i++) {

        switch (ogg_sync_pageout(&sync, &page)) {

        case 1:
            good++;
            break;

        case -1:
            bad++;
        }
    }

    assert_int_equal(bad, 1);
    assert_in_range(good, 19, 24);

    (void) ogg_sync_clear(&sync);
    free(all);
    spaces_clip_free(&clip);
    (void) fclose(rec.file);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_pretence),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_stable),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_honest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
