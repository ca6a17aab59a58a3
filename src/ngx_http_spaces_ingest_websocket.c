
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A speaker on a WebSocket: packets or a container up; down, what the others
 * say and the events of the Space.
 */


#include "ngx_http_spaces_ingest.h"


/* the longest message: more than any packet, and than a second of Ogg */
#define NGX_HTTP_SPACES_WS_MESSAGE  65536

/* who doesn't take what is returned gets no more of it, bytes */
#define NGX_HTTP_SPACES_WS_BACKLOG  32768


static ngx_uint_t ngx_http_spaces_ingest_wants_returns(ngx_http_request_t *r);
static void ngx_http_spaces_ingest_message(void *data, ngx_uint_t binary,
    u_char *p, size_t len);
static ngx_int_t ngx_http_spaces_ingest_take(ngx_http_spaces_ingest_t *ingest,
    u_char *p, size_t len);
static ngx_int_t ngx_http_spaces_ingest_postpone(
    ngx_http_spaces_ingest_t *ingest, u_char *p, size_t len);
static void ngx_http_spaces_ingest_resume_messages(
    ngx_http_spaces_ingest_t *ingest);
static void ngx_http_spaces_ingest_closed(void *data);
static void ngx_http_spaces_ingest_event(void *data, ngx_str_t *json);
static void ngx_http_spaces_ingest_free_pending(void *data);


/* the first one is bare packets */

static ngx_str_t  ngx_http_spaces_ingest_protocols[] = {
    ngx_string("spaces.opus.v1"),
    ngx_string("spaces.ogg.v1"),
    ngx_string("spaces.webm.v1"),
    ngx_null_string
};


static ngx_http_spaces_websocket_handlers_t
    ngx_http_spaces_ingest_websocket_handlers =
{
    ngx_http_spaces_ingest_message,
    NULL,
    NULL,
    ngx_http_spaces_ingest_closed
};


ngx_int_t
ngx_http_spaces_ingest_handshake(ngx_http_request_t *r, ngx_uint_t *protocol)
{
    return ngx_http_spaces_websocket_accept(r,
                                  ngx_http_spaces_ingest_protocols, protocol);
}


