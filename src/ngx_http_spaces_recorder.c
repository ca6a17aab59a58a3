
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_recorder.h"
#include "ngx_http_spaces_file.h"

#include "spaces_ogg_tail.h"
#include "spaces_wave.h"


/*
 * Written this often, and on its way to the disk this often, ms: with the page
 * at hand and a flush of 200 ms, less than a second of audio is at risk
 */
#define NGX_HTTP_SPACES_WRITE  200
#define NGX_HTTP_SPACES_SYNC   600

/* and so much at a time, bytes */
#define NGX_HTTP_SPACES_PIECE  32768

/* of levels and speakers between two writes, bytes: all speakers at once */
#define NGX_HTTP_SPACES_WAVE   16384


typedef struct {
    ngx_fd_t                       fd;

    /*
     * A copy: what a disk that stalls has begun to write isn't overwritten
     * meanwhile, as it would be in the ring
     */
    u_char                        *piece;
    uint64_t                       from;       /* bytes of the stream */
    uint64_t                       to;

    unsigned                       resume:1;
    unsigned                       starting:1;
    unsigned                       sync:1;
    unsigned                       describe:1; /* the document is new */
    unsigned                       repair:1;

    off_t                          min_free;
    off_t                          size;
    int64_t                        granule;

    char                          *live;
    char                          *live_json;
    char                          *recording;
    char                          *recording_json;
    char                          *held_json;

    ngx_fd_t                       wave_fd;
    char                          *live_wave;
    char                          *recording_wave;
    size_t                         wave_len;
    u_char                         wave[NGX_HTTP_SPACES_WAVE];

    size_t                         document_len;
    u_char                         document[NGX_HTTP_SPACES_DOCUMENT];

    ngx_err_t                      err;
    const char                    *failed;     /* what, for the log */
} ngx_http_spaces_recorder_task_t;


struct ngx_http_spaces_recorder_s {
    ngx_http_spaces_room_t        *room;
    ngx_http_spaces_main_conf_t   *smcf;
    ngx_pool_t                    *pool;
    ngx_thread_task_t             *task;

    ngx_http_spaces_recorder_pt    handler;
    void                          *data;

    int64_t                        wrote;      /* ms, monotonic */
    int64_t                        synced;
    ngx_uint_t                     amended;    /* the document on disk */

    unsigned                       busy:1;
    unsigned                       failed:1;
    unsigned                       closing:1;
    unsigned                       whole:1;    /* nothing was left to write */

    size_t                         wave_len;   /* not handed over yet */
    u_char                         wave[NGX_HTTP_SPACES_WAVE];
};


static ngx_int_t ngx_http_spaces_recorder_post(ngx_http_spaces_recorder_t *rec,
    void (*handler)(void *data, ngx_log_t *log));
static void ngx_http_spaces_recorder_take(ngx_http_spaces_recorder_t *rec);
static void ngx_http_spaces_recorder_describe(
    ngx_http_spaces_recorder_t *rec);
static void ngx_http_spaces_recorder_described(
    ngx_http_spaces_recorder_t *rec);
static void ngx_http_spaces_recorder_done(ngx_event_t *ev);
static void ngx_http_spaces_recorder_synced(ngx_http_spaces_recorder_t *rec);
static void ngx_http_spaces_recorder_check(ngx_http_spaces_recorder_t *rec);
static void ngx_http_spaces_recorder_take_wave(
    ngx_http_spaces_recorder_t *rec);

static void ngx_http_spaces_recorder_open_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_recorder_write_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_recorder_write_wave(
    ngx_http_spaces_recorder_task_t *t);
static void ngx_http_spaces_recorder_close_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_recorder_publish_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_recorder_forget_task(void *data, ngx_log_t *log);

static ngx_int_t ngx_http_spaces_recorder_repair(
    ngx_http_spaces_recorder_task_t *t);

static ngx_inline void
ngx_http_spaces_recorder_error(ngx_http_spaces_recorder_task_t *t,
    const char *failed)
{
    t->err = ngx_errno;
    t->failed = failed;
}


