
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <math.h>
#include <string.h>

#include "spaces_celt.h"


/* RFC 6716, 4.1.1: the range is kept above 2^23, and below 2^31 */
#define SPACES_RANGE_BITS       32
#define SPACES_RANGE_BOTTOM     0x00800000u
#define SPACES_RANGE_MASK       0x7fffffffu

/* the energy of a band in a silent frame, and the least for prediction */
#define SPACES_CELT_ENERGY_OFF  -28.0f
#define SPACES_CELT_ENERGY_MIN  -9.0f
#define SPACES_CELT_ENERGY_MAX  28.0f

/* measured: from the sum of the energies of a frame to dBov */
#define SPACES_CELT_FULL_SCALE  -93.3f

#define spaces_celt_min(a, b)   (((a) < (b)) ? (a) : (b))
#define spaces_celt_max(a, b)   (((a) > (b)) ? (a) : (b))


/* what the symbols of a frame are read with */

typedef struct {
    spaces_range_t   range;
    int              channels;
    int              lm;           /* log2 of the frame size in 2.5 ms */
    int              end;          /* bands of the bandwidth */
    int              bits;         /* of the whole frame */
    int              silence;
    int              transient;
    int              intra;
    float            comb;         /* the gain of the post-filter */
} spaces_celt_frame_t;


/* how the bits of a frame are shared out among its bands; eighths of a bit */

typedef struct {
    int              total;
    int              sum;          /* of "bits" */
    int              trim;
    int              skip;         /* reserved for symbols: of skipped bands */
    int              intensity;    /* of intensity stereo */
    int              dual;         /* of dual stereo */
    int              coded;        /* bands with a spectrum of their own */
    int              joint;        /* bands coded as mid and side */
    int              boosted;      /* the last band with a boost */
    int              size[SPACES_CELT_BANDS];   /* coefficients */
    int              boost[SPACES_CELT_BANDS];
    int              cap[SPACES_CELT_BANDS];
    int              threshold[SPACES_CELT_BANDS];
    int              tilt[SPACES_CELT_BANDS];
    int              bits[SPACES_CELT_BANDS];
    int              fine[SPACES_CELT_BANDS];   /* whole bits, per channel */
} spaces_celt_share_t;


static void spaces_range_normalize(spaces_range_t *range);
static unsigned spaces_range_next(spaces_range_t *range);
static unsigned spaces_range_icdf(spaces_range_t *range, const uint8_t *icdf,
    unsigned bits);
static int spaces_range_laplace(spaces_range_t *range, unsigned zero,
    unsigned decay);

static void spaces_celt_header(spaces_celt_frame_t *f);
static void spaces_celt_comb(spaces_celt_frame_t *f);
static void spaces_celt_coarse(spaces_celt_t *celt, spaces_celt_frame_t *f);
static int spaces_celt_delta(spaces_celt_frame_t *f, const uint8_t *model);
static void spaces_celt_fine(spaces_celt_t *celt, spaces_celt_frame_t *f);
static void spaces_celt_resolution(spaces_celt_frame_t *f);
static void spaces_celt_boosts(spaces_celt_frame_t *f,
    spaces_celt_share_t *share);
static int spaces_celt_room(const spaces_celt_frame_t *f, int total);
static void spaces_celt_reserve(const spaces_celt_frame_t *f,
    spaces_celt_share_t *share);
static void spaces_celt_limits(const spaces_celt_frame_t *f,
    spaces_celt_share_t *share);
static void spaces_celt_divide(const spaces_celt_frame_t *f,
    spaces_celt_share_t *share);
static void spaces_celt_curve(const spaces_celt_frame_t *f,
    const spaces_celt_share_t *share, int quality, int *bits);
static int spaces_celt_settle(const spaces_celt_frame_t *f,
    const spaces_celt_share_t *share, int *bits);
static void spaces_celt_skip(spaces_celt_frame_t *f,
    spaces_celt_share_t *share);
static int spaces_celt_expected(const spaces_celt_share_t *share);
static void spaces_celt_stereo(spaces_celt_frame_t *f,
    spaces_celt_share_t *share);
static void spaces_celt_spend(const spaces_celt_frame_t *f,
    spaces_celt_share_t *share);
static int spaces_celt_fine_bits(const spaces_celt_frame_t *f,
    const spaces_celt_share_t *share, int band, int bits);
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


