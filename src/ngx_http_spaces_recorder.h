
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The file of a room: opened, appended to, finished in a thread pool.  It
 * copies bytes of the room's pages to the same offsets of the file, so that
 * writing them twice, by an owner that died and by the next, does no harm.
 */


#ifndef _NGX_HTTP_SPACES_RECORDER_H_INCLUDED_
#define _NGX_HTTP_SPACES_RECORDER_H_INCLUDED_


#include "ngx_http_spaces_zone.h"


typedef struct ngx_http_spaces_recorder_s  ngx_http_spaces_recorder_t;

/* something that was under way is done */
typedef void (*ngx_http_spaces_recorder_pt)(void *data);


/* is nothing under way? */
ngx_uint_t ngx_http_spaces_recorder_idle(ngx_http_spaces_recorder_t *rec);

/* has it stopped writing, for an error that is logged? */
ngx_uint_t ngx_http_spaces_recorder_failed(ngx_http_spaces_recorder_t *rec);

/*
 * Starts to create the file of a room, or to open it again ("resume").
 * NULL without memory.  Done when it is idle; then it may have failed.
 */
ngx_http_spaces_recorder_t *ngx_http_spaces_recorder_open(
    ngx_http_spaces_main_conf_t *smcf, ngx_http_spaces_room_t *room,
    ngx_uint_t resume, ngx_http_spaces_recorder_pt handler, void *data);

/* was the disk too full? to be asked when it failed to open */
ngx_uint_t ngx_http_spaces_recorder_no_space(ngx_http_spaces_recorder_t *rec);

/*
 * Records of spaces_wave.h, to go beside the audio with the next write: they
 * are given up rather than waited for.  Not while another thread calls it.
 */
void ngx_http_spaces_recorder_wave(ngx_http_spaces_recorder_t *rec,
    u_char *records, size_t len);

/* writes what is due; to be called often, and does nothing while not idle */
void ngx_http_spaces_recorder_run(ngx_http_spaces_recorder_t *rec);

/*
 * Begins to write what is left after the last page.  When it is idle again,
 * "size" and "granule" are the file's: those of the room, or less if writing
 * had failed.  NGX_ERROR if it can't be begun now: try again.
 */
ngx_int_t ngx_http_spaces_recorder_close(ngx_http_spaces_recorder_t *rec);

void ngx_http_spaces_recorder_measure(ngx_http_spaces_recorder_t *rec,
    off_t *size, int64_t *granule);

/*
 * Begins to move the file to the recordings, with the document beside it.
 * NGX_ERROR if it can't be begun now: try again.
 */
ngx_int_t ngx_http_spaces_recorder_publish(ngx_http_spaces_recorder_t *rec,
    ngx_str_t *document);

/* begins to remove what told of the file while it was live; likewise */
ngx_int_t ngx_http_spaces_recorder_forget(ngx_http_spaces_recorder_t *rec);

/*
 * For a process that exits, its threads gone already: writes what the room
 * has, in this thread.
 */
void ngx_http_spaces_recorder_leave(ngx_http_spaces_recorder_t *rec);

/* closes the file; to be called when idle */
void ngx_http_spaces_recorder_free(ngx_http_spaces_recorder_t *rec);


#endif /* _NGX_HTTP_SPACES_RECORDER_H_INCLUDED_ */
