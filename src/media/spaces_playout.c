
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <stdlib.h>
#include <string.h>

#include "spaces_playout.h"


#define SPACES_PLAYOUT_MS         (SPACES_OPUS_RATE / 1000)
#define SPACES_PLAYOUT_FRAME      (20 * SPACES_PLAYOUT_MS)

/* longer losses fade to silence anyway */
#define SPACES_PLAYOUT_CONCEAL    (100 * SPACES_PLAYOUT_MS)

/* what one run catches up with after a stall */
#define SPACES_PLAYOUT_RUN        SPACES_OPUS_RATE

/* who was active stays so over the pauses between words */
#define SPACES_PLAYOUT_HANG       (400 * SPACES_PLAYOUT_MS)

/*
 * When the floor goes to another speaker the mix of both leads over: by then
 * the listeners' decoders are where that speaker's packets expect them.
 */
#define SPACES_PLAYOUT_BRIDGE     (100 * SPACES_PLAYOUT_MS)

/* a delay that even a lone speaker's listeners don't need, ms */
#define SPACES_PLAYOUT_ALONE      1500


static spaces_playout_status_e spaces_playout_step(spaces_playout_t *playout);
static int spaces_playout_rest(spaces_playout_t *playout);
static void spaces_playout_survey(spaces_playout_t *playout);
static void spaces_playout_survey_source(spaces_playout_t *playout,
    unsigned i, int64_t end);
static int spaces_playout_sheds(spaces_playout_t *playout, unsigned i,
    const spaces_packet_t *packet, int loud);
static int spaces_playout_look(spaces_playout_t *playout, unsigned i,
    const spaces_packet_t *packet);
static void spaces_playout_select(spaces_playout_t *playout);
static void spaces_playout_choose_floor(spaces_playout_t *playout);
static int spaces_playout_floor_is_active(spaces_playout_t *playout);
static int spaces_playout_has_floor(spaces_playout_t *playout);
static spaces_jitter_status_e spaces_playout_peek(spaces_playout_t *playout,
    unsigned i, spaces_packet_t *packet, int64_t *gap);
static void spaces_playout_take(spaces_playout_t *playout, unsigned i,
    const spaces_packet_t *packet);

static void spaces_playout_pass(spaces_playout_t *playout);
static void spaces_playout_fill(spaces_playout_t *playout, int64_t samples);

static void spaces_playout_mix(spaces_playout_t *playout, int samples);
static void spaces_playout_hear(spaces_playout_t *playout, unsigned i,
    int samples);
static void spaces_playout_follow(spaces_playout_t *playout, unsigned i);

static void spaces_playout_return(spaces_playout_t *playout, unsigned i,
    int64_t at, const uint8_t *data, size_t len, int duration);
static void spaces_playout_return_silence(spaces_playout_t *playout,
    unsigned i, int64_t end);
static void spaces_playout_return_put(spaces_playout_t *playout, unsigned i,
    const uint8_t *data, size_t len, int duration);

static void spaces_playout_add(spaces_playout_t *playout, const uint8_t *data,
    size_t len, int duration);
static void spaces_playout_room(spaces_playout_t *playout, size_t len,
    int duration);
static void spaces_playout_page(spaces_playout_t *playout, int flags);


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

    return source->ring == NULL || source->complete
           || (jitter->carry == 0
               && spaces_packet_ring_empty(source->ring, &jitter->cursor));
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


/* looks at what comes next of each, and passes over what nobody will hear */

static void
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

            /* the host's stays in the ring: whoever owns the Space sees it */

            source->complete = 1;

            if (!source->host) {
                spaces_packet_ring_pass(&jitter->cursor, &packet);

            } else if ((int) i == playout->state.floor) {
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

    if (!spaces_activity_packet(source->activity, playout->packet,
                                packet->len))
    {
        return source->until > jitter->position;
    }

    source->until = jitter->position + packet->duration + SPACES_PLAYOUT_HANG;

    return 1;
}


/*
 * Who is heard: all that are active, by a mix if they are several.  With
 * nobody selected the floor is passed through.
 */

static void
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


static spaces_jitter_status_e
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


static void
spaces_playout_take(spaces_playout_t *playout, unsigned i,
    const spaces_packet_t *packet)
{
    spaces_jitter_take(&playout->state.sources[i], playout->sources[i].ring,
                       packet, playout->now, playout->sources[i].margin,
                       playout->packet);
}


/* the packet of the floor as it came, or what stands in for it */

static void
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

    for (i = 0; i < playout->end; i++) {

        if ((int) i != state->floor) {
            spaces_playout_return(playout, i, state->granule, playout->packet,
                                  packet.len, duration);
        }
    }

    state->mixed = 0;

    spaces_playout_add(playout, playout->packet, packet.len, duration);
}


/* one filler of no more than "samples" */

static void
spaces_playout_fill(spaces_playout_t *playout, int64_t samples)
{
    int                      toc, duration;
    size_t                   len;
    int64_t                  concealed;
    uint8_t                  filler[SPACES_OPUS_FILLER];
    spaces_playout_state_t  *state;

    state = &playout->state;
    concealed = state->concealed;

    toc = (concealed < SPACES_PLAYOUT_CONCEAL) ? state->toc
                                               : SPACES_OPUS_NO_TOC;

    len = spaces_opus_filler(filler, toc, samples, &duration);

    spaces_playout_room(playout, len, duration);
    spaces_playout_add(playout, filler, len, duration);

    /* what comes after it is concealed by the same packet */

    state->concealed = concealed + duration;
    state->toc = toc;
}


/* decodes those selected, and encodes their sum for all and for each */

static void
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
            k = (int) (gap - gap % SPACES_OPUS_MIN_DURATION);
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


static void
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


static void
spaces_playout_add(spaces_playout_t *playout, const uint8_t *data, size_t len,
    int duration)
{
    spaces_ogg_writer_add(&playout->writer, data, len, duration);

    playout->state.granule += duration;
    playout->state.toc = data[0];
    playout->state.concealed = 0;
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
