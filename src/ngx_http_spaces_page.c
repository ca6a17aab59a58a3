
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_page.h"


/* how they look; the policy names it by the hash of what is between the tags */

#define NGX_HTTP_SPACES_PAGE_STYLE                                            \
    "body{max-width:42rem;margin:0 auto;padding:1rem;"                        \
    "background:#f8f6f1;color:#1c2421;"                                       \
    "font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}"              \
    "h1{margin:0 0 .5rem;font:600 1.8rem/1.2 Georgia,serif}"                  \
    "p{margin:0 0 .75rem}"                                                    \
    ".line{overflow:hidden;white-space:nowrap;text-overflow:ellipsis}"        \
    "a{color:inherit}"                                                        \
    "audio{display:block;width:100%}"                                         \
    "@media(prefers-color-scheme:dark)"                                       \
    "{body{background:#111614;color:#edf1ee}}"

#define NGX_HTTP_SPACES_PAGE_STYLE_HASH                                       \
    "sha256-P5KL5zSRGxhkm20JqwSkESd9J1AdIa8S8jthuqeUTt8="


/* what the pages show, safe in HTML */

typedef struct {
    ngx_str_t   title;
    ngx_str_t   host;
    ngx_str_t   language;
    ngx_str_t   duration;
    ngx_str_t   link;
    ngx_str_t   audio;         /* relative: it works below any prefix */
    ngx_str_t   discovery;     /* the tag that leads to oEmbed, or nothing */
} ngx_http_spaces_page_t;


static ngx_int_t ngx_http_spaces_page_fill(ngx_http_request_t *r,
    ngx_http_spaces_page_t *page);
static ngx_int_t ngx_http_spaces_page_discovery(ngx_http_request_t *r,
    ngx_str_t *link, ngx_str_t *tag);
static ngx_int_t ngx_http_spaces_page_answer(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *body, const char *policy);


static const char  ngx_http_spaces_page[] =
    "<!doctype html>\n"
    "<html lang=\"%V\" prefix=\"og: https://ogp.me/ns#\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n"
    "<meta name=\"description\" content=\"A recorded Space by %V, %V\">\n"
    "<meta property=\"og:type\" content=\"website\">\n"
    "<meta property=\"og:title\" content=\"%V\">\n"
    "<meta property=\"og:description\" "
        "content=\"A recorded Space by %V, %V\">\n"
    "<meta property=\"og:url\" content=\"%V\">\n"
    "<meta property=\"og:audio\" content=\"%V/audio\">\n"
    "<meta property=\"og:audio:type\" content=\"audio/ogg\">\n"
    "<meta name=\"twitter:card\" content=\"player\">\n"
    "<meta name=\"twitter:title\" content=\"%V\">\n"
    "<meta name=\"twitter:description\" "
        "content=\"A recorded Space by %V, %V\">\n"
    "<meta name=\"twitter:player\" content=\"%V/embed\">\n"
    "<meta name=\"twitter:player:width\" content=\"%d\">\n"
    "<meta name=\"twitter:player:height\" content=\"%d\">\n"
    "%V"
    "<title>%V</title>\n"
    "<style>%s</style>\n"
    "<main>\n"
    "<h1>%V</h1>\n"
    "<p>A recorded Space by %V, %V long</p>\n"
    "<audio controls preload=\"metadata\" src=\"%V\"></audio>\n"
    "</main>\n"
    "</html>\n";


static const char  ngx_http_spaces_embed[] =
    "<!doctype html>\n"
    "<html lang=\"%V\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n"
    "<title>%V</title>\n"
    "<style>%s</style>\n"
    "<main>\n"
    "<p class=\"line\"><a href=\"%V\" target=\"_blank\" "
        "rel=\"noopener noreferrer\">%V</a>, %V</p>\n"
    "<audio controls preload=\"metadata\" src=\"audio\"></audio>\n"
    "</main>\n"
    "</html>\n";


