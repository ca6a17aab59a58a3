
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The API's speakers: invited, muted, removed by their host.
 */


#include "ngx_http_spaces_body.h"
#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_secret.h"


typedef struct {
    ngx_str_t                 id;
    ngx_str_t                 hash;
    int64_t                   muted;
    ngx_http_spaces_token_t   token;
} ngx_http_spaces_invited_t;


static ngx_int_t ngx_http_spaces_speakers_invited(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_speakers_mute(ngx_http_request_t *r,
    ngx_str_t *hash, ngx_http_spaces_token_t *token);
static ngx_int_t ngx_http_spaces_speakers_muted(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_speakers_gone(ngx_http_request_t *r,
    ngx_str_t *hash, ngx_http_spaces_token_t *token);
static ngx_int_t ngx_http_spaces_speakers_removed(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_speakers_set(ngx_http_request_t *r,
    ngx_str_t *hash, const char *field, ngx_uint_t value,
    ngx_http_spaces_reply_pt reply);
static ngx_int_t ngx_http_spaces_speakers_require_set(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_speakers_require_here(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_speakers_unknown(ngx_http_request_t *r);


/* a field of a token that is still there: one made anew would never expire */

static ngx_str_t  ngx_http_spaces_speakers_script = ngx_string(
    "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end "
    "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) "
    "return 1");

static ngx_str_t  ngx_http_spaces_host_id = ngx_string("host");


ngx_int_t
ngx_http_spaces_speakers_invite(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_array_t                  *commands;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_space_t      *space;
    ngx_http_spaces_invited_t    *invited;
    ngx_http_spaces_main_conf_t  *smcf;

    static const char  *names[] = { "name", NULL };

    rc = ngx_http_spaces_require_host(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    space = ctx->space;

    if (space->state == NGX_HTTP_SPACES_ENDED) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_OVER,
                                       "there is nothing to speak in any "
                                       "more: create another Space");
    }

    invited = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_invited_t));
    if (invited == NULL) {
        return NGX_ERROR;
    }

    ctx->data = invited;

    if (ngx_http_spaces_body_only(r, names, &rc) != NGX_OK) {
        return rc;
    }

    switch (ngx_http_spaces_body_text(r, "name", NGX_HTTP_SPACES_MAX_NAME,
                                      &invited->token.label, &rc))
    {
    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FIELD,
                                       "\"name\" is required");

    default:
        return rc;
    }

    /* it is of use as long as the Space may go on */

    invited->token.space = space->id;
    invited->token.kind = NGX_HTTP_SPACES_SPEAKER;
    invited->token.created_at = ngx_http_spaces_now();
    invited->token.expires_at = ngx_max(invited->token.created_at,
                                        space->scheduled_at)
                                + (space->replay_ttl + space->max_duration)
                                  * 1000;

    commands = ngx_array_create(r->pool, 8, sizeof(ngx_array_t));

    if (commands == NULL
        || ngx_http_spaces_secret_new(r->pool, &ctx->share_token,
                                      &invited->hash)
           != NGX_OK
        || ngx_http_spaces_store_add_token(smcf, commands, &invited->hash,
                                           &invited->token)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_request_transaction(r, commands,
                                            ngx_http_spaces_speakers_invited);
}


static ngx_int_t
ngx_http_spaces_speakers_invited(ngx_http_request_t *r, redisReply *reply)
{
    json_t                     *json;
    ngx_str_t                   id;
    ngx_http_spaces_ctx_t      *ctx;
    ngx_http_spaces_invited_t  *invited;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    invited = ctx->data;

    id.data = invited->hash.data;
    id.len = NGX_HTTP_SPACES_TOKEN_ID;

    json = json_pack("{s:o, s:o, s:o}",
                     "id", ngx_http_spaces_json_string(&id),
                     "name",
                     ngx_http_spaces_json_string(&invited->token.label),
                     "token", ngx_http_spaces_json_string(&ctx->share_token));

    ngx_str_null(&ctx->share_token);

    return ngx_http_spaces_answer(r, NGX_HTTP_CREATED, json);
}


ngx_int_t
ngx_http_spaces_speakers_patch(ngx_http_request_t *r, ngx_str_t *id)
{
    ngx_int_t                     rc;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_voice_t       voice;
    ngx_http_spaces_invited_t    *invited;
    ngx_http_spaces_main_conf_t  *smcf;

    static const char  *names[] = { "muted", NULL };

    rc = ngx_http_spaces_speakers_require_here(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    invited = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_invited_t));
    if (invited == NULL) {
        return NGX_ERROR;
    }

    invited->id = *id;
    ctx->data = invited;

    if (ngx_http_spaces_body_only(r, names, &rc) != NGX_OK) {
        return rc;
    }

    switch (ngx_http_spaces_body_bool(r, "muted", &invited->muted, &rc)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FIELD,
                                       "\"muted\" is required");

    default:
        return rc;
    }

    if (id->len != ngx_http_spaces_host_id.len
        || ngx_strncmp(id->data, ngx_http_spaces_host_id.data, id->len) != 0)
    {
        return ngx_http_spaces_find_token(r, id,
                                          ngx_http_spaces_speakers_mute);
    }

    /* the host is muted as long as they are there */

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (ngx_http_spaces_zone_mute(smcf->zone, &ctx->id, id,
                                  (ngx_uint_t) invited->muted, &voice)
        != NGX_OK)
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_LIVE,
                                       "the host has not spoken yet");
    }

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                  ngx_http_spaces_voice_json(&voice));
}


