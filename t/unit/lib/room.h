
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A Space in simulated time: speakers who send recordings over connections
 * good and bad, and what listeners and speakers get.  Whatever is done, each
 * page of the stream is whole, and follows the one before.
 */


#ifndef _SPACES_TEST_ROOM_H_INCLUDED_
#define _SPACES_TEST_ROOM_H_INCLUDED_


#include "spaces_playout.h"
#include "track.h"


#define TICK        20                    /* ms */
#define PLACES      SPACES_PLAYOUT_SOURCES


typedef struct {
    spaces_packet_ring_t    *ring;
    spaces_packet_ring_t    *returns;
    int                      gain;        /* of its head, dB in Q7.8 */
    int64_t                  margin;      /* ms */

    const track_t           *clip;        /* NULL: has nothing to say */
    size_t                   next;
    int                      loop;
    double                   due;         /* ms: the next one is complete */
    double                   pace;        /* ms of wall for one of its own */
    int64_t                  pts;
    int                      jitter;      /* ms at most, and uneven */
    int                      loss;        /* percent */
    int                      fresh;
    uint64_t                 arrival;

    /* what became of its packets; all may be reset */

    spaces_packet_cursor_t   seen;        /* of its ring: what was played */
    int64_t                  delay;       /* ms: the longest */
    unsigned                 sent;
    unsigned                 played;      /* or passed over unheard */
    unsigned                 shed;
    unsigned                 shed_loud;   /* of them, when "voice" talks */
    const voice_t           *voice;
    uint64_t                 anchor;      /* of the jitter buffer, then */
    uint32_t                 taken;

    spaces_packet_cursor_t   got;         /* of the returns */
    track_t                  heard;
} speaker_t;


typedef struct {
    spaces_playout_t        *playout;
    spaces_playout_state_t   kept;        /* of the last page */
    int64_t                  now;         /* ms */
    speaker_t                speakers[PLACES];
    unsigned                 n;

    int                      forget;      /* nothing is kept to be heard */
    track_t                  out;
    size_t                   bytes;
    int64_t                  granule;
    uint32_t                 sequence;
    int                      ended;
    unsigned                 pages;
    int64_t                  behind;      /* ms: wall less granule, extremes */
    int64_t                  ahead;
    unsigned                 seed;
} room_t;


/* "n" places, nobody there; the mix has so many channels and bit/s */
room_t *room_new(unsigned n, int channels, int bitrate);
void room_free(room_t *room);

/*
 * A speaker takes place i and begins to send a clip, or sends nothing; place 0
 * is the host's.
 */
speaker_t *room_speak(room_t *room, unsigned i, const track_t *clip);

/* a packet of speaker i that is no clip's; -1 if there is no room */
int room_write(room_t *room, unsigned i, const uint8_t *data, int len,
    int duration, int64_t pts, int flags);

/* speaker i says that they are through */
void room_end(room_t *room, unsigned i, int trim);

/* what of a speaker's clip has come by now */
void room_send(room_t *room, unsigned i);

/* time goes on by one tick, or many */
spaces_playout_status_e room_tick(room_t *room);
void room_run(room_t *room, double seconds);

/* all that was said, at once */
void room_drain(room_t *room);
void room_finish(room_t *room);

/* another owner goes on, from the last page; what was after it is done again */
void room_take_over(room_t *room);


#endif /* _SPACES_TEST_ROOM_H_INCLUDED_ */
