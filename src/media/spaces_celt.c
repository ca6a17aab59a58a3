
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <math.h>
#include <string.h>

#include "spaces_celt_frame.h"


/* the energy of a band in a silent frame, and the least for prediction */
#define SPACES_CELT_ENERGY_OFF  -28.0f
#define SPACES_CELT_ENERGY_MIN  -9.0f
#define SPACES_CELT_ENERGY_MAX  28.0f

/* measured: from the sum of the energies of a frame to dBov */
#define SPACES_CELT_FULL_SCALE  -93.3f


static void spaces_celt_header(spaces_celt_frame_t *f);
static void spaces_celt_comb(spaces_celt_frame_t *f);
static void spaces_celt_coarse(spaces_celt_t *celt, spaces_celt_frame_t *f);
static int spaces_celt_delta(spaces_celt_frame_t *f, const uint8_t *model);
static void spaces_celt_fine(spaces_celt_t *celt, spaces_celt_frame_t *f);
static void spaces_celt_resolution(spaces_celt_frame_t *f);
static void spaces_celt_silent(spaces_celt_t *celt, int channels);
static void spaces_celt_finish(spaces_celt_t *celt, spaces_celt_frame_t *f);
static float spaces_celt_level(const spaces_celt_t *celt,
    const spaces_celt_frame_t *f);


/* 4.3.2.1: for each frame size, inter and intra, and band: the probability */
/* of zero and the decay, both of 256 */

static const uint8_t  spaces_celt_model[4][2][2 * SPACES_CELT_BANDS] = {
    {
        {
             72, 127,  65, 129,  66, 128,  65, 128,  64, 128,  62, 128,
             64, 128,  64, 128,  92,  78,  92,  79,  92,  78,  90,  79,
            116,  41, 115,  40, 114,  40, 132,  26, 132,  26, 145,  17,
            161,  12, 176,  10, 177,  11,
        },
        {
             24, 179,  48, 138,  54, 135,  54, 132,  53, 134,  56, 133,
             55, 132,  55, 132,  61, 114,  70,  96,  74,  88,  75,  88,
             87,  74,  89,  66,  91,  67, 100,  59, 108,  50, 120,  40,
            122,  37,  97,  43,  78,  50,
        },
    },
    {
        {
             83,  78,  84,  81,  88,  75,  86,  74,  87,  71,  90,  73,
             93,  74,  93,  74, 109,  40, 114,  36, 117,  34, 117,  34,
            143,  17, 145,  18, 146,  19, 162,  12, 165,  10, 178,   7,
            189,   6, 190,   8, 177,   9,
        },
        {
             23, 178,  54, 115,  63, 102,  66,  98,  69,  99,  74,  89,
             71,  91,  73,  91,  78,  89,  86,  80,  92,  66,  93,  64,
            102,  59, 103,  60, 104,  60, 117,  52, 123,  44, 138,  35,
            133,  31,  97,  38,  77,  45,
        },
    },
    {
        {
             61,  90,  93,  60, 105,  42, 107,  41, 110,  45, 116,  38,
            113,  38, 112,  38, 124,  26, 132,  27, 136,  19, 140,  20,
            155,  14, 159,  16, 158,  18, 170,  13, 177,  10, 187,   8,
            192,   6, 175,   9, 159,  10,
        },
        {
             21, 178,  59, 110,  71,  86,  75,  85,  84,  83,  91,  66,
             88,  73,  87,  72,  92,  75,  98,  72, 105,  58, 107,  54,
            115,  52, 114,  55, 112,  56, 129,  51, 132,  40, 150,  33,
            140,  29,  98,  35,  77,  42,
        },
    },
    {
        {
             42, 121,  96,  66, 108,  43, 111,  40, 117,  44, 123,  32,
            120,  36, 119,  33, 127,  33, 134,  34, 139,  21, 147,  23,
            152,  20, 158,  25, 154,  26, 166,  21, 173,  16, 184,  13,
            184,  10, 150,  13, 139,  15,
        },
        {
             22, 178,  63, 114,  74,  82,  84,  83,  92,  82, 103,  62,
             96,  72,  96,  67, 101,  73, 107,  72, 113,  55, 118,  52,
            125,  52, 118,  52, 117,  55, 135,  49, 137,  39, 157,  32,
            145,  29,  97,  33,  77,  40,
        },
    },
};


/* 4.3.2.1, by frame size: from the frame before, from the band below */

static const float  spaces_celt_alpha[4] = {
    29440 / 32768.0f, 26112 / 32768.0f, 21248 / 32768.0f, 16384 / 32768.0f
};

