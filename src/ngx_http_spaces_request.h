
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What every handler shares: who is calling, what they may do, and the
 * answers.
 */


#ifndef _NGX_HTTP_SPACES_REQUEST_H_INCLUDED_
#define _NGX_HTTP_SPACES_REQUEST_H_INCLUDED_


#include "ngx_http_spaces_places.h"
#include "ngx_http_spaces_redis.h"
#include "ngx_http_spaces_token.h"


#define NGX_HTTP_SPACES_MAX_TITLE   200     /* characters, labels likewise */
#define NGX_HTTP_SPACES_MAX_NAME    64      /* names and topics */


typedef enum {
    NGX_HTTP_SPACES_BAD_REQUEST = 0,
    NGX_HTTP_SPACES_BAD_JSON,
    NGX_HTTP_SPACES_UNKNOWN_FIELD,
    NGX_HTTP_SPACES_BAD_FIELD,
    NGX_HTTP_SPACES_BAD_AUDIO,
    NGX_HTTP_SPACES_UNAUTHORIZED,
    NGX_HTTP_SPACES_FORBIDDEN,
    NGX_HTTP_SPACES_FOREIGN_ORIGIN,
    NGX_HTTP_SPACES_HOSTING_OFF,
    NGX_HTTP_SPACES_RECORDING_OFF,
    NGX_HTTP_SPACES_NOT_FOUND,
    NGX_HTTP_SPACES_NOT_RECORDED,
    NGX_HTTP_SPACES_BAD_METHOD,
    NGX_HTTP_SPACES_TIMEOUT,
    NGX_HTTP_SPACES_NOT_LIVE,
    NGX_HTTP_SPACES_NOT_ENDED,
    NGX_HTTP_SPACES_OVER,
    NGX_HTTP_SPACES_BEGUN,
    NGX_HTTP_SPACES_SPEAKING,
    NGX_HTTP_SPACES_NOT_TICKETED,
    NGX_HTTP_SPACES_SOLD_OUT,
    NGX_HTTP_SPACES_GONE_DELETED,
    NGX_HTTP_SPACES_GONE_EXPIRED,
    NGX_HTTP_SPACES_PRECONDITION,
    NGX_HTTP_SPACES_TOO_LARGE,
    NGX_HTTP_SPACES_NOT_JSON,
    NGX_HTTP_SPACES_NOT_OPUS,
    NGX_HTTP_SPACES_TOO_LONG,
    NGX_HTTP_SPACES_BAD_RANGE,
    NGX_HTTP_SPACES_INTERNAL,
    NGX_HTTP_SPACES_BAD_FORMAT,
    NGX_HTTP_SPACES_NO_REDIS,
    NGX_HTTP_SPACES_NO_ROOM,
    NGX_HTTP_SPACES_NO_STORAGE,
    NGX_HTTP_SPACES_RESTARTS,
    NGX_HTTP_SPACES_NO_SPACE
} ngx_http_spaces_problem_e;


/*
 * What a step returns when another will follow by itself.  It is none of
 * nginx's codes: NGX_AGAIN is also what an answer returns while it is sent.
 */
#define NGX_HTTP_SPACES_LATER  -100


/* a step of a request */
typedef ngx_int_t (*ngx_http_spaces_step_pt)(ngx_http_request_t *r);

typedef ngx_int_t (*ngx_http_spaces_problem_pt)(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *title, ngx_str_t *detail);

typedef ngx_int_t (*ngx_http_spaces_reply_pt)(ngx_http_request_t *r,
    redisReply *reply);

/* instead of the answer that "rc" is, which may be too late for one */
typedef ngx_int_t (*ngx_http_spaces_failed_pt)(ngx_http_request_t *r,
    ngx_int_t rc);


typedef struct ngx_http_spaces_again_s  ngx_http_spaces_again_t;


