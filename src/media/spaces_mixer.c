
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <opus/opus.h>

#include "spaces_mixer.h"


/* below full scale by a little: decoders overshoot */
#define SPACES_MIXER_CEILING   0.95f

/* the limiter lets go by so much a block, 6 dB in 400 ms */
#define SPACES_MIXER_RELEASE   1.0044f

/* the limiter's blocks, 2.5 ms: any frame is made of them */
#define SPACES_MIXER_BLOCK     120

/* the last samples of a stretch that an encoder begins with: two frames */
#define SPACES_MIXER_WARM      (2 * SPACES_MIXER_FRAME)

/* the look-ahead of an encoder, 2.5 ms, in which it overlaps with the last */
#define SPACES_MIXER_LOOKAHEAD   120

/*
 * An encoder that takes over begins with so much of its level: the strongest
 * post-filter makes 1.75 times of it
 */
#define SPACES_MIXER_SOFT        0.57f

#define SPACES_MIXER_COMPLEXITY  5

/* the place of no packet: that of the first one is 0 */
#define SPACES_MIXER_NOWHERE     UINT64_MAX


typedef struct {
    OpusEncoder    *encoder;
    int64_t         granule;       /* where its next frame would begin */
    float           gain;          /* of the limiter */
    float           clip[2];       /* memory of the soft clipper */
} spaces_mixer_output_t;


typedef struct {
    OpusDecoder            *decoder;
    uint64_t                place;
    int                     begin;         /* samples pulled, and there */
    int                     end;
    float                  *pcm;           /* WARM + MAX_DURATION samples: the
                                              last ones, then the packet's */
    float                  *frame;         /* its share of the frame */
    float                  *last;          /* and of the one before */
    unsigned                heard:1;       /* in the frame at hand */
    unsigned                was_heard:1;   /* in the one before */
    spaces_mixer_output_t   returns;
} spaces_mixer_speaker_t;


struct spaces_mixer_s {
    int                      channels;
    int                      bitrate;
    unsigned                 n;
    float                   *sum;
    float                   *last;         /* the sum before */
    float                   *out;
    float                   *warm;         /* a frame before it */
    int                      samples;      /* of the frame */
    int                      last_samples;
    int                      before;       /* who was passed through */
    unsigned                 follows:1;    /* the frame before was mixed */
    spaces_mixer_output_t    mix;
    spaces_mixer_speaker_t   speakers[];
};


static OpusEncoder *spaces_mixer_encoder(const spaces_mixer_t *mixer);
static float *spaces_mixer_buffer(const spaces_mixer_t *mixer, size_t samples);
static void spaces_mixer_output_begin(spaces_mixer_t *mixer,
    spaces_mixer_output_t *output);
static void spaces_mixer_warm(spaces_mixer_t *mixer,
    spaces_mixer_output_t *output, int without);
static void spaces_mixer_warm_of_all(spaces_mixer_t *mixer,
    spaces_mixer_output_t *output, int without);
static void spaces_mixer_warm_without(spaces_mixer_t *mixer, unsigned i);
static void spaces_mixer_discard(spaces_mixer_t *mixer,
    spaces_mixer_output_t *output, int samples);
static void spaces_mixer_soften(spaces_mixer_t *mixer);
static int spaces_mixer_output(spaces_mixer_t *mixer,
    spaces_mixer_output_t *output, int64_t granule, int samples, uint8_t *out);
static void spaces_mixer_limit(spaces_mixer_t *mixer,
    spaces_mixer_output_t *output, int samples);
static float spaces_mixer_peak(const float *pcm, int n);


