
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_move.h"
#include "ngx_http_spaces_file.h"


/* how often a recording that is being moved is looked at, ms */
#define NGX_HTTP_SPACES_MOVE_PACE     20

/* and for how long; nor does anybody wait longer for the disk */
#define NGX_HTTP_SPACES_MOVE_TIMEOUT  5000

/* Redis is told again after, ms */
#define NGX_HTTP_SPACES_MOVE_RETELL   1000


struct ngx_http_spaces_move_s {
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_pool_t                   *pool;      /* of all that follows */
    ngx_event_t                   timer;
    ngx_thread_task_t            *task;

    ngx_http_spaces_move_e        kind;
    ngx_http_spaces_space_t      *space;
    ngx_http_spaces_paths_t       paths;
    ngx_str_t                     document;  /* for the disk */
    ngx_str_t                     action;
    ngx_str_t                     by;

    ngx_http_spaces_moved_pt      handler;
    void                         *data;

    int64_t                       until;     /* ms, monotonic */

    /* a settlement: what Redis has, NULL if nothing */
    ngx_http_spaces_space_t      *known;

    /* by the thread */
    ngx_int_t                     rc;
    ngx_err_t                     err;
    const char                   *failed;
    const char                   *found;     /* for the log */
    u_char                       *buffer;    /* a document of the disk */
    size_t                        size;
    unsigned                      purged:1;  /* by whoever, the reaper tells */
    unsigned                      gone:1;    /* Redis is to forget it */
    unsigned                      late:1;    /* held, which Redis missed */
};


static void ngx_http_spaces_move_claim(ngx_event_t *ev);
static void ngx_http_spaces_move_known(void *data, redisReply *reply);
static void ngx_http_spaces_move_renew(ngx_http_spaces_move_t *move,
    redisReply *reply);
