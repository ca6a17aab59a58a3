
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The end of a Space, asked for by a request that waits for it.
 */


#include "ngx_http_spaces_handlers.h"


static ngx_uint_t ngx_http_spaces_end_is_settled(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_end_late(ngx_http_request_t *r);


ngx_int_t
ngx_http_spaces_end(ngx_http_request_t *r, ngx_http_spaces_step_pt step)
{
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

    return ngx_http_spaces_await(r, ngx_http_spaces_end_is_settled, step,
                                 ngx_http_spaces_end_late);
}


static ngx_uint_t
ngx_http_spaces_end_is_settled(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    return ngx_http_spaces_zone_overlay(smcf->zone, ctx->space, &ctx->room)
           != NGX_OK
           || ctx->room.settled;
}


static ngx_int_t
ngx_http_spaces_end_late(ngx_http_request_t *r)
{
    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                   "the end takes long, the disk may be slow; "
                                   "it goes on, look again later");
}
