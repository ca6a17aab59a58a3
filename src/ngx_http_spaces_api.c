
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The JSON control API.
 */


#include "ngx_http_spaces_body.h"
#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_move.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_secret.h"


#define NGX_HTTP_SPACES_MAX_SEGMENTS 4


/* the path behind the prefix: {id}/shares/{share} */

typedef struct {
    ngx_uint_t                 n;
    ngx_str_t                  segment[NGX_HTTP_SPACES_MAX_SEGMENTS];
} ngx_http_spaces_route_t;


static ngx_int_t ngx_http_spaces_api_route(ngx_http_request_t *r,
    ngx_http_spaces_route_t *route);
static ngx_int_t ngx_http_spaces_api_condition(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_bad_method(ngx_http_request_t *r,
    const char *allow);
static ngx_int_t ngx_http_spaces_api_write(ngx_http_request_t *r,
    ngx_http_spaces_step_pt step);
static ngx_int_t ngx_http_spaces_api_load(ngx_http_request_t *r,
    ngx_http_spaces_step_pt step);

static ngx_int_t ngx_http_spaces_api_create(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_create_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_create_fields(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space);
static ngx_int_t ngx_http_spaces_api_create_token(ngx_http_request_t *r,
    ngx_array_t *commands);
static ngx_int_t ngx_http_spaces_api_created(ngx_http_request_t *r,
    redisReply *reply);

static ngx_int_t ngx_http_spaces_api_get(ngx_http_request_t *r);

static ngx_int_t ngx_http_spaces_api_patch_body(ngx_http_request_t *r);

static ngx_int_t ngx_http_spaces_api_end_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_end(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_ended(ngx_http_request_t *r);

static ngx_int_t ngx_http_spaces_api_review_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_shares_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_revoke(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_invite_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_speaker_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_speaker(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_remove(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_tickets_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_api_third(ngx_http_request_t *r,
    ngx_str_t *segment);


ngx_int_t
ngx_http_spaces_api_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_str_t                *s;
    ngx_uint_t                get;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_route_t   route;

    if (ngx_http_spaces_identify(r) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ngx_http_spaces_api_route(r, &route) != NGX_OK) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                       "the API has no such path");
    }

    s = route.segment;
    get = r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD);

    if (!get) {
        rc = ngx_http_spaces_api_condition(r);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (route.n == 0) {

        if (get) {
            return ngx_http_spaces_begin(r, ngx_http_spaces_timeline(r, 0));
        }

        if (r->method == NGX_HTTP_POST) {
            return ngx_http_spaces_api_create(r);
        }

        return ngx_http_spaces_api_bad_method(r, "GET, HEAD, POST");
    }

    if (ngx_strcmp(s[0].data, "review") == 0) {

        if (route.n == 1 && get) {
            return ngx_http_spaces_begin(r,
                                         ngx_http_spaces_review_list(r));
        }

        return route.n == 1
               ? ngx_http_spaces_api_bad_method(r, "GET, HEAD")
               : ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                         "the API has no such path");
    }

    ctx->id = s[0];

    if (route.n == 1) {

        if (get) {
            return ngx_http_spaces_begin(r,
                         ngx_http_spaces_api_load(r, ngx_http_spaces_api_get));
        }

        if (r->method == NGX_HTTP_PATCH) {
            return ngx_http_spaces_api_write(r, ngx_http_spaces_api_patch_body);
        }

        if (r->method == NGX_HTTP_DELETE) {
            return ngx_http_spaces_begin(r,
                           ngx_http_spaces_api_load(r, ngx_http_spaces_delete));
        }

        return ngx_http_spaces_api_bad_method(r, "GET, HEAD, PATCH, DELETE");
    }

    if (route.n == 2 && ngx_strcmp(s[1].data, "review") == 0) {

        if (get || r->method == NGX_HTTP_DELETE) {
            return ngx_http_spaces_begin(r,
                           ngx_http_spaces_api_load(r, ngx_http_spaces_review));
        }

        if (r->method == NGX_HTTP_PATCH) {
            return ngx_http_spaces_body_read(r,
                                            ngx_http_spaces_api_review_body);
        }

        return ngx_http_spaces_api_bad_method(r, "GET, HEAD, PATCH, DELETE");
    }

    if (route.n == 3 && ngx_strcmp(s[1].data, "review") == 0
        && ngx_strcmp(s[2].data, "audio") == 0)
    {
        if (get) {
            return ngx_http_spaces_begin(r,
                     ngx_http_spaces_api_load(r, ngx_http_spaces_review_audio));
        }

        return ngx_http_spaces_api_bad_method(r, "GET, HEAD");
    }

    if (route.n == 2 && ngx_strcmp(s[1].data, "end") == 0) {

        if (r->method == NGX_HTTP_POST) {
            return ngx_http_spaces_api_write(r, ngx_http_spaces_api_end_body);
        }

        return ngx_http_spaces_api_bad_method(r, "POST");
    }

    if (route.n == 2 && ngx_strcmp(s[1].data, "shares") == 0) {

        if (get) {
            return ngx_http_spaces_begin(r,
                     ngx_http_spaces_api_load(r, ngx_http_spaces_shares_list));
        }

        if (r->method == NGX_HTTP_POST) {
            return ngx_http_spaces_api_write(r,
                                           ngx_http_spaces_api_shares_body);
        }

        return ngx_http_spaces_api_bad_method(r, "GET, HEAD, POST");
    }

    if (route.n == 3 && ngx_strcmp(s[1].data, "shares") == 0) {

        if (r->method == NGX_HTTP_DELETE) {
            return ngx_http_spaces_begin(r,
                      ngx_http_spaces_api_load(r, ngx_http_spaces_api_revoke));
        }

        return ngx_http_spaces_api_bad_method(r, "DELETE");
    }

    if (route.n == 2 && ngx_strcmp(s[1].data, "speakers") == 0) {

        if (r->method == NGX_HTTP_POST) {
            return ngx_http_spaces_api_write(r,
                                           ngx_http_spaces_api_invite_body);
        }

        return ngx_http_spaces_api_bad_method(r, "POST");
    }

    if (route.n == 3 && ngx_strcmp(s[1].data, "speakers") == 0) {

        if (r->method == NGX_HTTP_PATCH) {
            return ngx_http_spaces_api_write(r,
                                           ngx_http_spaces_api_speaker_body);
        }

        if (r->method == NGX_HTTP_DELETE) {
            return ngx_http_spaces_begin(r,
                      ngx_http_spaces_api_load(r, ngx_http_spaces_api_remove));
        }

        return ngx_http_spaces_api_bad_method(r, "PATCH, DELETE");
    }

    if (route.n == 2 && ngx_strcmp(s[1].data, "tickets") == 0) {

        if (r->method == NGX_HTTP_POST) {
            return ngx_http_spaces_api_write(r,
                                           ngx_http_spaces_api_tickets_body);
        }

        return ngx_http_spaces_api_bad_method(r, "POST");
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                   "the API has no such path");
}


/* splits what is behind the prefix; the segments are zero-terminated */

static ngx_int_t
ngx_http_spaces_api_route(ngx_http_request_t *r,
    ngx_http_spaces_route_t *route)
{
    u_char                    *p, *last, *start;
    size_t                     prefix;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    prefix = clcf->name.len;

    if (prefix && clcf->name.data[prefix - 1] == '/') {
        prefix--;
    }

    route->n = 0;

    if (r->uri.len <= prefix) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, r->uri.len - prefix + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_cpymem(p, r->uri.data + prefix, r->uri.len - prefix);
    *last = '\0';

    if (*p != '/') {
        return NGX_ERROR;
    }

    p++;

    while (p < last) {

        if (route->n == NGX_HTTP_SPACES_MAX_SEGMENTS) {
            return NGX_ERROR;
        }

        for (start = p; p < last && *p != '/'; p++) { /* void */ }

        *p = '\0';

        if (p == start || ngx_strlen(start) != (size_t) (p - start)) {
            return NGX_ERROR;
        }

        route->segment[route->n].data = start;
        route->segment[route->n].len = p - start;
        route->n++;

        p++;
    }

    return NGX_OK;
}


/*
 * NGX_DECLINED, or the answer to who would change only what they have seen:
 * what is changed here has no entity tags, and no date
 */

static ngx_int_t
ngx_http_spaces_api_condition(ngx_http_request_t *r)
{
    ngx_str_t  *value;

    if (r->headers_in.if_match == NULL) {
        return NGX_DECLINED;
    }

    value = &r->headers_in.if_match->value;

    if (value->len == 1 && *value->data == '*') {
        return NGX_DECLINED;
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_PRECONDITION,
                                   "this has no entity tag: \"If-Match\" can "
                                   "be \"*\" alone; nothing was changed");
}


static ngx_int_t
ngx_http_spaces_api_bad_method(ngx_http_request_t *r, const char *allow)
{
    if (ngx_http_spaces_header_cstr(r, "Allow", allow) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_METHOD,
                                   "here are: %s", allow);
}


/* who is nobody changes nothing: that comes before what is wrong with a body */

static ngx_int_t
ngx_http_spaces_api_write(ngx_http_request_t *r, ngx_http_spaces_step_pt step)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->user.len == 0 && ctx->hash.len == 0) {
        return ngx_http_spaces_begin(r,
                    ngx_http_spaces_api_load(r, ngx_http_spaces_require_host));
    }

    return ngx_http_spaces_body_read(r, step);
}