static const float  spaces_celt_beta[4] = {
    30147 / 32768.0f, 22282 / 32768.0f, 12124 / 32768.0f, 6554 / 32768.0f
};

#define SPACES_CELT_BETA_INTRA  (4915 / 32768.0f)

/* log2 of the mean amplitude of a band, over the gain of the pre-emphasis, */
/* 1 - 0.85 / z, in its middle: with it an energy is a level */

static const float  spaces_celt_mean[SPACES_CELT_BANDS] = {
    9.1698f, 8.9461f, 8.3788f, 7.8509f, 7.4957f, 7.1328f, 6.7048f,
    6.4651f, 6.7987f, 6.4047f, 6.0919f, 5.7969f, 6.0084f, 5.5013f,
    4.9710f, 4.9282f, 4.5733f, 4.6029f, 4.4787f, 3.8957f, 2.9838f
};

static const uint8_t  spaces_celt_small_icdf[3] = { 2, 1, 0 };
static const uint8_t  spaces_celt_tapset_icdf[3] = { 2, 1, 0 };


static const uint8_t  spaces_celt_spread_icdf[4] = { 25, 23, 2, 0 };


void
spaces_celt_init(spaces_celt_t *celt)
{
    memset(celt, 0, sizeof(spaces_celt_t));
}


float
spaces_celt_frame(spaces_celt_t *celt, int toc, const uint8_t *data,
    size_t len)
{
    /* table 2; there is no medium band */
    static const uint8_t  ends[4] = { 13, 17, 19, SPACES_CELT_BANDS };

    spaces_celt_frame_t   f;

    if (len < 2) {
        return SPACES_CELT_SILENCE;
    }

    f.channels = (toc & 0x04) ? 2 : 1;
    f.lm = (toc >> 3) & 0x03;
    f.end = ends[(toc >> 5) & 0x03];
    f.bits = (int) len * 8;

    spaces_range_init(&f.range, data, len);
    spaces_celt_header(&f);

    if (f.silence) {
        spaces_celt_silent(celt, f.channels);

    } else {
        spaces_celt_coarse(celt, &f);
        spaces_celt_fine(celt, &f);
    }

    spaces_celt_finish(celt, &f);

    return f.silence ? SPACES_CELT_SILENCE : spaces_celt_level(celt, &f);
}


/* what table 56 lists before the energy */

static void
spaces_celt_header(spaces_celt_frame_t *f)
{
    f->comb = 0;
    f->transient = 0;
    f->intra = 0;

    f->silence = spaces_range_bit(&f->range, 15);

    if (f->silence) {
        return;
    }

    if (spaces_range_tell(&f->range) + 16 <= f->bits) {
        spaces_celt_comb(f);
    }

    if (f->lm > 0 && spaces_range_tell(&f->range) + 3 <= f->bits) {
        f->transient = spaces_range_bit(&f->range, 3);
    }

    if (spaces_range_tell(&f->range) + 3 <= f->bits) {
        f->intra = spaces_range_bit(&f->range, 3);
    }
}


/* the post-filter, 4.3.7.1 */

static void
spaces_celt_comb(spaces_celt_frame_t *f)
{
    unsigned  octave;

    if (!spaces_range_bit(&f->range, 1)) {
        return;
    }

    octave = spaces_range_uint(&f->range, 6);
    (void) spaces_range_raw(&f->range, 4 + octave);

    f->comb = 0.09375f * (1 + spaces_range_raw(&f->range, 3));

    if (spaces_range_tell(&f->range) + 2 <= f->bits) {
        (void) spaces_range_icdf(&f->range, spaces_celt_tapset_icdf, 2);
    }
}


static void
spaces_celt_coarse(spaces_celt_t *celt, spaces_celt_frame_t *f)
{
    int             i, c, delta;
    float           alpha, beta, old, below[2];
    const uint8_t  *model;

    alpha = f->intra ? 0 : spaces_celt_alpha[f->lm];
    beta = f->intra ? SPACES_CELT_BETA_INTRA : spaces_celt_beta[f->lm];
    model = spaces_celt_model[f->lm][f->intra];

    below[0] = 0;
    below[1] = 0;

    for (i = 0; i < f->end; i++) {
        for (c = 0; c < f->channels; c++) {
            delta = spaces_celt_delta(f, &model[2 * i]);

            old = celt->energy[c][i];

            /* both channels of a stereo frame go on from a mono frame */

            if (f->channels == 1) {
                old = spaces_celt_max(old, celt->energy[1][i]);
            }

            old = spaces_celt_max(old, SPACES_CELT_ENERGY_MIN);
            old = alpha * old + below[c] + delta;
            old = spaces_celt_max(old, SPACES_CELT_ENERGY_OFF);

            celt->energy[c][i] = spaces_celt_min(old, SPACES_CELT_ENERGY_MAX);
            below[c] += delta - beta * delta;
        }
    }
}


