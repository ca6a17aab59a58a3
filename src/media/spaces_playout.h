
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The clock of a Space.  Takes packets from the ring of its source and lays
 * them on one stream of Ogg pages, at the pace of a monotonic clock: what is
 * early waits, what is missing is concealed or silence, and nothing is
 * dropped.  A packet goes through as it came.
 */


#ifndef _SPACES_PLAYOUT_H_INCLUDED_
#define _SPACES_PLAYOUT_H_INCLUDED_


#include "spaces_ogg_writer.h"
#include "spaces_packet_ring.h"


/* a live page: 100 ms */
#define SPACES_PLAYOUT_PAGE       4800

/* how long the first packet of a source waits for more, ms */
#define SPACES_PLAYOUT_PREBUFFER  200


/*
 * All that one owner of a Space hands to the next: true at the end of a page.
 * The packets of a page not finished are still in the ring then.
 */

typedef struct {
    uint64_t                head;        /* bytes of the stream so far */
    int64_t                 granule;     /* samples of the stream so far */
    uint32_t                serial;
    uint32_t                sequence;    /* of the page to come */

    spaces_packet_cursor_t  cursor;      /* in the source's ring */

    int64_t                 epoch;       /* ms, monotonic: when granule 0 was
                                            due */
    int64_t                 offset;      /* granule less pts */
    uint64_t                anchor;      /* the packet the offset is from */
    int64_t                 concealed;   /* samples since the last packet */
    int32_t                 toc;         /* of the last packet */
    uint32_t                trim;        /* samples to cut from the end */

    unsigned                started:1;   /* the clock runs */
    unsigned                anchored:1;  /* the offset holds */
    unsigned                finished:1;  /* the last page is written */
} spaces_playout_state_t;


typedef struct spaces_playout_s  spaces_playout_t;

/*
 * A page is finished, and playout->state is true: to be kept together.  The
 * state's head counts the page already.
 */
typedef void (*spaces_playout_page_pt)(spaces_playout_t *playout,
    const uint8_t *page, size_t len);


struct spaces_playout_s {
    spaces_playout_state_t   state;
    spaces_packet_ring_t    *ring;
    spaces_playout_page_pt   handler;
    void                    *data;          /* the handler's */

    /* scratch, may be shared: SPACES_OPUS_MAX_PACKET bytes, and two pages */

    uint8_t                 *packet;
    uint8_t                 *page;

    spaces_ogg_writer_t      writer;
};


typedef enum {
    SPACES_PLAYOUT_WAITING = 0,   /* for the first packet */
    SPACES_PLAYOUT_PLAYING,
    SPACES_PLAYOUT_COMPLETE       /* the source said so, and all is played */
} spaces_playout_status_e;


/* a new stream: hands the two header pages to the handler as one */
void spaces_playout_begin(spaces_playout_t *playout, uint32_t serial,
    const spaces_opus_head_t *head, const char *const *comments, size_t n);

/* goes on from a state, another owner's or a file's */
void spaces_playout_resume(spaces_playout_t *playout,
    const spaces_playout_state_t *state);

/*
 * Plays what is due at "now" (ms, monotonic), a second of it at most; to be
 * called every 20 ms or later.
 */
spaces_playout_status_e spaces_playout_run(spaces_playout_t *playout,
    int64_t now);

/*
 * Plays all that is in the ring, due or not; what is missing between packets
 * is filled up to "now" and no further.
 */
spaces_playout_status_e spaces_playout_drain(spaces_playout_t *playout,
    int64_t now);

/* hands over the page at hand, finished or not */
void spaces_playout_flush(spaces_playout_t *playout);

/* the last page, with the end flag; it always holds a packet */
void spaces_playout_finish(spaces_playout_t *playout);


#endif /* _SPACES_PLAYOUT_H_INCLUDED_ */
