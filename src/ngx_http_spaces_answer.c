
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The answers: JSON, and problems as RFC 9457 has them.
 */


#include "ngx_http_spaces_request.h"


typedef struct {
    ngx_uint_t    status;
    const char   *type;
    const char   *title;
} ngx_http_spaces_problem_t;


static ngx_int_t ngx_http_spaces_answer_json(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *type, json_t *json);
static ngx_table_elt_t *ngx_http_spaces_header_add(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static void ngx_http_spaces_free_text(void *data);


/* the most that is read of what nobody will look at, bytes */
#define NGX_HTTP_SPACES_DISCARD  (1024 * 1024)


/* in the order of ngx_http_spaces_problem_e */

static ngx_http_spaces_problem_t  ngx_http_spaces_problems[] = {
    { 400, "urn:spaces:bad-request", "Bad request" },
    { 400, "urn:spaces:bad-json", "The body is not the JSON expected" },
    { 400, "urn:spaces:unknown-field", "A field is not known" },
    { 400, "urn:spaces:bad-field", "A field has a wrong value" },
    { 400, "urn:spaces:bad-audio", "The audio is empty or broken" },
    { 401, "urn:spaces:unauthorized", "Who is calling is not known" },
    { 403, "urn:spaces:forbidden", "Not allowed" },
    { 403, "urn:spaces:foreign-origin",
           "The page is of an origin that may not write here" },
    { 403, "urn:spaces:hosting-off", "You may not host Spaces here" },
    { 403, "urn:spaces:recording-off", "You may not record Spaces here yet" },
    { 404, "urn:spaces:not-found", "There is no such thing" },
    { 404, "urn:spaces:not-recorded", "The Space was not recorded" },
    { 405, "urn:spaces:bad-method", "The method does not apply" },
    { 408, "urn:spaces:timeout", "The body stalled" },
    { 409, "urn:spaces:not-live", "The Space is not live yet" },
    { 409, "urn:spaces:not-ended", "The Space has not ended yet" },
    { 409, "urn:spaces:ended", "The Space has ended" },
    { 409, "urn:spaces:begun", "The Space has begun already" },
    { 409, "urn:spaces:speaking", "There is a source already" },
    { 409, "urn:spaces:not-ticketed", "The Space has no tickets" },
    { 409, "urn:spaces:sold-out", "There are not so many seats left" },
    { 410, "urn:spaces:deleted", "The recording was deleted" },
    { 410, "urn:spaces:expired", "The recording has expired" },
    { 412, "urn:spaces:precondition-failed",
           "It is not as the condition says" },
    { 413, "urn:spaces:too-large", "The body is too large" },
    { 415, "urn:spaces:not-json", "The body must be application/json" },
    { 415, "urn:spaces:not-opus", "The audio is not Ogg Opus" },
    { 415, "urn:spaces:too-long", "A packet is too long" },
    { 416, "urn:spaces:bad-range", "The range is outside the recording" },
    { 500, "urn:spaces:internal", "Something went wrong here" },
    { 501, "urn:spaces:bad-format", "This format is not to be had" },
    { 503, "urn:spaces:redis", "The store of Spaces is not to be had" },
    { 503, "urn:spaces:no-room", "There is no room here" },
    { 503, "urn:spaces:storage", "The recording is not to be had" },
    { 503, "urn:spaces:restarting", "This server restarts" },
    { 507, "urn:spaces:disk-low", "There is too little disk to record" }
};


json_t *
ngx_http_spaces_describe(ngx_http_request_t *r, ngx_http_spaces_space_t *space,
    ngx_uint_t for_host)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_space_t       shown;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (space == ctx->space && ctx->in_room
        && ctx->room.state == NGX_HTTP_SPACES_ROOM_STARTING)
    {
        /* nobody is told that it is live who could not listen to it yet */

        shown = *space;
        shown.state = NGX_HTTP_SPACES_SCHEDULED;
        shown.recording = NGX_HTTP_SPACES_NONE;
        shown.started_at = 0;

        space = &shown;

    } else if (space->recording == NGX_HTTP_SPACES_AVAILABLE
               && space->expires_at <= ngx_http_spaces_now())
    {
        /* its replay says so already, be the reaper a moment late */

        shown = *space;
        shown.recording = NGX_HTTP_SPACES_EXPIRED;

        space = &shown;
    }

    return ngx_http_spaces_space_json(space,
                          ngx_http_spaces_zone_speakers(smcf->zone, &space->id),
                          for_host);
}


