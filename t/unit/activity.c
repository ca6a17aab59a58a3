
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * spaces_celt and spaces_activity, against what libopus makes.
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
#include <opus/opus.h>

#include "spaces_activity.h"
#include "spaces_celt.h"
#include "spaces_range.h"


#define RATE    48000
#define MAX     4000
#define FRAME   960


/* the level is the rms, in dBov, of tones and noise alike */

typedef enum {
    NOISE = 0,
    BROWN,
    TONE,
    SPEECH                              /* noise that comes and goes */
} kind_e;


typedef struct {
    kind_e         kind;
    double         level;
    double         freq;
    double         phase;
    double         brown;
    unsigned       seed;
    int            channels;
    int            frame;
    OpusEncoder   *encoder;
} source_t;


/* noise is the same on each run, and on each machine */

static double
uniform(source_t *s)
{
    s->seed = s->seed * 1664525u + 1013904223u;

    return s->seed / 4294967296.0 - 0.5;
}


static double
sample(source_t *s)
{
    double  x, gain;

    gain = pow(10, s->level / 20);
    s->phase += 1.0 / RATE;

    switch (s->kind) {

    case TONE:
        return gain * sqrt(2) * sin(2 * M_PI * s->freq * s->phase);

    case BROWN:
    case SPEECH:
        s->brown = 0.9 * s->brown + uniform(s);
        x = gain * s->brown / sqrt(1 / 12.0 / (1 - 0.81));

        return (s->kind == BROWN) ? x
                                  : x * (1 - cos(2 * M_PI * 4 * s->phase));

    default:
        return gain * uniform(s) * sqrt(12);
    }
}


static void
source_open(source_t *s, kind_e kind, double level, int application,
    int bitrate, int channels, int frame)
{
    int  err;

    memset(s, 0, sizeof(source_t));

    s->kind = kind;
    s->level = level;
    s->freq = 1000;
    s->seed = 1;
    s->channels = channels;
    s->frame = frame;

    s->encoder = opus_encoder_create(RATE, channels, application, &err);
    assert_non_null(s->encoder);

    opus_encoder_ctl(s->encoder, OPUS_SET_BITRATE(bitrate));
}


static void
source_close(source_t *s)
{
    opus_encoder_destroy(s->encoder);
}


/* the second channel is half as loud */

static int
source_packet(source_t *s, uint8_t *out)
{
    int           i, len;
    float         x;
    static float  pcm[2 * 5760];

    for (i = 0; i < s->frame; i++) {
        x = (float) sample(s);
        pcm[i * s->channels] = x;

        if (s->channels == 2) {
            pcm[i * 2 + 1] = x / 2;
        }
    }

    len = opus_encode_float(s->encoder, pcm, s->frame, out, MAX);
    assert_true(len > 0);

    return len;
}


static spaces_activity_t *
activity_new(void)
{
    spaces_activity_t  *activity;

    activity = malloc(spaces_activity_size());
    assert_non_null(activity);

    spaces_activity_init(activity);

    return activity;
}


/* how many of "n" packets are active */

static int
listen_to(spaces_activity_t *activity, source_t *s, int n)
{
    int      len, active;
    uint8_t  p[MAX];

    for (active = 0; n > 0; n--) {
        len = source_packet(s, p);
        active += spaces_activity_packet(activity, p, len);
    }

    return active;
}


static double
decoded_power(OpusDecoder *decoder, const uint8_t *p, int len, int channels)
{
    int           i, n;
    double        sum;
    static float  pcm[2 * 5760];

    n = opus_decode_float(decoder, p, len, pcm, 5760, 0);
    assert_true(n > 0);

    for (sum = 0, i = 0; i < n * channels; i++) {
        sum += (double) pcm[i] * pcm[i];
    }

    return sum / (n * channels);
}


static double
estimated_power(spaces_celt_t *celt, const uint8_t *p, int len)
{
    int             i, n;
    double          sum;
    opus_int16      sizes[48];
    unsigned char   toc;
    const uint8_t  *frames[48];

    n = opus_packet_parse(p, len, &toc, frames, sizes, NULL);
    assert_true(n > 0);

    for (sum = 0, i = 0; i < n; i++) {
        sum += pow(10, spaces_celt_frame(celt, toc, frames[i], sizes[i]) / 10);
    }

    return sum / n;
}


