
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Files, from threads: all of these block, and set errno.  Names are
 * zero-terminated and hold a slash.
 */


#ifndef _NGX_HTTP_SPACES_FILE_H_INCLUDED_
#define _NGX_HTTP_SPACES_FILE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* all of it or nothing, through a power cut as well */
ngx_int_t ngx_http_spaces_write_file(char *name, u_char *data, size_t len);

/*
 * Likewise under a new name, on a full disk: in the blocks of another file
 * that is given up
 */
ngx_int_t ngx_http_spaces_rewrite_file(char *old, char *name, u_char *data,
    size_t len);

/* "len" bytes at most; sets it to what was read */
ngx_int_t ngx_http_spaces_read_file(char *name, u_char *data, size_t *len);

/* renames, never over another; NGX_OK as well if that was done before */
ngx_int_t ngx_http_spaces_move_file(char *from, char *to);

/* the folder that the file is to be in */
ngx_int_t ngx_http_spaces_make_folder(char *name);

/* sets "size" to what is free, for this user, where the file is to be */
ngx_int_t ngx_http_spaces_free_disk(char *name, off_t *size);

/* makes the names in the file's folder last */
void ngx_http_spaces_sync_folder(char *name);


#endif /* _NGX_HTTP_SPACES_FILE_H_INCLUDED_ */