ngx_int_t
ngx_http_spaces_ingest_websocket(ngx_http_spaces_ingest_t *ingest)
{
    json_t                 *hello;
    ngx_int_t               rc;
    ngx_str_t               json;
    ngx_pool_cleanup_t     *cln;
    ngx_http_request_t     *r;
    ngx_http_spaces_ctx_t  *ctx;

    r = ingest->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    ingest->entrant.margin = NGX_HTTP_SPACES_MARGIN_WEBSOCKET;
    ingest->entrant.returns = ingest->bare
                              || ngx_http_spaces_ingest_wants_returns(r);
    ingest->resume = ngx_http_spaces_ingest_resume_messages;

    /* they are there before they say a word */

    if (ctx->in_room) {
        rc = ngx_http_spaces_ingest_join(ingest);

        if (rc == NGX_ABORT) {
            return ingest->answer;
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_spaces_ingest_free_pending;
    cln->data = ingest;

    hello = ngx_http_spaces_hello(r);

    rc = ngx_http_spaces_event_json(r->pool, "hello", hello, &json);

    json_decref(hello);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ingest->ws = ngx_http_spaces_websocket_open(r,
                          &ngx_http_spaces_ingest_protocols[ingest->protocol],
                          NGX_HTTP_SPACES_WS_MESSAGE,
                          &ngx_http_spaces_ingest_websocket_handlers, ingest);
    if (ingest->ws == NULL) {
        return NGX_ERROR;
    }

    ingest->subscriber.event = ngx_http_spaces_ingest_event;
    ingest->subscriber.data = ingest;

    if (ngx_http_spaces_websocket_send(ingest->ws, 0, json.data, json.len)
        != NGX_OK
        || ngx_http_spaces_feed_subscribe(ingest->smcf, &ctx->id,
                                          &ingest->subscriber)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_spaces_wait(ingest->smcf->tick, &ingest->waiter);
    ingest->waiting = 1;

    r->main->count++;

    return NGX_DONE;
}


/* a browser that can only record may still be able to play packets */

static ngx_uint_t
ngx_http_spaces_ingest_wants_returns(ngx_http_request_t *r)
{
    ngx_str_t  value;

    return ngx_http_arg(r, (u_char *) "returns", 7, &value) == NGX_OK
           && value.len == 4
           && ngx_strncmp(value.data, "opus", 4) == 0;
}


static void
ngx_http_spaces_ingest_message(void *data, ngx_uint_t binary, u_char *p,
    size_t len)
{
    ngx_int_t                  rc;
    ngx_http_spaces_ingest_t  *ingest = data;

    if (ingest->done) {
        return;
    }

    if (!binary) {
        ngx_http_spaces_ingest_done(ingest,
            ngx_http_spaces_problem(ingest->request,
                                    NGX_HTTP_SPACES_BAD_AUDIO,
                                    "audio comes in binary messages, and "
                                    "nothing in text"));
        return;
    }

    ingest->received += len;

    if (ingest->blocked) {
        rc = NGX_AGAIN;

    } else {
        rc = ngx_http_spaces_ingest_take(ingest, p, len);
    }

    if (rc == NGX_AGAIN
        && ngx_http_spaces_ingest_postpone(ingest, p, len) != NGX_OK)
    {
        rc = NGX_ERROR;
    }

    if (rc == NGX_ABORT || rc == NGX_ERROR) {
        ngx_http_spaces_ingest_done(ingest, NGX_ERROR);
    }
}


/* NGX_OK: it is taken; NGX_AGAIN: it is not; NGX_ABORT, NGX_ERROR */

static ngx_int_t
ngx_http_spaces_ingest_take(ngx_http_spaces_ingest_t *ingest, u_char *p,
    size_t len)
{
    ngx_int_t  rc;

    if (ingest->bare) {
        return ngx_http_spaces_ingest_packet(ingest, p, len);
    }

    rc = ngx_http_spaces_ingest_pump(ingest);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_spaces_ingest_feed(ingest, p, len);

    /* the reader has it */

    return rc == NGX_AGAIN ? NGX_OK : rc;
}


/* kept with its length; what wslay has read already is all that can come */

static ngx_int_t
ngx_http_spaces_ingest_postpone(ngx_http_spaces_ingest_t *ingest, u_char *p,
    size_t len)
{
    size_t     size;
    u_char    *pending;
    uint32_t   n;

    ngx_http_spaces_websocket_hold(ingest->ws);

    size = ingest->pending_len + sizeof(uint32_t) + len;

    if (size > ingest->pending_size) {
        pending = ngx_alloc(2 * size, ngx_cycle->log);
        if (pending == NULL) {
            return NGX_ERROR;
        }

        if (ingest->pending) {
            ngx_memcpy(pending, ingest->pending, ingest->pending_len);
            ngx_free(ingest->pending);
        }

        ingest->pending = pending;
        ingest->pending_size = 2 * size;
    }

    n = (uint32_t) len;

    ngx_memcpy(ingest->pending + ingest->pending_len, &n, sizeof(uint32_t));

    if (len) {
        ngx_memcpy(ingest->pending + ingest->pending_len + sizeof(uint32_t), p,
                   len);
    }

    ingest->pending_len = size;

    return NGX_OK;
}


static void
ngx_http_spaces_ingest_resume_messages(ngx_http_spaces_ingest_t *ingest)
{
    u_char     *p;
    uint32_t    n;
    ngx_int_t   rc;

    /* a reader may hold what came before them */

    rc = ingest->bare ? NGX_OK : ngx_http_spaces_ingest_pump(ingest);

    while (rc == NGX_OK && ingest->pending_pos < ingest->pending_len) {

        p = ingest->pending + ingest->pending_pos;
        ngx_memcpy(&n, p, sizeof(uint32_t));

        rc = ngx_http_spaces_ingest_take(ingest, p + sizeof(uint32_t), n);

        if (rc == NGX_OK) {
            ingest->pending_pos += sizeof(uint32_t) + n;

            if (ingest->blocked) {
                return;
            }
        }
    }

    if (rc == NGX_AGAIN) {
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_spaces_ingest_done(ingest, NGX_ERROR);
        return;
    }

    ingest->pending_pos = 0;
    ingest->pending_len = 0;

    ngx_http_spaces_websocket_let_go(ingest->ws);

    /* what the socket still has is read before the next tick */

    if (ingest->emptied) {
        ngx_http_spaces_ingest_idle(ingest);
    }

    ingest->emptied = ingest->draining;
}


void
ngx_http_spaces_ingest_returns(ngx_http_spaces_ingest_t *ingest)
{
    spaces_packet_t        packet;
    spaces_packet_ring_t  *ring;
    u_char                 data[NGX_HTTP_SPACES_RETURN_RING];

    ngx_http_spaces_websocket_check(ingest->ws, ngx_http_spaces_monotonic());

    if (ingest->room == NULL || !ingest->entrant.returns) {
        return;
    }

    ring = ingest->speaker->back;

    while (spaces_packet_ring_peek(ring, &ingest->back, &packet) == 0) {

        spaces_packet_ring_take(ring, &ingest->back, &packet, data);

        if (ngx_http_spaces_websocket_backlog(ingest->ws)
            < NGX_HTTP_SPACES_WS_BACKLOG)
        {
            (void) ngx_http_spaces_websocket_send(ingest->ws, 1, data,
                                                  packet.len);
        }
    }

    spaces_packet_ring_release(ring, &ingest->back);
}


static void
ngx_http_spaces_ingest_event(void *data, ngx_str_t *json)
{
    ngx_http_spaces_ingest_t  *ingest = data;

    if (ngx_http_spaces_websocket_backlog(ingest->ws)
        > 2 * NGX_HTTP_SPACES_WS_BACKLOG)
    {
        ngx_log_error(NGX_LOG_INFO, ingest->request->connection->log, 0,
                      "a speaker takes no events: the connection is closed");

        ngx_http_spaces_websocket_drop(ingest->ws);
        return;
    }

    (void) ngx_http_spaces_websocket_send(ingest->ws, 0, json->data,
                                          json->len);
}


void
ngx_http_spaces_ingest_close(ngx_http_spaces_ingest_t *ingest)
{
    ngx_http_spaces_ctx_t  *ctx;

    if (ingest->over) {
        ngx_http_spaces_websocket_close(ingest->ws, NGX_HTTP_SPACES_WS_ENDED,
                                        "the Space has ended");
        return;
    }

    if (ingest->again) {
        ngx_http_spaces_websocket_close(ingest->ws, NGX_HTTP_SPACES_WS_AGAIN,
                                        "this server restarts");
        return;
    }

    ctx = ngx_http_get_module_ctx(ingest->request, ngx_http_spaces_module);

    if (ctx->passes) {
        ngx_http_spaces_websocket_close(ingest->ws, NGX_HTTP_SPACES_WS_AGAIN,
                                        ctx->reason);
        return;
    }

    ngx_http_spaces_websocket_close(ingest->ws,
                                    ingest->too_long
                                    ? NGX_HTTP_SPACES_WS_TOO_BIG
                                    : NGX_HTTP_SPACES_WS_REFUSED,
                                    ctx->reason ? ctx->reason : "");
}


/* the connection is over: the host's Space waits for them to come back */

static void
ngx_http_spaces_ingest_closed(void *data)
{
    ngx_http_request_t        *r;
    ngx_http_spaces_ingest_t  *ingest = data;

    r = ingest->request;

    ingest->done = 1;

    /*
     * The connection may linger: the place is free before it is gone, unless
     * something is still to be said
     */

    if (ingest->pending_pos == ingest->pending_len) {
        ngx_http_spaces_ingest_leave(ingest);
    }

    ngx_http_finalize_request(r, NGX_OK);
}


static void
ngx_http_spaces_ingest_free_pending(void *data)
{
    ngx_http_spaces_ingest_t  *ingest = data;

    if (ingest->pending) {
        ngx_free(ingest->pending);
    }
}