static void ngx_http_spaces_move_post(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_move_slow(ngx_event_t *ev);
static void ngx_http_spaces_move_done(ngx_event_t *ev);
static ngx_int_t ngx_http_spaces_move_settled(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_move_tell(ngx_event_t *ev);
static void ngx_http_spaces_move_told(void *data, redisReply *reply);
static void ngx_http_spaces_move_count(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_move_answer(ngx_http_spaces_move_t *move,
    ngx_int_t rc);
static void ngx_http_spaces_move_free(ngx_http_spaces_move_t *move);

static void ngx_http_spaces_hold_task(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_spaces_move_decide(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_extend_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_amend_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_purge_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_lapse_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_forget_task(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_spaces_move_from_live(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_settle_task(void *data, ngx_log_t *log);

static void ngx_http_spaces_settle_held(ngx_http_spaces_move_t *move);
static ngx_int_t ngx_http_spaces_settle_reason(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_settle_available(ngx_http_spaces_move_t *move);
static ngx_int_t ngx_http_spaces_move_to_held(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_move_read(ngx_http_spaces_move_t *move,
    char *name);
static ngx_http_spaces_space_t *ngx_http_spaces_move_parse(
    ngx_http_spaces_move_t *move);
static ngx_int_t ngx_http_spaces_move_write(ngx_http_spaces_move_t *move,
    char *name);
static void ngx_http_spaces_move_failed(ngx_http_spaces_move_t *move,
    const char *failed);


#define ngx_http_spaces_is_there(name)  (access(name, F_OK) == 0)
#define ngx_http_spaces_is_full(err)    ((err) == ENOSPC || (err) == EDQUOT)


/* in the order of ngx_http_spaces_move_e */

static void (*ngx_http_spaces_move_tasks[])(void *data, ngx_log_t *log) = {
    ngx_http_spaces_hold_task,
    ngx_http_spaces_extend_task,
    ngx_http_spaces_amend_task,
    ngx_http_spaces_purge_task,
    ngx_http_spaces_lapse_task,
    ngx_http_spaces_forget_task,
    ngx_http_spaces_settle_task
};


ngx_http_spaces_move_t *
ngx_http_spaces_move(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_move_e kind, ngx_http_spaces_space_t *space,
    const char *action, ngx_str_t *by, ngx_http_spaces_moved_pt handler,
    void *data)
{
    ngx_pool_t              *pool;
    ngx_http_spaces_move_t  *move;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    move = ngx_pcalloc(pool, sizeof(ngx_http_spaces_move_t));
    if (move == NULL) {
        goto failed;
    }

    move->smcf = smcf;
    move->pool = pool;
    move->kind = kind;
    move->handler = handler;
    move->data = data;
    move->until = ngx_http_spaces_monotonic() + NGX_HTTP_SPACES_MOVE_TIMEOUT;

    move->document = ngx_http_spaces_space_document(space, pool);
    if (move->document.data == NULL) {
        goto failed;
    }

    move->space = ngx_http_spaces_space_parse(&move->document, pool);
    move->buffer = ngx_pnalloc(pool, NGX_HTTP_SPACES_DOCUMENT);
    move->task = ngx_thread_task_alloc(pool, 0);

    if (move->space == NULL || move->buffer == NULL || move->task == NULL
        || ngx_http_spaces_space_paths(&smcf->path, &move->space->id, pool,
                                       &move->paths)
           != NGX_OK)
    {
        goto failed;
    }

    if (action) {
        move->action.data = (u_char *) action;
        move->action.len = ngx_strlen(action);
        move->by.data = ngx_pstrdup(pool, by);

        if (move->by.data == NULL && by->len) {
            goto failed;
        }

        move->by.len = by->len;
    }

    move->task->ctx = move;
    move->task->handler = ngx_http_spaces_move_tasks[kind];
    move->task->event.handler = ngx_http_spaces_move_done;
    move->task->event.data = move;

    move->timer.handler = ngx_http_spaces_move_claim;
    move->timer.data = move;
    move->timer.log = ngx_cycle->log;

    /* the handler is never called before this returns */

    ngx_add_timer(&move->timer, 0);

    return move;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


void
ngx_http_spaces_move_leave(ngx_http_spaces_move_t *move)
{
    move->handler = NULL;
}


static void
ngx_http_spaces_move_claim(ngx_event_t *ev)
{
    ngx_str_t                argv[2];
    ngx_uint_t               recording;
    ngx_http_spaces_move_t  *move = ev->data;

    /* from here on nobody replays what is going to be held */

    recording = move->kind == ngx_http_spaces_move_hold
                ? move->space->recording : NGX_HTTP_SPACES_NONE;

    if (ngx_http_spaces_zone_claim(move->smcf->zone, &move->space->id,
                                   recording)
        != NGX_OK)
    {
        if (!ngx_exiting && ngx_http_spaces_monotonic() < move->until) {
            ngx_add_timer(&move->timer, NGX_HTTP_SPACES_MOVE_PACE);
            return;
        }

        ngx_http_spaces_move_answer(move, NGX_BUSY);
        ngx_destroy_pool(move->pool);
        return;
    }

    if (recording) {
        ngx_http_spaces_store_changed(move->smcf, &move->space->id);
    }

    if (move->kind != ngx_http_spaces_move_settle
        && move->kind != ngx_http_spaces_move_hold)
    {
        ngx_http_spaces_move_post(move);
        return;
    }

    ngx_str_set(&argv[0], "HGETALL");
    argv[1] = ngx_http_spaces_space_key(move->smcf, move->pool,
                                        &move->space->id);

    if (argv[1].data == NULL
        || ngx_http_spaces_redis_command(move->smcf->redis, 2, argv,
                                         ngx_http_spaces_move_known, move)
           == NULL)
    {
        ngx_http_spaces_move_known(move, NULL);
    }
}


static void
ngx_http_spaces_move_known(void *data, redisReply *reply)
{
    ngx_http_spaces_move_t  *move = data;

    if (move->kind == ngx_http_spaces_move_hold) {

        /* a deletion doesn't wait for Redis */

        if (reply) {
            ngx_http_spaces_move_renew(move, reply);
        }

        ngx_http_spaces_move_post(move);
        return;
    }

    if (reply == NULL) {
        ngx_http_spaces_move_answer(move, NGX_BUSY);
        ngx_http_spaces_move_free(move);
        return;
    }

    move->known = ngx_http_spaces_store_space(reply, move->pool);

    if (move->known) {
        move->document = ngx_http_spaces_space_document(move->known,
                                                        move->pool);
    }

    ngx_http_spaces_move_post(move);
}


/*
 * What the host may have changed since the Space was asked for: the lists that
 * it is in by then are those that it is to leave.
 */

static void
ngx_http_spaces_move_renew(ngx_http_spaces_move_t *move, redisReply *reply)
{
    ngx_str_t                 document;
    ngx_http_spaces_space_t  *known;

    known = ngx_http_spaces_store_space(reply, move->pool);
    if (known == NULL) {
        return;
    }

    move->space->title = known->title;
    move->space->topics = known->topics;
    move->space->language = known->language;

    document = ngx_http_spaces_space_document(move->space, move->pool);

    if (document.data) {
        move->document = document;
    }
}


static void
ngx_http_spaces_move_post(ngx_http_spaces_move_t *move)
{
    if (ngx_thread_task_post(move->smcf->thread_pool, move->task) != NGX_OK) {
        ngx_http_spaces_move_answer(move, NGX_ERROR);
        ngx_http_spaces_move_free(move);
        return;
    }

    /* a worker that leaves need not stay: the reaper finds the claim */

    move->timer.cancelable = 1;
    move->timer.handler = ngx_http_spaces_move_slow;

    ngx_add_timer(&move->timer, NGX_HTTP_SPACES_MOVE_TIMEOUT);
}


/* a disk that stalls: the move goes on when it does */

static void
ngx_http_spaces_move_slow(ngx_event_t *ev)
{
    ngx_http_spaces_move_t  *move = ev->data;

    ngx_http_spaces_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "space %V: its recording is to be moved, and the disk "
                      "under \"%V\" is too slow or stalled", &move->space->id,
                      &move->smcf->path);

    ngx_http_spaces_move_answer(move, NGX_BUSY);
}


static void
ngx_http_spaces_move_done(ngx_event_t *ev)
{
    ngx_http_spaces_move_t  *move = ev->data;

    if (move->timer.timer_set) {
        ngx_del_timer(&move->timer);
    }

    if (move->failed) {
        ngx_http_spaces_log_error(NGX_LOG_ERR, ngx_cycle->log, move->err,
                      "space %V: the %s failed under \"%V\"",
                      &move->space->id, move->failed, &move->smcf->path);

        ngx_http_spaces_move_answer(move, NGX_ERROR);
        ngx_http_spaces_move_free(move);
        return;
    }

    if (move->found) {
        ngx_http_spaces_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "space %V: %s under \"%V\"", &move->space->id,
                      move->found, &move->smcf->path);
    }

    if (move->rc != NGX_OK
        || (move->size && ngx_http_spaces_move_settled(move) != NGX_OK))
    {
        ngx_http_spaces_move_answer(move, NGX_DECLINED);
        ngx_http_spaces_move_free(move);
        return;
    }

    if (move->kind == ngx_http_spaces_move_amend) {
        ngx_http_spaces_move_answer(move, NGX_OK);
        ngx_http_spaces_move_free(move);
        return;
    }

    if (move->purged) {
        ngx_str_set(&move->action, "purge");
        ngx_str_set(&move->by, "reaper");

    } else if (move->late) {

        /* who did it was to be told by a worker that is gone */

        if (move->space->recording == NGX_HTTP_SPACES_EXPIRED) {
            ngx_str_set(&move->action, "expire");

        } else {
            ngx_str_set(&move->action, "delete");
        }

        ngx_str_set(&move->by, "reconcile");
    }

    if (move->kind == ngx_http_spaces_move_purge || move->purged) {
        move->gone = 1;
    }

    move->timer.handler = ngx_http_spaces_move_tell;

    ngx_http_spaces_move_tell(&move->timer);
}


/* what the disk has is what Redis is to have; NGX_DECLINED if it has that */

static ngx_int_t
ngx_http_spaces_move_settled(ngx_http_spaces_move_t *move)
{
    ngx_http_spaces_space_t  *space;

    space = ngx_http_spaces_move_parse(move);

    if (space == NULL) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "space %V: its .json under \"%V\" is no description of "
                      "a Space; it is left as it is", &move->space->id,
                      &move->smcf->path);
        return NGX_DECLINED;
    }

    if (move->known && move->known->recording == space->recording
        && move->known->hold_until == space->hold_until
        && ngx_http_spaces_store_is_here(move->smcf, move->known))
    {
        return NGX_DECLINED;
    }

    /* the name that it was written under may have been another */

    space->node = move->smcf->node;

    if (move->known) {
        space->replays = move->known->replays;

        move->late = (!ngx_http_spaces_is_held(move->known)
                      && ngx_http_spaces_is_held(space));
    }

    move->space = space;

    return NGX_OK;
}


static void
ngx_http_spaces_move_tell(ngx_event_t *ev)
{
    ngx_int_t                rc;
    ngx_pool_t              *pool;
    ngx_array_t             *commands;
    ngx_http_spaces_move_t  *move = ev->data;

    /* of its own: it may be told many times */

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        ngx_http_spaces_move_told(move, NULL);
        return;
    }

    commands = ngx_array_create(pool, 16, sizeof(ngx_array_t));

    if (commands == NULL) {
        rc = NGX_ERROR;

    } else if (move->gone) {
        rc = ngx_http_spaces_store_add_removal(move->smcf, commands,
                                               move->space);

    } else {
        rc = ngx_http_spaces_store_add_space(move->smcf, commands,
                                             move->space);
    }

    if (rc == NGX_OK && move->action.len) {
        rc = ngx_http_spaces_store_add_audit(move->smcf, commands,
                                             &move->space->id, &move->action,
                                             &move->by);
    }

    if (rc != NGX_OK
        || ngx_http_spaces_redis_transaction(move->smcf->redis, commands,
                                             ngx_http_spaces_move_told, move)
           == NULL)
    {
        ngx_http_spaces_move_told(move, NULL);
    }

    ngx_destroy_pool(pool);
}


static void
ngx_http_spaces_move_told(void *data, redisReply *reply)
{
    ngx_uint_t               told;
    ngx_http_spaces_move_t  *move = data;

    told = (reply && reply->type == REDIS_REPLY_ARRAY);

    ngx_http_spaces_store_changed(move->smcf, &move->space->id);

    if (!told && move->kind == ngx_http_spaces_move_forget && move->gone) {

        /* there is nothing on the disk that would say so at the next start */

        ngx_http_spaces_move_answer(move, NGX_ABORT);
        ngx_http_spaces_move_free(move);
        return;
    }

    /* it is made, whether or not Redis knows yet */

    ngx_http_spaces_move_answer(move, NGX_OK);

    if (told) {
        ngx_http_spaces_move_count(move);
        ngx_http_spaces_move_free(move);
        return;
    }

    ngx_add_timer(&move->timer, NGX_HTTP_SPACES_MOVE_RETELL);
}


static void
ngx_http_spaces_move_count(ngx_http_spaces_move_t *move)
{
    ngx_http_spaces_metric_e  event;

    switch (move->kind) {

    case ngx_http_spaces_move_forget:

        if (move->gone) {
            return;
        }

        /* fall through */

    case ngx_http_spaces_move_hold:
        event = move->space->recording == NGX_HTTP_SPACES_EXPIRED
                ? ngx_http_spaces_metric_expired
                : ngx_http_spaces_metric_deleted;
        break;

    case ngx_http_spaces_move_lapse:

        if (!move->purged) {
            return;
        }

        /* fall through */

    case ngx_http_spaces_move_purge:
        event = ngx_http_spaces_metric_purged;
        break;

    default:
        return;
    }

    ngx_http_spaces_metrics_recording(event, move->space->bytes);
}


static void
ngx_http_spaces_move_answer(ngx_http_spaces_move_t *move, ngx_int_t rc)
{
    ngx_http_spaces_moved_pt  handler;

    handler = move->handler;
    move->handler = NULL;

    if (handler) {
        handler(move->data, rc, move->space);
    }
}


static void
ngx_http_spaces_move_free(ngx_http_spaces_move_t *move)
{
    ngx_http_spaces_zone_release(move->smcf->zone, &move->space->id);

    ngx_destroy_pool(move->pool);
}


/* in threads */

static void
ngx_http_spaces_hold_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t  *move = data;

    if (!ngx_http_spaces_is_there(move->paths.recording)) {

        if (ngx_http_spaces_is_there(move->paths.held_json)) {

            /* somebody was first: it is held as they said, and all of it */

            if (ngx_http_spaces_move_to_held(move) == NGX_OK) {
                ngx_http_spaces_move_read(move, move->paths.held_json);
            }

            return;
        }

        move->rc = NGX_DECLINED;
        return;
    }

    if (ngx_http_spaces_move_decide(move) == NGX_OK) {
        (void) ngx_http_spaces_move_to_held(move);
    }
}


/*
 * A description in held/ is the decision.  On a full disk it is the one that
 * there is, whose words follow.
 */

static ngx_int_t
ngx_http_spaces_move_decide(ngx_http_spaces_move_t *move)
{
    if (ngx_http_spaces_write_file(move->paths.held_json, move->document.data,
                                   move->document.len)
        == NGX_OK)
    {
        return NGX_OK;
    }

    if (ngx_http_spaces_is_full(ngx_errno)) {
        (void) rename(move->paths.recording_json, move->paths.held_json);
    }

    return ngx_http_spaces_move_write(move, move->paths.held_json);
}


static void
ngx_http_spaces_extend_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t  *move = data;

    if (!ngx_http_spaces_is_there(move->paths.held_json)) {
        move->rc = NGX_DECLINED;
        return;
    }

    if (ngx_http_spaces_move_write(move, move->paths.held_json) == NGX_OK) {
        ngx_http_spaces_sync_folder(move->paths.held);
    }
}


/* of what is held only the words: until when it is, is not for them to say */

static void
ngx_http_spaces_amend_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t   *move = data;
    ngx_http_spaces_space_t  *space;

    if (ngx_http_spaces_is_there(move->paths.recording)) {
        (void) ngx_http_spaces_move_write(move, move->paths.recording_json);
        return;
    }

    if (!ngx_http_spaces_is_there(move->paths.held_json)) {
        move->rc = NGX_DECLINED;
        return;
    }

    ngx_http_spaces_move_read(move, move->paths.held_json);

    if (move->failed) {
        return;
    }

    space = ngx_http_spaces_move_parse(move);
    move->size = 0;

    if (space == NULL) {
        move->rc = NGX_DECLINED;
        return;
    }

    space->title = move->space->title;
    space->topics = move->space->topics;
    space->language = move->space->language;

    move->document = ngx_http_spaces_space_document(space, move->pool);

    if (move->document.data == NULL) {
        move->rc = NGX_DECLINED;
        return;
    }

    (void) ngx_http_spaces_move_write(move, move->paths.held_json);
}


/* the description goes last: while it is there, it is known what is left */

static void
ngx_http_spaces_purge_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t  *move = data;

    if (ngx_http_spaces_is_there(move->paths.held_json)) {

        /* whoever goes on with it finds its time over */

        if (ngx_http_spaces_move_write(move, move->paths.held_json)
            != NGX_OK)
        {
            return;
        }

    } else if (ngx_http_spaces_is_there(move->paths.recording)) {

        /* not held yet: what Redis says is older than this */

        move->rc = NGX_DECLINED;
        return;
    }

    if (unlink(move->paths.held) == -1 && ngx_errno != NGX_ENOENT) {
        ngx_http_spaces_move_failed(move, "removal of held/<id>.opus");
        return;
    }

    if ((unlink(move->paths.held_wave) == -1 && ngx_errno != NGX_ENOENT)
        || (unlink(move->paths.recording_wave) == -1
            && ngx_errno != NGX_ENOENT))
    {
        ngx_http_spaces_move_failed(move, "removal of <id>.wave");
        return;
    }

    ngx_http_spaces_sync_folder(move->paths.held);

    if (unlink(move->paths.held_json) == -1 && ngx_errno != NGX_ENOENT) {
        ngx_http_spaces_move_failed(move, "removal of held/<id>.json");
    }
}


/* a Redis that lost its last words may know of an earlier day */

static void
ngx_http_spaces_lapse_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t   *move = data;
    ngx_http_spaces_space_t  *space;

    if (ngx_http_spaces_is_there(move->paths.held_json)) {

        ngx_http_spaces_move_read(move, move->paths.held_json);

        if (move->failed) {
            return;
        }

        space = ngx_http_spaces_move_parse(move);

        if (space && space->hold_until > ngx_http_spaces_now()) {
            return;
        }

        move->size = 0;
    }

    ngx_http_spaces_purge_task(move, log);

    move->purged = (move->rc == NGX_OK && move->failed == NULL);
}


