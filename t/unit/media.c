
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * src/media, without nginx.
 */


#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <opus/opus.h>

#include "spaces_ogg_reader.h"
#include "spaces_ogg_seek.h"
#include "spaces_ogg_tail.h"
#include "spaces_playout.h"


#define RING   65536


/* a stream that grows in memory */

typedef struct {
    uint8_t                 *data;
    size_t                   len;
    unsigned                 pages;
    spaces_playout_state_t   kept;
} stream_t;


static uint8_t  scratch_page[2 * SPACES_OGG_MAX_PAGE];


static void
append(stream_t *s, const void *data, size_t len)
{
    s->data = realloc(s->data, s->len + len);
    assert_non_null(s->data);

    memcpy(s->data + s->len, data, len);
    s->len += len;
}


static void
keep_page(spaces_playout_t *playout, const uint8_t *page, size_t len)
{
    stream_t  *s = playout->data;

    append(s, page, len);
    s->pages++;
    s->kept = playout->state;

    assert_int_equal(s->len, playout->state.head);

    spaces_playout_release(playout);
}


static spaces_packet_ring_t *
ring_new(size_t size)
{
    spaces_packet_ring_t  *ring;

    ring = malloc(spaces_packet_ring_size(size));
    assert_non_null(ring);

    spaces_packet_ring_init(ring, size);

    return ring;
}


static spaces_playout_t *
playout_new(stream_t *s)
{
    spaces_playout_t    *p;
    spaces_opus_head_t   head = { .channels = 2, .pre_skip = 312,
                                  .input_rate = 48000 };
    const char          *comments[] = { "TITLE=x" };

    memset(s, 0, sizeof(stream_t));

    p = calloc(1, sizeof(spaces_playout_t));
    assert_non_null(p);

    spaces_playout_init(p, 2);

    p->handler = keep_page;
    p->data = s;

    assert_int_equal(spaces_playout_join(p, 0, ring_new(RING), NULL, 200, 0,
                                         1),
                     0);

    spaces_playout_begin(p, 77, &head, comments, 1);

    return p;
}


static void
playout_free(spaces_playout_t *p)
{
    stream_t  *s = p->data;

    free(s->data);
    free(p->sources[0].ring);
    spaces_playout_free(p);
    free(p);
}


static void
drain(spaces_playout_t *p, int64_t now)
{
    while (spaces_playout_drain(p, now) != SPACES_PLAYOUT_COMPLETE) {
        /* void */
    }
}


static void
put(spaces_playout_t *p, int64_t pts, uint64_t arrival, unsigned flags,
    uint32_t mark)
{
    uint8_t          data[7] = { 0xf8, 0xff, 0xfe };
    spaces_packet_t  packet;

    memset(&packet, 0, sizeof(packet));

    memcpy(&data[3], &mark, 4);

    packet.len = (flags & SPACES_PACKET_END) ? 0 : sizeof(data);
    packet.flags = flags;
    packet.duration = (flags & SPACES_PACKET_END) ? mark : 960;
    packet.pts = pts;
    packet.arrival = arrival;

    assert_int_equal(spaces_packet_ring_write(p->sources[0].ring, &packet,
                                              data),
                     0);
}


/* the marks of put() in a stream, 0 for what was filled in */

static size_t
read_marks(stream_t *s, uint32_t *marks, int64_t *samples)
{
    size_t                 n;
    spaces_reader_packet_t    packet;
    spaces_ogg_reader_t    reader;

    assert_int_equal(spaces_ogg_reader_init(&reader), 0);
    assert_int_equal(spaces_ogg_reader_feed(&reader, s->data, s->len), 0);

    *samples = 0;

    for (n = 0;
         spaces_ogg_reader_next(&reader, &packet) == SPACES_READER_PACKET;
         n++)
    {
        marks[n] = 0;

        if (packet.len == 7) {
            memcpy(&marks[n], packet.data + 3, 4);
        }

        assert_int_equal(packet.pts, *samples);
        *samples += packet.duration;
    }

    assert_int_equal(reader.damage.skipped, 0);
    assert_int_equal(reader.damage.holes, 0);
    assert_int_equal(reader.damage.bad_packets, 0);

    spaces_ogg_reader_free(&reader);

    return n;
}