json_t *
ngx_http_spaces_hello(ngx_http_request_t *r)
{
    ngx_str_t              *role;
    ngx_http_spaces_ctx_t  *ctx;

    static ngx_str_t  listener = ngx_string("listener");

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    role = ctx->role < NGX_HTTP_SPACES_SPEAKER
           ? &listener : &ngx_http_spaces_roles[ctx->role];

    return json_pack("{s:o, s:b, s:o}",
                     "role", ngx_http_spaces_json_string(role),
                     "recording", (int) ngx_http_spaces_is_recorded(ctx),
                     "space", ngx_http_spaces_describe(r, ctx->space,
                                      ctx->role == NGX_HTTP_SPACES_HOST));
}


ngx_int_t
ngx_http_spaces_answer(ngx_http_request_t *r, ngx_uint_t status, json_t *json)
{
    static ngx_str_t  type = ngx_string("application/json");

    if (json == NULL) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_INTERNAL,
                                       "out of memory");
    }

    return ngx_http_spaces_answer_json(r, status, &type, json);
}


ngx_int_t
ngx_http_spaces_problem(ngx_http_request_t *r,
    ngx_http_spaces_problem_e problem, const char *format, ...)
{
    json_t                     *json;
    va_list                     args;
    u_char                     *last;
    u_char                      buf[NGX_MAX_ERROR_STR];
    ngx_str_t                   title, detail;
    ngx_uint_t                  level;
    ngx_http_spaces_ctx_t      *ctx;
    ngx_http_spaces_problem_t  *p;

    static ngx_str_t  type = ngx_string("application/problem+json");

    p = &ngx_http_spaces_problems[problem];

    ngx_http_spaces_metrics_problem(problem);

    va_start(args, format);
    last = ngx_vslprintf(buf, buf + sizeof(buf), format, args);
    va_end(args);

    detail.data = buf;
    detail.len = last - buf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (r->header_sent) {

        /* a source that had to be told to begin before it was known */

        ctx->reason = p->title;
        ctx->passes = (p->status == NGX_HTTP_SERVICE_UNAVAILABLE);

        /* what a client does wrong is logged as nginx does it */

        level = p->status < 500 ? NGX_LOG_INFO : NGX_LOG_ERR;

        ngx_log_error(level, r->connection->log, 0,
                      "connection closed: %s: %V", p->title, &detail);

        return NGX_ERROR;
    }

    if ((p->status == 503 || p->status == 507)
        && ngx_http_spaces_header_cstr(r, "Retry-After", "5") != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx && ctx->problem) {
        title.data = (u_char *) p->title;
        title.len = ngx_strlen(p->title);

        return ctx->problem(r, p->status, &title, &detail);
    }

    json = json_pack("{s:s, s:s, s:i, s:o}", "type", p->type,
                     "title", p->title, "status", (int) p->status,
                     "detail", ngx_http_spaces_json_string(&detail));

    if (json == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_spaces_answer_json(r, p->status, &type, json);
}


ngx_int_t
ngx_http_spaces_body_failed(ngx_http_request_t *r, ngx_int_t rc,
    ngx_http_spaces_problem_e broken)
{
    if (r->connection->error) {

        /* there is nobody to tell */

        return rc;
    }

    /* where the next request begins is not known */

    r->keepalive = 0;

    switch (rc) {

    case NGX_HTTP_BAD_REQUEST:
        return ngx_http_spaces_problem(r, broken,
                                       "the body is not in chunks, as "
                                       "\"Transfer-Encoding\" says");

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_TOO_LARGE,
                                       "the body has more than "
                                       "\"client_max_body_size\" allows");

    case NGX_HTTP_INTERNAL_SERVER_ERROR:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_INTERNAL,
                                       "the body could not be read");

    default:
        return rc;
    }
}


const char *
ngx_http_spaces_problem_slug(ngx_uint_t problem)
{
    if (problem >= sizeof(ngx_http_spaces_problems)
                   / sizeof(ngx_http_spaces_problem_t))
    {
        return NULL;
    }

    return ngx_http_spaces_problems[problem].type + sizeof("urn:spaces:") - 1;
}


