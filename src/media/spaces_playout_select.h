
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Whom a Space hears: what comes next of each speaker, who of them is active,
 * and so whose packets are passed through, or who is mixed.
 */


#ifndef _SPACES_PLAYOUT_SELECT_H_INCLUDED_
#define _SPACES_PLAYOUT_SELECT_H_INCLUDED_


#include "spaces_playout.h"


/*
 * Looks at what comes next of each in the frame at hand, and passes over what
 * nobody will hear: sets who is active and who has come to an end.
 */
void spaces_playout_survey(spaces_playout_t *playout);

/*
 * Who is heard: all that are active, by a mix if they are several.  With
 * nobody selected the floor is passed through.
 */
void spaces_playout_select(spaces_playout_t *playout);

/* what comes next of speaker i, see spaces_jitter_peek() */
spaces_jitter_status_e spaces_playout_peek(spaces_playout_t *playout,
    unsigned i, spaces_packet_t *packet, int64_t *gap);

/* plays it: its data is in playout->packet then */
void spaces_playout_take(spaces_playout_t *playout, unsigned i,
    const spaces_packet_t *packet);


#endif /* _SPACES_PLAYOUT_SELECT_H_INCLUDED_ */
