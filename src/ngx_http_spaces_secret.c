
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_secret.h"
#include "ngx_http_spaces_token.h"

#include <openssl/evp.h>
#include <openssl/rand.h>


#define NGX_HTTP_SPACES_SECRET_BYTES  24

/* longer ones are nobody's: what comes behind this is not looked at */
#define NGX_HTTP_SPACES_SECRET_MAX    512


/*
 * Authorization: Bearer, the argument "token", or the password of Basic: this
 * one last, for a browser that knows one sends it unasked
 */

ngx_int_t
ngx_http_spaces_secret_find(ngx_http_request_t *r, ngx_str_t *secret,
    ngx_uint_t *by_basic)
{
    u_char     *p, *last;
    ngx_int_t   rc;
    ngx_str_t   value;

    ngx_str_null(secret);
    *by_basic = 0;

    if (r->headers_in.authorization) {
        value = r->headers_in.authorization->value;

        if (value.len > 7
            && ngx_strncasecmp(value.data, (u_char *) "Bearer ", 7) == 0)
        {
            p = value.data + 7;
            last = value.data + value.len;

            while (p < last && *p == ' ') {
                p++;
            }

            secret->data = p;
            secret->len = last - p;

            return NGX_OK;
        }
    }

    if (ngx_http_arg(r, (u_char *) "token", 5, &value) == NGX_OK && value.len)
    {
        *secret = value;
        return NGX_OK;
    }

    if (r->headers_in.authorization) {
        rc = ngx_http_auth_basic_user(r);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            *secret = r->headers_in.passwd;
            *by_basic = 1;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_secret_hash(ngx_pool_t *pool, ngx_str_t *secret,
    ngx_str_t *hash)
{
    u_char         digest[EVP_MAX_MD_SIZE];
    unsigned int   len;

    /* kept, for OpenSSL 3 takes longer to find the digest than to compute it */

    static EVP_MD_CTX    *md_ctx;
    static const EVP_MD  *md;

    if (md_ctx == NULL) {
        md_ctx = EVP_MD_CTX_new();
        md = EVP_sha256();

        if (md_ctx == NULL || EVP_DigestInit_ex(md_ctx, md, NULL) != 1) {
            EVP_MD_CTX_free(md_ctx);
            md_ctx = NULL;
            return NGX_ERROR;
        }
    }

    hash->data = ngx_pnalloc(pool, NGX_HTTP_SPACES_TOKEN_HASH);
    if (hash->data == NULL) {
        return NGX_ERROR;
    }

    hash->len = NGX_HTTP_SPACES_TOKEN_HASH;

    if (EVP_DigestInit_ex(md_ctx, NULL, NULL) != 1
        || EVP_DigestUpdate(md_ctx, secret->data,
                            ngx_min(secret->len, NGX_HTTP_SPACES_SECRET_MAX))
           != 1
        || EVP_DigestFinal_ex(md_ctx, digest, &len) != 1
        || len != NGX_HTTP_SPACES_TOKEN_HASH / 2)
    {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(hash->data, digest, len);

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_secret_new(ngx_pool_t *pool, ngx_str_t *secret,
    ngx_str_t *hash)
{
    u_char     random[NGX_HTTP_SPACES_SECRET_BYTES];
    ngx_str_t  src;

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return NGX_ERROR;
    }

    secret->data = ngx_pnalloc(pool, ngx_base64_encoded_length(
                                                         sizeof(random)));
    if (secret->data == NULL) {
        return NGX_ERROR;
    }

    src.data = random;
    src.len = sizeof(random);

    ngx_encode_base64url(secret, &src);

    return ngx_http_spaces_secret_hash(pool, secret, hash);
}
