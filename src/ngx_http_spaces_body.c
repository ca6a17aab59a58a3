
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_body.h"


#define ngx_http_spaces_is_letter(ch)                                         \
    (((ch) | 0x20) >= 'a' && ((ch) | 0x20) <= 'z')


typedef struct {
    ngx_http_spaces_step_pt   step;
    size_t                    len;
    u_char                    data[NGX_HTTP_SPACES_MAX_BODY];
} ngx_http_spaces_body_t;


static void ngx_http_spaces_body_handler(ngx_http_request_t *r);
static void ngx_http_spaces_body_event(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_body_take(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_body_parse(ngx_http_request_t *r);
static ngx_uint_t ngx_http_spaces_is_json(ngx_http_request_t *r);
static json_t *ngx_http_spaces_body_get(ngx_http_request_t *r,
    const char *name);
static ngx_uint_t ngx_http_spaces_is_blank(ngx_str_t *s);
static ngx_int_t ngx_http_spaces_body_wrong(ngx_http_request_t *r,
    ngx_int_t *rc, const char *name, const char *expected);
static ngx_uint_t ngx_http_spaces_is_language(ngx_str_t *tag);
static ngx_int_t ngx_http_spaces_parse_time(const char *s, int64_t *ms);
static ngx_uint_t ngx_http_spaces_has_form(const char *s, const char *form);


ngx_int_t
ngx_http_spaces_body_read(ngx_http_request_t *r, ngx_http_spaces_step_pt step)
{
    ngx_int_t                rc;
    ngx_http_spaces_ctx_t   *ctx;
    ngx_http_spaces_body_t  *body;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (r->headers_in.content_length_n > NGX_HTTP_SPACES_MAX_BODY) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_TOO_LARGE,
                                       "a body here has %d bytes at most",
                                       NGX_HTTP_SPACES_MAX_BODY);
    }

    body = ngx_palloc(r->pool, sizeof(ngx_http_spaces_body_t));
    if (body == NULL) {
        return NGX_ERROR;
    }

    body->step = step;
    body->len = 0;

    ctx->data = body;

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_spaces_body_handler);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE
           ? ngx_http_spaces_body_failed(r, rc, NGX_HTTP_SPACES_BAD_JSON)
           : NGX_DONE;
}


static void
ngx_http_spaces_body_handler(ngx_http_request_t *r)
{
    r->read_event_handler = ngx_http_spaces_body_event;

    ngx_http_spaces_body_event(r);
}


static void
ngx_http_spaces_body_event(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    for ( ;; ) {

        rc = ngx_http_spaces_body_take(r);

        if (rc != NGX_DECLINED) {
            break;
        }

        if (!r->reading_body) {
            r->read_event_handler = ngx_http_block_reading;
            rc = ngx_http_spaces_body_parse(r);
            break;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc == NGX_HTTP_REQUEST_TIME_OUT) {
            rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_TIMEOUT,
                                         "the body did not come");
            break;
        }

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            rc = ngx_http_spaces_body_failed(r, rc, NGX_HTTP_SPACES_BAD_JSON);
            break;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            return;
        }
    }

    ngx_http_spaces_continue(r, rc);
}


/* NGX_DECLINED to go on, or the answer */

