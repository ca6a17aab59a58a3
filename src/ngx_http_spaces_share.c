
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Share links: a page for people, a player for frames, and the audio behind
 * them.
 */


#include "ngx_http_spaces_page.h"
#include "ngx_http_spaces_load.h"


static ngx_uint_t ngx_http_spaces_share_allowed(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_share_loaded(ngx_http_request_t *r);
static ngx_uint_t ngx_http_spaces_share_ends(ngx_http_request_t *r,
    ngx_str_t *token, const char *tail);
static ngx_int_t ngx_http_spaces_share_page(ngx_http_request_t *r);


ngx_int_t
ngx_http_spaces_share_handler(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_require_get(r, "a share link is read with GET");

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_spaces_identify(r) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (!ngx_http_spaces_share_ends(r, &ctx->target, "/audio")
        && ngx_http_spaces_accepts(r, "text/html"))
    {
        /* to people, in words */

        ctx->problem = ngx_http_spaces_page_problem;
    }

    return ngx_http_spaces_begin(r,
               ngx_http_spaces_load(r, ngx_http_spaces_share_loaded));
}


static ngx_int_t
ngx_http_spaces_share_loaded(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    /* the token of a host opens no link: it would be one to do all with */

    if (!ngx_http_spaces_is_link(ctx)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                       "this link was revoked, has expired, "
                                       "or never was one");
    }

    rc = ngx_http_spaces_require_recording(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_spaces_share_ends(r, &ctx->target, "/audio")) {
        return ngx_http_spaces_replay_available(r, 1,
                                                ngx_http_spaces_share_allowed);
    }

    if (ngx_http_spaces_share_ends(r, &ctx->target, "")) {
        return ngx_http_spaces_share_page(r);
    }

    if (ngx_http_spaces_share_ends(r, &ctx->target, "/embed")) {
        return ngx_http_spaces_embed_send(r);
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                   "a link has no such part");
}


ngx_uint_t
ngx_http_spaces_is_link(ngx_http_spaces_ctx_t *ctx)
{
    return ctx->token && ctx->token->kind == NGX_HTTP_SPACES_SHARE
           && ctx->space;
}


static ngx_uint_t
ngx_http_spaces_share_allowed(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    return ngx_http_spaces_is_link(ctx)
           && ngx_http_spaces_is_available(ctx->space);
}


static ngx_uint_t
ngx_http_spaces_share_ends(ngx_http_request_t *r, ngx_str_t *token,
    const char *tail)
{
    size_t   len;
    u_char  *p;

    len = ngx_strlen(tail);

    if (r->uri.len < token->len + len) {
        return 0;
    }

    p = r->uri.data + r->uri.len - len - token->len;

    return ngx_strncmp(p, token->data, token->len) == 0
           && ngx_strncmp(p + token->len, tail, len) == 0;
}


/* the operator's own page, with the variables set; or the plain one */

static ngx_int_t
ngx_http_spaces_share_page(ngx_http_request_t *r)
{
    ngx_str_t                    uri, args;
    ngx_uint_t                   flags;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    if (slcf->share_page == NULL) {
        return ngx_http_spaces_page_send(r);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ngx_http_spaces_page_link(r, &ctx->target, &ctx->link) != NGX_OK
        || ngx_http_complex_value(r, slcf->share_page, &uri) != NGX_OK
        || ngx_http_spaces_header_private(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (uri.len && uri.data[0] == '@') {
        return ngx_http_named_location(r, &uri);
    }

    ngx_str_null(&args);
    flags = NGX_HTTP_LOG_UNSAFE;

    if (ngx_http_parse_unsafe_uri(r, &uri, &args, &flags) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_internal_redirect(r, &uri, &args);
}
