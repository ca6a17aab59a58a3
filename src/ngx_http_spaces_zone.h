
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The shared memory: live rooms, and what workers tell each other.  A room
 * is one block, reserved when it opens; nothing is allocated in it later.
 */


#ifndef _NGX_HTTP_SPACES_ZONE_H_INCLUDED_
#define _NGX_HTTP_SPACES_ZONE_H_INCLUDED_


#include "ngx_http_spaces_module.h"
#include "ngx_http_spaces_metrics.h"
#include "ngx_http_spaces_space.h"
#include "ngx_http_spaces_token.h"

#include "spaces_playings.h"
#include "spaces_playout.h"


/*
 * A speaker's packets on their way to the mix, and back: what the others say.
 * The host's ring takes any packet there is, or a second of the fattest Opus;
 * a voice needs less.
 */
#define NGX_HTTP_SPACES_HOST_RING     65536
#define NGX_HTTP_SPACES_SPEAKER_RING  16384
#define NGX_HTTP_SPACES_RETURN_RING   8192

/* of a source that is faster than its Space, ms of audio wait at most */
#define NGX_HTTP_SPACES_AHEAD         2000

/*
 * The last pages, 32 s at 64 kbit/s: what the disk has to have taken in by
 * then, and how far back a listener may begin
 */
#define NGX_HTTP_SPACES_PAGES         262144

/* of so many pages a room remembers where they begin */
#define NGX_HTTP_SPACES_INDEX         512

/* the header pages of a stream; comments that need more are cut */
#define NGX_HTTP_SPACES_HEADER        4096

/*
 * An owner that has not come round to its rooms for so long is killed, ms:
 * only one that is gone for sure is followed by another
 */
#define NGX_HTTP_SPACES_LEASE         5000

/* processes that have listeners of a room at the same time */
#define NGX_HTTP_SPACES_COUNTERS      256

/* counters of changes; a Space has one by the hash of its id */
#define NGX_HTTP_SPACES_CHANGES       4096

/* recordings that are moved at the same time */
#define NGX_HTTP_SPACES_CLAIMS        128

/* the id of a speaker: "host", or that of their token */
#define NGX_HTTP_SPACES_SPEAKER_ID    20

/* a name of 64 characters in UTF-8 */
#define NGX_HTTP_SPACES_SPEAKER_NAME  256


#define NGX_HTTP_SPACES_ROOM_STARTING  0   /* the recording isn't open yet */
#define NGX_HTTP_SPACES_ROOM_LIVE      1
#define NGX_HTTP_SPACES_ROOM_ENDING    2   /* the file is being finished */
#define NGX_HTTP_SPACES_ROOM_ENDED     3
#define NGX_HTTP_SPACES_ROOM_FAILED    4   /* never became live, or is live
                                              in another nginx */


/* a place to speak from; the host's is the first */

typedef struct {
    /* the process that the connection is on, 0 if there is none */
    ngx_atomic_t             source;
    ngx_atomic_t             serial;       /* of connections to this place */
    ngx_atomic_t             drained;      /* the serial of one that has
                                              nothing left to put in */
    ngx_atomic_t             hung_up;      /* the serial of one whose client is
                                              gone, as it seems; */
    ngx_atomic_t             wanted;       /* of one that is to leave for it */
    ngx_atomic_t             vacated;      /* the serial of one that is played
                                              out: the place may be another's */

    ngx_atomic_t             muted;
    ngx_atomic_t             removed;
    ngx_atomic_t             active;

    ngx_uint_t               returns;
    int64_t                  margin;
    int16_t                  gain;

    size_t                   id_len;
    size_t                   name_len;
    u_char                   id[NGX_HTTP_SPACES_SPEAKER_ID];
    u_char                   name[NGX_HTTP_SPACES_SPEAKER_NAME];

    spaces_packet_ring_t    *ring;
    spaces_packet_ring_t    *back;
} ngx_http_spaces_speaker_t;


#define ngx_http_spaces_is_vacant(speaker)                                    \
    ((speaker)->vacated == (speaker)->serial)


/* where a page begins, and what the granule is there */

typedef struct {
    uint64_t                 start;
    int64_t                  granule;
} ngx_http_spaces_index_t;


/* a process that looks at the room for its listeners, which stays for it */

typedef struct {
    ngx_atomic_t             pid;
    ngx_atomic_t             n;            /* that are counted */
} ngx_http_spaces_counter_t;


