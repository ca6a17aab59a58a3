
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_cache.h"


/* how long what was read is taken for true, ms; and without Redis at most */
#define NGX_HTTP_SPACES_FRESH    1000
#define NGX_HTTP_SPACES_STALE    300000

/* Spaces and tokens that a worker keeps */
#define NGX_HTTP_SPACES_CACHED   8192

/* for most of them, bytes; who listens holds one for hours */
#define NGX_HTTP_SPACES_KEPT     1024


struct ngx_http_spaces_cache_s {
    ngx_rbtree_t                  rbtree;
    ngx_rbtree_node_t             sentinel;
    ngx_queue_t                   queue;
    ngx_uint_t                    n;
};


static void ngx_http_spaces_cache_remove(ngx_http_spaces_cache_t *cache,
    ngx_http_spaces_cached_t *cached);
static ngx_int_t ngx_http_spaces_cache_hold(ngx_http_request_t *r,
    ngx_http_spaces_cached_t *cached);
static void ngx_http_spaces_cache_release(void *data);


ngx_http_spaces_cache_t *
ngx_http_spaces_cache_create(void)
{
    ngx_http_spaces_cache_t  *cache;

    cache = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_spaces_cache_t));
    if (cache == NULL) {
        return NULL;
    }

    ngx_rbtree_init(&cache->rbtree, &cache->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&cache->queue);

    return cache;
}


void
ngx_http_spaces_cache_destroy(ngx_http_spaces_cache_t *cache)
{
    while (!ngx_queue_empty(&cache->queue)) {
        ngx_http_spaces_cache_remove(cache,
                       ngx_queue_data(ngx_queue_head(&cache->queue),
                                      ngx_http_spaces_cached_t, queue));
    }
}


ngx_http_spaces_cached_t *
ngx_http_spaces_cache_get(ngx_http_request_t *r, ngx_str_t *key,
    ngx_uint_t stale)
{
    ngx_msec_t                    age;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_cache_t      *cache;
    ngx_http_spaces_cached_t     *cached;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    cache = smcf->cache;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    if (ctx->fresh && !stale) {
        return NULL;
    }

    cached = (ngx_http_spaces_cached_t *)
                 ngx_str_rbtree_lookup(&cache->rbtree, key,
                                       ngx_murmur_hash2(key->data, key->len));

    if (cached == NULL) {
        return NULL;
    }

    age = ngx_current_msec - cached->sent;

    if (*cached->counter != cached->change || age > NGX_HTTP_SPACES_STALE) {
        ngx_http_spaces_cache_remove(cache, cached);
        return NULL;
    }

    if (!stale && age > NGX_HTTP_SPACES_FRESH) {
        return NULL;
    }

    ngx_queue_remove(&cached->queue);
    ngx_queue_insert_head(&cache->queue, &cached->queue);

    if (ngx_http_spaces_cache_hold(r, cached) != NGX_OK) {
        return NULL;
    }

    return cached;
}


ngx_http_spaces_cached_t *
ngx_http_spaces_cache_new(ngx_http_request_t *r, ngx_str_t *key,
    ngx_msec_t sent)
{
    ngx_pool_t                *pool;
    ngx_http_spaces_cached_t  *cached;

    pool = ngx_create_pool(NGX_HTTP_SPACES_KEPT, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    cached = ngx_pcalloc(pool, sizeof(ngx_http_spaces_cached_t));

    if (cached == NULL
        || (cached->sn.str.data = ngx_pstrdup(pool, key)) == NULL)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    cached->sn.str.len = key->len;
    cached->sn.node.key = ngx_murmur_hash2(key->data, key->len);
    cached->pool = pool;
    cached->sent = sent;

    if (ngx_http_spaces_cache_hold(r, cached) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    return cached;
}


void
ngx_http_spaces_cache_insert(ngx_http_spaces_cache_t *cache,
    ngx_http_spaces_cached_t *cached)
{
    ngx_queue_t               *q;
    ngx_http_spaces_cached_t  *old;

    old = (ngx_http_spaces_cached_t *)
              ngx_str_rbtree_lookup(&cache->rbtree, &cached->sn.str,
                                    cached->sn.node.key);
    if (old) {
        ngx_http_spaces_cache_remove(cache, old);
    }

    if (cache->n >= NGX_HTTP_SPACES_CACHED) {
        q = ngx_queue_last(&cache->queue);
        ngx_http_spaces_cache_remove(cache,
                        ngx_queue_data(q, ngx_http_spaces_cached_t, queue));
    }

    cached->refs++;
    cache->n++;

    ngx_rbtree_insert(&cache->rbtree, &cached->sn.node);
    ngx_queue_insert_head(&cache->queue, &cached->queue);
}


static void
ngx_http_spaces_cache_remove(ngx_http_spaces_cache_t *cache,
    ngx_http_spaces_cached_t *cached)
{
    ngx_rbtree_delete(&cache->rbtree, &cached->sn.node);
    ngx_queue_remove(&cached->queue);
    cache->n--;

    ngx_http_spaces_cache_release(cached);
}


static ngx_int_t
ngx_http_spaces_cache_hold(ngx_http_request_t *r,
    ngx_http_spaces_cached_t *cached)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    cln = ngx_pool_cleanup_add(ctx->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_spaces_cache_release;
    cln->data = cached;

    cached->refs++;

    return NGX_OK;
}


static void
ngx_http_spaces_cache_release(void *data)
{
    ngx_http_spaces_cached_t  *cached = data;

    if (--cached->refs == 0) {
        ngx_destroy_pool(cached->pool);
    }
}
