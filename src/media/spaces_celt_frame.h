
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A CELT frame from the inside: what its own files share.
 */


#ifndef _SPACES_CELT_FRAME_H_INCLUDED_
#define _SPACES_CELT_FRAME_H_INCLUDED_


#include "spaces_celt.h"
#include "spaces_range.h"


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


/*
 * How the bits of a frame are shared out among its bands (RFC 6716, 4.3.3),
 * read where it comes in the frame: for each band the whole bits that refine
 * its energy, per channel.
 */
void spaces_celt_share(spaces_celt_frame_t *f, int *fine);


#endif /* _SPACES_CELT_FRAME_H_INCLUDED_ */
