
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Who is calling, and what they may do.
 */


#include "ngx_http_spaces_request.h"
#include "ngx_http_spaces_secret.h"


static void ngx_http_spaces_ctx_cleanup(void *data);
static void ngx_http_spaces_unescape(ngx_str_t *value);


ngx_http_spaces_ctx_t *
ngx_http_spaces_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx) {
        return ctx;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_spaces_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_spaces_ctx_t));

    ctx->pool = r->pool;

    cln->handler = ngx_http_spaces_ctx_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_spaces_module);

    return ctx;
}


ngx_http_spaces_ctx_t *
ngx_http_spaces_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx || !r->internal) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_http_spaces_ctx_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_http_spaces_ctx_cleanup(void *data)
{
    ngx_http_spaces_ctx_t  *ctx = data;

    if (ctx->op) {
        ngx_http_spaces_redis_cancel(ctx->op);
    }

    json_decref(ctx->body);
}


ngx_int_t
ngx_http_spaces_identify(ngx_http_request_t *r)
{
    ngx_str_t                    secret;
    ngx_uint_t                   by_basic;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_loc_conf_t  *slcf;

    ctx = ngx_http_spaces_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    /* a link is its holder's, whoever that is */

    if (slcf->user && !slcf->is_share
        && ngx_http_complex_value(r, slcf->user, &ctx->user) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->user.len) {
        ngx_int_t  n;

        n = ngx_http_spaces_utf8_length(&ctx->user);

        if (n == NGX_ERROR || n > NGX_HTTP_SPACES_MAX_NAME) {
            ngx_http_spaces_log_error(NGX_LOG_WARN, r->connection->log, 0,
                            "the value of \"spaces_user\" is no UTF-8 of up to "
                            "%d characters: the caller is nobody",
                            NGX_HTTP_SPACES_MAX_NAME);
            ctx->user.len = 0;
        }
    }

    if (ngx_http_spaces_find_target(r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (slcf->is_share) {
        secret = ctx->target;

    } else {
        ctx->id = ctx->target;

        if (ngx_http_spaces_secret_find(r, &secret, &by_basic) != NGX_OK) {
            return NGX_ERROR;
        }

        ctx->by_basic = by_basic;
    }

    if (secret.len == 0) {
        return NGX_OK;
    }

    return ngx_http_spaces_secret_hash(r->pool, &secret, &ctx->hash);
}


ngx_int_t
ngx_http_spaces_identify_by(ngx_http_request_t *r, ngx_str_t *secret)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    return ngx_http_spaces_secret_hash(r->pool, secret, &ctx->hash);
}


ngx_int_t
ngx_http_spaces_find_target(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_loc_conf_t  *slcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    if (slcf->target == NULL || ctx->target.data) {
        return NGX_OK;
    }

    return ngx_http_complex_value(r, slcf->target, &ctx->target);
}


ngx_int_t
ngx_http_spaces_utf8_length(ngx_str_t *s)
{
    size_t      n;
    u_char     *p, *last;
    uint32_t    c;
    ngx_int_t   length;

    p = s->data;
    last = s->data + s->len;

    for (length = 0; p < last; length++) {

        if (*p < 0x80) {
            p++;
            continue;
        }

        n = last - p;
        c = ngx_utf8_decode(&p, n);

        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            return NGX_ERROR;
        }
    }

    return length;
}


void
ngx_http_spaces_assign_role(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t  *space;
    ngx_http_spaces_token_t  *token;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    space = ctx->space;

    ctx->role = NGX_HTTP_SPACES_NOBODY;
    ctx->by_token = 0;

    if (space == NULL) {
        return;
    }

    token = ngx_http_spaces_own_token(ctx);

    if (token && !token->removed) {
        ctx->role = token->kind;
        ctx->by_token = (ctx->role >= NGX_HTTP_SPACES_SPEAKER
                         && !ctx->by_basic);
    }

    /* whoever's token it comes with, a cookie may make the host of them */

    if (ctx->role != NGX_HTTP_SPACES_HOST
        && ctx->user.len && ctx->user.len == space->host.len
        && ngx_strncmp(ctx->user.data, space->host.data, space->host.len) == 0)
    {
        ctx->role = NGX_HTTP_SPACES_HOST;
        ctx->by_token = 0;
    }
}


