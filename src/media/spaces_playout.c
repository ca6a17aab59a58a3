
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "spaces_playout.h"


#define SPACES_PLAYOUT_MS         (SPACES_OPUS_RATE / 1000)
#define SPACES_PLAYOUT_FRAME      (20 * SPACES_PLAYOUT_MS)

/* longer losses fade to silence anyway */
#define SPACES_PLAYOUT_CONCEAL    (100 * SPACES_PLAYOUT_MS)

/* what one run catches up with after a stall */
#define SPACES_PLAYOUT_RUN        SPACES_OPUS_RATE


static int spaces_playout_anchor(spaces_playout_t *playout,
    const spaces_packet_t *packet, int64_t now);
static void spaces_playout_packet(spaces_playout_t *playout,
    const spaces_packet_t *packet);
static int64_t spaces_playout_gap(spaces_playout_t *playout,
    const spaces_packet_t *packet);
static void spaces_playout_fill(spaces_playout_t *playout, int64_t samples);
static void spaces_playout_end(spaces_playout_t *playout,
    const spaces_packet_t *packet);
static void spaces_playout_room(spaces_playout_t *playout, size_t len,
    int duration);
static void spaces_playout_page(spaces_playout_t *playout, int flags);


void
spaces_playout_begin(spaces_playout_t *playout, uint32_t serial,
    const spaces_opus_head_t *head, const char *const *comments, size_t n)
{
    size_t                   len;
    spaces_playout_state_t  *state;

    len = spaces_ogg_writer_begin(&playout->writer, serial, head, comments, n,
                                  playout->page);

    state = &playout->state;

    *state = (spaces_playout_state_t) { .head = len, .serial = serial };

    state->sequence = playout->writer.sequence;
    state->toc = SPACES_OPUS_NO_TOC;

    playout->handler(playout, playout->page, len);
}


void
spaces_playout_resume(spaces_playout_t *playout,
    const spaces_playout_state_t *state)
{
    playout->state = *state;

    spaces_ogg_writer_init(&playout->writer, state->serial, state->sequence,
                           state->granule);
}


spaces_playout_status_e
spaces_playout_run(spaces_playout_t *playout, int64_t now)
{
    int                      have;
    int64_t                  due, gap;
    spaces_packet_t          packet;
    spaces_playout_state_t  *state;

    state = &playout->state;

    have = spaces_packet_ring_peek(playout->ring, &state->cursor, &packet) == 0;

    if (!state->started) {

        if (!have || !spaces_playout_anchor(playout, &packet, now)) {
            return SPACES_PLAYOUT_WAITING;
        }

        state->started = 1;
        state->epoch = now - state->granule / SPACES_PLAYOUT_MS;
    }

    due = (now - state->epoch) * SPACES_PLAYOUT_MS;

    if (due > state->granule + SPACES_PLAYOUT_RUN) {
        due = state->granule + SPACES_PLAYOUT_RUN;
    }

    while (state->granule < due) {

        have = spaces_packet_ring_peek(playout->ring, &state->cursor, &packet)
               == 0;

        if (!have) {
            state->anchored = 0;
            spaces_playout_fill(playout, SPACES_PLAYOUT_FRAME);
            continue;
        }

        if (packet.flags & SPACES_PACKET_END) {
            spaces_playout_end(playout, &packet);
            return SPACES_PLAYOUT_COMPLETE;
        }

        if (!spaces_playout_anchor(playout, &packet, now)) {
            spaces_playout_fill(playout, SPACES_PLAYOUT_FRAME);
            continue;
        }

        gap = spaces_playout_gap(playout, &packet);

        if (gap) {
            spaces_playout_fill(playout, gap);
            continue;
        }

        spaces_playout_packet(playout, &packet);
    }

    return SPACES_PLAYOUT_PLAYING;
}


spaces_playout_status_e
spaces_playout_drain(spaces_playout_t *playout, int64_t now)
{
    int64_t                  gap, due;
    spaces_packet_t          packet;
    spaces_playout_state_t  *state;

    state = &playout->state;

    if (!state->started) {
        state->started = 1;
        state->epoch = now - state->granule / SPACES_PLAYOUT_MS;
    }

    due = (now - state->epoch) * SPACES_PLAYOUT_MS;

    while (spaces_packet_ring_peek(playout->ring, &state->cursor, &packet)
           == 0)
    {
        if (packet.flags & SPACES_PACKET_END) {
            spaces_playout_end(playout, &packet);
            return SPACES_PLAYOUT_COMPLETE;
        }

        (void) spaces_playout_anchor(playout, &packet,
                               packet.arrival + SPACES_PLAYOUT_PREBUFFER);

        for ( ;; ) {
            gap = spaces_playout_gap(playout, &packet);

            if (gap == 0) {
                break;
            }

            if (state->granule >= due) {
                state->offset -= gap;
                break;
            }

            spaces_playout_fill(playout, gap);
        }

        spaces_playout_packet(playout, &packet);
    }

    return SPACES_PLAYOUT_PLAYING;
}


