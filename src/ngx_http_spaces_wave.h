
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What is to be drawn of a recording: how loud it is, and who speaks when.
 */


#ifndef _NGX_HTTP_SPACES_WAVE_H_INCLUDED_
#define _NGX_HTTP_SPACES_WAVE_H_INCLUDED_


#include "ngx_http_spaces_clip.h"


typedef enum {
    ngx_http_spaces_wave_none = 0,
    ngx_http_spaces_wave_peaks,
    ngx_http_spaces_wave_speakers,
    ngx_http_spaces_wave_vtt
} ngx_http_spaces_wave_e;


/* which of it the request is for, by the end of its URI and "Accept" */
ngx_http_spaces_wave_e ngx_http_spaces_wave_kind(ngx_http_request_t *r);

/*
 * Answers with it, of that span of the Space that is loaded, which has a
 * recording: the caller may hear it.  "shared" as of a replay.
 */
ngx_int_t ngx_http_spaces_wave_send(ngx_http_request_t *r,
    ngx_http_spaces_wave_e kind, ngx_http_spaces_span_t *span,
    ngx_uint_t shared);


#endif /* _NGX_HTTP_SPACES_WAVE_H_INCLUDED_ */
