
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_reaper.h"
#include "ngx_http_spaces_move.h"
#include "ngx_http_spaces_reconcile.h"
#include "ngx_http_spaces_recovery.h"
#include "ngx_http_spaces_store.h"


/*
 * A second, and a part of one by chance, so that nodes don't ask together; at
 * once while there is more to do than one batch
 */
#define NGX_HTTP_SPACES_REAPER_PACE    1000    /* ms */
#define NGX_HTTP_SPACES_REAPER_SPREAD  200
#define NGX_HTTP_SPACES_REAPER_BATCH   32

/* what could not be done is due again after, s */
#define NGX_HTTP_SPACES_REAPER_AGAIN   60


typedef struct {
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_event_t                   timer;
    ngx_http_spaces_reconcile_t  *reconcile;
    ngx_uint_t                    busy;        /* Spaces under way */
    ngx_uint_t                    full;        /* so was the last batch */
    ngx_uint_t                    done;        /* of it */
} ngx_http_spaces_reaper_t;


/* a Space that is due; all its memory is of its pool */

typedef struct {
    ngx_http_spaces_reaper_t     *reaper;
    ngx_pool_t                   *pool;
    ngx_str_t                     id;
    ngx_http_spaces_space_t      *space;
} ngx_http_spaces_due_t;


static void ngx_http_spaces_reaper_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_spaces_reaper_is_mine(
    ngx_http_spaces_reaper_t *reaper);
