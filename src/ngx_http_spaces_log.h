
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Words for the error log that would come again and again while something is
 * broken: the first at once, the next ten seconds later at the earliest, with
 * how many were left out.
 */


#ifndef _NGX_HTTP_SPACES_LOG_H_INCLUDED_
#define _NGX_HTTP_SPACES_LOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* ms */
#define NGX_HTTP_SPACES_LOG_PAUSE  10000

/* of the last one that was left out so much is kept, bytes */
#define NGX_HTTP_SPACES_LOG_TEXT   512


typedef struct {
    ngx_queue_t    queue;                  /* of those with a pause */
    ngx_msec_t     until;
    ngx_uint_t     paused;
    ngx_uint_t     n;                      /* left out since */
    ngx_uint_t     level;
    size_t         len;
    u_char         text[NGX_HTTP_SPACES_LOG_TEXT];
} ngx_http_spaces_log_t;


/* as ngx_log_error(); each place in the code has a pause of its own */

#define ngx_http_spaces_log_error(_level, _log, _err, ...)                    \
    do {                                                                      \
        static ngx_http_spaces_log_t  _limit;                                 \
                                                                              \
        if ((_log)->log_level >= (_level)) {                                  \
            ngx_http_spaces_log(&_limit, _level, _log, _err, __VA_ARGS__);    \
        }                                                                     \
    } while (0)


/* what the macro calls, in the event loop only */
void ngx_http_spaces_log(ngx_http_spaces_log_t *limit, ngx_uint_t level,
    ngx_log_t *log, ngx_err_t err, const char *format, ...);

/* for a process that exits: tells what was left out */
void ngx_http_spaces_log_flush(void);


#endif /* _NGX_HTTP_SPACES_LOG_H_INCLUDED_ */
