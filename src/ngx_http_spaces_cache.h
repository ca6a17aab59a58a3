
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Spaces and tokens as Redis told them, kept by a worker for a second; for
 * minutes if Redis is gone, but never past a change that is known of.
 */


#ifndef _NGX_HTTP_SPACES_CACHE_H_INCLUDED_
#define _NGX_HTTP_SPACES_CACHE_H_INCLUDED_


#include "ngx_http_spaces_request.h"


typedef struct {
    ngx_str_node_t              sn;
    ngx_queue_t                 queue;      /* least recently used last */
    ngx_pool_t                 *pool;
    ngx_uint_t                  refs;
    ngx_msec_t                  sent;       /* when it was asked for */

    /* the counter of changes it was true for */
    ngx_atomic_t               *counter;
    ngx_atomic_uint_t           change;

    ngx_http_spaces_space_t    *space;
    ngx_http_spaces_space_t    *live;       /* it, as its room knew it last:
                                               all who read it share it */
    ngx_http_spaces_token_t    *token;
} ngx_http_spaces_cached_t;


/* NULL without memory */
ngx_http_spaces_cache_t *ngx_http_spaces_cache_create(void);

/* for a worker that exits */
void ngx_http_spaces_cache_destroy(ngx_http_spaces_cache_t *cache);

/*
 * What is there by that key, an id or the hash of a token, and not too old;
 * "stale" if nothing better is to be had.  The request holds it.
 */
ngx_http_spaces_cached_t *ngx_http_spaces_cache_get(ngx_http_request_t *r,
    ngx_str_t *key, ngx_uint_t stale);

/* an empty one, held likewise, and not in the cache yet; NULL on error */
ngx_http_spaces_cached_t *ngx_http_spaces_cache_new(ngx_http_request_t *r,
    ngx_str_t *key, ngx_msec_t sent);

/* in place of another with its key, or of the one that was longest unused */
void ngx_http_spaces_cache_insert(ngx_http_spaces_cache_t *cache,
    ngx_http_spaces_cached_t *cached);


#endif /* _NGX_HTTP_SPACES_CACHE_H_INCLUDED_ */