ngx_http_spaces_recorder_t *
ngx_http_spaces_recorder_open(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_room_t *room, ngx_uint_t resume,
    ngx_http_spaces_recorder_pt handler, void *data)
{
    ngx_str_t                         id;
    ngx_pool_t                       *pool;
    ngx_http_spaces_recorder_t       *rec;
    ngx_http_spaces_recorder_task_t  *t;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    rec = ngx_pcalloc(pool, sizeof(ngx_http_spaces_recorder_t));
    if (rec == NULL) {
        goto failed;
    }

    rec->task = ngx_thread_task_alloc(pool,
                                     sizeof(ngx_http_spaces_recorder_task_t));
    if (rec->task == NULL) {
        goto failed;
    }

    rec->smcf = smcf;
    rec->room = room;
    rec->pool = pool;
    rec->handler = handler;
    rec->data = data;
    rec->failed = (room->torn != 0);

    rec->task->event.data = rec;
    rec->task->event.handler = ngx_http_spaces_recorder_done;

    id = room->sn.str;
    t = rec->task->ctx;

    t->fd = NGX_INVALID_FILE;
    t->wave_fd = NGX_INVALID_FILE;
    t->resume = resume;
    t->starting = (room->state == NGX_HTTP_SPACES_ROOM_STARTING);
    t->min_free = smcf->min_free;

    t->live = (char *) ngx_http_spaces_live_path(&smcf->path, &id, ".opus",
                                                 pool).data;
    t->live_json = (char *) ngx_http_spaces_live_path(&smcf->path, &id,
                                                      ".json", pool).data;
    t->recording = (char *) ngx_http_spaces_recording_path(&smcf->path, &id,
                                                           ".opus", pool).data;
    t->recording_json = (char *) ngx_http_spaces_recording_path(&smcf->path,
                                                   &id, ".json", pool).data;
    t->held_json = (char *) ngx_http_spaces_held_path(&smcf->path, &id,
                                                      ".json", pool).data;

    t->piece = ngx_pnalloc(pool, NGX_HTTP_SPACES_PIECE);

    t->live_wave = (char *) ngx_http_spaces_live_path(&smcf->path, &id,
                                                      ".wave", pool).data;
    t->recording_wave = (char *) ngx_http_spaces_recording_path(&smcf->path,
                                                   &id, ".wave", pool).data;

    if (t->live == NULL || t->live_json == NULL || t->recording == NULL
        || t->recording_json == NULL || t->held_json == NULL
        || t->live_wave == NULL || t->recording_wave == NULL
        || t->piece == NULL)
    {
        goto failed;
    }

    t->document_len = room->document_len;
    ngx_memcpy(t->document, room->document, t->document_len);

    if (ngx_http_spaces_recorder_post(rec, ngx_http_spaces_recorder_open_task)
        != NGX_OK)
    {
        goto failed;
    }

    return rec;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


ngx_uint_t
ngx_http_spaces_recorder_idle(ngx_http_spaces_recorder_t *rec)
{
    return !rec->busy;
}


ngx_uint_t
ngx_http_spaces_recorder_failed(ngx_http_spaces_recorder_t *rec)
{
    return rec->failed;
}


ngx_uint_t
ngx_http_spaces_recorder_no_space(ngx_http_spaces_recorder_t *rec)
{
    ngx_http_spaces_recorder_task_t  *t;

    t = rec->task->ctx;

    return t->err == ENOSPC || t->err == EDQUOT;
}


void
ngx_http_spaces_recorder_wave(ngx_http_spaces_recorder_t *rec,
    u_char *records, size_t len)
{
    if (len > NGX_HTTP_SPACES_WAVE - rec->wave_len) {
        return;
    }

    ngx_memcpy(rec->wave + rec->wave_len, records, len);
    rec->wave_len += len;
}


static void
ngx_http_spaces_recorder_take_wave(ngx_http_spaces_recorder_t *rec)
{
    ngx_http_spaces_recorder_task_t  *t;

    t = rec->task->ctx;

    ngx_memcpy(t->wave, rec->wave, rec->wave_len);

    t->wave_len = rec->wave_len;
    rec->wave_len = 0;
}


void
ngx_http_spaces_recorder_run(ngx_http_spaces_recorder_t *rec)
{
    int64_t                           now;
    uint64_t                          head;
    ngx_http_spaces_room_t           *room;
    ngx_http_spaces_recorder_task_t  *t;

    if (rec->failed || rec->closing) {
        return;
    }

    room = rec->room;
    head = ngx_http_spaces_room_playout(room)->head;

    if (head - room->written > NGX_HTTP_SPACES_PAGES) {
        rec->failed = 1;
        ngx_http_spaces_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                              "recording of space %V stops: the disk under "
                              "\"%V\" is too slow or stalled; what was written "
                              "is kept", &room->sn.str, &rec->smcf->path);
        return;
    }

    now = ngx_http_spaces_monotonic();

    if (rec->busy
        || (now < rec->wrote + NGX_HTTP_SPACES_WRITE
            && head - room->written < NGX_HTTP_SPACES_PIECE))
    {
        return;
    }

    t = rec->task->ctx;

    ngx_http_spaces_recorder_take(rec);

    t->sync = (now >= rec->synced + NGX_HTTP_SPACES_SYNC);

    ngx_http_spaces_recorder_describe(rec);

    if (t->from == t->to && !t->sync && !t->describe) {
        return;
    }

    rec->wrote = now;

    if (t->sync) {
        rec->synced = now;
        rec->whole = (t->to == head);
    }

    ngx_http_spaces_recorder_take_wave(rec);

    /* a full queue of tasks is tried again at the next tick */

    (void) ngx_http_spaces_recorder_post(rec,
                                         ngx_http_spaces_recorder_write_task);
}


