
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The pages of a share link that are built in: what it leads to, a player for
 * other sites' frames, and why there is nothing any more.
 */


#ifndef _NGX_HTTP_SPACES_PAGE_H_INCLUDED_
#define _NGX_HTTP_SPACES_PAGE_H_INCLUDED_


#include "ngx_http_spaces_handlers.h"


/* of the player in a frame, as oEmbed and the player card say, pixels */
#define NGX_HTTP_SPACES_EMBED_WIDTH   480
#define NGX_HTTP_SPACES_EMBED_HEIGHT  140


/*
 * The page of the link that the request came by, and its player; the Space is
 * loaded, and may be heard.
 */
ngx_int_t ngx_http_spaces_page_send(ngx_http_request_t *r);
ngx_int_t ngx_http_spaces_embed_send(ngx_http_request_t *r);

/* a problem for who came with a browser: the text is made safe here */
ngx_int_t ngx_http_spaces_page_problem(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *title, ngx_str_t *detail);

/* text for HTML; NGX_ERROR without memory */
ngx_int_t ngx_http_spaces_page_escape(ngx_pool_t *pool, ngx_str_t *s,
    ngx_str_t *html);

/* ms of what the request's link leads to: the recording, or a clip of it */
int64_t ngx_http_spaces_page_length(ngx_http_spaces_ctx_t *ctx);

/* a duration in ms as h:mm:ss; data is NULL without memory */
ngx_str_t ngx_http_spaces_page_duration(ngx_pool_t *pool, int64_t ms);

/* the URL of the link with that token; NGX_ERROR if it has none */
ngx_int_t ngx_http_spaces_page_link(ngx_http_request_t *r, ngx_str_t *token,
    ngx_str_t *url);


#endif /* _NGX_HTTP_SPACES_PAGE_H_INCLUDED_ */