static ngx_int_t
ngx_http_spaces_body_take(ngx_http_request_t *r)
{
    size_t                   len;
    ngx_buf_t               *b;
    ngx_chain_t             *cl;
    ngx_http_spaces_ctx_t   *ctx;
    ngx_http_spaces_body_t  *body;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    body = ctx->data;

    while (r->request_body && r->request_body->bufs) {

        cl = r->request_body->bufs;
        b = cl->buf;
        len = b->last - b->pos;

        if (len > NGX_HTTP_SPACES_MAX_BODY - body->len) {
            return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_TOO_LARGE,
                                           "a body here has %d bytes at most",
                                           NGX_HTTP_SPACES_MAX_BODY);
        }

        /* the last one may be a flag alone, with no memory behind it */

        if (len) {
            ngx_memcpy(body->data + body->len, b->pos, len);
            body->len += len;
            b->pos = b->last;
        }

        r->request_body->bufs = cl->next;
        ngx_free_chain(r->pool, cl);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_spaces_body_parse(ngx_http_request_t *r)
{
    json_error_t             error;
    ngx_http_spaces_ctx_t   *ctx;
    ngx_http_spaces_body_t  *body;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    body = ctx->data;

    if (body->len == 0) {
        ctx->body = json_object();

        return ctx->body ? body->step(r) : NGX_ERROR;
    }

    /* no form of another site can send this type */

    if (!ngx_http_spaces_is_json(r)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_JSON,
                                       "send \"Content-Type: "
                                       "application/json\"");
    }

    ctx->body = json_loadb((char *) body->data, body->len,
                           JSON_REJECT_DUPLICATES, &error);

    if (ctx->body == NULL) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_JSON,
                                       "line %d, column %d: %s",
                                       error.line, error.column, error.text);
    }

    if (!json_is_object(ctx->body)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_JSON,
                                       "an object is expected");
    }

    return body->step(r);
}


static ngx_uint_t
ngx_http_spaces_is_json(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t  *type;

    static ngx_str_t  json = ngx_string("application/json");

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = &r->headers_in.content_type->value;

    if (type->len < json.len
        || ngx_strncasecmp(type->data, json.data, json.len) != 0)
    {
        return 0;
    }

    len = json.len;

    return type->len == len || type->data[len] == ';'
           || type->data[len] == ' ';
}


static json_t *
ngx_http_spaces_body_get(ngx_http_request_t *r, const char *name)
{
    json_t                 *value;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    value = json_object_get(ctx->body, name);

    return json_is_null(value) ? NULL : value;
}


static ngx_int_t
ngx_http_spaces_body_wrong(ngx_http_request_t *r, ngx_int_t *rc,
    const char *name, const char *expected)
{
    *rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FIELD,
                                  "\"%s\" must be %s", name, expected);

    return NGX_ABORT;
}


ngx_int_t
ngx_http_spaces_body_text(ngx_http_request_t *r, const char *name,
    ngx_uint_t max, ngx_str_t *value, ngx_int_t *rc)
{
    json_t     *json;
    ngx_int_t   n;
    ngx_str_t   s;

    json = ngx_http_spaces_body_get(r, name);

    if (json == NULL) {
        return NGX_DECLINED;
    }

    if (json_is_string(json)) {
        s.data = (u_char *) json_string_value(json);
        s.len = json_string_length(json);

        n = ngx_http_spaces_utf8_length(&s);

        if (n > 0 && n <= (ngx_int_t) max && !ngx_http_spaces_is_blank(&s)) {
            *value = s;
            return NGX_OK;
        }
    }

    *rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FIELD,
                                  "\"%s\" must be a text of 1 to %ui "
                                  "characters, not of blanks alone", name,
                                  max);
    return NGX_ABORT;
}


/* nothing that anybody could read, or choose in a list */

