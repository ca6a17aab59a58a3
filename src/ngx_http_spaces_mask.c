
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Stars in place of tokens, in what nginx logs of a request.
 */


#include "ngx_http_spaces_request.h"


/* a link's token is looked for up to this length: none of ours is longer */
#define NGX_HTTP_SPACES_MASK_MAX  128


static ngx_int_t ngx_http_spaces_mask_copy(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *copy);
static ngx_uint_t ngx_http_spaces_mask_argument(ngx_str_t *text,
    const char *name);
static ngx_uint_t ngx_http_spaces_mask_string(ngx_str_t *text, ngx_str_t *s);
static u_char *ngx_http_spaces_mask_match(u_char *p, u_char *last,
    ngx_str_t *s);
static ngx_int_t ngx_http_spaces_mask_percent(u_char *p, u_char *last);


ngx_int_t
ngx_http_spaces_mask(ngx_http_request_t *r)
{
    ngx_str_t                    line, value;
    ngx_uint_t                   found;
    ngx_table_elt_t             *referer;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_loc_conf_t  *slcf;

    ctx = ngx_http_spaces_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->masked) {
        return NGX_OK;
    }

    ctx->masked = 1;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    if (slcf->is_share && ngx_http_spaces_find_target(r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_spaces_mask_copy(r->pool, &r->request_line, &line) != NGX_OK) {
        return NGX_ERROR;
    }

    found = ngx_http_spaces_mask_argument(&line, "token=");

    if (slcf->is_oembed) {

        /* a link, that is */

        found |= ngx_http_spaces_mask_argument(&line, "url=");
    }

    if (slcf->is_share && ctx->target.len) {

        if (!ngx_http_spaces_mask_string(&line, &ctx->target)) {

            /* the path was made shorter on its way, or that is no token */

            ngx_memset(line.data, '*', line.len);
        }

        found = 1;
    }

    /* from here on all that logs the request line logs this */

    if (found) {
        r->request_line = line;
    }

    /* a page whose address has a token in it, and that asks for something */

    referer = r->headers_in.referer;

    if (referer == NULL) {
        return NGX_OK;
    }

    if (ngx_http_spaces_mask_copy(r->pool, &referer->value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    found = ngx_http_spaces_mask_argument(&value, "token=");

    if (slcf->is_share) {
        found |= ngx_http_spaces_mask_string(&value, &ctx->target);
    }

    if (found) {
        referer->value = value;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_spaces_mask_copy(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *copy)
{
    /* who reads a header takes it for a string that ends */

    copy->len = text->len;
    copy->data = ngx_pnalloc(pool, text->len + 1);
    if (copy->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy->data, text->data, text->len);
    copy->data[text->len] = '\0';

    return NGX_OK;
}


/* the value of every argument of that name, an equals sign at its end */

static ngx_uint_t
ngx_http_spaces_mask_argument(ngx_str_t *text, const char *name)
{
    size_t       len;
    u_char      *p, *last;
    ngx_uint_t   found;

    found = 0;
    len = ngx_strlen(name);
    last = text->data + text->len;

    for (p = text->data; p + 1 + len < last; p++) {

        if ((*p != '?' && *p != '&')
            || ngx_strncasecmp(p + 1, (u_char *) name, len) != 0)
        {
            continue;
        }

        for (p += 1 + len; p < last && *p != '&' && *p != ' '; p++) {
            *p = '*';
            found = 1;
        }

        p--;
    }

    return found;
}


/* a string wherever it stands, in any spelling, with percent signs or not */

static ngx_uint_t
ngx_http_spaces_mask_string(ngx_str_t *text, ngx_str_t *s)
{
    u_char      *p, *last, *end;
    ngx_uint_t   found;

    if (s->len == 0 || s->len > NGX_HTTP_SPACES_MASK_MAX) {
        return 0;
    }

    found = 0;
    p = text->data;
    last = text->data + text->len;

    while (p < last) {
        end = ngx_http_spaces_mask_match(p, last, s);

        if (end == NULL) {
            p++;
            continue;
        }

        ngx_memset(p, '*', end - p);
        p = end;
        found = 1;
    }

    return found;
}


/* behind the string, if it begins there; NULL if not */

static u_char *
ngx_http_spaces_mask_match(u_char *p, u_char *last, ngx_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {

        if (p == last) {
            return NULL;
        }

        if (ngx_http_spaces_mask_percent(p, last) == s->data[i]) {
            p += 3;

        } else if (*p == s->data[i]) {
            p++;

        } else {
            return NULL;
        }
    }

    return p;
}


/* the byte that is spelt there with a percent sign; -1 if none is */

static ngx_int_t
ngx_http_spaces_mask_percent(u_char *p, u_char *last)
{
    if (*p != '%' || last - p < 3) {
        return -1;
    }

    return ngx_hextoi(p + 1, 2);
}
