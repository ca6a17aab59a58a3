
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A move from the inside: the event loop claims the recording, asks Redis and
 * tells it, a thread does what is done to the disk in between.
 */


#ifndef _NGX_HTTP_SPACES_MOVE_TASK_H_INCLUDED_
#define _NGX_HTTP_SPACES_MOVE_TASK_H_INCLUDED_


#include "ngx_http_spaces_move.h"


struct ngx_http_spaces_move_s {
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_pool_t                   *pool;      /* of all that follows */
    ngx_event_t                   timer;
    ngx_thread_task_t            *task;

    ngx_http_spaces_move_e        kind;
    ngx_http_spaces_space_t      *space;
    ngx_http_spaces_paths_t       paths;
    ngx_str_t                     document;  /* for the disk */
    ngx_str_t                     action;
    ngx_str_t                     by;

    ngx_http_spaces_moved_pt      handler;
    void                         *data;

    int64_t                       until;     /* ms, monotonic */

    /* a settlement: what Redis has, NULL if nothing */
    ngx_http_spaces_space_t      *known;

    /* by the thread */
    ngx_int_t                     rc;
    ngx_err_t                     err;
    const char                   *failed;
    const char                   *found;     /* for the log */
    u_char                       *buffer;    /* a document of the disk */
    size_t                        size;
    unsigned                      purged:1;  /* by whoever, the reaper tells */
    unsigned                      gone:1;    /* Redis is to forget it */
    unsigned                      late:1;    /* held, which Redis missed */
};


/* runs in a thread; its data is the move */
typedef void (*ngx_http_spaces_move_task_pt)(void *data, ngx_log_t *log);

ngx_http_spaces_move_task_pt ngx_http_spaces_move_task(
    ngx_http_spaces_move_e kind);

/* what the thread has read of the disk; NULL if it describes no Space */
ngx_http_spaces_space_t *ngx_http_spaces_move_parse(
    ngx_http_spaces_move_t *move);


#endif /* _NGX_HTTP_SPACES_MOVE_TASK_H_INCLUDED_ */