/* 4.3.3: eighths of a bit are what bits are shared out in */
#define SPACES_CELT_BIT         8

/* table 55: where bands begin, in coefficients of 200 Hz of a 2.5 ms frame */

static const uint8_t  spaces_celt_edge[SPACES_CELT_BANDS + 1] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 34, 40, 48, 60, 78,
    100
};

/* the most a band can use, by frame size and channels */

static const uint8_t  spaces_celt_cap[4][2][SPACES_CELT_BANDS] = {
    {
        {
            224, 224, 224, 224, 224, 224, 224, 224, 160, 160, 160, 160,
            185, 185, 185, 178, 178, 168, 134,  61,  37,
        },
        {
            224, 224, 224, 224, 224, 224, 224, 224, 240, 240, 240, 240,
            207, 207, 207, 198, 198, 183, 144,  66,  40,
        },
    },
    {
        {
            160, 160, 160, 160, 160, 160, 160, 160, 185, 185, 185, 185,
            193, 193, 193, 183, 183, 172, 138,  64,  38,
        },
        {
            240, 240, 240, 240, 240, 240, 240, 240, 207, 207, 207, 207,
            204, 204, 204, 193, 193, 180, 143,  66,  40,
        },
    },
    {
        {
            185, 185, 185, 185, 185, 185, 185, 185, 193, 193, 193, 193,
            193, 193, 193, 183, 183, 172, 138,  65,  39,
        },
        {
            207, 207, 207, 207, 207, 207, 207, 207, 204, 204, 204, 204,
            201, 201, 201, 188, 188, 176, 141,  66,  40,
        },
    },
    {
        {
            193, 193, 193, 193, 193, 193, 193, 193, 193, 193, 193, 193,
            194, 194, 194, 184, 184, 173, 139,  65,  39,
        },
        {
            204, 204, 204, 204, 204, 204, 204, 204, 201, 201, 201, 201,
            198, 198, 198, 187, 187, 175, 140,  66,  40,
        },
    },
};

/* table 57: 1/32 bit per coefficient, by quality and band */

#define SPACES_CELT_QUALITIES   11

static const uint8_t
spaces_celt_quality[SPACES_CELT_QUALITIES][SPACES_CELT_BANDS] = {
    {
          0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
          0,   0,   0,   0,   0,   0,   0,   0,   0,
    },
    {
         90,  80,  75,  69,  63,  56,  49,  40,  34,  29,  20,  18,
         10,   0,   0,   0,   0,   0,   0,   0,   0,
    },
    {
        110, 100,  90,  84,  78,  71,  65,  58,  51,  45,  39,  32,
         26,  20,  12,   0,   0,   0,   0,   0,   0,
    },
    {
        118, 110, 103,  93,  86,  80,  75,  70,  65,  59,  53,  47,
         40,  31,  23,  15,   4,   0,   0,   0,   0,
    },
    {
        126, 119, 112, 104,  95,  89,  83,  78,  72,  66,  60,  54,
         47,  39,  32,  25,  17,  12,   1,   0,   0,
    },
    {
        134, 127, 120, 114, 103,  97,  91,  85,  78,  72,  66,  60,
         54,  47,  41,  35,  29,  23,  16,  10,   1,
    },
    {
        144, 137, 130, 124, 113, 107, 101,  95,  88,  82,  76,  70,
         64,  57,  51,  45,  39,  33,  26,  15,   1,
    },
    {
        152, 145, 138, 132, 123, 117, 111, 105,  98,  92,  86,  80,
         74,  67,  61,  55,  49,  43,  36,  20,   1,
    },
    {
        162, 155, 148, 142, 133, 127, 121, 115, 108, 102,  96,  90,
         84,  77,  71,  65,  59,  53,  46,  30,   1,
    },
    {
        172, 165, 158, 152, 143, 137, 131, 125, 118, 112, 106, 100,
         94,  87,  81,  75,  69,  63,  56,  45,  20,
    },
    {
        200, 200, 200, 200, 200, 200, 200, 200, 198, 193, 188, 183,
        178, 173, 168, 163, 158, 153, 148, 129, 104,
    },
};

/* log2 of the width of a band, in eighths */