typedef struct {
    ngx_str_node_t           sn;           /* in the zone's tree, by id */
    ngx_queue_t              queue;        /* of the zone's rooms */

    u_char                   id[NGX_HTTP_SPACES_ID_LEN];

    /* the process that mixes it, and the one that wants to take over */
    ngx_atomic_t             owner;
    ngx_atomic_t             claimant;
    ngx_atomic_t             leaving;      /* the owner would let it go */

    /* ms, monotonic: what the owner renews at every tick */
    ngx_atomic_t             lease;

    ngx_atomic_t             state;
    ngx_atomic_t             ending;       /* somebody asked for its end */
    ngx_atomic_t             saved;        /* Redis knows the end */
    ngx_atomic_t             moved;        /* so was its recording, since it
                                              ended: Redis has better to say */
    ngx_uint_t               no_space;     /* FAILED: for want of disk */
    ngx_uint_t               moved_on;     /* FAILED: another nginx has it */
    ngx_atomic_t             dirty;        /* the document was changed */
    ngx_uint_t               torn;         /* writing stopped at an error */

    /* goes up when anything changes that listeners are told */
    ngx_atomic_t             version;

    ngx_uint_t               record;
    ngx_atomic_t             recording;    /* as in the Space */

    int64_t                  started_at;   /* ms since the epoch */
    int64_t                  ended_at;
    int64_t                  expires_at;
    int64_t                  duration;     /* ms, when ended */
    int64_t                  bytes;
    int64_t                  ended;        /* ms, monotonic */
    int64_t                  reconnect;    /* ms */
    int64_t                  max_duration;
    int64_t                  vacant;       /* ms, monotonic: nobody speaks
                                              since; 0: somebody does */
    ngx_uint_t               channels;     /* of the mix */
    ngx_uint_t               bitrate;

    ngx_http_spaces_counter_t  counters[NGX_HTTP_SPACES_COUNTERS];
    ngx_atomic_t             listeners;    /* their sum, by the owner */
    ngx_atomic_t             peak;

    spaces_opus_head_t       head;

    /* one is true, the other is being written */
    spaces_playout_state_t   playout[2];
    ngx_atomic_t             current;

    /* bytes of the stream in the file */
    ngx_atomic_t             written;
    int64_t                  synced;       /* ms, monotonic: what is older is
                                              on disk */

    size_t                   header_len;
    u_char                   header[NGX_HTTP_SPACES_HEADER];

    /* page n of the stream is at n % NGX_HTTP_SPACES_INDEX */
    ngx_uint_t               first;        /* page that is known */
    ngx_http_spaces_index_t  index[NGX_HTTP_SPACES_INDEX];

    /* the Space as it will be on disk: under the zone's lock */
    ngx_uint_t               amended;      /* so many times; */
    ngx_atomic_t             described;    /* as it is on disk */
    size_t                   document_len;
    u_char                   document[NGX_HTTP_SPACES_DOCUMENT];

    /* what the host's token was seen to be, hashed; empty if by a cookie */
    size_t                   host_token_len;
    u_char                   host_token[NGX_HTTP_SPACES_TOKEN_HASH];

    ngx_uint_t               nspeakers;    /* places */
    ngx_http_spaces_speaker_t  *speakers;

    u_char                  *pages;        /* byte n of the stream is at
                                              n % NGX_HTTP_SPACES_PAGES */
} ngx_http_spaces_room_t;


/* a recording that is being moved, by the process that does it */

typedef struct {
    ngx_atomic_t             pid;          /* 0: the place is free */
    ngx_uint_t               recording;    /* what is true from now on, or
                                              NGX_HTTP_SPACES_NONE */
    u_char                   id[NGX_HTTP_SPACES_ID_LEN];
} ngx_http_spaces_claim_t;


typedef struct {
    ngx_rbtree_t             rbtree;
    ngx_rbtree_node_t        sentinel;
    ngx_queue_t              rooms;
    ngx_atomic_t             nrooms;

    ngx_atomic_t             attended;     /* ms, monotonic: a worker that
                                              stays was there */
    ngx_atomic_t             waiting;      /* another nginx has what is live */
    ngx_atomic_t             recovery;     /* the process that does it */
    ngx_atomic_t             scanned;      /* all that was live has a room */
    ngx_atomic_t             recovered;    /* and Redis knows of it */
    ngx_atomic_t             reaper;       /* the process that is it */
    ngx_atomic_t             resave;       /* goes up when Redis has lost what
                                              it was told of rooms */

    int64_t                  moment;       /* that was given last, under the
                                              zone's lock */

    ngx_atomic_t             nclaims;
    ngx_http_spaces_claim_t  claims[NGX_HTTP_SPACES_CLAIMS];

    spaces_playings_t       *playings;     /* under the zone's lock */

    ngx_atomic_t             any_change;
    ngx_atomic_t             changes[NGX_HTTP_SPACES_CHANGES];

    ngx_http_spaces_metrics_t  metrics;
} ngx_http_spaces_shm_t;


struct ngx_http_spaces_zone_s {
    ngx_http_spaces_shm_t   *sh;
    ngx_slab_pool_t         *shpool;

    /*
     * The folder of the recordings.  Of an nginx and the one that follows it,
     * as by a new binary, who has locked it goes on with what is live.
     */
    ngx_str_t               *path;
    ngx_fd_t                 folder;
};


/* what a request wants to know of a room */

typedef struct {
    ngx_uint_t               state;        /* NGX_HTTP_SPACES_ROOM_… */
    ngx_uint_t               recording;
    ngx_uint_t               settled;      /* ended, and that can be told */
    ngx_uint_t               described;    /* no change of it waits for the
                                              disk, or none ever will */
} ngx_http_spaces_room_info_t;


ngx_int_t ngx_http_spaces_zone_init(ngx_shm_zone_t *shm_zone, void *data);

