
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * How loud a CELT frame is, read from its band energies: as much of it as
 * comes before its spectrum (RFC 6716, 4.3, table 56), coarse and fine energy.
 * Nothing is synthesized.
 */


#ifndef _SPACES_CELT_H_INCLUDED_
#define _SPACES_CELT_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* RFC 6716, 4.3: bands of a full band frame */
#define SPACES_CELT_BANDS     21

/* the level of a frame of digital silence, and the lowest there is, dBov */
#define SPACES_CELT_SILENCE   -120.0f


/* what the energies of a frame are predicted from; 4.3.2 */

typedef struct {
    /* log2 of the amplitude over the mean of a band */
    float           energy[2][SPACES_CELT_BANDS];
} spaces_celt_t;


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
