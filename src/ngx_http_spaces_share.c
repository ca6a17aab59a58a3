
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Share links: a page for people, and the audio behind it.
 */


#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_store.h"


static ngx_uint_t ngx_http_spaces_share_is_link(ngx_http_spaces_ctx_t *ctx);
static ngx_uint_t ngx_http_spaces_share_allowed(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_share_loaded(ngx_http_request_t *r);
static ngx_uint_t ngx_http_spaces_share_ends(ngx_http_request_t *r,
    ngx_str_t *token, const char *tail);
static ngx_int_t ngx_http_spaces_share_page(ngx_http_request_t *r,
    ngx_str_t *token);
static ngx_int_t ngx_http_spaces_share_escape(ngx_pool_t *pool, ngx_str_t *s,
    ngx_str_t *html);


/* relative, so that it works below any prefix */

static const char  ngx_http_spaces_page[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n"
    "<title>%V</title>\n"
    "<main>\n"
    "<h1>%V</h1>\n"
    "<p>A recorded Space by %V, %02L:%02L:%02L long</p>\n"
    "<audio controls preload=\"metadata\" src=\"%V/audio\"></audio>\n"
    "</main>\n"
    "</html>\n";


ngx_int_t
ngx_http_spaces_share_handler(ngx_http_request_t *r)
{
    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        if (ngx_http_spaces_header_cstr(r, "Allow", "GET, HEAD") != NGX_OK) {
            return NGX_ERROR;
        }

        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_METHOD,
                                       "a share link is read with GET");
    }

    if (ngx_http_spaces_identify(r) != NGX_OK) {
        return NGX_ERROR;
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

    if (!ngx_http_spaces_share_is_link(ctx)) {
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
        return ngx_http_spaces_share_page(r, &ctx->target);
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                   "a link has no such part");
}


static ngx_uint_t
ngx_http_spaces_share_is_link(ngx_http_spaces_ctx_t *ctx)
{
    return ctx->token && ctx->token->kind == NGX_HTTP_SPACES_SHARE
           && ctx->space;
}


static ngx_uint_t
ngx_http_spaces_share_allowed(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    return ngx_http_spaces_share_is_link(ctx)
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


static ngx_int_t
ngx_http_spaces_share_page(ngx_http_request_t *r, ngx_str_t *token)
{
    size_t                    len;
    int64_t                   s;
    ngx_str_t                 title, host, body, self;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t  *space;

    static ngx_str_t  type = ngx_string("text/html; charset=utf-8");

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    space = ctx->space;

    if (ngx_http_spaces_share_escape(r->pool, token, &self) != NGX_OK
        || ngx_http_spaces_share_escape(r->pool, &space->title, &title)
           != NGX_OK
        || ngx_http_spaces_share_escape(r->pool, &space->host, &host)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof(ngx_http_spaces_page) + 2 * title.len + host.len + self.len
          + 3 * NGX_INT64_LEN;

    body.data = ngx_pnalloc(r->pool, len);
    if (body.data == NULL) {
        return NGX_ERROR;
    }

    s = (ctx->token->end ? ctx->token->end - ctx->token->start
                         : space->duration) / 1000;

    body.len = ngx_snprintf(body.data, len, ngx_http_spaces_page, &title,
                            &title, &host, s / 3600, s / 60 % 60, s % 60,
                            &self)
               - body.data;

    if (ngx_http_spaces_header_private(r) != NGX_OK
        || ngx_http_spaces_header_cstr(r, "Content-Security-Policy",
                                       "default-src 'none'; media-src 'self'; "
                                       "base-uri 'none'; form-action 'none'; "
                                       "frame-ancestors 'none'")
           != NGX_OK
        || ngx_http_spaces_header_cstr(r, "X-Content-Type-Options", "nosniff")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_send(r, NGX_HTTP_OK, &type, &body);
}


/* control characters become spaces: they mean nothing in a page */

static ngx_int_t
ngx_http_spaces_share_escape(ngx_pool_t *pool, ngx_str_t *s, ngx_str_t *html)
{
    u_char     *p;
    size_t      i, len;
    ngx_str_t   plain;

    plain.len = s->len;
    plain.data = ngx_pstrdup(pool, s);
    if (plain.data == NULL) {
        return s->len ? NGX_ERROR : NGX_OK;
    }

    for (i = 0; i < plain.len; i++) {
        if (plain.data[i] < 0x20 || plain.data[i] == 0x7f) {
            plain.data[i] = ' ';
        }
    }

    len = plain.len + ngx_escape_html(NULL, plain.data, plain.len);

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_escape_html(p, plain.data, plain.len);

    html->data = p;
    html->len = len;

    return NGX_OK;
}