/* an answer of the API is never older than Redis */

static ngx_int_t
ngx_http_spaces_api_load(ngx_http_request_t *r, ngx_http_spaces_step_pt step)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ctx->fresh = 1;

    return ngx_http_spaces_load(r, step);
}


static ngx_int_t
ngx_http_spaces_api_create(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_loc_conf_t  *slcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    /* a password that names nobody is a login that failed, not a token */

    if (ctx->user.len == 0 && (ctx->hash.len == 0 || ctx->by_basic)) {
        return ngx_http_spaces_unauthorized(r, "log in: a Space is hosted by "
                                            "a user");
    }

    if (ctx->user.len == 0) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_FORBIDDEN,
                                       "log in: a Space is hosted by a user, "
                                       "a token does not do");
    }

    rc = ngx_http_spaces_require_origin(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (!ngx_http_spaces_is_on(r, slcf->create)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_HOSTING_OFF,
                                       "the operator has not switched hosting "
                                       "on for you");
    }

    return ngx_http_spaces_body_read(r, ngx_http_spaces_api_create_body);
}


static ngx_int_t
ngx_http_spaces_api_create_body(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_array_t                  *commands;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_space_t      *space;
    ngx_http_spaces_loc_conf_t   *slcf;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    space = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_space_t));
    if (space == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_spaces_api_create_fields(r, space);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (space->record && !ngx_http_spaces_is_on(r, slcf->record)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_RECORDING_OFF,
                                       "create the Space with \"record\": "
                                       "false, or ask the operator");
    }

    if (ngx_http_spaces_new_id(r->pool, &space->id) != NGX_OK) {
        return NGX_ERROR;
    }

    space->host = ctx->user;
    space->node = smcf->node;
    space->created_at = ngx_http_spaces_zone_moment(smcf->zone);
    space->replay_ttl = slcf->replay_ttl;
    space->hold = slcf->hold;
    space->hold_max = slcf->hold_max;
    space->reconnect = slcf->reconnect;
    space->max_duration = slcf->max_duration;
    space->max_speakers = slcf->max_speakers;
    space->bitrate = slcf->bitrate;
    space->channels = slcf->channels;

    ctx->space = space;
    ctx->id = space->id;
    ctx->role = NGX_HTTP_SPACES_HOST;

    commands = ngx_array_create(r->pool, 16, sizeof(ngx_array_t));

    if (commands == NULL
        || ngx_http_spaces_store_add_space(smcf, commands, space) != NGX_OK
        || ngx_http_spaces_api_create_token(r, commands) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_request_transaction(r, commands,
                                               ngx_http_spaces_api_created);
}


