
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A part of a recording: which one a request means, and how it is sent.
 */


#ifndef _NGX_HTTP_SPACES_CLIP_H_INCLUDED_
#define _NGX_HTTP_SPACES_CLIP_H_INCLUDED_


#include "ngx_http_spaces_handlers.h"


/* ms of what is heard */

typedef struct {
    int64_t     start;
    int64_t     end;         /* 0: the recording's own */
    unsigned    whole:1;     /* all of the recording, as it is */
} ngx_http_spaces_span_t;


/*
 * What "start" and "end" ask for, of the recording of the Space that is
 * loaded; by a link to a clip they count from where that begins, and nothing
 * but the clip is to be had.  NGX_DECLINED with the span, or the answer.
 */
ngx_int_t ngx_http_spaces_clip_span(ngx_http_request_t *r,
    ngx_http_spaces_span_t *span);

/* a number of seconds, to ms: what is finer is left out */
ngx_int_t ngx_http_spaces_clip_seconds(ngx_str_t *value, int64_t *ms);

/* as ngx_http_spaces_replay_send(), that span */
ngx_int_t ngx_http_spaces_clip_send(ngx_http_request_t *r, ngx_str_t *path,
    ngx_http_spaces_span_t *span, ngx_uint_t shared,
    ngx_http_spaces_allowed_pt allowed);


#endif /* _NGX_HTTP_SPACES_CLIP_H_INCLUDED_ */