ngx_int_t
ngx_http_spaces_recorder_close(ngx_http_spaces_recorder_t *rec)
{
    ngx_http_spaces_room_t           *room;
    ngx_http_spaces_recorder_task_t  *t;

    if (rec->busy) {
        return NGX_ERROR;
    }

    ngx_http_spaces_recorder_run(rec);

    if (rec->busy) {
        return NGX_ERROR;
    }

    room = rec->room;
    t = rec->task->ctx;

    ngx_http_spaces_recorder_take(rec);

    t->size = (off_t) ngx_http_spaces_room_playout(room)->head;

    if (!rec->failed && t->to != (uint64_t) t->size) {
        return NGX_ERROR;
    }

    rec->closing = 1;

    t->sync = 1;
    t->describe = 0;
    t->repair = rec->failed;

    ngx_http_spaces_recorder_take_wave(rec);

    t->granule = ngx_http_spaces_room_playout(room)->granule;

    return ngx_http_spaces_recorder_post(rec,
                                         ngx_http_spaces_recorder_close_task);
}


void
ngx_http_spaces_recorder_measure(ngx_http_spaces_recorder_t *rec, off_t *size,
    int64_t *granule)
{
    ngx_http_spaces_recorder_task_t  *t;

    t = rec->task->ctx;

    *size = t->size;
    *granule = t->granule;
}


ngx_int_t
ngx_http_spaces_recorder_publish(ngx_http_spaces_recorder_t *rec,
    ngx_str_t *document)
{
    ngx_http_spaces_recorder_task_t  *t;

    t = rec->task->ctx;

    t->document_len = document->len;
    ngx_memcpy(t->document, document->data, document->len);

    return ngx_http_spaces_recorder_post(rec,
                                      ngx_http_spaces_recorder_publish_task);
}


ngx_int_t
ngx_http_spaces_recorder_forget(ngx_http_spaces_recorder_t *rec)
{
    return ngx_http_spaces_recorder_post(rec,
                                       ngx_http_spaces_recorder_forget_task);
}


