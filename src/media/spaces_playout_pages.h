
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The packets of the stream of a Space, laid on its pages.
 */


#ifndef _SPACES_PLAYOUT_PAGES_H_INCLUDED_
#define _SPACES_PLAYOUT_PAGES_H_INCLUDED_


#include "spaces_playout.h"


/* longer losses fade to silence anyway */
#define SPACES_PLAYOUT_CONCEAL  (100 * SPACES_PLAYOUT_MS)


/*
 * Makes room for a packet that is to be added next: before anything is taken
 * for it from a ring, as a page may end here, and the state with it.  A page
 * is finished only when the next packet comes: the last has one, too.
 */
void spaces_playout_room(spaces_playout_t *playout, size_t len,
    int duration);

/* adds the packet that room was made for */
void spaces_playout_add(spaces_playout_t *playout, const uint8_t *data,
    size_t len, int duration);

/* both, for one filler of no more than "samples" */
void spaces_playout_fill(spaces_playout_t *playout, int64_t samples);

/* hands over the page at hand; "flags" see spaces_ogg_writer_flush() */
void spaces_playout_page(spaces_playout_t *playout, int flags);


#endif /* _SPACES_PLAYOUT_PAGES_H_INCLUDED_ */