ngx_http_spaces_token_t *
ngx_http_spaces_own_token(ngx_http_spaces_ctx_t *ctx)
{
    ngx_str_t                *id;
    ngx_http_spaces_token_t  *token;

    token = ctx->token;

    if (token == NULL || ctx->space == NULL) {
        return NULL;
    }

    id = &ctx->space->id;

    return (token->space.len == id->len
            && ngx_strncmp(token->space.data, id->data, id->len) == 0)
           ? token : NULL;
}


ngx_uint_t
ngx_http_spaces_is_recorded(ngx_http_spaces_ctx_t *ctx)
{
    /* a room that is kept for a moment says no more than the Space */

    return ctx->in_room && ctx->space->state != NGX_HTTP_SPACES_ENDED
           ? ctx->room.recording == NGX_HTTP_SPACES_RECORDING
           : ctx->space->record != 0;
}


ngx_uint_t
ngx_http_spaces_may_see(ngx_http_spaces_ctx_t *ctx)
{
    return ctx->space->visibility != NGX_HTTP_SPACES_UNLISTED
           || ctx->role != NGX_HTTP_SPACES_NOBODY;
}


ngx_uint_t
ngx_http_spaces_may_hear(ngx_http_spaces_ctx_t *ctx)
{
    return ctx->space->visibility == NGX_HTTP_SPACES_PUBLIC
           || ctx->role != NGX_HTTP_SPACES_NOBODY;
}


ngx_int_t
ngx_http_spaces_require_get(ngx_http_request_t *r, const char *detail)
{
    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return NGX_DECLINED;
    }

    if (ngx_http_spaces_header_cstr(r, "Allow", "GET, HEAD") != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_METHOD, "%s",
                                   detail);
}


ngx_table_elt_t *
ngx_http_spaces_find_header(ngx_http_request_t *r, const char *name,
    ngx_table_elt_t *before)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (before) {
                before = (before == &h[i]) ? NULL : before;
                continue;
            }

            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_spaces_arg(ngx_http_request_t *r, const char *name, ngx_str_t *value,
    ngx_int_t *rc)
{
    size_t      len;
    u_char     *p, *end, *last;
    ngx_str_t   found;

    ngx_str_null(&found);

    len = ngx_strlen(name);
    last = r->args.data + r->args.len;

    for (p = r->args.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) < len
            || ngx_strncasecmp(p, (u_char *) name, len) != 0
            || (p + len < end && p[len] != '='))
        {
            continue;
        }

        if (found.data) {
            *rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                          "\"%s\" is there twice", name);
            return NGX_ABORT;
        }

        found.data = ngx_min(p + len + 1, end);
        found.len = end - found.data;
    }

    if (found.data == NULL) {
        return NGX_DECLINED;
    }

    value->len = found.len;
    value->data = ngx_pnalloc(r->pool, found.len + 1);

    if (value->data == NULL) {
        *rc = NGX_ERROR;
        return NGX_ABORT;
    }

    ngx_memcpy(value->data, found.data, found.len);
    ngx_http_spaces_unescape(value);

    return NGX_OK;
}


/* in place; a form writes a space as a plus */

static void
ngx_http_spaces_unescape(ngx_str_t *value)
{
    u_char  *p, *src, *dst, *last;

    last = value->data + value->len;

    for (p = value->data; p < last; p++) {

        if (*p == '+') {
            *p = ' ';
        }
    }

    src = value->data;
    dst = value->data;

    ngx_unescape_uri(&dst, &src, value->len, 0);

    value->len = dst - value->data;
}


