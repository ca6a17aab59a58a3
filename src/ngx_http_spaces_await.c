
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Requests that wait: for what a room does, or for who looks what was left.
 */


#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_tick.h"


/* at most so long, ms */
#define NGX_HTTP_SPACES_AWAIT  10000


typedef struct {
    ngx_http_request_t         *request;
    ngx_http_spaces_done_pt     done;
    ngx_http_spaces_step_pt     step;
    ngx_http_spaces_step_pt     late;
    ngx_http_spaces_waiter_t    waiter;
    int64_t                     until;      /* ms, monotonic */
    unsigned                    waiting:1;
} ngx_http_spaces_await_t;


static void ngx_http_spaces_await_tick(ngx_http_spaces_waiter_t *waiter);
static void ngx_http_spaces_await_cleanup(void *data);


ngx_int_t
ngx_http_spaces_await(ngx_http_request_t *r, ngx_http_spaces_done_pt done,
    ngx_http_spaces_step_pt step, ngx_http_spaces_step_pt late)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_spaces_await_t      *await;
    ngx_http_spaces_main_conf_t  *smcf;

    if (done(r)) {
        return step(r);
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_spaces_await_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    await = cln->data;

    await->request = r;
    await->done = done;
    await->step = step;
    await->late = late;
    await->until = ngx_http_spaces_monotonic() + NGX_HTTP_SPACES_AWAIT;
    await->waiter.handler = ngx_http_spaces_await_tick;
    await->waiter.data = await;
    await->waiting = 1;

    cln->handler = ngx_http_spaces_await_cleanup;

    ngx_http_spaces_wait(smcf->tick, &await->waiter);

    return NGX_HTTP_SPACES_LATER;
}


static void
ngx_http_spaces_await_tick(ngx_http_spaces_waiter_t *waiter)
{
    ngx_uint_t                done;
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_spaces_await_t  *await;

    await = waiter->data;
    r = await->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    done = await->done(r);

    if (!done && ngx_http_spaces_monotonic() < await->until) {
        return;
    }

    ngx_http_spaces_await_cleanup(await);

    ngx_http_spaces_continue(r, done ? await->step(r) : await->late(r));
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_spaces_await_cleanup(void *data)
{
    ngx_http_spaces_await_t  *await = data;

    if (await->waiting) {
        await->waiting = 0;
        ngx_http_spaces_stop_waiting(&await->waiter);
    }
}


ngx_uint_t
ngx_http_spaces_is_scanned(ngx_http_request_t *r)
{
    ngx_http_spaces_shm_t        *sh;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    sh = smcf->zone->sh;

    return sh->scanned || sh->waiting;
}
