
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The tokens of a Space, which may be many: a part of them at a time, so that
 * Redis has time for others; and one of them, found by the id that its host
 * knows it by.
 */


#include "ngx_http_spaces_load.h"


typedef struct {
    ngx_http_spaces_scan_t     scan;
    ngx_str_t                  id;
    ngx_http_spaces_found_pt   found;
    ngx_str_t                  hash;
} ngx_http_spaces_search_t;


static ngx_uint_t ngx_http_spaces_is_hex(ngx_str_t *s);
static ngx_int_t ngx_http_spaces_token_members(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_token_found(ngx_http_request_t *r,
    redisReply *reply);


ngx_int_t
ngx_http_spaces_scan_begin(ngx_http_request_t *r, ngx_http_spaces_scan_t *scan,
    ngx_str_t *prefix, ngx_http_spaces_reply_pt reply)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    scan->reply = reply;
    scan->key = ngx_http_spaces_tokens_key(smcf, r->pool, &ctx->id);

    scan->match.len = prefix->len + 1;
    scan->match.data = ngx_pnalloc(r->pool, scan->match.len);

    if (scan->key.data == NULL || scan->match.data == NULL) {
        return NGX_ERROR;
    }

    *ngx_cpymem(scan->match.data, prefix->data, prefix->len) = '*';

    scan->cursor_len = 1;
    scan->cursor[0] = '0';

    return ngx_http_spaces_scan_next(r, scan);
}


ngx_int_t
ngx_http_spaces_scan_next(ngx_http_request_t *r, ngx_http_spaces_scan_t *scan)
{
    ngx_str_t  argv[7];

    ngx_str_set(&argv[0], "SSCAN");
    argv[1] = scan->key;
    argv[2].data = scan->cursor;
    argv[2].len = scan->cursor_len;
    ngx_str_set(&argv[3], "MATCH");
    argv[4] = scan->match;
    ngx_str_set(&argv[5], "COUNT");
    ngx_str_set(&argv[6], NGX_HTTP_SPACES_SCAN);

    return ngx_http_spaces_request_command(r, 7, argv, scan->reply);
}


redisReply *
ngx_http_spaces_scan_part(ngx_http_spaces_scan_t *scan, redisReply *reply)
{
    redisReply  *cursor;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || reply->element[1]->type != REDIS_REPLY_ARRAY)
    {
        return NULL;
    }

    cursor = reply->element[0];

    if (cursor->type != REDIS_REPLY_STRING || cursor->len == 0
        || cursor->len > sizeof(scan->cursor))
    {
        return NULL;
    }

    scan->cursor_len = cursor->len;
    ngx_memcpy(scan->cursor, cursor->str, cursor->len);

    return reply->element[1];
}


ngx_uint_t
ngx_http_spaces_scan_is_over(ngx_http_spaces_scan_t *scan)
{
    return scan->cursor_len == 1 && scan->cursor[0] == '0';
}


ngx_int_t
ngx_http_spaces_find_token(ngx_http_request_t *r, ngx_str_t *id,
    ngx_http_spaces_found_pt found)
{
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_search_t  *search;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    /* nor is it to be a pattern */

    if (id->len != NGX_HTTP_SPACES_TOKEN_ID || !ngx_http_spaces_is_hex(id)) {
        return found(r, NULL, NULL);
    }

    search = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_search_t));
    if (search == NULL) {
        return NGX_ERROR;
    }

    search->id = *id;
    search->found = found;
    ctx->loading = search;

    return ngx_http_spaces_scan_begin(r, &search->scan, id,
                                      ngx_http_spaces_token_members);
}


static ngx_uint_t
ngx_http_spaces_is_hex(ngx_str_t *s)
{
    ngx_uint_t  i;

    for (i = 0; i < s->len; i++) {

        if (!isxdigit(s->data[i])) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_spaces_token_members(ngx_http_request_t *r, redisReply *reply)
{
    ngx_str_t                     argv[2];
    redisReply                   *part, *e;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_search_t     *search;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    search = ctx->loading;

    part = ngx_http_spaces_scan_part(&search->scan, reply);

    if (part == NULL) {
        return NGX_ERROR;
    }

    if (part->elements == 0) {
        return ngx_http_spaces_scan_is_over(&search->scan)
               ? search->found(r, NULL, NULL)
               : ngx_http_spaces_scan_next(r, &search->scan);
    }

    e = part->element[0];

    if (e->type != REDIS_REPLY_STRING || e->len != NGX_HTTP_SPACES_TOKEN_HASH) {
        return NGX_ERROR;
    }

    search->hash.len = NGX_HTTP_SPACES_TOKEN_HASH;
    search->hash.data = ngx_pnalloc(r->pool, search->hash.len);
    if (search->hash.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(search->hash.data, e->str, search->hash.len);

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
