
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <string.h>

#include "spaces_jitter.h"


#define SPACES_JITTER_MS        (SPACES_OPUS_RATE / 1000)

/* packets of which the least wait is taken: 5 s of 20 ms */
#define SPACES_JITTER_WINDOW    250
#define SPACES_JITTER_PART      (SPACES_JITTER_WINDOW / 5)

/* ms: more than the margin by so much is shed in a pause, or at once */
#define SPACES_JITTER_SLACK     40
#define SPACES_JITTER_TOO_MUCH  300

/* so much less than half of the margin is waited for in a pause, ms */
#define SPACES_JITTER_LACK      10

/* and at once means so often, ms */
#define SPACES_JITTER_FORCED    1000

/* of the history this much is worth keeping: samples */
#define SPACES_JITTER_WARM      (160 * SPACES_JITTER_MS)

/*
 * A longer gap is a clock that jumped, unless the sender runs ahead of time:
 * what was really lost leaves no packet that is so early
 */
#define SPACES_JITTER_LOST      (10 * SPACES_OPUS_RATE)


static int64_t spaces_jitter_minus(int64_t a, int64_t b);
static int spaces_jitter_anchor(spaces_jitter_t *jitter,
    const spaces_packet_t *packet, int64_t now, int64_t margin);
static void spaces_jitter_conclude(spaces_jitter_t *jitter, int32_t margin);
static void spaces_jitter_forget(spaces_jitter_t *jitter);
static void spaces_jitter_measure(spaces_jitter_t *jitter,
    const spaces_packet_t *packet, int64_t now, int64_t margin);


void
spaces_jitter_init(spaces_jitter_t *jitter)
{
    memset(jitter, 0, sizeof(spaces_jitter_t));

    jitter->toc = SPACES_OPUS_NO_TOC;

    spaces_jitter_forget(jitter);
}


spaces_jitter_status_e
spaces_jitter_peek(spaces_jitter_t *jitter, const spaces_packet_ring_t *ring,
    int64_t now, int64_t margin, spaces_packet_t *packet, int64_t *gap)
{
    int64_t  missing;

    if (spaces_packet_ring_peek(ring, &jitter->cursor, packet) != 0) {
        jitter->anchored = 0;
        return SPACES_JITTER_EMPTY;
    }

    if (packet->flags & SPACES_PACKET_END) {
        return SPACES_JITTER_END;
    }

    if (!spaces_jitter_anchor(jitter, packet, now, margin)) {
        return SPACES_JITTER_EMPTY;
    }

    missing = spaces_jitter_minus(packet->pts,
                                  spaces_jitter_minus(jitter->position,
                                                      jitter->offset));

    if (missing < SPACES_OPUS_MIN_DURATION
        || (missing > SPACES_JITTER_LOST
            && !(packet->flags & SPACES_PACKET_PACED)))
    {
        spaces_jitter_close_gap(jitter, missing);
        return SPACES_JITTER_PACKET;
    }

    /* nothing is shorter than a frame: what is over is the source's clock */

    *gap = missing - missing % SPACES_OPUS_MIN_DURATION;

    spaces_jitter_close_gap(jitter, missing - *gap);

    return SPACES_JITTER_GAP;
}


/* whether the packet's place in the stream is settled */

static int
spaces_jitter_anchor(spaces_jitter_t *jitter, const spaces_packet_t *packet,
    int64_t now, int64_t margin)
{
    if (jitter->anchored
        && (!(packet->flags & SPACES_PACKET_FRESH)
            || jitter->anchor == jitter->cursor.bytes))
    {
        return 1;
    }

    if (now < (int64_t) packet->arrival + margin) {
        return 0;
    }

    jitter->anchored = 1;
    jitter->anchor = jitter->cursor.bytes;
    jitter->offset = spaces_jitter_minus(jitter->position, packet->pts);
    jitter->taken = 0;
    jitter->excess = 0;

    spaces_jitter_forget(jitter);

    return 1;
}


void
spaces_jitter_take(spaces_jitter_t *jitter, const spaces_packet_ring_t *ring,
    const spaces_packet_t *packet, int64_t now, int64_t margin, uint8_t *data)
{
    spaces_jitter_measure(jitter, packet, now, margin);

    jitter->history[jitter->taken++ % SPACES_JITTER_HISTORY] = jitter->cursor;

    spaces_packet_ring_take(ring, &jitter->cursor, packet, data);

    jitter->position += packet->duration;
    jitter->concealed = 0;
    jitter->toc = data[0];
}


void
spaces_jitter_conceal(spaces_jitter_t *jitter, int64_t samples)
{
    jitter->position += samples;
    jitter->concealed += samples;
}


void
spaces_jitter_close_gap(spaces_jitter_t *jitter, int64_t gap)
{
    jitter->offset = spaces_jitter_minus(jitter->offset, gap);
}