void
ngx_http_spaces_recorder_leave(ngx_http_spaces_recorder_t *rec)
{
    ngx_http_spaces_recorder_task_t  *t;

    if (rec->failed || rec->closing) {
        return;
    }

    t = rec->task->ctx;

    if (t->fd == NGX_INVALID_FILE || t->err
        || ngx_http_spaces_room_playout(rec->room)->head - rec->room->written
           > NGX_HTTP_SPACES_PAGES)
    {
        return;
    }

    /* the threads are gone, what they had begun is done or done again */

    ngx_http_spaces_recorder_describe(rec);
    ngx_http_spaces_recorder_take_wave(rec);

    rec->busy = 0;

    do {
        ngx_http_spaces_recorder_take(rec);

        t->sync = (t->to - t->from < NGX_HTTP_SPACES_PIECE);

        ngx_http_spaces_recorder_write_task(t, ngx_cycle->log);
        ngx_http_spaces_recorder_check(rec);

        if (rec->failed) {
            return;
        }

        ngx_http_spaces_metrics_add(ngx_http_spaces_metric_written,
                                    t->to - t->from);
        rec->room->written = t->to;

    } while (!t->sync);

    ngx_http_spaces_recorder_described(rec);
}


void
ngx_http_spaces_recorder_free(ngx_http_spaces_recorder_t *rec)
{
    ngx_http_spaces_recorder_task_t  *t;

    t = rec->task->ctx;

    if (t->wave_fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(t->wave_fd);
    }

    if (t->fd != NGX_INVALID_FILE && ngx_close_file(t->fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", t->live);
    }

    ngx_destroy_pool(rec->pool);
}


static ngx_int_t
ngx_http_spaces_recorder_post(ngx_http_spaces_recorder_t *rec,
    void (*handler)(void *data, ngx_log_t *log))
{
    rec->task->handler = handler;

    if (ngx_thread_task_post(rec->smcf->thread_pool, rec->task) != NGX_OK) {
        return NGX_ERROR;
    }

    rec->busy = 1;

    return NGX_OK;
}


/* what is next for the disk */

static void
ngx_http_spaces_recorder_take(ngx_http_spaces_recorder_t *rec)
{
    size_t                            start, len, first;
    ngx_http_spaces_room_t           *room;
    ngx_http_spaces_recorder_task_t  *t;

    room = rec->room;
    t = rec->task->ctx;

    t->from = room->written;
    t->to = ngx_min(ngx_http_spaces_room_playout(room)->head,
                    t->from + NGX_HTTP_SPACES_PIECE);

    len = (size_t) (t->to - t->from);
    start = (size_t) (t->from % NGX_HTTP_SPACES_PAGES);
    first = ngx_min(len, NGX_HTTP_SPACES_PAGES - start);

    ngx_memcpy(t->piece, room->pages + start, first);
    ngx_memcpy(t->piece + first, room->pages, len - first);
}


/* what a host has changed meanwhile is to be there after a crash as well */

static void
ngx_http_spaces_recorder_describe(ngx_http_spaces_recorder_t *rec)
{
    ngx_http_spaces_recorder_task_t  *t;

    if (rec->room->amended == rec->amended) {
        return;
    }

    t = rec->task->ctx;

    t->document_len = ngx_http_spaces_zone_described(rec->smcf->zone,
                                                     rec->room, t->document,
                                                     &rec->amended);
    t->describe = 1;
}


static void
ngx_http_spaces_recorder_described(ngx_http_spaces_recorder_t *rec)
{
    ngx_http_spaces_recorder_task_t  *t;

    t = rec->task->ctx;

    if (!rec->failed && !rec->closing && !t->describe) {
        rec->room->described = rec->amended;
    }
}


static void
ngx_http_spaces_recorder_done(ngx_event_t *ev)
{
    ngx_http_spaces_recorder_t       *rec = ev->data;
    ngx_http_spaces_recorder_task_t  *t;

    rec->busy = 0;

    t = rec->task->ctx;

    ngx_http_spaces_recorder_check(rec);

    if (!rec->failed && rec->room->written < t->to) {
        ngx_http_spaces_metrics_add(ngx_http_spaces_metric_written,
                                    t->to - rec->room->written);
        rec->room->written = t->to;
    }

    if (!rec->failed && t->sync && !rec->closing) {
        ngx_http_spaces_recorder_synced(rec);
    }

    ngx_http_spaces_recorder_described(rec);

    rec->handler(rec->data);
}


static void
ngx_http_spaces_recorder_synced(ngx_http_spaces_recorder_t *rec)
{
    int64_t  time;

    if (rec->whole) {
        rec->room->synced = rec->synced;
    }

    time = ngx_http_spaces_monotonic() - rec->synced;

    ngx_http_spaces_metrics_observe(ngx_http_spaces_histogram_sync,
                                    (uint64_t) time * 1000);
}


/* an error of a task, told once */

static void
ngx_http_spaces_recorder_check(ngx_http_spaces_recorder_t *rec)
{
    ngx_http_spaces_recorder_task_t  *t;

    t = rec->task->ctx;

    if (t->failed == NULL) {
        return;
    }

    rec->failed = 1;

    ngx_http_spaces_log_error(NGX_LOG_CRIT, ngx_cycle->log, t->err,
                      "recording of space %V stops: %s failed under \"%V\"%s",
                      &rec->room->sn.str, t->failed, &rec->smcf->path,
                      ngx_http_spaces_recorder_no_space(rec)
                      ? "; free some space, or lower \"spaces_min_free\"" : "");

    t->failed = NULL;
}


static void
ngx_http_spaces_recorder_open_task(void *data, ngx_log_t *log)
{
    int                               flags;
    off_t                             size;
    ngx_http_spaces_recorder_task_t  *t = data;

    if (!t->resume) {

        if (ngx_http_spaces_free_disk(t->live, &size) != NGX_OK) {
            ngx_http_spaces_recorder_error(t, "statvfs() of live/");
            return;
        }

        /* a Redis that is older than the disk has told of an earlier life */

        if (access(t->recording, F_OK) == 0
            || access(t->held_json, F_OK) == 0)
        {
            ngx_set_errno(NGX_EEXIST);
            ngx_http_spaces_recorder_error(t, "a second recording of a Space");
            return;
        }

        /* now, for at the end there may be no space for a folder */

        if (ngx_http_spaces_make_folder(t->recording) != NGX_OK) {
            ngx_http_spaces_recorder_error(t, "mkdir() of recordings/<xx>");
            return;
        }

        if (size < t->min_free) {
            t->err = ENOSPC;
            t->failed = "the check of \"spaces_min_free\"";
            return;
        }

    }

    flags = O_RDWR|O_CLOEXEC;

    if (!t->resume) {
        flags |= O_CREAT|O_EXCL;

    } else if (t->starting) {
        flags |= O_CREAT;
    }

    t->fd = open(t->live, flags, NGX_FILE_OWNER_ACCESS);

    if (t->fd == NGX_INVALID_FILE && t->resume && ngx_errno == NGX_ENOENT) {

        /* the owner before had come as far as to publish it */

        t->fd = open(t->recording, O_RDWR|O_CLOEXEC);
    }

    if (t->fd == NGX_INVALID_FILE) {
        ngx_http_spaces_recorder_error(t, "open() of live/<id>.opus");
        return;
    }

    if ((!t->resume || t->starting)
        && ngx_http_spaces_write_file(t->live_json, t->document,
                                      t->document_len)
           != NGX_OK)
    {
        ngx_http_spaces_recorder_error(t, "writing live/<id>.json");

        if (!t->resume) {
            (void) unlink(t->live);
        }
    }
}


static void
ngx_http_spaces_recorder_write_task(void *data, ngx_log_t *log)
{
    ssize_t                           n;
    uint64_t                          at;
    ngx_http_spaces_recorder_task_t  *t = data;

    for (at = t->from; at < t->to; at += (uint64_t) n) {

        n = pwrite(t->fd, t->piece + (at - t->from), (size_t) (t->to - at),
                   (off_t) at);

        if (n == -1) {

            if (ngx_errno == NGX_EINTR) {
                n = 0;
                continue;
            }

            ngx_http_spaces_recorder_error(t, "pwrite()");
            return;
        }
    }

    if (t->sync && fdatasync(t->fd) == -1) {
        ngx_http_spaces_recorder_error(t, "fdatasync()");
        return;
    }

    /* if it can't be written now, it is with the next pages */

    if (t->describe
        && ngx_http_spaces_write_file(t->live_json, t->document,
                                      t->document_len)
           == NGX_OK)
    {
        t->describe = 0;
    }

    ngx_http_spaces_recorder_write_wave(t);
}


/*
 * Audio is what counts: whatever fails here is passed over.  The owner before
 * may have left a torn record.
 */

static void
ngx_http_spaces_recorder_write_wave(ngx_http_spaces_recorder_task_t *t)
{
    struct stat  st;

    if (t->wave_len == 0) {
        return;
    }

    if (t->wave_fd == NGX_INVALID_FILE) {
        t->wave_fd = open(t->live_wave, O_WRONLY|O_CREAT|O_APPEND|O_CLOEXEC,
                          NGX_FILE_OWNER_ACCESS);
    }

    if (t->wave_fd == NGX_INVALID_FILE || fstat(t->wave_fd, &st) == -1
        || (st.st_size % SPACES_WAVE_RECORD
            && ftruncate(t->wave_fd,
                         st.st_size - st.st_size % SPACES_WAVE_RECORD)
               == -1)
        || write(t->wave_fd, t->wave, t->wave_len) == -1)
    {
        ngx_set_errno(0);
    }

    t->wave_len = 0;
}


static void
ngx_http_spaces_recorder_close_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_recorder_task_t  *t = data;

    if (!t->repair) {
        ngx_http_spaces_recorder_write_task(t, log);

        if (t->failed == NULL) {
            return;
        }

        t->repair = 1;
    }

    if (ngx_http_spaces_recorder_repair(t) != NGX_OK) {
        t->size = 0;
        t->granule = 0;
    }
}