void
spaces_playout_flush(spaces_playout_t *playout)
{
    if (playout->writer.nsegments) {
        spaces_playout_page(playout, 0);
    }
}


void
spaces_playout_finish(spaces_playout_t *playout)
{
    uint32_t  trim;

    if (playout->writer.nsegments == 0) {
        playout->state.trim = 0;
        spaces_playout_fill(playout, SPACES_PLAYOUT_FRAME);
    }

    /* RFC 7845, 4.4: no further back than the page before */

    trim = playout->state.trim;

    if (trim > playout->writer.samples) {
        trim = playout->writer.samples;
    }

    playout->writer.granule -= trim;
    playout->state.granule -= trim;
    playout->state.finished = 1;

    spaces_playout_page(playout, SPACES_OGG_EOS);
}


/* whether the packet's place in the stream is settled */

static int
spaces_playout_anchor(spaces_playout_t *playout, const spaces_packet_t *packet,
    int64_t now)
{
    spaces_playout_state_t  *state;

    state = &playout->state;

    if (state->anchored
        && (!(packet->flags & SPACES_PACKET_FRESH)
            || state->anchor == state->cursor.bytes))
    {
        return 1;
    }

    if (!(packet->flags & SPACES_PACKET_END)
        && now < (int64_t) packet->arrival + SPACES_PLAYOUT_PREBUFFER)
    {
        return 0;
    }

    state->anchored = 1;
    state->anchor = state->cursor.bytes;
    state->offset = state->granule - packet->pts;

    return 1;
}


/* samples that are missing before the packet */

static int64_t
spaces_playout_gap(spaces_playout_t *playout, const spaces_packet_t *packet)
{
    int64_t  gap;

    gap = packet->pts + playout->state.offset - playout->state.granule;

    if (gap < SPACES_OPUS_MIN_DURATION) {
        playout->state.offset -= gap;
        return 0;
    }

    return gap;
}


static void
spaces_playout_packet(spaces_playout_t *playout, const spaces_packet_t *packet)
{
    spaces_playout_state_t  *state;

    state = &playout->state;

    spaces_playout_room(playout, packet->len, (int) packet->duration);

    spaces_packet_ring_take(playout->ring, &state->cursor, packet,
                            playout->packet);

    spaces_ogg_writer_add(&playout->writer, playout->packet, packet->len,
                          (int) packet->duration);

    state->granule += packet->duration;
    state->toc = playout->packet[0];
    state->concealed = 0;
}


/* one filler of no more than "samples" */

static void
spaces_playout_fill(spaces_playout_t *playout, int64_t samples)
{
    int                      toc, duration;
    size_t                   len;
    uint8_t                  filler[SPACES_OPUS_FILLER];
    spaces_playout_state_t  *state;

    state = &playout->state;

    toc = (state->concealed < SPACES_PLAYOUT_CONCEAL) ? state->toc
                                                      : SPACES_OPUS_NO_TOC;

    len = spaces_opus_filler(filler, toc, samples, &duration);

    spaces_playout_room(playout, len, duration);

    spaces_ogg_writer_add(&playout->writer, filler, len, duration);

    state->granule += duration;
    state->concealed += duration;
}


static void
spaces_playout_end(spaces_playout_t *playout, const spaces_packet_t *packet)
{
    spaces_packet_ring_take(playout->ring, &playout->state.cursor, packet,
                            playout->packet);

    playout->state.trim = packet->duration;
}


/* a page is finished only when the next packet comes: the last has one too */

static void
spaces_playout_room(spaces_playout_t *playout, size_t len, int duration)
{
    spaces_ogg_writer_t  *writer;

    writer = &playout->writer;

    if (writer->nsegments == 0) {
        return;
    }

    if (writer->samples + duration > SPACES_PLAYOUT_PAGE
        || !spaces_ogg_writer_fits(writer, len))
    {
        spaces_playout_page(playout, 0);
    }
}


static void
spaces_playout_page(spaces_playout_t *playout, int flags)
{
    size_t  len;

    len = spaces_ogg_writer_flush(&playout->writer, flags, playout->page);

    playout->state.head += len;
    playout->state.sequence = playout->writer.sequence;

    playout->handler(playout, playout->page, len);
}
