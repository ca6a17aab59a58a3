
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_reconcile_task.h"


/* what couldn't be done is done again after, ms */
#define NGX_HTTP_SPACES_RECONCILE_AGAIN  10000


static void ngx_http_spaces_reconcile_marker(void *data, redisReply *reply);
static void ngx_http_spaces_reconcile_begin(ngx_http_spaces_reconcile_t *rec);
static void ngx_http_spaces_reconcile_next(ngx_http_spaces_reconcile_t *rec);
static void ngx_http_spaces_reconcile_leave(ngx_http_spaces_reconcile_t *rec);
static void ngx_http_spaces_reconcile_post(ngx_http_spaces_reconcile_t *rec,
    void (*handler)(void *data, ngx_log_t *log), void (*done)(ngx_event_t *));
static void ngx_http_spaces_reconcile_have_links(ngx_event_t *ev);
static void ngx_http_spaces_reconcile_unlinked(void *data, redisReply *reply);
static void ngx_http_spaces_reconcile_was_read(ngx_event_t *ev);
static void ngx_http_spaces_reconcile_known(void *data, redisReply *reply);
static ngx_int_t ngx_http_spaces_reconcile_recording(
    ngx_http_spaces_reconcile_t *rec, redisReply *reply, ngx_uint_t *here);
static void ngx_http_spaces_reconcile_answered(
    ngx_http_spaces_reconcile_t *rec);
static void ngx_http_spaces_reconcile_settle(ngx_http_spaces_reconcile_t *rec);
static void ngx_http_spaces_reconcile_moved(void *data, ngx_int_t rc,
    ngx_http_spaces_space_t *space);
static void ngx_http_spaces_reconcile_scan(ngx_http_spaces_reconcile_t *rec);
static void ngx_http_spaces_reconcile_scanned(void *data, redisReply *reply);
static void ngx_http_spaces_reconcile_was_checked(ngx_event_t *ev);
static void ngx_http_spaces_reconcile_end(ngx_http_spaces_reconcile_t *rec);
static void ngx_http_spaces_reconcile_marked(void *data, redisReply *reply);


ngx_http_spaces_reconcile_t *
ngx_http_spaces_reconcile_create(ngx_http_spaces_main_conf_t *smcf)
{
    ngx_http_spaces_reconcile_t  *rec;

    rec = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_spaces_reconcile_t));
    if (rec == NULL) {
        return NULL;
    }

    rec->smcf = smcf;

    rec->task = ngx_thread_task_alloc(ngx_cycle->pool, 0);
    if (rec->task == NULL) {
        return NULL;
    }

    rec->task->ctx = rec;
    rec->task->event.data = rec;

    return rec;
}


/*
 * A Redis that was emptied, or has become an older one, looks like any other,
 * but for a date that this node has left there: it is asked for every second.
 */

