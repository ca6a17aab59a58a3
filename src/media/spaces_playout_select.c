
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "spaces_playout_select.h"


/* who was active stays so over the pauses between words */
#define SPACES_PLAYOUT_HANG    (400 * SPACES_PLAYOUT_MS)

/*
 * When the floor goes to another speaker the mix of both leads over: by then
 * the listeners' decoders are where that speaker's packets expect them.
 */
#define SPACES_PLAYOUT_BRIDGE  (100 * SPACES_PLAYOUT_MS)

/* a delay that even a lone speaker's listeners don't need, ms */
#define SPACES_PLAYOUT_ALONE   1500


static void spaces_playout_survey_source(spaces_playout_t *playout,
    unsigned i, int64_t end);
static int spaces_playout_sheds(spaces_playout_t *playout, unsigned i,
    const spaces_packet_t *packet, int loud);
static int spaces_playout_look(spaces_playout_t *playout, unsigned i,
    const spaces_packet_t *packet);
static int spaces_playout_floor_is_active(spaces_playout_t *playout);
static int spaces_playout_has_floor(spaces_playout_t *playout);
static void spaces_playout_choose_floor(spaces_playout_t *playout);


void
spaces_playout_survey(spaces_playout_t *playout)
{
    int64_t           gap, end;
    unsigned          i;
    spaces_packet_t   packet;

    if (!spaces_playout_has_floor(playout)) {
        spaces_playout_choose_floor(playout);
    }

    end = playout->state.granule + SPACES_PLAYOUT_FRAME;

    /* a long packet is passed through only if nobody begins to talk in it */

    if (spaces_playout_has_floor(playout)
        && spaces_playout_peek(playout, playout->state.floor, &packet, &gap)
           == SPACES_JITTER_PACKET
        && packet.duration > SPACES_PLAYOUT_FRAME)
    {
        end = playout->state.granule + packet.duration;
    }

    for (i = 0; i < playout->end; i++) {

        if (playout->sources[i].ring) {
            spaces_playout_survey_source(playout, i, end);
        }
    }
}


static void
spaces_playout_survey_source(spaces_playout_t *playout, unsigned i,
    int64_t end)
{
    int                       quiet, loud;
    int64_t                   gap;
    spaces_jitter_t          *jitter;
    spaces_packet_t           packet;
    spaces_jitter_status_e    status;
    spaces_playout_source_t  *source;

    source = &playout->sources[i];
    jitter = &playout->state.sources[i];

    for ( ;; ) {
        status = spaces_playout_peek(playout, i, &packet, &gap);

        if (status == SPACES_JITTER_END) {

            if (!source->host) {
                spaces_packet_ring_pass(&jitter->cursor, &packet);
                break;
            }

            /* the host's stays in the ring: whoever owns the Space sees it */

            source->complete = 1;

            if ((int) i == playout->state.floor) {
                playout->state.trim = packet.duration;
            }

            break;
        }

        if (status == SPACES_JITTER_EMPTY) {
            break;
        }

        quiet = source->muted
                || (source->until <= playout->state.granule
                    && (int) i != playout->state.floor);

        if (status == SPACES_JITTER_GAP) {

            if (!quiet || gap > end - jitter->position) {
                break;
            }

            spaces_jitter_conceal(jitter, gap);
            continue;
        }

        loud = spaces_playout_look(playout, i, &packet);

        if (spaces_playout_sheds(playout, i, &packet, loud)) {
            spaces_jitter_shed(jitter, &packet, playout->now);
            continue;
        }

        if (!loud && playout->now != INT64_MAX && spaces_jitter_lags(jitter)) {
            spaces_jitter_stretch(jitter, SPACES_PLAYOUT_FRAME);
            continue;
        }

        if (loud && !source->muted) {
            break;
        }

        if (!quiet || jitter->position >= end) {
            break;
        }

        jitter->carry = 0;

        spaces_playout_take(playout, i, &packet);
    }

    /* what is decoded is heard to its end, whoever decoded it */

    source->active = !source->muted
                     && (source->until > playout->state.granule
                         || jitter->carry);
}


/* whether the packet is left out, for too much waits */

static int
spaces_playout_sheds(spaces_playout_t *playout, unsigned i,
    const spaces_packet_t *packet, int loud)
{
    int32_t           spare;
    spaces_jitter_t  *jitter;

    jitter = &playout->state.sources[i];

    if (playout->now == INT64_MAX) {
        return 0;
    }

    spare = (playout->present > 1) ? 0 : SPACES_PLAYOUT_ALONE;

    if (loud) {
        spare *= 2;
    }

    return jitter->excess > spare
           && spaces_jitter_sheds(jitter, packet, playout->now, !loud);
}


/* whether somebody speaks in the packet; each is looked at once */

