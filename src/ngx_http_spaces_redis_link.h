
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A connection to Redis: hiredis's, in nginx's event loop.  Once lost it comes
 * back by itself, after a pause that grows.
 */


#ifndef _NGX_HTTP_SPACES_REDIS_LINK_H_INCLUDED_
#define _NGX_HTTP_SPACES_REDIS_LINK_H_INCLUDED_


#include "ngx_http_spaces_redis.h"


/* the pause between two attempts to connect, at most, ms */
#define NGX_HTTP_SPACES_REDIS_MAX_PAUSE  5000


/* the connection stands */
typedef void (*ngx_http_spaces_redis_up_pt)(void *data);


typedef struct {
    ngx_http_spaces_main_conf_t     *smcf;
    ngx_http_spaces_redis_change_pt  change;       /* NULL: for commands */
    ngx_http_spaces_redis_up_pt      up;
    void                            *data;         /* of "up" */
    const char                      *purpose;

    redisAsyncContext               *ac;           /* NULL: there is none */
    redisAsyncContext               *attached;     /* to the connection */
    ngx_connection_t                *connection;   /* around hiredis's fd */
    ngx_event_t                      pause;
    ngx_event_t                      timeout;      /* of connecting, and of
                                                      a subscription's beat */
    ngx_event_t                      beat;
    ngx_msec_t                       wait;
    ngx_msec_t                       attempted;    /* to connect, when */
    ngx_uint_t                       generation;   /* 0 before there was any */
    unsigned                         connected:1;
    unsigned                         complained:1;
    unsigned                         missed:1;     /* its owner's to reset: it
                                                      was lost since */
    unsigned                         closing:1;
} ngx_http_spaces_redis_link_t;


/*
 * "purpose" is a word for the log.  With "change" it listens to the channel of
 * changes, and takes no commands.
 */
void ngx_http_spaces_redis_link_init(ngx_http_spaces_redis_link_t *link,
    ngx_http_spaces_main_conf_t *smcf, const char *purpose,
    ngx_http_spaces_redis_change_pt change,
    ngx_http_spaces_redis_up_pt up, void *data);

void ngx_http_spaces_redis_link_connect(ngx_http_spaces_redis_link_t *link);

/*
 * Somebody asks: in a pause Redis may be back, though it has not been tried.
 * NGX_OK if there is a connection, or will be; NGX_ERROR.
 */
ngx_int_t ngx_http_spaces_redis_link_wake(ngx_http_spaces_redis_link_t *link);

/*
 * Whatever went wrong, "why" for the log: the connection is left, all that wait
 * for an answer get none, and it is tried again later.
 */
void ngx_http_spaces_redis_link_lost(ngx_http_spaces_redis_link_t *link,
    const char *why);

/* for good */
void ngx_http_spaces_redis_link_close(ngx_http_spaces_redis_link_t *link);


#endif /* _NGX_HTTP_SPACES_REDIS_LINK_H_INCLUDED_ */
