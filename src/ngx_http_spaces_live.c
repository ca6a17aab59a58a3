
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Who may listen live, from when, and to events alone.
 */


#include "ngx_http_spaces_clip.h"
#include "ngx_http_spaces_live_connection.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_websocket.h"


/* audio that a player is given to begin with, ms */
#define NGX_HTTP_SPACES_BURST  1000


static ngx_int_t ngx_http_spaces_live_loaded(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_live_state(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_live_from(ngx_http_request_t *r,
    int64_t *back);
static ngx_int_t ngx_http_spaces_events_loaded(ngx_http_request_t *r);


static ngx_str_t  ngx_http_spaces_live_protocols[] = {
    ngx_string("spaces.opus.v1"),
    ngx_string("spaces.ogg.v1"),
    ngx_null_string
};


ngx_int_t
ngx_http_spaces_live_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_spaces_require_get(r, "listen with GET");

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_spaces_identify(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_begin(r,
                         ngx_http_spaces_load(r, ngx_http_spaces_live_loaded));
}


static ngx_int_t
ngx_http_spaces_live_loaded(ngx_http_request_t *r)
{
    int64_t                 back;
    ngx_int_t               rc;
    ngx_uint_t              protocol, websocket;

    if (ngx_http_spaces_header_recording(r) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_spaces_require_hearing(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_spaces_live_from(r, &back);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    protocol = 0;
    websocket = ngx_http_spaces_websocket_wanted(r);

    if (websocket) {
        rc = ngx_http_spaces_require_own_origin(r);

        if (rc == NGX_DECLINED) {
            rc = ngx_http_spaces_websocket_accept(r,
                                  ngx_http_spaces_live_protocols, &protocol);
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    rc = ngx_http_spaces_live_state(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (websocket) {
        return ngx_http_spaces_live_websocket(r,
                                    &ngx_http_spaces_live_protocols[protocol],
                                    protocol ? ngx_http_spaces_form_ws_ogg
                                             : ngx_http_spaces_form_ws_opus,
                                    back < 0 ? 0 : back);
    }

    return ngx_http_spaces_live_http(r, "audio/ogg", ngx_http_spaces_form_ogg,
                                     back < 0 ? NGX_HTTP_SPACES_BURST : back,
                                     NULL);
}


/* only what is live, and here */

static ngx_int_t
ngx_http_spaces_live_state(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->space->state == NGX_HTTP_SPACES_SCHEDULED
        || (ctx->in_room
            && ctx->room.state == NGX_HTTP_SPACES_ROOM_STARTING))
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_LIVE,
                                       "the host has not begun yet; "
                                       "\"/events\" tells when");
    }

    if (ctx->space->state == NGX_HTTP_SPACES_ENDED
        || (ctx->in_room && ctx->room.state != NGX_HTTP_SPACES_ROOM_LIVE))
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_OVER,
                                       "if it was recorded, it can be "
                                       "replayed");
    }

    if (!ctx->in_room) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_ROOM,
                                       "the Space is live on node \"%V\", "
                                       "listen there", &ctx->space->node);
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (ngx_http_spaces_zone_is_full(smcf->zone, &ctx->id)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_ROOM,
                                       "too many processes have listeners of "
                                       "it: old workers have to go first");
    }

    return NGX_DECLINED;
}


/* "from": so many seconds back, or the start; -1 without it */

static ngx_int_t
ngx_http_spaces_live_from(ngx_http_request_t *r, int64_t *back)
{
    ngx_int_t               rc;
    ngx_str_t               value;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    *back = -1;

    switch (ngx_http_spaces_arg(r, "from", &value, &rc)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return NGX_DECLINED;

    default: /* NGX_ABORT */
        return rc;
    }

    if (value.len == 5 && ngx_strncmp(value.data, "start", 5) == 0) {
        *back = NGX_HTTP_SPACES_FROM_START;

    } else {

        if (value.len && *value.data == '-') {
            value.data++;
            value.len--;
            rc = ngx_http_spaces_clip_seconds(&value, back);

        } else {
            rc = NGX_ERROR;
        }

        if (rc != NGX_OK) {
            return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                           "\"from\" is \"start\", or "
                                           "seconds back such as \"-16\"");
        }
    }

    if (!ctx->space->record && *back > NGX_HTTP_SPACES_BACK) {
        *back = NGX_HTTP_SPACES_BACK;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_spaces_events_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_spaces_require_get(r, "events come with GET");

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_spaces_identify(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_begin(r,
                       ngx_http_spaces_load(r, ngx_http_spaces_events_loaded));
}


static ngx_int_t
ngx_http_spaces_events_loaded(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_require_hearing(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->space->state == NGX_HTTP_SPACES_ENDED) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_OVER,
                                       "nothing happens in it any more");
    }

    return ngx_http_spaces_live_http(r, "text/event-stream",
                                     ngx_http_spaces_form_sse, 0,
                                     ngx_http_spaces_hello(r));
}