/*
 * A Space without a recording; but for audio that could not be published when
 * it ended, which the next start would do: that is held like any other.
 */

static void
ngx_http_spaces_forget_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t   *move = data;
    ngx_http_spaces_paths_t  *paths;

    paths = &move->paths;

    if (ngx_http_spaces_is_there(paths->recording)) {

        /* it was published since */

        ngx_http_spaces_hold_task(data, log);
        return;
    }

    if (!ngx_http_spaces_is_there(paths->live)) {
        (void) unlink(paths->recording_json);
        (void) unlink(paths->live_wave);
        (void) unlink(paths->live_json);

        move->gone = 1;
        move->action.len = 0;
        move->space->recording = NGX_HTTP_SPACES_NONE;
        return;
    }

    if (ngx_http_spaces_move_decide(move) == NGX_OK) {
        (void) ngx_http_spaces_move_from_live(move);
    }
}


/* of what was never published, once that is decided */

static ngx_int_t
ngx_http_spaces_move_from_live(ngx_http_spaces_move_t *move)
{
    ngx_http_spaces_paths_t  *paths;

    paths = &move->paths;

    (void) unlink(paths->recording_json);

    if (ngx_http_spaces_move_file(paths->live, paths->held) != NGX_OK) {
        ngx_http_spaces_move_failed(move, "rename() to held/<id>.opus");
        return NGX_ERROR;
    }

    (void) rename(paths->live_wave, paths->held_wave);
    (void) unlink(paths->live_json);

    ngx_http_spaces_sync_folder(paths->held);
    ngx_http_spaces_sync_folder(paths->live);

    return NGX_OK;
}


