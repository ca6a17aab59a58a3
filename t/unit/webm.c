
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * spaces_webm_reader: blocks and laces of every kind, in pieces of every size,
 * and whatever else may come instead.
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spaces_webm_reader.h"


#define FRAME  960              /* of the packets here: 20 ms */


typedef struct {
    uint8_t  data[65536];
    size_t   len;
} document_t;


typedef struct {
    uint8_t  bytes[4096];
    size_t   len;
    int64_t  pts[512];
    int      trim;
    unsigned n;
    spaces_reader_status_e  status;
} result_t;


/* a packet of 20 ms of CELT, with its number in it */

static size_t
packet_of(uint8_t *p, unsigned n, size_t len)
{
    memset(p, (int) n, len);
    p[0] = 0xf8;

    return len;
}


static void
put(document_t *d, const void *data, size_t len)
{
    assert_true(d->len + len <= sizeof(d->data));
    memcpy(d->data + d->len, data, len);
    d->len += len;
}


/* an element: its id, and a size of eight bytes */

static void
element(document_t *d, uint32_t id, const void *data, size_t len)
{
    int      i;
    uint8_t  head[12];
    size_t   n;

    for (n = 0, i = 3; i >= 0; i--) {
        if (id >> (8 * i)) {
            head[n++] = (uint8_t) (id >> (8 * i));
        }
    }

    head[n++] = 0x01;

    for (i = 6; i >= 0; i--) {
        head[n++] = (uint8_t) ((uint64_t) len >> (8 * i));
    }

    put(d, head, n);
    put(d, data, len);
}


static void
unknown(document_t *d, const char *id, size_t len)
{
    put(d, id, len);
    put(d, "\xff", 1);
}


/* everything before the first cluster: a video track, then Opus */

static void
begin(document_t *d)
{
    static const uint8_t  head[] = "OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0";
    static document_t     entry;

    element(d, 0x1a45dfa3, "\x42\x82\x84webm", 7);
    unknown(d, "\x18\x53\x80\x67", 4);
    element(d, 0xec, "void", 4);

    entry.len = 0;
    element(&entry, 0xd7, "\x01", 1);
    element(&entry, 0x86, "V_VP8", 5);

    unknown(d, "\x16\x54\xae\x6b", 4);
    element(d, 0xae, entry.data, entry.len);

    entry.len = 0;
    element(&entry, 0xd7, "\x02", 1);
    element(&entry, 0x63a2, head, 19);
    element(&entry, 0x86, "A_OPUS", 6);
    element(d, 0xae, entry.data, entry.len);
}


static void
cluster(document_t *d, unsigned ms)
{
    uint8_t  time[2];

    time[0] = (uint8_t) (ms >> 8);
    time[1] = (uint8_t) ms;

    unknown(d, "\x1f\x43\xb6\x75", 4);
    element(d, 0xe7, time, 2);
}


/* the frames are those numbered from "n" on, each some bytes longer */

static size_t
block_of(uint8_t *p, unsigned track, unsigned ms, unsigned lacing,
    unsigned count, unsigned n)
{
    int       difference;
    size_t    len, at, sizes[16];
    unsigned  i;

    at = 0;
    p[at++] = (uint8_t) (0x80 | track);
    p[at++] = (uint8_t) (ms >> 8);
    p[at++] = (uint8_t) ms;
    p[at++] = (uint8_t) (lacing << 1);

    for (i = 0; i < count; i++) {
        sizes[i] = lacing == 2 ? 40 : 250 + 7 * (n + i);
    }

    if (lacing) {
        p[at++] = (uint8_t) (count - 1);
    }

    for (i = 0; lacing && i + 1 < count; i++) {

        if (lacing == 1) {
            for (len = sizes[i]; len >= 255; len -= 255) {
                p[at++] = 255;
            }

            p[at++] = (uint8_t) len;

        } else if (lacing == 3) {
            difference = i ? (int) sizes[i] - (int) sizes[i - 1] + 8191
                           : (int) sizes[i];
            p[at++] = (uint8_t) (0x40 | (difference >> 8));
            p[at++] = (uint8_t) difference;
        }
    }

    for (i = 0; i < count; i++) {
        at += packet_of(p + at, n + i, sizes[i]);
    }

    return at;
}


static void
simple(document_t *d, unsigned track, unsigned ms, unsigned lacing,
    unsigned count, unsigned n)
{
    uint8_t  block[16384];

    element(d, 0xa3, block, block_of(block, track, ms, lacing, count, n));
}


/* all of it, fed in pieces; the second byte of each packet is its number */

static void
read_all(const uint8_t *data, size_t len, size_t piece, result_t *result)
{
    size_t                  n, at;
    spaces_webm_reader_t   *reader;
    spaces_reader_packet_t  packet;

    memset(result, 0, sizeof(result_t));

    reader = malloc(sizeof(spaces_webm_reader_t));
    assert_non_null(reader);

    spaces_webm_reader_init(reader);

    for (at = 0; ; at += n) {

        for ( ;; ) {
            result->status = spaces_webm_reader_next(reader, &packet);

            if (result->status != SPACES_READER_PACKET) {
                break;
            }

            assert_true(packet.len > 0);
            assert_true(packet.len <= SPACES_OPUS_MAX_PACKET);
            assert_true(packet.duration >= 120 && packet.duration <= 5760);

            if (result->n < 512) {
                assert_true(result->n == 0
                            || packet.pts > result->pts[result->n - 1]);
                result->pts[result->n] = packet.pts;
                result->bytes[result->n++] = packet.len > 1 ? packet.data[1]
                                                            : 0;
            }

            result->trim = packet.trim;
        }

        if (result->status != SPACES_READER_AGAIN || at == len) {
            break;
        }

        n = piece < len - at ? piece : len - at;
        assert_int_equal(spaces_webm_reader_feed(reader, data + at, n), 0);
    }

    assert_true(reader->size <= 2 * SPACES_WEBM_MAX_ELEMENT + 65536);

    spaces_webm_reader_free(reader);
    free(reader);
}