/* the difference of the levels that are estimated and decoded, dB */

static double
level_error(source_t *s)
{
    int             i, len, err, counted;
    double          decoded, estimated, d, e;
    uint8_t         p[MAX];
    OpusDecoder    *decoder;
    spaces_celt_t   celt;

    decoder = opus_decoder_create(RATE, s->channels, &err);
    assert_non_null(decoder);

    spaces_celt_init(&celt);

    decoded = 0;
    estimated = 0;
    counted = 0;

    for (i = 0; i < RATE; i += s->frame) {
        len = source_packet(s, p);
        d = decoded_power(decoder, p, len, s->channels);

        if (!(p[0] & 0x80)) {
            spaces_celt_init(&celt);
            continue;
        }

        e = estimated_power(&celt, p, len);

        if (i >= RATE / 5) {
            decoded += d;
            estimated += e;
            counted++;
        }
    }

    opus_decoder_destroy(decoder);

    return (counted > 5) ? 10 * log10(estimated / decoded) : 0;
}


static void
test_range(void **state)
{
    int             i, n;
    uint8_t         p[4] = { 0x5a, 0xc3, 0x96, 0x0f };
    spaces_range_t  range;

    /* even odds are the bits as they stand */

    spaces_range_init(&range, p, 4);
    assert_int_equal(spaces_range_tell(&range), 1);
    assert_int_equal(spaces_range_tell_frac(&range), 8);

    for (i = 0; i < 16; i++) {
        n = spaces_range_bit(&range, 1);
        assert_int_equal(n, (p[i / 8] >> (7 - i % 8)) & 1);
        assert_int_equal(spaces_range_tell(&range), i + 2);
    }

    /* raw bits are read from the end, and cost as many */

    spaces_range_init(&range, p, 4);
    assert_int_equal(spaces_range_raw(&range, 4), 0x0f);
    assert_int_equal(spaces_range_raw(&range, 12), 0x960);
    assert_int_equal(spaces_range_tell(&range), 17);

    /* past the end, there are zeros */

    assert_int_equal(spaces_range_raw(&range, 16), 0x5ac3);
    assert_int_equal(spaces_range_raw(&range, 16), 0);

    spaces_range_init(&range, NULL, 0);

    for (i = 0; i < 1000; i++) {
        assert_true(spaces_range_uint(&range, 6) < 6);
    }
}


/*
 * Within 3 dB; short frames of so few bits that libopus itself misses the
 * level of a tone are left out.
 */

static void
test_level(void **state)
{
    int       application, channels, i, j, k, n;
    double    error;
    source_t  s;

    static const int     applications[2] = {
        OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_APPLICATION_AUDIO
    };
    static const int     frames[5] = { 120, 240, 480, 960, 2880 };
    static const int     bitrates[4] = { 16000, 32000, 64000, 128000 };
    static const double  freqs[5] = { 0, 0, 200, 1000, 6000 };

    n = 0;

    for (i = 0; i < 5 * 4 * 5 * 3 * 2 * 2; i++) {
        j = i;

        application = applications[j % 2];
        j /= 2;
        channels = 1 + j % 2;
        j /= 2;
        k = j % 5;
        j /= 5;

        if (frames[j % 5] * bitrates[j / 5 % 4] / 8 / RATE < 25
            && frames[j % 5] < 960 && k > BROWN)
        {
            continue;
        }

        source_open(&s, (k < TONE) ? k : TONE, -12 - 20 * (j / 20),
                    application, bitrates[j / 5 % 4], channels,
                    frames[j % 5]);
        s.freq = freqs[k];

        error = level_error(&s);

        if (fabs(error) > 3) {
            fail_msg("%d channels, frame of %d, %d bit/s, kind %d, %.0f dBov: "
                     "%.2f dB", channels, s.frame, bitrates[j / 5 % 4], k,
                     s.level, error);
        }

        source_close(&s);
        n++;
    }

    assert_true(n > 900);
}


/* a sine of full scale is about -3 dBov */