static const uint8_t  spaces_celt_width_log[SPACES_CELT_BANDS] = {
    0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 16, 16, 16, 21, 21, 24, 29, 34, 36
};

/* bits that the choice of one out of 1 to 22 takes, in eighths */

static const uint8_t  spaces_celt_choice[SPACES_CELT_BANDS + 1] = {
    0, 8, 13, 16, 19, 21, 23, 24, 26, 27, 28, 29, 30, 31, 32, 32, 33, 34, 34,
    35, 36, 36
};

static const uint8_t  spaces_celt_spread_icdf[4] = { 25, 23, 2, 0 };
static const uint8_t  spaces_celt_trim_icdf[11] = {
    126, 124, 119, 109, 87, 41, 19, 9, 4, 2, 0
};


void
spaces_range_init(spaces_range_t *range, const uint8_t *data, size_t len)
{
    memset(range, 0, sizeof(spaces_range_t));

    range->data = data;
    range->len = len;
    range->total = 9;

    range->carried = spaces_range_next(range);
    range->range = 128;
    range->value = 127 - (range->carried >> 1);

    spaces_range_normalize(range);
}


int
spaces_range_bit(spaces_range_t *range, unsigned logp)
{
    uint32_t  part;

    part = range->range >> logp;

    if (range->value < part) {
        range->range = part;
        spaces_range_normalize(range);
        return 1;
    }

    range->value -= part;
    range->range -= part;
    spaces_range_normalize(range);

    return 0;
}


unsigned
spaces_range_uint(spaces_range_t *range, unsigned n)
{
    uint32_t  part, from_top;

    part = range->range / n;
    from_top = spaces_celt_min(range->value / part, n - 1);

    range->value -= part * from_top;

    /* what the division left over belongs to the lowest symbol */

    if (from_top == n - 1) {
        range->range -= part * from_top;

    } else {
        range->range = part;
    }

    spaces_range_normalize(range);

    return n - 1 - from_top;
}


unsigned
spaces_range_raw(spaces_range_t *range, unsigned n)
{
    unsigned  bits;
    uint32_t  byte;

    while (range->window_bits < (int) n) {
        byte = 0;

        if (range->back < range->len) {
            range->back++;
            byte = range->data[range->len - range->back];
        }

        range->window |= byte << range->window_bits;
        range->window_bits += 8;
    }

    bits = range->window & ((1u << n) - 1);

    range->window >>= n;
    range->window_bits -= n;
    range->total += n;

    return bits;
}


int
spaces_range_tell(const spaces_range_t *range)
{
    return range->total - (SPACES_RANGE_BITS - __builtin_clz(range->range));
}


int
spaces_range_tell_frac(const spaces_range_t *range)
{
    int       i, log;
    uint32_t  square;

    log = SPACES_RANGE_BITS - __builtin_clz(range->range);
    square = range->range >> (log - 16);

    /* three bits more of the logarithm, a squaring each */

    for (i = 0; i < 3; i++) {
        square = (square * square) >> 15;
        log = 2 * log + (square >> 16);
        square >>= square >> 16;
    }

    return 8 * range->total - log;
}


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


static void
spaces_range_normalize(spaces_range_t *range)
{
    uint32_t  byte;

    while (range->range <= SPACES_RANGE_BOTTOM) {
        byte = range->carried << 8;
        range->carried = spaces_range_next(range);
        byte |= range->carried;

        range->total += 8;
        range->range <<= 8;
        range->value = ((range->value << 8) + (255 & ~(byte >> 1)))
                       & SPACES_RANGE_MASK;
    }
}


static unsigned
spaces_range_next(spaces_range_t *range)
{
    return (range->front < range->len) ? range->data[range->front++] : 0;
}


static unsigned
spaces_range_icdf(spaces_range_t *range, const uint8_t *icdf, unsigned bits)
{
    unsigned  n;
    uint32_t  part, low, high;

    part = range->range >> bits;
    high = range->range;
    low = part * icdf[0];

    for (n = 0; range->value < low; n++) {
        high = low;
        low = part * icdf[n + 1];
    }

    range->value -= low;
    range->range = high - low;
    spaces_range_normalize(range);

    return n;
}


/* 4.3.2.1: positive and negative values in turn, of equal probability */

