
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Who talks over HTTP: request bodies into the ring of a room.
 */


#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_ingest.h"
#include "ngx_http_spaces_load.h"


/* after how long a body that says nothing may be another connection's, ms */
#define NGX_HTTP_SPACES_SILENT  10000


static ngx_int_t ngx_http_spaces_ingest_loaded(ngx_http_request_t *r);
static ngx_uint_t ngx_http_spaces_ingest_is_alone(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_ingest_arrived(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_ingest_role(ngx_http_request_t *r);
static ngx_str_t ngx_http_spaces_ingest_id(ngx_http_request_t *r);
static ngx_http_spaces_ingest_t *ngx_http_spaces_ingest_create(
    ngx_http_request_t *r);
static void ngx_http_spaces_ingest_cleanup(void *data);
static void ngx_http_spaces_ingest_cut(void *data);
static void ngx_http_spaces_ingest_read_on(ngx_http_spaces_ingest_t *ingest);

static ngx_int_t ngx_http_spaces_ingest_body(ngx_http_request_t *r);
static void ngx_http_spaces_ingest_body_handler(ngx_http_request_t *r);
static void ngx_http_spaces_ingest_read_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_ingest_take_body(
    ngx_http_spaces_ingest_t *ingest);

static void ngx_http_spaces_ingest_complete(ngx_http_spaces_ingest_t *ingest);

static void ngx_http_spaces_ingest_tick(ngx_http_spaces_waiter_t *waiter);
static void ngx_http_spaces_ingest_look(ngx_http_spaces_ingest_t *ingest);
static ngx_uint_t ngx_http_spaces_ingest_makes_way(
    ngx_http_spaces_ingest_t *ingest);
static ngx_uint_t ngx_http_spaces_ingest_is_broken(
    ngx_http_spaces_ingest_t *ingest);
static void ngx_http_spaces_ingest_tell_end(ngx_http_spaces_ingest_t *ingest);
static void ngx_http_spaces_ingest_heard(ngx_http_spaces_ingest_t *ingest);
static void ngx_http_spaces_ingest_failed(ngx_http_spaces_ingest_t *ingest);
static void ngx_http_spaces_ingest_wait_reading(ngx_http_request_t *r);


ngx_int_t
ngx_http_spaces_ingest_handler(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    static ngx_str_t  source = ngx_string("SOURCE");

    if (!ngx_http_spaces_websocket_wanted(r)
        && !(r->method & (NGX_HTTP_PUT|NGX_HTTP_POST))
        && (r->method_name.len != source.len
            || ngx_strncmp(r->method_name.data, source.data, source.len) != 0))
    {
        if (ngx_http_spaces_header_cstr(r, "Allow", "PUT, POST, SOURCE")
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_METHOD,
                                       "send audio with PUT, POST, SOURCE, or "
                                       "over a WebSocket");
    }

    if (ngx_http_spaces_identify(r) != NGX_OK) {
        return NGX_ERROR;
    }

    /* what is decided here holds for hours: it is not decided by a cache */

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    ctx->fresh = 1;
    ctx->change = *ngx_http_spaces_zone_change(smcf->zone, &ctx->id);

    return ngx_http_spaces_begin(r,
               ngx_http_spaces_load(r, ngx_http_spaces_ingest_loaded));
}


/*
 * Whoever comes back has the place of their connection that broke, though more
 * was sent on that one than it has read
 */

static ngx_int_t
ngx_http_spaces_ingest_loaded(ngx_http_request_t *r)
{
    return ngx_http_spaces_await(r, ngx_http_spaces_ingest_is_alone,
                                 ngx_http_spaces_ingest_arrived,
                                 ngx_http_spaces_ingest_arrived);
}


static ngx_uint_t
ngx_http_spaces_ingest_is_alone(ngx_http_request_t *r)
{
    ngx_str_t                     id;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (!ctx->in_room || ctx->role < NGX_HTTP_SPACES_SPEAKER) {
        return 1;
    }

    id = ngx_http_spaces_ingest_id(r);

    return !ngx_http_spaces_zone_returns(smcf->zone, &ctx->id, &id);
}


static ngx_int_t
ngx_http_spaces_ingest_arrived(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_uint_t                 protocol;
    ngx_http_spaces_ingest_t  *ingest;

    if (ngx_http_spaces_header_recording(r) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_spaces_ingest_admit(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    protocol = 0;

    if (ngx_http_spaces_websocket_wanted(r)) {
        rc = ngx_http_spaces_ingest_handshake(r, &protocol);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    ingest = ngx_http_spaces_ingest_create(r);
    if (ingest == NULL) {
        return NGX_ERROR;
    }

    ingest->protocol = protocol;

    return ngx_http_spaces_ingest_room(r);
}


ngx_int_t
ngx_http_spaces_ingest_begin(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_ingest_t  *ingest;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ingest = ctx->data;

    if (ngx_http_spaces_header_recording(r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_spaces_websocket_wanted(r)) {
        ingest->bare = (ingest->protocol == 0);
        return ngx_http_spaces_ingest_websocket(ingest);
    }

    /* newer versions of HTTP frame their bodies always */

    if (r->headers_in.content_length_n >= 0 || r->headers_in.chunked
        || r->http_version >= NGX_HTTP_VERSION_20)
    {
        return ngx_http_spaces_ingest_body(r);
    }

    /* source clients send PUT, or their own method: RFC 9112, 6.3 for others */

    if (r->method == NGX_HTTP_POST && r->http_version > NGX_HTTP_VERSION_10) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_AUDIO,
                                       "a body needs its length, or chunks");
    }

    return ngx_http_spaces_ingest_raw(r);
}


ngx_int_t
ngx_http_spaces_ingest_admit(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_str_t                     id;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    /* a Space that isn't there is answered like one that is unlisted */

    rc = ngx_http_spaces_ingest_role(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    /* a script can open a WebSocket from anywhere, with a token it was given */

    rc = ngx_http_spaces_websocket_wanted(r)
         ? ngx_http_spaces_require_own_origin(r)
         : ngx_http_spaces_require_origin(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ctx->space->state == NGX_HTTP_SPACES_ENDED
        || (ctx->in_room && ctx->room.state != NGX_HTTP_SPACES_ROOM_LIVE
            && ctx->room.state != NGX_HTTP_SPACES_ROOM_STARTING))
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_OVER,
                                       "a Space that has ended does not "
                                       "begin again: create another");
    }

    if (ctx->role == NGX_HTTP_SPACES_SPEAKER
        && ctx->space->state == NGX_HTTP_SPACES_SCHEDULED)
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_LIVE,
                                       "the host has not begun yet");
    }

    if (ctx->space->state == NGX_HTTP_SPACES_LIVE) {
        rc = ngx_http_spaces_require_here(r, "talk");

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    id = ngx_http_spaces_ingest_id(r);

    if (ctx->in_room
        && ngx_http_spaces_zone_speaks(smcf->zone, &ctx->id, &id))
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_SPEAKING,
                                       "this speaker is connected already; "
                                       "disconnect there first");
    }

    return NGX_DECLINED;
}


