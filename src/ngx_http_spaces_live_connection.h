
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The connection of somebody who listens, or follows events: behind nginx's
 * filters, through them, or as a WebSocket.
 */


#ifndef _NGX_HTTP_SPACES_LIVE_CONNECTION_H_INCLUDED_
#define _NGX_HTTP_SPACES_LIVE_CONNECTION_H_INCLUDED_


#include "ngx_http_spaces_feed.h"
#include "ngx_http_spaces_handlers.h"


/* how far back anybody may go; in what is recorded further, ms */
#define NGX_HTTP_SPACES_BACK  16000


/*
 * Answers with a body of that type and form (not the one in chunks, which is
 * chosen here) that goes on until the Space ends: from "back" ms ago, behind
 * "hello", if there is one, whose reference is taken over.  For the Space that
 * is loaded, and who has been let in.
 */
ngx_int_t ngx_http_spaces_live_http(ngx_http_request_t *r, const char *type,
    ngx_http_spaces_form_e form, int64_t back, json_t *hello);

/* likewise: answers 101, and goes on in messages of that form */
ngx_int_t ngx_http_spaces_live_websocket(ngx_http_request_t *r,
    ngx_str_t *protocol, ngx_http_spaces_form_e form, int64_t back);


#endif /* _NGX_HTTP_SPACES_LIVE_CONNECTION_H_INCLUDED_ */