static ngx_int_t
ngx_http_spaces_answer_json(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, json_t *json)
{
    if (ngx_http_spaces_header_private(r) != NGX_OK) {
        json_decref(json);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* what was done isn't answered with 412 for want of an entity tag */

    r->disable_not_modified = 1;

    return ngx_http_spaces_send_json(r, status, type, json);
}


ngx_int_t
ngx_http_spaces_send_json(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, json_t *json)
{
    char                *text;
    ngx_str_t            body;
    ngx_pool_cleanup_t  *cln;

    text = json_dumps(json, NGX_HTTP_SPACES_JSON);
    json_decref(json);

    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        free(text);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_spaces_free_text;
    cln->data = text;

    body.data = (u_char *) text;
    body.len = ngx_strlen(text);

    return ngx_http_spaces_send(r, status, type, &body);
}


static void
ngx_http_spaces_free_text(void *data)
{
    free(data);
}


ngx_int_t
ngx_http_spaces_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    if (r->headers_in.expect && !r->expect_tested && !r->request_body
        && status >= 300)
    {

        /* "100 Continue" would be taken for a yes */

        r->expect_tested = 1;
        r->keepalive = 0;
    }

    if (status >= 300 && r->headers_in.content_length == NULL
        && !r->headers_in.chunked
        && (r->method & (NGX_HTTP_PUT|NGX_HTTP_UNKNOWN)))
    {
        /* an Icecast client's audio is no request that follows */

        r->keepalive = 0;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = status;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = body->len;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_spaces_no_content(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_spaces_header_private(r) != NGX_OK) {
        return NGX_ERROR;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


ngx_int_t
ngx_http_spaces_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    return ngx_http_spaces_header_add(r, name, value) ? NGX_OK : NGX_ERROR;
}


static ngx_table_elt_t *
ngx_http_spaces_header_add(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
    h->lowcase_key = NULL;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return h;
}


ngx_int_t
ngx_http_spaces_header_cstr(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_str_t  s;

    s.data = (u_char *) value;
    s.len = ngx_strlen(value);

    return ngx_http_spaces_header(r, name, &s);
}


ngx_int_t
ngx_http_spaces_header_recording(ngx_http_request_t *r)
{
    ngx_uint_t              recorded;
    ngx_http_spaces_ctx_t  *ctx;

    static ngx_str_t  on = ngx_string("on");
    static ngx_str_t  off = ngx_string("off");

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->space == NULL || !ngx_http_spaces_may_see(ctx)) {
        return NGX_OK;
    }

    recorded = ngx_http_spaces_is_recorded(ctx);

    if (ctx->recorded) {
        ctx->recorded->value = recorded ? on : off;
        return NGX_OK;
    }

    ctx->recorded = ngx_http_spaces_header_add(r, "Spaces-Recording",
                                               recorded ? &on : &off);

    return ctx->recorded ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_spaces_header_private(ngx_http_request_t *r)
{
    if (ngx_http_spaces_header_cstr(r, "Cache-Control", "private, no-store")
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_header_cstr(r, "Referrer-Policy", "no-referrer");
}


void
ngx_http_spaces_own_connection(ngx_http_request_t *r)
{
    r->keepalive = 0;

#if (NGX_HTTP_SSL)

    if (r->connection->ssl) {

        /* what could not be written may have moved when it is tried again */

        (void) SSL_set_mode(r->connection->ssl->connection,
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                            |SSL_MODE_ENABLE_PARTIAL_WRITE);
    }

#endif
}


void
ngx_http_spaces_discard(ngx_connection_t *c)
{
    size_t   read;
    ssize_t  n;
    u_char   discarded[4096];

    for (read = 0; read < NGX_HTTP_SPACES_DISCARD; read += (size_t) n) {
        n = c->recv(c, discarded, sizeof(discarded));

        if (n <= 0) {
            return;
        }
    }
}


ngx_int_t
ngx_http_spaces_begin(ngx_http_request_t *r, ngx_int_t rc)
{
    if (rc != NGX_HTTP_SPACES_LATER) {
        return rc;
    }

    r->main->count++;

    return NGX_DONE;
}


void
ngx_http_spaces_continue(ngx_http_request_t *r, ngx_int_t rc)
{
    if (rc != NGX_HTTP_SPACES_LATER) {
        ngx_http_finalize_request(r, rc);
    }
}