spaces_mixer_t *
spaces_mixer_create(unsigned n, int channels, int bitrate)
{
    spaces_mixer_t  *mixer;

    mixer = calloc(1, sizeof(spaces_mixer_t)
                      + n * sizeof(spaces_mixer_speaker_t));
    if (mixer == NULL) {
        return NULL;
    }

    mixer->n = n;
    mixer->channels = channels;
    mixer->bitrate = bitrate;

    mixer->sum = spaces_mixer_buffer(mixer, SPACES_MIXER_FRAME);
    mixer->last = spaces_mixer_buffer(mixer, SPACES_MIXER_FRAME);
    mixer->out = spaces_mixer_buffer(mixer, SPACES_MIXER_FRAME);
    mixer->warm = spaces_mixer_buffer(mixer, SPACES_MIXER_FRAME);
    mixer->mix.encoder = spaces_mixer_encoder(mixer);
    mixer->mix.granule = -1;

    if (mixer->sum == NULL || mixer->last == NULL || mixer->out == NULL
        || mixer->warm == NULL || mixer->mix.encoder == NULL)
    {
        spaces_mixer_destroy(mixer);
        return NULL;
    }

    return mixer;
}


void
spaces_mixer_destroy(spaces_mixer_t *mixer)
{
    unsigned                 i;
    spaces_mixer_speaker_t  *speaker;

    if (mixer == NULL) {
        return;
    }

    for (i = 0; i < mixer->n; i++) {
        speaker = &mixer->speakers[i];

        opus_decoder_destroy(speaker->decoder);
        opus_encoder_destroy(speaker->returns.encoder);
        free(speaker->pcm);
        free(speaker->frame);
        free(speaker->last);
    }

    opus_encoder_destroy(mixer->mix.encoder);
    free(mixer->sum);
    free(mixer->last);
    free(mixer->out);
    free(mixer->warm);
    free(mixer);
}


int
spaces_mixer_reserve(spaces_mixer_t *mixer, unsigned i, int returns)
{
    int                      rc;
    spaces_mixer_speaker_t  *speaker;

    speaker = &mixer->speakers[i];

    if (speaker->decoder == NULL) {
        speaker->decoder = opus_decoder_create(SPACES_OPUS_RATE,
                                               mixer->channels, &rc);
        speaker->place = SPACES_MIXER_NOWHERE;
    }

    if (speaker->pcm == NULL) {
        speaker->pcm = spaces_mixer_buffer(mixer, SPACES_MIXER_WARM
                                                  + SPACES_OPUS_MAX_DURATION);
        speaker->begin = SPACES_MIXER_WARM;
        speaker->end = SPACES_MIXER_WARM;
    }

    if (speaker->frame == NULL) {
        speaker->frame = spaces_mixer_buffer(mixer, SPACES_MIXER_FRAME);
    }

    if (speaker->last == NULL) {
        speaker->last = spaces_mixer_buffer(mixer, SPACES_MIXER_FRAME);
    }

    if (returns && speaker->returns.encoder == NULL) {
        speaker->returns.encoder = spaces_mixer_encoder(mixer);
        speaker->returns.granule = -1;
    }

    return (speaker->decoder && speaker->pcm && speaker->frame
            && speaker->last && (!returns || speaker->returns.encoder))
           ? 0 : -1;
}


/*
 * Of the modes of Opus this one has the shortest look-ahead, 2.5 ms: by so
 * much the mix is later than what is passed through.
 */

static OpusEncoder *
spaces_mixer_encoder(const spaces_mixer_t *mixer)
{
    int           rc;
    OpusEncoder  *encoder;

    encoder = opus_encoder_create(SPACES_OPUS_RATE, mixer->channels,
                                  OPUS_APPLICATION_RESTRICTED_LOWDELAY, &rc);
    if (encoder == NULL) {
        return NULL;
    }

    (void) opus_encoder_ctl(encoder, OPUS_SET_BITRATE(mixer->bitrate));
    (void) opus_encoder_ctl(encoder,
                            OPUS_SET_COMPLEXITY(SPACES_MIXER_COMPLEXITY));
    return encoder;
}


static float *
spaces_mixer_buffer(const spaces_mixer_t *mixer, size_t samples)
{
    return calloc(samples * mixer->channels, sizeof(float));
}


int
spaces_mixer_follows(const spaces_mixer_t *mixer, unsigned i, uint64_t place)
{
    return mixer->speakers[i].place == place;
}


void
spaces_mixer_forget(spaces_mixer_t *mixer, unsigned i)
{
    mixer->speakers[i].place = SPACES_MIXER_NOWHERE;
}


