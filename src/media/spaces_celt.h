
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * How loud a CELT frame is, read from its band energies: the range decoder
 * of Opus (RFC 6716, 4.1) and as much of a CELT frame as comes before its
 * spectrum (4.3, table 56), coarse and fine energy.  Nothing is synthesized.
 */


#ifndef _SPACES_CELT_H_INCLUDED_
#define _SPACES_CELT_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* RFC 6716, 4.3: bands of a full band frame */
#define SPACES_CELT_BANDS     21

/* the level of a frame of digital silence, and the lowest there is, dBov */
#define SPACES_CELT_SILENCE   -120.0f


/*
 * Symbols are read from the front, raw bits from the back of a frame; past
 * either end there are zeros.
 */

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


/* what the energies of a frame are predicted from; 4.3.2 */

typedef struct {
    /* log2 of the amplitude over the mean of a band */
    float           energy[2][SPACES_CELT_BANDS];
} spaces_celt_t;


/* RFC 6716, 4.1.1 */
void spaces_range_init(spaces_range_t *range, const uint8_t *data,
    size_t len);

/* a bit that is 1 with a probability of 1 / 2^logp; 4.1.3.2 */
int spaces_range_bit(spaces_range_t *range, unsigned logp);

/* one of "n" equally likely values, n is 2 to 256; 4.1.5 */
unsigned spaces_range_uint(spaces_range_t *range, unsigned n);

/* "n" raw bits, 0 to 16 of them; 4.1.4 */
unsigned spaces_range_raw(spaces_range_t *range, unsigned n);

/* bits used so far, rounded up; 4.1.6.1 */
int spaces_range_tell(const spaces_range_t *range);

/* the same in eighths of a bit; 4.1.6.2 */
int spaces_range_tell_frac(const spaces_range_t *range);

/* the state of a decoder that was just reset */
void spaces_celt_init(spaces_celt_t *celt);

/*
 * Reads the energies of a CELT-only frame, frames in order; "toc" is the TOC
 * byte of its packet, 0x80 to 0xff; "len" is 1275 at most.  A frame of less
 * than two bytes is none and leaves the energies as they are.
 *
 * Returns the level of the frame in dBov, the mean of its channels: -3 is a
 * sine of full scale.  Over some frames it is within 3 dB of what a decoder
 * makes of them, unless these have less than 25 bytes each: then it is within
 * about 5 dB, where the decoder itself misses the level of the sound.
 */
float spaces_celt_frame(spaces_celt_t *celt, int toc, const uint8_t *data,
    size_t len);


#endif /* _SPACES_CELT_H_INCLUDED_ */