static void
test_duration(void **state)
{
    uint8_t  p[4] = { 0, 0, 0, 0 };

    p[0] = 0xe0;
    assert_int_equal(spaces_opus_duration(p, 3), 120);
    p[0] = 0xf8;
    assert_int_equal(spaces_opus_duration(p, 3), 960);
    assert_int_equal(spaces_opus_duration(p, 1), 960);
    p[0] = 0x18;                                    /* SILK, 60 ms */
    assert_int_equal(spaces_opus_duration(p, 3), 2880);
    p[0] = 0xf9;                                    /* two of equal size */
    assert_int_equal(spaces_opus_duration(p, 3), 1920);
    assert_int_equal(spaces_opus_duration(p, 4), -1);
    p[0] = 0xfb;                                    /* code 3, no frames */
    assert_int_equal(spaces_opus_duration(p, 3), -1);
    p[0] = 0x1b;                                    /* 3 of 60 ms */
    p[1] = 3;
    assert_int_equal(spaces_opus_duration(p, 2), -1);
    assert_int_equal(spaces_opus_duration(p, 0), -1);
    assert_int_equal(spaces_opus_duration(p, SPACES_OPUS_MAX_PACKET + 1), -1);
}


/* each filler decodes, to its duration, and to silence */

static void
test_filler(void **state)
{
    int           i, n, err, toc, duration, peak;
    size_t        len;
    int16_t       pcm[2 * 5760];
    uint8_t       p[SPACES_OPUS_FILLER];
    OpusDecoder  *decoder;

    decoder = opus_decoder_create(48000, 2, &err);
    assert_non_null(decoder);

    for (n = 0; n < 6000; n += 40) {
        len = spaces_opus_filler(p, SPACES_OPUS_NO_TOC, n, &duration);

        if (n < 120) {
            assert_int_equal(len, 0);
            continue;
        }

        assert_true(duration <= n);
        assert_int_equal(spaces_opus_duration(p, len), duration);
        assert_int_equal(opus_decode(decoder, p, (int) len, pcm, 5760, 0),
                         duration);

        for (peak = 0, i = 0; i < 2 * duration; i++) {
            peak = abs(pcm[i]) > peak ? abs(pcm[i]) : peak;
        }

        assert_int_equal(peak, 0);
    }

    for (toc = 0; toc < 256; toc++) {
        len = spaces_opus_filler(p, toc, 5760, &duration);

        assert_int_equal(len, 1);
        assert_int_equal(spaces_opus_duration(p, 1), duration);
        assert_int_equal(opus_decode(decoder, p, 1, pcm, 5760, 0), duration);
    }

    /* a gap that is shorter than a frame of that kind */

    len = spaces_opus_filler(p, 0x18, 960, &duration);
    assert_int_equal(len, 3);
    assert_int_equal(duration, 960);

    opus_decoder_destroy(decoder);
}


static void
test_head(void **state)
{
    uint8_t              p[SPACES_OPUS_HEAD_SIZE];
    spaces_opus_head_t   head = { 2, 3840, 44100, -512 }, back;

    spaces_opus_head_write(&head, p);

    assert_int_equal(spaces_opus_head_parse(&back, p, sizeof(p)),
                     SPACES_OPUS_HEAD_OK);
    assert_int_equal(back.channels, 2);
    assert_int_equal(back.pre_skip, 3840);
    assert_int_equal(back.input_rate, 44100);
    assert_int_equal(back.gain, -512);

    assert_int_equal(spaces_opus_head_parse(&back, p, sizeof(p) - 1),
                     SPACES_OPUS_HEAD_BROKEN);
    p[9] = 0;
    assert_int_equal(spaces_opus_head_parse(&back, p, sizeof(p)),
                     SPACES_OPUS_HEAD_BROKEN);
    p[9] = 3;
    assert_int_equal(spaces_opus_head_parse(&back, p, sizeof(p)),
                     SPACES_OPUS_HEAD_UNSUPPORTED);
    p[9] = 1;
    p[18] = 1;
    assert_int_equal(spaces_opus_head_parse(&back, p, sizeof(p)),
                     SPACES_OPUS_HEAD_UNSUPPORTED);
    p[18] = 0;
    p[8] = 0x10;
    assert_int_equal(spaces_opus_head_parse(&back, p, sizeof(p)),
                     SPACES_OPUS_HEAD_UNSUPPORTED);
    p[8] = 0x0f;
    assert_int_equal(spaces_opus_head_parse(&back, p, sizeof(p)),
                     SPACES_OPUS_HEAD_OK);
    p[0] = 'o';
    assert_int_equal(spaces_opus_head_parse(&back, p, sizeof(p)),
                     SPACES_OPUS_HEAD_BROKEN);
}


