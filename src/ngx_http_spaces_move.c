
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_move_task.h"


/* how often a recording that is being moved is looked at, ms */
#define NGX_HTTP_SPACES_MOVE_PACE     20

/* and for how long; nor does anybody wait longer for the disk */
#define NGX_HTTP_SPACES_MOVE_TIMEOUT  5000

/* Redis is told again after, ms */
#define NGX_HTTP_SPACES_MOVE_RETELL   1000


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
    move->task->handler = ngx_http_spaces_move_task(kind);
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
