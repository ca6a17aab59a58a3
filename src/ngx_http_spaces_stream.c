
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_stream.h"


/* bytes: at first, and at most */
#define NGX_HTTP_SPACES_STREAM_MIN  8192
#define NGX_HTTP_SPACES_STREAM_MAX  2097152

#define NGX_HTTP_SPACES_MARKS       128


static ngx_int_t ngx_http_spaces_stream_grow(ngx_http_spaces_stream_t *stream,
    size_t len, int64_t since);


ngx_int_t
ngx_http_spaces_stream_init(ngx_http_spaces_stream_t *stream)
{
    stream->data = ngx_alloc(NGX_HTTP_SPACES_STREAM_MIN, ngx_cycle->log);
    stream->marks = ngx_alloc(NGX_HTTP_SPACES_MARKS
                              * sizeof(ngx_http_spaces_mark_t),
                              ngx_cycle->log);

    if (stream->data == NULL || stream->marks == NULL) {
        ngx_free(stream->data);
        ngx_free(stream->marks);
        stream->data = NULL;
        stream->marks = NULL;
        return NGX_ERROR;
    }

    stream->size = NGX_HTTP_SPACES_STREAM_MIN;

    return NGX_OK;
}


void
ngx_http_spaces_stream_free(ngx_http_spaces_stream_t *stream)
{
    ngx_free(stream->data);
    ngx_free(stream->marks);
}


void
ngx_http_spaces_stream_add(ngx_http_spaces_stream_t *stream, u_char *data,
    size_t len, int64_t now, int64_t keep)
{
    size_t                   start, first;
    ngx_http_spaces_mark_t  *mark;

    if (len == 0
        || ngx_http_spaces_stream_grow(stream, len, now - keep) != NGX_OK)
    {
        return;
    }

    mark = &stream->marks[stream->nmarks++ % NGX_HTTP_SPACES_MARKS];
    mark->at = stream->head;
    mark->time = now;

    start = (size_t) (stream->head & (stream->size - 1));
    first = ngx_min(len, stream->size - start);

    ngx_memcpy(stream->data + start, data, first);
    ngx_memcpy(stream->data, data + first, len - first);

    stream->head += len;
}


/* to what is not to be written over, and what is new */

static ngx_int_t
ngx_http_spaces_stream_grow(ngx_http_spaces_stream_t *stream, size_t len,
    int64_t since)
{
    size_t     size, n, start, end;
    u_char    *data;
    uint64_t   at, keep;

    keep = ngx_http_spaces_stream_since(stream, since);

    size = stream->size;

    while (stream->head + len - keep > size
           && size < NGX_HTTP_SPACES_STREAM_MAX)
    {
        size *= 2;
    }

    if (len > size) {
        return NGX_ERROR;
    }

    if (size == stream->size) {
        return NGX_OK;
    }

    data = ngx_alloc(size, ngx_cycle->log);
    if (data == NULL) {
        return NGX_ERROR;
    }

    at = stream->head > stream->size ? stream->head - stream->size : 0;

    for ( /* void */ ; at < stream->head; at += n) {
        start = (size_t) (at & (stream->size - 1));
        end = (size_t) (at & (size - 1));

        n = ngx_min(stream->size - start, size - end);
        n = (size_t) ngx_min(n, stream->head - at);

        ngx_memcpy(data + end, stream->data + start, n);
    }

    ngx_free(stream->data);

    stream->data = data;
    stream->size = size;

    return NGX_OK;
}


uint64_t
ngx_http_spaces_stream_since(ngx_http_spaces_stream_t *stream, int64_t time)
{
    uint64_t                 at;
    ngx_uint_t               i, n;
    ngx_http_spaces_mark_t  *mark;

    at = stream->head;
    n = ngx_min(stream->nmarks, NGX_HTTP_SPACES_MARKS);

    for (i = 1; i <= n; i++) {
        mark = &stream->marks[(stream->nmarks - i) % NGX_HTTP_SPACES_MARKS];

        if (mark->time < time) {
            break;
        }

        at = mark->at;
    }

    return at;
}


uint64_t
ngx_http_spaces_stream_next(ngx_http_spaces_stream_t *stream,
    uint64_t position)
{
    uint64_t                 next;
    ngx_uint_t               i, n;
    ngx_http_spaces_mark_t  *mark;

    next = stream->head;
    n = ngx_min(stream->nmarks, NGX_HTTP_SPACES_MARKS);

    for (i = 1; i <= n; i++) {
        mark = &stream->marks[(stream->nmarks - i) % NGX_HTTP_SPACES_MARKS];

        if (mark->at < position) {
            break;
        }

        next = mark->at;
    }

    return next;
}


ngx_uint_t
ngx_http_spaces_stream_is_late(ngx_http_spaces_stream_t *stream,
    uint64_t position)
{
    return stream->nmarks
           && position < stream->marks[(stream->nmarks - 1)
                                       % NGX_HTTP_SPACES_MARKS].at;
}