void
spaces_mixer_restart(spaces_mixer_t *mixer, unsigned i, int gain,
    uint64_t place)
{
    spaces_mixer_speaker_t  *speaker;

    speaker = &mixer->speakers[i];

    (void) opus_decoder_ctl(speaker->decoder, OPUS_RESET_STATE);
    (void) opus_decoder_ctl(speaker->decoder, OPUS_SET_GAIN(gain));

    memset(speaker->pcm, 0,
           SPACES_MIXER_WARM * mixer->channels * sizeof(float));

    speaker->place = place;
    speaker->begin = SPACES_MIXER_WARM;
    speaker->end = SPACES_MIXER_WARM;
}


void
spaces_mixer_decode(spaces_mixer_t *mixer, unsigned i, const uint8_t *data,
    size_t len, int duration, uint64_t place)
{
    int                      n;
    float                   *pcm;
    spaces_mixer_speaker_t  *speaker;

    speaker = &mixer->speakers[i];

    /* an encoder that begins, begins with what was before */

    memmove(speaker->pcm,
            speaker->pcm + (speaker->end - SPACES_MIXER_WARM)
                           * mixer->channels,
            SPACES_MIXER_WARM * mixer->channels * sizeof(float));

    pcm = speaker->pcm + SPACES_MIXER_WARM * mixer->channels;

    n = opus_decode_float(speaker->decoder, data, (opus_int32) len, pcm,
                          duration, 0);

    if (n < duration) {
        n = n < 0 ? 0 : n;
        memset(pcm + n * mixer->channels, 0,
               (duration - n) * mixer->channels * sizeof(float));
    }

    speaker->place = place;
    speaker->begin = SPACES_MIXER_WARM;
    speaker->end = SPACES_MIXER_WARM + duration;
}


void
spaces_mixer_conceal(spaces_mixer_t *mixer, unsigned i, int duration)
{
    spaces_mixer_decode(mixer, i, NULL, 0, duration,
                        mixer->speakers[i].place);
}


void
spaces_mixer_keep(spaces_mixer_t *mixer, unsigned i, int samples)
{
    spaces_mixer_speaker_t  *speaker;

    speaker = &mixer->speakers[i];

    speaker->begin = speaker->end - samples;

    if (speaker->begin < SPACES_MIXER_WARM) {
        speaker->begin = SPACES_MIXER_WARM;
    }
}


void
spaces_mixer_begin(spaces_mixer_t *mixer)
{
    float                   *last;
    unsigned                 i;
    spaces_mixer_speaker_t  *speaker;

    for (i = 0; i < mixer->n; i++) {
        speaker = &mixer->speakers[i];

        last = speaker->last;
        speaker->last = speaker->frame;
        speaker->frame = last;

        speaker->was_heard = speaker->heard;
        speaker->heard = 0;
    }

    last = mixer->last;
    mixer->last = mixer->sum;
    mixer->sum = last;

    mixer->last_samples = mixer->samples;

    memset(mixer->sum, 0,
           SPACES_MIXER_FRAME * mixer->channels * sizeof(float));
}


void
spaces_mixer_pull(spaces_mixer_t *mixer, unsigned i, int at, int samples)
{
    int                      k;
    float                   *from, *sum, *frame;
    spaces_mixer_speaker_t  *speaker;

    speaker = &mixer->speakers[i];

    if (samples > speaker->end - speaker->begin) {
        samples = speaker->end - speaker->begin;
    }

    if (!speaker->heard) {
        speaker->heard = 1;
        memset(speaker->frame, 0,
               SPACES_MIXER_FRAME * mixer->channels * sizeof(float));
    }

    from = speaker->pcm + speaker->begin * mixer->channels;
    sum = mixer->sum + at * mixer->channels;
    frame = speaker->frame + at * mixer->channels;

    for (k = 0; k < samples * mixer->channels; k++) {
        frame[k] = from[k];
        sum[k] += from[k];
    }

    speaker->begin += samples;
}