/* the host, or a speaker who was invited and is neither muted nor removed */

static ngx_int_t
ngx_http_spaces_ingest_role(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_token_t  *token;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->role == NGX_HTTP_SPACES_HOST) {
        return NGX_DECLINED;
    }

    token = ngx_http_spaces_own_token(ctx);

    if (token && token->kind == NGX_HTTP_SPACES_SPEAKER && token->removed) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_FORBIDDEN,
                                       "the host has removed this speaker");
    }

    if (ctx->role == NGX_HTTP_SPACES_SPEAKER) {

        if (token->muted) {
            return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_FORBIDDEN,
                                           "the host has muted this speaker");
        }

        return NGX_DECLINED;
    }

    /* libshout asks without a password first, and wants this answer */

    if ((ctx->hash.len == 0 && ctx->user.len == 0)
        || (ctx->hash.len && ctx->token == NULL))
    {
        if (ngx_http_spaces_header_cstr(r, "WWW-Authenticate",
                                        "Basic realm=\"Space\"")
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_UNAUTHORIZED,
                                       "%s the host's or a speaker's token "
                                       "as Bearer, or as the password of "
                                       "Basic", ctx->hash.len
                                       ? "this token is not known (any more): "
                                         "send"
                                       : "send");
    }

    rc = ngx_http_spaces_require_visible(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_FORBIDDEN,
                                   "only the host and those whom they have "
                                   "invited may talk in this Space");
}