/*
 * A decision is on the disk before it is carried out: a description in held/
 * says that the audio belongs there.
 */

static void
ngx_http_spaces_settle_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t   *move = data;
    ngx_http_spaces_paths_t  *paths;

    paths = &move->paths;

    if (ngx_http_spaces_is_there(paths->live)) {

        if (!ngx_http_spaces_is_there(paths->held_json)) {

            /* the recovery's */

            move->rc = NGX_DECLINED;
            return;
        }

        if (ngx_http_spaces_move_from_live(move) != NGX_OK) {
            return;
        }
    }

    if (ngx_http_spaces_is_there(paths->held_json)
        || ngx_http_spaces_is_there(paths->held))
    {
        ngx_http_spaces_settle_held(move);
        return;
    }

    if (ngx_http_spaces_is_there(paths->recording)) {
        ngx_http_spaces_settle_available(move);
        return;
    }

    (void) unlink(paths->recording_wave);
    (void) unlink(paths->recording_json);

    /* what another node has it need not have here */

    if (move->known == NULL
        || !ngx_http_spaces_store_is_here(move->smcf, move->known))
    {
        move->rc = NGX_DECLINED;
        return;
    }

    if (ngx_http_spaces_is_held(move->known)) {
        move->space = move->known;
        move->purged = 1;
        return;
    }

    if (move->known->recording != NGX_HTTP_SPACES_AVAILABLE) {
        move->rc = NGX_DECLINED;
        return;
    }

    move->found = "Redis had a recording that isn't there any more";

    move->space = move->known;
    move->space->recording = NGX_HTTP_SPACES_NONE;
    move->space->bytes = 0;
}