void
ngx_http_spaces_reconcile_run(ngx_http_spaces_reconcile_t *rec)
{
    ngx_str_t                     argv[2];
    ngx_pool_t                   *pool;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = rec->smcf;

    if (rec->step != ngx_http_spaces_reconcile_idle || rec->waiting
        || ngx_exiting || ngx_http_spaces_monotonic() < rec->pause)
    {
        return;
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    ngx_str_set(&argv[0], "GET");
    argv[1] = ngx_http_spaces_redis_key(smcf, pool, "node:%V", &smcf->node);

    if (argv[1].data
        && ngx_http_spaces_redis_command(smcf->redis, 2, argv,
                                         ngx_http_spaces_reconcile_marker,
                                         rec))
    {
        rec->waiting = 1;
    }

    ngx_destroy_pool(pool);
}


static void
ngx_http_spaces_reconcile_marker(void *data, redisReply *reply)
{
    ngx_uint_t                    generation;
    ngx_http_spaces_reconcile_t  *rec = data;

    rec->waiting = 0;

    if (reply == NULL || ngx_exiting) {
        return;
    }

    generation = ngx_http_spaces_redis_generation(rec->smcf->redis);

    if (rec->generation == generation && reply->type == REDIS_REPLY_STRING
        && ngx_atoof((u_char *) reply->str, reply->len) >= rec->marked)
    {
        return;
    }

    rec->generation = generation;

    /* what is live tells Redis again by itself */

    (void) ngx_atomic_fetch_add(&rec->smcf->zone->sh->resave, 1);

    ngx_http_spaces_reconcile_begin(rec);
}


/* what is held first: a deletion is not to look undone for long */

static void
ngx_http_spaces_reconcile_begin(ngx_http_spaces_reconcile_t *rec)
{
    rec->broken = 0;
    rec->through = 0;
    rec->available = 0;
    rec->held = 0;
    rec->available_bytes = 0;
    rec->held_bytes = 0;
    rec->looked = 0;
    rec->settled = 0;
    rec->left = 0;
    rec->err = 0;
    rec->cursor[0] = '0';
    rec->cursor_len = 1;

    rec->offset = 0;

    rec->step = ngx_http_spaces_reconcile_revoked;

    ngx_http_spaces_reconcile_next(rec);
}


static void
ngx_http_spaces_reconcile_next(ngx_http_spaces_reconcile_t *rec)
{
    rec->nseen = 0;

    if (rec->broken) {

        /* once more, when Redis is back */

        ngx_http_spaces_reconcile_leave(rec);
        return;
    }

    if (rec->through) {
        rec->through = 0;
        rec->step++;
    }

    if (rec->step == ngx_http_spaces_reconcile_due) {
        ngx_http_spaces_reconcile_scan(rec);
        return;
    }

    if (rec->step == ngx_http_spaces_reconcile_revoked) {
        ngx_http_spaces_reconcile_post(rec, ngx_http_spaces_reconcile_links,
                                       ngx_http_spaces_reconcile_have_links);
        return;
    }

    ngx_http_spaces_reconcile_post(rec, ngx_http_spaces_reconcile_read,
                                   ngx_http_spaces_reconcile_was_read);
}


/* in the middle of it; it begins anew */

static void
ngx_http_spaces_reconcile_leave(ngx_http_spaces_reconcile_t *rec)
{
    if (rec->folder) {
        (void) closedir(rec->folder);
        rec->folder = NULL;
    }

    if (rec->top) {
        (void) closedir(rec->top);
        rec->top = NULL;
    }

    rec->generation = 0;
    rec->step = ngx_http_spaces_reconcile_idle;
}


static void
ngx_http_spaces_reconcile_post(ngx_http_spaces_reconcile_t *rec,
    void (*handler)(void *data, ngx_log_t *log), void (*done)(ngx_event_t *))
{
    rec->task->handler = handler;
    rec->task->event.handler = done;

    if (ngx_thread_task_post(rec->smcf->thread_pool, rec->task) != NGX_OK) {
        rec->broken = 1;
        ngx_http_spaces_reconcile_next(rec);
    }
}


static void
ngx_http_spaces_reconcile_have_links(ngx_event_t *ev)
{
    ngx_str_t                     argv[1 + NGX_HTTP_SPACES_RECONCILE_BATCH];
    ngx_str_t                     hash;
    ngx_uint_t                    i;
    ngx_pool_t                   *pool;
    ngx_http_spaces_reconcile_t  *rec = ev->data;

    if (rec->nrevoked == 0) {
        rec->through = 1;
        ngx_http_spaces_reconcile_next(rec);
        return;
    }

    pool = ngx_create_pool(8192, ngx_cycle->log);
    if (pool == NULL) {
        goto failed;
    }

    ngx_str_set(&argv[0], "DEL");

    for (i = 0; i < rec->nrevoked; i++) {
        hash.data = rec->revoked[i].hash;
        hash.len = NGX_HTTP_SPACES_TOKEN_HASH;

        argv[1 + i] = ngx_http_spaces_token_key(rec->smcf, pool, &hash);

        if (argv[1 + i].data == NULL) {
            goto failed;
        }
    }

    if (ngx_http_spaces_redis_command(rec->smcf->redis, 1 + rec->nrevoked,
                                      argv, ngx_http_spaces_reconcile_unlinked,
                                      rec)
        == NULL)
    {
        goto failed;
    }

    ngx_destroy_pool(pool);

    return;

failed:

    if (pool) {
        ngx_destroy_pool(pool);
    }

    rec->broken = 1;
    ngx_http_spaces_reconcile_next(rec);
}


static void
ngx_http_spaces_reconcile_unlinked(void *data, redisReply *reply)
{
    ngx_http_spaces_reconcile_t  *rec = data;

    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        rec->broken = 1;

    } else if (reply->integer) {
        ngx_http_spaces_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "redis had %L links again that were revoked: they are "
                      "gone once more", (int64_t) reply->integer);

        ngx_http_spaces_store_changed(rec->smcf, NULL);
    }

    ngx_http_spaces_reconcile_next(rec);
}


