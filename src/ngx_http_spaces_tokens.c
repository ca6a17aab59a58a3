
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A token of a Space, found by the id that its host knows it by.
 */


#include "ngx_http_spaces_load.h"


typedef struct {
    ngx_str_t                  id;
    ngx_http_spaces_found_pt   found;
    ngx_str_t                  hash;
} ngx_http_spaces_search_t;


static ngx_int_t ngx_http_spaces_token_members(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_token_found(ngx_http_request_t *r,
    redisReply *reply);


ngx_int_t
ngx_http_spaces_find_token(ngx_http_request_t *r, ngx_str_t *id,
    ngx_http_spaces_found_pt found)
{
    ngx_str_t                     argv[2];
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_search_t     *search;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (id->len != NGX_HTTP_SPACES_TOKEN_ID) {
        return found(r, NULL, NULL);
    }

    search = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_search_t));
    if (search == NULL) {
        return NGX_ERROR;
    }

    search->id = *id;
    search->found = found;
    ctx->loading = search;

    ngx_str_set(&argv[0], "SMEMBERS");
    argv[1] = ngx_http_spaces_tokens_key(smcf, r->pool, &ctx->id);

    if (argv[1].data == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_request_command(r, 2, argv,
                                           ngx_http_spaces_token_members);
}


static ngx_int_t
ngx_http_spaces_token_members(ngx_http_request_t *r, redisReply *reply)
{
    size_t                        i;
    ngx_str_t                     argv[2];
    redisReply                   *e;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_search_t     *search;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    search = ctx->loading;

    if (reply->type != REDIS_REPLY_ARRAY) {
        return NGX_ERROR;
    }

    for (i = 0; i < reply->elements; i++) {
        e = reply->element[i];

        if (e->type == REDIS_REPLY_STRING
            && e->len == NGX_HTTP_SPACES_TOKEN_HASH
            && ngx_strncmp(e->str, search->id.data, search->id.len) == 0)
        {
            break;
        }
    }

    if (i == reply->elements) {
        return search->found(r, NULL, NULL);
    }

    search->hash.len = NGX_HTTP_SPACES_TOKEN_HASH;
    search->hash.data = ngx_pnalloc(r->pool, search->hash.len);
    if (search->hash.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(search->hash.data, reply->element[i]->str, search->hash.len);

    ngx_str_set(&argv[0], "HGETALL");
    argv[1] = ngx_http_spaces_token_key(smcf, r->pool, &search->hash);

    if (argv[1].data == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_request_command(r, 2, argv,
                                           ngx_http_spaces_token_found);
}


static ngx_int_t
ngx_http_spaces_token_found(ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_search_t  *search;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    search = ctx->loading;

    return search->found(r, &search->hash,
                         ngx_http_spaces_store_token(reply, r->pool));
}
