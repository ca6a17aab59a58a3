
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * There are 20 places each for the headers of a request and of its answer,
 * and a listener stays for hours: where such a list is no part of a larger
 * block of the pool, it becomes one of just those that there are.
 */


#include "ngx_http_spaces_request.h"


static void ngx_http_spaces_shrink_in(ngx_http_request_t *r);
static void ngx_http_spaces_shrink_repeated(ngx_http_headers_in_t *in,
    ngx_table_elt_t *from, ngx_table_elt_t *to, ngx_uint_t n);
static void ngx_http_spaces_shrink_out(ngx_http_request_t *r);
static ngx_table_elt_t *ngx_http_spaces_shrink_list(ngx_pool_t *pool,
    ngx_list_t *list);
static ngx_uint_t ngx_http_spaces_shrink_points(ngx_http_headers_out_t *out);


/* where an element is now that was in the list */

#define ngx_http_spaces_shrunk(h, from, to, n)                                \
    (((h) >= (from) && (h) < (from) + (n)) ? (to) + ((h) - (from)) : (h))


void
ngx_http_spaces_shrink(ngx_http_request_t *r)
{
    /* a subrequest has a copy of what points into the lists */

    if (r != r->main || r->count != 1) {
        return;
    }

    ngx_http_spaces_shrink_in(r);
    ngx_http_spaces_shrink_out(r);
}


static void
ngx_http_spaces_shrink_in(ngx_http_request_t *r)
{
    size_t                  offset;
    ngx_uint_t              n;
    ngx_table_elt_t        *from, *to, **h;
    ngx_http_headers_in_t  *in;

    in = &r->headers_in;

    from = in->headers.part.elts;
    to = ngx_http_spaces_shrink_list(r->pool, &in->headers);

    if (to == NULL) {
        return;
    }

    n = in->headers.part.nelts;

    /* all that nginx knows by name */

    for (offset = offsetof(ngx_http_headers_in_t, host);
         offset < offsetof(ngx_http_headers_in_t, user);
         offset += sizeof(ngx_table_elt_t *))
    {
        h = (ngx_table_elt_t **) ((u_char *) in + offset);
        *h = ngx_http_spaces_shrunk(*h, from, to, n);
    }

    ngx_http_spaces_shrink_repeated(in, from, to, n);

    ngx_free(from);
}


/* those that may come more than once: in chains, or in arrays beside them */

#if (nginx_version >= 1023000)

static void
ngx_http_spaces_shrink_repeated(ngx_http_headers_in_t *in,
    ngx_table_elt_t *from, ngx_table_elt_t *to, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        to[i].next = ngx_http_spaces_shrunk(to[i].next, from, to, n);
    }
}

#else

static void
ngx_http_spaces_shrink_repeated(ngx_http_headers_in_t *in,
    ngx_table_elt_t *from, ngx_table_elt_t *to, ngx_uint_t n)
{
    ngx_uint_t         i, k;
    ngx_table_elt_t  **h;

    ngx_array_t  *arrays[] = {
#if (NGX_HTTP_X_FORWARDED_FOR)
        &in->x_forwarded_for,
#endif
        &in->cookies
    };

    for (k = 0; k < sizeof(arrays) / sizeof(ngx_array_t *); k++) {
        h = arrays[k]->elts;

        for (i = 0; i < arrays[k]->nelts; i++) {
            h[i] = ngx_http_spaces_shrunk(h[i], from, to, n);
        }
    }
}

#endif


/*
 * The log is all that may ask for these now.  Whoever has set a header that
 * nginx knows by a pointer into the list keeps it as it is.
 */

static void
ngx_http_spaces_shrink_out(ngx_http_request_t *r)
{
    ngx_table_elt_t  *from;

    from = r->headers_out.headers.part.elts;

    if (!ngx_http_spaces_shrink_points(&r->headers_out)
        && ngx_http_spaces_shrink_list(r->pool, &r->headers_out.headers))
    {
        ngx_free(from);
    }
}


/*
 * The elements where they are now, the old ones to be freed; NULL: the list is
 * as it was.  Neither takes a byte of the pool's blocks, of which small ones
 * are full, and another would be as large as what is saved.
 */

static ngx_table_elt_t *
ngx_http_spaces_shrink_list(ngx_pool_t *pool, ngx_list_t *list)
{
    void              *elts;
    ngx_uint_t         n;
    ngx_pool_large_t  *large;

    n = ngx_max(list->part.nelts, 1);

    if (list->last != &list->part || n == list->nalloc) {
        return NULL;
    }

    for (large = pool->large; large; large = large->next) {
        if (large->alloc == list->part.elts) {
            break;
        }
    }

    if (large == NULL) {
        return NULL;
    }

    elts = ngx_alloc(n * list->size, ngx_cycle->log);
    if (elts == NULL) {
        return NULL;
    }

    ngx_memcpy(elts, list->part.elts, list->part.nelts * list->size);

    large->alloc = elts;
    list->part.elts = elts;
    list->nalloc = n;

    return elts;
}


static ngx_uint_t
ngx_http_spaces_shrink_points(ngx_http_headers_out_t *out)
{
#if (nginx_version >= 1023000)

    if (out->cache_control || out->link) {
        return 1;
    }

#else

    if (out->cache_control.elts || out->link.elts) {
        return 1;
    }

#endif

    return out->server || out->date || out->content_length
           || out->content_encoding || out->location || out->refresh
           || out->last_modified || out->content_range
           || out->accept_ranges || out->www_authenticate || out->expires
           || out->etag;
}
