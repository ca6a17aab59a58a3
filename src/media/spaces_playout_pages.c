
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "spaces_playout_pages.h"


/* a live page: 100 ms */
#define SPACES_PLAYOUT_PAGE  (100 * SPACES_PLAYOUT_MS)


void
spaces_playout_room(spaces_playout_t *playout, size_t len, int duration)
{
    spaces_ogg_writer_t  *writer;

    writer = &playout->writer;

    if (writer->nsegments == 0) {
        return;
    }

    if (writer->samples + duration > SPACES_PLAYOUT_PAGE
        || !spaces_ogg_writer_fits(writer, len))
    {
        spaces_playout_page(playout, 0);
    }
}


void
spaces_playout_add(spaces_playout_t *playout, const uint8_t *data, size_t len,
    int duration)
{
    spaces_ogg_writer_add(&playout->writer, data, len, duration);

    playout->state.granule += duration;
    playout->state.toc = data[0];
    playout->state.concealed = 0;
}


void
spaces_playout_fill(spaces_playout_t *playout, int64_t samples)
{
    int                      toc, duration;
    size_t                   len;
    int64_t                  concealed;
    uint8_t                  filler[SPACES_OPUS_FILLER];
    spaces_playout_state_t  *state;

    state = &playout->state;
    concealed = state->concealed;

    toc = (concealed < SPACES_PLAYOUT_CONCEAL) ? state->toc
                                               : SPACES_OPUS_NO_TOC;

    len = spaces_opus_filler(filler, toc, samples, &duration);

    spaces_playout_room(playout, len, duration);
    spaces_playout_add(playout, filler, len, duration);

    /* what comes after it is concealed by the same packet */

    state->concealed = concealed + duration;
    state->toc = toc;
}


void
spaces_playout_page(spaces_playout_t *playout, int flags)
{
    size_t  len;

    len = spaces_ogg_writer_flush(&playout->writer, flags, playout->page);

    playout->state.head += len;
    playout->state.sequence = playout->writer.sequence;

    playout->handler(playout, playout->page, len);
}
