
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What of those selected goes into the stream of a Space, and what is returned
 * to each speaker.
 */


#ifndef _SPACES_PLAYOUT_MIX_H_INCLUDED_
#define _SPACES_PLAYOUT_MIX_H_INCLUDED_


#include "spaces_playout.h"


/* the packet of the floor as it came, or what stands in for it */
void spaces_playout_pass(spaces_playout_t *playout);

/* decodes those selected, and encodes their sum for all and for each */
void spaces_playout_mix(spaces_playout_t *playout, int samples);

/* what is returned to speaker i is silent up to the granule from here on */
void spaces_playout_return_silence(spaces_playout_t *playout, unsigned i,
    int64_t end);


#endif /* _SPACES_PLAYOUT_MIX_H_INCLUDED_ */
