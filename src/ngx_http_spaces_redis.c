
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_redis_link.h"
#include "ngx_http_spaces_metrics.h"


/* why a transaction won't be executed, in Redis's words, bytes */
#define NGX_HTTP_SPACES_REDIS_REASON     200


struct ngx_http_spaces_redis_op_s {
    ngx_queue_t                      queue;
    ngx_msec_t                       deadline;
    uint64_t                         began;        /* microseconds */
    ngx_http_spaces_redis_pt         handler;
    void                            *data;
    ngx_http_spaces_redis_t         *redis;
};


struct ngx_http_spaces_redis_s {
    ngx_http_spaces_main_conf_t     *smcf;
    ngx_http_spaces_redis_change_pt  change;

    ngx_http_spaces_redis_link_t     commands;
    ngx_http_spaces_redis_link_t     changes;

    ngx_queue_t                      ops;          /* oldest first */
    ngx_event_t                      timeout;      /* of the oldest */
    unsigned                         refused:1;    /* what is answered now */
    char                             reason[NGX_HTTP_SPACES_REDIS_REASON];
};


static void ngx_http_spaces_redis_is_up(void *data);
static void ngx_http_spaces_redis_on_queued(redisAsyncContext *ac, void *r,
    void *data);
static void ngx_http_spaces_redis_on_reply(redisAsyncContext *ac, void *reply,
    void *data);
static redisReply *ngx_http_spaces_redis_error(redisReply *reply);
static void ngx_http_spaces_redis_command_timeout(ngx_event_t *ev);
static ngx_http_spaces_redis_op_t *ngx_http_spaces_redis_op(
    ngx_http_spaces_redis_t *redis, ngx_http_spaces_redis_pt handler,
    void *data);
static ngx_int_t ngx_http_spaces_redis_send(ngx_http_spaces_redis_t *redis,
    ngx_uint_t argc, ngx_str_t *argv, ngx_http_spaces_redis_op_t *op);
static void ngx_http_spaces_redis_time(ngx_http_spaces_redis_t *redis);


ngx_http_spaces_redis_t *
ngx_http_spaces_redis_create(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_redis_change_pt change)
{
    ngx_http_spaces_redis_t  *redis;

    redis = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_spaces_redis_t));
    if (redis == NULL) {
        return NULL;
    }

    redis->smcf = smcf;
    redis->change = change;

    ngx_queue_init(&redis->ops);

    redis->timeout.handler = ngx_http_spaces_redis_command_timeout;
    redis->timeout.data = redis;
    redis->timeout.log = ngx_cycle->log;

    ngx_http_spaces_redis_link_init(&redis->commands, smcf, "commands", NULL,
                                    ngx_http_spaces_redis_is_up, redis);
    ngx_http_spaces_redis_link_init(&redis->changes, smcf, "changes", change,
                                    ngx_http_spaces_redis_is_up, redis);

    ngx_http_spaces_redis_link_connect(&redis->commands);
    ngx_http_spaces_redis_link_connect(&redis->changes);

    return redis;
}


/*
 * Both are there again: what was changed meanwhile nobody has told here, and
 * who asked whether it was had no answer.
 */

static void
ngx_http_spaces_redis_is_up(void *data)
{
    ngx_http_spaces_redis_t  *redis = data;

    if (!redis->changes.connected) {
        (void) ngx_http_spaces_redis_link_wake(&redis->changes);
        return;
    }

    if (!redis->commands.connected
        || !(redis->commands.missed || redis->changes.missed))
    {
        return;
    }

    redis->commands.missed = 0;
    redis->changes.missed = 0;

    redis->change(redis->smcf, NULL);
}


void
ngx_http_spaces_redis_destroy(ngx_http_spaces_redis_t *redis)
{
    ngx_queue_t                 *q;
    ngx_http_spaces_redis_op_t  *op;

    for (q = ngx_queue_head(&redis->ops);
         q != ngx_queue_sentinel(&redis->ops);
         q = ngx_queue_next(q))
    {
        op = ngx_queue_data(q, ngx_http_spaces_redis_op_t, queue);
        op->handler = NULL;
    }

    ngx_http_spaces_redis_link_close(&redis->commands);
    ngx_http_spaces_redis_link_close(&redis->changes);

    if (redis->timeout.timer_set) {
        ngx_del_timer(&redis->timeout);
    }
}


ngx_uint_t
ngx_http_spaces_redis_ready(ngx_http_spaces_redis_t *redis)
{
    return redis->commands.connected;
}


ngx_uint_t
ngx_http_spaces_redis_generation(ngx_http_spaces_redis_t *redis)
{
    return redis->commands.generation;
}


ngx_uint_t
ngx_http_spaces_redis_refused(ngx_http_spaces_redis_t *redis)
{
    return redis->refused;
}