/* less and less is possible while the bits of the frame run out */

static int
spaces_celt_delta(spaces_celt_frame_t *f, const uint8_t *model)
{
    int  left, n;

    left = f->bits - spaces_range_tell(&f->range);

    if (left >= 15) {
        return spaces_range_laplace(&f->range, model[0] << 7, model[1] << 6);
    }

    if (left >= 2) {
        n = spaces_range_icdf(&f->range, spaces_celt_small_icdf, 2);
        return (n & 1) ? -(n + 1) / 2 : n / 2;
    }

    if (left >= 1) {
        return -spaces_range_bit(&f->range, 1);
    }

    return -1;
}


/*
 * 4.3.2.2.  Predictions go on from the refined energy, so that without these
 * bits a steady tone would drift off.  What 4.3.2.3 adds comes after the
 * spectrum, and is passed over: it is a quarter of a bit at most.
 */

static void
spaces_celt_fine(spaces_celt_t *celt, spaces_celt_frame_t *f)
{
    int  i, c, n;
    int  bits[SPACES_CELT_BANDS];

    spaces_celt_resolution(f);
    spaces_celt_share(f, bits);

    for (i = 0; i < f->end; i++) {
        n = bits[i];

        if (n <= 0
            || spaces_range_tell(&f->range) + f->channels * n > f->bits)
        {
            continue;
        }

        for (c = 0; c < f->channels; c++) {
            celt->energy[c][i] += (spaces_range_raw(&f->range, n) + 0.5f)
                                  / (float) (1 << n) - 0.5f;
        }
    }
}


/* changes of time and frequency resolution (4.3.4.5), the spread (4.3.4.3) */

static void
spaces_celt_resolution(spaces_celt_frame_t *f)
{
    int  i, bits, logp, flag, changed, reserved;

    logp = f->transient ? 2 : 4;
    reserved = (f->lm > 0
                && spaces_range_tell(&f->range) + logp + 1 <= f->bits);
    bits = f->bits - reserved;

    flag = 0;
    changed = 0;

    for (i = 0; i < f->end; i++) {
        if (spaces_range_tell(&f->range) + logp <= bits) {
            flag ^= spaces_range_bit(&f->range, logp);
            changed |= flag;
        }

        logp = f->transient ? 4 : 5;
    }

    /* a choice of tables, where these differ */

    if (reserved && (changed || (f->transient && f->lm > 1))) {
        (void) spaces_range_bit(&f->range, 1);
    }

    if (spaces_range_tell(&f->range) + 4 <= f->bits) {
        (void) spaces_range_icdf(&f->range, spaces_celt_spread_icdf, 5);
    }
}


static void
spaces_celt_silent(spaces_celt_t *celt, int channels)
{
    int  i, c;

    for (c = 0; c < channels; c++) {
        for (i = 0; i < SPACES_CELT_BANDS; i++) {
            celt->energy[c][i] = SPACES_CELT_ENERGY_OFF;
        }
    }
}


static void
spaces_celt_finish(spaces_celt_t *celt, spaces_celt_frame_t *f)
{
    int  i;

    for (i = f->end; i < SPACES_CELT_BANDS; i++) {
        celt->energy[0][i] = 0;
        celt->energy[1][i] = 0;
    }

    if (f->channels == 1) {
        memcpy(celt->energy[1], celt->energy[0], sizeof(celt->energy[0]));
    }
}


static float
spaces_celt_level(const spaces_celt_t *celt, const spaces_celt_frame_t *f)
{
    int    i, c;
    float  power, level, residue;

    power = 0;

    for (c = 0; c < f->channels; c++) {
        for (i = 0; i < f->end; i++) {
            power += exp2f(2 * (celt->energy[c][i] + spaces_celt_mean[i]));
        }
    }

    /* the post-filter makes a periodic sound of what is left of it */

    residue = 1 - f->comb;
    level = 10 * log10f(power / f->channels / (residue * residue));
    level += SPACES_CELT_FULL_SCALE;

    /* the energies of short blocks are added up */

    if (f->transient) {
        level -= 3.01f * f->lm;
    }

    return spaces_celt_max(level, SPACES_CELT_SILENCE);
}
