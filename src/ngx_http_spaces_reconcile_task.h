
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A comparison of disk and Redis from the inside: the event loop asks Redis and
 * settles what differs, a thread reads the disk.
 */


#ifndef _NGX_HTTP_SPACES_RECONCILE_TASK_H_INCLUDED_
#define _NGX_HTTP_SPACES_RECONCILE_TASK_H_INCLUDED_


#include "ngx_http_spaces_reconcile.h"
#include "ngx_http_spaces_revoked.h"

#include <dirent.h>


/*
 * Recordings looked at in one go: half of what may be moved at a time; and as
 * many as Redis may tell of at once, all of a list that it keeps as one piece:
 * zset-max-listpack-entries is 128 unless somebody has raised it
 */
#define NGX_HTTP_SPACES_RECONCILE_BATCH  64
#define NGX_HTTP_SPACES_RECONCILE_SEEN   1024


typedef enum {
    ngx_http_spaces_reconcile_idle = 0,
    ngx_http_spaces_reconcile_revoked,     /* links that are to stay so, */
    ngx_http_spaces_reconcile_held,        /* what the disk holds, */
    ngx_http_spaces_reconcile_recordings,  /* and what it has to replay */
    ngx_http_spaces_reconcile_due          /* what Redis thinks there is */
} ngx_http_spaces_reconcile_e;


typedef struct {
    ngx_http_spaces_reconcile_t   *rec;
    unsigned                       held:1;
    unsigned                       odd:1;      /* to be settled */
    u_char                         id[NGX_HTTP_SPACES_ID_LEN];
} ngx_http_spaces_seen_t;


struct ngx_http_spaces_reconcile_s {
    ngx_http_spaces_main_conf_t   *smcf;
    ngx_thread_task_t             *task;

    ngx_http_spaces_reconcile_e    step;
    ngx_uint_t                     generation; /* of the connection when it
                                                  was done last; 0: never */
    ngx_uint_t                     waiting;    /* for so many answers */
    ngx_uint_t                     broken;     /* Redis went away meanwhile */

    ngx_uint_t                     nrevoked;
    off_t                          offset;     /* of them, in their file */
    ngx_http_spaces_revoked_t      revoked[NGX_HTTP_SPACES_RECONCILE_BATCH];

    ngx_uint_t                     nseen;
    ngx_http_spaces_seen_t         seen[NGX_HTTP_SPACES_RECONCILE_SEEN];

    /* where the thread is */
    DIR                           *top;        /* recordings/ */
    DIR                           *folder;
    char                           name[NGX_MAX_PATH];
    ngx_uint_t                     through;    /* all of the folder is read */
    ngx_err_t                      err;

    u_char                         cursor[NGX_INT64_LEN];   /* of ZSCAN */
    size_t                         cursor_len;

    /* files of audio that were found, and their bytes */
    ngx_uint_t                     available;
    ngx_uint_t                     held;
    off_t                          available_bytes;
    off_t                          held_bytes;

    int64_t                        marked;     /* what Redis has, ms */
    int64_t                        pause;      /* until, ms, monotonic */

    ngx_uint_t                     looked;     /* for the log */
    ngx_uint_t                     settled;
    ngx_uint_t                     left;       /* that could not be settled */
};


/* what runs in a thread; the data is the comparison */

/* the next links that are to stay revoked, from "offset" on, into "revoked" */
void ngx_http_spaces_reconcile_links(void *data, ngx_log_t *log);

/*
 * The next names of the folder of the step, or of its next folder, into
 * "seen"; sets "through" behind the last one, and "err" if there is none
 */
void ngx_http_spaces_reconcile_read(void *data, ngx_log_t *log);

/* of what is "odd" in "seen": is it where Redis says that it is? */
void ngx_http_spaces_reconcile_check(void *data, ngx_log_t *log);


#endif /* _NGX_HTTP_SPACES_RECONCILE_TASK_H_INCLUDED_ */