static void
ngx_http_spaces_reconcile_was_read(ngx_event_t *ev)
{
    ngx_str_t                     argv[4], id;
    ngx_uint_t                    i;
    ngx_pool_t                   *pool;
    ngx_http_spaces_reconcile_t  *rec = ev->data;

    if (rec->err) {
        ngx_http_spaces_log_error(NGX_LOG_CRIT, ngx_cycle->log, rec->err,
                      "what is under \"%V\" can't be compared with Redis: "
                      "opendir() \"%s\" failed", &rec->smcf->path, rec->name);

        rec->pause = ngx_http_spaces_monotonic()
                     + NGX_HTTP_SPACES_RECONCILE_AGAIN;

        ngx_http_spaces_reconcile_leave(rec);
        return;
    }

    rec->looked += rec->nseen;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        rec->broken = 1;
        ngx_http_spaces_reconcile_next(rec);
        return;
    }

    ngx_str_set(&argv[0], "HMGET");
    ngx_str_set(&argv[2], "recording");
    ngx_str_set(&argv[3], "node");

    rec->waiting = 1;

    for (i = 0; i < rec->nseen; i++) {
        id.data = rec->seen[i].id;
        id.len = NGX_HTTP_SPACES_ID_LEN;

        argv[1] = ngx_http_spaces_space_key(rec->smcf, pool, &id);

        if (argv[1].data == NULL
            || ngx_http_spaces_redis_command(rec->smcf->redis, 4, argv,
                                             ngx_http_spaces_reconcile_known,
                                             &rec->seen[i])
               == NULL)
        {
            rec->broken = 1;
            break;
        }

        rec->waiting++;
    }

    ngx_destroy_pool(pool);

    ngx_http_spaces_reconcile_answered(rec);
}


static void
ngx_http_spaces_reconcile_known(void *data, redisReply *reply)
{
    ngx_int_t                     recording;
    ngx_uint_t                    here;
    ngx_http_spaces_seen_t       *seen = data;
    ngx_http_spaces_reconcile_t  *rec;

    rec = seen->rec;
    recording = ngx_http_spaces_reconcile_recording(rec, reply, &here);

    if (reply == NULL) {

        if (ngx_http_spaces_redis_refused(rec->smcf->redis)) {

            /* something else has its key: the others are not to wait */

            rec->left++;
            seen->odd = 0;
            ngx_http_spaces_reconcile_answered(rec);
            return;
        }

        rec->broken = 1;
    }

    if (rec->step == ngx_http_spaces_reconcile_due) {

        /* what is to be looked for on the disk */

        seen->held = (recording > NGX_HTTP_SPACES_AVAILABLE);
        seen->odd = (here && recording >= NGX_HTTP_SPACES_AVAILABLE);

    } else if (!here
               || (seen->held ? recording <= NGX_HTTP_SPACES_AVAILABLE
                              : recording != NGX_HTTP_SPACES_AVAILABLE))
    {
        seen->odd = 1;
    }

    ngx_http_spaces_reconcile_answered(rec);
}


/* what HMGET says of it, and whether it is this node's */

