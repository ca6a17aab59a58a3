
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_live_connection.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_websocket.h"


/* what a listener's socket may hold of what is past already, bytes */
#define NGX_HTTP_SPACES_SNDBUF    65536

/* of one write through nginx's filters, bytes */
#define NGX_HTTP_SPACES_FILTERED  16384

/* a listener has nothing to say */
#define NGX_HTTP_SPACES_SAYS      1024


typedef struct {
    ngx_http_spaces_listener_t    listener;
    ngx_http_request_t           *request;
    ngx_http_spaces_websocket_t  *ws;
    ngx_chain_t                  *free;      /* through the filters */
    ngx_chain_t                  *busy;
    ngx_atomic_uint_t             change;    /* of the Space, when they were
                                                let in */
    unsigned                      filtered:1;
    unsigned                      guarded:1; /* heard by token */
    unsigned                      asking:1;  /* whether they still may */
    unsigned                      revoked:1;
    unsigned                      done:1;
} ngx_http_spaces_live_t;


static ngx_http_spaces_live_t *ngx_http_spaces_live_create(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_live_join(ngx_http_spaces_live_t *live,
    int64_t back, json_t *hello);

static ssize_t ngx_http_spaces_live_send(ngx_http_spaces_listener_t *listener,
    u_char *p, size_t len);
static ssize_t ngx_http_spaces_live_filter(
    ngx_http_spaces_listener_t *listener, u_char *p, size_t len);
static ngx_uint_t ngx_http_spaces_live_ready(
    ngx_http_spaces_listener_t *listener);
static void ngx_http_spaces_live_check(ngx_http_spaces_listener_t *listener,
    int64_t now);
static void ngx_http_spaces_live_ask(ngx_http_spaces_live_t *live);
static ngx_int_t ngx_http_spaces_live_asked(ngx_http_request_t *r);
static void ngx_http_spaces_live_expire(ngx_http_spaces_live_t *live);
static void ngx_http_spaces_live_judge(ngx_http_spaces_live_t *live);
static void ngx_http_spaces_live_cut(ngx_http_spaces_live_t *live,
    const char *reason);
static void ngx_http_spaces_live_ended(ngx_http_spaces_listener_t *listener,
    ngx_uint_t lost);
static void ngx_http_spaces_live_write(ngx_http_request_t *r);

static void ngx_http_spaces_live_message(void *data, ngx_uint_t binary,
    u_char *p, size_t len);
static void ngx_http_spaces_live_writable(void *data);
static ngx_uint_t ngx_http_spaces_live_even(void *data);
static void ngx_http_spaces_live_closed(void *data);

static void ngx_http_spaces_live_cleanup(void *data);


static ngx_http_spaces_listener_handlers_t  ngx_http_spaces_live_direct = {
    ngx_http_spaces_live_send,
    NULL,
    ngx_http_spaces_live_ended,
    ngx_http_spaces_live_check
};


static ngx_http_spaces_listener_handlers_t  ngx_http_spaces_live_filtered = {
    ngx_http_spaces_live_filter,
    NULL,
    ngx_http_spaces_live_ended,
    ngx_http_spaces_live_check
};


static ngx_http_spaces_listener_handlers_t  ngx_http_spaces_live_framed = {
    ngx_http_spaces_live_send,
    ngx_http_spaces_live_ready,
    ngx_http_spaces_live_ended,
    ngx_http_spaces_live_check
};


static ngx_http_spaces_websocket_handlers_t
    ngx_http_spaces_live_websocket_handlers =
{
    ngx_http_spaces_live_message,
    ngx_http_spaces_live_writable,
    ngx_http_spaces_live_even,
    ngx_http_spaces_live_closed
};


static ngx_http_spaces_live_t *
ngx_http_spaces_live_create(ngx_http_request_t *r)
{
    ngx_http_cleanup_t           *cln;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_live_t       *live;
    ngx_http_spaces_main_conf_t  *smcf;

    /* not in the pool's blocks: of small ones it would take another */

    live = ngx_pmemalign(r->pool, sizeof(ngx_http_spaces_live_t),
                         NGX_POOL_ALIGNMENT);
    if (live == NULL) {
        return NULL;
    }

    ngx_memzero(live, sizeof(ngx_http_spaces_live_t));

    /* of the request, not of its pool: there is a connection to write to */

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_spaces_live_cleanup;
    cln->data = live;

    live->request = r;
    live->listener.data = live;
    live->listener.connection = r->connection;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    ctx->data = live;

    /* if it was not the last, that is found out at the first look */

    live->guarded = (ctx->space->visibility != NGX_HTTP_SPACES_PUBLIC
                     && ctx->role != NGX_HTTP_SPACES_HOST);
    live->change = *ngx_http_spaces_zone_change(smcf->zone, &ctx->id) - 1;

    return live;
}


ngx_int_t
ngx_http_spaces_live_http(ngx_http_request_t *r, const char *type,
    ngx_http_spaces_form_e form, int64_t back, json_t *hello)
{
    int                      size;
    ngx_int_t                rc;
    ngx_uint_t               filtered;
    ngx_connection_t        *c;
    ngx_http_spaces_live_t  *live;

    c = r->connection;

    /* a filter that would change the body has no say: it changes at any time */

    r->gzip_tested = 1;
    r->gzip_ok = 0;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    live = NULL;

    if (ngx_http_spaces_header_private(r) != NGX_OK
        || ngx_http_spaces_header_cstr(r, "X-Accel-Buffering", "no") != NGX_OK
        || (live = ngx_http_spaces_live_create(r)) == NULL)
    {
        json_decref(hello);
        return NGX_ERROR;
    }

    /* newer versions of HTTP frame what they send themselves */

    filtered = (r != r->main || r->http_version >= NGX_HTTP_VERSION_20);

    if (!filtered) {
        ngx_http_spaces_own_connection(r);
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        json_decref(hello);
        return rc;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        json_decref(hello);
        return rc;
    }

    /* a filter that waits for the body before it lets the header go gets it */

    filtered = filtered || !r->header_sent;

    /* what waits is sent, without filters that keep something for each body */

    if (filtered) {
        rc = ngx_http_send_special(r, NGX_HTTP_FLUSH);

    } else if (r->out) {
        rc = ngx_http_write_filter(r, NULL);

    } else {
        /* HTTP/0.9 has no header */
        rc = NGX_OK;
    }

    if (rc == NGX_ERROR) {
        json_decref(hello);
        return NGX_ERROR;
    }

    if (!filtered) {
        ngx_http_spaces_shrink(r);
    }

    live->filtered = filtered;
    live->listener.handlers = filtered ? &ngx_http_spaces_live_filtered
                                       : &ngx_http_spaces_live_direct;
    live->listener.form = form + ((!filtered && r->chunked) ? 1 : 0);
    live->listener.counts = (form == ngx_http_spaces_form_ogg);

    /* unless the operator has said how much */

    if (!filtered && back <= NGX_HTTP_SPACES_BACK
        && c->listening->sndbuf == -1)
    {

        size = NGX_HTTP_SPACES_SNDBUF;

        (void) setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, (const void *) &size,
                          sizeof(int));
    }

    if (!filtered && ngx_tcp_nodelay(c) != NGX_OK) {
        json_decref(hello);
        return NGX_ERROR;
    }

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_spaces_live_write;

    rc = ngx_http_spaces_live_join(live, back, hello);

    json_decref(hello);

    if (rc != NGX_DONE) {
        return NGX_ERROR;
    }

    /* before those who have waited for a turn, and take all of it */

    if (!c->write->posted) {
        c->write->posted = 1;
        ngx_queue_insert_head(&ngx_posted_events, &c->write->queue);
    }

    return NGX_HTTP_SPACES_LATER;
}