static document_t  document;


/* blocks of every kind: 1 to 20, a hole, 21, and one that is trimmed */

static void
everything(void)
{
    size_t             len;
    uint8_t            block[16384];
    static document_t  group;

    document.len = 0;

    begin(&document);
    cluster(&document, 1000);
    simple(&document, 1, 0, 0, 1, 99);
    simple(&document, 2, 0, 0, 1, 1);
    simple(&document, 2, 20, 1, 5, 2);
    simple(&document, 2, 120, 2, 4, 7);
    simple(&document, 2, 200, 3, 6, 11);

    cluster(&document, 1320);

    group.len = 0;
    len = block_of(block, 2, 0, 3, 4, 17);
    element(&group, 0x9b, "\x50", 1);
    element(&group, 0xa1, block, len);
    element(&document, 0xa0, group.data, group.len);

    cluster(&document, 3400);

    group.len = 0;
    len = block_of(block, 2, 0, 0, 1, 21);
    element(&group, 0xa1, block, len);
    element(&group, 0x75a2, "\x7a\x12\x00", 3);     /* 8 ms in ns */
    element(&document, 0xa0, group.data, group.len);
}


static void
test_every_kind(void **state)
{
    size_t    piece;
    unsigned  i;
    result_t  result;

    everything();

    for (piece = 1; piece < document.len; piece = piece * 3 / 2 + 1) {
        read_all(document.data, document.len, piece, &result);

        assert_int_equal(result.status, SPACES_READER_AGAIN);
        assert_int_equal(result.n, 21);

        for (i = 0; i < 20; i++) {
            assert_int_equal(result.bytes[i], i + 1);
            assert_int_equal(result.pts[i], i * FRAME);
        }

        /* two seconds are missing, and none of it is made up */

        assert_int_equal(result.bytes[20], 21);
        assert_in_range(result.pts[20], 20 * FRAME + 95000,
                        20 * FRAME + 97000);
        assert_int_equal(result.trim, 8 * 48);
    }
}


/* a recorder that stopped and began again: its clock is at zero once more */

static void
test_segments(void **state)
{
    unsigned  i;
    result_t  result;

    document.len = 0;

    for (i = 0; i < 3; i++) {
        begin(&document);
        cluster(&document, 5000 * (3 - i));
        simple(&document, 2, 0, 1, 4, 1 + 4 * i);
    }

    read_all(document.data, document.len, 1000, &result);

    assert_int_equal(result.n, 12);

    for (i = 0; i < 12; i++) {
        assert_int_equal(result.bytes[i], i + 1);
        assert_int_equal(result.pts[i], i * FRAME);
    }
}


static void
test_refusals(void **state)
{
    result_t           result;
    static document_t  entry;

    read_all((const uint8_t *) "RIFF0000WEBP", 12, 12, &result);
    assert_int_equal(result.status, SPACES_READER_UNKNOWN);

    document.len = 0;
    element(&document, 0x1a45dfa3, "x", 1);
    unknown(&document, "\x18\x53\x80\x67", 4);
    cluster(&document, 0);
    read_all(document.data, document.len, 7, &result);
    assert_int_equal(result.status, SPACES_READER_NOT_OPUS);

    entry.len = 0;
    element(&entry, 0xd7, "\x01", 1);
    element(&entry, 0x86, "A_OPUS", 6);
    element(&entry, 0x63a2, "OpusHead\x01\x06\0\0\0\0\0\0\0\0\x01", 19);
    document.len = 0;
    element(&document, 0x1a45dfa3, "x", 1);
    unknown(&document, "\x18\x53\x80\x67", 4);
    element(&document, 0xae, entry.data, entry.len);
    cluster(&document, 0);
    read_all(document.data, document.len, 7, &result);
    assert_int_equal(result.status, SPACES_READER_UNSUPPORTED);

    document.len = 0;
    begin(&document);
    element(&document, 0x2ad7b1, "\0", 1);
    read_all(document.data, document.len, 7, &result);
    assert_int_equal(result.status, SPACES_READER_BROKEN);
}


/* lengths and times that lie, and noise: bounded, and no harm done */

static void
test_noise(void **state)
{
    size_t             at;
    unsigned           i, j, seed;
    result_t           result;
    static document_t  noisy;

    everything();

    for (seed = 1; seed <= 3000; seed++) {
        srand(seed);
        noisy = document;

        for (i = 0, j = 1 + (unsigned) rand() % 12; i < j; i++) {
            at = (size_t) rand() % noisy.len;

            switch (rand() % 3) {

            case 0:
                noisy.data[at] = (uint8_t) rand();
                break;

            case 1:
                noisy.data[at] ^= (uint8_t) (1 << rand() % 8);
                break;

            default:
                noisy.len = at + 1;
            }
        }

        read_all(noisy.data, noisy.len, 1 + (size_t) rand() % 3000, &result);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
