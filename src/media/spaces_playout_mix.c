
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <string.h>

#include "spaces_playout_mix.h"
#include "spaces_playout_pages.h"
#include "spaces_playout_select.h"


static void spaces_playout_hear(spaces_playout_t *playout, unsigned i,
    int samples);
static void spaces_playout_follow(spaces_playout_t *playout, unsigned i);
static void spaces_playout_return(spaces_playout_t *playout, unsigned i,
    int64_t at, const uint8_t *data, size_t len, int duration);
static void spaces_playout_return_put(spaces_playout_t *playout, unsigned i,
    const uint8_t *data, size_t len, int duration);


void
spaces_playout_pass(spaces_playout_t *playout)
{
    int                       duration;
    int64_t                   gap;
    unsigned                  i;
    spaces_jitter_t          *jitter;
    spaces_packet_t           packet;
    spaces_playout_state_t   *state;
    spaces_jitter_status_e    status;

    state = &playout->state;

    if (state->floor == SPACES_PLAYOUT_NOBODY) {
        spaces_playout_fill(playout, SPACES_PLAYOUT_FRAME);
        return;
    }

    jitter = &state->sources[state->floor];

    if (jitter->position > state->granule) {
        spaces_playout_fill(playout, jitter->position - state->granule);
        return;
    }

    status = spaces_playout_peek(playout, state->floor, &packet, &gap);

    if (status != SPACES_JITTER_PACKET) {
        spaces_playout_fill(playout, status == SPACES_JITTER_GAP
                                     ? gap : SPACES_PLAYOUT_FRAME);
        return;
    }

    duration = (int) packet.duration;

    spaces_playout_room(playout, packet.len, duration);
    spaces_playout_take(playout, state->floor, &packet);

    if (spaces_ogg_writer_misleads(&playout->writer, playout->packet,
                                   packet.len))
    {
        /* no encoder makes such a thing; it is concealed as if it were lost */

        spaces_playout_fill(playout, duration);
        return;
    }

    for (i = 0; i < playout->end; i++) {

        if ((int) i != state->floor) {
            spaces_playout_return(playout, i, state->granule, playout->packet,
                                  packet.len, duration);
        }
    }

    state->mixed = 0;

    spaces_playout_add(playout, playout->packet, packet.len, duration);
}


void
spaces_playout_mix(spaces_playout_t *playout, int samples)
{
    int                       len, before;
    int64_t                   granule;
    unsigned                  i;
    uint8_t                   out[SPACES_MIXER_MAX_PACKET];
    spaces_playout_state_t   *state;
    spaces_playout_source_t  *source;

    state = &playout->state;

    /* before anything is taken from a ring: a page may end here */

    spaces_playout_room(playout, SPACES_MIXER_MAX_PACKET, samples);

    granule = state->granule;

    spaces_mixer_begin(playout->mixer);

    for (i = 0; i < playout->end; i++) {

        if (playout->sources[i].selected) {
            spaces_playout_hear(playout, i, samples);
        }
    }

    before = (state->mixed && state->concealed == 0) ? SPACES_MIXER_ALL
                                                     : state->floor;

    len = spaces_mixer_encode(playout->mixer, granule, samples, before, out);

    if (len == 0) {
        spaces_playout_fill(playout, samples);
        return;
    }

    state->mixed += samples;

    spaces_playout_add(playout, out, len, samples);

    for (i = 0; i < playout->end; i++) {
        source = &playout->sources[i];

        if (!source->selected) {
            spaces_playout_return(playout, i, granule, out, len, samples);
        }
    }

    if (playout->selected < 2) {
        return;
    }

    for (i = 0; i < playout->end; i++) {
        source = &playout->sources[i];

        /* the packets of the only other one are there already, mostly */

        if (!source->selected || source->returns == NULL
            || granule + samples / 2 < source->returned)
        {
            continue;
        }

        len = spaces_mixer_encode_without(playout->mixer, i, granule, samples,
                                          out);

        if (len) {
            spaces_playout_return(playout, i, granule, out, len, samples);
        }
    }
}


/* decodes of one speaker what a frame takes */

