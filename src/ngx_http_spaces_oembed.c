
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * oEmbed (oembed.com, 1.0) for share links: what a site needs to show a player
 * where somebody has pasted one.
 */


#include "ngx_http_spaces_page.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_secret.h"


/* the length of a token, and a URL that is too long for a link */
#define NGX_HTTP_SPACES_OEMBED_URL    2048


static ngx_int_t ngx_http_spaces_oembed_token(ngx_http_request_t *r,
    ngx_str_t *url, ngx_str_t *token);
static ngx_int_t ngx_http_spaces_oembed_size(ngx_http_request_t *r,
    const char *name, ngx_int_t *size);
static ngx_int_t ngx_http_spaces_oembed_loaded(ngx_http_request_t *r);


ngx_int_t
ngx_http_spaces_oembed_handler(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_str_t               url, format, token;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_require_get(r, "oEmbed is read with GET");

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_spaces_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_arg(r, (u_char *) "format", 6, &format) == NGX_OK
        && !(format.len == 4 && ngx_strncmp(format.data, "json", 4) == 0))
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FORMAT,
                                       "\"format\" can be \"json\" alone");
    }

    ngx_str_null(&url);

    if (ngx_http_spaces_arg(r, "url", &url, &rc) == NGX_ABORT) {
        return rc;
    }

    if (url.len == 0 || url.len > NGX_HTTP_SPACES_OEMBED_URL) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "\"url\" must be a share link");
    }

    if (ngx_http_spaces_oembed_token(r, &url, &token) != NGX_OK) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                       "\"url\" is no share link of this "
                                       "site");
    }

    ctx->target = token;

    if (ngx_http_spaces_identify_by(r, &token) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_begin(r,
               ngx_http_spaces_load(r, ngx_http_spaces_oembed_loaded));
}


/*
 * Links look as the operator wants, so each run of letters that could be a
 * token is tried: the URL has to be the one that it makes.
 */

static ngx_int_t
ngx_http_spaces_oembed_token(ngx_http_request_t *r, ngx_str_t *url,
    ngx_str_t *token)
{
    u_char     *p, *start, *last;
    ngx_str_t   link;

    last = url->data + url->len;

    for (p = url->data; p < last; p++) {

        for (start = p;
             p < last && (isalnum(*p) || *p == '-' || *p == '_');
             p++)
        {
            /* void */
        }

        if (p - start != NGX_HTTP_SPACES_SECRET_LEN) {
            continue;
        }

        token->data = start;
        token->len = NGX_HTTP_SPACES_SECRET_LEN;

        if (ngx_http_spaces_page_link(r, token, &link) == NGX_OK
            && link.len <= url->len
            && ngx_strncmp(link.data, url->data, link.len) == 0
            && (link.len == url->len || url->data[link.len] == '/'
                || url->data[link.len] == '?' || url->data[link.len] == '#'))
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_spaces_oembed_loaded(ngx_http_request_t *r)
{
    u_char                 *p;
    size_t                  len;
    ngx_int_t               rc, width, height;
    ngx_str_t               link, safe, title, html;
    ngx_http_spaces_ctx_t  *ctx;

    static const char  frame[] =
        "<iframe src=\"%V/embed\" width=\"%i\" height=\"%i\" title=\"%V\" "
        "style=\"border:0\" allow=\"autoplay\" loading=\"lazy\"></iframe>";

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (!ngx_http_spaces_is_link(ctx)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                       "this link was revoked, has expired, "
                                       "or never was one");
    }

    rc = ngx_http_spaces_require_recording(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    width = NGX_HTTP_SPACES_EMBED_WIDTH;
    height = NGX_HTTP_SPACES_EMBED_HEIGHT;

    if (ngx_http_spaces_oembed_size(r, "maxwidth", &width) != NGX_OK
        || ngx_http_spaces_oembed_size(r, "maxheight", &height) != NGX_OK)
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "\"maxwidth\" and \"maxheight\" must "
                                       "be numbers of pixels");
    }

    if (ngx_http_spaces_page_link(r, &ctx->target, &link) != NGX_OK
        || ngx_http_spaces_page_escape(r->pool, &link, &safe) != NGX_OK
        || ngx_http_spaces_page_escape(r->pool, &ctx->space->title, &title)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof(frame) + safe.len + title.len + 2 * NGX_INT_T_LEN;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    html.data = p;
    html.len = ngx_snprintf(p, len, frame, &safe, width, height, &title) - p;

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
               json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:i, s:i}",
                         "version", "1.0",
                         "type", "rich",
                         "provider_name", "Spaces",
                         "title",
                         ngx_http_spaces_json_string(&ctx->space->title),
                         "author_name",
                         ngx_http_spaces_json_string(&ctx->space->host),
                         "html", ngx_http_spaces_json_string(&html),
                         "width", (int) width,
                         "height", (int) height));
}


static ngx_int_t
ngx_http_spaces_oembed_size(ngx_http_request_t *r, const char *name,
    ngx_int_t *size)
{
    ngx_int_t  n;
    ngx_str_t  value;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &value) != NGX_OK) {
        return NGX_OK;
    }

    n = ngx_atoi(value.data, value.len);

    if (n < 1) {
        return NGX_ERROR;
    }

    *size = ngx_min(*size, n);

    return NGX_OK;
}
