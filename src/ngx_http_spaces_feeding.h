
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A feed from the inside: what its own files share.
 */


#ifndef _NGX_HTTP_SPACES_FEEDING_H_INCLUDED_
#define _NGX_HTTP_SPACES_FEEDING_H_INCLUDED_


#include "ngx_http_spaces_feed.h"
#include "ngx_http_spaces_stream.h"


/* how many ms a slow listener may be behind before it is skipped forward */
#define NGX_HTTP_SPACES_BEHIND    5000


/* the listeners of one form */

typedef struct {
    ngx_http_spaces_stream_t      stream;
    ngx_queue_t                   listeners;
    ngx_uint_t                    n;

    /* bytes of the stream: nobody is further behind, by the last round */
    uint64_t                      needed;
    uint64_t                      lowest;    /* in the round at hand */
} ngx_http_spaces_audience_t;


struct ngx_http_spaces_feed_s {

    /* what each tick looks at, side by side: of many rooms it is in no cache */

    ngx_http_spaces_waiter_t      waiter;
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_http_spaces_room_t       *room;      /* NULL: none, or over */
    uint64_t                      offset;    /* of the stream: taken so far */
    ngx_atomic_uint_t             version;   /* what was told last */

    int64_t                       now;
    int64_t                       beat;
    int64_t                       checked;
    int64_t                       looked;
    ngx_queue_t                   newcomers;
    ngx_uint_t                    counted;
    ngx_uint_t                    published;
    ngx_uint_t                    nusers;

    unsigned                      running:1; /* it may not be freed now */
    unsigned                      serving:1; /* it is pending */
    unsigned                      due:1;     /* there is something new */
    unsigned                      again:1;   /* a round is to follow */
    unsigned                      checking:1;/* in this round */
    unsigned                      over:1;    /* the Space has ended */
    unsigned                      moved_on:1;/* or is live in another nginx */

    /* the round at hand: which listener of which form is served next */
    ngx_queue_t                   pending;   /* among the feeds */
    ngx_queue_t                  *next;
    ngx_uint_t                    form;

    ngx_http_spaces_audience_t    audiences[ngx_http_spaces_form_n];

    ngx_queue_t                   subscribers;
    ngx_queue_t                  *told;      /* subscriber to be told next */

    /* likewise what was told last */
    ngx_uint_t                    recording;
    ngx_uint_t                    listeners;
    char                         *speakers;

    ngx_str_node_t                sn;        /* by id, until it is over */
    u_char                        id_data[NGX_HTTP_SPACES_ID_LEN];
};


struct ngx_http_spaces_feeds_s {
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_rbtree_t                  rbtree;    /* the feeds */
    ngx_rbtree_node_t             sentinel;
    ngx_queue_t                   pending;   /* with listeners to be served */
    ngx_event_t                   event;     /* to go on with them */

    /* scratch: pages as they are, bytes as they go out */
    u_char                       *pages;
    ngx_http_spaces_bytes_t       bytes;
};


/*
 * Copies bytes of the room's pages to the scratch; returns how many, 0 if they
 * are not there any more.
 */
size_t ngx_http_spaces_feed_copy(ngx_http_spaces_feed_t *feed, uint64_t from,
    uint64_t to);

/* all its listeners are to be looked at, in turns with those of other feeds */
void ngx_http_spaces_feed_serve(ngx_http_spaces_feed_t *feed);

/* a turn of those whose listeners are */
void ngx_http_spaces_feeds_serve(ngx_event_t *ev);

/* what is told of a recording that the disk has torn */
json_t *ngx_http_spaces_feed_warning(void);

/* for one that nobody uses */
void ngx_http_spaces_feed_free(ngx_http_spaces_feed_t *feed);

/* where a listener begins: "hello" and the header first; see feed_join() */
ngx_int_t ngx_http_spaces_listener_begin(ngx_http_spaces_listener_t *listener,
    int64_t back, json_t *hello);

/* sends what it has not got yet, as far as its connection takes it */
void ngx_http_spaces_listener_serve(ngx_http_spaces_listener_t *listener);

/*
 * The room is about to go: what there is of it that the listener lacks is
 * kept with it.
 */
void ngx_http_spaces_listener_keep(ngx_http_spaces_listener_t *listener);


#endif /* _NGX_HTTP_SPACES_FEEDING_H_INCLUDED_ */