static const char  ngx_http_spaces_problem_page[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n"
    "<title>%V</title>\n"
    "<style>%s</style>\n"
    "<main>\n"
    "<h1>%V</h1>\n"
    "<p>%V</p>\n"
    "</main>\n"
    "</html>\n";


ngx_int_t
ngx_http_spaces_page_send(ngx_http_request_t *r)
{
    size_t                   len;
    ngx_str_t                body;
    ngx_http_spaces_page_t   page, *p;

    p = &page;

    if (ngx_http_spaces_page_fill(r, p) != NGX_OK) {
        return NGX_ERROR;
    }

    len = sizeof(ngx_http_spaces_page) + sizeof(NGX_HTTP_SPACES_PAGE_STYLE)
          + 2 * NGX_INT_T_LEN + p->language.len
          + 4 * p->title.len + p->title.len + 4 * p->host.len
          + 4 * p->duration.len + 3 * p->link.len + p->discovery.len
          + p->audio.len;

    body.data = ngx_pnalloc(r->pool, len);
    if (body.data == NULL) {
        return NGX_ERROR;
    }

    body.len = ngx_snprintf(body.data, len, ngx_http_spaces_page,
                            &p->language, &p->host, &p->duration, &p->title,
                            &p->host, &p->duration, &p->link, &p->link,
                            &p->title, &p->host, &p->duration, &p->link,
                            NGX_HTTP_SPACES_EMBED_WIDTH,
                            NGX_HTTP_SPACES_EMBED_HEIGHT, &p->discovery,
                            &p->title, NGX_HTTP_SPACES_PAGE_STYLE, &p->title,
                            &p->host, &p->duration, &p->audio)
               - body.data;

    return ngx_http_spaces_page_answer(r, NGX_HTTP_OK, &body, "'none'");
}


ngx_int_t
ngx_http_spaces_embed_send(ngx_http_request_t *r)
{
    size_t                   len;
    ngx_str_t                body;
    ngx_http_spaces_page_t   page, *p;

    p = &page;

    if (ngx_http_spaces_page_fill(r, p) != NGX_OK) {
        return NGX_ERROR;
    }

    len = sizeof(ngx_http_spaces_embed) + sizeof(NGX_HTTP_SPACES_PAGE_STYLE)
          + p->language.len + 2 * p->title.len
          + p->link.len + p->host.len;

    body.data = ngx_pnalloc(r->pool, len);
    if (body.data == NULL) {
        return NGX_ERROR;
    }

    body.len = ngx_snprintf(body.data, len, ngx_http_spaces_embed,
                            &p->language, &p->title,
                            NGX_HTTP_SPACES_PAGE_STYLE, &p->link, &p->title,
                            &p->host)
               - body.data;

    /* any site may show it: it holds nothing to click that does something */

    return ngx_http_spaces_page_answer(r, NGX_HTTP_OK, &body, "*");
}


ngx_int_t
ngx_http_spaces_page_problem(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *title, ngx_str_t *detail)
{
    size_t     len;
    ngx_str_t  body, safe_title, safe_detail;

    if (ngx_http_spaces_page_escape(r->pool, title, &safe_title) != NGX_OK
        || ngx_http_spaces_page_escape(r->pool, detail, &safe_detail)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof(ngx_http_spaces_problem_page)
          + sizeof(NGX_HTTP_SPACES_PAGE_STYLE) + 2 * safe_title.len
          + safe_detail.len;

    body.data = ngx_pnalloc(r->pool, len);
    if (body.data == NULL) {
        return NGX_ERROR;
    }

    body.len = ngx_snprintf(body.data, len, ngx_http_spaces_problem_page,
                            &safe_title, NGX_HTTP_SPACES_PAGE_STYLE,
                            &safe_title, &safe_detail)
               - body.data;

    return ngx_http_spaces_page_answer(r, status, &body, "*");
}


static ngx_int_t
ngx_http_spaces_page_fill(ngx_http_request_t *r, ngx_http_spaces_page_t *page)
{
    ngx_str_t                 link, token;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t  *space;

    static ngx_str_t  english = ngx_string("en");

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    space = ctx->space;

    page->duration = ngx_http_spaces_page_duration(r->pool,
                                          ngx_http_spaces_page_length(ctx));

    if (page->duration.data == NULL
        || ngx_http_spaces_page_link(r, &ctx->target, &link) != NGX_OK
        || ngx_http_spaces_page_discovery(r, &link, &page->discovery)
           != NGX_OK
        || ngx_http_spaces_page_escape(r->pool, &link, &page->link) != NGX_OK
        || ngx_http_spaces_page_escape(r->pool, &space->title, &page->title)
           != NGX_OK
        || ngx_http_spaces_page_escape(r->pool, &space->host, &page->host)
           != NGX_OK
        || ngx_http_spaces_page_escape(r->pool, &ctx->target, &token)
           != NGX_OK
        || ngx_http_spaces_page_escape(r->pool,
                               space->language.len ? &space->language
                                                   : &english,
                               &page->language)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    page->audio.data = ngx_pnalloc(r->pool, token.len + sizeof("/audio"));
    if (page->audio.data == NULL) {
        return NGX_ERROR;
    }

    page->audio.len = ngx_sprintf(page->audio.data, "%V/audio", &token)
                      - page->audio.data;

    return NGX_OK;
}


/* where the first "spaces_oembed" of the configuration is, if there is one */

static ngx_int_t
ngx_http_spaces_page_discovery(ngx_http_request_t *r, ngx_str_t *link,
    ngx_str_t *tag)
{
    size_t                        len;
    u_char                       *p;
    ngx_str_t                     origin, host;
    ngx_http_spaces_main_conf_t  *smcf;

    ngx_str_null(tag);

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (smcf->oembed.len == 0) {
        return NGX_OK;
    }

    if (ngx_http_spaces_own_origin(r, &host) != NGX_OK
        || ngx_http_spaces_page_escape(r->pool, &host, &origin) != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof("<link rel=\"alternate\" type=\"application/json+oembed\" "
                 "href=\"?format=json&amp;url=\">\n")
          + origin.len + smcf->oembed.len + 3 * link->len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    tag->data = p;

    p = ngx_sprintf(p, "<link rel=\"alternate\" "
                    "type=\"application/json+oembed\" "
                    "href=\"%V%V?format=json&amp;url=", &origin,
                    &smcf->oembed);
    p = (u_char *) ngx_escape_uri(p, link->data, link->len,
                                  NGX_ESCAPE_URI_COMPONENT);
    p = ngx_cpymem(p, "\">\n", 3);

    tag->len = p - tag->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_spaces_page_answer(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body, const char *ancestors)
{
    u_char     *last;
    ngx_str_t   policy;
    u_char      buf[256];

    static ngx_str_t  type = ngx_string("text/html; charset=utf-8");

    last = ngx_snprintf(buf, sizeof(buf),
                        "default-src 'none'; media-src 'self'; "
                        "style-src '" NGX_HTTP_SPACES_PAGE_STYLE_HASH "'; "
                        "base-uri 'none'; form-action 'none'; "
                        "frame-ancestors %s", ancestors);

    policy.data = buf;
    policy.len = last - buf;
    policy.data = ngx_pstrdup(r->pool, &policy);

    if (policy.data == NULL
        || ngx_http_spaces_header_private(r) != NGX_OK
        || ngx_http_spaces_header(r, "Content-Security-Policy", &policy)
           != NGX_OK
        || ngx_http_spaces_header_cstr(r, "X-Content-Type-Options", "nosniff")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_send(r, status, &type, body);
}


ngx_int_t
ngx_http_spaces_page_link(ngx_http_request_t *r, ngx_str_t *token,
    ngx_str_t *url)
{
    ngx_int_t                    rc;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_loc_conf_t  *slcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    ctx->share_token = *token;
    rc = ngx_http_complex_value(r, slcf->share_url, url);
    ngx_str_null(&ctx->share_token);

    return rc;
}


int64_t
ngx_http_spaces_page_length(ngx_http_spaces_ctx_t *ctx)
{
    if (ctx->token && ctx->token->end) {
        return ctx->token->end - ctx->token->start;
    }

    return ctx->space->duration;
}


ngx_str_t
ngx_http_spaces_page_duration(ngx_pool_t *pool, int64_t ms)
{
    int64_t    s;
    ngx_str_t  text;

    s = ms / 1000;

    text.len = 0;
    text.data = ngx_pnalloc(pool, NGX_INT64_LEN + sizeof(":00:00"));

    if (text.data) {
        text.len = ngx_sprintf(text.data, "%L:%02L:%02L", s / 3600,
                               s / 60 % 60, s % 60)
                   - text.data;
    }

    return text;
}


/* control characters become spaces: they mean nothing in a page */

ngx_int_t
ngx_http_spaces_page_escape(ngx_pool_t *pool, ngx_str_t *s, ngx_str_t *html)
{
    u_char     *p;
    size_t      i, len;
    ngx_str_t   plain;

    if (s->len == 0) {
        ngx_str_null(html);
        return NGX_OK;
    }

    plain.len = s->len;
    plain.data = ngx_pstrdup(pool, s);
    if (plain.data == NULL) {
        return NGX_ERROR;
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