static ngx_int_t
ngx_http_spaces_api_create_fields(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space)
{
    ngx_int_t   rc, index;
    ngx_str_t   visibility;

    static const char  *names[] = {
        "title", "record", "topics", "language", "visibility", "capacity",
        "price", "scheduled_at", NULL
    };

    if (ngx_http_spaces_body_only(r, names, &rc) != NGX_OK) {
        return rc;
    }

    switch (ngx_http_spaces_body_text(r, "title", NGX_HTTP_SPACES_MAX_TITLE,
                                      &space->title, &rc))
    {
    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FIELD,
                                       "\"title\" is required");

    default:
        return rc;
    }

    ngx_str_set(&visibility, "public");

    if (ngx_http_spaces_body_bool(r, "record", &space->record, &rc)
        == NGX_ABORT
        || ngx_http_spaces_body_topics(r, &space->topics, &rc) == NGX_ABORT
        || ngx_http_spaces_body_language(r, &space->language, &rc)
           == NGX_ABORT
        || ngx_http_spaces_body_text(r, "visibility", NGX_HTTP_SPACES_MAX_NAME,
                                     &visibility, &rc)
           == NGX_ABORT
        || ngx_http_spaces_body_integer(r, "capacity", 1, 1000000,
                                        &space->capacity, &rc)
           == NGX_ABORT
        || ngx_http_spaces_body_text(r, "price", NGX_HTTP_SPACES_MAX_TITLE,
                                     &space->price, &rc)
           == NGX_ABORT
        || ngx_http_spaces_body_time(r, "scheduled_at", &space->scheduled_at,
                                     &rc)
           == NGX_ABORT)
    {
        return rc;
    }

    index = ngx_http_spaces_name_index(ngx_http_spaces_visibilities,
                                       &visibility);
    if (index == NGX_ERROR) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FIELD,
                                       "\"visibility\" must be \"public\", "
                                       "\"unlisted\" or \"ticketed\"");
    }

    space->visibility = (ngx_uint_t) index;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_spaces_api_create_token(ngx_http_request_t *r, ngx_array_t *commands)
{
    ngx_str_t                     hash;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_space_t      *space;
    ngx_http_spaces_token_t       token;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    space = ctx->space;

    ngx_memzero(&token, sizeof(ngx_http_spaces_token_t));

    token.space = space->id;
    token.kind = NGX_HTTP_SPACES_HOST;
    token.created_at = space->created_at;
    token.expires_at = ngx_http_spaces_store_tokens_end(space);

    if (ngx_http_spaces_secret_new(r->pool, &ctx->share_token, &hash)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_store_add_token(smcf, commands, &hash, &token);
}


static ngx_int_t
ngx_http_spaces_api_created(ngx_http_request_t *r, redisReply *reply)
{
    json_t                       *json;
    u_char                       *last;
    ngx_str_t                     location, token;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_http_spaces_store_changed(smcf, &ctx->id);

    token = ctx->share_token;
    ngx_str_null(&ctx->share_token);

    location.data = ngx_pnalloc(r->pool, clcf->name.len + 1 + ctx->id.len);
    if (location.data == NULL) {
        return NGX_ERROR;
    }

    location.len = clcf->name.len;

    if (location.len && clcf->name.data[location.len - 1] == '/') {
        location.len--;
    }

    last = ngx_cpymem(location.data, clcf->name.data, location.len);
    *last++ = '/';
    last = ngx_cpymem(last, ctx->id.data, ctx->id.len);

    location.len = last - location.data;

    if (ngx_http_spaces_header(r, "Location", &location) != NGX_OK) {
        return NGX_ERROR;
    }

    json = ngx_http_spaces_describe(r, ctx->space, 1);

    (void) json_object_set_new(json, "token",
                               ngx_http_spaces_json_string(&token));

    return ngx_http_spaces_answer(r, NGX_HTTP_CREATED, json);
}


static ngx_int_t
ngx_http_spaces_api_get(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_require_visible(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                          ngx_http_spaces_describe(r, ctx->space,
                                       ctx->role == NGX_HTTP_SPACES_HOST));
}


static ngx_int_t
ngx_http_spaces_api_patch_body(ngx_http_request_t *r)
{
    return ngx_http_spaces_api_load(r, ngx_http_spaces_patch);
}


static ngx_int_t
ngx_http_spaces_api_end_body(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    static const char  *names[] = { NULL };

    if (ngx_http_spaces_body_only(r, names, &rc) != NGX_OK) {
        return rc;
    }

    return ngx_http_spaces_api_load(r, ngx_http_spaces_api_end);
}


static ngx_int_t
ngx_http_spaces_api_end(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    rc = ngx_http_spaces_require_host(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->space->state == NGX_HTTP_SPACES_SCHEDULED) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_LIVE,
                                       "nobody has talked yet, there is "
                                       "nothing to end");
    }

    return ngx_http_spaces_end(r, ngx_http_spaces_api_ended);
}


