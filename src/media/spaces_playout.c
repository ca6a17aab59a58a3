
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <stdlib.h>
#include <string.h>

#include "spaces_celt.h"
#include "spaces_playout_mix.h"
#include "spaces_playout_pages.h"
#include "spaces_playout_select.h"


/* what one run catches up with after a stall */
#define SPACES_PLAYOUT_RUN  SPACES_OPUS_RATE


static spaces_playout_status_e spaces_playout_step(spaces_playout_t *playout);
static int spaces_playout_rest(spaces_playout_t *playout);


void
spaces_playout_init(spaces_playout_t *playout, unsigned nsources)
{
    unsigned  i;

    /* not the packet and the pages: they are touched as they are needed */

    memset(&playout->state, 0, sizeof(spaces_playout_state_t));
    memset(playout->sources, 0, sizeof(playout->sources));

    playout->nsources = nsources;
    playout->channels = 2;
    playout->bitrate = 32000;
    playout->gain = 0;
    playout->mixer = NULL;
    playout->present = 0;
    playout->end = 0;
    playout->selected = 0;
    playout->level = SPACES_CELT_SILENCE;
    playout->heard = 0;
    playout->now = 0;
    playout->wall = INT64_MAX;

    playout->state.toc = SPACES_OPUS_NO_TOC;
    playout->state.floor = SPACES_PLAYOUT_NOBODY;

    for (i = 0; i < SPACES_PLAYOUT_SOURCES; i++) {
        spaces_jitter_init(&playout->state.sources[i]);
    }
}


void
spaces_playout_free(spaces_playout_t *playout)
{
    unsigned  i;

    for (i = 0; i < playout->nsources; i++) {
        free(playout->sources[i].activity);
    }

    spaces_mixer_destroy(playout->mixer);
}


void
spaces_playout_begin(spaces_playout_t *playout, uint32_t serial,
    const spaces_opus_head_t *head, const char *const *comments, size_t n)
{
    size_t                   len;
    spaces_playout_state_t  *state;

    len = spaces_ogg_writer_begin(&playout->writer, serial, head, comments, n,
                                  playout->page);

    state = &playout->state;

    state->head = len;
    state->serial = serial;
    state->sequence = playout->writer.sequence;

    playout->handler(playout, playout->page, len);
}


size_t
spaces_playout_state_size(unsigned nsources)
{
    return offsetof(spaces_playout_state_t, sources)
           + nsources * sizeof(spaces_jitter_t);
}


void
spaces_playout_resume(spaces_playout_t *playout,
    const spaces_playout_state_t *state)
{
    memcpy(&playout->state, state,
           spaces_playout_state_size(playout->nsources));

    spaces_ogg_writer_init(&playout->writer, state->serial, state->sequence,
                           state->granule);
}


int
spaces_playout_join(spaces_playout_t *playout, unsigned i,
    spaces_packet_ring_t *ring, spaces_packet_ring_t *returns, int64_t margin,
    int gain, int host)
{
    unsigned                  k;
    spaces_jitter_t          *jitter;
    spaces_activity_t        *activity;
    spaces_playout_source_t  *source;

    source = &playout->sources[i];
    activity = source->activity;

    jitter = &playout->state.sources[i];

    if (source->ring == NULL) {
        playout->present++;
    }

    if (i >= playout->end) {
        playout->end = i + 1;
    }

    if (jitter->position < playout->state.granule) {
        jitter->position = playout->state.granule;
    }

    memset(source, 0, sizeof(spaces_playout_source_t));

    source->ring = ring;
    source->returns = returns;
    source->margin = margin;
    source->gain = (int16_t) gain;
    source->host = (host != 0);
    source->returned = -1;
    source->activity = activity;

    if (activity == NULL) {
        source->activity = malloc(spaces_activity_size());
        if (source->activity == NULL) {
            return -1;
        }
    }

    spaces_activity_init(source->activity);

    if (playout->mixer) {
        spaces_mixer_forget(playout->mixer, i);
    }

    if (playout->present < 2 && gain == playout->gain) {
        return 0;
    }

    if (playout->mixer == NULL) {
        playout->mixer = spaces_mixer_create(playout->nsources,
                                             playout->channels,
                                             playout->bitrate);
        if (playout->mixer == NULL) {
            return -1;
        }
    }

    for (k = 0; k < playout->nsources; k++) {
        source = &playout->sources[k];

        if (source->ring) {
            source->ready = spaces_mixer_reserve(playout->mixer, k,
                                                 source->returns != NULL)
                            == 0;
        }
    }

    return playout->sources[i].ready ? 0 : -1;
}


void
spaces_playout_leave(spaces_playout_t *playout, unsigned i)
{
    spaces_playout_source_t  *source;

    source = &playout->sources[i];

    if (source->ring == NULL) {
        return;
    }

    source->ring = NULL;
    source->active = 0;
    source->selected = 0;
    source->until = 0;

    playout->state.sources[i].carry = 0;
    playout->present--;

    while (playout->end && playout->sources[playout->end - 1].ring == NULL) {
        playout->end--;
    }
}


int
spaces_playout_played(const spaces_playout_t *playout, unsigned i)
{
    const spaces_jitter_t          *jitter;
    const spaces_playout_source_t  *source;

    source = &playout->sources[i];
    jitter = &playout->state.sources[i];

    return source->ring == NULL
           || (jitter->carry == 0
               && (source->complete
                   || spaces_packet_ring_empty(source->ring,
                                               &jitter->cursor)));
}


