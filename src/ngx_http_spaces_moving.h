
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A move of a recording on behalf of a request, which waits for it.
 */


#ifndef _NGX_HTTP_SPACES_MOVING_H_INCLUDED_
#define _NGX_HTTP_SPACES_MOVING_H_INCLUDED_


#include "ngx_http_spaces_move.h"
#include "ngx_http_spaces_request.h"


/* "space" is as the move left it; NULL: there was nothing to move */
typedef ngx_int_t (*ngx_http_spaces_moving_pt)(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space);


/*
 * Begins a move by the caller of the request, and goes on with the step when
 * it is made.  What went wrong is answered.
 */
ngx_int_t ngx_http_spaces_moving(ngx_http_request_t *r,
    ngx_http_spaces_move_e kind, ngx_http_spaces_space_t *space,
    const char *action, ngx_str_t *by, ngx_http_spaces_moving_pt step);


#endif /* _NGX_HTTP_SPACES_MOVING_H_INCLUDED_ */
