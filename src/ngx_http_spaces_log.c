
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_log.h"

#include <ngx_event.h>


static void ngx_http_spaces_log_pause(ngx_http_spaces_log_t *limit);
static void ngx_http_spaces_log_handler(ngx_event_t *ev);
static void ngx_http_spaces_log_tell(ngx_http_spaces_log_t *limit);


/* the pause that ends first comes first, for all are of one length */

static ngx_queue_t  ngx_http_spaces_log_pauses = {
    &ngx_http_spaces_log_pauses,
    &ngx_http_spaces_log_pauses
};

static ngx_event_t  ngx_http_spaces_log_timer;

/* a timer's data is taken for a connection when timers are debugged */

static ngx_connection_t  ngx_http_spaces_log_dumb;


void
ngx_http_spaces_log(ngx_http_spaces_log_t *limit, ngx_uint_t level,
    ngx_log_t *log, ngx_err_t err, const char *format, ...)
{
    va_list  args;
    u_char  *p, *last;
    u_char   text[NGX_MAX_ERROR_STR];

    va_start(args, format);
    p = ngx_vslprintf(text, text + sizeof(text), format, args);
    va_end(args);

    if (!limit->paused) {
        ngx_log_error(level, log, err, "%*s", (size_t) (p - text), text);
        ngx_http_spaces_log_pause(limit);
        return;
    }

    limit->n++;
    limit->level = level;

    last = limit->text + NGX_HTTP_SPACES_LOG_TEXT;

    limit->len = ngx_min((size_t) (p - text), NGX_HTTP_SPACES_LOG_TEXT);
    p = ngx_cpymem(limit->text, text, limit->len);

    if (err && last - p > 64) {
        p = ngx_slprintf(p, last, " (%d: ", err);
        p = ngx_strerror(err, p, last - p);
        p = ngx_slprintf(p, last, ")");
    }

    limit->len = p - limit->text;
}


static void
ngx_http_spaces_log_pause(ngx_http_spaces_log_t *limit)
{
    ngx_event_t  *ev;

    limit->n = 0;
    limit->paused = 1;
    limit->until = ngx_current_msec + NGX_HTTP_SPACES_LOG_PAUSE;

    ngx_queue_insert_tail(&ngx_http_spaces_log_pauses, &limit->queue);

    ev = &ngx_http_spaces_log_timer;

    if (!ev->timer_set) {
        ev->handler = ngx_http_spaces_log_handler;
        ev->data = &ngx_http_spaces_log_dumb;
        ev->log = ngx_cycle->log;
        ev->cancelable = 1;

        ngx_http_spaces_log_dumb.fd = (ngx_socket_t) -1;

        ngx_add_timer(ev, NGX_HTTP_SPACES_LOG_PAUSE);
    }
}


static void
ngx_http_spaces_log_handler(ngx_event_t *ev)
{
    ngx_queue_t            *q;
    ngx_msec_int_t          left;
    ngx_http_spaces_log_t  *limit;

    while (!ngx_queue_empty(&ngx_http_spaces_log_pauses)) {

        q = ngx_queue_head(&ngx_http_spaces_log_pauses);
        limit = ngx_queue_data(q, ngx_http_spaces_log_t, queue);

        left = (ngx_msec_int_t) (limit->until - ngx_current_msec);

        if (left > 0) {
            ngx_add_timer(ev, (ngx_msec_t) left);
            return;
        }

        ngx_queue_remove(q);
        limit->paused = 0;

        if (limit->n) {
            ngx_http_spaces_log_tell(limit);
            ngx_http_spaces_log_pause(limit);
        }
    }
}


static void
ngx_http_spaces_log_tell(ngx_http_spaces_log_t *limit)
{
    if (limit->n == 1) {
        ngx_log_error(limit->level, ngx_cycle->log, 0, "%*s (once more)",
                      limit->len, limit->text);
        return;
    }

    ngx_log_error(limit->level, ngx_cycle->log, 0, "%*s (%ui times more)",
                  limit->len, limit->text, limit->n);
}


void
ngx_http_spaces_log_flush(void)
{
    ngx_queue_t            *q;
    ngx_http_spaces_log_t  *limit;

    while (!ngx_queue_empty(&ngx_http_spaces_log_pauses)) {

        q = ngx_queue_head(&ngx_http_spaces_log_pauses);
        limit = ngx_queue_data(q, ngx_http_spaces_log_t, queue);

        ngx_queue_remove(q);
        limit->paused = 0;

        if (limit->n) {
            ngx_http_spaces_log_tell(limit);
        }
    }
}