static ngx_str_t
ngx_http_spaces_ingest_id(ngx_http_request_t *r)
{
    ngx_str_t               id;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->role == NGX_HTTP_SPACES_HOST) {
        ngx_str_set(&id, "host");

    } else {
        id.data = ctx->hash.data;
        id.len = NGX_HTTP_SPACES_TOKEN_ID;
    }

    return id;
}


static ngx_http_spaces_ingest_t *
ngx_http_spaces_ingest_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_cleanup_t        *hcln;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_token_t   *token;
    ngx_http_spaces_ingest_t  *ingest;

    ingest = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_ingest_t));
    if (ingest == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    hcln = ngx_http_cleanup_add(r, 0);

    if (cln == NULL || hcln == NULL) {
        return NULL;
    }

    if (spaces_demuxer_init(&ingest->demuxer) != 0) {
        return NULL;
    }

    cln->handler = ngx_http_spaces_ingest_cleanup;
    cln->data = ingest;

    hcln->handler = ngx_http_spaces_ingest_cut;
    hcln->data = ingest;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ctx->data = ingest;

    ingest->request = r;
    ingest->smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    ingest->fresh = 1;
    ingest->waiter.handler = ngx_http_spaces_ingest_tick;
    ingest->waiter.data = ingest;
    ingest->resume = ngx_http_spaces_ingest_read_on;
    ingest->change = ctx->change;

    ingest->entrant.id = ngx_http_spaces_ingest_id(r);
    ingest->entrant.host = (ctx->role == NGX_HTTP_SPACES_HOST);

    token = ngx_http_spaces_own_token(ctx);

    if (token && token->kind == NGX_HTTP_SPACES_HOST) {
        ingest->entrant.token = ctx->hash;
    }

    ingest->entrant.name = ingest->entrant.host ? ctx->space->host
                                                : ctx->token->label;
    ingest->entrant.margin = NGX_HTTP_SPACES_MARGIN_HTTP;

    return ingest;
}


static void
ngx_http_spaces_ingest_cleanup(void *data)
{
    ngx_http_spaces_ingest_t  *ingest = data;

    ngx_http_spaces_ingest_leave(ingest);

    spaces_demuxer_free(&ingest->demuxer);
}


/* a worker that has to go says so, while there is a connection */

static void
ngx_http_spaces_ingest_cut(void *data)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_spaces_ingest_t  *ingest = data;

    r = ingest->request;
    c = r->connection;

    if (c->close && !ingest->done) {

        if (ingest->ws) {
            ngx_http_spaces_websocket_leave(ingest->ws,
                                            NGX_HTTP_SPACES_WS_AGAIN,
                                            "this server restarts");

        } else if (!r->header_sent) {

            /* nginx takes it for broken, but nothing was written so far */

            c->error = 0;
            (void) ngx_http_spaces_ingest_later(ingest);
            ngx_http_spaces_discard(c);
            c->error = 1;
        }
    }

    ingest->done = 1;
}


void
ngx_http_spaces_ingest_leave(ngx_http_spaces_ingest_t *ingest)
{
    if (ingest->waiting) {
        ingest->waiting = 0;
        ngx_http_spaces_stop_waiting(&ingest->waiter);
    }

    if (ingest->room) {
        ngx_http_spaces_zone_detach(ingest->smcf->zone, ingest->room,
                                    ingest->place, ingest->serial);
        ingest->room = NULL;
    }

    ngx_http_spaces_feed_unsubscribe(&ingest->subscriber);
}