/* the clock of a source may say anything: differences wrap around */

static int64_t
spaces_jitter_minus(int64_t a, int64_t b)
{
    return (int64_t) ((uint64_t) a - (uint64_t) b);
}


/* the least wait of a window is what none of its packets needed */

static void
spaces_jitter_measure(spaces_jitter_t *jitter, const spaces_packet_t *packet,
    int64_t now, int64_t margin)
{
    int64_t  wait;

    if (now == INT64_MAX) {
        return;
    }

    if (packet->flags & SPACES_PACKET_PACED) {

        /* it waits because it could: its sender runs ahead of time */

        jitter->excess = 0;

        spaces_jitter_forget(jitter);
        return;
    }

    wait = now - (int64_t) packet->arrival;

    if (wait < jitter->wait) {
        jitter->wait = (int32_t) wait;
    }

    if (wait < jitter->part) {
        jitter->part = (int32_t) wait;
    }

    if (wait < jitter->excess + margin) {
        jitter->excess = wait > margin ? (int32_t) (wait - margin) : 0;
    }

    if (++jitter->window % SPACES_JITTER_PART == 0) {
        spaces_jitter_conclude(jitter, (int32_t) margin);
    }
}


/* a stall is in one part or two of a window, a slow clock in all of them */

static void
spaces_jitter_conclude(spaces_jitter_t *jitter, int32_t margin)
{
    if (jitter->part > jitter->parts) {
        jitter->parts = jitter->part;
    }

    jitter->part = INT32_MAX;

    if (jitter->window < SPACES_JITTER_WINDOW) {
        return;
    }

    jitter->excess = jitter->wait > margin ? jitter->wait - margin : 0;
    jitter->lack = jitter->parts < margin / 2 ? margin / 2 - jitter->parts : 0;

    jitter->wait = INT32_MAX;
    jitter->parts = 0;
    jitter->window = 0;
}


/* what was measured before doesn't hold any more */

static void
spaces_jitter_forget(spaces_jitter_t *jitter)
{
    jitter->wait = INT32_MAX;
    jitter->part = INT32_MAX;
    jitter->parts = 0;
    jitter->window = 0;
    jitter->lack = 0;
}


int
spaces_jitter_sheds(const spaces_jitter_t *jitter,
    const spaces_packet_t *packet, int64_t now, int quiet)
{
    int32_t  left;

    left = jitter->excess - (int32_t) (packet->duration / SPACES_JITTER_MS);

    if (quiet) {
        return left > SPACES_JITTER_SLACK;
    }

    return left > SPACES_JITTER_TOO_MUCH
           && now >= jitter->shed + SPACES_JITTER_FORCED;
}


int
spaces_jitter_lags(const spaces_jitter_t *jitter)
{
    return jitter->lack > SPACES_JITTER_LACK;
}


void
spaces_jitter_stretch(spaces_jitter_t *jitter, int64_t samples)
{
    jitter->offset = (int64_t) ((uint64_t) jitter->offset
                                + (uint64_t) samples);

    /* once, until it is known what came of it */

    spaces_jitter_forget(jitter);
}


void
spaces_jitter_shed(spaces_jitter_t *jitter, const spaces_packet_t *packet,
    int64_t now)
{
    spaces_packet_ring_pass(&jitter->cursor, packet);

    jitter->offset = spaces_jitter_minus(jitter->offset, packet->duration);
    jitter->excess -= (int32_t) (packet->duration / SPACES_JITTER_MS);
    jitter->shed = now;

    spaces_jitter_forget(jitter);
}


spaces_packet_cursor_t
spaces_jitter_oldest(const spaces_jitter_t *jitter)
{
    uint32_t                       i, n;
    spaces_packet_cursor_t         oldest;
    const spaces_packet_cursor_t  *cursor;

    oldest = jitter->cursor;

    if (!jitter->anchored && jitter->carry == 0) {

        /* what was there is given back, and may be written over */

        return oldest;
    }

    n = jitter->taken < SPACES_JITTER_HISTORY ? jitter->taken
                                              : SPACES_JITTER_HISTORY;

    for (i = 1; i <= n; i++) {
        cursor = &jitter->history[(jitter->taken - i) % SPACES_JITTER_HISTORY];

        if (jitter->cursor.samples - cursor->samples > SPACES_JITTER_WARM) {
            break;
        }

        oldest = *cursor;
    }

    return oldest;
}


void
spaces_jitter_release(const spaces_jitter_t *jitter,
    spaces_packet_ring_t *ring)
{
    spaces_packet_cursor_t  oldest;

    /* with nothing to come, a large packet may be waiting for all the room */

    oldest = spaces_jitter_oldest(jitter);

    spaces_packet_ring_release(ring, &oldest);
}