static void
ngx_http_spaces_settle_held(ngx_http_spaces_move_t *move)
{
    if (!ngx_http_spaces_is_there(move->paths.held_json)) {

        if (move->known == NULL
            || move->known->recording < NGX_HTTP_SPACES_DELETED)
        {
            move->found = "nothing is known of held/<id>.opus, which is left "
                          "as it is";
            move->rc = NGX_DECLINED;
            return;
        }

        if (ngx_http_spaces_move_write(move, move->paths.held_json)
            != NGX_OK)
        {
            return;
        }
    }

    ngx_http_spaces_move_read(move, move->paths.held_json);

    if (move->failed || ngx_http_spaces_settle_reason(move) != NGX_OK) {
        return;
    }

    (void) ngx_http_spaces_move_to_held(move);

    /* of what was never published this may be left */

    (void) rename(move->paths.live_wave, move->paths.held_wave);
    (void) unlink(move->paths.live_json);
}


/* a decision on a full disk that got no further: what it was is known */

static ngx_int_t
ngx_http_spaces_settle_reason(ngx_http_spaces_move_t *move)
{
    ngx_http_spaces_space_t  *space;

    space = ngx_http_spaces_move_parse(move);

    if (space == NULL || space->recording != NGX_HTTP_SPACES_AVAILABLE) {
        return NGX_OK;
    }

    space->held_at = ngx_http_spaces_now();
    space->recording = NGX_HTTP_SPACES_DELETED;

    if (space->expires_at <= space->held_at) {
        space->held_at = space->expires_at;
        space->recording = NGX_HTTP_SPACES_EXPIRED;
    }

    space->hold_until = space->held_at + space->hold * 1000;

    move->document = ngx_http_spaces_space_document(space, move->pool);

    if (move->document.data == NULL
        || move->document.len > NGX_HTTP_SPACES_DOCUMENT)
    {
        move->rc = NGX_DECLINED;
        return NGX_ERROR;
    }

    move->size = move->document.len;
    ngx_memcpy(move->buffer, move->document.data, move->size);

    return ngx_http_spaces_move_write(move, move->paths.held_json);
}


