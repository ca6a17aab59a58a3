
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ogg/ogg.h>

#include "spaces_ogg_seek.h"
#include "room.h"


#define HOST_RING   65536
#define GUEST_RING  16384
#define RETURNS     8192


static int64_t
get_le(const uint8_t *p, int n)
{
    uint64_t  value;

    for (value = 0; n--; /* void */ ) {
        value = value << 8 | p[n];
    }

    return (int64_t) value;
}


static void
check_sum(const uint8_t *data, size_t len)
{
    uint8_t   header[SPACES_OGG_MAX_HEADER_SIZE];
    ogg_page  page;

    page.header_len = 27 + data[26];
    page.header = memcpy(header, data, page.header_len);
    page.body = (uint8_t *) data + page.header_len;
    page.body_len = (long) (len - page.header_len);

    ogg_page_checksum_set(&page);
    assert_memory_equal(header, data, page.header_len);
}


/* what somebody who looks for pages finds in it: itself, and no other */

static void
check_alone(const uint8_t *data, size_t len, uint32_t serial)
{
    size_t  i;

    for (i = 1; i + 18 <= len; i++) {
        assert_false(memcmp(data + i, "OggS", 4) == 0
                     && get_le(data + i + 14, 4) == serial);
    }
}


/* every page of every test: the stream is whole and its clock right */