static void
test_tags(void **state)
{
    size_t       len;
    uint8_t      p[64];
    const char  *comments[] = { "A=1", "TOO=long for so small a buffer", "B=2" };

    len = spaces_opus_tags_write(p, 40, "v", comments, 3);

    assert_int_equal(len, 8 + 4 + 1 + 4 + 2 * (4 + 3));
    assert_int_equal(p[13], 2);
    assert_memory_equal(&p[21], "A=1", 3);
    assert_memory_equal(&p[28], "B=2", 3);
    assert_int_equal(spaces_opus_tags_write(p, 16, "v", comments, 0), 0);
}


/* every length of a packet through writer and reader, in bites of any size */

static void
test_round_trip(void **state)
{
    int                   i;
    size_t                at, bite, n, len;
    uint8_t               packet[SPACES_OPUS_MAX_PACKET];
    stream_t              s = { 0 };
    const size_t          lens[] = { 3, 254, 255, 256, 509, 510, 511, 1275,
                                     5000, 61439, 61440, 7 };
    spaces_opus_head_t    head = { 2, 312, 48000, 0 };
    spaces_reader_packet_t   out;
    spaces_ogg_reader_t   reader;
    spaces_ogg_writer_t  *w;

    w = malloc(sizeof(spaces_ogg_writer_t));
    assert_non_null(w);

    len = spaces_ogg_writer_begin(w, 5, &head, NULL, 0, scratch_page);
    append(&s, scratch_page, len);

    for (i = 0; i < 12; i++) {
        memset(packet, i, lens[i]);
        packet[0] = 0xf8;

        if (lens[i] > 1276) {

            /* padding, by RFC 6716, 3.2.5, around a frame of 100 bytes */

            packet[0] = 0xfb;
            packet[1] = 0x41;

            n = (lens[i] - 103) / 255;
            memset(&packet[2], 255, n);
            packet[2 + n] = (lens[i] - 103) % 255;
        }

        assert_int_equal(spaces_opus_duration(packet, lens[i]), 960);

        if (!spaces_ogg_writer_fits(w, lens[i])) {
            append(&s, scratch_page,
                   spaces_ogg_writer_flush(w, 0, scratch_page));
        }

        spaces_ogg_writer_add(w, packet, lens[i], 960);
    }

    append(&s, scratch_page,
           spaces_ogg_writer_flush(w, SPACES_OGG_EOS, scratch_page));

    for (bite = 1; bite < s.len + 5; bite = bite * 3 + 1) {

        assert_int_equal(spaces_ogg_reader_init(&reader), 0);

        for (n = 0, at = 0; /* void */ ; /* void */ ) {

            switch (spaces_ogg_reader_next(&reader, &out)) {

            case SPACES_READER_PACKET:
                assert_int_equal(out.duration, 960);
                n++;
                continue;

            case SPACES_READER_AGAIN:
                break;

            default:
                fail();
            }

            if (at == s.len) {
                break;
            }

            len = s.len - at < bite ? s.len - at : bite;
            assert_int_equal(spaces_ogg_reader_feed(&reader, s.data + at,
                                                    len), 0);
            at += len;
        }

        assert_int_equal(n, 12);
        assert_int_equal(reader.damage.bad_packets, 0);
        assert_int_equal(reader.head.pre_skip, 312);

        spaces_ogg_reader_free(&reader);
    }

    free(s.data);
    free(w);
}


