
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_file.h"

#include <sys/statvfs.h>


static ngx_int_t ngx_http_spaces_overwrite(int fd, u_char *data, size_t len);


ngx_int_t
ngx_http_spaces_write_file(char *name, u_char *data, size_t len)
{
    int        fd;
    char       tmp[NGX_MAX_PATH];
    ssize_t    n;
    ngx_err_t  err;

    (void) snprintf(tmp, sizeof(tmp), "%s.tmp", name);

    fd = open(tmp, O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC,
              NGX_FILE_OWNER_ACCESS);
    if (fd == -1) {
        return NGX_ERROR;
    }

    n = write(fd, data, len);

    if (n != (ssize_t) len || fdatasync(fd) == -1) {
        err = (n >= 0 && n != (ssize_t) len) ? ENOSPC : ngx_errno;
        (void) close(fd);
        (void) unlink(tmp);
        ngx_set_errno(err);
        return NGX_ERROR;
    }

    (void) close(fd);

    return rename(tmp, name) == -1 ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_spaces_make_folder(char *name)
{
    int    rc;
    char  *slash;

    slash = strrchr(name, '/');

    *slash = '\0';
    rc = mkdir(name, 0700);
    *slash = '/';

    return (rc == -1 && ngx_errno != NGX_EEXIST) ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_spaces_free_disk(char *name, off_t *size)
{
    int              rc;
    char            *slash;
    struct statvfs   fs;

    slash = strrchr(name, '/');

    *slash = '\0';
    rc = statvfs(name, &fs);
    *slash = '/';

    if (rc == -1) {
        return NGX_ERROR;
    }

    *size = (off_t) fs.f_bavail * (off_t) fs.f_frsize;

    return NGX_OK;
}


void
ngx_http_spaces_sync_folder(char *name)
{
    int    fd;
    char  *slash;

    slash = strrchr(name, '/');

    *slash = '\0';
    fd = open(name, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    *slash = '/';

    if (fd != -1) {
        (void) fsync(fd);
        (void) close(fd);
    }
}


ngx_int_t
ngx_http_spaces_rewrite_file(char *old, char *name, u_char *data, size_t len)
{
    int        fd;
    ngx_int_t  rc;
    ngx_err_t  err;

    fd = open(old, O_WRONLY|O_CLOEXEC);
    if (fd == -1) {
        return NGX_ERROR;
    }

    rc = ngx_http_spaces_overwrite(fd, data, len);
    err = ngx_errno;

    (void) close(fd);

    if (rc != NGX_OK) {
        ngx_set_errno(err);
        return NGX_ERROR;
    }

    if (strcmp(old, name) == 0) {
        return NGX_OK;
    }

    return rename(old, name) == -1 ? NGX_ERROR : NGX_OK;
}


/*
 * In one piece, or not at all: what it takes is had before anything changes,
 * and what was longer is written over with blanks, to be cut afterwards.
 */

static ngx_int_t
ngx_http_spaces_overwrite(int fd, u_char *data, size_t len)
{
    u_char       *p;
    size_t        size;
    ssize_t       n;
    struct stat   st;

    if (fstat(fd, &st) == -1
        || (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t) len) == -1
            && ngx_errno != EOPNOTSUPP))
    {
        return NGX_ERROR;
    }

    size = ngx_max(len, (size_t) st.st_size);

    p = malloc(size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, data, len);
    ngx_memset(p + len, ' ', size - len);

    ngx_set_errno(ENOSPC);

    n = pwrite(fd, p, size, 0);

    free(p);

    return (n != (ssize_t) size || ftruncate(fd, (off_t) len) == -1
            || fdatasync(fd) == -1)
           ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_spaces_read_file(char *name, u_char *data, size_t *len)
{
    int      fd;
    ssize_t  n;

    fd = open(name, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return NGX_ERROR;
    }

    n = read(fd, data, *len);

    (void) close(fd);

    if (n == -1) {
        return NGX_ERROR;
    }

    *len = (size_t) n;

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_move_file(char *from, char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return NGX_OK;
    }

    if (ngx_errno == NGX_ENOENT && access(to, F_OK) == 0) {
        return NGX_OK;
    }

    /* a file system that can't promise it, such as NFS */

    if (ngx_errno == EINVAL && access(to, F_OK) == -1) {
        return rename(from, to) == 0 ? NGX_OK : NGX_ERROR;
    }

    return NGX_ERROR;
}
