
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Any request line and headers, taken apart by nginx: the token in them is
 * found, and is in nothing of it that is logged; ids, and places in the
 * timeline.  The first byte says what the location is for.
 */


#include "ngx_http_spaces_request.h"
#include "ngx_http_spaces_secret.h"

#include "fuzz.h"


/* a token, and all that is looked for in Referer */
#define MAX_TARGET  128


typedef struct {
    ngx_http_request_t           r;
    ngx_http_spaces_ctx_t        ctx;
    ngx_http_spaces_loc_conf_t   slcf;
    ngx_table_elt_t              authorization;
    ngx_table_elt_t              referer;
    void                        *confs[1];
    void                        *ctxs[1];
} request_t;


ngx_module_t                ngx_http_spaces_module;

static request_t            request;
static ngx_log_t            quiet;
static ngx_connection_t     connection;


static int parse(ngx_buf_t *b);
static int parse_uri(ngx_http_request_t *r);
static int parse_headers(ngx_http_request_t *r, ngx_buf_t *b);
static int header_is(ngx_http_request_t *r, const char *name);
static ngx_str_t path_behind(ngx_http_request_t *r, const char *prefix);
static void check_secret(ngx_http_request_t *r);
static void check_masked(ngx_http_request_t *r, ngx_str_t *line,
    ngx_str_t *referer);
static void check_argument(ngx_http_request_t *r, ngx_str_t *line,
    const char *name);
static void check_link(ngx_str_t *target, ngx_str_t *text);
static void check_id(ngx_http_request_t *r);
static void check_cursor(ngx_http_request_t *r);
static void check_fresh(ngx_pool_t *pool);
static ngx_str_t copy_of(ngx_str_t *s);
static void only_stars(ngx_str_t *before, ngx_str_t *after);
static int all_of(ngx_str_t *s, const char *letters);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    u_char     *text;
    ngx_buf_t   b;
    ngx_str_t   line, referer;

    static unsigned  runs;

    if (len < 2) {
        return 0;
    }

    /* its own size, so that what is behind it is seen to be looked at */

    text = malloc(len - 1);
    must(text != NULL);
    memcpy(text, data + 1, len - 1);

    ngx_memzero(&b, sizeof(ngx_buf_t));
    b.start = text;
    b.pos = text;
    b.last = text + len - 1;
    b.end = b.last;

    ngx_memzero(&request, sizeof(request_t));

    request.slcf.is_share = data[0] % 3 == 1;
    request.slcf.is_oembed = data[0] % 3 == 2;
    request.confs[0] = &request.slcf;
    request.ctxs[0] = &request.ctx;
    connection.log = &quiet;
    request.r.connection = &connection;
    request.r.loc_conf = request.confs;
    request.r.ctx = request.ctxs;
    request.r.pool = ngx_create_pool(1024, &quiet);
    must(request.r.pool != NULL);

    if (parse(&b)) {
        line = copy_of(&request.r.request_line);
        referer = copy_of(&request.referer.value);

        check_secret(&request.r);
        check_id(&request.r);
        check_cursor(&request.r);

        must(ngx_http_spaces_mask(&request.r) == NGX_OK);
        check_masked(&request.r, &line, &referer);

        free(line.data);
        free(referer.data);
    }

    /* what is random has nothing to do with the input, and takes its time */

    if (runs++ % 100 == 0) {
        check_fresh(request.r.pool);
    }

    ngx_destroy_pool(request.r.pool);
    free(text);

    return 0;
}


/* as ngx_http_request.c has it */

static int
parse(ngx_buf_t *b)
{
    ngx_http_request_t  *r;

    r = &request.r;

    if (ngx_http_parse_request_line(r, b) != NGX_OK) {
        return 0;
    }

    r->request_line.data = r->request_start;
    r->request_line.len = r->request_end - r->request_start;

    return parse_uri(r) && parse_headers(r, b);
}


