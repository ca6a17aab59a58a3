
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_transfer.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_tick.h"


/* those of this worker */

struct ngx_http_spaces_transfers_s {
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_queue_t                   queue;
    ngx_queue_t                  *next;      /* transfer to be looked at */
    ngx_atomic_uint_t             change;    /* of any Space, looked at */
};


typedef struct {
    ngx_queue_t                   queue;
    ngx_http_spaces_transfers_t  *transfers;
    ngx_http_request_t           *request;
    ngx_http_spaces_allowed_pt    allowed;
    ngx_atomic_t                 *counter;   /* of changes of its Space */
    ngx_atomic_uint_t             change;    /* it was allowed at */
} ngx_http_spaces_transfer_t;


static void ngx_http_spaces_transfer_leave(void *data);
static ngx_uint_t ngx_http_spaces_transfers_tick(void *data, int64_t now);
static void ngx_http_spaces_transfer_check(
    ngx_http_spaces_transfer_t *transfer);
static void ngx_http_spaces_transfer_check_later(
    ngx_http_spaces_transfer_t *transfer);
static ngx_int_t ngx_http_spaces_transfer_checked(ngx_http_request_t *r);


ngx_http_spaces_transfers_t *
ngx_http_spaces_transfers_create(ngx_http_spaces_main_conf_t *smcf)
{
    ngx_http_spaces_transfers_t  *transfers;

    transfers = ngx_pcalloc(ngx_cycle->pool,
                            sizeof(ngx_http_spaces_transfers_t));
    if (transfers == NULL) {
        return NULL;
    }

    transfers->smcf = smcf;

    ngx_queue_init(&transfers->queue);

    ngx_http_spaces_tick_add(smcf->tick, ngx_http_spaces_transfers_tick,
                             transfers);

    return transfers;
}


ngx_int_t
ngx_http_spaces_transfer_watch(ngx_http_request_t *r,
    ngx_http_spaces_allowed_pt allowed)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_transfer_t   *transfer;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_spaces_transfer_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    transfer = cln->data;

    transfer->transfers = smcf->transfers;
    transfer->request = r;
    transfer->allowed = allowed;
    transfer->counter = ngx_http_spaces_zone_change(smcf->zone, &ctx->id);

    /* since it was allowed something may have changed already */

    ngx_http_spaces_transfer_check_later(transfer);

    ngx_queue_insert_tail(&smcf->transfers->queue, &transfer->queue);

    cln->handler = ngx_http_spaces_transfer_leave;

    ctx->data = transfer;

    return NGX_OK;
}


static void
ngx_http_spaces_transfer_leave(void *data)
{
    ngx_http_spaces_transfer_t  *transfer = data;

    if (transfer->transfers->next == &transfer->queue) {
        transfer->transfers->next = ngx_queue_next(&transfer->queue);
    }

    ngx_queue_remove(&transfer->queue);
}


static ngx_uint_t
ngx_http_spaces_transfers_tick(void *data, int64_t now)
{
    ngx_http_spaces_transfers_t *transfers = data;

    ngx_queue_t                 *q;
    ngx_atomic_uint_t            change;
    ngx_http_spaces_transfer_t  *transfer;

    change = transfers->smcf->zone->sh->any_change;

    if (change == transfers->change) {
        return 0;
    }

    transfers->change = change;

    for (q = ngx_queue_head(&transfers->queue);
         q != ngx_queue_sentinel(&transfers->queue);
         q = transfers->next)
    {
        transfers->next = ngx_queue_next(q);

        transfer = ngx_queue_data(q, ngx_http_spaces_transfer_t, queue);

        if (*transfer->counter != transfer->change) {
            transfer->change = *transfer->counter;
            ngx_http_spaces_transfer_check(transfer);
        }
    }

    transfers->next = NULL;

    return 0;
}


static void
ngx_http_spaces_transfer_check(ngx_http_spaces_transfer_t *transfer)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_spaces_ctx_t  *ctx;

    r = transfer->request;
    c = r->connection;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->op) {

        /* it is being asked already, for what was before */

        ngx_http_spaces_transfer_check_later(transfer);
        return;
    }

    ngx_http_set_log_request(c->log, r);

    /* without Redis who hears it already goes on to */

    rc = ngx_http_spaces_load_again(r, ngx_http_spaces_transfer_checked);

    if (rc == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }

    ngx_http_run_posted_requests(c);
}


/* at the next tick, though nothing else changes until then */

static void
ngx_http_spaces_transfer_check_later(ngx_http_spaces_transfer_t *transfer)
{
    transfer->change = *transfer->counter - 1;
    transfer->transfers->change--;
}


/* NGX_ERROR cuts it: the rest of the answer can't be another */

static ngx_int_t
ngx_http_spaces_transfer_checked(ngx_http_request_t *r)
{
    ngx_uint_t                    allowed;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_space_t      *loaded, space;
    ngx_http_spaces_transfer_t   *transfer;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    transfer = ctx->data;
    loaded = ctx->space;
    allowed = 0;

    if (loaded) {

        /* without Redis it is the old one: a deletion since is known here */

        space = *loaded;
        (void) ngx_http_spaces_zone_overlay(smcf->zone, &space, &ctx->room);

        ctx->space = &space;
        allowed = transfer->allowed(r);
        ctx->space = loaded;
    }

    if (allowed) {
        return NGX_HTTP_SPACES_LATER;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "the recording of space %V is not for this client any more, "
                  "the connection is closed", &ctx->id);

    return NGX_ERROR;
}
