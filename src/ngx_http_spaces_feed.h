
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What a worker gives to all its listeners of one Space: pages and events,
 * each framed once for all who take them in the same form.  A listener is a
 * place in that stream of bytes.
 */


#ifndef _NGX_HTTP_SPACES_FEED_H_INCLUDED_
#define _NGX_HTTP_SPACES_FEED_H_INCLUDED_


#include "ngx_http_spaces_form.h"
#include "ngx_http_spaces_tick.h"
#include "ngx_http_spaces_places.h"


typedef struct ngx_http_spaces_feed_s      ngx_http_spaces_feed_t;
typedef struct ngx_http_spaces_listener_s  ngx_http_spaces_listener_t;
typedef struct ngx_http_spaces_past_s      ngx_http_spaces_past_t;


/*
 * What a listener's connection does.  "send" takes bytes: how many, NGX_AGAIN
 * (then the owner calls ngx_http_spaces_listener_go_on() when there is room),
 * or NGX_ERROR.  It is asked only for whole frames after "ready" said 1.
 * "ended" is called once: the Space has ended and all is sent, or the
 * connection is to be given up ("lost"); the listener has left then.
 */

typedef struct {
    ssize_t      (*send)(ngx_http_spaces_listener_t *listener, u_char *p,
                         size_t len);
    ngx_uint_t   (*ready)(ngx_http_spaces_listener_t *listener);
    void         (*ended)(ngx_http_spaces_listener_t *listener,
                          ngx_uint_t lost);
    void         (*check)(ngx_http_spaces_listener_t *listener, int64_t now);
} ngx_http_spaces_listener_handlers_t;


struct ngx_http_spaces_listener_s {

    /* what each page takes of a listener: a line of the CPU's cache, or two */

    ngx_queue_t                           queue;     /* of its form */
    ngx_http_spaces_feed_t               *feed;      /* NULL: it has left */
    ngx_http_spaces_listener_handlers_t  *handlers;
    ngx_connection_t                     *connection;
    ngx_event_t                          *write;     /* the connection's */
    uint64_t                              position;  /* in its form's bytes */

    unsigned                              form:3;
    unsigned                              counts:1;  /* as a listener */
    unsigned                              counted:1;
    unsigned                              newcoming:1;
    unsigned                              moved_on:1; /* its Space has */
    unsigned                              catching_up:1;
    unsigned                              blocked:1; /* by "send" */
    unsigned                              pending:1; /* what comes next was
                                                        given to "send" */

    /* and what it doesn't */

    void                                 *data;      /* the handlers' */
    ngx_queue_t                           newcomer;
    int64_t                               since;     /* ms, monotonic: joined */
    int64_t                               blocked_at;

    /* while it catches up: bytes to be sent first, and what comes after them
       in the stream */
    ngx_http_spaces_bytes_t               past;
    size_t                                sent;
    uint64_t                              offset;
    ngx_atomic_uint_t                     told;      /* the feed's version */
    ngx_http_spaces_past_t               *file;      /* NULL: from memory */
};


/* somebody who is told events, each a JSON object with "event" in it */

typedef struct {
    ngx_queue_t                           queue;
    ngx_http_spaces_feed_t               *feed;
    void                                (*event)(void *data, ngx_str_t *json);
    void                                 *data;
} ngx_http_spaces_subscriber_t;


/* NULL without memory */
ngx_http_spaces_feeds_t *ngx_http_spaces_feeds_create(
    ngx_http_spaces_main_conf_t *smcf);

/* for a worker that exits, when its connections are gone */
void ngx_http_spaces_feeds_destroy(ngx_http_spaces_feeds_t *feeds);

#define NGX_HTTP_SPACES_FROM_START  INT64_MAX

/*
 * A listener joins the feed of a Space, with the audio of the last "back" ms
 * as far as there is as much: in memory, and if it is recorded in its file.
 * Of a Space that isn't live events alone.  Form, handlers, connection, data
 * and counts are set; "hello" is an event that comes first, or NULL.  NGX_OK;
 * NGX_DECLINED if there is no such room; NGX_ERROR without memory.
 */
ngx_int_t ngx_http_spaces_feed_join(ngx_http_spaces_main_conf_t *smcf,
    ngx_str_t *id, ngx_http_spaces_listener_t *listener, int64_t back,
    json_t *hello);

/* without an answer; may be called when it has left */
void ngx_http_spaces_feed_leave(ngx_http_spaces_listener_t *listener);

/* the connection takes more */
void ngx_http_spaces_listener_go_on(ngx_http_spaces_listener_t *listener);

/* whether it is between frames: others may write to the connection */
ngx_uint_t ngx_http_spaces_listener_is_even(
    ngx_http_spaces_listener_t *listener);

/*
 * Events alone, of a Space whether it is live or will be.  NGX_ERROR without
 * memory.
 */
ngx_int_t ngx_http_spaces_feed_subscribe(ngx_http_spaces_main_conf_t *smcf,
    ngx_str_t *id, ngx_http_spaces_subscriber_t *subscriber);
void ngx_http_spaces_feed_unsubscribe(
    ngx_http_spaces_subscriber_t *subscriber);

/*
 * An event as JSON, its name in it; the data stay the caller's.  NGX_ERROR
 * without memory.
 */
ngx_int_t ngx_http_spaces_event_json(ngx_pool_t *pool, const char *name,
    json_t *data, ngx_str_t *out);


/*
 * The feed's own, for the past in a file: more of it has been read, or -1
 * could not be.
 */
void ngx_http_spaces_listener_read(ngx_http_spaces_listener_t *listener,
    const u_char *data, ssize_t len, uint64_t offset);

/*
 * Begins to read the file of a room: from "granule" on if "offset" is 0, else
 * from there, and no further than "end".  The answer comes by the function
 * above.  NGX_ERROR if it can't be begun.
 */
ngx_int_t ngx_http_spaces_past_read(ngx_http_spaces_listener_t *listener,
    ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id, int64_t granule,
    uint64_t offset, uint64_t end);

/* is it being read? */
ngx_uint_t ngx_http_spaces_past_busy(ngx_http_spaces_past_t *past);

/* it is not wanted any more; may be NULL */
void ngx_http_spaces_past_close(ngx_http_spaces_past_t *past);


#endif /* _NGX_HTTP_SPACES_FEED_H_INCLUDED_ */
