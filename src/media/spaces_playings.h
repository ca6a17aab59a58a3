
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The playings of recordings that are under way: a player asks for many parts
 * of one, and goes back and forth.  A table of fixed size, in memory of the
 * caller; whoever shares it locks it.
 */


#ifndef _SPACES_PLAYINGS_H_INCLUDED_
#define _SPACES_PLAYINGS_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* of these the one not seen for longest makes room */
#define SPACES_PLAYINGS_BUCKET  8

#define SPACES_PLAYINGS_SEED    0xcbf29ce484222325ULL


typedef struct {
    uint64_t            fingerprint;
    int64_t             seen;          /* s, 0: nothing is here */
} spaces_playing_t;


typedef struct {
    size_t              mask;          /* buckets, a power of two, less one */
    spaces_playing_t    playings[];
} spaces_playings_t;


/* in so many bytes, which hold one bucket at least */
void spaces_playings_init(spaces_playings_t *table, size_t size);

/*
 * Whether one begins: nothing with this fingerprint was seen in the last
 * "window" seconds.  It is seen now, at "now", which is greater than 0.
 */
int spaces_playings_begins(spaces_playings_t *table, uint64_t fingerprint,
    int64_t now, int64_t window);

/* a fingerprint, part by part from the seed on */
uint64_t spaces_playings_hash(uint64_t hash, const void *data, size_t len);


#endif /* _SPACES_PLAYINGS_H_INCLUDED_ */
