
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <string.h>

#include "spaces_range.h"


/* RFC 6716, 4.1.1: the range is kept above 2^23, and below 2^31 */
#define SPACES_RANGE_BITS       32
#define SPACES_RANGE_BOTTOM     0x00800000u
#define SPACES_RANGE_MASK       0x7fffffffu

#define spaces_range_min(a, b)  (((a) < (b)) ? (a) : (b))


static void spaces_range_normalize(spaces_range_t *range);
static unsigned spaces_range_next(spaces_range_t *range);


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


unsigned
spaces_range_uint(spaces_range_t *range, unsigned n)
{
    uint32_t  part, from_top;

    part = range->range / n;
    from_top = spaces_range_min(range->value / part, n - 1);

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


/* positive and negative values in turn, of equal probability */

int
spaces_range_laplace(spaces_range_t *range, unsigned zero, unsigned decay)
{
    int       n;
    uint32_t  part, at, low, size, top;

    part = range->range >> 15;
    at = 32767 - spaces_range_min(range->value / part, 32767);

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

    top = spaces_range_min(low + size, 32768);

    range->value -= part * (32768 - top);
    range->range = low ? part * (top - low)
                       : range->range - part * (32768 - top);
    spaces_range_normalize(range);

    return n;
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
