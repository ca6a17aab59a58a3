
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <math.h>
#include <string.h>

#include <opus/opus.h>

#include "spaces_activity.h"
#include "spaces_celt.h"
#include "spaces_opus.h"


/* levels in dBov: below the first all is quiet, above the second nothing */
#define SPACES_ACTIVITY_LEVEL        -57.0f
#define SPACES_ACTIVITY_MAX_LEVEL    -42.0f

/* the level of noise varies by as much above its minimum, dB */
#define SPACES_ACTIVITY_MARGIN       9.0f

/* less than that is a muted microphone: nothing is learned from it */
#define SPACES_ACTIVITY_MUTED        -90.0f

/* the floor is the minimum of this and of the last window; 3 s */
#define SPACES_ACTIVITY_WINDOW       (3 * SPACES_OPUS_RATE)

/* levels are averaged over 80 ms before one is the minimum */
#define SPACES_ACTIVITY_AVERAGE      3840

/* what a voice in SILK is taken for, and what is none, dBov */
#define SPACES_ACTIVITY_VOICE        -23.0f
#define SPACES_ACTIVITY_NOISE        -60.0f

/* a probe decodes 60 ms that don't count, and the next packet, which does */
#define SPACES_ACTIVITY_WARM_UP      2880

/* packets that are passed over for each decoded one: about 8 % are decoded */
#define SPACES_ACTIVITY_REST         12

#define SPACES_ACTIVITY_PROBE_RATE   8000

/* RFC 6716, 3.1: configurations from 16 on are CELT-only */
#define SPACES_ACTIVITY_CELT         0x80

#define SPACES_ACTIVITY_STEREO       0x04


struct spaces_activity_s {
    spaces_celt_t    celt;

    /* the noise floor; levels in dBov, times in samples */
    float            average;
    float            minimum;
    float            last_minimum;
    int              window;

    /* of SILK packets without a voice flag */
    int              verdict;
    int              rest;         /* packets until a probe may begin */
    int              warm_up;      /* samples yet to be discarded */
    int              probing;
    int              begun;        /* the packet before had audio, too */

    int              celt_before;  /* the last packet was CELT-only */

    float            level;        /* of the last packet, dBov */
};


typedef struct {
    const uint8_t   *data;
    size_t           len;
    int              toc;
    int              count;        /* frames */
    int              frame;        /* samples of each */
    opus_int16       sizes[48];
    const uint8_t   *frames[48];
} spaces_activity_packet_t;


static int spaces_activity_parse(spaces_activity_packet_t *packet,
    const uint8_t *data, size_t len);
static int spaces_activity_empty(const spaces_activity_packet_t *packet);

static int spaces_activity_silk(spaces_activity_t *activity,
    const spaces_activity_packet_t *packet);
static int spaces_activity_voice(const spaces_activity_packet_t *packet);
static void spaces_activity_probe(spaces_activity_t *activity,
    const spaces_activity_packet_t *packet);
static OpusDecoder *spaces_activity_decoder(spaces_activity_t *activity);
static float spaces_activity_power(const opus_int16 *pcm, int n);

static int spaces_activity_celt(spaces_activity_t *activity,
    const spaces_activity_packet_t *packet);
static void spaces_activity_learn(spaces_activity_t *activity, float level,
    int samples);
static float spaces_activity_threshold(const spaces_activity_t *activity);


size_t
spaces_activity_size(void)
{
    return ((sizeof(spaces_activity_t) + 15) & ~(size_t) 15)
           + (size_t) opus_decoder_get_size(1);
}


void
spaces_activity_init(spaces_activity_t *activity)
{
    memset(activity, 0, sizeof(spaces_activity_t));

    spaces_celt_init(&activity->celt);

    /* until a floor is known, it is taken to be high */

    activity->minimum = 0;
    activity->last_minimum = 0;
    activity->average = 0;

    (void) opus_decoder_init(spaces_activity_decoder(activity),
                             SPACES_ACTIVITY_PROBE_RATE, 1);
}


int
spaces_activity_packet(spaces_activity_t *activity, const uint8_t *data,
    size_t len)
{
    spaces_activity_packet_t  packet;

    activity->level = SPACES_CELT_SILENCE;

    if (spaces_activity_parse(&packet, data, len) != 0) {
        return 0;
    }

    if (activity->rest > 0 && !activity->probing) {
        activity->rest--;
    }

    if (spaces_activity_empty(&packet)) {
        activity->probing = 0;
        activity->verdict = 0;
        activity->begun = 0;
        return 0;
    }

    if (packet.toc & SPACES_ACTIVITY_CELT) {
        return spaces_activity_celt(activity, &packet);
    }

    return spaces_activity_silk(activity, &packet);
}


float
spaces_activity_level(const spaces_activity_t *activity)
{
    return activity->level;
}


static int
spaces_activity_parse(spaces_activity_packet_t *packet, const uint8_t *data,
    size_t len)
{
    unsigned char  toc;

    if (len == 0 || len > SPACES_OPUS_MAX_PACKET) {
        return -1;
    }

    packet->count = opus_packet_parse(data, (opus_int32) len, &toc,
                                      packet->frames, packet->sizes, NULL);

    if (packet->count <= 0) {
        return -1;
    }

    packet->data = data;
    packet->len = len;
    packet->toc = toc;
    packet->frame = opus_packet_get_samples_per_frame(data, SPACES_OPUS_RATE);

    if (packet->count * packet->frame > SPACES_OPUS_MAX_DURATION) {
        return -1;
    }

    return 0;
}


/* discontinuous transmission: there is no frame of more than a byte */

static int
spaces_activity_empty(const spaces_activity_packet_t *packet)
{
    int  i;

    for (i = 0; i < packet->count; i++) {
        if (packet->sizes[i] > 1) {
            return 0;
        }
    }

    return 1;
}


