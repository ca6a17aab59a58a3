
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The clock of a Space.  Takes packets from the rings of its speakers and lays
 * them on one stream of Ogg pages, at the pace of a monotonic clock.  While
 * one speaker is active, packets go through as they came; while several are,
 * they are decoded, mixed and encoded; what is missing is concealed or
 * silence.  Gives each speaker who wants it what the others say.
 */


#ifndef _SPACES_PLAYOUT_H_INCLUDED_
#define _SPACES_PLAYOUT_H_INCLUDED_


#include "spaces_activity.h"
#include "spaces_jitter.h"
#include "spaces_mixer.h"
#include "spaces_ogg_writer.h"


#define SPACES_PLAYOUT_MS        (SPACES_OPUS_RATE / 1000)

/* of the mix, and of silence */
#define SPACES_PLAYOUT_FRAME     (20 * SPACES_PLAYOUT_MS)

/* the most speakers a Space can have at once */
#define SPACES_PLAYOUT_SOURCES   32

#define SPACES_PLAYOUT_NOBODY    -1


/*
 * All that one owner of a Space hands to the next: true at the end of a page.
 * The packets of a page not finished are still in the rings then.
 */

typedef struct {
    uint64_t         head;        /* bytes of the stream so far */
    int64_t          granule;     /* samples of the stream so far */
    uint32_t         serial;
    uint32_t         sequence;    /* of the page to come */

    int64_t          epoch;       /* ms, monotonic: when granule 0 was due */
    int64_t          concealed;   /* samples since the last packet */
    int32_t          toc;         /* of the last packet, for a filler */
    uint32_t         trim;        /* samples to cut from the end */

    int32_t          floor;       /* whose packets are passed through */
    int64_t          mixed;       /* samples that were mixed on end */

    unsigned         started:1;   /* the clock runs */
    unsigned         finished:1;  /* the last page is written */

    spaces_jitter_t  sources[SPACES_PLAYOUT_SOURCES];
} spaces_playout_state_t;


/* one speaker, as the owner sees it */

typedef struct {
    unsigned               muted:1;      /* may be set at any time */
    unsigned               active:1;     /* speaks; may be read */

    /* the playout's own */

    unsigned               host:1;       /* its end is that of the Space */
    unsigned               ready:1;      /* all memory is there to mix it */
    unsigned               selected:1;   /* is heard in the frame at hand */
    unsigned               complete:1;   /* the host has come to the end */

    spaces_packet_ring_t  *ring;         /* NULL: nobody has this place */
    spaces_packet_ring_t  *returns;      /* what the others say; or NULL */
    int64_t                margin;       /* ms, see spaces_jitter.h */
    int16_t                gain;         /* of its head, dB in Q7.8 */

    spaces_activity_t     *activity;
    uint64_t               looked;       /* the packet looked at last */
    int64_t                until;        /* granule: is active up to it */
    int64_t                returned;     /* granule: so far */
} spaces_playout_source_t;


typedef struct spaces_playout_s  spaces_playout_t;

/*
 * A page is finished, and playout->state is true: to be kept together.  The
 * state's head counts the page already.
 */
typedef void (*spaces_playout_page_pt)(spaces_playout_t *playout,
    const uint8_t *page, size_t len);


struct spaces_playout_s {
    spaces_playout_state_t    state;
    spaces_playout_source_t   sources[SPACES_PLAYOUT_SOURCES];
    unsigned                  nsources;      /* places, used or not */

    spaces_playout_page_pt    handler;
    void                     *data;          /* the handler's */

    int                       channels;      /* of the mix */
    int                       bitrate;
    int16_t                   gain;          /* of the stream, Q7.8 */

    /* since the handler reset them: the loudest packet, dBov, and a mask of
       the sources that were active */
    float                     level;
    uint32_t                  heard;

    /* the playout's own */

    spaces_mixer_t           *mixer;         /* NULL: never more than one */
    unsigned                  present;       /* sources that have a ring */
    unsigned                  end;           /* behind the last of these */
    unsigned                  selected;      /* of these, heard now */
    int64_t                   now;           /* INT64_MAX: nothing waits */
    int64_t                   wall;          /* granule: gaps end there */

    spaces_ogg_writer_t       writer;

    uint8_t                   packet[SPACES_OPUS_MAX_PACKET];
    uint8_t                   page[2 * SPACES_OGG_MAX_PAGE];
};


typedef enum {
    SPACES_PLAYOUT_WAITING = 0,   /* for the first packet */
    SPACES_PLAYOUT_PLAYING,
    SPACES_PLAYOUT_COMPLETE       /* the host said so, and all is played */
} spaces_playout_status_e;


/*
 * nsources places, nobody on them.  The handler and what is of the mix are to
 * be set by the caller, in this order.
 */
void spaces_playout_init(spaces_playout_t *playout, unsigned nsources);

void spaces_playout_free(spaces_playout_t *playout);

/* a new stream: hands the two header pages to the handler as one */
void spaces_playout_begin(spaces_playout_t *playout, uint32_t serial,
    const spaces_opus_head_t *head, const char *const *comments, size_t n);

/* the bytes of a state that so many places use */
size_t spaces_playout_state_size(unsigned nsources);

/* goes on from a state, another owner's or a file's */
void spaces_playout_resume(spaces_playout_t *playout,
    const spaces_playout_state_t *state);

/*
 * A speaker takes place i: "ring" is theirs, "returns" gets what the others
 * say (NULL: it isn't wanted).  Gets the memory that mixing takes; -1 without
 * it, then nothing is mixed and one is passed through.
 */
int spaces_playout_join(spaces_playout_t *playout, unsigned i,
    spaces_packet_ring_t *ring, spaces_packet_ring_t *returns, int64_t margin,
    int gain, int host);

/* and leaves it: what is in the ring is played first, or lost */
void spaces_playout_leave(spaces_playout_t *playout, unsigned i);

/* whether all that the speaker's ring holds is played */
int spaces_playout_played(const spaces_playout_t *playout, unsigned i);

/*
 * Plays what is due at "now" (ms, monotonic), a second of it at most; to be
 * called every 20 ms or later.
 */
spaces_playout_status_e spaces_playout_run(spaces_playout_t *playout,
    int64_t now);

/* what a run that is due at "now" may cost, in calls of the codec */
unsigned spaces_playout_cost(const spaces_playout_t *playout, int64_t now);

/*
 * Plays what is in the rings, due or not, a second of it at most; what is
 * missing between packets is filled up to "now" and no further.  Returns
 * SPACES_PLAYOUT_COMPLETE when nothing is left.
 */
spaces_playout_status_e spaces_playout_drain(spaces_playout_t *playout,
    int64_t now);

/* gives back to the rings what the state at hand does not need any more */
void spaces_playout_release(spaces_playout_t *playout);

/* hands over the page at hand, finished or not */
void spaces_playout_flush(spaces_playout_t *playout);

/* the last page, with the end flag; it always holds a packet */
void spaces_playout_finish(spaces_playout_t *playout);


#endif /* _SPACES_PLAYOUT_H_INCLUDED_ */
