
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The API's tickets: tokens to hear a Space with, one for each seat.
 */


#include "ngx_http_spaces_body.h"
#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_secret.h"


/* of one request */
#define NGX_HTTP_SPACES_MAX_TICKETS  1000

/* what the script answers with, if not with the number of seats left */
#define NGX_HTTP_SPACES_ISSUED       -1
#define NGX_HTTP_SPACES_SPACE_GONE   -2

/* arguments of EVAL before the keys of the tokens, and behind them */
#define NGX_HTTP_SPACES_TICKET_KEYS  5
#define NGX_HTTP_SPACES_TICKET_ARGS  5


typedef struct {
    ngx_str_t                  token;
    ngx_str_t                  hash;
} ngx_http_spaces_ticket_t;


typedef struct {
    int64_t                    count;
    ngx_http_spaces_ticket_t  *tickets;
} ngx_http_spaces_tickets_t;


static ngx_int_t ngx_http_spaces_tickets_fields(ngx_http_request_t *r,
    ngx_http_spaces_tickets_t *tickets);
static ngx_int_t ngx_http_spaces_tickets_command(ngx_http_request_t *r,
    ngx_http_spaces_tickets_t *tickets);
static ngx_int_t ngx_http_spaces_tickets_issued(ngx_http_request_t *r,
    redisReply *reply);


/*
 * A script, so that two workers or nodes that sell at the same time see each
 * other's seats, and a seat is never counted without its token.  The number of
 * seats is not among the fields that a Space is stored with: nothing sets it
 * back.
 */

static ngx_str_t  ngx_http_spaces_tickets_script = ngx_string(
    "if redis.call('EXISTS', KEYS[1]) == 0 then return -2 end "
    "local n = #KEYS - 2 "
    "local capacity = tonumber(ARGV[1]) "
    "local sold = tonumber(redis.call('HGET', KEYS[1], 'tickets') or 0) "
    "if capacity > 0 and sold + n > capacity then "
        "return math.max(capacity - sold, 0) "
    "end "
    "redis.call('HINCRBY', KEYS[1], 'tickets', n) "
    "for i = 1, n do "
        "redis.call('HSET', KEYS[i + 2], 'space', ARGV[2], 'kind', 'ticket', "
                   "'created_at', ARGV[3], 'expires_at', ARGV[4]) "
        "redis.call('EXPIREAT', KEYS[i + 2], ARGV[5]) "
        "redis.call('SADD', KEYS[2], ARGV[i + 5]) "
    "end "
    "return -1"
);


ngx_int_t
ngx_http_spaces_tickets_create(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_spaces_ctx_t      *ctx;
    ngx_http_spaces_tickets_t  *tickets;

    rc = ngx_http_spaces_require_host(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    tickets = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_tickets_t));
    if (tickets == NULL) {
        return NGX_ERROR;
    }

    ctx->data = tickets;

    rc = ngx_http_spaces_tickets_fields(r, tickets);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ctx->space->visibility != NGX_HTTP_SPACES_TICKETED) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_TICKETED,
                                       "only a Space created with "
                                       "\"visibility\": \"ticketed\" has "
                                       "tickets; this one is heard without");
    }

    /* a seat in what is over is one at its recording */

    if (ctx->space->state == NGX_HTTP_SPACES_ENDED) {
        rc = ngx_http_spaces_require_recording(r);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return ngx_http_spaces_tickets_command(r, tickets);
}


/* NGX_DECLINED, or the answer */