static ngx_int_t
ngx_http_spaces_speakers_mute(ngx_http_request_t *r, ngx_str_t *hash,
    ngx_http_spaces_token_t *token)
{
    ngx_http_spaces_ctx_t      *ctx;
    ngx_http_spaces_invited_t  *invited;

    if (token == NULL || token->kind != NGX_HTTP_SPACES_SPEAKER
        || token->removed)
    {
        return ngx_http_spaces_speakers_unknown(r);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    invited = ctx->data;

    invited->token = *token;

    return ngx_http_spaces_speakers_set(r, hash, "muted",
                                        (ngx_uint_t) invited->muted,
                                        ngx_http_spaces_speakers_muted);
}


static ngx_int_t
ngx_http_spaces_speakers_muted(ngx_http_request_t *r, redisReply *reply)
{
    ngx_int_t                     rc;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_voice_t       voice;
    ngx_http_spaces_invited_t    *invited;
    ngx_http_spaces_main_conf_t  *smcf;

    rc = ngx_http_spaces_speakers_require_set(r, reply);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    invited = ctx->data;

    ngx_http_spaces_store_changed(smcf, &ctx->id);

    if (ngx_http_spaces_zone_mute(smcf->zone, &ctx->id, &invited->id,
                                  (ngx_uint_t) invited->muted, &voice)
        != NGX_OK)
    {
        /* they aren't there now */

        voice.id_len = invited->id.len;
        ngx_memcpy(voice.id, invited->id.data, voice.id_len);

        voice.name_len = ngx_min(invited->token.label.len,
                                 NGX_HTTP_SPACES_SPEAKER_NAME);
        ngx_memcpy(voice.name, invited->token.label.data, voice.name_len);

        voice.host = 0;
        voice.muted = (invited->muted != 0);
        voice.speaking = 0;
    }

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                  ngx_http_spaces_voice_json(&voice));
}


ngx_int_t
ngx_http_spaces_speakers_remove(ngx_http_request_t *r, ngx_str_t *id)
{
    ngx_int_t                   rc;
    ngx_http_spaces_ctx_t      *ctx;
    ngx_http_spaces_invited_t  *invited;

    rc = ngx_http_spaces_speakers_require_here(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (id->len == ngx_http_spaces_host_id.len
        && ngx_strncmp(id->data, ngx_http_spaces_host_id.data, id->len) == 0)
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "the host can't be removed: end the "
                                       "Space instead");
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    invited = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_invited_t));
    if (invited == NULL) {
        return NGX_ERROR;
    }

    invited->id = *id;
    ctx->data = invited;

    return ngx_http_spaces_find_token(r, id, ngx_http_spaces_speakers_gone);
}


