
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_round.h"


/* the clock is looked at every so often */
#define NGX_HTTP_SPACES_ROUND_EVERY  8


static void ngx_http_spaces_round_event(ngx_event_t *ev);
static int64_t ngx_http_spaces_round_clock(void);


void
ngx_http_spaces_round_init(ngx_http_spaces_round_t *round,
    ngx_http_spaces_round_pt handler, void *data)
{
    ngx_memzero(round, sizeof(ngx_http_spaces_round_t));

    ngx_queue_init(&round->queue);

    round->handler = handler;
    round->data = data;

    round->event.handler = ngx_http_spaces_round_event;
    round->event.data = round;
    round->event.log = ngx_cycle->log;
}


void
ngx_http_spaces_round_begin(ngx_http_spaces_round_t *round)
{
    if (round->next) {
        round->again = 1;
        return;
    }

    round->next = ngx_queue_head(&round->queue);

    ngx_http_spaces_round_event(&round->event);
}


void
ngx_http_spaces_round_remove(ngx_http_spaces_round_t *round, ngx_queue_t *q)
{
    if (round->next == q) {
        round->next = ngx_queue_next(q);
    }

    ngx_queue_remove(q);
}


static void
ngx_http_spaces_round_event(ngx_event_t *ev)
{
    int64_t                   end;
    ngx_uint_t                n;
    ngx_queue_t              *q;
    ngx_http_spaces_round_t  *round = ev->data;

    end = ngx_http_spaces_turn();

    for (n = 1; /* void */ ; n++) {

        q = round->next;

        if (q == ngx_queue_sentinel(&round->queue)) {

            if (!round->again) {
                round->next = NULL;
                return;
            }

            round->again = 0;
            round->next = ngx_queue_head(&round->queue);

        } else {
            round->next = ngx_queue_next(q);
            round->handler(round->data, q);
        }

        if (n % NGX_HTTP_SPACES_ROUND_EVERY == 0
            && ngx_http_spaces_turn_is_over(end))
        {
            ngx_post_event(&round->event, &ngx_posted_next_events);
            return;
        }
    }
}


int64_t
ngx_http_spaces_turn(void)
{
    return ngx_http_spaces_round_clock() + NGX_HTTP_SPACES_TURN;
}


ngx_uint_t
ngx_http_spaces_turn_is_over(int64_t end)
{
    return ngx_http_spaces_round_clock() > end;
}


/* microseconds */

static int64_t
ngx_http_spaces_round_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
