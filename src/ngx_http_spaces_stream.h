
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Bytes that many read at their own pace: a ring of the last ones, with marks
 * where frames begin.
 */


#ifndef _NGX_HTTP_SPACES_STREAM_H_INCLUDED_
#define _NGX_HTTP_SPACES_STREAM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    uint64_t                      at;
    int64_t                       time;      /* ms, monotonic */
} ngx_http_spaces_mark_t;


typedef struct {
    u_char                       *data;      /* byte n is at n % size */
    size_t                        size;      /* a power of two */
    uint64_t                      head;      /* bytes ever */
    uint64_t                      last;      /* where the end begins */

    ngx_http_spaces_mark_t       *marks;     /* mark n is at n % size_marks */
    ngx_uint_t                    size_marks;
    ngx_uint_t                    nmarks;    /* ever */
    ngx_uint_t                    first;     /* mark that there is */
    ngx_uint_t                    kept;      /* likewise, young enough */
} ngx_http_spaces_stream_t;


/* NGX_ERROR without memory */
ngx_int_t ngx_http_spaces_stream_init(ngx_http_spaces_stream_t *stream);

void ngx_http_spaces_stream_free(ngx_http_spaces_stream_t *stream);

/*
 * Adds whole frames, which get a mark.  What is younger than "keep" ms, and
 * not before "needed", is not written over, as far as memory goes.
 */
void ngx_http_spaces_stream_add(ngx_http_spaces_stream_t *stream, u_char *data,
    size_t len, int64_t now, int64_t keep, uint64_t needed);

/* the bytes at a position, and how many follow in one piece, up to the end */
u_char *ngx_http_spaces_stream_at(ngx_http_spaces_stream_t *stream,
    uint64_t position, uint64_t end, size_t *len);

/* the first mark not before the time, or the head */
uint64_t ngx_http_spaces_stream_since(ngx_http_spaces_stream_t *stream,
    int64_t time);

/* the first mark at or behind the position, or the head */
uint64_t ngx_http_spaces_stream_next(ngx_http_spaces_stream_t *stream,
    uint64_t position);

/* whether all but the last frame is behind the position */
ngx_uint_t ngx_http_spaces_stream_is_late(ngx_http_spaces_stream_t *stream,
    uint64_t position);


#endif /* _NGX_HTTP_SPACES_STREAM_H_INCLUDED_ */
