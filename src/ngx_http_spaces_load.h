
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What a request is about, from a cache or from Redis; and what else Redis is
 * asked on its behalf.
 */


#ifndef _NGX_HTTP_SPACES_LOAD_H_INCLUDED_
#define _NGX_HTTP_SPACES_LOAD_H_INCLUDED_


#include "ngx_http_spaces_request.h"
#include "ngx_http_spaces_store.h"


/*
 * Loads what the request is about: its token, if it brought one, and its
 * Space; then calls the step, at once or later.  Returns what the
 * step does, or NGX_HTTP_SPACES_LATER.
 */
ngx_int_t ngx_http_spaces_load(ngx_http_request_t *r,
    ngx_http_spaces_step_pt step);

/*
 * Likewise once more, of a request that goes on meanwhile, as often as wanted:
 * the memory of the time before is given back.  If Redis does not answer, what
 * was known is left as it is.
 */
ngx_int_t ngx_http_spaces_load_again(ngx_http_request_t *r,
    ngx_http_spaces_step_pt step);

/*
 * After loading: NGX_DECLINED if the Space is this node's, be it that Redis
 * does not know yet that it has begun here; or the answer, with "what" to do
 * there
 */
ngx_int_t ngx_http_spaces_require_here(ngx_http_request_t *r,
    const char *what);

/* how the Space is in its room by now: sets "in_room", "room", and "space" */
void ngx_http_spaces_load_room(ngx_http_request_t *r);

/*
 * A command, or several as a transaction, on behalf of a request: the reply
 * goes to the function, unless the request is gone; without an answer of Redis
 * the request is answered with 503.  Returns NGX_HTTP_SPACES_LATER, or that
 * answer.
 */
ngx_int_t ngx_http_spaces_request_command(ngx_http_request_t *r,
    ngx_uint_t argc, ngx_str_t *argv, ngx_http_spaces_reply_pt reply);
ngx_int_t ngx_http_spaces_request_transaction(ngx_http_request_t *r,
    ngx_array_t *commands, ngx_http_spaces_reply_pt reply);

/*
 * Likewise several that only read: a Redis that has no memory for a
 * transaction answers these.  The reply is what EXEC would give.  What it takes
 * is of the pool of the commands.
 */
ngx_int_t ngx_http_spaces_request_reads(ngx_http_request_t *r,
    ngx_array_t *commands, ngx_http_spaces_reply_pt reply);

/*
 * The hashes of the Space's tokens, those that begin with the prefix, a part at
 * a time: "begin" and then "next" get the next one to the function, which may
 * be empty, and may repeat what was in one before; "part" are the strings in
 * it, NULL if it is none.  The scan has to live until the last reply.
 */
#define NGX_HTTP_SPACES_SCAN  "500"

typedef struct {
    ngx_str_t                  key;
    ngx_str_t                  match;
    ngx_http_spaces_reply_pt   reply;
    size_t                     cursor_len;
    u_char                     cursor[NGX_INT64_LEN];
} ngx_http_spaces_scan_t;

ngx_int_t ngx_http_spaces_scan_begin(ngx_http_request_t *r,
    ngx_http_spaces_scan_t *scan, ngx_str_t *prefix,
    ngx_http_spaces_reply_pt reply);
ngx_int_t ngx_http_spaces_scan_next(ngx_http_request_t *r,
    ngx_http_spaces_scan_t *scan);
redisReply *ngx_http_spaces_scan_part(ngx_http_spaces_scan_t *scan,
    redisReply *reply);
ngx_uint_t ngx_http_spaces_scan_is_over(ngx_http_spaces_scan_t *scan);

/*
 * Finds a token of the Space by its public id.  The function gets its hash and
 * what Redis has of it; NULL if there is none, or it has expired.
 */
typedef ngx_int_t (*ngx_http_spaces_found_pt)(ngx_http_request_t *r,
    ngx_str_t *hash, ngx_http_spaces_token_t *token);

ngx_int_t ngx_http_spaces_find_token(ngx_http_request_t *r, ngx_str_t *id,
    ngx_http_spaces_found_pt found);


#endif /* _NGX_HTTP_SPACES_LOAD_H_INCLUDED_ */
