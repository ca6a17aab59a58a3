
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What Redis is asked and told.  A worker has one connection for commands and
 * one that listens for changes; while there is none, commands fail at once.
 */


#ifndef _NGX_HTTP_SPACES_REDIS_H_INCLUDED_
#define _NGX_HTTP_SPACES_REDIS_H_INCLUDED_


#include "ngx_http_spaces_module.h"

#include <sys/time.h>
#include <stdint.h>
#include <hiredis/async.h>


/*
 * The answer, or NULL if there was none in time; an answer that is an error
 * of Redis also comes as NULL, and is logged.  The reply is hiredis's.
 */
typedef void (*ngx_http_spaces_redis_pt)(void *data, redisReply *reply);

/* a message of the channel of changes; NULL: anything may have changed */
typedef void (*ngx_http_spaces_redis_change_pt)(
    ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id);

/* a command under way */
typedef struct ngx_http_spaces_redis_op_s  ngx_http_spaces_redis_op_t;


/* "spaces_redis": its conf is the main one */
char *ngx_http_spaces_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* connects; NULL without memory */
ngx_http_spaces_redis_t *ngx_http_spaces_redis_create(
    ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_redis_change_pt change);

/* drops both connections; no handler is called any more */
void ngx_http_spaces_redis_destroy(ngx_http_spaces_redis_t *redis);

/*
 * The command of "argc" arguments, the first its name.  The key of a command
 * is given without the prefix, by ngx_http_spaces_redis_key().  NULL if it
 * couldn't be sent; then the handler isn't called.
 */
ngx_http_spaces_redis_op_t *ngx_http_spaces_redis_command(
    ngx_http_spaces_redis_t *redis, ngx_uint_t argc, ngx_str_t *argv,
    ngx_http_spaces_redis_pt handler, void *data);

/*
 * Several commands as one transaction: an array of arrays of ngx_str_t.  The
 * handler gets the reply of EXEC, an array, or NULL: then nothing was done, or
 * not all of it, if a key is of another type than ours.
 */
ngx_http_spaces_redis_op_t *ngx_http_spaces_redis_transaction(
    ngx_http_spaces_redis_t *redis, ngx_array_t *commands,
    ngx_http_spaces_redis_pt handler, void *data);

/* whoever waits for it is gone: the handler will not be called */
void ngx_http_spaces_redis_cancel(ngx_http_spaces_redis_op_t *op);

/* is it connected? */
ngx_uint_t ngx_http_spaces_redis_ready(ngx_http_spaces_redis_t *redis);

/* of the connection, that it is another: 0 before there was any */
ngx_uint_t ngx_http_spaces_redis_generation(ngx_http_spaces_redis_t *redis);

/* in a handler without a reply: Redis is there, and has said no */
ngx_uint_t ngx_http_spaces_redis_refused(ngx_http_spaces_redis_t *redis);

/* <prefix><format>; data is NULL without memory */
ngx_str_t ngx_http_spaces_redis_key(ngx_http_spaces_main_conf_t *smcf,
    ngx_pool_t *pool, const char *format, ...);

/*
 * Adds a command to an array of them: "n" arguments of ngx_str_t *.  NULL
 * without memory, or the array of its arguments.
 */
ngx_array_t *ngx_http_spaces_redis_add(ngx_array_t *commands, ngx_uint_t n,
    ...);

/* one more argument */
ngx_int_t ngx_http_spaces_redis_push(ngx_array_t *command, ngx_str_t *arg);


#endif /* _NGX_HTTP_SPACES_REDIS_H_INCLUDED_ */