ngx_int_t
ngx_http_spaces_live_websocket(ngx_http_request_t *r, ngx_str_t *protocol,
    ngx_http_spaces_form_e form, int64_t back)
{
    json_t                  *hello;
    ngx_int_t                rc;
    ngx_http_spaces_live_t  *live;

    live = ngx_http_spaces_live_create(r);
    if (live == NULL) {
        return NGX_ERROR;
    }

    live->ws = ngx_http_spaces_websocket_open(r, protocol,
                                   NGX_HTTP_SPACES_SAYS,
                                   &ngx_http_spaces_live_websocket_handlers,
                                   live);
    if (live->ws == NULL) {
        return NGX_ERROR;
    }

    ngx_http_spaces_shrink(r);

    live->listener.handlers = &ngx_http_spaces_live_framed;
    live->listener.form = form;
    live->listener.counts = 1;

    hello = ngx_http_spaces_hello(r);

    rc = ngx_http_spaces_live_join(live, back, hello);

    json_decref(hello);

    if (rc != NGX_DONE) {
        return NGX_ERROR;
    }

    return NGX_HTTP_SPACES_LATER;
}


/* NGX_DONE, or it ended between the look at it and this */

static ngx_int_t
ngx_http_spaces_live_join(ngx_http_spaces_live_t *live, int64_t back,
    json_t *hello)
{
    ngx_http_request_t           *r;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    r = live->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (ngx_http_spaces_feed_join(smcf, &ctx->id, &live->listener, back,
                                  hello)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "space %V ended as a listener came, or memory is short",
                      &ctx->id);
        return NGX_ERROR;
    }

    return NGX_DONE;
}


