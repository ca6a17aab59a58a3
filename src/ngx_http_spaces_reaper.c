
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_reaper.h"
#include "ngx_http_spaces_file.h"
#include "ngx_http_spaces_recovery.h"
#include "ngx_http_spaces_store.h"


#define NGX_HTTP_SPACES_REAPER_PACE   1000     /* ms */
#define NGX_HTTP_SPACES_REAPER_BATCH  16


typedef struct {
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_event_t                   timer;
    ngx_uint_t                    busy;        /* Spaces under way */
} ngx_http_spaces_reaper_t;


/* a Space that is due; all its memory is of its pool */

typedef struct {
    ngx_http_spaces_reaper_t     *reaper;
    ngx_pool_t                   *pool;
    ngx_str_t                     id;
    ngx_http_spaces_space_t      *space;
    ngx_str_t                     document;

    char                         *recording;
    char                         *recording_json;
    char                         *held;
    char                         *held_json;

    ngx_err_t                     err;
    const char                   *failed;
} ngx_http_spaces_due_t;


static void ngx_http_spaces_reaper_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_spaces_reaper_is_mine(
    ngx_http_spaces_reaper_t *reaper);
static void ngx_http_spaces_reaper_list(void *data, redisReply *reply);
static void ngx_http_spaces_reaper_space(void *data, redisReply *reply);
static void ngx_http_spaces_reaper_decide(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_expire(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_end(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_files(ngx_http_spaces_due_t *due,
    void (*handler)(void *data, ngx_log_t *log), void (*done)(ngx_event_t *));
static void ngx_http_spaces_reaper_expire_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_reaper_purge_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_reaper_expired(ngx_event_t *ev);
static void ngx_http_spaces_reaper_purged(ngx_event_t *ev);
static void ngx_http_spaces_reaper_save(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_saved(void *data, ngx_uint_t ok);
static void ngx_http_spaces_reaper_forget(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_forgotten(void *data, redisReply *reply);
static void ngx_http_spaces_reaper_done(ngx_http_spaces_due_t *due);


ngx_int_t
ngx_http_spaces_reaper_start(ngx_http_spaces_main_conf_t *smcf)
{
    ngx_http_spaces_reaper_t  *reaper;

    reaper = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_spaces_reaper_t));
    if (reaper == NULL) {
        return NGX_ERROR;
    }

    reaper->smcf = smcf;
    reaper->timer.handler = ngx_http_spaces_reaper_handler;
    reaper->timer.data = reaper;
    reaper->timer.log = ngx_cycle->log;
    reaper->timer.cancelable = 1;

    ngx_add_timer(&reaper->timer, NGX_HTTP_SPACES_REAPER_PACE);

    return NGX_OK;
}


static void
ngx_http_spaces_reaper_handler(ngx_event_t *ev)
{
    ngx_str_t                     argv[7];
    ngx_pool_t                   *pool;
    ngx_http_spaces_reaper_t     *reaper = ev->data;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = reaper->smcf;

    ngx_add_timer(&reaper->timer, NGX_HTTP_SPACES_REAPER_PACE);

    /* if the worker that had begun it is gone */

    if (!ngx_exiting) {
        (void) ngx_http_spaces_recovery_start(smcf);
    }

    if (!ngx_http_spaces_reaper_is_mine(reaper) || reaper->busy
        || !ngx_http_spaces_redis_ready(smcf->redis))
    {
        return;
    }

    pool = ngx_create_pool(2 * NGX_MAX_PATH, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    ngx_str_set(&argv[0], "ZRANGEBYSCORE");
    argv[1] = ngx_http_spaces_redis_key(smcf, pool, "due:%V", &smcf->node);
    ngx_str_set(&argv[2], "-inf");
    argv[3] = ngx_http_spaces_number(pool, ngx_http_spaces_now() / 1000);
    ngx_str_set(&argv[4], "LIMIT");
    ngx_str_set(&argv[5], "0");
    argv[6] = ngx_http_spaces_number(pool, NGX_HTTP_SPACES_REAPER_BATCH);

    if (ngx_http_spaces_redis_command(smcf->redis, 7, argv,
                                      ngx_http_spaces_reaper_list, reaper))
    {
        reaper->busy++;
    }

    ngx_destroy_pool(pool);
}


static ngx_uint_t
ngx_http_spaces_reaper_is_mine(ngx_http_spaces_reaper_t *reaper)
{
    ngx_atomic_t       *owner;
    ngx_atomic_uint_t   pid;

    owner = &reaper->smcf->zone->sh->reaper;
    pid = *owner;

    if (ngx_exiting) {

        if (pid == (ngx_atomic_uint_t) ngx_pid && reaper->busy == 0) {
            *owner = 0;
        }

        return 0;
    }

    if (pid == (ngx_atomic_uint_t) ngx_pid) {
        return 1;
    }

    return (pid == 0 || !ngx_http_spaces_alive(pid))
           && ngx_atomic_cmp_set(owner, pid, ngx_pid);
}


static void
ngx_http_spaces_reaper_list(void *data, redisReply *reply)
{
    size_t                        i;
    ngx_str_t                     id, argv[2];
    ngx_pool_t                   *pool;
    ngx_http_spaces_due_t        *due;
    ngx_http_spaces_reaper_t     *reaper = data;
    ngx_http_spaces_main_conf_t  *smcf;

    reaper->busy--;
    smcf = reaper->smcf;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        return;
    }

    for (i = 0; i < reply->elements; i++) {

        if (reply->element[i]->type != REDIS_REPLY_STRING) {
            continue;
        }

        id.data = (u_char *) reply->element[i]->str;
        id.len = reply->element[i]->len;

        pool = ngx_create_pool(4096, ngx_cycle->log);
        if (pool == NULL) {
            return;
        }

        due = ngx_pcalloc(pool, sizeof(ngx_http_spaces_due_t));

        if (due == NULL
            || (due->id.data = ngx_pstrdup(pool, &id)) == NULL)
        {
            ngx_destroy_pool(pool);
            return;
        }

        due->id.len = id.len;
        due->pool = pool;
        due->reaper = reaper;

        ngx_str_set(&argv[0], "HGETALL");
        argv[1] = ngx_http_spaces_space_key(smcf, pool, &id);

        if (argv[1].data == NULL
            || ngx_http_spaces_redis_command(smcf->redis, 2, argv,
                                             ngx_http_spaces_reaper_space,
                                             due)
               == NULL)
        {
            ngx_destroy_pool(pool);
            return;
        }

        reaper->busy++;
    }
}


static void
ngx_http_spaces_reaper_space(void *data, redisReply *reply)
{
    ngx_str_t              *path;
    ngx_http_spaces_due_t  *due = data;

    if (reply == NULL) {
        ngx_http_spaces_reaper_done(due);
        return;
    }

    due->space = ngx_http_spaces_store_space(reply, due->pool);

    if (due->space == NULL) {

        /* an id that nothing is known of */

        due->space = ngx_pcalloc(due->pool, sizeof(ngx_http_spaces_space_t));

        if (due->space) {
            due->space->id = due->id;
            ngx_http_spaces_reaper_forget(due);

        } else {
            ngx_http_spaces_reaper_done(due);
        }

        return;
    }

    path = &due->reaper->smcf->path;

    due->recording = (char *) ngx_http_spaces_recording_path(path, &due->id,
                                                  ".opus", due->pool).data;
    due->recording_json = (char *) ngx_http_spaces_recording_path(path,
                                       &due->id, ".json", due->pool).data;
    due->held = (char *) ngx_http_spaces_held_path(path, &due->id, ".opus",
                                                   due->pool).data;
    due->held_json = (char *) ngx_http_spaces_held_path(path, &due->id,
                                                  ".json", due->pool).data;

    if (due->recording == NULL || due->recording_json == NULL
        || due->held == NULL || due->held_json == NULL)
    {
        ngx_http_spaces_reaper_done(due);
        return;
    }

    ngx_http_spaces_reaper_decide(due);
}


static void
ngx_http_spaces_reaper_decide(ngx_http_spaces_due_t *due)
{
    ngx_http_spaces_room_info_t   info;
    ngx_http_spaces_space_t      *space;

    space = due->space;

    if (ngx_http_spaces_zone_info(due->reaper->smcf->zone, &due->id, &info)
        == NGX_OK)
    {
        /* it lives, and will set its own date */
        ngx_http_spaces_reaper_done(due);
        return;
    }

    if (space->state == NGX_HTTP_SPACES_LIVE) {
        ngx_http_spaces_reaper_end(due);
        return;
    }

    switch (space->recording) {

    case NGX_HTTP_SPACES_AVAILABLE:
        ngx_http_spaces_reaper_expire(due);
        return;

    case NGX_HTTP_SPACES_DELETED:
    case NGX_HTTP_SPACES_EXPIRED:
        ngx_http_spaces_reaper_files(due, ngx_http_spaces_reaper_purge_task,
                                     ngx_http_spaces_reaper_purged);
        return;

    default: /* never recorded, or never begun */
        ngx_http_spaces_reaper_forget(due);
    }
}


/* Redis says live, but nothing of it is left here */

static void
ngx_http_spaces_reaper_end(ngx_http_spaces_due_t *due)
{
    due->space->state = NGX_HTTP_SPACES_ENDED;
    due->space->recording = NGX_HTTP_SPACES_NONE;
    due->space->ended_at = ngx_http_spaces_now();
    due->space->expires_at = due->space->ended_at
                             + due->space->replay_ttl * 1000;

    ngx_http_spaces_reaper_save(due);
}


static void
ngx_http_spaces_reaper_expire(ngx_http_spaces_due_t *due)
{
    ngx_http_spaces_space_t  *space;

    space = due->space;

    space->recording = NGX_HTTP_SPACES_EXPIRED;
    space->hold_until = space->expires_at + space->hold * 1000;

    due->document = ngx_http_spaces_space_document(space, due->pool);

    if (due->document.data == NULL) {
        ngx_http_spaces_reaper_done(due);
        return;
    }

    ngx_http_spaces_reaper_files(due, ngx_http_spaces_reaper_expire_task,
                                 ngx_http_spaces_reaper_expired);
}


static void
ngx_http_spaces_reaper_files(ngx_http_spaces_due_t *due,
    void (*handler)(void *data, ngx_log_t *log), void (*done)(ngx_event_t *))
{
    ngx_thread_task_t  *task;

    /* the thread finds its Space through the task's context */

    task = ngx_thread_task_alloc(due->pool, 0);
    if (task == NULL) {
        ngx_http_spaces_reaper_done(due);
        return;
    }

    task->ctx = due;
    task->handler = handler;
    task->event.handler = done;
    task->event.data = due;

    if (ngx_thread_task_post(due->reaper->smcf->thread_pool, task) != NGX_OK) {
        ngx_http_spaces_reaper_done(due);
    }
}


static void
ngx_http_spaces_reaper_expire_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_due_t  *due = data;

    if (ngx_http_spaces_write_file(due->held_json, due->document.data,
                                   due->document.len)
        != NGX_OK)
    {
        due->err = ngx_errno;
        due->failed = "writing of held/<id>.json";
        return;
    }

    if (ngx_http_spaces_move_file(due->recording, due->held) != NGX_OK) {
        due->err = ngx_errno;

        if (due->err != NGX_ENOENT) {
            due->failed = "move to held/<id>.opus";
            return;
        }

        /* somebody took the file away: there is nothing to hold */

        due->err = 0;
    }

    (void) unlink(due->recording_json);

    ngx_http_spaces_sync_folder(due->held);
    ngx_http_spaces_sync_folder(due->recording);
}


static void
ngx_http_spaces_reaper_purge_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_due_t  *due = data;

    if (unlink(due->held) == -1 && ngx_errno != NGX_ENOENT) {
        due->err = ngx_errno;
        due->failed = "removal of held/<id>.opus";
        return;
    }

    (void) unlink(due->held_json);

    ngx_http_spaces_sync_folder(due->held);
}


static void
ngx_http_spaces_reaper_expired(ngx_event_t *ev)
{
    ngx_http_spaces_due_t  *due = ev->data;

    if (due->failed) {
        ngx_http_spaces_reaper_done(due);
        return;
    }

    ngx_http_spaces_reaper_save(due);
}


static void
ngx_http_spaces_reaper_purged(ngx_event_t *ev)
{
    ngx_http_spaces_due_t  *due = ev->data;

    if (due->failed) {
        ngx_http_spaces_reaper_done(due);
        return;
    }

    ngx_http_spaces_reaper_forget(due);
}


static void
ngx_http_spaces_reaper_save(ngx_http_spaces_due_t *due)
{
    if (ngx_http_spaces_store_save(due->reaper->smcf, due->space,
                                   ngx_http_spaces_reaper_saved, due)
        != NGX_OK)
    {
        ngx_http_spaces_reaper_done(due);
    }
}


static void
ngx_http_spaces_reaper_saved(void *data, ngx_uint_t ok)
{
    ngx_http_spaces_due_t  *due = data;

    if (ok && due->space->recording == NGX_HTTP_SPACES_EXPIRED) {
        ngx_http_spaces_metrics_recording(ngx_http_spaces_metric_expired,
                                          due->space->bytes);
    }

    ngx_http_spaces_reaper_done(due);
}


static void
ngx_http_spaces_reaper_forget(ngx_http_spaces_due_t *due)
{
    ngx_array_t                  *commands;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = due->reaper->smcf;

    commands = ngx_array_create(due->pool, 16, sizeof(ngx_array_t));

    if (commands == NULL
        || ngx_http_spaces_store_add_removal(smcf, commands, due->space)
           != NGX_OK
        || ngx_http_spaces_redis_transaction(smcf->redis, commands,
                                          ngx_http_spaces_reaper_forgotten,
                                          due)
           == NULL)
    {
        ngx_http_spaces_reaper_done(due);
    }
}


static void
ngx_http_spaces_reaper_forgotten(void *data, redisReply *reply)
{
    ngx_http_spaces_due_t  *due = data;

    if (reply && due->space->recording >= NGX_HTTP_SPACES_DELETED) {
        ngx_http_spaces_metrics_recording(ngx_http_spaces_metric_purged,
                                          due->space->bytes);
    }

    ngx_http_spaces_store_changed(due->reaper->smcf, &due->id);
    ngx_http_spaces_reaper_done(due);
}


/* what failed is still due, and comes again */

static void
ngx_http_spaces_reaper_done(ngx_http_spaces_due_t *due)
{
    if (due->failed) {
        ngx_http_spaces_log_error(NGX_LOG_ERR, ngx_cycle->log, due->err,
                              "space %V is due, but the %s failed under \"%V\"",
                              &due->id, due->failed, &due->reaper->smcf->path);
    }

    due->reaper->busy--;

    ngx_destroy_pool(due->pool);
}