static ngx_int_t
ngx_http_spaces_reconcile_recording(ngx_http_spaces_reconcile_t *rec,
    redisReply *reply, ngx_uint_t *here)
{
    ngx_str_t                 value;
    redisReply              **e;
    ngx_http_spaces_space_t   space;

    *here = 0;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_STRING)
    {
        return NGX_HTTP_SPACES_NONE;
    }

    e = reply->element;

    value.data = (u_char *) e[0]->str;
    value.len = e[0]->len;

    space.node.data = (u_char *) e[1]->str;
    space.node.len = e[1]->len;

    *here = ngx_http_spaces_store_is_here(rec->smcf, &space);

    return ngx_http_spaces_name_index(ngx_http_spaces_recordings, &value);
}


static void
ngx_http_spaces_reconcile_answered(ngx_http_spaces_reconcile_t *rec)
{
    if (--rec->waiting) {
        return;
    }

    if (rec->step == ngx_http_spaces_reconcile_due && !rec->broken) {
        ngx_http_spaces_reconcile_post(rec, ngx_http_spaces_reconcile_check,
                                       ngx_http_spaces_reconcile_was_checked);
        return;
    }

    ngx_http_spaces_reconcile_settle(rec);
}


/* the odd ones of this batch; then the next */

static void
ngx_http_spaces_reconcile_settle(ngx_http_spaces_reconcile_t *rec)
{
    ngx_uint_t               i;
    ngx_http_spaces_space_t  space;

    ngx_memzero(&space, sizeof(ngx_http_spaces_space_t));
    space.id.len = NGX_HTTP_SPACES_ID_LEN;

    rec->waiting = 1;

    for (i = 0; i < rec->nseen && !rec->broken; i++) {

        if (!rec->seen[i].odd) {
            continue;
        }

        space.id.data = rec->seen[i].id;

        if (ngx_http_spaces_move(rec->smcf, ngx_http_spaces_move_settle,
                                 &space, NULL, NULL,
                                 ngx_http_spaces_reconcile_moved, rec))
        {
            rec->waiting++;

        } else {
            rec->left++;
        }
    }

    ngx_http_spaces_reconcile_moved(rec, NGX_DECLINED, NULL);
}


static void
ngx_http_spaces_reconcile_moved(void *data, ngx_int_t rc,
    ngx_http_spaces_space_t *space)
{
    ngx_http_spaces_reconcile_t  *rec = data;

    if (rc == NGX_OK) {
        rec->settled++;

    } else if (rc != NGX_DECLINED) {
        rec->left++;
    }

    if (--rec->waiting) {
        return;
    }

    if (rec->step == ngx_http_spaces_reconcile_due && !rec->broken
        && rec->cursor_len == 1 && rec->cursor[0] == '0')
    {
        ngx_http_spaces_reconcile_end(rec);
        return;
    }

    ngx_http_spaces_reconcile_next(rec);
}


static void
ngx_http_spaces_reconcile_scan(ngx_http_spaces_reconcile_t *rec)
{
    ngx_str_t                     argv[5];
    ngx_pool_t                   *pool;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = rec->smcf;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        rec->broken = 1;
        ngx_http_spaces_reconcile_next(rec);
        return;
    }

    ngx_str_set(&argv[0], "ZSCAN");
    argv[1] = ngx_http_spaces_redis_key(smcf, pool, "due:%V", &smcf->node);
    argv[2].data = rec->cursor;
    argv[2].len = rec->cursor_len;
    ngx_str_set(&argv[3], "COUNT");
    argv[4] = ngx_http_spaces_number(pool, NGX_HTTP_SPACES_RECONCILE_BATCH);

    if (argv[1].data == NULL || argv[4].data == NULL
        || ngx_http_spaces_redis_command(smcf->redis, 5, argv,
                                         ngx_http_spaces_reconcile_scanned,
                                         rec)
           == NULL)
    {
        rec->broken = 1;
    }

    ngx_destroy_pool(pool);

    if (rec->broken) {
        ngx_http_spaces_reconcile_next(rec);
    }
}


