
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A token: what its holder may do in which Space.
 */


#ifndef _NGX_HTTP_SPACES_TOKEN_H_INCLUDED_
#define _NGX_HTTP_SPACES_TOKEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_SPACES_TOKEN_HASH  64      /* SHA-256 in hexadecimal */
#define NGX_HTTP_SPACES_TOKEN_ID    20      /* of these; a token's public id */


typedef enum {
    NGX_HTTP_SPACES_NOBODY = 0,
    NGX_HTTP_SPACES_SHARE,
    NGX_HTTP_SPACES_TICKET,
    NGX_HTTP_SPACES_SPEAKER,
    NGX_HTTP_SPACES_HOST
} ngx_http_spaces_role_e;


/* a token as Redis holds it; its secret is known to its holder alone */

typedef struct {
    ngx_str_t                  space;
    ngx_http_spaces_role_e     kind;
    ngx_str_t                  label;
    int64_t                    created_at;   /* ms */
    int64_t                    expires_at;   /* ms */
    int64_t                    start;        /* of a share: the clip, ms */
    int64_t                    end;          /* 0: all of the recording */
    unsigned                   muted:1;      /* a speaker's */
    unsigned                   removed:1;
} ngx_http_spaces_token_t;


/* how a role is spelt */
extern ngx_str_t  ngx_http_spaces_roles[];


#endif /* _NGX_HTTP_SPACES_TOKEN_H_INCLUDED_ */
