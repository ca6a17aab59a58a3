
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <string.h>

#include "spaces_celt_frame.h"


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
    int             *fine;         /* whole bits, per channel */
} spaces_celt_share_t;


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

static const uint8_t  spaces_celt_trim_icdf[11] = {
    126, 124, 119, 109, 87, 41, 19, 9, 4, 2, 0
};


void
spaces_celt_share(spaces_celt_frame_t *f, int *fine)
{
    spaces_celt_share_t  share;

    share.fine = fine;

    spaces_celt_boosts(f, &share);
    spaces_celt_reserve(f, &share);
    spaces_celt_limits(f, &share);
    spaces_celt_divide(f, &share);
    spaces_celt_skip(f, &share);
    spaces_celt_stereo(f, &share);
    spaces_celt_spend(f, &share);
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