int
spaces_mixer_encode(spaces_mixer_t *mixer, int64_t granule, int samples,
    int before, uint8_t *out)
{
    mixer->samples = samples;
    mixer->before = before;
    mixer->follows = (mixer->mix.granule == granule);

    memcpy(mixer->out, mixer->sum,
           samples * mixer->channels * sizeof(float));

    if (!mixer->follows) {
        spaces_mixer_output_begin(mixer, &mixer->mix);
        spaces_mixer_warm(mixer, &mixer->mix, -1);
        spaces_mixer_soften(mixer);
    }

    return spaces_mixer_output(mixer, &mixer->mix, granule, samples, out);
}


int
spaces_mixer_encode_without(spaces_mixer_t *mixer, unsigned i,
    int64_t granule, int samples, uint8_t *out)
{
    int                      k;
    spaces_mixer_speaker_t  *speaker;

    speaker = &mixer->speakers[i];

    for (k = 0; k < samples * mixer->channels; k++) {
        mixer->out[k] = mixer->sum[k]
                        - (speaker->heard ? speaker->frame[k] : 0);
    }

    if (speaker->returns.granule != granule) {
        spaces_mixer_output_begin(mixer, &speaker->returns);

        if (mixer->follows) {
            spaces_mixer_warm_without(mixer, i);

        } else {
            spaces_mixer_warm(mixer, &speaker->returns, (int) i);
        }

        spaces_mixer_soften(mixer);
    }

    return spaces_mixer_output(mixer, &speaker->returns, granule, samples,
                               out);
}


static void
spaces_mixer_output_begin(spaces_mixer_t *mixer,
    spaces_mixer_output_t *output)
{
    (void) opus_encoder_ctl(output->encoder, OPUS_RESET_STATE);

    /* the energies in the listeners' decoders are those of other packets */

    (void) opus_encoder_ctl(output->encoder, OPUS_SET_PREDICTION_DISABLED(1));

    output->gain = 1;
    output->clip[0] = 0;
    output->clip[1] = 0;
}


/*
 * An encoder that takes over from packets that were passed through begins with
 * the audio that those left in the listeners' decoders; not with one's own.
 */

static void
spaces_mixer_warm(spaces_mixer_t *mixer, spaces_mixer_output_t *output,
    int without)
{
    int                      k;
    spaces_mixer_speaker_t  *speaker;

    if (mixer->before == SPACES_MIXER_ALL) {
        spaces_mixer_warm_of_all(mixer, output, without);
        return;
    }

    if (mixer->before < 0 || mixer->before == without) {
        return;
    }

    speaker = &mixer->speakers[mixer->before];

    if (speaker->pcm == NULL) {
        return;
    }

    /* the samples before those of its packet at hand */

    for (k = 0; k < SPACES_MIXER_WARM; k += SPACES_MIXER_FRAME) {
        memcpy(mixer->warm, speaker->pcm + k * mixer->channels,
               SPACES_MIXER_FRAME * mixer->channels * sizeof(float));
        spaces_mixer_discard(mixer, output, SPACES_MIXER_FRAME);
    }
}


/* from an encoder of another owner: with the frame before that it had */

static void
spaces_mixer_warm_of_all(spaces_mixer_t *mixer, spaces_mixer_output_t *output,
    int without)
{
    int                      k, from;
    unsigned                 i;
    spaces_mixer_speaker_t  *speaker;

    memset(mixer->warm, 0,
           SPACES_MIXER_FRAME * mixer->channels * sizeof(float));

    for (i = 0; i < mixer->n; i++) {
        speaker = &mixer->speakers[i];

        /* the frame at hand is pulled already */

        from = speaker->begin - mixer->samples - SPACES_MIXER_FRAME;

        if (!speaker->heard || (int) i == without || from < 0) {
            continue;
        }

        for (k = 0; k < SPACES_MIXER_FRAME * mixer->channels; k++) {
            mixer->warm[k] += speaker->pcm[from * mixer->channels + k];
        }
    }

    spaces_mixer_discard(mixer, output, SPACES_MIXER_FRAME);
}


/*
 * Likewise one of a speaker who has heard the mix, or the packets of the only
 * other one in it: the frame before, without the speaker.
 */

static void
spaces_mixer_warm_without(spaces_mixer_t *mixer, unsigned i)
{
    int                      k;
    spaces_mixer_speaker_t  *speaker;

    speaker = &mixer->speakers[i];

    for (k = 0; k < mixer->last_samples * mixer->channels; k++) {
        mixer->warm[k] = mixer->last[k]
                         - (speaker->was_heard ? speaker->last[k] : 0);
    }

    spaces_mixer_discard(mixer, &speaker->returns, mixer->last_samples);
}