/*
 * A packet between empty ones refreshes the noise that a decoder makes in the
 * meantime: a probe would come to nothing.
 */

static int
spaces_activity_silk(spaces_activity_t *activity,
    const spaces_activity_packet_t *packet)
{
    int  begun;

    begun = activity->begun;

    activity->begun = 1;
    activity->celt_before = 0;

    if (spaces_activity_voice(packet)) {
        activity->level = SPACES_ACTIVITY_VOICE;
        activity->probing = 0;
        activity->verdict = 1;
        return 1;
    }

    if (activity->probing || (activity->rest == 0 && begun)) {
        spaces_activity_probe(activity, packet);
    }

    if (activity->level == SPACES_CELT_SILENCE) {
        activity->level = activity->verdict ? SPACES_ACTIVITY_VOICE
                                            : SPACES_ACTIVITY_NOISE;
    }

    return activity->verdict;
}


/*
 * RFC 6716, 4.2.3: a frame begins with a flag for each 20 ms and one for
 * redundancy, of the mid channel, then of the side channel; all are even
 * odds, so that they are the first bits of the frame as they stand.
 */

static int
spaces_activity_voice(const spaces_activity_packet_t *packet)
{
    int       i, n;
    unsigned  flags;

    n = (packet->frame + 959) / 960;
    flags = 0xff00 >> n & 0xff;

    if (packet->toc & SPACES_ACTIVITY_STEREO) {
        flags |= flags >> (n + 1);
    }

    for (i = 0; i < packet->count; i++) {
        if (packet->sizes[i] > 1 && (packet->frames[i][0] & flags)) {
            return 1;
        }
    }

    return 0;
}


/* the voice detector gets used to a lasting tone, and calls it noise */

static void
spaces_activity_probe(spaces_activity_t *activity,
    const spaces_activity_packet_t *packet)
{
    int           n;
    float         power;
    opus_int16    pcm[SPACES_OPUS_MAX_DURATION
                      / (SPACES_OPUS_RATE / SPACES_ACTIVITY_PROBE_RATE)];
    OpusDecoder  *decoder;

    decoder = spaces_activity_decoder(activity);

    if (!activity->probing) {
        (void) opus_decoder_ctl(decoder, OPUS_RESET_STATE);
        activity->probing = 1;
        activity->warm_up = SPACES_ACTIVITY_WARM_UP;
    }

    activity->rest += SPACES_ACTIVITY_REST;

    n = opus_decode(decoder, packet->data, (opus_int32) packet->len, pcm,
                    sizeof(pcm) / sizeof(opus_int16), 0);

    if (n > 0 && activity->warm_up > 0) {
        activity->warm_up -= packet->count * packet->frame;
        return;
    }

    activity->probing = 0;

    if (n <= 0) {
        activity->verdict = 0;
        return;
    }

    power = spaces_activity_power(pcm, n);
    activity->level = 10 * log10f(power);
    activity->verdict = (activity->level > SPACES_ACTIVITY_MAX_LEVEL);
}


static OpusDecoder *
spaces_activity_decoder(spaces_activity_t *activity)
{
    return (OpusDecoder *) ((uint8_t *) activity
                            + ((sizeof(spaces_activity_t) + 15)
                               & ~(size_t) 15));
}


static float
spaces_activity_power(const opus_int16 *pcm, int n)
{
    int    i;
    float  sum;

    sum = 0;

    for (i = 0; i < n; i++) {
        sum += (float) pcm[i] * (float) pcm[i];
    }

    /* a thousandth of a bit is silence as well, and has a logarithm */

    return (sum / (float) n + 1e-6f) / (32768.0f * 32768.0f);
}


static int
spaces_activity_celt(spaces_activity_t *activity,
    const spaces_activity_packet_t *packet)
{
    int    i, active;
    float  level;

    /* a decoder discards the energies it has after another mode */

    if (!activity->celt_before) {
        spaces_celt_init(&activity->celt);
        activity->celt_before = 1;
        activity->probing = 0;
    }

    active = 0;

    for (i = 0; i < packet->count; i++) {
        if (packet->sizes[i] <= 1) {
            continue;
        }

        level = spaces_celt_frame(&activity->celt, packet->toc,
                                  packet->frames[i], packet->sizes[i]);

        if (level > activity->level) {
            activity->level = level;
        }

        spaces_activity_learn(activity, level, packet->frame);

        if (level > spaces_activity_threshold(activity)) {
            active = 1;
        }
    }

    activity->verdict = active;

    return active;
}


static void
spaces_activity_learn(spaces_activity_t *activity, float level, int samples)
{
    if (level < SPACES_ACTIVITY_MUTED) {
        return;
    }

    activity->average += (level - activity->average) * (float) samples
                         / SPACES_ACTIVITY_AVERAGE;

    if (activity->average < activity->minimum) {
        activity->minimum = activity->average;
    }

    activity->window += samples;

    if (activity->window >= SPACES_ACTIVITY_WINDOW) {
        activity->last_minimum = activity->minimum;
        activity->minimum = activity->average;
        activity->window = 0;
    }
}


static float
spaces_activity_threshold(const spaces_activity_t *activity)
{
    float  floor;

    floor = activity->minimum;

    if (activity->last_minimum < floor) {
        floor = activity->last_minimum;
    }

    floor += SPACES_ACTIVITY_MARGIN;

    if (floor < SPACES_ACTIVITY_LEVEL) {
        return SPACES_ACTIVITY_LEVEL;
    }

    return (floor < SPACES_ACTIVITY_MAX_LEVEL) ? floor
                                               : SPACES_ACTIVITY_MAX_LEVEL;
}