static void
test_scale(void **state)
{
    int             i, len;
    double          power, sum;
    uint8_t         p[MAX];
    source_t        s;
    spaces_celt_t   celt;

    source_open(&s, TONE, -3.02, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 64000,
                1, FRAME);
    spaces_celt_init(&celt);

    for (sum = 0, i = 0; i < 60; i++) {
        len = source_packet(&s, p);
        power = estimated_power(&celt, p, len);
        sum += (i < 10) ? 0 : power;
    }

    assert_true(fabs(10 * log10(sum / 50) + 3) < 1.5);

    source_close(&s);
}


/* the sum over 100 frames of the energies of both channels */

static void
energies(double level, double *sums)
{
    int             i, j, len;
    uint8_t         p[MAX];
    source_t        s;
    spaces_celt_t   celt;

    source_open(&s, NOISE, level, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 96000,
                2, FRAME);
    spaces_celt_init(&celt);
    memset(sums, 0, 2 * SPACES_CELT_BANDS * sizeof(double));

    for (i = 0; i < 100; i++) {
        len = source_packet(&s, p);
        (void) estimated_power(&celt, p, len);

        for (j = 0; j < 2 * SPACES_CELT_BANDS && i > 0; j++) {
            sums[j] += celt.energy[j / SPACES_CELT_BANDS]
                                  [j % SPACES_CELT_BANDS];
        }
    }

    source_close(&s);
}


/* energies are log2 of amplitudes: twice as loud is one more */

static void
test_energy(void **state)
{
    int     i;
    double  soft[2 * SPACES_CELT_BANDS], loud[2 * SPACES_CELT_BANDS];

    energies(-40, soft);
    energies(-40 + 6.0206, loud);

    for (i = 0; i < SPACES_CELT_BANDS; i++) {
        assert_true(fabs((loud[i] - soft[i]) / 99 - 1) < 0.15);

        /* the second channel is half as loud */

        assert_true(fabs((loud[i] - loud[i + SPACES_CELT_BANDS]) / 99 - 1)
                    < 0.15);
    }
}


static void
test_silent_frame(void **state)
{
    int             i, n;
    uint8_t         p[2] = { 0xff, 0xfe };
    uint8_t         noise[20];
    spaces_celt_t   celt;

    spaces_celt_init(&celt);
    memset(noise, 0x55, sizeof(noise));

    (void) spaces_celt_frame(&celt, 0xf8, noise, sizeof(noise));

    assert_true(spaces_celt_frame(&celt, 0xf8, p, 2) == SPACES_CELT_SILENCE);

    for (i = 0; i < SPACES_CELT_BANDS; i++) {
        assert_true(celt.energy[0][i] == -28.0f);
        assert_true(celt.energy[1][i] == -28.0f);
    }

    /* bands that aren't coded start anew */

    (void) spaces_celt_frame(&celt, 0x98, noise, sizeof(noise));

    for (n = 0, i = 13; i < SPACES_CELT_BANDS; i++) {
        n += (celt.energy[0][i] != 0);
    }

    assert_int_equal(n, 0);
    assert_true(spaces_celt_frame(&celt, 0xf8, p, 1) == SPACES_CELT_SILENCE);
    assert_true(celt.energy[0][20] == 0);
}


static void
test_silence(void **state)
{
    int                 i;
    uint8_t             filler[3] = { 0xf8, 0xff, 0xfe };
    source_t            s;
    spaces_activity_t  *activity;

    static const int    applications[3] = {
        OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_APPLICATION_AUDIO,
        OPUS_APPLICATION_VOIP
    };

    for (i = 0; i < 3; i++) {
        activity = activity_new();
        source_open(&s, TONE, -1000, applications[i], 24000, 2, FRAME);

        assert_int_equal(listen_to(activity, &s, 500), 0);
        assert_int_equal(spaces_activity_packet(activity, filler, 3), 0);
        assert_int_equal(spaces_activity_packet(activity, filler, 1), 0);
        assert_int_equal(spaces_activity_packet(activity, filler, 0), 0);

        source_close(&s);
        free(activity);
    }
}


/* for a minute, and without a gap */

