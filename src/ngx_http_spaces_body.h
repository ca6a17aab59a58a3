
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The JSON body of a request, and its fields, each looked at with a clear
 * answer if it is wrong.
 */


#ifndef _NGX_HTTP_SPACES_BODY_H_INCLUDED_
#define _NGX_HTTP_SPACES_BODY_H_INCLUDED_


#include "ngx_http_spaces_request.h"


#define NGX_HTTP_SPACES_MAX_BODY  65536


/*
 * Reads the body, sets ctx->body to its object (an empty one if there is no
 * body), and goes on with the step.  For a content handler: returns what that
 * is to return.
 */
ngx_int_t ngx_http_spaces_body_read(ngx_http_request_t *r,
    ngx_http_spaces_step_pt step);

/*
 * The fields.  Each returns NGX_OK with the value set; NGX_DECLINED without
 * it, if the field isn't there, or is null; NGX_ABORT when it is wrong, with
 * the answer in *rc.
 */
ngx_int_t ngx_http_spaces_body_text(ngx_http_request_t *r, const char *name,
    ngx_uint_t max, ngx_str_t *value, ngx_int_t *rc);
ngx_int_t ngx_http_spaces_body_bool(ngx_http_request_t *r, const char *name,
    int64_t *value, ngx_int_t *rc);
ngx_int_t ngx_http_spaces_body_integer(ngx_http_request_t *r,
    const char *name, int64_t min, int64_t max, int64_t *value,
    ngx_int_t *rc);

/* a number of seconds, to ms */
ngx_int_t ngx_http_spaces_body_seconds(ngx_http_request_t *r,
    const char *name, int64_t *value, ngx_int_t *rc);

/* "topics": up to three names, as the Space keeps them */
ngx_int_t ngx_http_spaces_body_topics(ngx_http_request_t *r, ngx_str_t *value,
    ngx_int_t *rc);

/* "language": well-formed by RFC 5646, 2.1 */
ngx_int_t ngx_http_spaces_body_language(ngx_http_request_t *r,
    ngx_str_t *value, ngx_int_t *rc);

/* a time by RFC 3339, to ms since the epoch */
ngx_int_t ngx_http_spaces_body_time(ngx_http_request_t *r, const char *name,
    int64_t *value, ngx_int_t *rc);

/* NGX_OK if no field is there but these, which end in NULL; NGX_ABORT else */
ngx_int_t ngx_http_spaces_body_only(ngx_http_request_t *r,
    const char *const *names, ngx_int_t *rc);


#endif /* _NGX_HTTP_SPACES_BODY_H_INCLUDED_ */
