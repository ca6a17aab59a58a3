
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The jitter buffer of one speaker: when a packet of its ring is to be played
 * on the clock of the Space.  The packet that begins a stretch waits for a
 * margin; the others follow it by the source's own clock, so that whatever
 * came later than the margin allows makes the delay grow by just that.  What
 * waits longer than it has to, for a source's clock is fast or a stall is
 * over, is shed where nobody talks; there a source whose clock is slow is
 * waited for, before its packets run out in a word.
 */


#ifndef _SPACES_JITTER_H_INCLUDED_
#define _SPACES_JITTER_H_INCLUDED_


#include "spaces_packet_ring.h"


#define SPACES_JITTER_HISTORY  6


typedef enum {
    SPACES_JITTER_EMPTY = 0,    /* nothing has come, or it waits */
    SPACES_JITTER_GAP,          /* something is missing before the packet */
    SPACES_JITTER_PACKET,
    SPACES_JITTER_END           /* the source said that it is complete */
} spaces_jitter_status_e;


/* all that one owner of a Space hands to the next */

typedef struct {
    spaces_packet_cursor_t  cursor;      /* the packet to come */

    /* where the last packets are: a decoder begins with them */
    spaces_packet_cursor_t  history[SPACES_JITTER_HISTORY];
    uint32_t                taken;

    int32_t                 carry;       /* samples decoded and not mixed */
    int64_t                 position;    /* granule up to which the source
                                            was played, or decoded */
    int64_t                 offset;      /* granule less pts */
    uint64_t                anchor;      /* the packet the offset is from */
    int64_t                 concealed;   /* samples since the last packet */
    int32_t                 toc;         /* of the last packet */

    int32_t                 wait;        /* ms: the least of this window, */
    int32_t                 part;        /* of this fifth of it, */
    int32_t                 parts;       /* and the most of all fifths */
    int32_t                 excess;      /* ms, by the window before */
    int32_t                 lack;        /* ms, likewise */
    uint32_t                window;      /* packets of it so far */
    int64_t                 shed;        /* ms, monotonic: the last time */

    unsigned                anchored:1;  /* the offset holds */
} spaces_jitter_t;


/* a place that nobody has spoken from */
void spaces_jitter_init(spaces_jitter_t *jitter);

/*
 * What is to be played at jitter->position, at "now" (ms, monotonic; INT64_MAX
 * if nothing is to wait).  Sets "packet", or for a gap the samples missing, a
 * multiple of 2.5 ms.
 */
spaces_jitter_status_e spaces_jitter_peek(spaces_jitter_t *jitter,
    const spaces_packet_ring_t *ring, int64_t now, int64_t margin,
    spaces_packet_t *packet, int64_t *gap);

/* plays the packet: copies its data, the position moves on by its duration */
void spaces_jitter_take(spaces_jitter_t *jitter,
    const spaces_packet_ring_t *ring, const spaces_packet_t *packet,
    int64_t now, int64_t margin, uint8_t *data);

/* what is missing until "position" is taken for lost */
void spaces_jitter_conceal(spaces_jitter_t *jitter, int64_t samples);

/* what is missing is not waited for: the packet follows at once */
void spaces_jitter_close_gap(spaces_jitter_t *jitter, int64_t gap);

/*
 * Whether the packet that was peeked at is better left out, as too much waits;
 * "quiet" if it is no loss.
 */
int spaces_jitter_sheds(const spaces_jitter_t *jitter,
    const spaces_packet_t *packet, int64_t now, int quiet);

/*
 * Whether it is better to wait before that packet, which must be quiet: makes
 * a gap before it, of samples.
 */
int spaces_jitter_lags(const spaces_jitter_t *jitter);
void spaces_jitter_stretch(spaces_jitter_t *jitter, int64_t samples);

/* leaves it out */
void spaces_jitter_shed(spaces_jitter_t *jitter,
    const spaces_packet_t *packet, int64_t now);

/* gives back what neither the cursor nor a decoder needs any more */
void spaces_jitter_release(const spaces_jitter_t *jitter,
    spaces_packet_ring_t *ring);

/* the oldest packet of the history that is still in the ring */
spaces_packet_cursor_t spaces_jitter_oldest(const spaces_jitter_t *jitter);


#endif /* _SPACES_JITTER_H_INCLUDED_ */