ngx_http_spaces_redis_op_t *
ngx_http_spaces_redis_command(ngx_http_spaces_redis_t *redis, ngx_uint_t argc,
    ngx_str_t *argv, ngx_http_spaces_redis_pt handler, void *data)
{
    ngx_http_spaces_redis_op_t  *op;

    if (ngx_http_spaces_redis_link_wake(&redis->commands) != NGX_OK) {
        return NULL;
    }

    op = ngx_http_spaces_redis_op(redis, handler, data);
    if (op == NULL) {
        return NULL;
    }

    if (ngx_http_spaces_redis_send(redis, argc, argv, op) != NGX_OK) {
        ngx_free(op);
        return NULL;
    }

    ngx_queue_insert_tail(&redis->ops, &op->queue);
    ngx_http_spaces_redis_time(redis);

    return op;
}


ngx_http_spaces_redis_op_t *
ngx_http_spaces_redis_transaction(ngx_http_spaces_redis_t *redis,
    ngx_array_t *commands, ngx_http_spaces_redis_pt handler, void *data)
{
    ngx_uint_t                   i;
    ngx_array_t                 *command;
    ngx_http_spaces_redis_op_t  *op;

    static ngx_str_t  multi = ngx_string("MULTI");
    static ngx_str_t  exec = ngx_string("EXEC");

    if (ngx_http_spaces_redis_link_wake(&redis->commands) != NGX_OK
        || ngx_http_spaces_redis_send(redis, 1, &multi, NULL) != NGX_OK)
    {
        return NULL;
    }

    command = commands->elts;

    for (i = 0; i < commands->nelts; i++) {

        if (ngx_http_spaces_redis_send(redis, command[i].nelts,
                                       command[i].elts, NULL)
            != NGX_OK)
        {
            /* half a transaction is never executed: start over */

            ngx_http_spaces_redis_link_lost(&redis->commands, "no memory");
            return NULL;
        }
    }

    op = ngx_http_spaces_redis_command(redis, 1, &exec, handler, data);

    if (op == NULL) {
        ngx_http_spaces_redis_link_lost(&redis->commands, "no memory");
    }

    return op;
}


void
ngx_http_spaces_redis_cancel(ngx_http_spaces_redis_op_t *op)
{
    op->handler = NULL;
}


ngx_str_t
ngx_http_spaces_redis_key(ngx_http_spaces_main_conf_t *smcf, ngx_pool_t *pool,
    const char *format, ...)
{
    size_t      len;
    va_list     args;
    u_char     *last;
    ngx_str_t   key, *prefix;
    u_char      name[NGX_MAX_PATH];

    prefix = &smcf->redis_conf.prefix;

    /* names in keys are topics, hosts and languages: bounded elsewhere */

    va_start(args, format);
    last = ngx_vslprintf(name, name + sizeof(name), format, args);
    va_end(args);

    len = last - name;

    key.len = prefix->len + len;
    key.data = ngx_pnalloc(pool, key.len);

    if (key.data == NULL) {
        ngx_str_null(&key);
        return key;
    }

    ngx_memcpy(key.data, prefix->data, prefix->len);
    ngx_memcpy(key.data + prefix->len, name, len);

    return key;
}