/* a page of the given lacing: what the writer never writes */

static void
raw_page(stream_t *s, int flags, int64_t granule, uint32_t sequence,
    const uint8_t *lacing, int n, const uint8_t *body, size_t len)
{
    int       i;
    uint8_t   header[27 + 255];
    ogg_page  page;

    memset(header, 0, sizeof(header));
    memcpy(header, "OggS", 4);
    header[5] = (uint8_t) flags;

    for (i = 0; i < 8; i++) {
        header[6 + i] = (uint8_t) ((uint64_t) granule >> (8 * i));
    }

    header[14] = 5;
    header[18] = (uint8_t) sequence;
    header[26] = (uint8_t) n;
    memcpy(&header[27], lacing, n);

    page.header = header;
    page.header_len = 27 + n;
    page.body = (uint8_t *) body;
    page.body_len = (long) len;

    ogg_page_checksum_set(&page);

    append(s, header, 27 + n);
    append(s, body, len);
}


static void
headers(stream_t *s)
{
    spaces_opus_head_t    head = { 2, 312, 48000, 0 };
    spaces_ogg_writer_t  *w;

    memset(s, 0, sizeof(stream_t));

    w = malloc(sizeof(spaces_ogg_writer_t));
    assert_non_null(w);

    append(s, scratch_page,
           spaces_ogg_writer_begin(w, 5, &head, NULL, 0, scratch_page));
    free(w);
}


/* packets over page bounds, one of a multiple of 255 bytes */

static void
test_continued(void **state)
{
    uint8_t               body[1000], lacing[4];
    stream_t              s;
    spaces_reader_packet_t   out;
    spaces_ogg_reader_t   reader;

    headers(&s);

    memset(body, 0, sizeof(body));
    body[0] = 0xf8;
    lacing[0] = 255;
    raw_page(&s, 0, -1, 2, lacing, 1, body, 255);

    /* its end is empty, then one of 50 bytes, then the start of another */

    lacing[0] = 0;
    lacing[1] = 50;
    lacing[2] = 255;
    body[50] = 0xf8;
    raw_page(&s, 1, 1920, 3, lacing, 3, body, 305);
    body[0] = 0;
    lacing[0] = 10;
    raw_page(&s, 1 | 4, 2880, 4, lacing, 1, body, 10);

    assert_int_equal(spaces_ogg_reader_init(&reader), 0);
    assert_int_equal(spaces_ogg_reader_feed(&reader, s.data, s.len), 0);

    assert_int_equal(spaces_ogg_reader_next(&reader, &out), SPACES_READER_PACKET);
    assert_int_equal(out.len, 255);
    assert_int_equal(spaces_ogg_reader_next(&reader, &out), SPACES_READER_PACKET);
    assert_int_equal(out.len, 50);
    assert_int_equal(spaces_ogg_reader_next(&reader, &out), SPACES_READER_PACKET);
    assert_int_equal(out.len, 265);
    assert_int_equal(out.pts, 1920);
    assert_int_equal(spaces_ogg_reader_next(&reader, &out), SPACES_READER_AGAIN);
    assert_int_equal(reader.damage.bad_packets, 0);

    spaces_ogg_reader_free(&reader);
    free(s.data);
}


/* a packet that never ends does not grow in memory */

static void
test_endless_packet(void **state)
{
    int                   i;
    uint8_t               lacing[255];
    stream_t              s;
    spaces_reader_packet_t   out;
    spaces_ogg_reader_t   reader;

    headers(&s);

    memset(lacing, 255, sizeof(lacing));
    memset(scratch_page, 0, 255 * 255);

    for (i = 0; i < 5; i++) {
        raw_page(&s, i ? 1 : 0, -1, 2 + i, lacing, 255, scratch_page,
                 255 * 255);
    }

    lacing[0] = 1;
    raw_page(&s, 1, 960, 7, lacing, 1, scratch_page, 1);
    lacing[0] = 3;
    raw_page(&s, 0, 1920, 8, lacing, 1, (uint8_t *) "\xf8\xff\xfe", 3);

    assert_int_equal(spaces_ogg_reader_init(&reader), 0);
    assert_int_equal(spaces_ogg_reader_feed(&reader, s.data, s.len), 0);
    assert_int_equal(spaces_ogg_reader_next(&reader, &out), SPACES_READER_PACKET);
    assert_int_equal(out.len, 3);
    assert_int_equal(reader.damage.bad_packets, 1);

    spaces_ogg_reader_free(&reader);
    free(s.data);
}