static void
ngx_http_spaces_ingest_read_on(ngx_http_spaces_ingest_t *ingest)
{
    ingest->request->read_event_handler(ingest->request);
}


/* a body with a length, or in chunks */

static ngx_int_t
ngx_http_spaces_ingest_body(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_ingest_t  *ingest;

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r,
                                         ngx_http_spaces_ingest_body_handler);

    if (rc < NGX_HTTP_SPECIAL_RESPONSE) {
        return NGX_DONE;
    }

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return ngx_http_spaces_body_failed(r, rc, NGX_HTTP_SPACES_BAD_AUDIO);
    }

    /* what came before the connection broke was said */

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ingest = ctx->data;

    ingest->broken = rc;
    r->main->count++;

    ngx_http_spaces_ingest_body_handler(r);

    return NGX_DONE;
}


static void
ngx_http_spaces_ingest_body_handler(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_ingest_t  *ingest;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ingest = ctx->data;

    r->read_event_handler = ngx_http_spaces_ingest_read_body;

    ngx_http_spaces_wait(ingest->smcf->tick, &ingest->waiter);
    ingest->waiting = 1;

    ngx_http_spaces_ingest_read_body(r);
}


static void
ngx_http_spaces_ingest_read_body(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_ingest_t  *ingest;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ingest = ctx->data;

    if (ingest->blocked && !r->connection->read->timedout) {
        return;
    }

    for ( ;; ) {

        rc = ngx_http_spaces_ingest_take_body(ingest);

        if (rc == NGX_AGAIN) {

            /* not reading is what slows the sender down */

            if (r->connection->read->timer_set) {
                ngx_del_timer(r->connection->read);
            }

            return;
        }

        if (rc != NGX_OK) {
            ngx_http_spaces_ingest_done(ingest, ingest->answer);
            return;
        }

        if (ingest->broken) {
            ngx_http_spaces_ingest_done(ingest,
                ngx_http_spaces_body_failed(r, ingest->broken,
                                            NGX_HTTP_SPACES_BAD_AUDIO));
            return;
        }

        if (!r->reading_body) {
            ngx_http_spaces_ingest_complete(ingest);
            return;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc == NGX_HTTP_REQUEST_TIME_OUT) {
            ngx_http_spaces_ingest_done(ingest,
                ngx_http_spaces_problem(r, NGX_HTTP_SPACES_TIMEOUT,
                                        "nothing came for as long as "
                                        "\"client_body_timeout\" allows"));
            return;
        }

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

            /* the end may have come in one go with audio */

            ingest->broken = rc;
            continue;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            ngx_http_spaces_ingest_idle(ingest);
            return;
        }
    }
}


void
ngx_http_spaces_ingest_idle(ngx_http_spaces_ingest_t *ingest)
{
    if (ingest->draining && ingest->room) {
        ingest->speaker->drained = ingest->serial;
    }
}


/* consumes what nginx has read; the codes are those of the pump */

static ngx_int_t
ngx_http_spaces_ingest_take_body(ngx_http_spaces_ingest_t *ingest)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = ingest->request;

    rc = ngx_http_spaces_ingest_pump(ingest);

    if (rc != NGX_OK) {
        return rc;
    }

    while (r->request_body && r->request_body->bufs) {

        cl = r->request_body->bufs;
        b = cl->buf;

        if (b->pos < b->last) {

            rc = ngx_http_spaces_ingest_feed(ingest, b->pos, b->last - b->pos);

            if (rc != NGX_OK && rc != NGX_AGAIN) {
                return rc;
            }

            b->pos = b->last;
        }

        r->request_body->bufs = cl->next;
        ngx_free_chain(r->pool, cl);

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }
    }

    return NGX_OK;
}


/* the body is whole: it is played out, and then the Space ends */