static int
parse_uri(ngx_http_request_t *r)
{
    r->uri.data = r->uri_start;
    r->uri.len = (r->args_start ? r->args_start - 1 : r->uri_end)
                 - r->uri_start;

    if (r->complex_uri || r->quoted_uri || r->empty_path_in_uri) {

        if (r->empty_path_in_uri) {
            r->uri.len++;
        }

        r->uri.data = ngx_pnalloc(r->pool, r->uri.len + 1);
        must(r->uri.data != NULL);

        if (ngx_http_parse_complex_uri(r, 1) != NGX_OK) {
            return 0;
        }
    }

    if (r->args_start && r->uri_end > r->args_start) {
        r->args.data = r->args_start;
        r->args.len = r->uri_end - r->args_start;
    }

    return 1;
}


static int
parse_headers(ngx_http_request_t *r, ngx_buf_t *b)
{
    ngx_int_t         rc;
    ngx_table_elt_t  *h;

    r->state = 0;

    for ( ;; ) {
        rc = ngx_http_parse_header_line(r, b, 1);

        if (rc == NGX_HTTP_PARSE_HEADER_DONE) {
            return 1;
        }

        if (rc != NGX_OK) {
            return 0;
        }

        h = header_is(r, "Authorization") ? &request.authorization
            : header_is(r, "Referer") ? &request.referer : NULL;

        if (r->invalid_header || h == NULL || h->hash) {
            continue;
        }

        h->hash = 1;
        h->value.data = r->header_start;
        h->value.len = r->header_end - r->header_start;
        h->value.data[h->value.len] = '\0';

        if (h == &request.authorization) {
            r->headers_in.authorization = h;

        } else {
            r->headers_in.referer = h;
        }
    }
}


static int
header_is(ngx_http_request_t *r, const char *name)
{
    size_t  len;

    len = r->header_name_end - r->header_name_start;

    return len == strlen(name)
           && ngx_strncasecmp(r->header_name_start, (u_char *) name, len) == 0;
}


/* a part of the path, as a location with a regular expression takes it */

static ngx_str_t
path_behind(ngx_http_request_t *r, const char *prefix)
{
    size_t     n;
    ngx_str_t  part;

    n = strlen(prefix);
    ngx_str_null(&part);

    if (r->uri.len <= n || ngx_strncmp(r->uri.data, prefix, n) != 0) {
        return part;
    }

    part.data = r->uri.data + n;

    while (n < r->uri.len && r->uri.data[n] != '/') {
        n++;
        part.len++;
    }

    return part;
}


/* what src/ngx_http_spaces_caller.c does for the others, without a server */

ngx_http_spaces_ctx_t *
ngx_http_spaces_get_ctx(ngx_http_request_t *r)
{
    return &request.ctx;
}


ngx_int_t
ngx_http_spaces_find_target(ngx_http_request_t *r)
{
    request.ctx.target = path_behind(r, "/s/");

    return NGX_OK;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}


static void
check_secret(ngx_http_request_t *r)
{
    ngx_str_t   secret, hash, again;
    ngx_uint_t  by_basic;

    must(ngx_http_spaces_secret_find(r, &secret, &by_basic) == NGX_OK);
    must(!by_basic || r->headers_in.authorization);

    must(ngx_http_spaces_secret_hash(r->pool, &secret, &hash) == NGX_OK);
    must(hash.len == NGX_HTTP_SPACES_TOKEN_HASH);
    must(all_of(&hash, "0123456789abcdef"));

    must(ngx_http_spaces_secret_hash(r->pool, &secret, &again) == NGX_OK);
    must(memcmp(hash.data, again.data, hash.len) == 0);
}


static void
check_masked(ngx_http_request_t *r, ngx_str_t *line, ngx_str_t *referer)
{
    ngx_str_t  *target;

    only_stars(line, &r->request_line);

    if (r->headers_in.referer) {
        only_stars(referer, &r->headers_in.referer->value);
    }

    check_argument(r, line, "token");

    if (request.slcf.is_oembed) {
        check_argument(r, line, "url");
    }

    target = &request.ctx.target;

    if (!request.slcf.is_share || target->len == 0) {
        return;
    }

    check_link(target, &r->request_line);

    if (r->headers_in.referer && target->len <= MAX_TARGET) {
        check_link(target, &r->headers_in.referer->value);
    }
}


