
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What a listener hears who goes back further than memory: the file that is
 * being written, read in a thread.
 */


#include "ngx_http_spaces_feed.h"

#include "spaces_ogg_seek.h"


/* read at a time, and if that isn't a whole page, as much as one has, bytes */
#define NGX_HTTP_SPACES_PAST_READ  16384
#define NGX_HTTP_SPACES_PAST_PAGE  65536


typedef struct {
    ngx_http_spaces_past_t         *past;
    ngx_fd_t                        fd;
    int64_t                         granule;
    uint64_t                        offset;    /* 0: to be found */
    uint64_t                        end;
    ssize_t                         len;
    ngx_err_t                       err;
    u_char                         *data;      /* while it is read */
    u_char                          name[NGX_MAX_PATH];
} ngx_http_spaces_past_task_t;


struct ngx_http_spaces_past_s {
    ngx_http_spaces_listener_t     *listener;  /* NULL: it has left */
    ngx_thread_task_t               task;
    ngx_http_spaces_past_task_t     ctx;
    unsigned                        busy:1;
};


static ngx_http_spaces_past_t *ngx_http_spaces_past_create(
    ngx_http_spaces_listener_t *listener, ngx_http_spaces_main_conf_t *smcf,
    ngx_str_t *id);
static void ngx_http_spaces_past_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_past_pages(ngx_http_spaces_past_task_t *t,
    size_t want);
static void ngx_http_spaces_past_done(ngx_event_t *ev);
static void ngx_http_spaces_past_free(ngx_http_spaces_past_t *past);


ngx_int_t
ngx_http_spaces_past_read(ngx_http_spaces_listener_t *listener,
    ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id, int64_t granule,
    uint64_t offset, uint64_t end)
{
    ngx_http_spaces_past_t  *past;

    past = listener->file;

    if (past == NULL) {
        past = ngx_http_spaces_past_create(listener, smcf, id);
        if (past == NULL) {
            return NGX_ERROR;
        }

        listener->file = past;
    }

    past->ctx.granule = granule;
    past->ctx.offset = offset;
    past->ctx.end = end;

    past->ctx.data = ngx_alloc(NGX_HTTP_SPACES_PAST_PAGE, ngx_cycle->log);
    if (past->ctx.data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_thread_task_post(smcf->thread_pool, &past->task) != NGX_OK) {
        ngx_free(past->ctx.data);
        return NGX_ERROR;
    }

    past->busy = 1;

    return NGX_OK;
}


static ngx_http_spaces_past_t *
ngx_http_spaces_past_create(ngx_http_spaces_listener_t *listener,
    ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id)
{
    ngx_str_t                name;
    ngx_pool_t              *pool;
    ngx_http_spaces_past_t  *past;

    past = ngx_alloc(sizeof(ngx_http_spaces_past_t), ngx_cycle->log);
    if (past == NULL) {
        return NULL;
    }

    ngx_memzero(past, sizeof(ngx_http_spaces_past_t));

    pool = ngx_create_pool(NGX_MAX_PATH, ngx_cycle->log);
    if (pool == NULL) {
        ngx_free(past);
        return NULL;
    }

    name = ngx_http_spaces_live_path(&smcf->path, id, ".opus", pool);

    if (name.data == NULL || name.len >= NGX_MAX_PATH) {
        ngx_destroy_pool(pool);
        ngx_free(past);
        return NULL;
    }

    ngx_memcpy(past->ctx.name, name.data, name.len + 1);
    ngx_destroy_pool(pool);

    past->busy = 0;
    past->listener = listener;
    past->ctx.past = past;
    past->ctx.fd = NGX_INVALID_FILE;
    past->task.ctx = &past->ctx;
    past->task.handler = ngx_http_spaces_past_task;
    past->task.event.data = past;
    past->task.event.handler = ngx_http_spaces_past_done;

    return past;
}


ngx_uint_t
ngx_http_spaces_past_busy(ngx_http_spaces_past_t *past)
{
    return past->busy;
}


void
ngx_http_spaces_past_close(ngx_http_spaces_past_t *past)
{
    if (past == NULL) {
        return;
    }

    past->listener = NULL;

    if (!past->busy) {
        ngx_http_spaces_past_free(past);
    }
}


static void
ngx_http_spaces_past_task(void *data, ngx_log_t *log)
{
    off_t                         offset;
    int64_t                       before;
    ngx_http_spaces_past_task_t  *t = data;

    t->len = -1;
    t->err = 0;

    if (t->fd == NGX_INVALID_FILE) {
        t->fd = ngx_open_file(t->name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

        if (t->fd == NGX_INVALID_FILE) {
            t->err = ngx_errno;
            return;
        }
    }

    if (t->offset == 0) {

        if (spaces_ogg_seek(t->fd, (off_t) t->end, t->granule, &offset,
                            &before)
            != 0)
        {
            t->err = ngx_errno;
            return;
        }

        t->offset = (uint64_t) offset;
    }

    ngx_http_spaces_past_pages(t, NGX_HTTP_SPACES_PAST_READ);

    if (t->len == 0) {
        ngx_http_spaces_past_pages(t, NGX_HTTP_SPACES_PAST_PAGE);
    }
}


/* whole pages of so many bytes */

static void
ngx_http_spaces_past_pages(ngx_http_spaces_past_task_t *t, size_t want)
{
    want = (size_t) ngx_min(t->end - t->offset, want);

    t->len = pread(t->fd, t->data, want, (off_t) t->offset);

    if (t->len == -1) {
        t->err = ngx_errno;
        return;
    }

    t->len = (ssize_t) spaces_ogg_whole(t->data, (size_t) t->len);
}


static void
ngx_http_spaces_past_done(ngx_event_t *ev)
{
    ngx_http_spaces_past_t *past = ev->data;

    u_char  *data;

    past->busy = 0;
    data = past->ctx.data;

    if (past->listener == NULL) {
        ngx_free(data);
        ngx_http_spaces_past_free(past);
        return;
    }

    if (past->ctx.err) {
        ngx_http_spaces_log_error(NGX_LOG_ERR, ngx_cycle->log, past->ctx.err,
                           "the past of a live Space can't be read from \"%s\"",
                           past->ctx.name);
    }

    /* which may begin the next */

    ngx_http_spaces_listener_read(past->listener, data, past->ctx.len,
                                  past->ctx.offset);

    ngx_free(data);
}


static void
ngx_http_spaces_past_free(ngx_http_spaces_past_t *past)
{
    if (past->ctx.fd != NGX_INVALID_FILE
        && ngx_close_file(past->ctx.fd) == NGX_FILE_ERROR)
    {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", past->ctx.name);
    }

    ngx_free(past);
}
