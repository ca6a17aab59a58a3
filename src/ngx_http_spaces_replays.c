
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * How often a recording was played.
 */


#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_store.h"
#include "ngx_http_spaces_zone.h"


/* after so long without a request, s, or its own length, it is played anew */
#define NGX_HTTP_SPACES_PLAYING  1800

/* Safari asks for so many bytes to learn the length */
#define NGX_HTTP_SPACES_PROBE    2


static uint64_t ngx_http_spaces_replays_fingerprint(ngx_http_request_t *r);
static void ngx_http_spaces_replays_add(ngx_http_request_t *r);
static void ngx_http_spaces_replays_added(void *data, redisReply *reply);


/* a Space that is gone stays so */

static ngx_str_t  ngx_http_spaces_replays_script = ngx_string(
    "if redis.call('EXISTS', KEYS[1]) == 1 then "
        "return redis.call('HINCRBY', KEYS[1], 'replays', 1) "
    "end "
    "return 0"
);


void
ngx_http_spaces_replays_count(ngx_http_request_t *r)
{
    int64_t                       window;
    uint64_t                      fingerprint;
    ngx_uint_t                    begins;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_zone_t       *zone;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (ctx->space->recording != NGX_HTTP_SPACES_AVAILABLE
        || (r->headers_out.status == NGX_HTTP_PARTIAL_CONTENT
            && r->headers_out.content_length_n <= NGX_HTTP_SPACES_PROBE))
    {
        return;
    }

    /* if it can't be counted now, a later request of the same playing is */

    if (!ngx_http_spaces_redis_ready(smcf->redis)) {
        return;
    }

    window = ngx_max(NGX_HTTP_SPACES_PLAYING, ctx->space->duration / 1000);
    fingerprint = ngx_http_spaces_replays_fingerprint(r);

    zone = smcf->zone;

    ngx_shmtx_lock(&zone->shpool->mutex);

    begins = spaces_playings_begins(zone->sh->playings, fingerprint,
                                    ngx_time(), window);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (begins) {
        ngx_http_spaces_replays_add(r);
    }
}


/*
 * A token is one person's, wherever they go meanwhile.  A link is anybody's,
 * as is what is public: they are told apart by address and program.
 */

static uint64_t
ngx_http_spaces_replays_fingerprint(ngx_http_request_t *r)
{
    uint64_t                hash;
    ngx_str_t              *s;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    hash = spaces_playings_hash(SPACES_PLAYINGS_SEED, ctx->id.data,
                                ctx->id.len);

    if (ctx->token && ctx->role > NGX_HTTP_SPACES_SHARE) {
        return spaces_playings_hash(hash, ctx->hash.data, ctx->hash.len);
    }

    s = &r->connection->addr_text;
    hash = spaces_playings_hash(hash, s->data, s->len);

    if (r->headers_in.user_agent) {
        s = &r->headers_in.user_agent->value;
        hash = spaces_playings_hash(hash, s->data, s->len);
    }

    return hash;
}


static void
ngx_http_spaces_replays_add(ngx_http_request_t *r)
{
    ngx_str_t                     argv[4];
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    ngx_str_set(&argv[0], "EVAL");
    argv[1] = ngx_http_spaces_replays_script;
    ngx_str_set(&argv[2], "1");
    argv[3] = ngx_http_spaces_space_key(smcf, r->pool, &ctx->id);

    if (argv[3].data == NULL) {
        return;
    }

    (void) ngx_http_spaces_redis_command(smcf->redis, 4, argv,
                                         ngx_http_spaces_replays_added, NULL);
}


static void
ngx_http_spaces_replays_added(void *data, redisReply *reply)
{
    /* a count that fails is no reason to trouble anybody */
}