typedef struct {
    ngx_str_t                    id;         /* of the Space */
    ngx_str_t                    target;     /* the handler's argument */
    ngx_str_t                    user;       /* "spaces_user", may be empty */

    /* the token that came with the request, hashed; len is 0 if none did */
    ngx_str_t                    hash;
    ngx_http_spaces_token_t     *token;      /* NULL: none, or not known */

    ngx_http_spaces_space_t     *space;      /* NULL: there is none */
    ngx_http_spaces_role_e       role;
    ngx_pool_t                  *pool;       /* for what is loaded */
    ngx_http_spaces_again_t     *again;      /* NULL: it was loaded once */

    ngx_table_elt_t             *recorded;   /* the header; NULL: not yet */

    ngx_uint_t                   in_room;    /* "room" is set */
    ngx_http_spaces_room_info_t  room;

    ngx_http_spaces_step_pt      step;       /* when it is loaded */
    ngx_http_spaces_reply_pt     reply;      /* when Redis has answered */
    ngx_http_spaces_redis_op_t  *op;

    json_t                      *body;
    ngx_atomic_uint_t            change;     /* of the Space, at first */
    ngx_http_spaces_problem_pt   problem;    /* tells it to people, or NULL */
    ngx_str_t                    link;       /* its URL, for a page */
    ngx_str_t                    share_token;  /* while its URL is built */
    void                        *loading;    /* the store's, while it loads */
    void                        *data;       /* the handler's */
    void                        *websocket;  /* if it is one */
    void                        *clip;       /* that is being sent, or NULL */
    const char                  *reason;     /* why it was closed */
    ngx_http_spaces_failed_pt    failed;     /* Redis has no answer, or NULL */

    ngx_uint_t                   tries;      /* to change what others do */

    unsigned                     fresh:1;    /* nothing from the cache */
    unsigned                     by_token:1; /* the role is the token's, */
    unsigned                     by_basic:1; /* which came as a password */
    unsigned                     passes:1;   /* the reason does, in a while */
    unsigned                     masked:1;
} ngx_http_spaces_ctx_t;


/* the context of a request, made when it is first asked for; NULL on error */
ngx_http_spaces_ctx_t *ngx_http_spaces_get_ctx(ngx_http_request_t *r);

/* likewise, also behind an internal redirect, which hides it; NULL if none */
ngx_http_spaces_ctx_t *ngx_http_spaces_find_ctx(ngx_http_request_t *r);

/*
 * Who is calling: sets "user" and "hash".  In the location of share links the
 * target is the token, elsewhere it is the Space's id.
 */
ngx_int_t ngx_http_spaces_identify(ngx_http_request_t *r);

/*
 * Sets "target", if the location's handler has an argument; once for the
 * request
 */
ngx_int_t ngx_http_spaces_find_target(ngx_http_request_t *r);

/* the caller is who holds this secret, and nobody else */
ngx_int_t ngx_http_spaces_identify_by(ngx_http_request_t *r,
    ngx_str_t *secret);

/* whether what is said goes into a recording: of a live Space, still */
ngx_uint_t ngx_http_spaces_is_recorded(ngx_http_spaces_ctx_t *ctx);

/* after loading: the caller's token, if it is of this Space; or NULL */
ngx_http_spaces_token_t *ngx_http_spaces_own_token(
    ngx_http_spaces_ctx_t *ctx);

/* after loading: what the caller is to the Space */
void ngx_http_spaces_assign_role(ngx_http_request_t *r);

/* may they know that it exists, may they hear it */
ngx_uint_t ngx_http_spaces_may_see(ngx_http_spaces_ctx_t *ctx);
ngx_uint_t ngx_http_spaces_may_hear(ngx_http_spaces_ctx_t *ctx);

/* NGX_DECLINED, or the answer to what is neither GET nor HEAD */
ngx_int_t ngx_http_spaces_require_get(ngx_http_request_t *r,
    const char *detail);

/* the first header of the request with that name behind "before", or of all */
ngx_table_elt_t *ngx_http_spaces_find_header(ngx_http_request_t *r,
    const char *name, ngx_table_elt_t *before);

/*
 * The argument of that name, unescaped, and empty if it has no value; as with
 * the fields of a body NGX_DECLINED if there is none, *value is as it was; or
 * NGX_ABORT with the answer in *rc: it is there twice, or there is no memory
 */
ngx_int_t ngx_http_spaces_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value, ngx_int_t *rc);

/* whether "Accept" lists the type */
ngx_uint_t ngx_http_spaces_accepts(ngx_http_request_t *r, const char *type);

/*
 * NGX_DECLINED if they may go on, or the answer: this Space isn't theirs to
 * know of; to hear; to change
 */
ngx_int_t ngx_http_spaces_require_visible(ngx_http_request_t *r);
ngx_int_t ngx_http_spaces_require_hearing(ngx_http_request_t *r);
ngx_int_t ngx_http_spaces_require_host(ngx_http_request_t *r);