/* what got to the disk becomes a file of its own right */

static ngx_int_t
ngx_http_spaces_recorder_repair(ngx_http_spaces_recorder_task_t *t)
{
    spaces_ogg_tail_t  tail;

    if (t->fd == NGX_INVALID_FILE
        || spaces_ogg_tail_find(t->fd, &tail) != 0
        || spaces_ogg_tail_cut(t->fd, &tail) != 0
        || spaces_ogg_tail_close(t->fd, &tail) != 0)
    {
        return NGX_ERROR;
    }

    (void) fdatasync(t->fd);

    t->size = tail.end;
    t->granule = tail.granule;

    return NGX_OK;
}


static void
ngx_http_spaces_recorder_publish_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_recorder_task_t  *t = data;

    if (access(t->live, F_OK) == 0 && access(t->recording, F_OK) == 0) {
        ngx_set_errno(NGX_EEXIST);
        ngx_http_spaces_recorder_error(t, "a second recording of a Space");
        t->size = 0;
        return;
    }

    /* who began the recording may have died before it made the folder */

    if (ngx_http_spaces_make_folder(t->recording) != NGX_OK) {
        ngx_http_spaces_recorder_error(t, "mkdir() of recordings/<xx>");
        t->size = 0;
        return;
    }

    if (ngx_http_spaces_write_file(t->recording_json, t->document,
                                   t->document_len)
        != NGX_OK
        && (ngx_errno != ENOSPC
            || ngx_http_spaces_rewrite_file(t->live_json, t->recording_json,
                                            t->document, t->document_len)
               != NGX_OK))
    {
        ngx_http_spaces_recorder_error(t, "writing recordings/<id>.json");
        t->size = 0;
        return;
    }

    if (ngx_http_spaces_move_file(t->live, t->recording) != NGX_OK) {
        ngx_http_spaces_recorder_error(t, "rename() of live/<id>.opus");
        t->size = 0;
        return;
    }

    (void) rename(t->live_wave, t->recording_wave);
}


static void
ngx_http_spaces_recorder_forget_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_recorder_task_t  *t = data;

    ngx_http_spaces_sync_folder(t->recording);

    (void) unlink(t->live_wave);
    (void) unlink(t->live_json);

    ngx_http_spaces_sync_folder(t->live);
}
