
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_id.h"

#include <openssl/rand.h>


ngx_int_t
ngx_http_spaces_new_id(ngx_pool_t *pool, ngx_str_t *id)
{
    u_char      random[NGX_HTTP_SPACES_ID_LEN];
    ngx_uint_t  i;

    static u_char  alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return NGX_ERROR;
    }

    id->len = NGX_HTTP_SPACES_ID_LEN;
    id->data = ngx_pnalloc(pool, id->len);
    if (id->data == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < id->len; i++) {
        id->data[i] = alphabet[random[i] & 31];
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_spaces_valid_id(ngx_str_t *id)
{
    u_char      ch;
    ngx_uint_t  i;

    if (id->len != NGX_HTTP_SPACES_ID_LEN) {
        return 0;
    }

    for (i = 0; i < id->len; i++) {
        ch = id->data[i];

        if (!(ch >= 'a' && ch <= 'z') && !(ch >= '2' && ch <= '7')) {
            return 0;
        }
    }

    return 1;
}


void
ngx_http_spaces_cursor_write(ngx_http_spaces_place_t *place, ngx_str_t *text)
{
    ngx_str_t  plain;
    u_char     buf[NGX_INT64_LEN + 1 + NGX_HTTP_SPACES_ID_LEN];

    plain.data = buf;
    plain.len = ngx_sprintf(buf, "%L.%V", place->score, &place->id) - buf;

    ngx_encode_base64url(text, &plain);
}


ngx_int_t
ngx_http_spaces_cursor_read(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_spaces_place_t *place)
{
    u_char     *dot;
    ngx_str_t   plain;

    if (text->len > NGX_HTTP_SPACES_CURSOR_LEN) {
        return NGX_ERROR;
    }

    plain.data = ngx_pnalloc(pool, ngx_base64_decoded_length(text->len));

    if (plain.data == NULL || ngx_decode_base64url(&plain, text) != NGX_OK) {
        return NGX_ERROR;
    }

    dot = ngx_strlchr(plain.data, plain.data + plain.len, '.');
    if (dot == NULL) {
        return NGX_ERROR;
    }

    place->score = ngx_atoof(plain.data, dot - plain.data);
    place->id.data = dot + 1;
    place->id.len = plain.data + plain.len - dot - 1;

    return (place->score == NGX_ERROR
            || !ngx_http_spaces_valid_id(&place->id)) ? NGX_ERROR : NGX_OK;
}
