
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The API's share links: mint, list, revoke.
 */


#include "ngx_http_spaces_body.h"
#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_revoked.h"
#include "ngx_http_spaces_secret.h"


/* what a request for links remembers */

typedef struct {
    ngx_http_spaces_scan_t     scan;
    ngx_pool_t                *pool;       /* of the part at hand */
    ngx_array_t                hashes;     /* of ngx_str_t, in that part */
    json_t                    *found;      /* links by their id, */
    ngx_array_t                list;       /* and as they were made */

    ngx_str_t                  hash;       /* of the one being minted, */
    ngx_http_spaces_token_t    token;      /* and what it is for */
} ngx_http_spaces_shares_t;


typedef struct {
    int64_t                    created_at;
    json_t                    *json;       /* of those that were found */
} ngx_http_spaces_listed_t;


static ngx_int_t ngx_http_spaces_shares_clip(ngx_http_request_t *r,
    ngx_http_spaces_token_t *token);
static void ngx_http_spaces_shares_span(json_t *json,
    ngx_http_spaces_token_t *token);
static ngx_int_t ngx_http_spaces_shares_created(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_shares_keep(
    ngx_http_spaces_shares_t *shares, redisReply *part);
static ngx_int_t ngx_http_spaces_shares_listed(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_shares_read(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_shares_add(ngx_http_request_t *r,
    ngx_str_t *hash, ngx_http_spaces_token_t *token);
static int ngx_libc_cdecl ngx_http_spaces_shares_compare(const void *one,
    const void *two);
static ngx_int_t ngx_http_spaces_shares_go_on(ngx_http_request_t *r);
static void ngx_http_spaces_shares_cleanup(void *data);
static void ngx_http_spaces_shares_forget(ngx_http_request_t *r,
    ngx_array_t *gone);
static void ngx_http_spaces_shares_forgotten(void *data, redisReply *reply);
static ngx_int_t ngx_http_spaces_shares_found(ngx_http_request_t *r,
    ngx_str_t *hash, ngx_http_spaces_token_t *token);
static ngx_int_t ngx_http_spaces_shares_revoked(ngx_http_request_t *r,
    redisReply *reply);


ngx_int_t
ngx_http_spaces_shares_create(ngx_http_request_t *r)
{
    int64_t                       ttl, begins, limit;
    ngx_int_t                     rc;
    ngx_array_t                  *commands;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_space_t      *space;
    ngx_http_spaces_shares_t     *shares;
    ngx_http_spaces_main_conf_t  *smcf;

    static const char  *names[] = { "ttl", "label", "start", "end", NULL };

    rc = ngx_http_spaces_require_visible(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    space = ctx->space;

    /* what anybody hears any user may pass on */

    rc = (space->visibility == NGX_HTTP_SPACES_PUBLIC && ctx->user.len)
         ? ngx_http_spaces_require_origin(r)
         : ngx_http_spaces_require_host(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    shares = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_shares_t));
    if (shares == NULL) {
        return NGX_ERROR;
    }

    ctx->data = shares;

    if (ngx_http_spaces_body_only(r, names, &rc) != NGX_OK) {
        return rc;
    }

    if (space->state == NGX_HTTP_SPACES_ENDED) {
        rc = ngx_http_spaces_require_recording(r);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    /* no longer than there is something to hear, be it announced for later */

    shares->token.created_at = ngx_http_spaces_zone_moment(smcf->zone);

    begins = (space->state == NGX_HTTP_SPACES_SCHEDULED)
             ? ngx_max(shares->token.created_at, space->scheduled_at)
             : shares->token.created_at;

    limit = (space->state == NGX_HTTP_SPACES_ENDED)
            ? space->expires_at : begins + space->replay_ttl * 1000;

    ttl = 0;

    switch (ngx_http_spaces_body_integer(r, "ttl", 1, 1000000000, &ttl, &rc)) {

    case NGX_OK:
        shares->token.expires_at = ngx_min(limit, shares->token.created_at
                                                  + ttl * 1000);
        break;

    case NGX_DECLINED:
        shares->token.expires_at = limit;
        break;

    default:
        return rc;
    }

    if (ngx_http_spaces_body_text(r, "label", NGX_HTTP_SPACES_MAX_TITLE,
                                  &shares->token.label, &rc)
        == NGX_ABORT)
    {
        return rc;
    }

    rc = ngx_http_spaces_shares_clip(r, &shares->token);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    shares->token.space = space->id;
    shares->token.kind = NGX_HTTP_SPACES_SHARE;

    commands = ngx_array_create(r->pool, 8, sizeof(ngx_array_t));

    if (commands == NULL
        || ngx_http_spaces_secret_new(r->pool, &ctx->share_token,
                                      &shares->hash)
           != NGX_OK
        || ngx_http_spaces_store_add_token(smcf, commands, &shares->hash,
                                           &shares->token)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_request_transaction(r, commands,
                                              ngx_http_spaces_shares_created);
}


/* NGX_DECLINED with the clip that the body asks for, if any, or the answer */

static ngx_int_t
ngx_http_spaces_shares_clip(ngx_http_request_t *r,
    ngx_http_spaces_token_t *token)
{
    int64_t                   start, end;
    ngx_int_t                 rc, has_start, has_end;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t  *space;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    space = ctx->space;

    start = 0;
    end = space->duration;

    has_start = ngx_http_spaces_body_seconds(r, "start", &start, &rc);
    if (has_start == NGX_ABORT) {
        return rc;
    }

    has_end = ngx_http_spaces_body_seconds(r, "end", &end, &rc);
    if (has_end == NGX_ABORT) {
        return rc;
    }

    if (has_start == NGX_DECLINED && has_end == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    if (space->state != NGX_HTTP_SPACES_ENDED) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_ENDED,
                                       "there are clips as soon as the Space "
                                       "has ended");
    }

    end = ngx_min(end, space->duration);

    if (start >= end) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FIELD,
                                       "\"start\" must be before \"end\" and "
                                       "before the end of the recording, "
                                       "which is %L.%03L s long",
                                       space->duration / 1000,
                                       space->duration % 1000);
    }

    token->start = start;
    token->end = end;

    return NGX_DECLINED;
}


static void
ngx_http_spaces_shares_span(json_t *json, ngx_http_spaces_token_t *token)
{
    if (token->end) {
        (void) json_object_set_new(json, "start",
                                   json_real((double) token->start / 1000));
        (void) json_object_set_new(json, "end",
                                   json_real((double) token->end / 1000));
    }
}


static ngx_int_t
ngx_http_spaces_shares_created(ngx_http_request_t *r, redisReply *reply)
{
    json_t                      *json;
    ngx_str_t                    id, url;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_shares_t    *shares;
    ngx_http_spaces_loc_conf_t  *slcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    shares = ctx->data;

    id = shares->hash;
    id.len = NGX_HTTP_SPACES_TOKEN_ID;

    if (ngx_http_complex_value(r, slcf->share_url, &url) != NGX_OK) {
        return NGX_ERROR;
    }

    json = json_pack("{s:o, s:o, s:o, s:o}",
                     "id", ngx_http_spaces_json_string(&id),
                     "token", ngx_http_spaces_json_string(&ctx->share_token),
                     "url", ngx_http_spaces_json_string(&url),
                     "expires_at",
                     ngx_http_spaces_json_time(shares->token.expires_at));

    ngx_http_spaces_shares_span(json, &shares->token);

    ngx_str_null(&ctx->share_token);

    return ngx_http_spaces_answer(r, NGX_HTTP_CREATED, json);
}


ngx_int_t
ngx_http_spaces_shares_list(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_pool_cleanup_t        *cln;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_shares_t  *shares;

    static ngx_str_t  any = ngx_string("");

    rc = ngx_http_spaces_require_host(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_spaces_shares_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    shares = cln->data;
    ngx_memzero(shares, sizeof(ngx_http_spaces_shares_t));

    cln->handler = ngx_http_spaces_shares_cleanup;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ctx->data = shares;

    shares->found = json_object();

    if (shares->found == NULL
        || ngx_array_init(&shares->list, r->pool, 16,
                          sizeof(ngx_http_spaces_listed_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_scan_begin(r, &shares->scan, &any,
                                      ngx_http_spaces_shares_listed);
}


static void
ngx_http_spaces_shares_cleanup(void *data)
{
    ngx_http_spaces_shares_t  *shares = data;

    json_decref(shares->found);

    if (shares->pool) {
        ngx_destroy_pool(shares->pool);
    }
}


/* a part of the hashes: what they are is asked for */

static ngx_int_t
ngx_http_spaces_shares_listed(ngx_http_request_t *r, redisReply *reply)
{
    ngx_str_t                     key, *hash;
    ngx_uint_t                    i;
    redisReply                   *part;
    ngx_array_t                  *commands;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_shares_t     *shares;
    ngx_http_spaces_main_conf_t  *smcf;

    static ngx_str_t  hgetall = ngx_string("HGETALL");

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    shares = ctx->data;

    part = ngx_http_spaces_scan_part(&shares->scan, reply);

    if (part == NULL || ngx_http_spaces_shares_keep(shares, part) != NGX_OK) {
        return NGX_ERROR;
    }

    if (shares->hashes.nelts == 0) {
        return ngx_http_spaces_shares_go_on(r);
    }

    commands = ngx_array_create(shares->pool, shares->hashes.nelts,
                                sizeof(ngx_array_t));
    if (commands == NULL) {
        return NGX_ERROR;
    }

    hash = shares->hashes.elts;

    for (i = 0; i < shares->hashes.nelts; i++) {
        key = ngx_http_spaces_token_key(smcf, shares->pool, &hash[i]);

        if (key.data == NULL
            || ngx_http_spaces_redis_add(commands, 2, &hgetall, &key) == NULL)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_spaces_request_reads(r, commands,
                                         ngx_http_spaces_shares_read);
}


/* in memory of its own, which goes with the part */

static ngx_int_t
ngx_http_spaces_shares_keep(ngx_http_spaces_shares_t *shares,
    redisReply *part)
{
    size_t       i;
    ngx_str_t   *hash, member;

    if (shares->pool) {
        ngx_destroy_pool(shares->pool);
    }

    shares->pool = ngx_create_pool(16384, ngx_cycle->log);

    if (shares->pool == NULL
        || ngx_array_init(&shares->hashes, shares->pool, part->elements + 1,
                          sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < part->elements; i++) {

        if (part->element[i]->type != REDIS_REPLY_STRING
            || part->element[i]->len != NGX_HTTP_SPACES_TOKEN_HASH)
        {
            continue;
        }

        member.data = (u_char *) part->element[i]->str;
        member.len = NGX_HTTP_SPACES_TOKEN_HASH;

        hash = ngx_array_push(&shares->hashes);
        if (hash == NULL) {
            return NGX_ERROR;
        }

        hash->len = member.len;
        hash->data = ngx_pstrdup(shares->pool, &member);
        if (hash->data == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_spaces_shares_read(ngx_http_request_t *r, redisReply *reply)
{
    ngx_str_t                 *hash, *old;
    ngx_uint_t                 i;
    ngx_array_t               *gone;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_token_t   *token;
    ngx_http_spaces_shares_t  *shares;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    shares = ctx->data;

    if (reply->type != REDIS_REPLY_ARRAY
        || reply->elements != shares->hashes.nelts)
    {
        return NGX_ERROR;
    }

    gone = ngx_array_create(shares->pool, 4, sizeof(ngx_str_t));
    if (gone == NULL) {
        return NGX_ERROR;
    }

    hash = shares->hashes.elts;

    for (i = 0; i < shares->hashes.nelts; i++) {

        token = ngx_http_spaces_store_token(reply->element[i], shares->pool);

        if (token == NULL) {

            /* expired: Redis dropped the token, not its place in the set */

            old = ngx_array_push(gone);
            if (old) {
                *old = hash[i];
            }

            continue;
        }

        if (token->kind == NGX_HTTP_SPACES_SHARE
            && ngx_http_spaces_shares_add(r, &hash[i], token) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_http_spaces_shares_forget(r, gone);

    return ngx_http_spaces_shares_go_on(r);
}


static ngx_int_t
ngx_http_spaces_shares_add(ngx_http_request_t *r, ngx_str_t *hash,
    ngx_http_spaces_token_t *token)
{
    json_t                    *share;
    int64_t                    ends;
    ngx_str_t                  id;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_shares_t  *shares;
    ngx_http_spaces_listed_t  *listed;
    char                       name[NGX_HTTP_SPACES_TOKEN_ID + 1];

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    shares = ctx->data;

    id.data = hash->data;
    id.len = NGX_HTTP_SPACES_TOKEN_ID;

    (void) ngx_cpystrn((u_char *) name, id.data, sizeof(name));

    /* a scan may find one twice */

    if (json_object_get(shares->found, name)) {
        return NGX_OK;
    }

    /* made when it wasn't known yet when there would be a recording */

    ends = ctx->space->expires_at
           ? ngx_min(token->expires_at, ctx->space->expires_at)
           : token->expires_at;

    share = json_pack("{s:o, s:o, s:o, s:o}",
                      "id", ngx_http_spaces_json_string(&id),
                      "label", token->label.len
                               ? ngx_http_spaces_json_string(&token->label)
                               : json_null(),
                      "created_at",
                      ngx_http_spaces_json_time(token->created_at),
                      "expires_at", ngx_http_spaces_json_time(ends));

    if (share == NULL) {
        return NGX_ERROR;
    }

    ngx_http_spaces_shares_span(share, token);

    if (json_object_set_new(shares->found, name, share) != 0) {
        return NGX_ERROR;
    }

    listed = ngx_array_push(&shares->list);
    if (listed == NULL) {
        return NGX_ERROR;
    }

    listed->created_at = token->created_at;
    listed->json = share;

    return NGX_OK;
}


/* newest first */

static int ngx_libc_cdecl
ngx_http_spaces_shares_compare(const void *one, const void *two)
{
    const ngx_http_spaces_listed_t  *a = one;
    const ngx_http_spaces_listed_t  *b = two;

    return (a->created_at < b->created_at) - (a->created_at > b->created_at);
}


/* the next part, or the answer */

static ngx_int_t
ngx_http_spaces_shares_go_on(ngx_http_request_t *r)
{
    json_t                    *list;
    ngx_uint_t                 i;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_listed_t  *listed;
    ngx_http_spaces_shares_t  *shares;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    shares = ctx->data;

    if (!ngx_http_spaces_scan_is_over(&shares->scan)) {
        return ngx_http_spaces_scan_next(r, &shares->scan);
    }

    list = json_array();
    listed = shares->list.elts;

    ngx_qsort(listed, shares->list.nelts, sizeof(ngx_http_spaces_listed_t),
              ngx_http_spaces_shares_compare);

    for (i = 0; i < shares->list.nelts; i++) {
        (void) json_array_append(list, listed[i].json);
    }

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                  json_pack("{s:o}", "shares", list));
}


static void
ngx_http_spaces_shares_forget(ngx_http_request_t *r, ngx_array_t *gone)
{
    ngx_str_t                    *argv, *hash;
    ngx_uint_t                    i;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    if (gone->nelts == 0) {
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    argv = ngx_palloc(gone->pool, (gone->nelts + 2) * sizeof(ngx_str_t));
    if (argv == NULL) {
        return;
    }

    ngx_str_set(&argv[0], "SREM");
    argv[1] = ngx_http_spaces_tokens_key(smcf, gone->pool, &ctx->id);
    hash = gone->elts;

    for (i = 0; i < gone->nelts; i++) {
        argv[i + 2] = hash[i];
    }

    if (argv[1].data) {
        (void) ngx_http_spaces_redis_command(smcf->redis, gone->nelts + 2,
                                             argv,
                                             ngx_http_spaces_shares_forgotten,
                                             NULL);
    }
}


static void
ngx_http_spaces_shares_forgotten(void *data, redisReply *reply)
{
    /* if it failed, the next list will try again */
}


ngx_int_t
ngx_http_spaces_shares_revoke(ngx_http_request_t *r, ngx_str_t *id)
{
    ngx_int_t  rc;

    rc = ngx_http_spaces_require_host(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_spaces_find_token(r, id, ngx_http_spaces_shares_found);
}


/* the tokens of the host and the speakers are in the same set */

static ngx_int_t
ngx_http_spaces_shares_found(ngx_http_request_t *r, ngx_str_t *hash,
    ngx_http_spaces_token_t *token)
{
    ngx_str_t                     key, set;
    ngx_array_t                  *commands;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    static ngx_str_t  del = ngx_string("DEL");
    static ngx_str_t  srem = ngx_string("SREM");

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (token == NULL || token->kind != NGX_HTTP_SPACES_SHARE) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                       "the Space has no share with this id");
    }

    key = ngx_http_spaces_token_key(smcf, r->pool, hash);
    set = ngx_http_spaces_tokens_key(smcf, r->pool, &ctx->id);
    commands = ngx_array_create(r->pool, 4, sizeof(ngx_array_t));

    if (key.data == NULL || set.data == NULL || commands == NULL
        || ngx_http_spaces_redis_add(commands, 2, &del, &key) == NULL
        || ngx_http_spaces_redis_add(commands, 3, &srem, &set, hash)
           == NULL
        || ngx_http_spaces_store_add_changed(smcf, commands, &ctx->id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_spaces_revoked_add(smcf, hash, token->expires_at);

    return ngx_http_spaces_request_transaction(r, commands,
                                              ngx_http_spaces_shares_revoked);
}


static ngx_int_t
ngx_http_spaces_shares_revoked(ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    ngx_http_spaces_store_changed(smcf, &ctx->id);

    return ngx_http_spaces_no_content(r);
}