static ngx_int_t
ngx_http_spaces_tickets_fields(ngx_http_request_t *r,
    ngx_http_spaces_tickets_t *tickets)
{
    ngx_int_t  rc;

    static const char  *names[] = { "count", NULL };

    tickets->count = 1;

    if (ngx_http_spaces_body_only(r, names, &rc) != NGX_OK
        || ngx_http_spaces_body_integer(r, "count", 1,
                                        NGX_HTTP_SPACES_MAX_TICKETS,
                                        &tickets->count, &rc)
           == NGX_ABORT)
    {
        return rc;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_spaces_tickets_command(ngx_http_request_t *r,
    ngx_http_spaces_tickets_t *tickets)
{
    int64_t                       end;
    ngx_str_t                    *argv, *keys, *args;
    ngx_uint_t                    i, n, argc;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_space_t      *space;
    ngx_http_spaces_ticket_t     *ticket;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    space = ctx->space;

    n = (ngx_uint_t) tickets->count;
    argc = NGX_HTTP_SPACES_TICKET_KEYS + n + NGX_HTTP_SPACES_TICKET_ARGS + n;

    argv = ngx_palloc(r->pool, argc * sizeof(ngx_str_t));
    ticket = ngx_pcalloc(r->pool, n * sizeof(ngx_http_spaces_ticket_t));

    if (argv == NULL || ticket == NULL) {
        return NGX_ERROR;
    }

    tickets->tickets = ticket;

    end = ngx_http_spaces_store_tokens_end(space);

    keys = argv + NGX_HTTP_SPACES_TICKET_KEYS;
    args = keys + n;

    ngx_str_set(&argv[0], "EVAL");
    argv[1] = ngx_http_spaces_tickets_script;
    argv[2] = ngx_http_spaces_number(r->pool, (int64_t) n + 2);
    argv[3] = ngx_http_spaces_space_key(smcf, r->pool, &space->id);
    argv[4] = ngx_http_spaces_tokens_key(smcf, r->pool, &space->id);

    args[0] = ngx_http_spaces_number(r->pool, space->capacity);
    args[1] = space->id;
    args[2] = ngx_http_spaces_number(r->pool, ngx_http_spaces_now());
    args[3] = ngx_http_spaces_number(r->pool, end);
    args[4] = ngx_http_spaces_number(r->pool, (end + 999) / 1000);

    for (i = 0; i < n; i++) {

        if (ngx_http_spaces_secret_new(r->pool, &ticket[i].token,
                                       &ticket[i].hash)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        keys[i] = ngx_http_spaces_token_key(smcf, r->pool, &ticket[i].hash);
        args[NGX_HTTP_SPACES_TICKET_ARGS + i] = ticket[i].hash;
    }

    for (i = 0; i < argc; i++) {
        if (argv[i].data == NULL) {
            return NGX_ERROR;
        }
    }

    return ngx_http_spaces_request_command(r, argc, argv,
                                           ngx_http_spaces_tickets_issued);
}


static ngx_int_t
ngx_http_spaces_tickets_issued(ngx_http_request_t *r, redisReply *reply)
{
    json_t                     *list;
    int64_t                     i;
    ngx_str_t                   id;
    ngx_http_spaces_ctx_t      *ctx;
    ngx_http_spaces_ticket_t   *ticket;
    ngx_http_spaces_tickets_t  *tickets;

    if (reply->type != REDIS_REPLY_INTEGER) {
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    tickets = ctx->data;

    if (reply->integer == NGX_HTTP_SPACES_SPACE_GONE) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NOT_FOUND,
                                       "no Space has this id");
    }

    if (reply->integer != NGX_HTTP_SPACES_ISSUED) {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_SOLD_OUT,
                                       "of a \"capacity\" of %L there are %L "
                                       "left",
                                       ctx->space->capacity,
                                       (int64_t) reply->integer);
    }

    list = json_array();

    for (i = 0; i < tickets->count; i++) {
        ticket = &tickets->tickets[i];

        id.data = ticket->hash.data;
        id.len = NGX_HTTP_SPACES_TOKEN_ID;

        (void) json_array_append_new(list,
                     json_pack("{s:o, s:o}",
                               "id", ngx_http_spaces_json_string(&id),
                               "token",
                               ngx_http_spaces_json_string(&ticket->token)));
    }

    return ngx_http_spaces_answer(r, NGX_HTTP_CREATED,
                                  json_pack("{s:o}", "tickets", list));
}
