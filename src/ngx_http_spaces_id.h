
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The id of a Space, and a place in the timeline, which has one.
 */


#ifndef _NGX_HTTP_SPACES_ID_H_INCLUDED_
#define _NGX_HTTP_SPACES_ID_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_SPACES_ID_LEN      20      /* of a-z, 2-7 */

/* of a place as text */
#define NGX_HTTP_SPACES_CURSOR_LEN                                            \
    ngx_base64_encoded_length(NGX_INT64_LEN + 1 + NGX_HTTP_SPACES_ID_LEN)


typedef struct {
    int64_t     score;                      /* when it was created, ms */
    ngx_str_t   id;
} ngx_http_spaces_place_t;


/* a fresh id; NGX_ERROR without memory or randomness */
ngx_int_t ngx_http_spaces_new_id(ngx_pool_t *pool, ngx_str_t *id);

/* whether this could be one */
ngx_uint_t ngx_http_spaces_valid_id(ngx_str_t *id);

/* a place as text, of NGX_HTTP_SPACES_CURSOR_LEN at most */
void ngx_http_spaces_cursor_write(ngx_http_spaces_place_t *place,
    ngx_str_t *text);

/* likewise back; NGX_ERROR if it is none, or without memory */
ngx_int_t ngx_http_spaces_cursor_read(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_spaces_place_t *place);


#endif /* _NGX_HTTP_SPACES_ID_H_INCLUDED_ */
