
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The API for moderators: recordings that were deleted or have expired.  Who
 * looks at one is in the audit before they see it.
 */


#include "ngx_http_spaces_body.h"
#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_moving.h"


static ngx_int_t ngx_http_spaces_review_moderator(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_int_t ngx_http_spaces_review_require(ngx_http_request_t *r);
static void ngx_http_spaces_review_log(ngx_http_request_t *r,
    const char *action, ngx_str_t *by);
static ngx_int_t ngx_http_spaces_review_audit(ngx_http_request_t *r,
    const char *action, ngx_http_spaces_step_pt step);
static ngx_int_t ngx_http_spaces_review_audited(ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_review_listed(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_review_read(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_review_patch(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_review_extended(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space);
static ngx_int_t ngx_http_spaces_review_purge(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_review_purged(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space);
static ngx_int_t ngx_http_spaces_review_listen(ngx_http_request_t *r);
static ngx_uint_t ngx_http_spaces_review_allowed(ngx_http_request_t *r);


/* NGX_DECLINED for a moderator, with their name, or the answer */

static ngx_int_t
ngx_http_spaces_review_moderator(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_str_t                    value;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_loc_conf_t  *slcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_spaces_module);

    ngx_str_null(&value);

    if (slcf->moderator
        && ngx_http_complex_value(r, slcf->moderator, &value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (value.len && !(value.len == 1 && value.data[0] == '0')) {

        if (name) {
            *name = ctx->user.len ? ctx->user : value;
        }

        if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
            return NGX_DECLINED;
        }

        return ngx_http_spaces_require_own_origin(r);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        && ctx->user.len == 0 && ctx->hash.len == 0)
    {
        return ngx_http_spaces_unauthorized(r, "log in as a moderator");
    }

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_FORBIDDEN,
                                   "only a moderator may do this");
}


/* likewise, and the Space is one that is held here */

static ngx_int_t
ngx_http_spaces_review_require(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    rc = ngx_http_spaces_review_moderator(r, NULL);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (ctx->space == NULL || !ngx_http_spaces_is_held(ctx->space)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                       "no recording with this id is held "
                                       "for review");
    }

    if (!ngx_http_spaces_store_is_here(smcf, ctx->space)) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_ROOM,
                                       "the recording is held on node \"%V\", "
                                       "ask there", &ctx->space->node);
    }

    if (ctx->space->hold_until == 0) {

        /* nobody hears it any more, but it is on its way still */

        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                       "the recording is not held yet: try "
                                       "again");
    }

    return NGX_DECLINED;
}


/* a line of the log, and who it is */

static void
ngx_http_spaces_review_log(ngx_http_request_t *r, const char *action,
    ngx_str_t *by)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    ngx_str_null(by);
    (void) ngx_http_spaces_review_moderator(r, by);

    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "review: moderator \"%V\", %s%s%V", by, action,
                  ctx->id.len ? ", space " : "", &ctx->id);
}


/* what can't be written down is not shown */

static ngx_int_t
ngx_http_spaces_review_audit(ngx_http_request_t *r, const char *action,
    ngx_http_spaces_step_pt step)
{
    ngx_str_t                     name, by;
    ngx_array_t                  *commands;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    ngx_http_spaces_review_log(r, action, &by);

    name.data = (u_char *) action;
    name.len = ngx_strlen(action);

    commands = ngx_array_create(r->pool, 1, sizeof(ngx_array_t));

    if (commands == NULL
        || ngx_http_spaces_store_add_audit(smcf, commands, &ctx->id, &name,
                                           &by)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->step = step;

    return ngx_http_spaces_request_transaction(r, commands,
                                               ngx_http_spaces_review_audited);
}


/* its place in the audit, or why it has none */

static ngx_int_t
ngx_http_spaces_review_audited(ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_spaces_ctx_t  *ctx;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1
        || reply->element[0]->type != REDIS_REPLY_STRING)
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_REDIS,
                                       "this access can't be written down: "
                                       "the operator's log says more");
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    return ctx->step(r);
}


ngx_int_t
ngx_http_spaces_review_list(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_spaces_review_moderator(r, NULL);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_spaces_review_audit(r, "list",
                                        ngx_http_spaces_review_listed);
}


static ngx_int_t
ngx_http_spaces_review_listed(ngx_http_request_t *r)
{
    return ngx_http_spaces_timeline(r, 1);
}


ngx_int_t
ngx_http_spaces_review(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_spaces_review_require(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (r->method == NGX_HTTP_PATCH) {
        return ngx_http_spaces_review_patch(r);
    }

    if (r->method == NGX_HTTP_DELETE) {
        return ngx_http_spaces_review_purge(r);
    }

    return ngx_http_spaces_review_audit(r, "read",
                                        ngx_http_spaces_review_read);
}


static ngx_int_t
ngx_http_spaces_review_read(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                  ngx_http_spaces_review_json(ctx->space));
}


static ngx_int_t
ngx_http_spaces_review_patch(ngx_http_request_t *r)
{
    int64_t                   until, max;
    ngx_int_t                 rc;
    ngx_str_t                 by;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t   space;

    static const char  *names[] = { "hold_until", NULL };

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ngx_http_spaces_body_only(r, names, &rc) != NGX_OK) {
        return rc;
    }

    switch (ngx_http_spaces_body_time(r, "hold_until", &until, &rc)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FIELD,
                                       "\"hold_until\" is required");

    default:
        return rc;
    }

    space = *ctx->space;
    max = space.held_at + space.hold_max * 1000;

    if (until <= ngx_http_spaces_now() || until > max) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_FIELD,
                                       "\"hold_until\" must be to come, and "
                                       "%L days after \"held_at\" at most",
                                       space.hold_max / (24 * 3600));
    }

    space.hold_until = until;

    ngx_http_spaces_review_log(r, "extend", &by);

    return ngx_http_spaces_moving(r, ngx_http_spaces_move_extend, &space,
                                  "extend", &by,
                                  ngx_http_spaces_review_extended);
}


static ngx_int_t
ngx_http_spaces_review_extended(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space)
{
    if (space == NULL) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                       "the recording was purged meanwhile");
    }

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                  ngx_http_spaces_review_json(space));
}


static ngx_int_t
ngx_http_spaces_review_purge(ngx_http_request_t *r)
{
    ngx_str_t                 by;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_space_t   space;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    space = *ctx->space;
    space.hold_until = ngx_http_spaces_now();

    ngx_http_spaces_review_log(r, "purge", &by);

    return ngx_http_spaces_moving(r, ngx_http_spaces_move_purge, &space,
                                  "purge", &by, ngx_http_spaces_review_purged);
}


static ngx_int_t
ngx_http_spaces_review_purged(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space)
{
    if (space == NULL) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                       "the recording is not held yet: try "
                                       "again");
    }

    return ngx_http_spaces_no_content(r);
}


ngx_int_t
ngx_http_spaces_review_audio(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_spaces_review_require(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_spaces_review_audit(r, "listen",
                                        ngx_http_spaces_review_listen);
}


static ngx_int_t
ngx_http_spaces_review_listen(ngx_http_request_t *r)
{
    ngx_str_t                     path;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    path = ngx_http_spaces_held_path(&smcf->path, &ctx->id, ".opus", r->pool);
    if (path.data == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_replay_send(r, &path, 1,
                                       ngx_http_spaces_review_allowed);
}


static ngx_uint_t
ngx_http_spaces_review_allowed(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    return ngx_http_spaces_is_held(ctx->space);
}