ngx_uint_t
ngx_http_spaces_accepts(ngx_http_request_t *r, const char *type)
{
    ngx_table_elt_t  *h;

    for (h = ngx_http_spaces_find_header(r, "Accept", NULL);
         h;
         h = ngx_http_spaces_find_header(r, "Accept", h))
    {
        if (ngx_strlcasestrn(h->value.data, h->value.data + h->value.len,
                             (u_char *) type, ngx_strlen(type) - 1))
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_spaces_require_visible(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->space == NULL || !ngx_http_spaces_may_see(ctx)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                       "no Space has this id");
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_spaces_require_hearing(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_require_visible(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ngx_http_spaces_may_hear(ctx)) {
        return NGX_DECLINED;
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_FORBIDDEN,
                                   "this Space is heard with a ticket");
}


ngx_int_t
ngx_http_spaces_require_host(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_require_visible(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->role == NGX_HTTP_SPACES_HOST) {
        return (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
               ? NGX_DECLINED : ngx_http_spaces_require_origin(r);
    }

    if (ctx->user.len == 0 && ctx->hash.len == 0) {
        return ngx_http_spaces_unauthorized(r,
                                    "log in as the host, or send the host's "
                                    "token as \"Authorization: Bearer\"");
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_FORBIDDEN,
                                   "only the host may do this");
}


ngx_int_t
ngx_http_spaces_unauthorized(ngx_http_request_t *r, const char *detail)
{
    if (ngx_http_spaces_header_cstr(r, "WWW-Authenticate", "Bearer")
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_UNAUTHORIZED, "%s",
                                   detail);
}


ngx_int_t
ngx_http_spaces_require_origin(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    /* a token that no browser sends unasked: who does means to */

    if (ctx->by_token) {
        return NGX_DECLINED;
    }

    return ngx_http_spaces_require_own_origin(r);
}


ngx_int_t
ngx_http_spaces_require_own_origin(ngx_http_request_t *r)
{
    ngx_str_t                    own, *origin;
    ngx_uint_t                   i;
    ngx_table_elt_t             *h, *found;
    ngx_http_spaces_loc_conf_t  *slcf;

    /* if there are two, the last */

    found = NULL;

    for (h = ngx_http_spaces_find_header(r, "Origin", NULL);
         h;
         h = ngx_http_spaces_find_header(r, "Origin", h))
    {
        found = h;
    }

    if (found == NULL) {
        return NGX_DECLINED;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    if (slcf->origins) {
        origin = slcf->origins->elts;

        for (i = 0; i < slcf->origins->nelts; i++) {

            if (found->value.len == origin[i].len
                && ngx_strncasecmp(found->value.data, origin[i].data,
                                   origin[i].len)
                   == 0)
            {
                return NGX_DECLINED;
            }
        }

    } else {

        if (ngx_http_spaces_own_origin(r, &own) != NGX_OK) {
            return NGX_ERROR;
        }

        if (found->value.len == own.len
            && ngx_strncasecmp(found->value.data, own.data, own.len) == 0)
        {
            return NGX_DECLINED;
        }
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_FOREIGN_ORIGIN,
                                   "the operator can allow this origin with "
                                   "\"spaces_origin\"");
}


ngx_int_t
ngx_http_spaces_own_origin(ngx_http_request_t *r, ngx_str_t *origin)
{
    u_char     *last;
    ngx_str_t   host;

    ngx_str_null(&host);

    if (r->headers_in.host) {
        host = r->headers_in.host->value;
    }

    origin->data = ngx_pnalloc(r->pool, sizeof("https://") + host.len);
    if (origin->data == NULL) {
        return NGX_ERROR;
    }

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        last = ngx_sprintf(origin->data, "https://%V", &host);

    } else
#endif
    {
        last = ngx_sprintf(origin->data, "http://%V", &host);
    }

    origin->len = last - origin->data;

    return NGX_OK;
}


ngx_uint_t
ngx_http_spaces_is_on(ngx_http_request_t *r, ngx_http_complex_value_t *value)
{
    ngx_str_t  s;

    if (value == NULL) {
        return 1;
    }

    if (ngx_http_complex_value(r, value, &s) != NGX_OK) {
        return 0;
    }

    return !(s.len == 0
             || (s.len == 1 && s.data[0] == '0')
             || (s.len == 3 && ngx_strncasecmp(s.data, (u_char *) "off", 3)
                               == 0));
}
