
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Links that were revoked and would be good still: a file, for a Redis that
 * comes back without its last words would have them again.
 */


#ifndef _NGX_HTTP_SPACES_REVOKED_H_INCLUDED_
#define _NGX_HTTP_SPACES_REVOKED_H_INCLUDED_


#include "ngx_http_spaces_module.h"
#include "ngx_http_spaces_token.h"


typedef struct {
    u_char   hash[NGX_HTTP_SPACES_TOKEN_HASH];
    int64_t  expires_at;                        /* ms */
} ngx_http_spaces_revoked_t;


/* writes one down, in a thread; that it failed is logged */
void ngx_http_spaces_revoked_add(ngx_http_spaces_main_conf_t *smcf,
    ngx_str_t *hash, int64_t expires_at);

/* from a thread: leaves out those that have expired at "now", ms, for good */
void ngx_http_spaces_revoked_trim(ngx_str_t *path, int64_t now);

/*
 * From a thread: the next of them, "n" at most, from the offset on, which it
 * moves; returns how many there were, 0 if that was all.
 */
ngx_uint_t ngx_http_spaces_revoked_read(ngx_str_t *path, off_t *offset,
    ngx_http_spaces_revoked_t *revoked, ngx_uint_t n);


#endif /* _NGX_HTTP_SPACES_REVOKED_H_INCLUDED_ */