/* behind nginx's filters: its headers first, if they are still there */

static ssize_t
ngx_http_spaces_live_send(ngx_http_spaces_listener_t *listener, u_char *p,
    size_t len)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = listener->connection;

    /* a send that took a part has found out already that there's no more */

    if (c->write->ready && !c->buffered) {

        n = c->send(c, p, len);

        if (n > 0) {
            listener->pending = 0;
            return n;
        }

        if (n == NGX_ERROR) {
            c->error = 1;
            return NGX_ERROR;
        }
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        return NGX_ERROR;
    }

#if (NGX_HTTP_SSL)

    /* what is encrypted already has to be tried again as it is */

    listener->pending = (c->ssl != NULL);

#endif

    return NGX_AGAIN;
}


/* HTTP/2 frames what it sends: one buffer at a time, of its own */

static ssize_t
ngx_http_spaces_live_filter(ngx_http_spaces_listener_t *listener, u_char *p,
    size_t len)
{
    ngx_int_t                rc;
    ngx_buf_t               *b;
    ngx_chain_t             *out, *cl;
    ngx_http_request_t      *r;
    ngx_http_spaces_live_t  *live;

    live = listener->data;
    r = live->request;

    if (live->busy) {
        return NGX_AGAIN;
    }

    len = ngx_min(len, NGX_HTTP_SPACES_FILTERED);

    cl = ngx_chain_get_free_buf(r->pool, &live->free);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b = cl->buf;

    if (b->start == NULL) {
        b->start = ngx_palloc(r->pool, NGX_HTTP_SPACES_FILTERED);
        if (b->start == NULL) {
            return NGX_ERROR;
        }

        b->end = b->start + NGX_HTTP_SPACES_FILTERED;
    }

    b->pos = b->start;
    b->last = ngx_cpymem(b->start, p, len);
    b->temporary = 1;
    b->flush = 1;
    b->tag = (ngx_buf_tag_t) &ngx_http_spaces_module;

    out = cl;
    out->next = NULL;

    rc = ngx_http_output_filter(r, out);

    ngx_chain_update_chains(r->pool, &live->free, &live->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_spaces_module);

    return rc == NGX_ERROR ? NGX_ERROR : (ssize_t) len;
}


static ngx_uint_t
ngx_http_spaces_live_ready(ngx_http_spaces_listener_t *listener)
{
    ngx_http_spaces_live_t  *live;

    live = listener->data;

    /* what WebSocket has to say itself goes between whole frames */

    return ngx_http_spaces_websocket_backlog(live->ws) == 0
           || !ngx_http_spaces_listener_is_even(listener);
}