static void
room_page(spaces_playout_t *playout, const uint8_t *page, size_t len)
{
    int             duration;
    long            n;
    size_t          at;
    room_t         *room = playout->data;
    int64_t         samples;
    unsigned        segment, packets;
    const uint8_t  *packet;

    room->bytes += len;
    room->kept = playout->state;

    assert_int_equal(playout->state.head, room->bytes);

    if (room->bytes == len) {
        room->sequence = 2;
        return;
    }

    assert_false(room->ended);
    assert_int_equal(spaces_ogg_whole(page, len), len);
    assert_int_equal(get_le(page + 14, 4), playout->state.serial);
    assert_int_equal(get_le(page + 18, 4), room->sequence++);
    assert_int_equal(playout->state.sequence, room->sequence);
    check_sum(page, len);
    check_alone(page, len, playout->state.serial);

    at = 0;
    segment = 0;
    samples = 0;
    packets = 0;

    while ((n = spaces_ogg_packet_of(page, len, &at, &segment, &packet)) >= 0)
    {
        duration = spaces_opus_duration(packet, n);
        assert_int_not_equal(duration, -1);

        if (!room->forget) {
            track_add(&room->out, packet, (int) n, duration,
                      room->granule + samples);
        }

        samples += duration;
        packets++;
    }

    assert_true(packets > 0);
    assert_true(samples <= RATE / 10 || packets == 1);

    room->granule += samples;
    room->ended = page[5] & SPACES_OGG_EOS;
    room->pages++;

    assert_true(get_le(page + 6, 8) == room->granule
                || (room->ended && get_le(page + 6, 8) < room->granule));
    assert_int_equal(playout->state.granule, get_le(page + 6, 8));

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
playout_new(room_t *room, unsigned n, int channels, int bitrate)
{
    spaces_playout_t  *playout;

    playout = malloc(sizeof(spaces_playout_t));
    assert_non_null(playout);

    spaces_playout_init(playout, n);

    playout->handler = room_page;
    playout->data = room;
    playout->channels = channels;
    playout->bitrate = bitrate;

    return playout;
}


room_t *
room_new(unsigned n, int channels, int bitrate)
{
    unsigned             i;
    room_t              *room;
    spaces_opus_head_t   head = { .channels = channels, .pre_skip = 312,
                                  .input_rate = RATE };

    room = calloc(1, sizeof(room_t));
    assert_non_null(room);

    room->n = n;
    room->now = 100000;
    room->seed = 1;
    room->playout = playout_new(room, n, channels, bitrate);

    for (i = 0; i < n; i++) {
        room->speakers[i].ring = ring_new(i ? GUEST_RING : HOST_RING);
        room->speakers[i].returns = ring_new(RETURNS);
        room->speakers[i].margin = 200;
    }

    spaces_playout_begin(room->playout, 77, &head, NULL, 0);

    return room;
}


void
room_free(room_t *room)
{
    unsigned  i;

    for (i = 0; i < room->n; i++) {
        free(room->speakers[i].ring);
        free(room->speakers[i].returns);
        track_free(&room->speakers[i].heard);
    }

    spaces_playout_free(room->playout);
    track_free(&room->out);
    free(room->playout);
    free(room);
}


static void
room_join(room_t *room, unsigned i)
{
    speaker_t  *s;

    s = &room->speakers[i];

    assert_int_equal(spaces_playout_join(room->playout, i, s->ring,
                                         s->returns, s->margin, s->gain,
                                         i == 0),
                     0);
}


/* a speaker at a place that begins now */

speaker_t *
room_speak(room_t *room, unsigned i, const track_t *clip)
{
    speaker_t  *s;

    s = &room->speakers[i];

    s->clip = clip;
    s->next = 0;
    s->pts = 0;
    s->fresh = 1;
    s->pace = 1;
    s->due = (double) room->now;

    if (clip) {
        s->due += clip->pieces[0].duration / 48.0;
    }

    room_join(room, i);

    return s;
}


int
room_write(room_t *room, unsigned i, const uint8_t *data, int len,
    int duration, int64_t pts, int flags)
{
    speaker_t        *s;
    spaces_packet_t   packet;

    s = &room->speakers[i];

    memset(&packet, 0, sizeof(packet));

    packet.len = len;
    packet.duration = duration;
    packet.flags = flags | (s->fresh ? SPACES_PACKET_FRESH : 0);
    packet.pts = pts;
    packet.arrival = s->arrival > (uint64_t) room->now ? s->arrival
                                                       : (uint64_t) room->now;
    packet.reserved = (uint32_t) s->next;

    if (spaces_packet_ring_write(s->ring, &packet, data) != 0) {
        return -1;
    }

    s->fresh = 0;
    s->sent++;

    return 0;
}


void
room_end(room_t *room, unsigned i, int trim)
{
    assert_int_equal(room_write(room, i, (const uint8_t *) "", 0, trim, 0,
                                SPACES_PACKET_END),
                     0);
    room->speakers[i].clip = NULL;
}


/* what of the speaker's recording has come by now; in order, as TCP does */

void
room_send(room_t *room, unsigned i)
{
    speaker_t      *s;
    const piece_t  *piece;

    s = &room->speakers[i];

    while (s->clip && s->due <= (double) room->now) {

        if (s->next == s->clip->n) {

            if (!s->loop) {
                return;
            }

            s->next = 0;
        }

        if (s->arrival > (uint64_t) room->now) {
            return;
        }

        piece = &s->clip->pieces[s->next];

        if ((int) (chance(&room->seed) % 100) >= s->loss
            && room_write(room, i, s->clip->data + piece->at, piece->len,
                          piece->duration, s->pts, 0)
               != 0)
        {
            return;
        }

        s->next++;
        s->pts += piece->duration;

        piece = &s->clip->pieces[s->next % s->clip->n];
        s->due += piece->duration / 48.0 * s->pace;

        if (s->jitter) {
            s->arrival = (uint64_t) s->due + chance(&room->seed) % s->jitter;
        }
    }
}


static int
speaker_is_loud(const speaker_t *s, size_t next)
{
    double  t;

    if (s->voice == NULL) {
        return 0;
    }

    t = (double) s->clip->pieces[next].pts / RATE;

    return t >= s->voice->on && t < s->voice->off;
}


static int
jitter_took(const spaces_jitter_t *jitter, uint64_t bytes)
{
    unsigned  i;

    for (i = 0; i < SPACES_JITTER_HISTORY && i < jitter->taken; i++) {

        if (jitter->history[i].bytes == bytes) {
            return 1;
        }
    }

    return 0;
}


/* whether all packets that were passed since the last tick were taken */

static int
room_took_all(const speaker_t *s, const spaces_jitter_t *jitter)
{
    unsigned                n;
    spaces_packet_t         packet;
    spaces_packet_cursor_t  cursor;

    cursor = s->seen;

    for (n = 0; cursor.bytes < jitter->cursor.bytes; n++) {
        assert_int_equal(spaces_packet_ring_peek(s->ring, &cursor, &packet),
                         0);
        spaces_packet_ring_pass(&cursor, &packet);
    }

    return jitter->anchor == s->anchor && jitter->taken - s->taken == n;
}


/* what the playout has taken from a ring in this tick, and how old it was */

static void
room_watch(room_t *room, unsigned i)
{
    int                     all;
    int64_t                 delay;
    speaker_t              *s;
    spaces_packet_t         packet;
    const spaces_jitter_t  *jitter;

    s = &room->speakers[i];
    jitter = &room->playout->state.sources[i];

    all = room_took_all(s, jitter);

    s->anchor = jitter->anchor;
    s->taken = jitter->taken;

    while (s->seen.bytes < jitter->cursor.bytes) {
        assert_int_equal(spaces_packet_ring_peek(s->ring, &s->seen, &packet),
                         0);

        delay = room->now - (int64_t) packet.arrival;

        if (packet.flags & SPACES_PACKET_END) {
            /* void */

        } else if (all || jitter_took(jitter, s->seen.bytes)) {
            s->played++;
            s->delay = delay > s->delay ? delay : s->delay;

        } else {
            s->shed++;
            s->shed_loud += s->clip && speaker_is_loud(s, packet.reserved);
        }

        spaces_packet_ring_pass(&s->seen, &packet);
    }
}


/* what the others say, as a speaker gets it */

static void
room_hear(room_t *room, unsigned i)
{
    speaker_t        *s;
    uint8_t           data[SPACES_OPUS_MAX_PACKET];
    spaces_packet_t   packet;

    s = &room->speakers[i];

    while (spaces_packet_ring_peek(s->returns, &s->got, &packet) == 0) {
        spaces_packet_ring_take(s->returns, &s->got, &packet, data);

        assert_int_equal(spaces_opus_duration(data, packet.len),
                         packet.duration);

        if (!room->forget) {
            track_add(&s->heard, data, packet.len, packet.duration,
                      packet.pts);
        }
    }

    spaces_packet_ring_release(s->returns, &s->got);
}


/* a tick plays what is due, a second at most, and a packet more than that */

static void
room_compare_clocks(room_t *room, int64_t before)
{
    int64_t  late, due, granule;

    if (!room->playout->state.started) {
        return;
    }

    granule = room->playout->state.granule;
    due = (room->now - room->playout->state.epoch) * 48;
    due = due > before + RATE ? before + RATE : due;

    assert_true(granule >= due);
    assert_true(granule < due + SPACES_OPUS_MAX_DURATION || granule == before);

    late = room->now - room->playout->state.epoch
           - room->playout->state.granule / 48;

    room->behind = late > room->behind ? late : room->behind;
    room->ahead = -late > room->ahead ? -late : room->ahead;
}


spaces_playout_status_e
room_tick(room_t *room)
{
    int64_t                   before;
    unsigned                  i;
    spaces_playout_status_e   status;

    before = room->playout->state.granule;
    room->now += TICK;

    for (i = 0; i < room->n; i++) {
        room_send(room, i);
    }

    status = spaces_playout_run(room->playout, room->now);

    for (i = 0; i < room->n; i++) {
        room_watch(room, i);
        room_hear(room, i);
    }

    if (status != SPACES_PLAYOUT_COMPLETE) {
        room_compare_clocks(room, before);
    }

    return status;
}


void
room_run(room_t *room, double seconds)
{
    int  ticks;

    for (ticks = (int) (seconds * 1000 / TICK); ticks; ticks--) {
        room_tick(room);
    }
}


void
room_drain(room_t *room)
{
    unsigned  i, n;

    for (n = 0;
         spaces_playout_drain(room->playout, room->now)
         != SPACES_PLAYOUT_COMPLETE;
         n++)
    {
        assert_in_range(n, 0, 100);

        for (i = 0; i < room->n; i++) {
            room_hear(room, i);
        }
    }
}


void
room_finish(room_t *room)
{
    room_drain(room);
    spaces_playout_finish(room->playout);

    assert_true(room->ended);
}


/* another owner, from the last page; what was after it is done again */

void
room_take_over(room_t *room)
{
    unsigned           i;
    unsigned           joined[PLACES], muted[PLACES];
    spaces_playout_t  *before;

    before = room->playout;

    room->playout = playout_new(room, before->nsources, before->channels,
                                before->bitrate);
    room->playout->gain = before->gain;

    spaces_playout_resume(room->playout, &room->kept);

    for (i = 0; i < room->n; i++) {
        joined[i] = before->sources[i].ring != NULL;
        muted[i] = before->sources[i].muted;
    }

    spaces_playout_free(before);
    free(before);

    for (i = 0; i < room->n; i++) {

        if (joined[i]) {
            room_join(room, i);
            room->playout->sources[i].muted = muted[i];
        }
    }
}
