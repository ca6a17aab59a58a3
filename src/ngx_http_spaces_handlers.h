
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

/* "spaces_oembed" */
ngx_int_t ngx_http_spaces_oembed_handler(ngx_http_request_t *r);

/* "spaces_metrics" */
ngx_int_t ngx_http_spaces_metrics_handler(ngx_http_request_t *r);


/* a request has come to a location with one of these handlers */
void ngx_http_spaces_count_request(ngx_http_handler_pt handler);


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

/* the API's timeline; "held": not that, but the recordings for review */
ngx_int_t ngx_http_spaces_timeline(ngx_http_request_t *r, ngx_uint_t held);

/* the API's changes of the Space that is loaded, of the host alone */
ngx_int_t ngx_http_spaces_patch(ngx_http_request_t *r);

/*
 * Goes on with the step as soon as "done" returns 1, which is looked at 50
 * times a second; with "late" if that takes 10 s.
 */
typedef ngx_uint_t (*ngx_http_spaces_done_pt)(ngx_http_request_t *r);

ngx_int_t ngx_http_spaces_await(ngx_http_request_t *r,
    ngx_http_spaces_done_pt done, ngx_http_spaces_step_pt step,
    ngx_http_spaces_step_pt late);

/* "done": what was left when nginx stopped is known, or another one has it */
ngx_uint_t ngx_http_spaces_is_scanned(ngx_http_request_t *r);

/*
 * Ends the Space that is loaded, if it is live, and goes on with the step when
 * all of its recording is there; at once, or later.
 */
ngx_int_t ngx_http_spaces_end(ngx_http_request_t *r,
    ngx_http_spaces_step_pt step);

/* deletes the recording of the Space, of the host alone */
ngx_int_t ngx_http_spaces_delete(ngx_http_request_t *r);

/*
 * The API's requests about what is held, of moderators alone: the list; one of
 * it, read, kept for longer or purged; its audio.
 */
ngx_int_t ngx_http_spaces_review_list(ngx_http_request_t *r);
ngx_int_t ngx_http_spaces_review(ngx_http_request_t *r);
ngx_int_t ngx_http_spaces_review_audio(ngx_http_request_t *r);

/*
 * Sends the recording of the Space that is loaded, a file of that name: the
 * caller may hear it.  "shared" is as little cached as anything by token.
 * Whenever something changes in the Space while it is sent, "allowed" is asked
 * once more; it returns 0 if that is over.
 */
typedef ngx_uint_t (*ngx_http_spaces_allowed_pt)(ngx_http_request_t *r);

ngx_int_t ngx_http_spaces_replay_send(ngx_http_request_t *r, ngx_str_t *path,
    ngx_uint_t shared, ngx_http_spaces_allowed_pt allowed);

/*
 * Likewise of a recording that is available, or the part of it that "start",
 * "end" and the link say
 */
ngx_int_t ngx_http_spaces_replay_available(ngx_http_request_t *r,
    ngx_uint_t shared, ngx_http_spaces_allowed_pt allowed);

/* the header of audio: of so many bytes, changed at that time, s */
ngx_int_t ngx_http_spaces_replay_headers(ngx_http_request_t *r, off_t size,
    time_t mtime, ngx_str_t *etag, ngx_uint_t shared);

/*
 * With that header, and before it is sent: NGX_DECLINED, or the answer to who
 * means another recording.  nginx would give that a page of its own.
 */
ngx_int_t ngx_http_spaces_replay_condition(ngx_http_request_t *r);

/* for how long it may be kept: of what is public, until it expires */
ngx_int_t ngx_http_spaces_replay_cacheable(ngx_http_request_t *r,
    ngx_uint_t shared);

/* takes back that header, for a problem with the range alone */
void ngx_http_spaces_replay_clear(ngx_http_request_t *r);

/* whether what was loaded is a link that opens a Space */
ngx_uint_t ngx_http_spaces_is_link(ngx_http_spaces_ctx_t *ctx);

/* whether there is a recording to hear, still */
ngx_uint_t ngx_http_spaces_is_available(ngx_http_spaces_space_t *space);

/* counts a replay, if with what was just sent one begins */
void ngx_http_spaces_replays_count(ngx_http_request_t *r);

/* NGX_DECLINED if there is a recording to hear, or the answer why not */
ngx_int_t ngx_http_spaces_require_recording(ngx_http_request_t *r);


#endif /* _NGX_HTTP_SPACES_HANDLERS_H_INCLUDED_ */