static void ngx_http_spaces_reaper_orphans(ngx_http_spaces_reaper_t *reaper);
static void ngx_http_spaces_reaper_ask(ngx_http_spaces_reaper_t *reaper);
static void ngx_http_spaces_reaper_backlog(void *data, redisReply *reply);
static void ngx_http_spaces_reaper_list(void *data, redisReply *reply);
static void ngx_http_spaces_reaper_space(void *data, redisReply *reply);
static void ngx_http_spaces_reaper_decide(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_end(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_hold(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_held(void *data, ngx_int_t rc,
    ngx_http_spaces_space_t *space);
static void ngx_http_spaces_reaper_purge(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_purged(void *data, ngx_int_t rc,
    ngx_http_spaces_space_t *space);
static void ngx_http_spaces_reaper_saved(void *data, ngx_uint_t ok);
static void ngx_http_spaces_reaper_forget(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_forgotten(void *data, redisReply *reply);
static void ngx_http_spaces_reaper_leave(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_left(void *data, redisReply *reply);
static void ngx_http_spaces_reaper_again(ngx_http_spaces_due_t *due);
static void ngx_http_spaces_reaper_put_off(void *data, redisReply *reply);
static void ngx_http_spaces_reaper_close(ngx_http_spaces_due_t *due);


/* who has done it, in the audit */
static ngx_str_t  ngx_http_spaces_reaper_name = ngx_string("reaper");


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

    reaper->reconcile = ngx_http_spaces_reconcile_create(smcf);
    if (reaper->reconcile == NULL) {
        return NGX_ERROR;
    }

    ngx_add_timer(&reaper->timer, NGX_HTTP_SPACES_REAPER_PACE);

    return NGX_OK;
}


static void
ngx_http_spaces_reaper_handler(ngx_event_t *ev)
{
    ngx_http_spaces_reaper_t     *reaper = ev->data;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = reaper->smcf;

    ngx_add_timer(&reaper->timer, NGX_HTTP_SPACES_REAPER_PACE
                  + (ngx_msec_t) ngx_random() % NGX_HTTP_SPACES_REAPER_SPREAD);

    /* if the worker that had begun it is gone */

    if (!ngx_exiting) {
        (void) ngx_http_spaces_recovery_start(smcf);
    }

    if (!ngx_http_spaces_reaper_is_mine(reaper)
        || !ngx_http_spaces_redis_ready(smcf->redis))
    {
        return;
    }

    if (smcf->zone->sh->recovered) {
        ngx_http_spaces_reconcile_run(reaper->reconcile);
    }

    if (reaper->busy == 0) {
        ngx_http_spaces_reaper_orphans(reaper);
        ngx_http_spaces_reaper_ask(reaper);
    }
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


/* one whose worker died in the middle of a move */

static void
ngx_http_spaces_reaper_orphans(ngx_http_spaces_reaper_t *reaper)
{
    u_char                        id[NGX_HTTP_SPACES_ID_LEN];
    ngx_http_spaces_space_t       space;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = reaper->smcf;

    if (ngx_http_spaces_zone_orphan(smcf->zone, id) != NGX_OK) {
        return;
    }

    ngx_memzero(&space, sizeof(ngx_http_spaces_space_t));
    space.id.data = id;
    space.id.len = NGX_HTTP_SPACES_ID_LEN;

    (void) ngx_http_spaces_move(smcf, ngx_http_spaces_move_settle, &space,
                                NULL, NULL, NULL, NULL);
}


static void
ngx_http_spaces_reaper_ask(ngx_http_spaces_reaper_t *reaper)
{
    ngx_str_t                     argv[7];
    ngx_pool_t                   *pool;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = reaper->smcf;

    reaper->full = 0;
    reaper->done = 0;

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

    if (argv[1].data && argv[3].data && argv[6].data
        && ngx_http_spaces_redis_command(smcf->redis, 7, argv,
                                         ngx_http_spaces_reaper_list, reaper))
    {
        reaper->busy++;

        ngx_str_set(&argv[0], "ZCOUNT");
        (void) ngx_http_spaces_redis_command(smcf->redis, 4, argv,
                                             ngx_http_spaces_reaper_backlog,
                                             NULL);
    }

    ngx_destroy_pool(pool);
}


static void
ngx_http_spaces_reaper_backlog(void *data, redisReply *reply)
{
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        ngx_http_spaces_metrics_due((ngx_uint_t) reply->integer);
    }
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

    reaper->full = (reply->elements == NGX_HTTP_SPACES_REAPER_BATCH);

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
    ngx_http_spaces_due_t  *due = data;

    if (reply == NULL) {

        if (ngx_http_spaces_redis_refused(due->reaper->smcf->redis)) {

            /* it isn't a Space, and others are not to wait behind it */

            ngx_http_spaces_reaper_again(due);
            return;
        }

        ngx_http_spaces_reaper_close(due);
        return;
    }

    due->space = ngx_http_spaces_store_space(reply, due->pool);

    if (due->space) {
        ngx_http_spaces_reaper_decide(due);
        return;
    }

    /* an id that nothing is known of */

    due->space = ngx_pcalloc(due->pool, sizeof(ngx_http_spaces_space_t));

    if (due->space == NULL) {
        ngx_http_spaces_reaper_close(due);
        return;
    }

    due->space->id = due->id;

    ngx_http_spaces_reaper_forget(due);
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
        ngx_http_spaces_reaper_close(due);
        return;
    }

    if (!ngx_http_spaces_store_is_here(due->reaper->smcf, space)) {
        ngx_http_spaces_reaper_leave(due);
        return;
    }

    if (space->state == NGX_HTTP_SPACES_LIVE) {
        ngx_http_spaces_reaper_end(due);
        return;
    }

    switch (space->recording) {

    case NGX_HTTP_SPACES_AVAILABLE:
        space->recording = NGX_HTTP_SPACES_EXPIRED;
        space->held_at = space->expires_at;
        space->hold_until = space->expires_at + space->hold * 1000;

        ngx_http_spaces_reaper_hold(due);
        return;

    case NGX_HTTP_SPACES_DELETED:
    case NGX_HTTP_SPACES_EXPIRED:
        ngx_http_spaces_reaper_purge(due);
        return;

    default: /* never recorded, or never begun */
        ngx_http_spaces_reaper_forget(due);
    }
}


/* Redis says live, but nothing of it is left here */

static void
ngx_http_spaces_reaper_end(ngx_http_spaces_due_t *due)
{
    ngx_http_spaces_space_t  *space;

    space = due->space;

    space->state = NGX_HTTP_SPACES_ENDED;
    space->recording = NGX_HTTP_SPACES_NONE;
    space->ended_at = ngx_http_spaces_now();
    space->expires_at = space->ended_at + space->replay_ttl * 1000;

    if (ngx_http_spaces_store_save(due->reaper->smcf, space,
                                   ngx_http_spaces_reaper_saved, due)
        != NGX_OK)
    {
        ngx_http_spaces_reaper_close(due);
    }
}


static void
ngx_http_spaces_reaper_saved(void *data, ngx_uint_t ok)
{
    ngx_http_spaces_due_t  *due = data;

    due->reaper->done += ok;

    ngx_http_spaces_reaper_close(due);
}


static void
ngx_http_spaces_reaper_hold(ngx_http_spaces_due_t *due)
{
    const char  *action;

    action = due->space->recording == NGX_HTTP_SPACES_EXPIRED ? "expire"
                                                              : "delete";

    if (ngx_http_spaces_move(due->reaper->smcf, ngx_http_spaces_move_hold,
                             due->space, action,
                             &ngx_http_spaces_reaper_name,
                             ngx_http_spaces_reaper_held, due)
        == NULL)
    {
        ngx_http_spaces_reaper_close(due);
    }
}


static void
ngx_http_spaces_reaper_held(void *data, ngx_int_t rc,
    ngx_http_spaces_space_t *space)
{
    ngx_http_spaces_due_t  *due = data;

    if (rc == NGX_DECLINED) {

        /* somebody took the file away: there is nothing to hold */

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "space %V: its recording was to be held, but isn't "
                      "there any more under \"%V\"", &due->id,
                      &due->reaper->smcf->path);

        ngx_http_spaces_reaper_forget(due);
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_spaces_reaper_again(due);
        return;
    }

    due->reaper->done++;

    ngx_http_spaces_reaper_close(due);
}


static void
ngx_http_spaces_reaper_purge(ngx_http_spaces_due_t *due)
{
    if (ngx_http_spaces_move(due->reaper->smcf, ngx_http_spaces_move_lapse,
                             due->space, NULL, NULL,
                             ngx_http_spaces_reaper_purged, due)
        == NULL)
    {
        ngx_http_spaces_reaper_close(due);
    }
}


static void
ngx_http_spaces_reaper_purged(void *data, ngx_int_t rc,
    ngx_http_spaces_space_t *space)
{
    ngx_http_spaces_due_t  *due = data;

    if (rc == NGX_DECLINED) {

        /* Redis had been told of a hold that was never made */

        ngx_http_spaces_reaper_hold(due);
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_spaces_reaper_again(due);
        return;
    }

    due->reaper->done++;

    ngx_http_spaces_reaper_close(due);
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
        ngx_http_spaces_reaper_close(due);
    }
}


static void
ngx_http_spaces_reaper_forgotten(void *data, redisReply *reply)
{
    ngx_http_spaces_due_t  *due = data;

    ngx_http_spaces_store_changed(due->reaper->smcf, &due->id);

    if (reply) {
        due->reaper->done++;
    }

    ngx_http_spaces_reaper_close(due);
}


/* it was created here, and has begun on another node: it is due there */

static void
ngx_http_spaces_reaper_leave(ngx_http_spaces_due_t *due)
{
    ngx_str_t                     argv[3];
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = due->reaper->smcf;

    ngx_str_set(&argv[0], "ZREM");
    argv[1] = ngx_http_spaces_redis_key(smcf, due->pool, "due:%V",
                                        &smcf->node);
    argv[2] = due->id;

    if (argv[1].data == NULL
        || ngx_http_spaces_redis_command(smcf->redis, 3, argv,
                                         ngx_http_spaces_reaper_left, due)
           == NULL)
    {
        ngx_http_spaces_reaper_close(due);
    }
}


static void
ngx_http_spaces_reaper_left(void *data, redisReply *reply)
{
    ngx_http_spaces_due_t  *due = data;

    if (reply) {
        due->reaper->done++;
    }

    ngx_http_spaces_reaper_close(due);
}


/* what fails is not asked all the time, nor do others wait for it */

static void
ngx_http_spaces_reaper_again(ngx_http_spaces_due_t *due)
{
    ngx_str_t                     argv[5];
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = due->reaper->smcf;

    ngx_str_set(&argv[0], "ZADD");
    argv[1] = ngx_http_spaces_redis_key(smcf, due->pool, "due:%V",
                                        &smcf->node);
    ngx_str_set(&argv[2], "XX");
    argv[3] = ngx_http_spaces_number(due->pool, ngx_http_spaces_now() / 1000
                                              + NGX_HTTP_SPACES_REAPER_AGAIN);
    argv[4] = due->id;

    if (argv[1].data == NULL || argv[3].data == NULL
        || ngx_http_spaces_redis_command(smcf->redis, 5, argv,
                                         ngx_http_spaces_reaper_put_off, due)
           == NULL)
    {
        ngx_http_spaces_reaper_close(due);
    }
}


static void
ngx_http_spaces_reaper_put_off(void *data, redisReply *reply)
{
    ngx_http_spaces_reaper_close(data);
}


/* what isn't done is still due, and comes again */

static void
ngx_http_spaces_reaper_close(ngx_http_spaces_due_t *due)
{
    ngx_http_spaces_reaper_t  *reaper;

    reaper = due->reaper;

    ngx_destroy_pool(due->pool);

    if (--reaper->busy == 0 && reaper->full && reaper->done && !ngx_exiting) {

        /* days of downtime are caught up with without a pause */

        if (reaper->timer.timer_set) {
            ngx_del_timer(&reaper->timer);
        }

        ngx_add_timer(&reaper->timer, 1);
    }
}