static void
ngx_http_spaces_live_check(ngx_http_spaces_listener_t *listener, int64_t now)
{
    ngx_http_spaces_live_t  *live;

    live = listener->data;

    if (live->ws && ngx_http_spaces_listener_is_even(listener)) {
        ngx_http_spaces_websocket_check(live->ws, now);
    }

    if (live->guarded) {
        ngx_http_spaces_live_expire(live);
    }

    /* who is in the past reads a file that may be deleted meanwhile */

    if ((live->guarded || listener->catching_up) && !live->asking) {
        ngx_http_spaces_live_ask(live);
    }
}


/* nobody tells when a token's time is over */

static void
ngx_http_spaces_live_expire(ngx_http_spaces_live_t *live)
{
    ngx_http_request_t     *r;
    ngx_http_spaces_ctx_t  *ctx;

    r = live->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (live->asking || ctx->token == NULL
        || ctx->token->expires_at > ngx_http_spaces_now())
    {
        return;
    }

    ctx->token = NULL;

    ngx_http_spaces_assign_role(r);
    ngx_http_spaces_live_judge(live);
}


/* a token may have been revoked since; anything that changed is a reason */

static void
ngx_http_spaces_live_ask(ngx_http_spaces_live_t *live)
{
    ngx_http_request_t           *r;
    ngx_atomic_uint_t             change;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    r = live->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    change = *ngx_http_spaces_zone_change(smcf->zone, &ctx->id);

    if (live->change == change) {
        return;
    }

    live->change = change;
    live->asking = 1;

    if (ngx_http_spaces_load_again(r, ngx_http_spaces_live_asked)
        != NGX_HTTP_SPACES_LATER)
    {
        /* without memory, to be asked at the next change */

        live->asking = 0;
    }
}


static ngx_int_t
ngx_http_spaces_live_asked(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t   *ctx;
    ngx_http_spaces_live_t  *live;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    live = ctx->data;

    live->asking = 0;

    ngx_http_spaces_live_judge(live);

    return NGX_HTTP_SPACES_LATER;
}


/* may they still hear it */

static void
ngx_http_spaces_live_judge(ngx_http_spaces_live_t *live)
{
    ngx_http_request_t     *r;
    ngx_http_spaces_ctx_t  *ctx;

    r = live->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (!live->done && ctx->space
        && (!ngx_http_spaces_may_hear(ctx)
            || (live->listener.catching_up
                && ngx_http_spaces_is_held(ctx->space))))
    {

        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "a listener may hear space %V no more", &ctx->id);

        live->revoked = 1;

        /* from the event loop: this may be in the middle of serving */

        ngx_post_event(r->connection->write, &ngx_posted_events);
    }
}


static void
ngx_http_spaces_live_ended(ngx_http_spaces_listener_t *listener,
    ngx_uint_t lost)
{
    ngx_int_t                rc;
    ngx_connection_t        *c;
    ngx_http_request_t      *r;
    ngx_http_spaces_live_t  *live;

    live = listener->data;
    r = live->request;
    c = r->connection;

    live->done = 1;

    if (live->ws && !lost && listener->moved_on) {
        ngx_http_spaces_websocket_close(live->ws, NGX_HTTP_SPACES_WS_AGAIN,
                                        "this server restarts");
        return;
    }

    if (live->ws && !lost) {
        ngx_http_spaces_websocket_close(live->ws, NGX_HTTP_SPACES_WS_ENDED,
                                        "the Space has ended");
        return;
    }

#if (NGX_HTTP_SSL)

    if (lost && c->ssl) {
        c->ssl->no_send_shutdown = 1;
    }

#endif

    if (lost && !c->error) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "a listener was too slow: its connection is closed");
        ngx_http_spaces_metrics_add(ngx_http_spaces_metric_dropped, 1);
    }

    if (live->ws) {

        /* this may be in the middle of what WebSocket has to send itself */

        ngx_http_spaces_websocket_drop(live->ws);
        return;
    }

    rc = lost ? NGX_ERROR : NGX_OK;

    if (live->filtered && !lost) {
        rc = ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* the connection takes more: what the filters hold first */

static void
ngx_http_spaces_live_write(ngx_http_request_t *r)
{
    ngx_chain_t             *out;
    ngx_connection_t        *c;
    ngx_http_spaces_ctx_t   *ctx;
    ngx_http_spaces_live_t  *live;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    live = ctx->data;

    if (live->revoked) {
        ngx_http_spaces_live_cut(live, "you may not hear this any more");
        return;
    }

    if (r->buffered || c->buffered || live->busy) {

        if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
            ngx_http_finalize_request(r, NGX_ERROR);
            return;
        }

        out = NULL;

        ngx_chain_update_chains(r->pool, &live->free, &live->busy, &out,
                                (ngx_buf_tag_t) &ngx_http_spaces_module);
    }

    if (c->buffered || live->busy) {

        if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }

        return;
    }

    ngx_http_spaces_listener_go_on(&live->listener);
}


