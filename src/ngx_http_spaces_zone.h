
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The shared memory: live rooms, and what workers tell each other.  A room
 * is one block, reserved when it opens; nothing is allocated in it later.
 */


#ifndef _NGX_HTTP_SPACES_ZONE_H_INCLUDED_
#define _NGX_HTTP_SPACES_ZONE_H_INCLUDED_


#include "ngx_http_spaces_module.h"
#include "ngx_http_spaces_space.h"

#include "spaces_playout.h"


/* room for two seconds of the fattest Opus there is, 510 kbit/s */
#define NGX_HTTP_SPACES_RING      131072

/* of a source that is faster than its Space, ms of audio wait at most */
#define NGX_HTTP_SPACES_AHEAD     2000

/*
 * The last pages, 32 s at 64 kbit/s; what the disk has to have taken in by
 * then
 */
#define NGX_HTTP_SPACES_PAGES     262144

#define NGX_HTTP_SPACES_MIN_ZONE  (1024 * 1024)

/* counters of changes; a Space has one by the hash of its id */
#define NGX_HTTP_SPACES_CHANGES   4096


#define NGX_HTTP_SPACES_ROOM_STARTING  0   /* the recording isn't open yet */
#define NGX_HTTP_SPACES_ROOM_LIVE      1
#define NGX_HTTP_SPACES_ROOM_ENDING    2   /* the file is being finished */
#define NGX_HTTP_SPACES_ROOM_ENDED     3
#define NGX_HTTP_SPACES_ROOM_FAILED    4   /* never became live */


typedef struct {
    ngx_str_node_t           sn;           /* in the zone's tree, by id */
    ngx_queue_t              queue;        /* of the zone's rooms */

    u_char                   id[NGX_HTTP_SPACES_ID_LEN];

    /* the process that mixes it, and the one that wants to take over */
    ngx_atomic_t             owner;
    ngx_atomic_t             claimant;
    ngx_atomic_t             leaving;      /* the owner would let it go */

    ngx_atomic_t             state;
    ngx_atomic_t             ending;       /* somebody asked for its end */
    ngx_atomic_t             saved;        /* Redis knows the end */
    ngx_uint_t               no_space;     /* FAILED: for want of disk */
    ngx_atomic_t             dirty;        /* the document was changed */
    ngx_uint_t               torn;         /* writing stopped at an error */

    ngx_uint_t               record;
    ngx_uint_t               recording;    /* as in the Space */

    int64_t                  started_at;   /* ms since the epoch */
    int64_t                  ended_at;
    int64_t                  expires_at;
    int64_t                  duration;     /* ms, when ended */
    int64_t                  bytes;
    int64_t                  ended;        /* ms, monotonic */
    int64_t                  reconnect;    /* ms */
    int64_t                  max_duration;

    /* the host's connection: the process it is on, 0 if there is none */
    ngx_atomic_t             source;
    ngx_atomic_t             source_serial;
    ngx_atomic_t             drained;      /* the serial of a source that has
                                              nothing left to put in */
    int64_t                  vacant;       /* ms, monotonic: since when */
    ngx_uint_t               speaking;

    spaces_opus_head_t       head;

    /* one is true, the other is being written */
    spaces_playout_state_t   playout[2];
    ngx_atomic_t             current;

    /* bytes of the stream in the file */
    ngx_atomic_t             written;

    /* the Space as it will be on disk: under the zone's lock */
    size_t                   document_len;
    u_char                   document[NGX_HTTP_SPACES_DOCUMENT];

    spaces_packet_ring_t    *ring;
    u_char                  *pages;        /* byte n of the stream is at
                                              n % NGX_HTTP_SPACES_PAGES */
} ngx_http_spaces_room_t;


typedef struct {
    ngx_rbtree_t             rbtree;
    ngx_rbtree_node_t        sentinel;
    ngx_queue_t              rooms;
    ngx_atomic_t             nrooms;

    ngx_atomic_t             recovery;     /* the process that does it */
    ngx_atomic_t             scanned;      /* all that was live has a room */
    ngx_atomic_t             recovered;    /* and Redis knows of it */
    ngx_atomic_t             reaper;       /* the process that is it */

    ngx_atomic_t             any_change;
    ngx_atomic_t             changes[NGX_HTTP_SPACES_CHANGES];
} ngx_http_spaces_shm_t;


struct ngx_http_spaces_zone_s {
    ngx_http_spaces_shm_t   *sh;
    ngx_slab_pool_t         *shpool;
};


/* what a request wants to know of a room */

typedef struct {
    ngx_uint_t               state;        /* NGX_HTTP_SPACES_ROOM_… */
    ngx_uint_t               recording;
    ngx_uint_t               no_space;
    ngx_uint_t               settled;      /* ended, and that can be told */
} ngx_http_spaces_room_info_t;


ngx_int_t ngx_http_spaces_zone_init(ngx_shm_zone_t *shm_zone, void *data);

/*
 * Opens a room and attaches this process as its source and owner.
 * NGX_OK; NGX_BUSY if there is one with that id; NGX_DECLINED if the zone is
 * full.  The space's document goes with it.
 */
ngx_int_t ngx_http_spaces_zone_open(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_space_t *space, ngx_str_t *document,
    spaces_opus_head_t *head, ngx_http_spaces_room_t **room);

/*
 * Becomes the source of a room that is live: NGX_OK, NGX_BUSY if it has one,
 * NGX_DECLINED if there is no such room, or it ended.
 */
ngx_int_t ngx_http_spaces_zone_attach(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id, ngx_http_spaces_room_t **room, ngx_atomic_uint_t *serial);

/* ends that; the room may go away from then on */
void ngx_http_spaces_zone_detach(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_room_t *room, ngx_atomic_uint_t serial);

/* to be called with no source attached and no owner but the caller */
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

/* the Space as a room's document tells it; NULL on error */
ngx_http_spaces_space_t *ngx_http_spaces_zone_space(
    ngx_http_spaces_zone_t *zone, ngx_http_spaces_room_t *room,
    ngx_pool_t *pool);

/*
 * The counter of a Space's changes: whatever was read before it went up is
 * not to be used after.
 */
ngx_atomic_t *ngx_http_spaces_zone_change(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id);

/* the state that is true */
#define ngx_http_spaces_room_playout(room)                                    \
    (&(room)->playout[(room)->current & 1])

/* whether a process of this machine is alive */
ngx_uint_t ngx_http_spaces_alive(ngx_atomic_uint_t pid);


#endif /* _NGX_HTTP_SPACES_ZONE_H_INCLUDED_ */
