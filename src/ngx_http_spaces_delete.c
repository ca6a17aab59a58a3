
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The API's deletion: a recording goes to be held for review, what was never
 * recorded or begun is forgotten.
 */


#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_moving.h"


static ngx_int_t ngx_http_spaces_delete_ended(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_delete_held(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space);
static ngx_int_t ngx_http_spaces_delete_scanned(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_delete_late(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_delete_forget(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_delete_forgotten(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space);
static void ngx_http_spaces_delete_as_held(ngx_http_spaces_ctx_t *ctx,
    ngx_http_spaces_space_t *space);


ngx_int_t
ngx_http_spaces_delete(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_require_host(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->space->state == NGX_HTTP_SPACES_SCHEDULED) {

        /* it is cancelled */

        return ngx_http_spaces_delete_forget(r);
    }

    rc = ngx_http_spaces_require_here(r, "delete it");

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_spaces_end(r, ngx_http_spaces_delete_ended);
}


static ngx_int_t
ngx_http_spaces_delete_ended(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t   space;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    switch (ctx->space->recording) {

    case NGX_HTTP_SPACES_DELETED:
    case NGX_HTTP_SPACES_EXPIRED:

        if (ctx->space->hold_until) {
            return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                   ngx_http_spaces_describe(r, ctx->space, 1));
        }

        /* it is on its way, which may fail still: after it, or in its stead */

        /* fall through */

    case NGX_HTTP_SPACES_AVAILABLE:
        ngx_http_spaces_delete_as_held(ctx, &space);

        return ngx_http_spaces_moving(r, ngx_http_spaces_move_hold, &space,
                                      "delete", &ctx->user,
                                      ngx_http_spaces_delete_held);

    default:

        /*
         * There is nothing but the Space itself, or audio that was left when
         * nginx stopped: who looks for that comes first
         */

        return ngx_http_spaces_await(r, ngx_http_spaces_is_scanned,
                                     ngx_http_spaces_delete_scanned,
                                     ngx_http_spaces_delete_late);
    }
}


static ngx_int_t
ngx_http_spaces_delete_scanned(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ngx_http_spaces_load_room(r);

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->in_room && (ctx->space->state != NGX_HTTP_SPACES_ENDED
                         || ctx->space->recording != NGX_HTTP_SPACES_NONE))
    {
        /* its audio was found, and it ends now as it could not before */

        return ngx_http_spaces_end(r, ngx_http_spaces_delete_ended);
    }

    return ngx_http_spaces_delete_forget(r);
}


static ngx_int_t
ngx_http_spaces_delete_late(ngx_http_request_t *r)
{
    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                   "what was live when nginx stopped is still "
                                   "looked for, the disk may be slow; try "
                                   "again later");
}


static ngx_int_t
ngx_http_spaces_delete_held(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space)
{
    if (space == NULL) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                       "the recording isn't on the disk: the "
                                       "operator's log says more");
    }

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                  ngx_http_spaces_describe(r, space, 1));
}


static ngx_int_t
ngx_http_spaces_delete_forget(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t   space;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    ngx_http_spaces_delete_as_held(ctx, &space);

    return ngx_http_spaces_moving(r, ngx_http_spaces_move_forget, &space,
                                  "delete", &ctx->user,
                                  ngx_http_spaces_delete_forgotten);
}


static ngx_int_t
ngx_http_spaces_delete_forgotten(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space)
{
    if (space && ngx_http_spaces_is_held(space)) {
        return ngx_http_spaces_delete_held(r, space);
    }

    return ngx_http_spaces_no_content(r);
}


/* the Space as its recording makes it that is held from now on */

static void
ngx_http_spaces_delete_as_held(ngx_http_spaces_ctx_t *ctx,
    ngx_http_spaces_space_t *space)
{
    *space = *ctx->space;

    space->recording = NGX_HTTP_SPACES_DELETED;
    space->held_at = ngx_http_spaces_now();
    space->hold_until = space->held_at + space->hold * 1000;
}
