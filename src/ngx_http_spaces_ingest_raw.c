
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Icecast source clients whose request has neither length nor chunks: what
 * follows on the connection is the audio.
 */


#include "ngx_http_spaces_ingest.h"


#define NGX_HTTP_SPACES_RAW_BUFFER  16384

/* how long a raw connection may take to say anything, ms */
#define NGX_HTTP_SPACES_RAW_FIRST   10000


static ngx_int_t ngx_http_spaces_ingest_raw_hello(ngx_http_request_t *r);
static void ngx_http_spaces_ingest_read_raw(ngx_http_request_t *r);


ngx_int_t
ngx_http_spaces_ingest_raw(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_buf_t                 *b;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_ingest_t  *ingest;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ingest = ctx->data;

    ingest->raw = ngx_palloc(r->pool, NGX_HTTP_SPACES_RAW_BUFFER);
    if (ingest->raw == NULL) {
        return NGX_ERROR;
    }

    /* what has come with the head can still be answered */

    b = r->header_in;

    ingest->received = b->last - b->pos;

    if (ngx_http_spaces_ingest_peek(ingest, b->pos, ingest->received)
        != NGX_OK)
    {
        return ingest->answer;
    }

    b->pos = b->last;

    rc = ngx_http_spaces_ingest_raw_hello(r);

    if (rc != NGX_OK) {
        return rc;
    }

    r->keepalive = 0;
    r->read_event_handler = ngx_http_spaces_ingest_read_raw;
    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_spaces_wait(ingest->smcf->tick, &ingest->waiter);
    ingest->waiting = 1;

    ngx_add_timer(r->connection->read, NGX_HTTP_SPACES_RAW_FIRST);

    r->main->count++;

    /* what came with the header is played, and perhaps there is more */

    ngx_post_event(r->connection->read, &ngx_posted_events);

    return NGX_DONE;
}


/*
 * Source clients send when they are told to: with "100 Continue" if they asked
 * for that, else with an answer of their own version of HTTP, which nginx
 * never gives.
 */

static ngx_int_t
ngx_http_spaces_ingest_raw_hello(ngx_http_request_t *r)
{
    u_char                    *last;
    ssize_t                    n;
    ngx_uint_t                 expects;
    ngx_connection_t          *c;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_ingest_t  *ingest;
    u_char                     buf[sizeof("HTTP/1.1 200 OK\r\n"
                                          "Spaces-Recording: off\r\n"
                                          "Connection: close\r\n\r\n")];

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ingest = ctx->data;

    /* Liquidsoap waits for it in HTTP/1.0 as well */

    expects = r->headers_in.expect
              && ngx_strcasestrn(r->headers_in.expect->value.data,
                                 "100-continue", sizeof("100-continue") - 2);

    if (expects) {
        last = ngx_sprintf(buf, "HTTP/1.%d 100 Continue\r\n\r\n",
                           r->http_version > NGX_HTTP_VERSION_10 ? 1 : 0);
        r->expect_tested = 1;

    } else {
        last = ngx_sprintf(buf, "HTTP/1.%d 200 OK\r\n"
                           "Spaces-Recording: %s\r\n"
                           "Connection: close\r\n\r\n",
                           r->http_version > NGX_HTTP_VERSION_10 ? 1 : 0,
                           ngx_http_spaces_is_recorded(ctx) ? "on" : "off");

        ingest->raw_answered = 1;
        r->headers_out.status = NGX_HTTP_OK;
        r->header_sent = 1;
    }

    n = c->send(c, buf, last - buf);

    /* these few bytes are the first on the connection: they fit */

    if (n != last - buf) {
        c->error = 1;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_spaces_ingest_read_raw(ngx_http_request_t *r)
{
    ssize_t                    n;
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_ingest_t  *ingest;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ingest = ctx->data;

    if (c->read->timedout) {
        c->timedout = 1;

        ngx_http_spaces_ingest_done(ingest,
            ngx_http_spaces_problem(r, ingest->received
                                           ? NGX_HTTP_SPACES_TIMEOUT
                                           : NGX_HTTP_SPACES_BAD_AUDIO,
                                    "no audio came"));
        return;
    }

    if (ingest->blocked) {
        return;
    }

    for ( ;; ) {

        rc = ngx_http_spaces_ingest_pump(ingest);

        if (rc == NGX_AGAIN) {

            if (c->read->timer_set) {
                ngx_del_timer(c->read);
            }

            return;
        }

        if (rc != NGX_OK) {
            ngx_http_spaces_ingest_done(ingest, ingest->answer);
            return;
        }

        n = c->recv(c, ingest->raw, NGX_HTTP_SPACES_RAW_BUFFER);

        if (n == NGX_AGAIN) {
            ngx_http_spaces_ingest_idle(ingest);

            if (ingest->received) {
                clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
                ngx_add_timer(c->read, clcf->client_body_timeout);
            }

            if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
                ngx_http_spaces_ingest_done(ingest, NGX_ERROR);
            }

            return;
        }

        if (n == NGX_ERROR) {
            c->error = 1;
            ngx_http_spaces_ingest_done(ingest, NGX_ERROR);
            return;
        }

        if (n == 0) {

            /*
             * The end of the stream or a cable that was pulled: it looks the
             * same, so the Space waits for its host to come back.
             */

            rc = ingest->room
                 ? ngx_http_spaces_ingest_result(ingest)
                 : ngx_http_spaces_ingest_bad(r, NGX_HTTP_SPACES_BAD_AUDIO,
                                              "no audio came");

            ngx_http_spaces_ingest_done(ingest, rc);
            return;
        }

        ingest->received += n;
        r->request_length += n;

        rc = ngx_http_spaces_ingest_feed(ingest, ingest->raw, (size_t) n);

        if (rc != NGX_OK && rc != NGX_AGAIN) {
            ngx_http_spaces_ingest_done(ingest, ingest->answer);
            return;
        }
    }
}
