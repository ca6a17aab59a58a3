
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What is done for each of thousands, at every tick, in turns: so that who just
 * comes doesn't wait for all of them.
 */


#ifndef _NGX_HTTP_SPACES_ROUND_H_INCLUDED_
#define _NGX_HTTP_SPACES_ROUND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/*
 * A turn lasts so long before others have theirs, such as a connection that
 * needs some for its first byte; and each costs a look at the events.
 * Microseconds
 */
#define NGX_HTTP_SPACES_TURN  300


/* for each member of the queue */
typedef void (*ngx_http_spaces_round_pt)(void *data, ngx_queue_t *q);


typedef struct {
    ngx_queue_t                queue;     /* who joins does so at its end */

    /* its own */

    ngx_queue_t               *next;      /* whose turn it is; NULL: there is
                                             no round under way */
    ngx_event_t                event;
    ngx_http_spaces_round_pt   handler;
    void                      *data;
    unsigned                   again:1;   /* another follows */
} ngx_http_spaces_round_t;


void ngx_http_spaces_round_init(ngx_http_spaces_round_t *round,
    ngx_http_spaces_round_pt handler, void *data);

/* begins one; if one is under way, that is gone through, and then another */
void ngx_http_spaces_round_begin(ngx_http_spaces_round_t *round);

/* one leaves the queue: at any time, also of its own handler */
void ngx_http_spaces_round_remove(ngx_http_spaces_round_t *round,
    ngx_queue_t *q);

/* when a turn that begins now ends, microseconds; and whether it has */
int64_t ngx_http_spaces_turn(void);
ngx_uint_t ngx_http_spaces_turn_is_over(int64_t end);


#endif /* _NGX_HTTP_SPACES_ROUND_H_INCLUDED_ */
