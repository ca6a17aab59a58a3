
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_form.h"

#include "spaces_ogg_seek.h"

#include <wslay/wslay.h>


static ngx_int_t ngx_http_spaces_bytes_add(ngx_http_spaces_bytes_t *out,
    const void *data, size_t len);
static ngx_int_t ngx_http_spaces_form_chunk(ngx_http_spaces_bytes_t *out,
    const void *data, size_t len);
static ngx_int_t ngx_http_spaces_form_packets(const u_char *data, size_t len,
    ngx_http_spaces_bytes_t *out);
static ngx_int_t ngx_http_spaces_form_frame(ngx_uint_t opcode,
    const void *data, size_t len, ngx_http_spaces_bytes_t *out);
static ssize_t ngx_http_spaces_form_frame_callback(const uint8_t *data,
    size_t len, int flags, void *user_data);


ngx_int_t
ngx_http_spaces_form_pages(ngx_http_spaces_form_e form, const u_char *data,
    size_t len, ngx_uint_t header, ngx_http_spaces_bytes_t *out)
{
    switch (form) {

    case ngx_http_spaces_form_ogg:
        return ngx_http_spaces_bytes_add(out, data, len);

    case ngx_http_spaces_form_ogg_chunked:
        return ngx_http_spaces_form_chunk(out, data, len);

    case ngx_http_spaces_form_ws_opus:
        return header ? NGX_OK
                      : ngx_http_spaces_form_packets(data, len, out);

    case ngx_http_spaces_form_ws_ogg:
        return ngx_http_spaces_form_frame(WSLAY_BINARY_FRAME, data, len, out);

    default:
        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_spaces_form_packets(const u_char *data, size_t len,
    ngx_http_spaces_bytes_t *out)
{
    long            n;
    size_t          at;
    unsigned        segment;
    const uint8_t  *packet;

    at = 0;
    segment = 0;

    for ( ;; ) {
        n = spaces_ogg_packet_of(data, len, &at, &segment, &packet);

        if (n < 0) {
            return NGX_OK;
        }

        if (ngx_http_spaces_form_frame(WSLAY_BINARY_FRAME, packet, (size_t) n,
                                       out)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }
}


ngx_int_t
ngx_http_spaces_form_event(ngx_http_spaces_form_e form, const char *name,
    ngx_str_t *data, ngx_str_t *json, ngx_http_spaces_bytes_t *out)
{
    size_t                    len;
    ngx_int_t                 rc;
    ngx_http_spaces_bytes_t   event;

    switch (form) {

    case ngx_http_spaces_form_ws_opus:
    case ngx_http_spaces_form_ws_ogg:
        return ngx_http_spaces_form_frame(WSLAY_TEXT_FRAME, json->data,
                                          json->len, out);

    case ngx_http_spaces_form_sse:
    case ngx_http_spaces_form_sse_chunked:
        break;

    default:
        return NGX_OK;
    }

    len = ngx_strlen(name);

    ngx_memzero(&event, sizeof(ngx_http_spaces_bytes_t));

    rc = NGX_ERROR;

    if (ngx_http_spaces_bytes_add(&event, "event: ", 7) == NGX_OK
        && ngx_http_spaces_bytes_add(&event, name, len) == NGX_OK
        && ngx_http_spaces_bytes_add(&event, "\ndata: ", 7) == NGX_OK
        && ngx_http_spaces_bytes_add(&event, data->data, data->len) == NGX_OK
        && ngx_http_spaces_bytes_add(&event, "\n\n", 2) == NGX_OK)
    {
        rc = (form == ngx_http_spaces_form_sse)
             ? ngx_http_spaces_bytes_add(out, event.data, event.len)
             : ngx_http_spaces_form_chunk(out, event.data, event.len);
    }

    if (event.data) {
        ngx_free(event.data);
    }

    return rc;
}


ngx_int_t
ngx_http_spaces_form_beat(ngx_http_spaces_form_e form,
    ngx_http_spaces_bytes_t *out)
{
    switch (form) {

    case ngx_http_spaces_form_sse:
        return ngx_http_spaces_bytes_add(out, ":\n\n", 3);

    case ngx_http_spaces_form_sse_chunked:
        return ngx_http_spaces_form_chunk(out, ":\n\n", 3);

    default:
        return NGX_OK;
    }
}


ngx_int_t
ngx_http_spaces_form_end(ngx_http_spaces_form_e form,
    ngx_http_spaces_bytes_t *out)
{
    switch (form) {

    case ngx_http_spaces_form_ogg_chunked:
    case ngx_http_spaces_form_sse_chunked:
        return ngx_http_spaces_form_chunk(out, NULL, 0);

    default:
        return NGX_OK;
    }
}


/* RFC 9112, 7.1; an empty one is the last */

static ngx_int_t
ngx_http_spaces_form_chunk(ngx_http_spaces_bytes_t *out, const void *data,
    size_t len)
{
    u_char  *last;
    u_char   size[NGX_INT64_LEN + sizeof("\r\n")];

    last = ngx_sprintf(size, "%xz\r\n", len);

    if (ngx_http_spaces_bytes_add(out, size, last - size) != NGX_OK
        || ngx_http_spaces_bytes_add(out, data, len) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_bytes_add(out, "\r\n", 2);
}


static ngx_int_t
ngx_http_spaces_form_frame(ngx_uint_t opcode, const void *data, size_t len,
    ngx_http_spaces_bytes_t *out)
{
    ssize_t                        n;
    struct wslay_frame_iocb        frame;
    struct wslay_frame_callbacks   callbacks;

    /* one for all frames of the worker: it is empty between them */

    static wslay_frame_context_ptr   ctx;
    static ngx_http_spaces_bytes_t  *bytes;

    bytes = out;

    if (ctx == NULL) {
        ngx_memzero(&callbacks, sizeof(struct wslay_frame_callbacks));
        callbacks.send_callback = ngx_http_spaces_form_frame_callback;

        if (wslay_frame_context_init(&ctx, &callbacks, &bytes) != 0) {
            ctx = NULL;
            return NGX_ERROR;
        }
    }

    ngx_memzero(&frame, sizeof(struct wslay_frame_iocb));

    frame.fin = 1;
    frame.opcode = (uint8_t) opcode;
    frame.payload_length = len;
    frame.data = data;
    frame.data_length = len;

    n = wslay_frame_send(ctx, &frame);

    if (n < 0 || (size_t) n != len) {
        wslay_frame_context_free(ctx);
        ctx = NULL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ssize_t
ngx_http_spaces_form_frame_callback(const uint8_t *data, size_t len, int flags,
    void *user_data)
{
    ngx_http_spaces_bytes_t  **bytes = user_data;

    return ngx_http_spaces_bytes_add(*bytes, data, len) == NGX_OK
           ? (ssize_t) len : -1;
}


static ngx_int_t
ngx_http_spaces_bytes_add(ngx_http_spaces_bytes_t *out, const void *data,
    size_t len)
{
    size_t   size;
    u_char  *p;

    if (out->len + len > out->size) {

        for (size = ngx_max(out->size, 512); size < out->len + len;
             size *= 2)
        {
            /* void */
        }

        p = ngx_alloc(size, ngx_cycle->log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (out->data) {
            ngx_memcpy(p, out->data, out->len);
            ngx_free(out->data);
        }

        out->data = p;
        out->size = size;
    }

    if (len) {
        ngx_memcpy(out->data + out->len, data, len);
        out->len += len;
    }

    return NGX_OK;
}


void
ngx_http_spaces_form_free(ngx_http_spaces_bytes_t *bytes)
{
    ngx_free(bytes->data);

    ngx_memzero(bytes, sizeof(ngx_http_spaces_bytes_t));
}
