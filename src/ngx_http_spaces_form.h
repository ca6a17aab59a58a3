
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The forms in which listeners take pages and events: bytes, framed.
 */


#ifndef _NGX_HTTP_SPACES_FORM_H_INCLUDED_
#define _NGX_HTTP_SPACES_FORM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    ngx_http_spaces_form_ogg = 0,      /* pages */
    ngx_http_spaces_form_ogg_chunked,  /* the same in chunks of HTTP/1.1 */
    ngx_http_spaces_form_ws_opus,      /* frames of WebSocket: a packet each */
    ngx_http_spaces_form_ws_ogg,       /* likewise: pages */
    ngx_http_spaces_form_sse,          /* Server-Sent Events */
    ngx_http_spaces_form_sse_chunked,
    ngx_http_spaces_form_n
} ngx_http_spaces_form_e;


/* bytes that grow; the memory is freed with ngx_free() */

typedef struct {
    u_char   *data;
    size_t    len;
    size_t    size;
} ngx_http_spaces_bytes_t;


/*
 * All add to "out", and return NGX_ERROR without memory.  Whole pages, of
 * audio or of the header ("header"):
 */
ngx_int_t ngx_http_spaces_form_pages(ngx_http_spaces_form_e form,
    const u_char *data, size_t len, ngx_uint_t header,
    ngx_http_spaces_bytes_t *out);

/*
 * An event: its name, its data as JSON for Server-Sent Events, and both in one
 * JSON object for WebSocket
 */
ngx_int_t ngx_http_spaces_form_event(ngx_http_spaces_form_e form,
    const char *name, ngx_str_t *data, ngx_str_t *json,
    ngx_http_spaces_bytes_t *out);

/* what tells that a connection is alive when nothing else is said */
ngx_int_t ngx_http_spaces_form_beat(ngx_http_spaces_form_e form,
    ngx_http_spaces_bytes_t *out);

/* the end, as far as the form has one */
ngx_int_t ngx_http_spaces_form_end(ngx_http_spaces_form_e form,
    ngx_http_spaces_bytes_t *out);

void ngx_http_spaces_form_free(ngx_http_spaces_bytes_t *bytes);


#endif /* _NGX_HTTP_SPACES_FORM_H_INCLUDED_ */