static void
ngx_http_spaces_live_message(void *data, ngx_uint_t binary, u_char *p,
    size_t len)
{
    ngx_http_spaces_live_t *live = data;

    if (live->done) {
        return;
    }

    ngx_log_error(NGX_LOG_INFO, live->request->connection->log, 0,
                  "a listener sent a message: its connection is closed");

    ngx_http_spaces_live_cut(live, "listeners have nothing to say here");
}


static void
ngx_http_spaces_live_writable(void *data)
{
    ngx_http_spaces_live_t *live = data;

    if (live->revoked && !live->done) {
        ngx_http_spaces_live_cut(live, "you may not hear this any more");
        return;
    }

    ngx_http_spaces_listener_go_on(&live->listener);
}


/* with a word if there is a place for it, not in the middle of a frame */

static void
ngx_http_spaces_live_cut(ngx_http_spaces_live_t *live, const char *reason)
{
    ngx_uint_t  even;

    even = ngx_http_spaces_listener_is_even(&live->listener);

    live->done = 1;

    ngx_http_spaces_feed_leave(&live->listener);

    if (live->ws == NULL) {
        ngx_http_finalize_request(live->request, NGX_ERROR);
        return;
    }

    if (even) {
        ngx_http_spaces_websocket_close(live->ws, NGX_HTTP_SPACES_WS_REFUSED,
                                        reason);
        return;
    }

    ngx_http_spaces_websocket_drop(live->ws);
}


static ngx_uint_t
ngx_http_spaces_live_even(void *data)
{
    ngx_http_spaces_live_t *live = data;

    return live->done || ngx_http_spaces_listener_is_even(&live->listener);
}


static void
ngx_http_spaces_live_closed(void *data)
{
    ngx_http_spaces_live_t *live = data;

    live->done = 1;

    /* the connection may linger, and over TLS nothing may be sent any more */

    ngx_http_spaces_feed_leave(&live->listener);

    ngx_http_finalize_request(live->request, NGX_OK);
}


/* a worker that has to go says so, if it isn't in the middle of something */

static void
ngx_http_spaces_live_cleanup(void *data)
{
    ngx_connection_t        *c;
    ngx_http_spaces_live_t  *live = data;

    static u_char  last_chunk[] = "0\r\n\r\n";

    c = live->request->connection;

    if (c->close && !live->done && live->listener.feed
        && ngx_http_spaces_listener_is_even(&live->listener))
    {
        if (live->ws) {
            ngx_http_spaces_websocket_leave(live->ws, NGX_HTTP_SPACES_WS_AGAIN,
                                            "this server restarts");

        } else if (live->listener.form == ngx_http_spaces_form_ogg_chunked
                   || live->listener.form == ngx_http_spaces_form_sse_chunked)
        {
            (void) c->send(c, last_chunk, sizeof(last_chunk) - 1);
        }
    }

    live->done = 1;

    ngx_http_spaces_feed_leave(&live->listener);
}
