
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_tick.h"
#include "ngx_http_spaces_metrics.h"
#include "ngx_http_spaces_round.h"
#include "ngx_http_spaces_space.h"


#define NGX_HTTP_SPACES_TICK_STEPS  4

/* without anything to do, ms */
#define NGX_HTTP_SPACES_TICK_IDLE   250


typedef struct {
    ngx_http_spaces_step_tick_pt   handler;
    void                          *data;
} ngx_http_spaces_tick_step_t;


struct ngx_http_spaces_tick_s {
    ngx_http_spaces_main_conf_t   *smcf;
    ngx_http_spaces_tick_step_t    steps[NGX_HTTP_SPACES_TICK_STEPS];
    ngx_uint_t                     nsteps;
    ngx_http_spaces_round_t        waiters;
    ngx_event_t                    event;
    ngx_uint_t                     held;       /* so often */
    int64_t                        due;        /* ms, 0: when it comes */
    unsigned                       running:1;
};


static ngx_http_spaces_tick_t *ngx_http_spaces_tick_own(void);
static void ngx_http_spaces_tick_handler(ngx_event_t *ev);
static void ngx_http_spaces_tick_waiter(void *data, ngx_queue_t *q);
static void ngx_http_spaces_tick_again(ngx_http_spaces_tick_t *tick,
    ngx_uint_t busy);


ngx_http_spaces_tick_t *
ngx_http_spaces_tick_create(ngx_http_spaces_main_conf_t *smcf)
{
    ngx_http_spaces_tick_t  *tick;

    tick = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_spaces_tick_t));
    if (tick == NULL) {
        return NULL;
    }

    tick->smcf = smcf;

    ngx_http_spaces_round_init(&tick->waiters, ngx_http_spaces_tick_waiter,
                               tick);

    tick->event.handler = ngx_http_spaces_tick_handler;
    tick->event.data = tick;
    tick->event.log = ngx_cycle->log;

    ngx_http_spaces_tick_again(tick, 0);

    return tick;
}


void
ngx_http_spaces_tick_add(ngx_http_spaces_tick_t *tick,
    ngx_http_spaces_step_tick_pt handler, void *data)
{
    tick->steps[tick->nsteps].handler = handler;
    tick->steps[tick->nsteps].data = data;
    tick->nsteps++;
}


void
ngx_http_spaces_tick_soon(ngx_http_spaces_tick_t *tick)
{
    /* one that is due already is not put off, however late it is */

    if (!tick->running && tick->due == 0) {
        ngx_http_spaces_tick_again(tick, 1);
    }
}


void
ngx_http_spaces_wait(ngx_http_spaces_tick_t *tick,
    ngx_http_spaces_waiter_t *waiter)
{
    ngx_queue_insert_tail(&tick->waiters.queue, &waiter->queue);
    tick->event.cancelable = 0;

    ngx_http_spaces_tick_soon(tick);
}


void
ngx_http_spaces_stop_waiting(ngx_http_spaces_waiter_t *waiter)
{
    ngx_http_spaces_round_remove(&ngx_http_spaces_tick_own()->waiters,
                                 &waiter->queue);
}


void
ngx_http_spaces_tick_hold(void)
{
    ngx_http_spaces_tick_t  *tick;

    tick = ngx_http_spaces_tick_own();

    tick->held++;
    tick->event.cancelable = 0;
}


void
ngx_http_spaces_tick_let_go(void)
{
    /* the next tick sees to it whether the worker may leave */

    ngx_http_spaces_tick_own()->held--;
}


/* this worker's */

static ngx_http_spaces_tick_t *
ngx_http_spaces_tick_own(void)
{
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_spaces_module);
    return smcf->tick;
}


static void
ngx_http_spaces_tick_handler(ngx_event_t *ev)
{
    int64_t                    now;
    ngx_uint_t                 i, busy;
    ngx_http_spaces_tick_t    *tick = ev->data;

    now = ngx_http_spaces_monotonic();

    if (tick->due) {
        ngx_http_spaces_metrics_observe(ngx_http_spaces_histogram_tick,
                                        ngx_max(now - tick->due, 0) * 1000);
    }

    /* the moment it was due at: a little late is not a frame more */

    now -= now % NGX_HTTP_SPACES_TICK;
    busy = 0;

    tick->running = 1;

    for (i = 0; i < tick->nsteps; i++) {

        if (tick->steps[i].handler(tick->steps[i].data, now)) {
            busy = 1;
        }
    }

    ngx_http_spaces_round_begin(&tick->waiters);

    tick->running = 0;

    ngx_http_spaces_tick_again(tick, busy);
}


static void
ngx_http_spaces_tick_waiter(void *data, ngx_queue_t *q)
{
    ngx_http_spaces_waiter_t  *waiter;

    waiter = ngx_queue_data(q, ngx_http_spaces_waiter_t, queue);
    waiter->handler(waiter);
}


/* at multiples of 20 ms of the clock that all share: late ones don't drift */

static void
ngx_http_spaces_tick_again(ngx_http_spaces_tick_t *tick, ngx_uint_t busy)
{
    ngx_msec_t  delay;

    if (tick->event.timer_set) {
        ngx_del_timer(&tick->event);
    }

    /* a leaving worker stays for those who wait, and for no other */

    tick->event.cancelable = ngx_queue_empty(&tick->waiters.queue)
                             && tick->held == 0;

    if (!busy && ngx_queue_empty(&tick->waiters.queue)) {
        delay = NGX_HTTP_SPACES_TICK_IDLE;
        tick->due = 0;

    } else {
        /* timers count from nginx's idea of now, which may be old */

        ngx_time_update();

        tick->due = ngx_http_spaces_monotonic();

        delay = NGX_HTTP_SPACES_TICK - tick->due % NGX_HTTP_SPACES_TICK;
        tick->due += delay;
    }

    ngx_add_timer(&tick->event, delay);
}