static void
ngx_http_spaces_ingest_complete(ngx_http_spaces_ingest_t *ingest)
{
    ngx_http_request_t  *r;

    r = ingest->request;

    if (ingest->room == NULL) {
        ngx_http_spaces_ingest_done(ingest,
            ngx_http_spaces_ingest_bad(r, NGX_HTTP_SPACES_BAD_AUDIO,
                                       "there is no audio in the body"));
        return;
    }

    ingest->complete = 1;

    r->read_event_handler = ngx_http_spaces_ingest_wait_reading;

    ngx_http_spaces_ingest_look(ingest);
}


/* at every tick: more room for the sender, or news for it */

static void
ngx_http_spaces_ingest_tick(ngx_http_spaces_waiter_t *waiter)
{
    ngx_connection_t          *c;
    ngx_http_spaces_ingest_t  *ingest;

    ingest = waiter->data;
    c = ingest->request->connection;

    ngx_http_set_log_request(c->log, ingest->request);

    ngx_http_spaces_ingest_look(ingest);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_spaces_ingest_look(ngx_http_spaces_ingest_t *ingest)
{
    ngx_http_request_t      *r;
    ngx_http_spaces_ctx_t   *ctx;
    ngx_http_spaces_room_t  *room;

    r = ingest->request;
    room = ingest->room;

    if (ingest->ws) {
        ngx_http_spaces_ingest_returns(ingest);
    }

    if (ingest->failed) {
        ngx_http_spaces_ingest_failed(ingest);
        return;
    }

    if (room == NULL) {
        return;
    }

    if (room->state == NGX_HTTP_SPACES_ROOM_FAILED) {
        ingest->failed = 1;
        ingest->blocked = 1;
        ingest->no_space = (room->no_space != 0);
        ingest->again = (room->moved_on != 0);
        ingest->room = NULL;

        ngx_http_spaces_zone_detach(ingest->smcf->zone, room, ingest->place,
                                    ingest->serial);
        return;
    }

    if (room->state == NGX_HTTP_SPACES_ROOM_ENDED) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

        if (ngx_http_spaces_zone_overlay(ingest->smcf->zone, ctx->space,
                                         &ctx->room)
            == NGX_OK
            && !ctx->room.settled)
        {
            return;
        }

        ingest->over = 1;

        ngx_http_spaces_ingest_done(ingest,
                                    ngx_http_spaces_ingest_result(ingest));
        return;
    }

    if (ingest->speaker->removed) {
        ngx_http_spaces_ingest_done(ingest,
            ngx_http_spaces_problem(r, NGX_HTTP_SPACES_FORBIDDEN,
                                    "the host has removed this speaker"));
        return;
    }

    if (room->ending) {
        ingest->draining = 1;
    }

    if (ingest->complete) {
        ngx_http_spaces_ingest_tell_end(ingest);
        return;
    }

    if (ngx_http_spaces_ingest_makes_way(ingest)) {
        ngx_http_spaces_ingest_done(ingest, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    if (ingest->blocked
        || (ingest->draining && ingest->speaker->drained != ingest->serial))
    {
        ingest->blocked = 0;
        ingest->resume(ingest);
    }
}


/*
 * Its client is gone, and comes back on another connection.  As at an end, what
 * has come is taken in at once, as far as there is room, to be played before
 * what comes now; without the latter it is read at its own pace.
 */

static ngx_uint_t
ngx_http_spaces_ingest_makes_way(ngx_http_spaces_ingest_t *ingest)
{
    ngx_http_spaces_speaker_t  *speaker;

    speaker = ingest->speaker;

    speaker->hung_up = ngx_http_spaces_ingest_is_broken(ingest)
                       ? ingest->serial : 0;

    if (speaker->hung_up && speaker->wanted == ingest->serial) {

        if (ingest->leaving) {
            return 1;
        }

        ingest->leaving = 1;
        ingest->draining = 1;

    } else if (ingest->leaving) {

        /* they talk on, after all */

        ingest->leaving = 0;
        ingest->draining = (ingest->room->ending != 0);
        ingest->hurried = 0;
    }

    return 0;
}


/* it has hung up, or a cable was pulled: who talks is never silent so long */

static ngx_uint_t
ngx_http_spaces_ingest_is_broken(ngx_http_spaces_ingest_t *ingest)
{
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    c = ingest->request->connection;
    rev = c->read;

    if (ingest->blocked) {
        return rev->pending_eof || rev->eof || rev->error || c->error;
    }

    /* WebSockets are asked whether they are there */

    return ingest->ws == NULL
           && ngx_http_spaces_monotonic()
              >= ingest->heard + NGX_HTTP_SPACES_SILENT;
}


/* a body that is whole: the ring is told, as soon as there is room */

static void
ngx_http_spaces_ingest_tell_end(ngx_http_spaces_ingest_t *ingest)
{
    spaces_packet_t  packet;

    if (ingest->ended) {
        ngx_http_spaces_ingest_idle(ingest);
        ngx_http_spaces_ingest_heard(ingest);
        return;
    }

    ngx_memzero(&packet, sizeof(spaces_packet_t));

    packet.flags = SPACES_PACKET_END;
    packet.duration = (uint32_t) ingest->trim;

    ingest->ended = spaces_packet_ring_write(ingest->speaker->ring, &packet,
                                             (u_char *) "")
                    == 0;
}


/* a speaker who is not the host is through when all was heard */

static void
ngx_http_spaces_ingest_heard(ngx_http_spaces_ingest_t *ingest)
{
    if (ingest->entrant.host
        || spaces_packet_ring_queued(ingest->speaker->ring))
    {
        return;
    }

    ngx_http_spaces_ingest_done(ingest,
                                ngx_http_spaces_ingest_result(ingest));
}


/* the room is gone first, so that an attempt that follows is not in its way */

static void
ngx_http_spaces_ingest_failed(ngx_http_spaces_ingest_t *ingest)
{
    ngx_int_t                     rc;
    ngx_http_request_t           *r;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_room_info_t   info;

    r = ingest->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ingest->again) {
        ngx_http_spaces_ingest_done(ingest,
                                    ngx_http_spaces_ingest_later(ingest));
        return;
    }

    if (ngx_http_spaces_zone_info(ingest->smcf->zone, &ctx->id, &info)
        == NGX_OK
        && info.state == NGX_HTTP_SPACES_ROOM_FAILED)
    {
        return;
    }

    rc = ingest->no_space
         ? ngx_http_spaces_ingest_no_space(r)
         : ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                   "the operator's log tells why; nothing was "
                                   "recorded");

    ngx_http_spaces_ingest_done(ingest, rc);
}


