
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_cache.h"
#include "ngx_http_spaces_load.h"


/* what loading takes of a request's memory, bytes */
#define NGX_HTTP_SPACES_AGAIN      1024


/* what a load under way remembers */

typedef struct {
    ngx_str_t                   key;
    ngx_msec_t                  sent;
    ngx_atomic_uint_t           change;
    ngx_atomic_uint_t           changes;     /* of any Space */
} ngx_http_spaces_loading_t;


/* what is known of the caller, while it is loaded again, and where it is */

struct ngx_http_spaces_again_s {
    ngx_pool_t                 *pool;        /* NULL: the request's */
    ngx_pool_t                 *next;        /* NULL: it isn't loaded now */
    ngx_http_spaces_token_t    *token;
    ngx_http_spaces_space_t    *space;
};


static void ngx_http_spaces_again_done(ngx_http_request_t *r,
    ngx_uint_t loaded);
static void ngx_http_spaces_again_cleanup(void *data);
static ngx_int_t ngx_http_spaces_load_token(ngx_http_request_t *r);
static ngx_http_spaces_token_t *ngx_http_spaces_known_token(
    ngx_http_request_t *r, ngx_str_t *hash);
static ngx_int_t ngx_http_spaces_load_space(ngx_http_request_t *r);
static ngx_http_spaces_cached_t *ngx_http_spaces_load_live(
    ngx_http_request_t *r);
static ngx_http_spaces_cached_t *ngx_http_spaces_read_room(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_loaded(ngx_http_request_t *r,
    ngx_http_spaces_cached_t *cached);
static ngx_int_t ngx_http_spaces_overlay(ngx_http_request_t *r,
    ngx_http_spaces_cached_t *cached);
static ngx_int_t ngx_http_spaces_fetch(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *name, ngx_http_spaces_reply_pt reply);
static ngx_int_t ngx_http_spaces_token_reply(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_space_reply(ngx_http_request_t *r,
    redisReply *reply);

static void ngx_http_spaces_request_handler(void *data, redisReply *reply);
static ngx_int_t ngx_http_spaces_awaits(ngx_http_request_t *r,
    ngx_http_spaces_reply_pt reply, ngx_http_spaces_redis_op_t *op);
static ngx_int_t ngx_http_spaces_unavailable(ngx_http_request_t *r,
    ngx_uint_t asked);


/* each command behind the number of its words */

static ngx_str_t  ngx_http_spaces_reads_script = ngx_string(
    "local replies, i = {}, 1 "
    "while ARGV[i] do "
        "local last = i + ARGV[i] "
        "replies[#replies + 1] = redis.call(unpack(ARGV, i + 1, last)) "
        "i = last + 1 "
    "end "
    "return replies"
);


#define ngx_http_spaces_all_changes(zone)                                     \
    (&(zone)->sh->any_change)


ngx_int_t
ngx_http_spaces_load(ngx_http_request_t *r, ngx_http_spaces_step_pt step)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    ctx->step = step;

    return ngx_http_spaces_load_token(r);
}


ngx_int_t
ngx_http_spaces_load_again(ngx_http_request_t *r, ngx_http_spaces_step_pt step)
{
    ngx_pool_t               *pool;
    ngx_pool_cleanup_t       *cln;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_again_t  *again;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->again == NULL) {
        cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_spaces_again_t));
        if (cln == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(cln->data, sizeof(ngx_http_spaces_again_t));

        cln->handler = ngx_http_spaces_again_cleanup;
        ctx->again = cln->data;
    }

    /* if there was no memory last time */

    ngx_http_spaces_again_done(r, 0);

    pool = ngx_create_pool(NGX_HTTP_SPACES_AGAIN, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    again = ctx->again;
    again->next = pool;
    again->token = ctx->token;
    again->space = ctx->space;

    ctx->pool = pool;
    ctx->fresh = 0;

    return ngx_http_spaces_load(r, step);
}


/* one of the two pools is given back */

static void
ngx_http_spaces_again_done(ngx_http_request_t *r, ngx_uint_t loaded)
{
    ngx_pool_t               *old;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_again_t  *again;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    again = ctx->again;

    if (again == NULL || again->next == NULL) {
        return;
    }

    if (loaded) {
        old = again->pool;
        again->pool = again->next;

    } else {
        old = again->next;
        ctx->token = again->token;
        ctx->space = again->space;
    }

    again->next = NULL;
    ctx->loading = NULL;
    ctx->pool = again->pool ? again->pool : r->pool;

    if (old) {
        ngx_destroy_pool(old);
    }
}