static void
spaces_playout_hear(spaces_playout_t *playout, unsigned i, int samples)
{
    int                      n, k;
    int64_t                  at, gap;
    unsigned                 r;
    spaces_jitter_t         *jitter;
    spaces_packet_t          packet;
    spaces_jitter_status_e   status;

    jitter = &playout->state.sources[i];

    spaces_playout_follow(playout, i);

    for (n = 0; n < samples; n += k) {

        at = playout->state.granule + n;
        k = samples - n;

        if (jitter->carry) {
            k = jitter->carry < k ? jitter->carry : k;

            spaces_mixer_pull(playout->mixer, i, n, k);
            jitter->carry -= k;
            continue;
        }

        if (jitter->position > at) {
            k = jitter->position - at < k ? (int) (jitter->position - at) : k;
            continue;
        }

        jitter->position = at;

        status = spaces_playout_peek(playout, i, &packet, &gap);

        if (status == SPACES_JITTER_PACKET) {
            spaces_playout_take(playout, i, &packet);
            spaces_mixer_decode(playout->mixer, i, playout->packet,
                                packet.len, (int) packet.duration,
                                jitter->cursor.bytes);

            jitter->carry = (int32_t) packet.duration;
            k = 0;

            for (r = 0; playout->selected == 2 && r < playout->end; r++) {

                if (r != i && playout->sources[r].selected) {
                    spaces_playout_return(playout, r, at, playout->packet,
                                          packet.len, (int) packet.duration);
                }
            }

            continue;
        }

        if (status == SPACES_JITTER_GAP && gap < k) {
            k = (int) gap;
        }

        if (jitter->concealed < SPACES_PLAYOUT_CONCEAL) {
            spaces_mixer_conceal(playout->mixer, i, k);
            spaces_mixer_pull(playout->mixer, i, n, k);
        }

        spaces_jitter_conceal(jitter, k);
    }
}


/*
 * A decoder that has not followed its speaker, for packets went through or
 * another owner decoded them, begins with the last ones of them.
 */

static void
spaces_playout_follow(spaces_playout_t *playout, unsigned i)
{
    spaces_jitter_t          *jitter;
    spaces_packet_t           packet;
    spaces_packet_cursor_t    cursor;
    spaces_playout_source_t  *source;

    source = &playout->sources[i];
    jitter = &playout->state.sources[i];

    if (spaces_mixer_follows(playout->mixer, i, jitter->cursor.bytes)) {
        return;
    }

    spaces_mixer_restart(playout->mixer, i, source->gain - playout->gain,
                         jitter->cursor.bytes);

    cursor = spaces_jitter_oldest(jitter);

    while (cursor.bytes < jitter->cursor.bytes
           && spaces_packet_ring_peek(source->ring, &cursor, &packet) == 0)
    {
        if (packet.flags & SPACES_PACKET_END) {

            /* no audio; its duration is how much is to be cut, or anything */

            spaces_packet_ring_pass(&cursor, &packet);
            continue;
        }

        spaces_packet_ring_take(source->ring, &cursor, &packet,
                                playout->packet);

        spaces_mixer_decode(playout->mixer, i, playout->packet, packet.len,
                            (int) packet.duration, jitter->cursor.bytes);
    }

    spaces_mixer_keep(playout->mixer, i, jitter->carry);
}


/* what is said at a granule, unless the speaker has heard that already */

static void
spaces_playout_return(spaces_playout_t *playout, unsigned i, int64_t at,
    const uint8_t *data, size_t len, int duration)
{
    spaces_playout_source_t  *source;

    source = &playout->sources[i];

    if (source->ring == NULL || source->returns == NULL) {
        return;
    }

    if (source->returned < 0) {
        source->returned = at;
    }

    if (at + duration / 2 < source->returned) {
        return;
    }

    spaces_playout_return_silence(playout, i, at);
    spaces_playout_return_put(playout, i, data, len, duration);

    source->returned = at + duration;
}


void
spaces_playout_return_silence(spaces_playout_t *playout, unsigned i,
    int64_t end)
{
    int                       duration;
    size_t                    len;
    uint8_t                   filler[SPACES_OPUS_FILLER];
    spaces_playout_source_t  *source;

    source = &playout->sources[i];

    if (source->returned < 0) {
        source->returned = end;
    }

    while (end - source->returned >= SPACES_OPUS_MIN_DURATION) {

        len = spaces_opus_filler(filler, SPACES_OPUS_NO_TOC,
                                 end - source->returned, &duration);

        spaces_playout_return_put(playout, i, filler, len, duration);

        source->returned += duration;
    }
}


/* who doesn't take what is returned in time, loses it */

static void
spaces_playout_return_put(spaces_playout_t *playout, unsigned i,
    const uint8_t *data, size_t len, int duration)
{
    spaces_packet_t  packet;

    memset(&packet, 0, sizeof(spaces_packet_t));

    packet.len = (uint32_t) len;
    packet.duration = (uint32_t) duration;
    packet.pts = playout->sources[i].returned;

    (void) spaces_packet_ring_write(playout->sources[i].returns, &packet,
                                    data);
}