static ngx_uint_t
ngx_http_spaces_is_blank(ngx_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {

        if (s->data[i] > ' ') {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_spaces_body_bool(ngx_http_request_t *r, const char *name,
    int64_t *value, ngx_int_t *rc)
{
    json_t  *json;

    json = ngx_http_spaces_body_get(r, name);

    if (json == NULL) {
        return NGX_DECLINED;
    }

    if (!json_is_boolean(json)) {
        return ngx_http_spaces_body_wrong(r, rc, name, "true or false");
    }

    *value = json_is_true(json);

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_body_integer(ngx_http_request_t *r, const char *name,
    int64_t min, int64_t max, int64_t *value, ngx_int_t *rc)
{
    json_t  *json;

    json = ngx_http_spaces_body_get(r, name);

    if (json == NULL) {
        return NGX_DECLINED;
    }

    if (!json_is_integer(json) || json_integer_value(json) < min
        || json_integer_value(json) > max)
    {
        *rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FIELD,
                                      "\"%s\" must be a whole number from %L "
                                      "to %L", name, min, max);
        return NGX_ABORT;
    }

    *value = json_integer_value(json);

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_body_seconds(ngx_http_request_t *r, const char *name,
    int64_t *value, ngx_int_t *rc)
{
    json_t  *json;

    json = ngx_http_spaces_body_get(r, name);

    if (json == NULL) {
        return NGX_DECLINED;
    }

    if (!json_is_number(json) || !(json_number_value(json) >= 0)
        || json_number_value(json) >= 1e9)
    {
        return ngx_http_spaces_body_wrong(r, rc, name, "a number of seconds");
    }

    /* to the nearest, for a double is rarely what was written */

    *value = (int64_t) (json_number_value(json) * 1000 + 0.5);

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_body_topics(ngx_http_request_t *r, ngx_str_t *value,
    ngx_int_t *rc)
{
    char        *text;
    size_t       i, j;
    json_t      *topics, *topic;
    ngx_int_t    n;
    ngx_str_t    s;
    const char  *expected;

    expected = "up to three different texts of 1 to 64 characters, not of "
               "blanks alone";

    topics = ngx_http_spaces_body_get(r, "topics");

    if (topics == NULL) {
        return NGX_DECLINED;
    }

    if (!json_is_array(topics) || json_array_size(topics) > 3) {
        return ngx_http_spaces_body_wrong(r, rc, "topics", expected);
    }

    json_array_foreach(topics, i, topic) {

        s.data = (u_char *) json_string_value(topic);
        s.len = json_string_length(topic);

        n = s.data ? ngx_http_spaces_utf8_length(&s) : 0;

        if (n < 1 || n > NGX_HTTP_SPACES_MAX_NAME
            || ngx_http_spaces_is_blank(&s))
        {
            return ngx_http_spaces_body_wrong(r, rc, "topics", expected);
        }

        for (j = 0; j < i; j++) {
            if (json_equal(json_array_get(topics, j), topic)) {
                return ngx_http_spaces_body_wrong(r, rc, "topics", expected);
            }
        }
    }

    text = json_dumps(topics, JSON_COMPACT);
    if (text == NULL) {
        *rc = NGX_ERROR;
        return NGX_ABORT;
    }

    s.data = (u_char *) text;
    s.len = ngx_strlen(text);

    value->len = s.len;
    value->data = ngx_pstrdup(r->pool, &s);

    free(text);

    if (value->data == NULL) {
        *rc = NGX_ERROR;
        return NGX_ABORT;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_body_language(ngx_http_request_t *r, ngx_str_t *value,
    ngx_int_t *rc)
{
    ngx_int_t  result;

    if (ngx_http_spaces_body_get(r, "language") == NULL) {
        return NGX_DECLINED;
    }

    result = ngx_http_spaces_body_text(r, "language", 35, value, rc);

    if (result == NGX_OK && !ngx_http_spaces_is_language(value)) {
        return ngx_http_spaces_body_wrong(r, rc, "language",
                                          "a language tag, such as \"en\", "
                                          "\"pt-BR\" or \"zh-Hant\"");
    }

    return result;
}


/*
 * Subtags of one to eight letters and digits.  The first is the language, of
 * letters, or "x" or "i", which stand for all of the tag; a later one of one
 * character begins an extension, and something has to follow it: of two
 * characters at least, but behind an "x" nothing is an extension any more.
 */

static ngx_uint_t
ngx_http_spaces_is_language(ngx_str_t *tag)
{
    u_char      *p, *end, *last;
    ngx_uint_t   n, private, singleton;

    singleton = 0;
    private = 0;
    last = tag->data + tag->len;

    for (p = tag->data; p <= last; p = end + 1) {

        for (end = p; end < last && *end != '-'; end++) {

            if (!ngx_http_spaces_is_letter(*end)
                && (p == tag->data || *end < '0' || *end > '9'))
            {
                return 0;
            }
        }

        n = end - p;

        if (n == 0 || n > 8) {
            return 0;
        }

        if (n > 1 || private) {
            singleton = 0;
            continue;
        }

        if (singleton) {
            return 0;
        }

        private = (*p == 'x' || *p == 'X');
        singleton = 1;

        if (p == tag->data && !private && *p != 'i' && *p != 'I') {
            return 0;
        }
    }

    return !singleton;
}


ngx_int_t
ngx_http_spaces_body_time(ngx_http_request_t *r, const char *name,
    int64_t *value, ngx_int_t *rc)
{
    json_t  *json;

    json = ngx_http_spaces_body_get(r, name);

    if (json == NULL) {
        return NGX_DECLINED;
    }

    if (!json_is_string(json)
        || ngx_http_spaces_parse_time(json_string_value(json), value)
           != NGX_OK)
    {
        return ngx_http_spaces_body_wrong(r, rc, name,
                                          "a time by RFC 3339, such as "
                                          "\"2030-01-31T20:00:00Z\"");
    }

    return NGX_OK;
}


/* RFC 3339, 5.6, with any offset and fraction; the fraction is dropped */

static ngx_int_t
ngx_http_spaces_parse_time(const char *s, int64_t *ms)
{
    int          n, year, month, day, hour, minute, second, oh, om, sign;
    time_t       t;
    struct tm    tm, check;

    /* sscanf() would take signs and blanks for digits */

    if (!ngx_http_spaces_has_form(s, "0000-00-00T00:00:00")
        || sscanf(s, "%4d-%2d-%2d%*1[Tt]%2d:%2d:%2d%n", &year, &month, &day,
                  &hour, &minute, &second, &n)
           != 6)
    {
        return NGX_ERROR;
    }

    s += n;

    if (*s == '.') {
        for (s++, n = 0; *s >= '0' && *s <= '9'; s++, n++) { /* void */ }

        if (n == 0) {
            return NGX_ERROR;
        }
    }

    oh = 0;
    om = 0;
    sign = 1;

    if (*s == '+' || *s == '-') {
        sign = (*s == '-') ? -1 : 1;

        if (!ngx_http_spaces_has_form(s + 1, "00:00")
            || sscanf(s + 1, "%2d:%2d", &oh, &om) != 2
            || s[6] != '\0' || oh > 23 || om > 59)
        {
            return NGX_ERROR;
        }

    } else if ((*s != 'Z' && *s != 'z') || s[1] != '\0') {
        return NGX_ERROR;
    }

    ngx_memzero(&tm, sizeof(struct tm));

    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;
    tm.tm_hour = hour;
    tm.tm_min = minute;
    tm.tm_sec = ngx_min(second, 59);

    if (year < 1970 || hour > 23 || minute > 59 || second > 60) {
        return NGX_ERROR;
    }

    t = timegm(&tm);

    /* the 30th of February would have become another day */

    if (gmtime_r(&t, &check) == NULL || check.tm_mday != day
        || check.tm_mon != month - 1)
    {
        return NGX_ERROR;
    }

    *ms = ((int64_t) t - sign * (oh * 3600 + om * 60)) * 1000;

    return *ms > 0 ? NGX_OK : NGX_ERROR;
}


/* whether a text begins as the form, in which 0 is any digit, T either T */

static ngx_uint_t
ngx_http_spaces_has_form(const char *s, const char *form)
{
    for ( /* void */ ; *form; s++, form++) {

        if (*form == '0' ? *s < '0' || *s > '9'
                         : *s != *form && !(*form == 'T' && *s == 't'))
        {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_spaces_body_only(ngx_http_request_t *r, const char *const *names,
    ngx_int_t *rc)
{
    json_t                 *value;
    ngx_uint_t              i;
    const char             *name;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    json_object_foreach(ctx->body, name, value) {

        for (i = 0; names[i]; i++) {
            if (ngx_strcmp(names[i], name) == 0) {
                break;
            }
        }

        if (names[i] == NULL) {
            *rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_UNKNOWN_FIELD,
                                          "\"%s\" is not known here", name);
            return NGX_ABORT;
        }
    }

    return NGX_OK;
}