/* an argument's value, as a handler gets it, is stars where it came from */

static void
check_argument(ngx_http_request_t *r, ngx_str_t *line, const char *name)
{
    size_t     at;
    ngx_str_t  value;

    if (ngx_http_arg(r, (u_char *) name, strlen(name), &value) != NGX_OK) {
        return;
    }

    at = value.data - r->request_start;

    must(at + value.len <= line->len);

    value.data = r->request_line.data + at;

    must(all_of(&value, "*"));
}


/* nobody who reads the text, with its percent signs, finds the link in it */

static void
check_link(ngx_str_t *target, ngx_str_t *text)
{
    size_t      i, n;
    u_char     *plain;
    ngx_int_t   ch;

    static const char  letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
                                   "abcdefghijklmnopqrstuvwxyz0123456789";

    if (!all_of(target, letters)) {
        return;
    }

    plain = malloc(text->len + 1);
    must(plain != NULL);

    for (i = 0, n = 0; i < text->len; i++) {
        ch = -1;

        if (text->data[i] == '%' && i + 3 <= text->len) {
            ch = ngx_hextoi(text->data + i + 1, 2);
        }

        plain[n++] = ch == NGX_ERROR ? text->data[i] : (u_char) ch;
        i += ch == NGX_ERROR ? 0 : 2;
    }

    must(memmem(plain, n, target->data, target->len) == NULL);

    free(plain);
}


static void
check_id(ngx_http_request_t *r)
{
    ngx_str_t  id;

    id = path_behind(r, "/spaces/");

    must(!ngx_http_spaces_valid_id(&id)
         == !(id.len == NGX_HTTP_SPACES_ID_LEN
              && all_of(&id, "abcdefghijklmnopqrstuvwxyz234567")));
}


/* a place that is taken is told as it was, and taken again */

static void
check_cursor(ngx_http_request_t *r)
{
    u_char                   buf[NGX_HTTP_SPACES_CURSOR_LEN];
    ngx_str_t                value, text;
    ngx_http_spaces_place_t  place, again;

    if (ngx_http_arg(r, (u_char *) "cursor", 6, &value) != NGX_OK
        || ngx_http_spaces_cursor_read(r->pool, &value, &place) != NGX_OK)
    {
        return;
    }

    must(place.score >= 0 && ngx_http_spaces_valid_id(&place.id));

    text.data = buf;
    ngx_http_spaces_cursor_write(&place, &text);

    must(text.len <= sizeof(buf));
    must(ngx_http_spaces_cursor_read(r->pool, &text, &again) == NGX_OK);
    must(again.score == place.score);
    must(memcmp(again.id.data, place.id.data, NGX_HTTP_SPACES_ID_LEN) == 0);
}


static void
check_fresh(ngx_pool_t *pool)
{
    ngx_str_t  id, secret, hash, again;

    must(ngx_http_spaces_new_id(pool, &id) == NGX_OK);
    must(ngx_http_spaces_valid_id(&id));

    must(ngx_http_spaces_secret_new(pool, &secret, &hash) == NGX_OK);
    must(secret.len == NGX_HTTP_SPACES_SECRET_LEN);

    must(ngx_http_spaces_secret_hash(pool, &secret, &again) == NGX_OK);
    must(memcmp(hash.data, again.data, NGX_HTTP_SPACES_TOKEN_HASH) == 0);
}


static ngx_str_t
copy_of(ngx_str_t *s)
{
    ngx_str_t  copy;

    copy.len = s->len;
    copy.data = malloc(s->len + 1);
    must(copy.data != NULL);

    if (s->len) {
        memcpy(copy.data, s->data, s->len);
    }

    return copy;
}


/* it is what it was, but for stars */

static void
only_stars(ngx_str_t *before, ngx_str_t *after)
{
    size_t  i;

    must(before->len == after->len);

    for (i = 0; i < before->len; i++) {
        must(after->data[i] == before->data[i] || after->data[i] == '*');
    }
}


static int
all_of(ngx_str_t *s, const char *letters)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {

        if (s->data[i] == '\0' || strchr(letters, s->data[i]) == NULL) {
            return 0;
        }
    }

    return 1;
}
