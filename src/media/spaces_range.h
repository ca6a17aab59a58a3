
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The range decoder of Opus (RFC 6716, 4.1): symbols are read from the front,
 * raw bits from the back of a frame; past either end there are zeros.
 */


#ifndef _SPACES_RANGE_H_INCLUDED_
#define _SPACES_RANGE_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


typedef struct {
    const uint8_t  *data;
    size_t          len;
    size_t          front;         /* bytes taken from the front */
    size_t          back;          /* bytes taken from the back */
    uint32_t        range;
    uint32_t        value;
    uint32_t        carried;       /* the byte whose last bit is unused yet */
    uint32_t        window;        /* raw bits read, but not taken */
    int             window_bits;
    int             total;         /* bits, for spaces_range_tell() */
} spaces_range_t;


/* RFC 6716, 4.1.1 */
void spaces_range_init(spaces_range_t *range, const uint8_t *data,
    size_t len);

/* a bit that is 1 with a probability of 1 / 2^logp; 4.1.3.2 */
int spaces_range_bit(spaces_range_t *range, unsigned logp);

/*
 * A symbol by its table of inverse cumulative frequencies, of 2^bits, which
 * ends with 0; 4.1.3.3
 */
unsigned spaces_range_icdf(spaces_range_t *range, const uint8_t *icdf,
    unsigned bits);

/* one of "n" equally likely values, n is 2 to 256; 4.1.5 */
unsigned spaces_range_uint(spaces_range_t *range, unsigned n);

/* "n" raw bits, 0 to 16 of them; 4.1.4 */
unsigned spaces_range_raw(spaces_range_t *range, unsigned n);

/*
 * A number whose probability falls with its distance from 0: that of 0, of
 * 2^15, and what is left of it at each step, of 2^14; 4.3.2.1
 */
int spaces_range_laplace(spaces_range_t *range, unsigned zero,
    unsigned decay);

/* bits used so far, rounded up; 4.1.6.1 */
int spaces_range_tell(const spaces_range_t *range);

/* the same in eighths of a bit; 4.1.6.2 */
int spaces_range_tell_frac(const spaces_range_t *range);


#endif /* _SPACES_RANGE_H_INCLUDED_ */