static void
ngx_http_spaces_reconcile_scanned(void *data, redisReply *reply)
{
    size_t                        i;
    ngx_str_t                     argv[4], id;
    ngx_pool_t                   *pool;
    redisReply                   *list, *cursor;
    ngx_http_spaces_seen_t       *seen;
    ngx_http_spaces_reconcile_t  *rec = data;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[0]->len > sizeof(rec->cursor)
        || reply->element[1]->type != REDIS_REPLY_ARRAY
        || (pool = ngx_create_pool(4096, ngx_cycle->log)) == NULL)
    {
        rec->broken = 1;
        ngx_http_spaces_reconcile_next(rec);
        return;
    }

    cursor = reply->element[0];
    list = reply->element[1];

    rec->cursor_len = cursor->len;
    ngx_memcpy(rec->cursor, cursor->str, cursor->len);

    ngx_str_set(&argv[0], "HMGET");
    ngx_str_set(&argv[2], "recording");
    ngx_str_set(&argv[3], "node");

    rec->waiting = 1;

    for (i = 0; i + 1 < list->elements; i += 2) {

        id.data = (u_char *) list->element[i]->str;
        id.len = list->element[i]->len;

        if (rec->nseen == NGX_HTTP_SPACES_RECONCILE_SEEN) {
            break;
        }

        if (!ngx_http_spaces_valid_id(&id)) {
            continue;
        }

        seen = &rec->seen[rec->nseen];

        seen->rec = rec;
        seen->odd = 0;
        ngx_memcpy(seen->id, id.data, NGX_HTTP_SPACES_ID_LEN);

        argv[1] = ngx_http_spaces_space_key(rec->smcf, pool, &id);

        if (argv[1].data == NULL
            || ngx_http_spaces_redis_command(rec->smcf->redis, 4, argv,
                                             ngx_http_spaces_reconcile_known,
                                             seen)
               == NULL)
        {
            rec->broken = 1;
            break;
        }

        rec->nseen++;
        rec->waiting++;
    }

    ngx_destroy_pool(pool);

    ngx_http_spaces_reconcile_answered(rec);
}


static void
ngx_http_spaces_reconcile_was_checked(ngx_event_t *ev)
{
    ngx_http_spaces_reconcile_settle(ev->data);
}


static void
ngx_http_spaces_reconcile_end(ngx_http_spaces_reconcile_t *rec)
{
    ngx_str_t                     argv[3];
    ngx_pool_t                   *pool;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = rec->smcf;
    rec->step = ngx_http_spaces_reconcile_idle;

    ngx_http_spaces_metrics_stored(rec->available, rec->available_bytes,
                                   rec->held, rec->held_bytes);

    if (rec->settled) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "redis %V was told of %ui of %ui recordings under "
                      "\"%V\"", &smcf->redis_conf.name, rec->settled,
                      rec->looked, &smcf->path);
    }

    rec->pause = ngx_http_spaces_monotonic() + NGX_HTTP_SPACES_RECONCILE_AGAIN;

    if (rec->left) {
        rec->generation = 0;
        return;
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    rec->marked = ngx_http_spaces_now();

    ngx_str_set(&argv[0], "SET");
    argv[1] = ngx_http_spaces_redis_key(smcf, pool, "node:%V", &smcf->node);
    argv[2] = ngx_http_spaces_number(pool, rec->marked);

    if (argv[1].data && argv[2].data
        && ngx_http_spaces_redis_command(smcf->redis, 3, argv,
                                         ngx_http_spaces_reconcile_marked,
                                         rec))
    {
        rec->waiting = 1;
    }

    ngx_destroy_pool(pool);
}


static void
ngx_http_spaces_reconcile_marked(void *data, redisReply *reply)
{
    ngx_http_spaces_reconcile_t  *rec = data;

    rec->waiting = 0;

    /* if it failed, all of it begins again, but not at once */

    if (reply) {
        rec->pause = 0;
    }
}