spaces_playout_status_e
spaces_playout_run(spaces_playout_t *playout, int64_t now)
{
    int64_t                   due, gap, at;
    unsigned                  i;
    spaces_packet_t           packet;
    spaces_playout_state_t   *state;
    spaces_playout_status_e   status;

    state = &playout->state;

    playout->now = now;
    playout->wall = INT64_MAX;

    for (i = 0; !state->started; i++) {

        if (i == playout->end) {
            return SPACES_PLAYOUT_WAITING;
        }

        if (playout->sources[i].ring
            && spaces_playout_peek(playout, i, &packet, &gap)
               != SPACES_JITTER_EMPTY)
        {
            state->started = 1;
            state->epoch = now - state->granule / SPACES_PLAYOUT_MS;
        }
    }

    due = (now - state->epoch) * SPACES_PLAYOUT_MS;

    if (due > state->granule + SPACES_PLAYOUT_RUN) {
        due = state->granule + SPACES_PLAYOUT_RUN;
    }

    while (state->granule < due) {

        /* what came after a moment that was missed is not played in it */

        at = state->epoch + state->granule / SPACES_PLAYOUT_MS
             + SPACES_PLAYOUT_FRAME / SPACES_PLAYOUT_MS;

        playout->now = at < now ? at : now;

        status = spaces_playout_step(playout);

        if (status == SPACES_PLAYOUT_COMPLETE) {
            return status;
        }
    }

    return SPACES_PLAYOUT_PLAYING;
}


unsigned
spaces_playout_cost(const spaces_playout_t *playout, int64_t now)
{
    int64_t  frames;

    if (playout->selected == 0 || !playout->state.started) {
        return 0;
    }

    frames = ((now - playout->state.epoch) * SPACES_PLAYOUT_MS
              - playout->state.granule) / SPACES_PLAYOUT_FRAME + 1;

    if (frames > SPACES_PLAYOUT_RUN / SPACES_PLAYOUT_FRAME) {
        frames = SPACES_PLAYOUT_RUN / SPACES_PLAYOUT_FRAME;
    }

    /* a decoder of each, an encoder of each if there are three, and the mix */

    return (unsigned) frames
           * (playout->selected * (playout->selected > 2 ? 2 : 1) + 1);
}


spaces_playout_status_e
spaces_playout_drain(spaces_playout_t *playout, int64_t now)
{
    int64_t                   limit;
    unsigned                  i;
    spaces_playout_state_t   *state;
    spaces_playout_status_e   status;

    state = &playout->state;

    if (!state->started) {
        state->started = 1;
        state->epoch = now - state->granule / SPACES_PLAYOUT_MS;
    }

    playout->now = INT64_MAX;
    playout->wall = (now - state->epoch) * SPACES_PLAYOUT_MS;

    limit = state->granule + SPACES_PLAYOUT_RUN;

    for ( ;; ) {

        for (i = 0; i < playout->end; i++) {

            if (!spaces_playout_played(playout, i)) {
                break;
            }
        }

        if (i == playout->end) {
            return SPACES_PLAYOUT_COMPLETE;
        }

        if (state->granule >= limit) {
            return SPACES_PLAYOUT_PLAYING;
        }

        status = spaces_playout_step(playout);

        if (status == SPACES_PLAYOUT_COMPLETE) {
            return status;
        }
    }
}


void
spaces_playout_release(spaces_playout_t *playout)
{
    unsigned  i;

    for (i = 0; i < playout->end; i++) {

        if (playout->sources[i].ring) {
            spaces_jitter_release(&playout->state.sources[i],
                                  playout->sources[i].ring);
        }
    }
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


/* a packet that is passed through, a frame of the mix, or a filler */

static spaces_playout_status_e
spaces_playout_step(spaces_playout_t *playout)
{
    unsigned                  i;
    spaces_jitter_t          *jitter;
    spaces_playout_state_t   *state;
    spaces_playout_source_t  *source;

    state = &playout->state;

    spaces_playout_survey(playout);
    spaces_playout_select(playout);

    /* the host's end is not that of what the others have said already */

    for (i = 0; playout->wall == INT64_MAX && i < playout->end; i++) {
        source = &playout->sources[i];

        if (source->ring && source->host && source->complete
            && state->sources[i].carry == 0)
        {
            return SPACES_PLAYOUT_COMPLETE;
        }
    }

    if (playout->selected > 1) {
        spaces_playout_mix(playout, SPACES_PLAYOUT_FRAME);

    } else if (playout->selected == 1) {

        spaces_playout_mix(playout, spaces_playout_rest(playout));

    } else {
        spaces_playout_pass(playout);
    }

    for (i = 0; i < playout->end; i++) {
        source = &playout->sources[i];
        jitter = &state->sources[i];

        if (source->ring == NULL) {
            continue;
        }

        if (jitter->carry == 0 && jitter->position < state->granule) {
            jitter->position = state->granule;
        }

        if (source->returns) {
            spaces_playout_return_silence(playout, i, state->granule);
        }
    }

    return SPACES_PLAYOUT_PLAYING;
}


/* what was decoded of a lone speaker's packet is mixed up to its end */

static int
spaces_playout_rest(spaces_playout_t *playout)
{
    int       samples;
    int32_t   carry;
    unsigned  i;

    for (i = 0; !playout->sources[i].selected; i++) { /* void */ }

    carry = playout->state.sources[i].carry;
    samples = SPACES_PLAYOUT_FRAME;

    while (carry && samples > carry) {
        samples /= 2;
    }

    return samples;
}