/* the answer to who has neither identity nor token */
ngx_int_t ngx_http_spaces_unauthorized(ngx_http_request_t *r,
    const char *detail);

/* NGX_DECLINED or the answer: not a write by identity from a foreign page */
ngx_int_t ngx_http_spaces_require_origin(ngx_http_request_t *r);

/* likewise: not from a foreign page at all */
ngx_int_t ngx_http_spaces_require_own_origin(ngx_http_request_t *r);

/* scheme and host that the caller knows this site by; NGX_ERROR: no memory */
ngx_int_t ngx_http_spaces_own_origin(ngx_http_request_t *r,
    ngx_str_t *origin);

/* a directive's value for this request: neither empty nor "0" nor "off" */
ngx_uint_t ngx_http_spaces_is_on(ngx_http_request_t *r,
    ngx_http_complex_value_t *value);

/* characters in UTF-8; NGX_ERROR if it isn't */
ngx_int_t ngx_http_spaces_utf8_length(ngx_str_t *s);

/*
 * Replaces every token in the request line and in Referer with stars, for all
 * that logs them; once for the request.  NGX_ERROR without memory.
 */
ngx_int_t ngx_http_spaces_mask(ngx_http_request_t *r);


/* a Space as an answer has it, with who speaks in it; owned by the caller */
json_t *ngx_http_spaces_describe(ngx_http_request_t *r,
    ngx_http_spaces_space_t *space, ngx_uint_t for_host);

/*
 * The first event that anybody is told, without its name: their role, whether
 * it is recorded, the Space; likewise
 */
json_t *ngx_http_spaces_hello(ngx_http_request_t *r);


/* the answers; each returns what the handler is to return */

/* takes over the reference to the JSON; 500 if it is NULL */
ngx_int_t ngx_http_spaces_answer(ngx_http_request_t *r, ngx_uint_t status,
    json_t *json);

ngx_int_t ngx_http_spaces_problem(ngx_http_request_t *r,
    ngx_http_spaces_problem_e problem, const char *format, ...);

/*
 * The answer to a body that nginx did not read, with the rc of that: "broken"
 * is the problem of one whose chunks are no chunks
 */
ngx_int_t ngx_http_spaces_body_failed(ngx_http_request_t *r, ngx_int_t rc,
    ngx_http_spaces_problem_e broken);

/* the last part of a problem's type; NULL behind the last problem */
const char *ngx_http_spaces_problem_slug(ngx_uint_t problem);

/* 204 */
ngx_int_t ngx_http_spaces_no_content(ngx_http_request_t *r);

/* a body of that type, whole; the data lives as long as the request */
ngx_int_t ngx_http_spaces_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body);

/* takes over the reference; who may keep it is up to the caller */
ngx_int_t ngx_http_spaces_send_json(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, json_t *json);

ngx_int_t ngx_http_spaces_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);
ngx_int_t ngx_http_spaces_header_cstr(ngx_http_request_t *r, const char *name,
    const char *value);

/*
 * "Spaces-Recording", as it is now, for who may see the Space; what was said
 * before is changed
 */
ngx_int_t ngx_http_spaces_header_recording(ngx_http_request_t *r);

/* "private, no-store" and no referrer: for all that a token opens */
ngx_int_t ngx_http_spaces_header_private(ngx_http_request_t *r);

/*
 * From now on this module writes to the connection itself, behind nginx's
 * filters; it is closed after that.
 */
void ngx_http_spaces_own_connection(ngx_http_request_t *r);

/*
 * Reads what has come on a connection that is closed next, to some bound:
 * closing with something unread takes back what was sent
 */
void ngx_http_spaces_discard(ngx_connection_t *c);

/*
 * For a request that will stay, once its answer has begun: it needs no memory
 * for headers that it hasn't.
 */
void ngx_http_spaces_shrink(ngx_http_request_t *r);

/*
 * For a content handler: rc of its first step.  Keeps the request if more
 * steps follow.
 */
ngx_int_t ngx_http_spaces_begin(ngx_http_request_t *r, ngx_int_t rc);

/*
 * For an event: rc of a later step; finalizes unless more follow.  An event
 * that is not the request's own also runs posted requests after this.
 */
void ngx_http_spaces_continue(ngx_http_request_t *r, ngx_int_t rc);


#endif /* _NGX_HTTP_SPACES_REQUEST_H_INCLUDED_ */
