
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The tick of a worker: every 20 ms, against absolute deadlines, while there
 * is anything to do.
 */


#ifndef _NGX_HTTP_SPACES_TICK_H_INCLUDED_
#define _NGX_HTTP_SPACES_TICK_H_INCLUDED_


#include "ngx_http_spaces_module.h"


/* ms */
#define NGX_HTTP_SPACES_TICK  20


/*
 * Something that goes on at every tick, at "now" (ms, monotonic).  Returns 1
 * while it is to be called each time; 0: a quarter of a second is enough.
 */
typedef ngx_uint_t (*ngx_http_spaces_step_tick_pt)(void *data, int64_t now);


/* somebody who looks at something at every tick of this worker */

typedef struct ngx_http_spaces_waiter_s  ngx_http_spaces_waiter_t;

struct ngx_http_spaces_waiter_s {
    ngx_queue_t     queue;
    void          (*handler)(ngx_http_spaces_waiter_t *waiter);
    void           *data;
};


/* begins the tick of this worker; NULL without memory */
ngx_http_spaces_tick_t *ngx_http_spaces_tick_create(
    ngx_http_spaces_main_conf_t *smcf);

/* for this worker's life; they are called in the order they were added */
void ngx_http_spaces_tick_add(ngx_http_spaces_tick_t *tick,
    ngx_http_spaces_step_tick_pt handler, void *data);

/* there is something to do: the next tick is in 20 ms at the latest */
void ngx_http_spaces_tick_soon(ngx_http_spaces_tick_t *tick);

/* a worker that leaves stays while there are waiters */
void ngx_http_spaces_wait(ngx_http_spaces_tick_t *tick,
    ngx_http_spaces_waiter_t *waiter);

/* a waiter may stop waiting in its own handler */
void ngx_http_spaces_stop_waiting(ngx_http_spaces_waiter_t *waiter);

/*
 * A worker that leaves stays until what was held is let go as often: a request
 * waits for a thread, and has no timer.
 */
void ngx_http_spaces_tick_hold(void);
void ngx_http_spaces_tick_let_go(void);


#endif /* _NGX_HTTP_SPACES_TICK_H_INCLUDED_ */