ngx_int_t
ngx_http_spaces_ingest_no_space(ngx_http_request_t *r)
{
    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_SPACE,
                                   "recording needs more free disk than is "
                                   "left");
}


/* all has come: a client that goes away now changes nothing */

static void
ngx_http_spaces_ingest_wait_reading(ngx_http_request_t *r)
{
    ngx_http_test_reading(r);
}


ngx_int_t
ngx_http_spaces_ingest_result(ngx_http_spaces_ingest_t *ingest)
{
    ngx_http_request_t       *r;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t  *space;

    r = ingest->request;

    if (ingest->raw_answered) {
        return NGX_HTTP_CLOSE;
    }

    if (ingest->ws) {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    /* as it is by now, not as it was when they were let in */

    space = ngx_http_spaces_zone_space(ingest->smcf->zone, ingest->room,
                                       r->pool);
    if (space) {
        ctx->space = space;
    }

    ngx_http_spaces_load_room(r);

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                  ngx_http_spaces_describe(r, ctx->space, 1));
}


void
ngx_http_spaces_ingest_done(ngx_http_spaces_ingest_t *ingest, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    if (ingest->done) {
        return;
    }

    ingest->done = 1;
    ingest->held = 0;

    ngx_http_spaces_ingest_leave(ingest);

    if (ingest->ws) {
        ngx_http_spaces_ingest_close(ingest);
        return;
    }

    r = ingest->request;
    r->read_event_handler = ngx_http_block_reading;

    ngx_http_finalize_request(r, rc);
}