static void
test_ring(void **state)
{
    int                      i;
    uint8_t                  data[600];
    spaces_packet_t          packet, got;
    spaces_packet_ring_t    *ring;
    spaces_packet_cursor_t   cursor = { 0, 0 };

    ring = malloc(spaces_packet_ring_size(4096));
    assert_non_null(ring);

    spaces_packet_ring_init(ring, 4096);
    memset(&packet, 0, sizeof(packet));

    for (i = 0; i < 10000; i++) {
        packet.len = 1 + i % 599;
        packet.duration = 960;
        packet.pts = i;
        memset(data, i & 255, sizeof(data));

        assert_int_equal(spaces_packet_ring_write(ring, &packet, data), 0);

        if (i % 3 == 2) {
            while (spaces_packet_ring_peek(ring, &cursor, &got) == 0) {
                spaces_packet_ring_take(ring, &cursor, &got, data);
                assert_int_equal(data[got.len - 1], got.pts & 255);
            }

            spaces_packet_ring_release(ring, &cursor);
            assert_int_equal(spaces_packet_ring_queued(ring), 0);
        }
    }

    /* what is not given back is not written over */

    packet.len = 600;

    for (i = 0; spaces_packet_ring_write(ring, &packet, data) == 0; i++) {
        assert_true(i < 7);
    }

    assert_int_equal(spaces_packet_ring_queued(ring), (i + 1) * 960);
    free(ring);
}


/* the clock: packets wait their time, and are played at it */

static void
test_playout(void **state)
{
    int                i;
    size_t             n;
    int64_t            samples;
    uint32_t           marks[200];
    stream_t           s;
    spaces_playout_t  *p;

    p = playout_new(&s);

    assert_int_equal(spaces_playout_run(p, 1000), SPACES_PLAYOUT_WAITING);

    for (i = 0; i < 50; i++) {
        put(p, i * 960, 1000, i ? 0 : SPACES_PACKET_FRESH, i + 1);
    }

    put(p, 0, 1000, SPACES_PACKET_END, 100);

    assert_int_equal(spaces_playout_run(p, 1100), SPACES_PLAYOUT_WAITING);
    assert_int_equal(spaces_playout_run(p, 1200), SPACES_PLAYOUT_PLAYING);
    assert_int_equal(p->state.granule, 0);
    assert_int_equal(spaces_playout_run(p, 1700), SPACES_PLAYOUT_PLAYING);
    assert_int_equal(p->state.granule, 24000);
    assert_int_equal(spaces_playout_run(p, 2220), SPACES_PLAYOUT_COMPLETE);

    spaces_playout_finish(p);

    n = read_marks(&s, marks, &samples);
    assert_int_equal(n, 50);

    for (i = 0; i < 50; i++) {
        assert_int_equal(marks[i], i + 1);
    }

    assert_int_equal(p->state.granule, 48000 - 100);
    playout_free(p);
}


/* nothing comes, then comes back: the stream follows the wall */