/* the token stays, so that its holder is told what has become of it */

static ngx_int_t
ngx_http_spaces_speakers_gone(ngx_http_request_t *r, ngx_str_t *hash,
    ngx_http_spaces_token_t *token)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_invited_t    *invited;
    ngx_http_spaces_main_conf_t  *smcf;

    if (token == NULL || token->kind != NGX_HTTP_SPACES_SPEAKER) {
        return ngx_http_spaces_speakers_unknown(r);
    }

    if (token->removed) {

        /* Redis may have been too late to say so to who asked before */

        ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
        smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
        invited = ctx->data;

        return ngx_http_spaces_zone_remove(smcf->zone, &ctx->id, &invited->id)
               == NGX_OK
               ? ngx_http_spaces_no_content(r)
               : ngx_http_spaces_speakers_unknown(r);
    }

    return ngx_http_spaces_speakers_set(r, hash, "removed", 1,
                                        ngx_http_spaces_speakers_removed);
}


static ngx_int_t
ngx_http_spaces_speakers_removed(ngx_http_request_t *r, redisReply *reply)
{
    ngx_int_t                     rc;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_invited_t    *invited;
    ngx_http_spaces_main_conf_t  *smcf;

    rc = ngx_http_spaces_speakers_require_set(r, reply);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    invited = ctx->data;

    ngx_http_spaces_store_changed(smcf, &ctx->id);

    (void) ngx_http_spaces_zone_remove(smcf->zone, &ctx->id, &invited->id);

    return ngx_http_spaces_no_content(r);
}


static ngx_int_t
ngx_http_spaces_speakers_set(ngx_http_request_t *r, ngx_str_t *hash,
    const char *field, ngx_uint_t value, ngx_http_spaces_reply_pt reply)
{
    ngx_str_t                     key, name, number;
    ngx_array_t                  *commands;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    static ngx_str_t  eval = ngx_string("EVAL");
    static ngx_str_t  one = ngx_string("1");

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    name.data = (u_char *) field;
    name.len = ngx_strlen(field);

    key = ngx_http_spaces_token_key(smcf, r->pool, hash);
    number = ngx_http_spaces_number(r->pool, (int64_t) value);
    commands = ngx_array_create(r->pool, 4, sizeof(ngx_array_t));

    if (key.data == NULL || number.data == NULL || commands == NULL
        || ngx_http_spaces_redis_add(commands, 6, &eval,
                                     &ngx_http_spaces_speakers_script, &one,
                                     &key, &name, &number)
           == NULL
        || ngx_http_spaces_store_add_changed(smcf, commands, &ctx->id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_request_transaction(r, commands, reply);
}


/* NGX_DECLINED if the token has the field now, or the answer */

static ngx_int_t
ngx_http_spaces_speakers_require_set(ngx_http_request_t *r, redisReply *reply)
{
    redisReply  *set;

    set = (reply->type == REDIS_REPLY_ARRAY && reply->elements)
          ? reply->element[0] : reply;

    if (set->type == REDIS_REPLY_INTEGER) {
        return set->integer ? NGX_DECLINED
                            : ngx_http_spaces_speakers_unknown(r);
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "redis did not set a field of a token: %*s",
                  (size_t) (set->type == REDIS_REPLY_ERROR
                            ? ngx_min(set->len, 200) : 0), set->str);

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_REDIS,
                                   "Redis refused to take it");
}


/* NGX_DECLINED, or the answer to who isn't the host, or where it isn't live */

static ngx_int_t
ngx_http_spaces_speakers_require_here(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_require_host(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    return ctx->space->state == NGX_HTTP_SPACES_LIVE
           ? ngx_http_spaces_require_here(r, "mute and remove")
           : NGX_DECLINED;
}


static ngx_int_t
ngx_http_spaces_speakers_unknown(ngx_http_request_t *r)
{
    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                   "the Space has no speaker with this id");
}
