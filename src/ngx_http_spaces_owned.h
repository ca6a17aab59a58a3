
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A room in the hands of its owner: what the files of its life share.
 */


#ifndef _NGX_HTTP_SPACES_OWNED_H_INCLUDED_
#define _NGX_HTTP_SPACES_OWNED_H_INCLUDED_


#include "ngx_http_spaces_recorder.h"
#include "ngx_http_spaces_room.h"
#include "ngx_http_spaces_round.h"


/* what was not saved is tried again, ms */
#define NGX_HTTP_SPACES_RESAVE  1000


typedef enum {
    ngx_http_spaces_end_close = 0,
    ngx_http_spaces_end_closing,
    ngx_http_spaces_end_publish,
    ngx_http_spaces_end_publishing,
    ngx_http_spaces_end_saving,
    ngx_http_spaces_end_done
} ngx_http_spaces_end_e;


struct ngx_http_spaces_rooms_s {
    ngx_http_spaces_main_conf_t   *smcf;
    ngx_http_spaces_round_t        owned;
    int64_t                        now;        /* of the tick, ms monotonic */
    int64_t                        scanned;    /* likewise */
    ngx_uint_t                     steady;     /* scans that came in time */
    ngx_uint_t                     codec;      /* calls of this tick */
    ngx_uint_t                     unattended; /* all workers leave */
};


typedef struct {
    ngx_queue_t                    queue;
    ngx_http_spaces_room_t        *room;
    ngx_http_spaces_main_conf_t   *smcf;
    ngx_http_spaces_recorder_t    *recorder;   /* NULL: not recorded */
    ngx_thread_task_t             *task;       /* to play off the event loop */

    ngx_http_spaces_end_e          end;
    int64_t                        tried;      /* to save, ms monotonic */
    ngx_atomic_uint_t              resave;     /* of the zone, when it did */
    int64_t                        ending;     /* since when, likewise */
    int64_t                        counted;    /* listeners, likewise */
    int64_t                        now;        /* of the tick being played */
    spaces_playout_status_e        status;     /* of the last run */

    unsigned                       saving:1;
    unsigned                       saving_end:1;
    unsigned                       unsaved:1;  /* that it is live */
    unsigned                       playing:1;  /* in a thread */
    unsigned                       draining:1;

    /* the connections that the playout knows, by their serials */
    ngx_atomic_uint_t              serials[SPACES_PLAYOUT_SOURCES];

    spaces_playout_t               playout;
} ngx_http_spaces_owned_t;


/* what a tick brings: the room's clock goes on to "now", ms monotonic */
void ngx_http_spaces_owned_step(ngx_http_spaces_owned_t *owned, int64_t now);

/* all that the room has goes to its file: the worker exits, or lets it go */
void ngx_http_spaces_owned_write_out(ngx_http_spaces_owned_t *owned);

/* the last page is written: one step after the other until all is saved */
void ngx_http_spaces_owned_ending(ngx_http_spaces_owned_t *owned);

/* the room has ended, or failed: at every tick, until it is gone */
void ngx_http_spaces_owned_ended(ngx_http_spaces_owned_t *owned, int64_t now);

/* tells Redis what has become of it, if that isn't under way */
void ngx_http_spaces_owned_save(ngx_http_spaces_owned_t *owned);

/* lets it go; neither the recorder nor a thread may be at work */
void ngx_http_spaces_owned_free(ngx_http_spaces_owned_t *owned);


#endif /* _NGX_HTTP_SPACES_OWNED_H_INCLUDED_ */