static void
test_playout_gap(void **state)
{
    int                i;
    size_t             n;
    int64_t            now, samples;
    uint32_t           marks[1000];
    stream_t           s;
    spaces_playout_t  *p;

    p = playout_new(&s);

    for (i = 0; i < 10; i++) {
        put(p, i * 960, 0, i ? 0 : SPACES_PACKET_FRESH, i + 1);
    }

    for (now = 200; now < 3000; now += 20) {
        spaces_playout_run(p, now);
    }

    for (i = 0; i < 10; i++) {
        put(p, i * 960, 3000, i ? 0 : SPACES_PACKET_FRESH, i + 11);
    }

    for (now = 3000; now <= 4000; now += 20) {
        spaces_playout_run(p, now);
        assert_in_range(p->state.granule, (now - 200) * 48,
                        (now - 200) * 48 + 960);
    }

    /* a stall of a second and a half is caught up with, not in one go */

    spaces_playout_run(p, 5500);
    assert_in_range(p->state.granule, 0, 4800 * 48 + 960);
    spaces_playout_run(p, 5501);
    assert_in_range(p->state.granule, 5301 * 48, 5301 * 48 + 960);

    spaces_playout_finish(p);

    n = read_marks(&s, marks, &samples);
    assert_true(n > 200);
    assert_int_equal(marks[9], 10);
    assert_int_equal(marks[10], 0);

    for (i = 10; marks[i] == 0; i++) { /* void */ }

    /* it came after 2.8 s, and waited 200 ms for more */

    assert_in_range(i, 149, 151);
    assert_int_equal(marks[i], 11);
    assert_int_equal(marks[i + 9], 20);
    playout_free(p);
}


/* an owner that dies anywhere is followed by one that loses nothing */

static void
test_playout_takeover(void **state)
{
    int                     i, killed;
    size_t                  n;
    int64_t                 now, samples;
    uint32_t                marks[400];
    stream_t                s;
    spaces_playout_t       *p, *next;

    p = playout_new(&s);

    for (i = 0; i < 150; i++) {
        put(p, i * 960, 0, i ? 0 : SPACES_PACKET_FRESH, i + 1);
    }

    killed = 0;

    for (now = 200; now < 4000; now += 20) {

        if (spaces_playout_run(p, now) == SPACES_PLAYOUT_COMPLETE) {
            break;
        }

        if (now % 140 == 0) {
            killed++;

            next = calloc(1, sizeof(spaces_playout_t));
            assert_non_null(next);

            spaces_playout_init(next, 2);

            next->handler = p->handler;
            next->data = p->data;

            spaces_playout_resume(next, &s.kept);

            assert_int_equal(spaces_playout_join(next, 0, p->sources[0].ring,
                                                 NULL, 200, 0, 1),
                             0);

            spaces_playout_free(p);
            free(p);
            p = next;
        }
    }

    assert_true(killed > 20);
    spaces_playout_finish(p);

    n = read_marks(&s, marks, &samples);
    assert_true(n >= 150);

    for (i = 0; i < 150; i++) {
        assert_int_equal(marks[i], i + 1);
    }

    playout_free(p);
}


/* a clock that runs away makes no hours of silence */

static void
test_playout_hostile(void **state)
{
    int                i;
    stream_t           s;
    spaces_playout_t  *p;

    p = playout_new(&s);

    for (i = 0; i < 500; i++) {
        put(p, (int64_t) i * 60 * 48000, 0, i ? 0 : SPACES_PACKET_FRESH, i);
    }

    spaces_playout_run(p, 200);
    drain(p, 1200);
    spaces_playout_finish(p);

    assert_in_range(p->state.granule, 500 * 960, 500 * 960 + 49000);
    playout_free(p);
}


static int
file_of(stream_t *s, size_t len)
{
    int   fd;
    char  name[] = "/tmp/spaces-unit-XXXXXX";

    fd = mkstemp(name);
    assert_true(fd != -1);
    (void) unlink(name);

    assert_int_equal(write(fd, s->data, len), len);

    return fd;
}


/* a file cut at any byte is good up to the page before */

