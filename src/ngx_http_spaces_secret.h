
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The secret of a token: where a request has it, what is kept of it, and fresh
 * ones.
 */


#ifndef _NGX_HTTP_SPACES_SECRET_H_INCLUDED_
#define _NGX_HTTP_SPACES_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* what a fresh one is of: letters, digits, "-" and "_" */
#define NGX_HTTP_SPACES_SECRET_LEN  32


/*
 * The secret that came with a request, in its memory; len is 0 if none did.
 * "by_basic": it was the password of Basic.  NGX_ERROR without memory.
 */
ngx_int_t ngx_http_spaces_secret_find(ngx_http_request_t *r,
    ngx_str_t *secret, ngx_uint_t *by_basic);

/*
 * What is kept of a secret: its SHA-256 in hexadecimal, in the pool.  NGX_ERROR
 * without memory.
 */
ngx_int_t ngx_http_spaces_secret_hash(ngx_pool_t *pool, ngx_str_t *secret,
    ngx_str_t *hash);

/*
 * A fresh secret of 192 random bits, and its hash.  NGX_ERROR without memory
 * or randomness.
 */
ngx_int_t ngx_http_spaces_secret_new(ngx_pool_t *pool, ngx_str_t *secret,
    ngx_str_t *hash);


#endif /* _NGX_HTTP_SPACES_SECRET_H_INCLUDED_ */
