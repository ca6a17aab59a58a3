
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Recordings by Range: once it is settled that the caller may hear one, it is
 * served as nginx serves any file.
 */


#include "ngx_http_spaces_clip.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_wave.h"
#include "ngx_http_spaces_transfer.h"


static ngx_int_t ngx_http_spaces_replay_loaded(ngx_http_request_t *r);
static ngx_uint_t ngx_http_spaces_replay_allowed(ngx_http_request_t *r);
static ngx_uint_t ngx_http_spaces_replay_matches(ngx_str_t *list,
    ngx_str_t *etag);
static ngx_int_t ngx_http_spaces_replay_open(ngx_http_request_t *r,
    ngx_str_t *path, ngx_open_file_info_t *of);
static ngx_int_t ngx_http_spaces_replay_set_etag(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_int_t ngx_http_spaces_replay_disposition(ngx_http_request_t *r);


ngx_int_t
ngx_http_spaces_replay_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_spaces_require_get(r, "a recording is read with GET");

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_spaces_identify(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_begin(r,
               ngx_http_spaces_load(r, ngx_http_spaces_replay_loaded));
}


static ngx_int_t
ngx_http_spaces_replay_loaded(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_require_hearing(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    rc = ngx_http_spaces_require_recording(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_spaces_replay_available(r,
               ctx->hash.len != 0
               || ctx->space->visibility != NGX_HTTP_SPACES_PUBLIC,
               ngx_http_spaces_replay_allowed);
}


static ngx_uint_t
ngx_http_spaces_replay_allowed(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    return ngx_http_spaces_may_see(ctx) && ngx_http_spaces_may_hear(ctx)
           && ngx_http_spaces_is_available(ctx->space);
}


ngx_int_t
ngx_http_spaces_replay_available(ngx_http_request_t *r, ngx_uint_t shared,
    ngx_http_spaces_allowed_pt allowed)
{
    ngx_int_t                     rc;
    ngx_str_t                     path;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_span_t        span;
    ngx_http_spaces_wave_e        kind;
    ngx_http_spaces_main_conf_t  *smcf;

    rc = ngx_http_spaces_clip_span(r, &span);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    kind = ngx_http_spaces_wave_kind(r);

    if (kind) {
        return ngx_http_spaces_wave_send(r, kind, &span, shared);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    path = ngx_http_spaces_recording_path(&smcf->path, &ctx->id, ".opus",
                                          r->pool);
    if (path.data == NULL) {
        return NGX_ERROR;
    }

    return span.whole
           ? ngx_http_spaces_replay_send(r, &path, shared, allowed)
           : ngx_http_spaces_clip_send(r, &path, &span, shared, allowed);
}


ngx_uint_t
ngx_http_spaces_is_available(ngx_http_spaces_space_t *space)
{
    /* the day may have come before the file has been moved */

    return space->state == NGX_HTTP_SPACES_ENDED
           && space->recording == NGX_HTTP_SPACES_AVAILABLE
           && space->expires_at > ngx_http_spaces_now();
}


ngx_int_t
ngx_http_spaces_require_recording(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t  *space;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    space = ctx->space;

    switch (space->recording) {

    case NGX_HTTP_SPACES_DELETED:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_GONE_DELETED,
                                       "the host has deleted it");

    case NGX_HTTP_SPACES_EXPIRED:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_GONE_EXPIRED,
                                       "its time is over");
    }

    if (space->state != NGX_HTTP_SPACES_ENDED) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_ENDED,
                                       space->record
                                       ? "there is a recording as soon as the "
                                         "Space has ended"
                                       : "it is not recorded: there will be "
                                         "nothing to replay");
    }

    if (space->recording != NGX_HTTP_SPACES_AVAILABLE) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_RECORDED,
                                       "there is nothing to replay");
    }

    if (!ngx_http_spaces_is_available(space)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_GONE_EXPIRED,
                                       "its time is over");
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_spaces_replay_send(ngx_http_request_t *r, ngx_str_t *path,
    ngx_uint_t shared, ngx_http_spaces_allowed_pt allowed)
{
    u_char                 *p;
    ngx_int_t               rc;
    ngx_buf_t              *b;
    ngx_str_t               etag;
    ngx_chain_t             out;
    ngx_open_file_info_t    of;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_replay_open(r, path, &of);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    /* strong: a recording's bytes are those of its id, for good */

    p = ngx_pnalloc(r->pool, NGX_OFF_T_LEN + ctx->id.len + 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    etag.data = p;
    etag.len = ngx_sprintf(p, "\"%V-%xO\"", &ctx->id, of.size) - p;

    if (ngx_http_spaces_replay_headers(r, of.size, of.mtime, &etag, shared)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_spaces_replay_condition(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    r->root_tested = !r->error_page;
    r->allow_ranges = 1;

    /* all is allocated before the header is sent */

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->file = ngx_pcalloc(r->pool, sizeof(ngx_file_t));
    if (b->file == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_HTTP_RANGE_NOT_SATISFIABLE) {
        ngx_http_spaces_replay_clear(r);

        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_RANGE,
                                       "the recording has %O bytes", of.size);
    }

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->file_pos = 0;
    b->file_last = of.size;

    b->in_file = b->file_last ? 1 : 0;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    b->file->fd = of.fd;
    b->file->name = *path;
    b->file->log = r->connection->log;
    b->file->directio = of.is_directio;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_output_filter(r, &out);

    if (rc != NGX_ERROR && ngx_http_spaces_is_available(ctx->space)) {
        ngx_http_spaces_replays_count(r);
    }

    if (rc == NGX_AGAIN
        && ngx_http_spaces_transfer_watch(r, allowed) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return rc;
}


/* what told of the recording does not tell of the problem; its length does */

void
ngx_http_spaces_replay_clear(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (&h[i] != r->headers_out.content_range) {
                h[i].hash = 0;
            }
        }
    }

    r->headers_out.etag = NULL;
    r->headers_out.last_modified_time = -1;
    r->allow_ranges = 0;
}


/* RFC 9110, 13.2.2: the first two steps */

ngx_int_t
ngx_http_spaces_replay_condition(ngx_http_request_t *r)
{
    time_t            t;
    ngx_uint_t        met;
    ngx_table_elt_t  *match, *unmodified;

    match = r->headers_in.if_match;
    unmodified = r->headers_in.if_unmodified_since;

    r->headers_in.if_match = NULL;
    r->headers_in.if_unmodified_since = NULL;

    met = 1;

    if (match) {
        met = ngx_http_spaces_replay_matches(&match->value,
                                             &r->headers_out.etag->value);

    } else if (unmodified) {
        t = ngx_parse_http_time(unmodified->value.data,
                                unmodified->value.len);

        met = (t == NGX_ERROR || t >= r->headers_out.last_modified_time);
    }

    if (met) {
        return NGX_DECLINED;
    }

    ngx_http_spaces_replay_clear(r);

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_PRECONDITION,
                                   "it is not as \"%V\" says",
                                   match ? &match->key : &unmodified->key);
}


