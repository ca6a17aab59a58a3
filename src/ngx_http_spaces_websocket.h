
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * WebSocket (RFC 6455): the handshake, and a connection that is one from then
 * on.  Frames are wslay's.
 */


#ifndef _NGX_HTTP_SPACES_WEBSOCKET_H_INCLUDED_
#define _NGX_HTTP_SPACES_WEBSOCKET_H_INCLUDED_


#include "ngx_http_spaces_request.h"


/* RFC 6455, 7.4.1 */
#define NGX_HTTP_SPACES_WS_ENDED    1000
#define NGX_HTTP_SPACES_WS_REFUSED  1008
#define NGX_HTTP_SPACES_WS_TOO_BIG  1009
#define NGX_HTTP_SPACES_WS_AGAIN    1012


typedef struct ngx_http_spaces_websocket_s  ngx_http_spaces_websocket_t;


/*
 * What its user does.  "message" gets whole messages; "writable" is called
 * when all that was queued is sent; "even" tells whether the user is between
 * frames, if it writes frames of its own to the connection; "closed" when the
 * connection is over, by either side, and is to finalize the request: the
 * WebSocket goes with it.
 */

typedef struct {
    void        (*message)(void *data, ngx_uint_t binary, u_char *p,
                           size_t len);
    void        (*writable)(void *data);
    ngx_uint_t  (*even)(void *data);
    void        (*closed)(void *data);
} ngx_http_spaces_websocket_handlers_t;


/* does the request ask for a WebSocket? */
ngx_uint_t ngx_http_spaces_websocket_wanted(ngx_http_request_t *r);

/*
 * Looks at the handshake: NGX_DECLINED if it is good, with the index of the
 * first of "protocols" (which end in an empty one) that the client knows; or
 * the answer.
 */
ngx_int_t ngx_http_spaces_websocket_accept(ngx_http_request_t *r,
    ngx_str_t *protocols, ngx_uint_t *protocol);

/*
 * Answers 101 and takes over the connection; messages are of "max" bytes at
 * most.  NULL if that failed, the request is to be finalized with NGX_ERROR.
 * The caller keeps the request.
 */
ngx_http_spaces_websocket_t *ngx_http_spaces_websocket_open(
    ngx_http_request_t *r, ngx_str_t *protocol, size_t max,
    ngx_http_spaces_websocket_handlers_t *handlers, void *data);

/*
 * Queues a message, and sends what can be sent.  NGX_ERROR without memory, or
 * if the connection is being closed.
 */
ngx_int_t ngx_http_spaces_websocket_send(ngx_http_spaces_websocket_t *ws,
    ngx_uint_t binary, const u_char *p, size_t len);

/* bytes that were queued and aren't sent; 0: others may write frames, whole */
size_t ngx_http_spaces_websocket_backlog(ngx_http_spaces_websocket_t *ws);

/* queues the frame of the end; "closed" is called when that is sent */
void ngx_http_spaces_websocket_close(ngx_http_spaces_websocket_t *ws,
    ngx_uint_t code, const char *reason);

/*
 * Likewise, of a connection that nginx closes right after: what came is thrown
 * away, for closing with something unread resets the connection, and with that
 * what was sent may be lost
 */
void ngx_http_spaces_websocket_leave(ngx_http_spaces_websocket_t *ws,
    ngx_uint_t code, const char *reason);

/* gives the connection up, without a word: "closed" is called soon */
void ngx_http_spaces_websocket_drop(ngx_http_spaces_websocket_t *ws);

/*
 * While it is held no more is read; "message" may still be called for what
 * was read before.  Letting go reads on at once.
 */
void ngx_http_spaces_websocket_hold(ngx_http_spaces_websocket_t *ws);
void ngx_http_spaces_websocket_let_go(ngx_http_spaces_websocket_t *ws);

/*
 * To be called now and then (ms, monotonic): asks a silent peer whether it is
 * there, and closes if it isn't.
 */
void ngx_http_spaces_websocket_check(ngx_http_spaces_websocket_t *ws,
    int64_t now);


#endif /* _NGX_HTTP_SPACES_WEBSOCKET_H_INCLUDED_ */
