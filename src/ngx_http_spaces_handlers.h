
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The content handlers that the directives of a location set.
 */


#ifndef _NGX_HTTP_SPACES_HANDLERS_H_INCLUDED_
#define _NGX_HTTP_SPACES_HANDLERS_H_INCLUDED_


#include "ngx_http_spaces_request.h"


/* "spaces_api" */
ngx_int_t ngx_http_spaces_api_handler(ngx_http_request_t *r);

/* "spaces_ingest" */
ngx_int_t ngx_http_spaces_ingest_handler(ngx_http_request_t *r);

/* "spaces_live" */
ngx_int_t ngx_http_spaces_live_handler(ngx_http_request_t *r);

/* "spaces_events" */
ngx_int_t ngx_http_spaces_events_handler(ngx_http_request_t *r);

/* "spaces_replay" */
ngx_int_t ngx_http_spaces_replay_handler(ngx_http_request_t *r);

/* "spaces_share" */
ngx_int_t ngx_http_spaces_share_handler(ngx_http_request_t *r);


/*
 * The API's requests for share links, once the Space is loaded and the body
 * read; for list and revoke, of the host alone.
 */
ngx_int_t ngx_http_spaces_shares_create(ngx_http_request_t *r);
ngx_int_t ngx_http_spaces_shares_list(ngx_http_request_t *r);
ngx_int_t ngx_http_spaces_shares_revoke(ngx_http_request_t *r, ngx_str_t *id);

/* likewise for speakers, of the host alone */
ngx_int_t ngx_http_spaces_speakers_invite(ngx_http_request_t *r);
ngx_int_t ngx_http_spaces_speakers_patch(ngx_http_request_t *r,
    ngx_str_t *id);
ngx_int_t ngx_http_spaces_speakers_remove(ngx_http_request_t *r,
    ngx_str_t *id);

/* likewise for tickets, of the host alone */
ngx_int_t ngx_http_spaces_tickets_create(ngx_http_request_t *r);

/* the API's timeline */
ngx_int_t ngx_http_spaces_timeline(ngx_http_request_t *r);

/*
 * Sends the recording of the Space that is loaded: the caller may hear it.
 * "shared" is as little cached as anything by token.
 */
ngx_int_t ngx_http_spaces_replay_send(ngx_http_request_t *r,
    ngx_uint_t shared);

/* counts a replay, if with what was just sent one begins */
void ngx_http_spaces_replays_count(ngx_http_request_t *r);

/* NGX_DECLINED if there is a recording to hear, or the answer why not */
ngx_int_t ngx_http_spaces_require_recording(ngx_http_request_t *r);


#endif /* _NGX_HTTP_SPACES_HANDLERS_H_INCLUDED_ */
