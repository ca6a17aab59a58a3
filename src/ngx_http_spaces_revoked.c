
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_log.h"
#include "ngx_http_spaces_revoked.h"

#include <sys/file.h>


/* a hash, a blank, the ms of its end with zeros before, and a line feed */
#define NGX_HTTP_SPACES_REVOKED_LINE  (NGX_HTTP_SPACES_TOKEN_HASH + 1 + 20 + 1)


typedef struct {
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_pool_t                   *pool;
    u_char                        line[NGX_HTTP_SPACES_REVOKED_LINE];
    ngx_err_t                     err;
} ngx_http_spaces_revoking_t;


static void ngx_http_spaces_revoked_write(void *data, ngx_log_t *log);
static void ngx_http_spaces_revoked_written(ngx_event_t *ev);
static int ngx_http_spaces_revoked_open(ngx_str_t *path, int flags);
static ngx_int_t ngx_http_spaces_revoked_parse(u_char *line,
    ngx_http_spaces_revoked_t *revoked);


void
ngx_http_spaces_revoked_add(ngx_http_spaces_main_conf_t *smcf, ngx_str_t *hash,
    int64_t expires_at)
{
    ngx_pool_t                  *pool;
    ngx_thread_task_t           *task;
    ngx_http_spaces_revoking_t  *revoking;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    task = ngx_thread_task_alloc(pool, sizeof(ngx_http_spaces_revoking_t));
    if (task == NULL) {
        goto failed;
    }

    revoking = task->ctx;
    revoking->smcf = smcf;
    revoking->pool = pool;

    ngx_sprintf(revoking->line, "%V %020L\n", hash, expires_at);

    task->handler = ngx_http_spaces_revoked_write;
    task->event.handler = ngx_http_spaces_revoked_written;
    task->event.data = revoking;

    if (ngx_thread_task_post(smcf->thread_pool, task) == NGX_OK) {
        return;
    }

failed:

    ngx_destroy_pool(pool);
}


static void
ngx_http_spaces_revoked_write(void *data, ngx_log_t *log)
{
    ngx_http_spaces_revoking_t *revoking = data;

    int              fd;
    off_t            end;
    ssize_t          n;
    ngx_file_info_t  fi;

    fd = ngx_http_spaces_revoked_open(&revoking->smcf->path,
                                      O_WRONLY|O_CREAT);
    if (fd == -1) {
        revoking->err = ngx_errno;
        return;
    }

    if (ngx_fd_info(fd, &fi) == -1) {
        revoking->err = ngx_errno;
        (void) close(fd);
        return;
    }

    /* over what a full disk or the end of a machine has left of a line */

    end = ngx_file_size(&fi) - ngx_file_size(&fi) % sizeof(revoking->line);

    n = pwrite(fd, revoking->line, sizeof(revoking->line), end);

    if (n != (ssize_t) sizeof(revoking->line)) {
        revoking->err = (n == -1) ? ngx_errno : ENOSPC;

    } else if (fdatasync(fd) == -1) {
        revoking->err = ngx_errno;
    }

    (void) close(fd);
}


static void
ngx_http_spaces_revoked_written(ngx_event_t *ev)
{
    ngx_http_spaces_revoking_t  *revoking = ev->data;

    if (revoking->err) {
        ngx_http_spaces_log_error(NGX_LOG_ERR, ngx_cycle->log, revoking->err,
                      "a link is revoked, but that could not be written to "
                      "\"%V/revoked\": an older Redis would have it again",
                      &revoking->smcf->path);
    }

    ngx_destroy_pool(revoking->pool);
}


/* locked, for what is trimmed moves */

static int
ngx_http_spaces_revoked_open(ngx_str_t *path, int flags)
{
    int        fd;
    u_char    *p;
    ngx_err_t  err;
    char       name[NGX_MAX_PATH];

    p = ngx_snprintf((u_char *) name, sizeof(name), "%V/revoked%Z", path);

    if (p == (u_char *) name + sizeof(name)) {
        ngx_set_errno(ENAMETOOLONG);
        return -1;
    }

    fd = open(name, flags|O_CLOEXEC, 0600);

    if (fd != -1 && flock(fd, LOCK_EX) == -1) {
        err = ngx_errno;
        (void) close(fd);
        ngx_set_errno(err);
        return -1;
    }

    return fd;
}


/* from front to back within the file: what is cut short has some twice */

void
ngx_http_spaces_revoked_trim(ngx_str_t *path, int64_t now)
{
    int                        fd;
    off_t                      from, to;
    u_char                     line[NGX_HTTP_SPACES_REVOKED_LINE];
    ngx_http_spaces_revoked_t  revoked;

    fd = ngx_http_spaces_revoked_open(path, O_RDWR);
    if (fd == -1) {
        return;
    }

    to = 0;

    for (from = 0;
         pread(fd, line, sizeof(line), from) == (ssize_t) sizeof(line);
         from += sizeof(line))
    {
        if (ngx_http_spaces_revoked_parse(line, &revoked) == NGX_OK
            && revoked.expires_at <= now)
        {
            continue;
        }

        if (to != from
            && pwrite(fd, line, sizeof(line), to) != (ssize_t) sizeof(line))
        {
            (void) close(fd);
            return;
        }

        to += sizeof(line);
    }

    /* with what the end of a machine has torn; or the next time */

    if (ftruncate(fd, to) == 0) {
        (void) fdatasync(fd);
    }

    (void) close(fd);
}


ngx_uint_t
ngx_http_spaces_revoked_read(ngx_str_t *path, off_t *offset,
    ngx_http_spaces_revoked_t *revoked, ngx_uint_t n)
{
    int         fd;
    u_char      line[NGX_HTTP_SPACES_REVOKED_LINE];
    ngx_uint_t  i;

    fd = ngx_http_spaces_revoked_open(path, O_RDONLY);
    if (fd == -1) {
        return 0;
    }

    i = 0;

    while (i < n
           && pread(fd, line, sizeof(line), *offset) == (ssize_t) sizeof(line))
    {
        *offset += sizeof(line);

        if (ngx_http_spaces_revoked_parse(line, &revoked[i]) == NGX_OK) {
            i++;
        }
    }

    (void) close(fd);

    return i;
}


static ngx_int_t
ngx_http_spaces_revoked_parse(u_char *line, ngx_http_spaces_revoked_t *revoked)
{
    off_t       expires_at;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_SPACES_TOKEN_HASH; i++) {

        if ((line[i] < '0' || line[i] > '9')
            && (line[i] < 'a' || line[i] > 'f'))
        {
            return NGX_ERROR;
        }
    }

    expires_at = ngx_atoof(line + NGX_HTTP_SPACES_TOKEN_HASH + 1, 20);

    if (line[NGX_HTTP_SPACES_TOKEN_HASH] != ' ' || expires_at == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_memcpy(revoked->hash, line, NGX_HTTP_SPACES_TOKEN_HASH);
    revoked->expires_at = expires_at;

    return NGX_OK;
}