static void
test_tone(void **state)
{
    int                 i, len, voiceless;
    uint8_t             p[MAX];
    source_t            s;
    spaces_activity_t  *activity;

    activity = activity_new();
    source_open(&s, TONE, -20, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 32000, 1,
                FRAME);
    listen_to(activity, &s, 2);
    assert_int_equal(listen_to(activity, &s, 3000), 3000);
    source_close(&s);
    free(activity);

    activity = activity_new();
    source_open(&s, TONE, -20, OPUS_APPLICATION_VOIP, 16000, 1, FRAME);
    listen_to(activity, &s, 10);

    for (voiceless = 0, i = 0; i < 3000; i++) {
        len = source_packet(&s, p);
        assert_true(p[0] < 0x80);

        voiceless += (p[1] < 0x80);
        assert_int_equal(spaces_activity_packet(activity, p, len), 1);
    }

    /* which is what probes are for */

    assert_true(voiceless > 1000);

    source_close(&s);
    free(activity);
}


static void
test_dtx(void **state)
{
    int                 i;
    source_t            s;
    spaces_activity_t  *activity;

    activity = activity_new();
    source_open(&s, SPEECH, -1000, OPUS_APPLICATION_VOIP, 20000, 1, FRAME);
    opus_encoder_ctl(s.encoder, OPUS_SET_DTX(1));

    for (i = 0; i < 3; i++) {
        s.level = -1000;
        listen_to(activity, &s, 75);
        assert_int_equal(listen_to(activity, &s, 400), 0);

        s.level = -25;
        assert_true(listen_to(activity, &s, 200) > 150);
    }

    source_close(&s);
    free(activity);
}


static void
test_noise_floor(void **state)
{
    source_t            s;
    spaces_activity_t  *activity;

    /* under all thresholds */

    activity = activity_new();
    source_open(&s, NOISE, -65, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 32000,
                1, FRAME);
    assert_int_equal(listen_to(activity, &s, 1000), 0);
    source_close(&s);
    free(activity);

    activity = activity_new();
    source_open(&s, NOISE, -65, OPUS_APPLICATION_VOIP, 16000, 1, FRAME);
    listen_to(activity, &s, 200);
    assert_int_equal(listen_to(activity, &s, 1000), 0);
    source_close(&s);
    free(activity);

    /* a noisy microphone, and a voice over it */

    activity = activity_new();
    source_open(&s, BROWN, -50, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 32000,
                1, FRAME);
    assert_true(listen_to(activity, &s, 1500) < 15);

    s.kind = SPEECH;
    s.level = -25;
    assert_true(listen_to(activity, &s, 500) > 350);

    s.kind = BROWN;
    s.level = -50;
    listen_to(activity, &s, 5);
    assert_true(listen_to(activity, &s, 1000) < 10);

    source_close(&s);
    free(activity);
}


/* flags of SILK, for each layout of them */

static void
test_voice_flags(void **state)
{
    int                 bit;
    size_t              i;
    uint8_t             p[24];
    spaces_activity_t  *activity;

    static const struct {
        uint8_t         toc;
        uint8_t         flags;          /* those that aren't redundancy */
    } layouts[] = {
        { 0x00, 0x80 }, { 0x08, 0x80 }, { 0x10, 0xc0 }, { 0x18, 0xe0 },
        { 0x04, 0xa0 }, { 0x0c, 0xa0 }, { 0x14, 0xd8 }, { 0x1c, 0xee },
        { 0x60, 0x80 }, { 0x7c, 0xa0 }
    };

    for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        for (bit = 0; bit < 8; bit++) {
            activity = activity_new();

            memset(p, 0, sizeof(p));
            p[0] = layouts[i].toc;
            p[1] = 1 << bit;

            assert_int_equal(spaces_activity_packet(activity, p, sizeof(p)),
                             (layouts[i].flags >> bit) & 1);

            /* the same in the second of two frames */

            memset(p, 0, sizeof(p));
            p[0] = layouts[i].toc | 1;
            p[12] = 1 << bit;

            spaces_activity_init(activity);

            assert_int_equal(spaces_activity_packet(activity, p, 23),
                             (layouts[i].flags >> bit) & 1);
            free(activity);
        }
    }
}


/* one frame of three is loud; empty frames are none */

