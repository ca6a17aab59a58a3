
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Clips are made while they are sent: a thread reads a piece of the file and
 * makes it one of the clip, it is sent, and only then the next is read.
 */


#include "ngx_http_spaces_clip.h"
#include "ngx_http_spaces_tick.h"
#include "ngx_http_spaces_transfer.h"

#include "spaces_clip.h"


/* in ETags: to be changed whenever the same span becomes other bytes */
#define NGX_HTTP_SPACES_CLIP_MAKE  1

/* s: no recording is as long */
#define NGX_HTTP_SPACES_CLIP_MAX   1000000000


typedef struct {
    ngx_http_request_t           *request;    /* NULL: it is gone */
    ngx_http_spaces_span_t        span;
    ngx_uint_t                    shared;
    ngx_thread_task_t             task;

    ngx_buf_t                     buf;        /* the piece being sent */
    ngx_chain_t                   out;

    /* the thread's, while it is busy */

    ngx_fd_t                      fd;
    off_t                         size;       /* of the file */
    time_t                        mtime;
    spaces_clip_status_e          status;
    ngx_err_t                     err;
    spaces_clip_t                 clip;
    off_t                         offset;     /* of the piece, in the clip */
    off_t                         last;       /* what is wanted ends there */
    const uint8_t                *data;
    ssize_t                       len;

    unsigned                      busy:1;
    unsigned                      opened:1;

    u_char                        name[NGX_MAX_PATH];
    u_char                        buffer[SPACES_CLIP_BUFFER];
} ngx_http_spaces_clip_t;


static ngx_int_t ngx_http_spaces_clip_arg(ngx_http_request_t *r,
    const char *name, int64_t *ms, ngx_int_t *rc);

static ngx_http_spaces_clip_t *ngx_http_spaces_clip_create(
    ngx_http_request_t *r, ngx_str_t *path);
static ngx_int_t ngx_http_spaces_clip_post(ngx_http_spaces_clip_t *clip);
static void ngx_http_spaces_clip_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_clip_task_open(ngx_http_spaces_clip_t *clip);
static void ngx_http_spaces_clip_done(ngx_event_t *ev);
static ngx_int_t ngx_http_spaces_clip_begin(ngx_http_spaces_clip_t *clip);
static ngx_int_t ngx_http_spaces_clip_refuse(ngx_http_spaces_clip_t *clip);
static ngx_int_t ngx_http_spaces_clip_headers(ngx_http_spaces_clip_t *clip);
static ngx_int_t ngx_http_spaces_clip_skip(ngx_http_request_t *r, off_t size);
static ngx_int_t ngx_http_spaces_clip_piece(ngx_http_spaces_clip_t *clip);
static ngx_int_t ngx_http_spaces_clip_sent(ngx_http_spaces_clip_t *clip);
static void ngx_http_spaces_clip_write(ngx_http_request_t *r);
static void ngx_http_spaces_clip_leave(void *data);
static void ngx_http_spaces_clip_free(ngx_http_spaces_clip_t *clip);


ngx_int_t
ngx_http_spaces_clip_span(ngx_http_request_t *r, ngx_http_spaces_span_t *span)
{
    int64_t                   start, end, duration;
    ngx_int_t                 rc, has_start, has_end;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_token_t  *token;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    token = ngx_http_spaces_own_token(ctx);

    ngx_memzero(span, sizeof(ngx_http_spaces_span_t));

    duration = ctx->space->duration;

    /* whoever comes by the link, be it the host */

    if (token && token->kind == NGX_HTTP_SPACES_SHARE && token->end) {
        span->start = token->start;
        span->end = token->end;
        duration = token->end - token->start;
    }

    start = 0;
    end = duration;

    has_start = ngx_http_spaces_clip_arg(r, "start", &start, &rc);
    if (has_start == NGX_ABORT) {
        return rc;
    }

    has_end = ngx_http_spaces_clip_arg(r, "end", &end, &rc);
    if (has_end == NGX_ABORT) {
        return rc;
    }

    if (has_start == NGX_DECLINED && has_end == NGX_DECLINED) {
        span->whole = (span->end == 0);
        return NGX_DECLINED;
    }

    if (start >= duration || start >= end) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "\"start\" must be before \"end\" and "
                                       "before the end of the recording, "
                                       "which is %L.%03L s long",
                                       duration / 1000, duration % 1000);
    }

    if (end < duration) {
        span->end = span->start + end;
    }

    span->start += start;

    return NGX_DECLINED;
}