static ngx_int_t
ngx_http_spaces_api_ended(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                  ngx_http_spaces_describe(r, ctx->space, 1));
}


static ngx_int_t
ngx_http_spaces_api_review_body(ngx_http_request_t *r)
{
    return ngx_http_spaces_api_load(r, ngx_http_spaces_review);
}


static ngx_int_t
ngx_http_spaces_api_shares_body(ngx_http_request_t *r)
{
    return ngx_http_spaces_api_load(r, ngx_http_spaces_shares_create);
}


static ngx_int_t
ngx_http_spaces_api_revoke(ngx_http_request_t *r)
{
    ngx_str_t  id;

    if (ngx_http_spaces_api_third(r, &id) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_shares_revoke(r, &id);
}


static ngx_int_t
ngx_http_spaces_api_invite_body(ngx_http_request_t *r)
{
    return ngx_http_spaces_api_load(r, ngx_http_spaces_speakers_invite);
}


static ngx_int_t
ngx_http_spaces_api_speaker_body(ngx_http_request_t *r)
{
    return ngx_http_spaces_api_load(r, ngx_http_spaces_api_speaker);
}


static ngx_int_t
ngx_http_spaces_api_speaker(ngx_http_request_t *r)
{
    ngx_str_t  id;

    if (ngx_http_spaces_api_third(r, &id) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_speakers_patch(r, &id);
}


static ngx_int_t
ngx_http_spaces_api_remove(ngx_http_request_t *r)
{
    ngx_str_t  id;

    if (ngx_http_spaces_api_third(r, &id) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_speakers_remove(r, &id);
}


static ngx_int_t
ngx_http_spaces_api_tickets_body(ngx_http_request_t *r)
{
    return ngx_http_spaces_api_load(r, ngx_http_spaces_tickets_create);
}


/* the segment behind {id}/shares/ or {id}/speakers/ */

static ngx_int_t
ngx_http_spaces_api_third(ngx_http_request_t *r, ngx_str_t *segment)
{
    ngx_http_spaces_route_t  route;

    if (ngx_http_spaces_api_route(r, &route) != NGX_OK) {
        return NGX_ERROR;
    }

    *segment = route.segment[2];

    return NGX_OK;
}