/* whether a list of entity tags has this one, which is strong */

static ngx_uint_t
ngx_http_spaces_replay_matches(ngx_str_t *list, ngx_str_t *etag)
{
    u_char  *p, *last, *start;

    p = list->data;
    last = list->data + list->len;

    if (list->len == 1 && *p == '*') {
        return 1;
    }

    while (p < last) {

        if (*p == ' ' || *p == '\t' || *p == ',') {
            p++;
            continue;
        }

        start = p;

        if (last - p > 2 && p[0] == 'W' && p[1] == '/') {
            p += 2;
        }

        if (*p != '"') {
            return 0;
        }

        p = ngx_strlchr(p + 1, last, '"');

        if (p == NULL) {
            return 0;
        }

        p++;

        if ((size_t) (p - start) == etag->len
            && ngx_strncmp(start, etag->data, etag->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* by the location's own settings: "open_file_cache", "directio" and so on */

static ngx_int_t
ngx_http_spaces_replay_open(ngx_http_request_t *r, ngx_str_t *path,
    ngx_open_file_info_t *of)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_memzero(of, sizeof(ngx_open_file_info_t));

    of->read_ahead = clcf->read_ahead;
    of->directio = clcf->directio;
    of->valid = clcf->open_file_cache_valid;
    of->min_uses = clcf->open_file_cache_min_uses;
    of->errors = clcf->open_file_cache_errors;
    of->events = clcf->open_file_cache_events;

    if (ngx_http_set_disable_symlinks(r, clcf, path, of) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_open_cached_file(clcf->open_file_cache, path, of, r->pool)
        != NGX_OK)
    {
        if (of->err == 0) {
            return NGX_ERROR;
        }

        ngx_http_spaces_log_error(NGX_LOG_CRIT, r->connection->log, of->err,
                          "%s \"%V\" failed: Redis says that this recording is "
                          "available", of->failed, path);

        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                       "the recording can't be read now");
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_spaces_replay_headers(ngx_http_request_t *r, off_t size,
    time_t mtime, ngx_str_t *etag, ngx_uint_t shared)
{
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = size;
    r->headers_out.last_modified_time = mtime;

    ngx_str_set(&r->headers_out.content_type, "audio/ogg");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    /* what there is to draw is not saved as audio */

    if (ngx_http_spaces_replay_set_etag(r, etag) != NGX_OK
        || (!ngx_http_spaces_wave_kind(r)
            && ngx_http_spaces_replay_disposition(r) != NGX_OK))
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_replay_cacheable(r, shared);
}


ngx_int_t
ngx_http_spaces_replay_cacheable(ngx_http_request_t *r, ngx_uint_t shared)
{
    u_char                 *p;
    int64_t                 age;
    ngx_str_t               value;
    ngx_http_spaces_ctx_t  *ctx;

    if (shared) {
        return ngx_http_spaces_header_private(r);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    age = (ctx->space->expires_at - ngx_http_spaces_now()) / 1000;

    p = ngx_pnalloc(r->pool, sizeof("public, max-age=") + NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "public, max-age=%L", ngx_max(age, 0)) - p;

    return ngx_http_spaces_header(r, "Cache-Control", &value);
}


static ngx_int_t
ngx_http_spaces_replay_set_etag(ngx_http_request_t *r, ngx_str_t *value)
{
    ngx_table_elt_t  *etag;

    etag = ngx_list_push(&r->headers_out.headers);
    if (etag == NULL) {
        return NGX_ERROR;
    }

    etag->hash = 1;
    etag->value = *value;
    ngx_str_set(&etag->key, "ETag");

#if (nginx_version >= 1023000)
    etag->next = NULL;
#endif

    r->headers_out.etag = etag;

    return NGX_OK;
}


/* "?download=1": a file with the title as its name (RFC 6266, 5) */

static ngx_int_t
ngx_http_spaces_replay_disposition(ngx_http_request_t *r)
{
    u_char                 *p;
    size_t                  len;
    uintptr_t               escape;
    ngx_str_t               value, *title;
    ngx_http_spaces_ctx_t  *ctx;

    if (ngx_http_arg(r, (u_char *) "download", 8, &value) != NGX_OK
        || value.len != 1 || value.data[0] != '1')
    {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    title = &ctx->space->title;

    escape = 2 * ngx_escape_uri(NULL, title->data, title->len,
                                NGX_ESCAPE_URI_COMPONENT);

    len = sizeof("attachment; filename=\".opus\"; filename*=UTF-8''.opus")
          + ctx->id.len + title->len + escape;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;

    p = ngx_sprintf(p, "attachment; filename=\"%V.opus\"; "
                    "filename*=UTF-8''", &ctx->id);
    p = (u_char *) ngx_escape_uri(p, title->data, title->len,
                                  NGX_ESCAPE_URI_COMPONENT);
    p = ngx_cpymem(p, ".opus", sizeof(".opus") - 1);

    value.len = p - value.data;

    return ngx_http_spaces_header(r, "Content-Disposition", &value);
}