static void
ngx_http_spaces_again_cleanup(void *data)
{
    ngx_http_spaces_again_t  *again = data;

    if (again->pool) {
        ngx_destroy_pool(again->pool);
    }

    if (again->next) {
        ngx_destroy_pool(again->next);
    }
}


static ngx_int_t
ngx_http_spaces_load_token(ngx_http_request_t *r)
{
    ngx_str_t                     key, name;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_cached_t     *cached;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->hash.len == 0) {
        return ngx_http_spaces_load_space(r);
    }

    cached = ngx_http_spaces_cache_get(r, &ctx->hash, 0);

    if (cached) {
        ctx->token = cached->token;
        return ngx_http_spaces_load_space(r);
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    key = ctx->hash;
    name = ngx_http_spaces_token_key(smcf, ctx->pool, &ctx->hash);

    return ngx_http_spaces_fetch(r, &key, &name, ngx_http_spaces_token_reply);
}


static ngx_int_t
ngx_http_spaces_token_reply(ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_cached_t     *cached;
    ngx_http_spaces_loading_t    *loading;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    loading = ctx->loading;

    if (reply == NULL) {
        ctx->token = ngx_http_spaces_known_token(r, &loading->key);

        return ctx->token ? ngx_http_spaces_load_space(r)
                          : ngx_http_spaces_unavailable(r, 0);
    }

    cached = ngx_http_spaces_cache_new(r, &loading->key, loading->sent);
    if (cached == NULL) {
        return NGX_ERROR;
    }

    cached->token = ngx_http_spaces_store_token(reply, cached->pool);
    ctx->token = cached->token;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (cached->token) {

        cached->counter = ngx_http_spaces_zone_change(smcf->zone,
                                                      &cached->token->space);
        cached->change = *cached->counter;

        /* if anything changed meanwhile, it may have been this */

        if (*ngx_http_spaces_all_changes(smcf->zone) == loading->changes) {
            ngx_http_spaces_cache_insert(smcf->cache, cached);
        }
    }

    return ngx_http_spaces_load_space(r);
}


/* without Redis: what this worker has read once, or the room knows */

static ngx_http_spaces_token_t *
ngx_http_spaces_known_token(ngx_http_request_t *r, ngx_str_t *hash)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_cached_t     *cached;
    ngx_http_spaces_main_conf_t  *smcf;

    cached = ngx_http_spaces_cache_get(r, hash, 1);

    if (cached) {
        return cached->token;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    return ngx_http_spaces_zone_token(smcf->zone, &ctx->id, hash, ctx->pool);
}


static ngx_int_t
ngx_http_spaces_load_space(ngx_http_request_t *r)
{
    ngx_str_t                     name;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_cached_t     *cached;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->id.len == 0 && ctx->token) {
        ctx->id = ctx->token->space;
    }

    if (!ngx_http_spaces_valid_id(&ctx->id)) {
        return ngx_http_spaces_loaded(r, NULL);
    }

    cached = ngx_http_spaces_cache_get(r, &ctx->id, 0);

    if (cached == NULL) {
        cached = ngx_http_spaces_load_live(r);
    }

    if (cached) {
        ctx->space = cached->space;
        return ngx_http_spaces_loaded(r, cached);
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    name = ngx_http_spaces_space_key(smcf, ctx->pool, &ctx->id);

    return ngx_http_spaces_fetch(r, &ctx->id, &name,
                                 ngx_http_spaces_space_reply);
}


/*
 * What is live here, its room knows as well as Redis does: thousands who join
 * at once wait for nobody.  NULL if it isn't, or is to be asked for fresh.
 */

static ngx_http_spaces_cached_t *
ngx_http_spaces_load_live(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_zone_t       *zone;
    ngx_http_spaces_cached_t     *cached;
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_http_spaces_room_info_t   info;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    zone = smcf->zone;

    if (ctx->fresh || zone->sh->nrooms == 0
        || ngx_http_spaces_zone_info(zone, &ctx->id, &info) != NGX_OK
        || info.state != NGX_HTTP_SPACES_ROOM_LIVE)
    {
        return NULL;
    }

    cached = ngx_http_spaces_read_room(r);

    if (cached) {
        ngx_http_spaces_cache_insert(smcf->cache, cached);
    }

    return cached;
}


