
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The API's changes of a Space by its host: title, topics, language, and, as
 * long as it has not begun, whether it is recorded.
 */


#include "ngx_http_spaces_body.h"
#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_move.h"


/* arguments of EVAL before the keys of lists, and behind them */
#define NGX_HTTP_SPACES_PATCH_KEYS  4
#define NGX_HTTP_SPACES_PATCH_ARGS  12

/* how often it is read again, for somebody else was first */
#define NGX_HTTP_SPACES_PATCH_TRIES  5


static ngx_int_t ngx_http_spaces_patch_fields(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space);
static ngx_int_t ngx_http_spaces_patch_command(ngx_http_request_t *r,
    ngx_http_spaces_space_t *was);
static ngx_int_t ngx_http_spaces_patched(ngx_http_request_t *r,
    redisReply *reply);
static ngx_uint_t ngx_http_spaces_patch_is_kept(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_patch_kept(ngx_http_request_t *r);


/*
 * A script: what was deleted since it was read does not come back, into no
 * list.  What somebody else has changed since, be it another field, is read
 * again first (1); so is what has gone live, if it was to be recorded or not.
 * Only what may be changed is written: the room writes the rest.  What takes
 * memory comes first: a Redis that has none refuses it, and nothing is done.
 */

static ngx_str_t  ngx_http_spaces_patch_script = ngx_string(
    "local recording = redis.call('HGET', KEYS[1], 'recording') "
    "if not recording then return false end "
    "local scheduled = redis.call('HGET', KEYS[1], 'state') == 'scheduled' "
    "local is = redis.call('HMGET', KEYS[1], 'title', 'topics', 'language', "
                          "'record') "
    "for i = 1, scheduled and 4 or 3 do "
        "if (is[i] or '') ~= ARGV[8 + i] then return 1 end "
    "end "
    "if not scheduled and ARGV[6] ~= ARGV[12] then return 1 end "
    "redis.call('HSET', KEYS[1], 'title', ARGV[3]) "
    NGX_HTTP_SPACES_UNLIST_SCRIPT
    "redis.call('HSET', KEYS[1], 'topics', ARGV[4], 'language', ARGV[5]) "
    "if scheduled then "
        "redis.call('HSET', KEYS[1], 'record', ARGV[6]) "
    "end "
    "if recording ~= 'deleted' and recording ~= 'expired' then "
        "for i = 2, #KEYS do "
            "redis.call('ZADD', KEYS[i], ARGV[7], ARGV[2]) "
        "end "
    "end "
    "redis.call('PUBLISH', ARGV[8], ARGV[2]) "
    "return recording"
);


ngx_int_t
ngx_http_spaces_patch(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t   was;

    rc = ngx_http_spaces_require_host(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    /* its room, or the .json beside its recording, is to know as well */

    if (ctx->space->state != NGX_HTTP_SPACES_SCHEDULED) {
        rc = ngx_http_spaces_require_here(r, "change it");

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    was = *ctx->space;

    rc = ngx_http_spaces_patch_fields(r, ctx->space);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_spaces_patch_command(r, &was);
}


static ngx_int_t
ngx_http_spaces_patch_fields(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space)
{
    int64_t                      record;
    ngx_int_t                    rc, has_record;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_loc_conf_t  *slcf;

    static const char  *names[] = {
        "title", "topics", "language", "record", NULL
    };

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    record = space->record;

    if (ngx_http_spaces_body_only(r, names, &rc) != NGX_OK
        || ngx_http_spaces_body_text(r, "title", NGX_HTTP_SPACES_MAX_TITLE,
                                     &space->title, &rc)
           == NGX_ABORT
        || ngx_http_spaces_body_topics(r, &space->topics, &rc) == NGX_ABORT
        || ngx_http_spaces_body_language(r, &space->language, &rc)
           == NGX_ABORT)
    {
        return rc;
    }

    has_record = ngx_http_spaces_body_bool(r, "record", &record, &rc);

    if (has_record == NGX_ABORT) {
        return rc;
    }

    if (json_is_null(json_object_get(ctx->body, "language"))) {
        ngx_str_null(&space->language);
    }

    /* be it the same: who asks learns when it was to be asked */

    if (has_record == NGX_OK && space->state != NGX_HTTP_SPACES_SCHEDULED) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BEGUN,
                                       "whether a Space is recorded is "
                                       "settled before it is live");
    }

    if (record == space->record) {
        return NGX_DECLINED;
    }

    if (record && !ngx_http_spaces_is_on(r, slcf->record)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_RECORDING_OFF,
                                       "the operator has not switched "
                                       "recording on for you");
    }

    space->record = record;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_spaces_patch_command(ngx_http_request_t *r,
    ngx_http_spaces_space_t *was)
{
    ngx_str_t                    *argv;
    ngx_uint_t                    i, n, nlists;
    ngx_array_t                  *lists;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_space_t      *space;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    space = ctx->space;

    lists = ngx_http_spaces_store_labels(smcf, r->pool, space);
    if (lists == NULL) {
        return NGX_ERROR;
    }

    nlists = ngx_http_spaces_store_is_listed(space) ? lists->nelts : 0;

    n = NGX_HTTP_SPACES_PATCH_KEYS + nlists + NGX_HTTP_SPACES_PATCH_ARGS;

    argv = ngx_palloc(r->pool, n * sizeof(ngx_str_t));
    if (argv == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&argv[0], "EVAL");
    argv[1] = ngx_http_spaces_patch_script;
    argv[2] = ngx_http_spaces_number(r->pool, (int64_t) nlists + 1);
    argv[3] = ngx_http_spaces_space_key(smcf, r->pool, &ctx->id);

    i = NGX_HTTP_SPACES_PATCH_KEYS;

    ngx_memcpy(&argv[i], lists->elts, nlists * sizeof(ngx_str_t));
    i += nlists;

    argv[i++] = smcf->redis_conf.prefix;
    argv[i++] = ctx->id;
    argv[i++] = space->title;
    argv[i++] = space->topics;
    argv[i++] = space->language;
    argv[i++] = ngx_http_spaces_number(r->pool, space->record);
    argv[i++] = ngx_http_spaces_number(r->pool, space->created_at);
    argv[i++] = ngx_http_spaces_redis_key(smcf, r->pool, "changed");
    argv[i++] = was->title;
    argv[i++] = was->topics;
    argv[i++] = was->language;
    argv[i++] = ngx_http_spaces_number(r->pool, was->record);

    if (argv[2].data == NULL || argv[3].data == NULL
        || argv[n - 7].data == NULL || argv[n - 6].data == NULL
        || argv[n - 5].data == NULL || argv[n - 1].data == NULL)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_request_command(r, n, argv,
                                           ngx_http_spaces_patched);
}


static ngx_int_t
ngx_http_spaces_patched(ngx_http_request_t *r, redisReply *reply)
{
    ngx_int_t                     recording;
    ngx_str_t                     document, value;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    ngx_http_spaces_store_changed(smcf, &ctx->id);

    if (reply->type == REDIS_REPLY_INTEGER
        && ctx->tries++ < NGX_HTTP_SPACES_PATCH_TRIES)
    {
        return ngx_http_spaces_load(r, ngx_http_spaces_patch);
    }

    if (reply->type == REDIS_REPLY_INTEGER) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_REDIS,
                                       "others change this Space all the "
                                       "time; nothing was done, try again");
    }

    if (reply->type != REDIS_REPLY_STRING) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                       "there is no such Space");
    }

    value.data = (u_char *) reply->str;
    value.len = reply->len;

    recording = ngx_http_spaces_name_index(ngx_http_spaces_recordings, &value);

    if (recording >= NGX_HTTP_SPACES_DELETED) {
        ctx->space->recording = recording;
    }

    document = ngx_http_spaces_space_document(ctx->space, r->pool);

    if (document.data) {
        ngx_http_spaces_zone_document(smcf->zone, &ctx->id, &document);

        /* who has read what the room had until now */

        ngx_http_spaces_store_changed(smcf, &ctx->id);
    }

    return ngx_http_spaces_await(r, ngx_http_spaces_patch_is_kept,
                                 ngx_http_spaces_patch_kept,
                                 ngx_http_spaces_patch_kept);
}


/* a room has it on its disk, so that a crash does not take it back */

static ngx_uint_t
ngx_http_spaces_patch_is_kept(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_room_info_t   info;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    return ngx_http_spaces_zone_info(smcf->zone, &ctx->id, &info) != NGX_OK
           || info.described;
}


static ngx_int_t
ngx_http_spaces_patch_kept(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    /* it may have ended meanwhile, and have been published as it was */

    (void) ngx_http_spaces_zone_overlay(smcf->zone, ctx->space, &ctx->room);

    if (ctx->space->recording == NGX_HTTP_SPACES_AVAILABLE
        || ngx_http_spaces_is_held(ctx->space))
    {
        (void) ngx_http_spaces_move(smcf, ngx_http_spaces_move_amend,
                                    ctx->space, NULL, NULL, NULL, NULL);
    }

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                  ngx_http_spaces_describe(r, ctx->space, 1));
}
