
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_stream.h"


/* bytes: at first, and at most */
#define NGX_HTTP_SPACES_STREAM_MIN   2048
#define NGX_HTTP_SPACES_STREAM_MAX   2097152

/*
 * So much of the ring's start is behind its end once more: the frame that goes
 * over the end would else take every listener two writes
 */
#define NGX_HTTP_SPACES_STREAM_OVER  1024

/* at first, and at most */
#define NGX_HTTP_SPACES_MARKS        16
#define NGX_HTTP_SPACES_MARKS_MAX    512


static ngx_int_t ngx_http_spaces_stream_grow(ngx_http_spaces_stream_t *stream,
    size_t len, int64_t since, uint64_t needed);
static void ngx_http_spaces_stream_over(ngx_http_spaces_stream_t *stream);
static void ngx_http_spaces_stream_mark(ngx_http_spaces_stream_t *stream,
    int64_t now);
static ngx_uint_t ngx_http_spaces_stream_first(
    ngx_http_spaces_stream_t *stream);


ngx_int_t
ngx_http_spaces_stream_init(ngx_http_spaces_stream_t *stream)
{
    stream->data = ngx_alloc(NGX_HTTP_SPACES_STREAM_MIN
                             + NGX_HTTP_SPACES_STREAM_OVER, ngx_cycle->log);
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
    stream->size_marks = NGX_HTTP_SPACES_MARKS;

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
    size_t len, int64_t now, int64_t keep, uint64_t needed)
{
    size_t  start, first;

    if (len == 0
        || ngx_http_spaces_stream_grow(stream, len, now - keep, needed)
           != NGX_OK)
    {
        return;
    }

    ngx_http_spaces_stream_mark(stream, now);

    start = (size_t) (stream->head & (stream->size - 1));
    first = ngx_min(len, stream->size - start);

    ngx_memcpy(stream->data + start, data, first);
    ngx_memcpy(stream->data, data + first, len - first);

    if (first < len || start < NGX_HTTP_SPACES_STREAM_OVER) {
        ngx_http_spaces_stream_over(stream);
    }

    stream->head += len;
}


static void
ngx_http_spaces_stream_over(ngx_http_spaces_stream_t *stream)
{
    ngx_memcpy(stream->data + stream->size, stream->data,
               NGX_HTTP_SPACES_STREAM_OVER);
}


static void
ngx_http_spaces_stream_mark(ngx_http_spaces_stream_t *stream, int64_t now)
{
    ngx_uint_t               i, size;
    ngx_http_spaces_mark_t  *mark, *marks;

    size = stream->size_marks;

    if (stream->nmarks - stream->kept == size
        && size < NGX_HTTP_SPACES_MARKS_MAX)
    {
        marks = ngx_alloc(2 * size * sizeof(ngx_http_spaces_mark_t),
                          ngx_cycle->log);

        /* without memory the oldest mark is lost, which can be borne */

        if (marks) {
            for (i = stream->nmarks - size; i < stream->nmarks; i++) {
                marks[i % (2 * size)] = stream->marks[i % size];
            }

            ngx_free(stream->marks);

            stream->marks = marks;
            stream->size_marks = 2 * size;
            stream->first = stream->nmarks - size;
        }
    }

    mark = &stream->marks[stream->nmarks++ % stream->size_marks];
    mark->at = stream->head;
    mark->time = now;
}


/* the oldest mark that has not been written over */

static ngx_uint_t
ngx_http_spaces_stream_first(ngx_http_spaces_stream_t *stream)
{
    if (stream->nmarks < stream->size_marks) {
        return stream->first;
    }

    return ngx_max(stream->first, stream->nmarks - stream->size_marks);
}


u_char *
ngx_http_spaces_stream_at(ngx_http_spaces_stream_t *stream, uint64_t position,
    uint64_t end, size_t *len)
{
    size_t  start;

    start = (size_t) (position & (stream->size - 1));

    *len = (size_t) ngx_min(end - position, stream->size - start
                                            + NGX_HTTP_SPACES_STREAM_OVER);

    return stream->data + start;
}


/* to what is not to be written over, and what is new */

static ngx_int_t
ngx_http_spaces_stream_grow(ngx_http_spaces_stream_t *stream, size_t len,
    int64_t since, uint64_t needed)
{
    size_t      size, n, start, end;
    u_char     *data;
    uint64_t    at, keep;
    ngx_uint_t  i;

    /* since the last time only few have become too old */

    for (i = ngx_max(stream->kept, ngx_http_spaces_stream_first(stream));
         i < stream->nmarks
         && stream->marks[i % stream->size_marks].time < since;
         i++)
    {
        /* void */
    }

    stream->kept = i;

    keep = i < stream->nmarks ? stream->marks[i % stream->size_marks].at
                              : stream->head;
    keep = ngx_max(keep, needed);

    /*
     * Doubled: there is no end where there was none before, so a write that
     * has to be tried again is never of less
     */

    for (size = stream->size;
         stream->head + len - keep > size && size < NGX_HTTP_SPACES_STREAM_MAX;
         size *= 2)
    {
        /* void */
    }

    if (len > size) {
        return NGX_ERROR;
    }

    if (size == stream->size) {
        return NGX_OK;
    }

    data = ngx_alloc(size + NGX_HTTP_SPACES_STREAM_OVER, ngx_cycle->log);
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

    ngx_http_spaces_stream_over(stream);

    return NGX_OK;
}


uint64_t
ngx_http_spaces_stream_since(ngx_http_spaces_stream_t *stream, int64_t time)
{
    uint64_t                 at;
    ngx_uint_t               i, first;
    ngx_http_spaces_mark_t  *mark;

    at = stream->head;
    first = ngx_http_spaces_stream_first(stream);

    for (i = stream->nmarks; i > first; i--) {
        mark = &stream->marks[(i - 1) % stream->size_marks];

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
    ngx_uint_t               i, first;
    ngx_http_spaces_mark_t  *mark;

    next = stream->head;
    first = ngx_http_spaces_stream_first(stream);

    for (i = stream->nmarks; i > first; i--) {
        mark = &stream->marks[(i - 1) % stream->size_marks];

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
                                       % stream->size_marks].at;
}