static void
test_frames(void **state)
{
    int                 i, j, n, len;
    uint8_t             tone[MAX], all[MAX];
    source_t            s;
    const uint8_t      *p;
    spaces_activity_t  *activity;
    OpusRepacketizer   *repacketizer;

    uint8_t             silent[3] = { 0, 0xff, 0xfe };
    uint8_t             empty[3] = { 0xf9, 0x00, 0x00 };

    activity = activity_new();
    source_open(&s, TONE, -20, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 32000, 1,
                FRAME);

    /* frames that don't depend on others */

    opus_encoder_ctl(s.encoder, OPUS_SET_PREDICTION_DISABLED(1));

    for (len = 0, i = 0; i < 3; i++) {
        len = source_packet(&s, tone);
    }

    silent[0] = tone[0];

    repacketizer = opus_repacketizer_create();
    assert_non_null(repacketizer);

    for (i = 0; i < 3; i++) {
        opus_repacketizer_init(repacketizer);

        for (j = 0; j < 3; j++) {
            p = (i == j) ? tone : silent;

            assert_int_equal(opus_repacketizer_cat(repacketizer, p,
                                                   (i == j) ? len : 3),
                             OPUS_OK);
        }

        n = opus_repacketizer_out(repacketizer, all, MAX);
        assert_int_equal(spaces_activity_packet(activity, all, n), 1);
    }

    assert_int_equal(spaces_activity_packet(activity, empty, 3), 0);

    opus_repacketizer_destroy(repacketizer);
    source_close(&s);
    free(activity);
}


/* both modes in turn */

static void
test_switch(void **state)
{
    int                 i;
    source_t            voice, music;
    spaces_activity_t  *activity;

    activity = activity_new();

    source_open(&voice, BROWN, -65, OPUS_APPLICATION_VOIP, 16000, 1, FRAME);
    source_open(&music, TONE, -20, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 32000,
                1, FRAME);

    (void) listen_to(activity, &music, 2);
    (void) listen_to(activity, &voice, 300);

    for (i = 0; i < 5; i++) {
        assert_int_equal(listen_to(activity, &music, 100), 100);

        /* the next probe ends that */

        (void) listen_to(activity, &voice, 60);
        assert_int_equal(listen_to(activity, &voice, 100), 0);
    }

    source_close(&voice);
    source_close(&music);
    free(activity);
}


/* in memory of just that length, so that ASan sees what is past it */

static int
feed(spaces_activity_t *activity, const uint8_t *p, size_t len)
{
    int       active;
    uint8_t  *copy;

    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, p, len);

    active = spaces_activity_packet(activity, copy, len);
    assert_true(active == 0 || active == 1);

    free(copy);

    return active;
}


static void
test_hostile(void **state)
{
    int                 i, j;
    size_t              len;
    uint8_t             p[1500];
    source_t            s;
    spaces_activity_t  *activity;

    memset(&s, 0, sizeof(source_t));
    activity = activity_new();

    for (i = 0; i < 100000; i++) {
        len = (size_t) ((uniform(&s) + 0.5) * 1501);

        /* short ones are a kind of their own, and so are CELT frames */

        len = (i % 4 == 1) ? len % 24 : len;

        for (j = 0; j < (int) len; j++) {
            p[j] = (uint8_t) ((uniform(&s) + 0.5) * 256);
        }

        if (len && i % 4 >= 2) {
            p[0] = (p[0] & 0x7c) | 0x80;
        }

        (void) feed(activity, p, len);
    }

    free(activity);
}


static void
test_truncated(void **state)
{
    int                 i, j, k, len;
    uint8_t             p[MAX];
    source_t            s;
    spaces_activity_t  *activity;

    static const int    applications[2] = {
        OPUS_APPLICATION_RESTRICTED_LOWDELAY, OPUS_APPLICATION_VOIP
    };
    static const int    frames[4] = { 120, 480, 960, 2880 };

    activity = activity_new();

    for (i = 0; i < 2; i++) {
        for (j = (i == 0) ? 0 : 1; j < 4; j++) {
            source_open(&s, SPEECH, -20, applications[i], 32000, 1 + j % 2,
                        frames[j]);

            for (k = 0; k < 10; k++) {
                for (len = source_packet(&s, p); len >= 0; len--) {
                    (void) feed(activity, p, len);
                }
            }

            source_close(&s);
        }
    }

    free(activity);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_level),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_energy),
        cmocka_unit_test(test_silent_frame),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_tone),
        cmocka_unit_test(test_dtx),
        cmocka_unit_test(test_noise_floor),
        cmocka_unit_test(test_voice_flags),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_switch),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_truncated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