static void
ngx_http_spaces_settle_available(ngx_http_spaces_move_t *move)
{
    if (ngx_http_spaces_is_there(move->paths.recording_json)) {
        ngx_http_spaces_move_read(move, move->paths.recording_json);
        return;
    }

    if (move->known == NULL
        || move->known->recording != NGX_HTTP_SPACES_AVAILABLE)
    {
        move->found = "nothing is known of recordings/<xx>/<id>.opus, which "
                      "is left as it is";
        move->rc = NGX_DECLINED;
        return;
    }

    if (ngx_http_spaces_move_write(move, move->paths.recording_json) == NGX_OK)
    {
        move->rc = NGX_DECLINED;
    }
}


/* the one rename, and what is left of the record before */

static ngx_int_t
ngx_http_spaces_move_to_held(ngx_http_spaces_move_t *move)
{
    if (ngx_http_spaces_is_there(move->paths.recording)
        && ngx_http_spaces_move_file(move->paths.recording, move->paths.held)
           != NGX_OK)
    {
        ngx_http_spaces_move_failed(move, "rename() to held/<id>.opus");
        return NGX_ERROR;
    }

    /* it follows: where it can't it is removed with the audio, at last */

    (void) rename(move->paths.recording_wave, move->paths.held_wave);

    ngx_http_spaces_sync_folder(move->paths.held);

    if (unlink(move->paths.recording_json) == 0) {
        ngx_http_spaces_sync_folder(move->paths.recording);
    }

    return NGX_OK;
}