static void
test_tail(void **state)
{
    int                 i, fd;
    off_t               end;
    size_t              n, len;
    stream_t            s;
    ogg_page            page;
    uint8_t             noise[4096];
    spaces_playout_t   *p;
    spaces_ogg_tail_t   tail;

    p = playout_new(&s);

    for (i = 0; i < 100; i++) {
        put(p, i * 960, 0, i ? 0 : SPACES_PACKET_FRESH, i + 1);
    }

    drain(p, 0);
    spaces_playout_finish(p);

    end = 0;

    for (len = 0; len <= s.len; len++) {
        fd = file_of(&s, len);
        i = spaces_ogg_tail_find(fd, &tail);

        if (i == 1) {
            assert_int_equal(end, 0);
            close(fd);
            continue;
        }

        assert_int_equal(i, 0);
        assert_true(tail.end >= end && tail.end <= (off_t) len);
        assert_int_equal(tail.serial, 77);
        assert_int_equal(tail.pre_skip, 312);
        assert_int_equal(tail.granule % 960, 0);
        end = tail.end;

        assert_int_equal(spaces_ogg_tail_cut(fd, &tail), 0);
        assert_int_equal(spaces_ogg_tail_close(fd, &tail), 0);
        assert_int_equal(spaces_ogg_tail_find(fd, &tail), 0);
        assert_int_equal(tail.end, end);
        assert_true(tail.eos);
        close(fd);
    }

    assert_int_equal(end, s.len);

    /* much that is nothing behind it: further back than a look */

    memset(noise, 0, sizeof(noise));
    fd = file_of(&s, s.len);

    for (i = 0; i < 200; i++) {
        assert_int_equal(write(fd, noise, sizeof(noise)), sizeof(noise));
    }

    assert_int_equal(spaces_ogg_tail_find(fd, &tail), 0);
    assert_int_equal(tail.end, end);
    close(fd);

    /* what is none, and what isn't even a file */

    fd = file_of(&s, 40);
    assert_int_equal(spaces_ogg_tail_find(fd, &tail), 1);
    close(fd);

    /* headers alone, whatever granule the first one has */

    n = spaces_ogg_page_len(s.data, s.len);
    memset(&s.data[6], 1, 8);
    page.header = s.data;
    page.header_len = 28;
    page.body = &s.data[28];
    page.body_len = (long) n - 28;
    ogg_page_checksum_set(&page);

    fd = file_of(&s, n);
    assert_int_equal(spaces_ogg_tail_find(fd, &tail), 1);
    close(fd);

    assert_int_equal(spaces_ogg_tail_find(-1, &tail), -1);
    assert_int_equal(errno, EBADF);

    playout_free(p);
}


/* no bytes crash the reader, whatever they are */

static void
test_noise(void **state)
{
    int                   i, round;
    size_t                at, len;
    stream_t              s;
    uint8_t              *copy;
    spaces_playout_t     *p;
    spaces_reader_packet_t   out;
    spaces_ogg_reader_t   reader;
    spaces_reader_status_e   status;

    p = playout_new(&s);

    for (i = 0; i < 60; i++) {
        put(p, i * 960, 0, i ? 0 : SPACES_PACKET_FRESH, i + 1);
    }

    drain(p, 0);
    spaces_playout_finish(p);

    copy = malloc(s.len);
    assert_non_null(copy);
    srand(1);

    for (round = 0; round < 3000; round++) {
        memcpy(copy, s.data, s.len);

        for (i = rand() % 8; i >= 0; i--) {
            copy[rand() % s.len] = (uint8_t) rand();
        }

        assert_int_equal(spaces_ogg_reader_init(&reader), 0);

        for (at = 0; at < s.len; at += len) {
            len = 1 + rand() % 500;
            len = len > s.len - at ? s.len - at : len;
            assert_int_equal(spaces_ogg_reader_feed(&reader, copy + at, len),
                             0);

            do {
                status = spaces_ogg_reader_next(&reader, &out);

                if (status == SPACES_READER_PACKET) {
                    assert_int_equal(spaces_opus_duration(out.data, out.len),
                                     out.duration);
                }
            } while (status == SPACES_READER_PACKET);

            if (status != SPACES_READER_AGAIN) {
                break;
            }
        }

        spaces_ogg_reader_free(&reader);
    }

    free(copy);
    playout_free(p);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_filler),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_continued),
        cmocka_unit_test(test_endless_packet),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_playout),
        cmocka_unit_test(test_playout_gap),
        cmocka_unit_test(test_playout_takeover),
        cmocka_unit_test(test_playout_hostile),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