/*
 * What decoders add to the end of the packets before, the look-ahead, goes
 * through the post-filter of those, and was not filtered for it: at full scale
 * it would burst.
 */

static void
spaces_mixer_discard(spaces_mixer_t *mixer, spaces_mixer_output_t *output,
    int samples)
{
    int      i;
    uint8_t  scrap[SPACES_MIXER_MAX_PACKET];

    for (i = (samples - SPACES_MIXER_LOOKAHEAD) * mixer->channels;
         i < samples * mixer->channels;
         i++)
    {
        mixer->warm[i] *= SPACES_MIXER_SOFT;
    }

    if (opus_encode_float(output->encoder, mixer->warm, samples, scrap,
                          sizeof(scrap))
        < 0)
    {
        (void) opus_encoder_ctl(output->encoder, OPUS_RESET_STATE);
    }
}


/* and in as much time again the decoders go over to the filter that is ours */

static void
spaces_mixer_soften(spaces_mixer_t *mixer)
{
    int    i, n;
    float  step;

    n = SPACES_MIXER_LOOKAHEAD * mixer->channels;
    step = (1 - SPACES_MIXER_SOFT) / n;

    for (i = 0; i < n; i++) {
        mixer->out[i] *= SPACES_MIXER_SOFT + step * i;
    }
}


static int
spaces_mixer_output(spaces_mixer_t *mixer, spaces_mixer_output_t *output,
    int64_t granule, int samples, uint8_t *out)
{
    int  len;

    spaces_mixer_limit(mixer, output, samples);

    len = opus_encode_float(output->encoder, mixer->out, samples, out,
                            SPACES_MIXER_MAX_PACKET);

    (void) opus_encoder_ctl(output->encoder, OPUS_SET_PREDICTION_DISABLED(0));

    output->granule = granule + samples;

    return len > 0 ? len : 0;
}


/*
 * The gain goes down within a block to what its peak and the next one's allow,
 * and comes back slowly; what a sudden peak has left is clipped softly.
 */

static void
spaces_mixer_limit(spaces_mixer_t *mixer, spaces_mixer_output_t *output,
    int samples)
{
    int     i, k, n, over;
    float   peak, gain, target, step, *pcm;

    n = SPACES_MIXER_BLOCK * mixer->channels;
    gain = output->gain;
    over = (output->clip[0] != 0 || output->clip[1] != 0);

    for (i = 0; i < samples / SPACES_MIXER_BLOCK; i++) {

        pcm = mixer->out + i * n;
        peak = spaces_mixer_peak(pcm, n);

        target = peak > SPACES_MIXER_CEILING ? SPACES_MIXER_CEILING / peak
                                             : 1;

        if (target > gain) {
            target = fminf(target, gain * SPACES_MIXER_RELEASE);
        }

        if (peak * fmaxf(gain, target) > 1) {
            over = 1;
        }

        if (gain == 1 && target == 1) {
            continue;
        }

        step = (target - gain) / n;

        for (k = 0; k < n; k++) {
            gain += step;
            pcm[k] *= gain;
        }

        gain = target;
    }

    output->gain = gain;

    /* it would look at each sample twice, and leave them all as they are */

    if (over) {
        opus_pcm_soft_clip(mixer->out, samples, mixer->channels,
                           output->clip);
    }
}


/* "n" is a multiple of 8; one maximum would wait for the one before it */

static float
spaces_mixer_peak(const float *pcm, int n)
{
    int    i, k;
    float  x, peak, peaks[8];

    memset(peaks, 0, sizeof(peaks));

    for (i = 0; i < n; i += 8) {

        for (k = 0; k < 8; k++) {
            x = fabsf(pcm[i + k]);
            peaks[k] = x > peaks[k] ? x : peaks[k];
        }
    }

    peak = 0;

    for (k = 0; k < 8; k++) {
        peak = fmaxf(peak, peaks[k]);
    }

    return peak;
}
