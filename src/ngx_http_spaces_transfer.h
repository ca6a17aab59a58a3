
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Recordings on their way to somebody: what is deleted, or whose link is
 * revoked, is not sent to its end.
 */


#ifndef _NGX_HTTP_SPACES_TRANSFER_H_INCLUDED_
#define _NGX_HTTP_SPACES_TRANSFER_H_INCLUDED_


#include "ngx_http_spaces_handlers.h"


/* to be called after the tick is there; NULL without memory */
ngx_http_spaces_transfers_t *ngx_http_spaces_transfers_create(
    ngx_http_spaces_main_conf_t *smcf);

/*
 * Watches a request that is being answered with audio: it is cut when the
 * caller may not have that any more.  NGX_ERROR without memory.
 */
ngx_int_t ngx_http_spaces_transfer_watch(ngx_http_request_t *r,
    ngx_http_spaces_allowed_pt allowed);


#endif /* _NGX_HTTP_SPACES_TRANSFER_H_INCLUDED_ */