/* before that: where its recordings are */
ngx_int_t ngx_http_spaces_zone_prepare(ngx_conf_t *cf,
    ngx_shm_zone_t *shm_zone, ngx_str_t *path);

/*
 * NGX_BUSY while processes with other shared memory have what is live; they
 * see then that it is awaited.  Blocks: from a thread.
 */
ngx_int_t ngx_http_spaces_zone_lock(ngx_http_spaces_zone_t *zone);
ngx_uint_t ngx_http_spaces_zone_is_awaited(ngx_http_spaces_zone_t *zone);

/* lets them have it, unless some process owns a room that is live */
void ngx_http_spaces_zone_unlock(ngx_http_spaces_zone_t *zone);

/* under the zone's lock; NULL if there is none */
ngx_http_spaces_room_t *ngx_http_spaces_zone_lookup(
    ngx_http_spaces_zone_t *zone, ngx_str_t *id);

/*
 * The time, ms since the epoch, for what is made now: later than of all that
 * was made here before, so that it sorts behind them
 */
int64_t ngx_http_spaces_zone_moment(ngx_http_spaces_zone_t *zone);

/* what a room with so many places takes in the zone, bytes */
size_t ngx_http_spaces_room_size(ngx_uint_t nspeakers);

/* whether a room for the Space could be opened now */
ngx_uint_t ngx_http_spaces_zone_has_room(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_space_t *space);

/*
 * Opens a room with this process as its owner, nobody in it.  NGX_OK; NGX_BUSY
 * if there is one with that id; NGX_AGAIN if its recording is being moved, or
 * the Space forgotten; NGX_DECLINED if the zone is full.  The space's document
 * goes with it.
 */
ngx_int_t ngx_http_spaces_zone_open(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_space_t *space, ngx_str_t *document,
    spaces_opus_head_t *head, ngx_http_spaces_room_t **room);

/* to be called with nobody in the room, and no owner but the caller */
void ngx_http_spaces_zone_free(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_room_t *room);

/* lays what a room knows over its Space; NGX_DECLINED if there is no room */
ngx_int_t ngx_http_spaces_zone_overlay(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_space_t *space, ngx_http_spaces_room_info_t *info);

/* likewise, without a Space */
ngx_int_t ngx_http_spaces_zone_info(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id, ngx_http_spaces_room_info_t *info);

/* asks the owner to end the room; NGX_DECLINED if there is none */
ngx_int_t ngx_http_spaces_zone_end(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id);

/* replaces a room's document, if there is such a room */
void ngx_http_spaces_zone_document(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id, ngx_str_t *document);

/* copies a room's document, and tells how often it has been replaced */
size_t ngx_http_spaces_zone_described(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_room_t *room, u_char *document, ngx_uint_t *amended);

/* the Space as a room's document tells it; NULL on error */
ngx_http_spaces_space_t *ngx_http_spaces_zone_space(
    ngx_http_spaces_zone_t *zone, ngx_http_spaces_room_t *room,
    ngx_pool_t *pool);

/* likewise by id; NULL also if there is no room, or Redis has better to say */
ngx_http_spaces_space_t *ngx_http_spaces_zone_known(
    ngx_http_spaces_zone_t *zone, ngx_str_t *id, ngx_pool_t *pool);

/*
 * Claims a recording for a move of its files.  NGX_BUSY while another process
 * has it, or its room is not through with it, or too many are moved.  The
 * claim of a process that is gone is taken over.  Until it is released,
 * "recording" is laid over the Space, unless that is NGX_HTTP_SPACES_NONE.
 */
ngx_int_t ngx_http_spaces_zone_claim(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id, ngx_uint_t recording);
void ngx_http_spaces_zone_release(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id);

/* whether a process that lives has claimed it */
ngx_uint_t ngx_http_spaces_zone_is_claimed(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id);

/* a room that ended is to be saved once more, unless its recording was moved */
void ngx_http_spaces_zone_resave(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_room_t *room);

/* a recording whose claimant is gone: NGX_OK, with its id; or NGX_DECLINED */
ngx_int_t ngx_http_spaces_zone_orphan(ngx_http_spaces_zone_t *zone,
    u_char *id);

/*
 * The counter of a Space's changes: whatever was read before it went up is
 * not to be used after.
 */
ngx_atomic_t *ngx_http_spaces_zone_change(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id);

/* that listeners are to be told something new */
#define ngx_http_spaces_room_changed(room)                                    \
    (void) ngx_atomic_fetch_add(&(room)->version, 1)

/* that the owner is at work */
#define ngx_http_spaces_room_renew(room, now)                                 \
    (room)->lease = (ngx_atomic_uint_t) ((now) + NGX_HTTP_SPACES_LEASE)

/* the state that is true */
#define ngx_http_spaces_room_playout(room)                                    \
    (&(room)->playout[(room)->current & 1])

/* whether a process of this machine is alive */
ngx_uint_t ngx_http_spaces_alive(ngx_atomic_uint_t pid);


#endif /* _NGX_HTTP_SPACES_ZONE_H_INCLUDED_ */