static int
spaces_playout_look(spaces_playout_t *playout, unsigned i,
    const spaces_packet_t *packet)
{
    int                       active;
    float                     level;
    spaces_jitter_t          *jitter;
    spaces_playout_source_t  *source;

    source = &playout->sources[i];
    jitter = &playout->state.sources[i];

    /* a place is never one of a packet's: records begin at multiples of 8 */

    if (source->looked == jitter->cursor.bytes + 1) {
        return source->until > jitter->position;
    }

    source->looked = jitter->cursor.bytes + 1;

    spaces_packet_ring_copy(source->ring, &jitter->cursor, packet,
                            playout->packet);

    active = spaces_activity_packet(source->activity, playout->packet,
                                    packet->len);

    level = spaces_activity_level(source->activity);

    if (level > playout->level && !source->muted) {
        playout->level = level;
    }

    if (!active) {
        return source->until > jitter->position;
    }

    if (!source->muted) {
        playout->heard |= 1u << i;
    }

    source->until = jitter->position + packet->duration + SPACES_PLAYOUT_HANG;

    return 1;
}


void
spaces_playout_select(spaces_playout_t *playout)
{
    int                       last;
    unsigned                  i, n;
    spaces_playout_state_t   *state;
    spaces_playout_source_t  *source;

    state = &playout->state;
    n = 0;
    last = SPACES_PLAYOUT_NOBODY;

    for (i = 0; i < playout->end; i++) {
        source = &playout->sources[i];

        source->selected = source->active && source->ready;

        if (source->active) {
            last = (int) i;
            n++;
        }
    }

    if (n > 1 && !spaces_playout_floor_is_active(playout)) {

        /* what a silent floor sends would wait for its turn otherwise */

        state->floor = last;

    } else if (n == 1 && last != state->floor) {

        if (state->floor != SPACES_PLAYOUT_NOBODY
            && playout->sources[last].ready
            && playout->sources[state->floor].ready
            && state->mixed < SPACES_PLAYOUT_BRIDGE)
        {
            playout->sources[state->floor].selected = 1;

        } else {
            state->floor = last;
        }
    }

    if (n <= 1 && state->floor != SPACES_PLAYOUT_NOBODY
        && (n == 0 || last == state->floor))
    {
        /* decoded already in part, or louder than the stream's head says */

        source = &playout->sources[state->floor];

        source->selected = source->ready
                           && (state->sources[state->floor].carry
                               || source->gain != playout->gain);
    }

    playout->selected = 0;

    for (i = 0; i < playout->end; i++) {

        if (playout->sources[i].selected) {
            playout->selected++;

        } else {
            state->sources[i].carry = 0;
        }
    }
}


static int
spaces_playout_floor_is_active(spaces_playout_t *playout)
{
    int32_t  floor;

    floor = playout->state.floor;

    return floor != SPACES_PLAYOUT_NOBODY && playout->sources[floor].ring
           && playout->sources[floor].active;
}


static int
spaces_playout_has_floor(spaces_playout_t *playout)
{
    int32_t  floor;

    floor = playout->state.floor;

    return floor != SPACES_PLAYOUT_NOBODY
           && playout->sources[floor].ring
           && !playout->sources[floor].muted
           && (playout->sources[floor].active
               || !spaces_packet_ring_empty(playout->sources[floor].ring,
                                      &playout->state.sources[floor].cursor));
}


/* who has anything to say at all, and if nobody has, who had it last */

static void
spaces_playout_choose_floor(spaces_playout_t *playout)
{
    unsigned                  i;
    spaces_playout_state_t   *state;
    spaces_playout_source_t  *source;

    state = &playout->state;

    for (i = 0; i < playout->end; i++) {
        source = &playout->sources[i];

        if (source->ring && !source->muted
            && !spaces_packet_ring_empty(source->ring,
                                         &state->sources[i].cursor))
        {
            state->floor = (int32_t) i;
            return;
        }
    }

    if (state->floor != SPACES_PLAYOUT_NOBODY
        && (playout->sources[state->floor].ring == NULL
            || playout->sources[state->floor].muted))
    {
        state->floor = SPACES_PLAYOUT_NOBODY;
    }
}


spaces_jitter_status_e
spaces_playout_peek(spaces_playout_t *playout, unsigned i,
    spaces_packet_t *packet, int64_t *gap)
{
    spaces_jitter_t          *jitter;
    spaces_jitter_status_e    status;
    spaces_playout_source_t  *source;

    source = &playout->sources[i];
    jitter = &playout->state.sources[i];

    status = spaces_jitter_peek(jitter, source->ring, playout->now,
                                source->margin, packet, gap);

    if (status == SPACES_JITTER_GAP && jitter->position >= playout->wall) {
        spaces_jitter_close_gap(jitter, *gap);
        return SPACES_JITTER_PACKET;
    }

    return status;
}


void
spaces_playout_take(spaces_playout_t *playout, unsigned i,
    const spaces_packet_t *packet)
{
    spaces_jitter_take(&playout->state.sources[i], playout->sources[i].ring,
                       packet, playout->now, playout->sources[i].margin,
                       playout->packet);
}
