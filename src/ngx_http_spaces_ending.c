
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The end of a Space, asked for by a request that waits for it.
 */


#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_tick.h"


/* how long an end is waited for, ms */
#define NGX_HTTP_SPACES_END_TIMEOUT  10000


typedef struct {
    ngx_http_request_t        *request;
    ngx_http_spaces_step_pt    step;       /* what follows */
    ngx_http_spaces_waiter_t   waiter;
    int64_t                    until;      /* ms, monotonic */
    unsigned                   waiting:1;
} ngx_http_spaces_end_t;


static void ngx_http_spaces_end_tick(ngx_http_spaces_waiter_t *waiter);
static void ngx_http_spaces_end_cleanup(void *data);


ngx_int_t
ngx_http_spaces_end(ngx_http_request_t *r, ngx_http_spaces_step_pt step)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_spaces_end_t        *end;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (ctx->space->state == NGX_HTTP_SPACES_ENDED
        && (!ctx->in_room || ctx->room.settled))
    {
        return step(r);
    }

    if (ngx_http_spaces_zone_end(smcf->zone, &ctx->id) != NGX_OK) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_ROOM,
                                       "the Space is live on node \"%V\", end "
                                       "it there", &ctx->space->node);
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_spaces_end_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    end = cln->data;

    end->request = r;
    end->step = step;
    end->until = ngx_http_spaces_monotonic() + NGX_HTTP_SPACES_END_TIMEOUT;
    end->waiter.handler = ngx_http_spaces_end_tick;
    end->waiter.data = end;
    end->waiting = 1;

    cln->handler = ngx_http_spaces_end_cleanup;

    ngx_http_spaces_wait(smcf->tick, &end->waiter);

    return NGX_HTTP_SPACES_LATER;
}


static void
ngx_http_spaces_end_tick(ngx_http_spaces_waiter_t *waiter)
{
    ngx_int_t                     rc;
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_end_t        *end;
    ngx_http_spaces_main_conf_t  *smcf;

    end = waiter->data;
    r = end->request;
    c = r->connection;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    ngx_http_set_log_request(c->log, r);

    rc = ngx_http_spaces_zone_overlay(smcf->zone, ctx->space, &ctx->room);

    if (rc == NGX_OK && !ctx->room.settled
        && ngx_http_spaces_monotonic() < end->until)
    {
        return;
    }

    ngx_http_spaces_end_cleanup(end);

    if (rc == NGX_OK && !ctx->room.settled) {
        rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                     "the end takes long, the disk may be "
                                     "slow; it goes on, look again later");

    } else {
        rc = end->step(r);
    }

    ngx_http_spaces_continue(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_spaces_end_cleanup(void *data)
{
    ngx_http_spaces_end_t  *end = data;

    if (end->waiting) {
        end->waiting = 0;
        ngx_http_spaces_stop_waiting(&end->waiter);
    }
}
