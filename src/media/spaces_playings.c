
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "spaces_playings.h"

#include <string.h>


void
spaces_playings_init(spaces_playings_t *table, size_t size)
{
    size_t  n;

    n = 1;

    while (sizeof(spaces_playings_t)
           + 2 * n * SPACES_PLAYINGS_BUCKET * sizeof(spaces_playing_t)
           <= size)
    {
        n *= 2;
    }

    table->mask = n - 1;

    memset(table->playings, 0,
           n * SPACES_PLAYINGS_BUCKET * sizeof(spaces_playing_t));
}


int
spaces_playings_begins(spaces_playings_t *table, uint64_t fingerprint,
    int64_t now, int64_t window)
{
    int                i, begins;
    spaces_playing_t  *playing, *oldest;

    playing = &table->playings[(fingerprint & table->mask)
                               * SPACES_PLAYINGS_BUCKET];
    oldest = playing;

    for (i = 0; i < SPACES_PLAYINGS_BUCKET; i++, playing++) {

        if (playing->seen && playing->fingerprint == fingerprint) {
            begins = now - playing->seen > window;
            playing->seen = now;
            return begins;
        }

        if (playing->seen < oldest->seen) {
            oldest = playing;
        }
    }

    oldest->fingerprint = fingerprint;
    oldest->seen = now;

    return 1;
}


/* FNV-1a, and at the end of each part what makes the low bits depend on all */

uint64_t
spaces_playings_hash(uint64_t hash, const void *data, size_t len)
{
    size_t                i;
    const unsigned char  *p = data;

    for (i = 0; i < len; i++) {
        hash = (hash ^ p[i]) * 0x100000001b3ULL;
    }

    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdULL;

    return hash ^ hash >> 33;
}