static int
spaces_range_laplace(spaces_range_t *range, unsigned zero, unsigned decay)
{
    int       n;
    uint32_t  part, at, low, size, top;

    part = range->range >> 15;
    at = 32767 - spaces_celt_min(range->value / part, 32767);

    n = 0;
    low = 0;
    size = zero;

    if (at >= zero) {
        low = zero;

        /* the least probability, 1, is kept for 16 values on either side */

        size = (((32768 - 32 - zero) * (16384 - decay)) >> 15) + 1;

        for (n = 1; size > 1 && at >= low + 2 * size; n++) {
            low += 2 * size;
            size = (((2 * size - 2) * decay) >> 15) + 1;
        }

        if (size == 1) {
            n += (at - low) >> 1;
            low += (at - low) & ~1u;
        }

        if (at < low + size) {
            n = -n;

        } else {
            low += size;
        }
    }

    top = spaces_celt_min(low + size, 32768);

    range->value -= part * (32768 - top);
    range->range = low ? part * (top - low)
                       : range->range - part * (32768 - top);
    spaces_range_normalize(range);

    return n;
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
    int                  i, c, n;
    spaces_celt_share_t  share;

    spaces_celt_resolution(f);
    spaces_celt_boosts(f, &share);
    spaces_celt_reserve(f, &share);
    spaces_celt_limits(f, &share);
    spaces_celt_divide(f, &share);
    spaces_celt_skip(f, &share);
    spaces_celt_stereo(f, &share);
    spaces_celt_spend(f, &share);

    for (i = 0; i < f->end; i++) {
        n = share.fine[i];

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


/* boosts of bands, and the trim; also says what there is to be shared out */

static void
spaces_celt_boosts(spaces_celt_frame_t *f, spaces_celt_share_t *share)
{
    int             i, n, quantum, logp, first, total, tell;
    const uint8_t  *cap;

    cap = spaces_celt_cap[f->lm][f->channels - 1];
    total = f->bits * SPACES_CELT_BIT;
    first = 6;

    share->boosted = 0;

    for (i = 0; i < f->end; i++) {
        n = f->channels * (spaces_celt_edge[i + 1] - spaces_celt_edge[i]);
        n <<= f->lm;

        share->size[i] = n;
        share->cap[i] = ((cap[i] + 64) * n) >> 2;
        share->boost[i] = 0;

        quantum = spaces_celt_max(6 * SPACES_CELT_BIT, n);
        quantum = spaces_celt_min(n * SPACES_CELT_BIT, quantum);
        logp = first;

        while (share->boost[i] < share->cap[i]
               && spaces_celt_room(f, total) > logp * SPACES_CELT_BIT
               && spaces_range_bit(&f->range, logp))
        {
            share->boost[i] += quantum;
            total -= quantum;
            logp = 1;
        }

        if (share->boost[i]) {
            share->boosted = i;
            first = spaces_celt_max(first - 1, 2);
        }
    }

    share->trim = 5;
    tell = spaces_range_tell_frac(&f->range);

    if (tell + 6 * SPACES_CELT_BIT <= total) {
        share->trim = spaces_range_icdf(&f->range, spaces_celt_trim_icdf, 7);
    }

    share->total = f->bits * SPACES_CELT_BIT
                   - spaces_range_tell_frac(&f->range) - 1;
}


/* what is left of "total"; not more than enough if it is plenty */

static int
spaces_celt_room(const spaces_celt_frame_t *f, int total)
{
    int  room;

    room = total - spaces_range_tell(&f->range) * SPACES_CELT_BIT;

    if (room > 6 * SPACES_CELT_BIT) {
        return room;
    }

    return total - spaces_range_tell_frac(&f->range);
}


/* bits are set aside for the anti-collapse flag and for the symbols below */

static void
spaces_celt_reserve(const spaces_celt_frame_t *f, spaces_celt_share_t *share)
{
    if (f->transient && f->lm > 1
        && share->total >= (f->lm + 2) * SPACES_CELT_BIT)
    {
        share->total -= SPACES_CELT_BIT;
    }

    share->total = spaces_celt_max(share->total, 0);
    share->skip = (share->total >= SPACES_CELT_BIT) ? SPACES_CELT_BIT : 0;
    share->total -= share->skip;

    share->intensity = 0;
    share->dual = 0;

    if (f->channels == 1 || spaces_celt_choice[f->end] > share->total) {
        return;
    }

    share->intensity = spaces_celt_choice[f->end];
    share->total -= share->intensity;

    share->dual = (share->total >= SPACES_CELT_BIT) ? SPACES_CELT_BIT : 0;
    share->total -= share->dual;
}


/* the least a spectrum takes, and the tilt that the trim makes */

static void
spaces_celt_limits(const spaces_celt_frame_t *f, spaces_celt_share_t *share)
{
    int  i, width, tilt;

    tilt = f->channels * (share->trim - 5 - f->lm);

    for (i = 0; i < f->end; i++) {
        width = (spaces_celt_edge[i + 1] - spaces_celt_edge[i]) << f->lm;

        share->threshold[i] = spaces_celt_max(f->channels * SPACES_CELT_BIT,
                                           (3 * width * SPACES_CELT_BIT) >> 4);

        share->tilt[i] = (tilt * width * (f->end - i - 1) * SPACES_CELT_BIT)
                         >> 6;

        if (width == 1) {
            share->tilt[i] -= f->channels * SPACES_CELT_BIT;
        }
    }
}


/* the best quality all bands can have, then 1/64 steps to the next one */

static void
spaces_celt_divide(const spaces_celt_frame_t *f, spaces_celt_share_t *share)
{
    int  i, low, high, middle;
    int  bits[SPACES_CELT_BANDS], more[SPACES_CELT_BANDS];

    low = 0;
    high = SPACES_CELT_QUALITIES;

    while (high - low > 1) {
        middle = (low + high) / 2;
        spaces_celt_curve(f, share, middle, bits);

        if (spaces_celt_settle(f, share, bits) > share->total) {
            high = middle;

        } else {
            low = middle;
        }
    }

    spaces_celt_curve(f, share, low, share->bits);
    spaces_celt_curve(f, share, high, more);

    for (i = 0; i < f->end; i++) {
        more[i] = spaces_celt_max(more[i] - share->bits[i], 0);
    }

    low = 0;

    for (high = 32; high; high /= 2) {
        for (i = 0; i < f->end; i++) {
            bits[i] = share->bits[i] + (((low + high) * more[i]) >> 6);
        }

        if (spaces_celt_settle(f, share, bits) <= share->total) {
            low += high;
        }
    }

    for (i = 0; i < f->end; i++) {
        share->bits[i] += (low * more[i]) >> 6;
    }

    share->sum = spaces_celt_settle(f, share, share->bits);
}


/* what a quality asks for; there is nothing at all in the lowest one */

static void
spaces_celt_curve(const spaces_celt_frame_t *f,
    const spaces_celt_share_t *share, int quality, int *bits)
{
    int             i, n;
    const uint8_t  *row;

    if (quality == 0) {
        memset(bits, 0, SPACES_CELT_BANDS * sizeof(int));
        return;
    }

    row = (quality < SPACES_CELT_QUALITIES) ? spaces_celt_quality[quality]
                                            : NULL;

    for (i = 0; i < f->end; i++) {
        n = row ? (share->size[i] * row[i]) >> 2 : share->cap[i];

        if (n > 0) {
            n = spaces_celt_max(n + share->tilt[i], 0);
        }

        bits[i] = n + share->boost[i];
    }
}


/*
 * Bands on top that are under their threshold are left a bit for the energy
 * of each channel, or nothing; none gets more than it can use.  Returns the
 * sum.
 */

static int
spaces_celt_settle(const spaces_celt_frame_t *f,
    const spaces_celt_share_t *share, int *bits)
{
    int  i, least, sum;

    least = f->channels * SPACES_CELT_BIT;
    sum = 0;

    for (i = f->end - 1; i >= 0 && bits[i] < share->threshold[i]; i--) {
        bits[i] = (bits[i] >= least) ? least : 0;
        sum += bits[i];
    }

    for ( /* void */ ; i >= 0; i--) {
        bits[i] = spaces_celt_min(bits[i], share->cap[i]);
        sum += bits[i];
    }

    return sum;
}


/* bands on top are skipped: for want of bits, or for a flag that says so */

static void
spaces_celt_skip(spaces_celt_frame_t *f, spaces_celt_share_t *share)
{
    int  i, least, bits;

    least = f->channels * SPACES_CELT_BIT;

    for (share->coded = f->end; /* void */ ; share->coded--) {
        i = share->coded - 1;

        if (i <= share->boosted) {
            share->total += share->skip;
            return;
        }

        bits = spaces_celt_expected(share);

        if (bits >= spaces_celt_max(share->threshold[i],
                                    least + SPACES_CELT_BIT))
        {
            if (spaces_range_bit(&f->range, 1)) {
                return;
            }

            share->sum += SPACES_CELT_BIT;
            bits -= SPACES_CELT_BIT;
        }

        share->sum -= share->bits[i];

        /* there is one choice less for intensity stereo */

        if (share->intensity) {
            share->sum -= share->intensity - spaces_celt_choice[i];
            share->intensity = spaces_celt_choice[i];
        }

        share->bits[i] = (bits >= least) ? least : 0;
        share->sum += share->bits[i];
    }
}


/* bits of the last coded band, once it has its part of what is left over */

static int
spaces_celt_expected(const spaces_celt_share_t *share)
{
    int  i, left, each, below, width;

    i = share->coded - 1;
    below = spaces_celt_edge[i];
    width = spaces_celt_edge[i + 1] - below;

    left = share->total - share->sum;
    each = left / (below + width);
    left -= each * (below + width);

    return share->bits[i] + each * width + spaces_celt_max(left - below, 0);
}


static void
spaces_celt_stereo(spaces_celt_frame_t *f, spaces_celt_share_t *share)
{
    share->joint = 0;

    if (share->intensity) {
        share->joint = spaces_range_uint(&f->range, share->coded + 1);
    }

    if (share->joint == 0) {
        share->total += share->dual;
        return;
    }

    if (share->dual && spaces_range_bit(&f->range, 1)) {
        share->joint = 0;
    }
}


/* the rest is spread evenly; what is too much for a band goes to the next */

static void
spaces_celt_spend(const spaces_celt_frame_t *f, spaces_celt_share_t *share)
{
    int  i, n, left, each, width, over, bits, fine;

    n = spaces_celt_edge[share->coded];
    left = share->total - share->sum;
    each = left / n;
    left -= each * n;
    over = 0;

    for (i = 0; i < share->coded; i++) {
        width = spaces_celt_edge[i + 1] - spaces_celt_edge[i];
        n = spaces_celt_min(left, width);
        left -= n;

        bits = share->bits[i] + each * width + n + over;
        fine = 0;

        if ((width << f->lm) > 1) {
            over = spaces_celt_max(bits - share->cap[i], 0);
            fine = spaces_celt_fine_bits(f, share, i, bits - over);

        } else {
            over = spaces_celt_max(bits - f->channels * SPACES_CELT_BIT, 0);
        }

        n = spaces_celt_min(over / (f->channels * SPACES_CELT_BIT), 8 - fine);
        over -= n * f->channels * SPACES_CELT_BIT;
        share->fine[i] = fine + n;
    }

    for ( /* void */ ; i < f->end; i++) {
        share->fine[i] = share->bits[i] / (f->channels * SPACES_CELT_BIT);
    }
}


/* how many of the bits of a band are for its energy, per channel */

static int
spaces_celt_fine_bits(const spaces_celt_frame_t *f,
    const spaces_celt_share_t *share, int band, int bits)
{
    int  n, size, log, offset, fine;

    n = (spaces_celt_edge[band + 1] - spaces_celt_edge[band]) << f->lm;
    size = f->channels * n;

    /* the angle between mid and side is one dimension more */

    if (f->channels == 2 && n > 2 && band < share->joint) {
        size++;
    }

    log = size * (spaces_celt_width_log[band] + f->lm * SPACES_CELT_BIT);
    offset = (log >> 1) - 21 * size;

    if (n == 2) {
        offset += size * SPACES_CELT_BIT / 4;
    }

    if (bits + offset < 2 * size * SPACES_CELT_BIT) {
        offset += log >> 2;

    } else if (bits + offset < 3 * size * SPACES_CELT_BIT) {
        offset += log >> 3;
    }

    fine = spaces_celt_max(bits + offset + size * SPACES_CELT_BIT / 2, 0);
    fine = fine / (size * SPACES_CELT_BIT);
    fine = spaces_celt_min(fine, bits / (f->channels * SPACES_CELT_BIT));

    return spaces_celt_min(fine, 8);
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