static void
ngx_http_spaces_move_read(ngx_http_spaces_move_t *move, char *name)
{
    move->size = NGX_HTTP_SPACES_DOCUMENT;

    if (ngx_http_spaces_read_file(name, move->buffer, &move->size) != NGX_OK) {
        ngx_http_spaces_move_failed(move, "reading of <id>.json");
    }
}


static ngx_http_spaces_space_t *
ngx_http_spaces_move_parse(ngx_http_spaces_move_t *move)
{
    ngx_str_t  document;

    document.data = move->buffer;
    document.len = move->size;

    return ngx_http_spaces_space_parse(&document, move->pool);
}


static ngx_int_t
ngx_http_spaces_move_write(ngx_http_spaces_move_t *move, char *name)
{
    ngx_err_t  err;

    if (ngx_http_spaces_write_file(name, move->document.data,
                                   move->document.len)
        == NGX_OK)
    {
        return NGX_OK;
    }

    err = ngx_errno;

    if (ngx_http_spaces_is_full(err)
        && ngx_http_spaces_rewrite_file(name, name, move->document.data,
                                        move->document.len)
           == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_set_errno(err);
    ngx_http_spaces_move_failed(move, "writing of <id>.json");

    return NGX_ERROR;
}


static void
ngx_http_spaces_move_failed(ngx_http_spaces_move_t *move, const char *failed)
{
    move->err = ngx_errno;
    move->failed = failed;
}