ngx_array_t *
ngx_http_spaces_redis_add(ngx_array_t *commands, ngx_uint_t n, ...)
{
    va_list       args;
    ngx_array_t  *command;

    command = ngx_array_push(commands);
    if (command == NULL) {
        return NULL;
    }

    if (ngx_array_init(command, commands->pool, n, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NULL;
    }

    va_start(args, n);

    while (n--) {
        if (ngx_http_spaces_redis_push(command, va_arg(args, ngx_str_t *))
            != NGX_OK)
        {
            va_end(args);
            return NULL;
        }
    }

    va_end(args);

    return command;
}


ngx_int_t
ngx_http_spaces_redis_push(ngx_array_t *command, ngx_str_t *arg)
{
    ngx_str_t  *s;

    s = ngx_array_push(command);
    if (s == NULL) {
        return NGX_ERROR;
    }

    *s = *arg;

    return NGX_OK;
}


static ngx_http_spaces_redis_op_t *
ngx_http_spaces_redis_op(ngx_http_spaces_redis_t *redis,
    ngx_http_spaces_redis_pt handler, void *data)
{
    ngx_http_spaces_redis_op_t  *op;

    /* it outlives the request that waits for it */

    op = ngx_alloc(sizeof(ngx_http_spaces_redis_op_t), ngx_cycle->log);
    if (op == NULL) {
        return NULL;
    }

    op->deadline = ngx_current_msec + redis->smcf->redis_conf.timeout;
    op->began = ngx_http_spaces_metrics_clock();
    op->handler = handler;
    op->data = data;
    op->redis = redis;

    return op;
}


static ngx_int_t
ngx_http_spaces_redis_send(ngx_http_spaces_redis_t *redis, ngx_uint_t argc,
    ngx_str_t *argv, ngx_http_spaces_redis_op_t *op)
{
    int           rc;
    size_t       *lens;
    ngx_uint_t    i;
    const char  **args;

    args = ngx_alloc(argc * (sizeof(char *) + sizeof(size_t)),
                     ngx_cycle->log);
    if (args == NULL) {
        return NGX_ERROR;
    }

    lens = (size_t *) (args + argc);

    for (i = 0; i < argc; i++) {
        args[i] = argv[i].len ? (char *) argv[i].data : "";
        lens[i] = argv[i].len;
    }

    rc = redisAsyncCommandArgv(redis->commands.ac,
                               op ? ngx_http_spaces_redis_on_reply
                                  : ngx_http_spaces_redis_on_queued,
                               op ? (void *) op : redis,
                               (int) argc, args, lens);

    ngx_free(args);

    return rc == REDIS_OK ? NGX_OK : NGX_ERROR;
}


/* the oldest command under way decides when patience ends */

static void
ngx_http_spaces_redis_time(ngx_http_spaces_redis_t *redis)
{
    ngx_msec_int_t               left;
    ngx_http_spaces_redis_op_t  *op;

    if (ngx_queue_empty(&redis->ops)) {

        if (redis->timeout.timer_set) {
            ngx_del_timer(&redis->timeout);
        }

        return;
    }

    if (redis->timeout.timer_set) {
        return;
    }

    op = ngx_queue_data(ngx_queue_head(&redis->ops),
                        ngx_http_spaces_redis_op_t, queue);

    left = (ngx_msec_int_t) (op->deadline - ngx_current_msec);

    ngx_add_timer(&redis->timeout, left > 0 ? (ngx_msec_t) left : 1);
}


static void
ngx_http_spaces_redis_command_timeout(ngx_event_t *ev)
{
    ngx_http_spaces_redis_t     *redis = ev->data;
    ngx_http_spaces_redis_op_t  *op;

    if (ngx_queue_empty(&redis->ops)) {
        return;
    }

    op = ngx_queue_data(ngx_queue_head(&redis->ops),
                        ngx_http_spaces_redis_op_t, queue);

    if ((ngx_msec_int_t) (op->deadline - ngx_current_msec) > 0) {
        ngx_http_spaces_redis_time(redis);
        return;
    }

    /* replies come in order, so all that follow are late as well */

    ngx_http_spaces_redis_link_lost(&redis->commands, "no answer in time");
}


/* in a transaction: EXEC will only say that there was an error */

static void
ngx_http_spaces_redis_on_queued(redisAsyncContext *ac, void *r, void *data)
{
    redisReply               *reply = r;
    ngx_http_spaces_redis_t  *redis = data;

    if (reply && reply->type == REDIS_REPLY_ERROR && redis->reason[0] == '\0')
    {
        ngx_cpystrn((u_char *) redis->reason, (u_char *) reply->str,
                    NGX_HTTP_SPACES_REDIS_REASON);
    }
}


static void
ngx_http_spaces_redis_on_reply(redisAsyncContext *ac, void *r, void *data)
{
    redisReply                  *reply = r;
    ngx_http_spaces_redis_op_t  *op = data;

    const char                  *reason;
    redisReply                  *error;
    ngx_uint_t                   demoted;
    ngx_http_spaces_redis_t     *redis;

    ngx_queue_remove(&op->queue);

    redis = op->redis;
    demoted = 0;
    error = reply ? ngx_http_spaces_redis_error(reply) : NULL;

    if (reply) {
        ngx_http_spaces_metrics_observe(ngx_http_spaces_histogram_redis,
                                ngx_http_spaces_metrics_clock() - op->began);

    } else if (!redis->commands.closing) {
        ngx_http_spaces_metrics_add(ngx_http_spaces_metric_redis_unanswered,
                                    1);
    }

    if (error) {
        reason = redis->reason[0] ? redis->reason : error->str;

        ngx_http_spaces_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                                 "redis %V refused a command: %*s",
                                 &redis->smcf->redis_conf.name,
                                 ngx_strnlen((u_char *) reason,
                                             NGX_HTTP_SPACES_REDIS_REASON),
                                 reason);
        ngx_http_spaces_metrics_add(ngx_http_spaces_metric_redis_refused, 1);

        /* the name may lead to the one that took over by now */

        demoted = (ngx_strncmp(reason, "READONLY", 8) == 0);
        reply = NULL;
    }

    redis->reason[0] = '\0';

    if (!redis->commands.closing) {
        ngx_http_spaces_redis_time(redis);
    }

    if (op->handler) {
        redis->refused = (error != NULL);
        op->handler(op->data, reply);
        redis->refused = 0;
    }

    ngx_free(op);

    if (demoted && redis->commands.ac == ac
        && ngx_current_msec - redis->commands.attempted
           > NGX_HTTP_SPACES_REDIS_MAX_PAUSE)
    {
        ngx_http_spaces_redis_link_lost(&redis->commands,
                                   "it is a replica now, that takes no word");
    }
}


/* of a command, or of one in a transaction that was carried out otherwise */

static redisReply *
ngx_http_spaces_redis_error(redisReply *reply)
{
    size_t  i;

    if (reply->type == REDIS_REPLY_ERROR) {
        return reply;
    }

    if (reply->type != REDIS_REPLY_ARRAY) {
        return NULL;
    }

    for (i = 0; i < reply->elements; i++) {

        if (reply->element[i]->type == REDIS_REPLY_ERROR) {
            return reply->element[i];
        }
    }

    return NULL;
}