static ngx_http_spaces_cached_t *
ngx_http_spaces_read_room(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_zone_t       *zone;
    ngx_http_spaces_cached_t     *cached;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    zone = smcf->zone;

    cached = ngx_http_spaces_cache_new(r, &ctx->id, ngx_current_msec);
    if (cached == NULL) {
        return NULL;
    }

    cached->counter = ngx_http_spaces_zone_change(zone, &ctx->id);
    cached->change = *cached->counter;
    cached->space = ngx_http_spaces_zone_known(zone, &ctx->id, cached->pool);

    return cached->space ? cached : NULL;
}


static ngx_int_t
ngx_http_spaces_space_reply(ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_cached_t     *cached;
    ngx_http_spaces_loading_t    *loading;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    loading = ctx->loading;

    if (reply == NULL) {
        cached = ngx_http_spaces_cache_get(r, &loading->key, 1);

        if (cached == NULL) {
            cached = ngx_http_spaces_read_room(r);
        }

        if (cached == NULL) {
            return ngx_http_spaces_unavailable(r, 0);
        }

        ctx->space = cached->space;

        return ngx_http_spaces_loaded(r, cached);
    }

    cached = ngx_http_spaces_cache_new(r, &loading->key, loading->sent);
    if (cached == NULL) {
        return NGX_ERROR;
    }

    cached->space = ngx_http_spaces_store_space(reply, cached->pool);
    ctx->space = cached->space;

    if (cached->space) {
        smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

        cached->counter = ngx_http_spaces_zone_change(smcf->zone, &ctx->id);
        cached->change = loading->change;

        ngx_http_spaces_cache_insert(smcf->cache, cached);
    }

    return ngx_http_spaces_loaded(r, cached);
}


/* all is there: what a room knows of the Space is newer still */

static ngx_int_t
ngx_http_spaces_loaded(ngx_http_request_t *r, ngx_http_spaces_cached_t *cached)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (ctx->token && ctx->token->expires_at <= ngx_http_spaces_now()) {
        ctx->token = NULL;
    }

    if (ctx->space && (ctx->fresh || smcf->zone->sh->nrooms
                       || smcf->zone->sh->nclaims)
        && ngx_http_spaces_overlay(r, cached) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_spaces_again_done(r, 1);

    ngx_http_spaces_assign_role(r);

    return ctx->step(r);
}


/* what is cached is for reading; who may change it has asked for fresh */

static ngx_int_t
ngx_http_spaces_overlay(ngx_http_request_t *r,
    ngx_http_spaces_cached_t *cached)
{
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t  *space;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    space = ctx->fresh ? NULL : cached->live;

    if (space == NULL) {
        space = ngx_palloc(ctx->fresh ? r->pool : cached->pool,
                           sizeof(ngx_http_spaces_space_t));
        if (space == NULL) {
            return NGX_ERROR;
        }

        if (!ctx->fresh) {
            cached->live = space;
        }
    }

    *space = *ctx->space;
    ctx->space = space;

    ngx_http_spaces_load_room(r);

    return NGX_OK;
}


void
ngx_http_spaces_load_room(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    ctx->in_room = ngx_http_spaces_zone_overlay(smcf->zone, ctx->space,
                                                &ctx->room)
                   == NGX_OK;
}


ngx_int_t
ngx_http_spaces_require_here(ngx_http_request_t *r, const char *what)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (ctx->in_room || ngx_http_spaces_store_is_here(smcf, ctx->space)) {
        return NGX_DECLINED;
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_ROOM,
                                   "the Space is on node \"%V\", %s there",
                                   &ctx->space->node, what);
}