/* as the fields of a body: NGX_OK, NGX_DECLINED, or NGX_ABORT with *rc */

static ngx_int_t
ngx_http_spaces_clip_arg(ngx_http_request_t *r, const char *name, int64_t *ms,
    ngx_int_t *rc)
{
    ngx_int_t  found;
    ngx_str_t  value;

    found = ngx_http_spaces_arg(r, name, &value, rc);

    if (found != NGX_OK) {
        return found;
    }

    if (ngx_http_spaces_clip_seconds(&value, ms) != NGX_OK) {
        *rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                      "\"%s\" is a number of seconds such as "
                                      "\"90\" or \"12.5\"", name);
        return NGX_ABORT;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_clip_seconds(ngx_str_t *value, int64_t *ms)
{
    u_char   *p, *last;
    int64_t   n, unit;

    n = 0;
    p = value->data;
    last = p + value->len;

    while (p < last && *p >= '0' && *p <= '9') {
        n = n * 10 + (*p++ - '0');

        if (n >= NGX_HTTP_SPACES_CLIP_MAX) {
            return NGX_ERROR;
        }
    }

    n *= 1000;

    /* digits before a point, if there is one, and behind it */

    if (p > value->data && last - p > 1 && *p == '.') {
        unit = 100;

        for (p++; p < last && *p >= '0' && *p <= '9'; p++) {
            n += unit * (*p - '0');
            unit /= 10;
        }
    }

    if (value->len == 0 || p < last) {
        return NGX_ERROR;
    }

    *ms = n;

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_clip_send(ngx_http_request_t *r, ngx_str_t *path,
    ngx_http_spaces_span_t *span, ngx_uint_t shared,
    ngx_http_spaces_allowed_pt allowed)
{
    ngx_int_t                rc;
    ngx_http_spaces_ctx_t   *ctx;
    ngx_http_spaces_clip_t  *clip;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    clip = ngx_http_spaces_clip_create(r, path);
    if (clip == NULL) {
        return NGX_ERROR;
    }

    clip->span = *span;
    clip->shared = shared;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ctx->clip = clip;

    /* from now on: it may be deleted while it is opened */

    if (ngx_http_spaces_transfer_watch(r, allowed) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_clip_post(clip);
}


static ngx_http_spaces_clip_t *
ngx_http_spaces_clip_create(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_spaces_clip_t  *clip;

    if (path->len >= NGX_MAX_PATH) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    /* a thread may be at work in it when the request is gone */

    clip = ngx_alloc(sizeof(ngx_http_spaces_clip_t), r->connection->log);
    if (clip == NULL) {
        return NULL;
    }

    ngx_memzero(clip, offsetof(ngx_http_spaces_clip_t, name));
    ngx_memcpy(clip->name, path->data, path->len + 1);

    clip->request = r;
    clip->fd = NGX_INVALID_FILE;
    clip->task.ctx = clip;
    clip->task.handler = ngx_http_spaces_clip_task;
    clip->task.event.data = clip;
    clip->task.event.handler = ngx_http_spaces_clip_done;

    cln->handler = ngx_http_spaces_clip_leave;
    cln->data = clip;

    return clip;
}


static ngx_int_t
ngx_http_spaces_clip_post(ngx_http_spaces_clip_t *clip)
{
    ngx_event_t                  *wev;
    ngx_http_request_t           *r;
    ngx_http_spaces_main_conf_t  *smcf;

    r = clip->request;
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    wev = r->connection->write;

    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    /* the pool's queue may be full: as with any answer, that's an error */

    if (ngx_thread_task_post(smcf->thread_pool, &clip->task) != NGX_OK) {
        return NGX_ERROR;
    }

    clip->busy = 1;
    ngx_http_spaces_tick_hold();

    return NGX_HTTP_SPACES_LATER;
}


static void
ngx_http_spaces_clip_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_clip_t *clip = data;

    clip->err = 0;

    if (!clip->opened) {
        ngx_http_spaces_clip_task_open(clip);
        return;
    }

    clip->len = spaces_clip_read(&clip->clip, clip->fd, clip->offset,
                                 clip->buffer, &clip->data);

    if (clip->len == -1) {
        clip->err = ngx_errno;
    }
}


static void
ngx_http_spaces_clip_task_open(ngx_http_spaces_clip_t *clip)
{
    int64_t          end;
    ngx_file_info_t  fi;

    clip->status = SPACES_CLIP_ERROR;

    clip->fd = ngx_open_file(clip->name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (clip->fd == NGX_INVALID_FILE
        || ngx_fd_info(clip->fd, &fi) == NGX_FILE_ERROR)
    {
        clip->err = ngx_errno;
        return;
    }

    clip->size = ngx_file_size(&fi);
    clip->mtime = ngx_file_mtime(&fi);

    end = clip->span.end ? clip->span.end * (SPACES_OPUS_RATE / 1000)
                         : INT64_MAX;

    clip->status = spaces_clip_open(&clip->clip, clip->fd,
                                    clip->span.start
                                    * (SPACES_OPUS_RATE / 1000),
                                    end);

    clip->err = (clip->status == SPACES_CLIP_ERROR) ? ngx_errno : 0;
    clip->opened = (clip->status == SPACES_CLIP_OK);
}


static void
ngx_http_spaces_clip_done(ngx_event_t *ev)
{
    ngx_http_spaces_clip_t *clip = ev->data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    clip->busy = 0;
    ngx_http_spaces_tick_let_go();

    r = clip->request;

    if (r == NULL) {
        ngx_http_spaces_clip_free(clip);
        return;
    }

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    rc = r->header_sent ? ngx_http_spaces_clip_piece(clip)
                        : ngx_http_spaces_clip_begin(clip);

    ngx_http_spaces_continue(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_spaces_clip_begin(ngx_http_spaces_clip_t *clip)
{
    ngx_int_t               rc;
    ngx_http_request_t     *r;
    ngx_http_spaces_ctx_t  *ctx;

    r = clip->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (!clip->opened) {
        return ngx_http_spaces_clip_refuse(clip);
    }

    if (ngx_http_spaces_clip_headers(clip) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_spaces_replay_condition(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_HTTP_RANGE_NOT_SATISFIABLE) {
        ngx_http_spaces_replay_clear(r);

        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_RANGE,
                                       "the clip has %O bytes",
                                       clip->clip.length);
    }

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (ngx_http_spaces_is_available(ctx->space)) {
        ngx_http_spaces_replays_count(r);
    }

    clip->last = clip->clip.length;

    if (r->headers_out.status == NGX_HTTP_PARTIAL_CONTENT) {
        clip->offset = r->headers_out.content_offset;
        clip->last = clip->offset + r->headers_out.content_length_n;

        if (ngx_http_spaces_clip_skip(r, clip->offset) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_spaces_clip_post(clip);
}


static ngx_int_t
ngx_http_spaces_clip_refuse(ngx_http_spaces_clip_t *clip)
{
    ngx_http_request_t  *r;

    r = clip->request;

    switch (clip->status) {

    case SPACES_CLIP_EMPTY:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "nothing was recorded in that span");

    case SPACES_CLIP_BROKEN:
        ngx_http_spaces_log_error(NGX_LOG_ERR, r->connection->log, 0,
                                  "\"%s\" is damaged, no clip of it can be "
                                  "made", clip->name);
        break;

    default:
        ngx_http_spaces_log_error(NGX_LOG_CRIT, r->connection->log, clip->err,
                                  "a clip of \"%s\" failed", clip->name);
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                   "the recording can't be read now");
}


static ngx_int_t
ngx_http_spaces_clip_headers(ngx_http_spaces_clip_t *clip)
{
    u_char                 *p;
    ngx_str_t               etag;
    ngx_http_request_t     *r;
    ngx_http_spaces_ctx_t  *ctx;

    r = clip->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    p = ngx_pnalloc(r->pool, ctx->id.len + 4 * NGX_OFF_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    etag.data = p;
    etag.len = ngx_sprintf(p, "\"%V-%xO-%d-%xL-%xL\"", &ctx->id, clip->size,
                           NGX_HTTP_SPACES_CLIP_MAKE, clip->span.start,
                           clip->span.end)
               - p;

    if (ngx_http_spaces_replay_headers(r, clip->clip.length, clip->mtime,
                                       &etag, clip->shared)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* several ranges at once are answered with all of it (RFC 9110, 14.2) */

    r->allow_ranges = 1;
    r->single_range = 1;

    return NGX_OK;
}


/* nginx counts what its range filter leaves out: this is never read */

static ngx_int_t
ngx_http_spaces_clip_skip(ngx_http_request_t *r, off_t size)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    if (size == 0) {
        return NGX_OK;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->file = ngx_pcalloc(r->pool, sizeof(ngx_file_t));
    if (b->file == NULL) {
        return NGX_ERROR;
    }

    b->file->fd = NGX_INVALID_FILE;
    b->file->log = r->connection->log;
    b->file_last = size;
    b->in_file = 1;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_output_filter(r, &out);

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_spaces_clip_piece(ngx_http_spaces_clip_t *clip)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_http_request_t  *r;

    r = clip->request;

    if (clip->len <= 0) {
        ngx_http_spaces_log_error(NGX_LOG_CRIT, r->connection->log, clip->err,
                                  "a clip of \"%s\" failed, it is cut short",
                                  clip->name);
        return NGX_ERROR;
    }

    clip->len = (ssize_t) ngx_min((off_t) clip->len,
                                  clip->last - clip->offset);
    clip->offset += clip->len;

    b = &clip->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->start = (u_char *) clip->data;
    b->pos = b->start;
    b->last = b->pos + clip->len;
    b->end = b->last;
    b->memory = 1;
    b->flush = 1;

    clip->out.buf = b;
    clip->out.next = NULL;

    if (clip->offset < clip->last) {
        rc = ngx_http_output_filter(r, &clip->out);

        return rc == NGX_ERROR ? NGX_ERROR : ngx_http_spaces_clip_sent(clip);
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    return ngx_http_output_filter(r, &clip->out);
}


/* the next piece, once this one needs its memory no more */

static ngx_int_t
ngx_http_spaces_clip_sent(ngx_http_spaces_clip_t *clip)
{
    ngx_event_t               *wev;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = clip->request;

    if (clip->buf.pos == clip->buf.last) {
        return ngx_http_spaces_clip_post(clip);
    }

    r->write_event_handler = ngx_http_spaces_clip_write;

    wev = r->connection->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_HTTP_SPACES_LATER;
}


static void
ngx_http_spaces_clip_write(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;
    wev = c->write;

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (wev->delayed) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }

        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    rc = ngx_http_output_filter(r, NULL);

    if (rc != NGX_ERROR) {
        rc = ngx_http_spaces_clip_sent(ctx->clip);
    }

    ngx_http_spaces_continue(r, rc);
}


static void
ngx_http_spaces_clip_leave(void *data)
{
    ngx_http_spaces_clip_t *clip = data;

    clip->request = NULL;

    if (!clip->busy) {
        ngx_http_spaces_clip_free(clip);
    }
}


static void
ngx_http_spaces_clip_free(ngx_http_spaces_clip_t *clip)
{
    if (clip->opened) {
        spaces_clip_free(&clip->clip);
    }

    if (clip->fd != NGX_INVALID_FILE
        && ngx_close_file(clip->fd) == NGX_FILE_ERROR)
    {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", clip->name);
    }

    ngx_free(clip);
}