static ngx_int_t
ngx_http_spaces_fetch(ngx_http_request_t *r, ngx_str_t *key, ngx_str_t *name,
    ngx_http_spaces_reply_pt reply)
{
    ngx_int_t                     rc;
    ngx_str_t                     argv[2];
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_loading_t    *loading;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    loading = ngx_palloc(ctx->pool, sizeof(ngx_http_spaces_loading_t));
    if (loading == NULL || name->data == NULL) {
        return NGX_ERROR;
    }

    loading->key = *key;
    loading->sent = ngx_current_msec;
    loading->change = *ngx_http_spaces_zone_change(smcf->zone, key);
    loading->changes = *ngx_http_spaces_all_changes(smcf->zone);

    ctx->loading = loading;

    ngx_str_set(&argv[0], "HGETALL");
    argv[1] = *name;

    ctx->reply = reply;
    ctx->op = ngx_http_spaces_redis_command(smcf->redis, 2, argv,
                                            ngx_http_spaces_request_handler,
                                            r);
    if (ctx->op) {
        return NGX_HTTP_SPACES_LATER;
    }

    /* what is in the cache may have to do */

    rc = reply(r, NULL);

    return rc;
}


ngx_int_t
ngx_http_spaces_request_command(ngx_http_request_t *r, ngx_uint_t argc,
    ngx_str_t *argv, ngx_http_spaces_reply_pt reply)
{
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    return ngx_http_spaces_awaits(r, reply,
               ngx_http_spaces_redis_command(smcf->redis, argc, argv,
                                             ngx_http_spaces_request_handler,
                                             r));
}


ngx_int_t
ngx_http_spaces_request_transaction(ngx_http_request_t *r,
    ngx_array_t *commands, ngx_http_spaces_reply_pt reply)
{
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    return ngx_http_spaces_awaits(r, reply,
               ngx_http_spaces_redis_transaction(smcf->redis, commands,
                                              ngx_http_spaces_request_handler,
                                              r));
}


ngx_int_t
ngx_http_spaces_request_reads(ngx_http_request_t *r, ngx_array_t *commands,
    ngx_http_spaces_reply_pt reply)
{
    ngx_str_t    *word, *arg;
    ngx_uint_t    i, n;
    ngx_pool_t   *pool;
    ngx_array_t  *command, args;

    command = commands->elts;
    pool = commands->pool;

    if (ngx_array_init(&args, pool, 64, sizeof(ngx_str_t)) != NGX_OK
        || (word = ngx_array_push_n(&args, 3)) == NULL)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&word[0], "EVAL");
    word[1] = ngx_http_spaces_reads_script;
    ngx_str_set(&word[2], "0");

    for (i = 0; i < commands->nelts; i++) {
        n = command[i].nelts;
        arg = command[i].elts;

        word = ngx_array_push_n(&args, n + 1);
        if (word == NULL) {
            return NGX_ERROR;
        }

        word[0] = ngx_http_spaces_number(pool, (int64_t) n);
        if (word[0].data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(&word[1], arg, n * sizeof(ngx_str_t));
    }

    return ngx_http_spaces_request_command(r, args.nelts, args.elts, reply);
}


static ngx_int_t
ngx_http_spaces_awaits(ngx_http_request_t *r, ngx_http_spaces_reply_pt reply,
    ngx_http_spaces_redis_op_t *op)
{
    ngx_http_spaces_ctx_t  *ctx;

    if (op == NULL) {
        return ngx_http_spaces_unavailable(r, 0);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    ctx->op = op;
    ctx->reply = reply;

    return NGX_HTTP_SPACES_LATER;
}


static void
ngx_http_spaces_request_handler(void *data, redisReply *reply)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_http_request_t     *r = data;
    ngx_http_spaces_ctx_t  *ctx;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    ctx->op = NULL;

    ngx_http_set_log_request(c->log, r);

    if (reply == NULL && ctx->reply != ngx_http_spaces_token_reply
        && ctx->reply != ngx_http_spaces_space_reply)
    {
        rc = ngx_http_spaces_unavailable(r, 1);

    } else {
        rc = ctx->reply(r, reply);
    }

    ngx_http_spaces_continue(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_spaces_unavailable(ngx_http_request_t *r, ngx_uint_t asked)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->again && ctx->again->next) {

        /* who hears a Space already goes on to, until it is known better */

        ngx_http_spaces_again_done(r, 0);

        return ctx->step(r);
    }

    if (asked && !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_REDIS,
                                     "Redis has not answered in time: it may "
                                     "have been done all the same; look before "
                                     "you try again");

    } else {
        rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_REDIS,
                                     "Redis does not answer; nothing was done, "
                                     "try again");
    }

    return ctx->failed ? ctx->failed(r, rc) : rc;
}
