
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What becomes of a recording after its Space: it is held, held for longer,
 * purged; a Space that has none is forgotten.  Each move is one rename or
 * removal with one record, written down before it; whatever it is interrupted
 * by, it can be made again.  What is on the disk is true, Redis is told of it.
 */


#ifndef _NGX_HTTP_SPACES_MOVE_H_INCLUDED_
#define _NGX_HTTP_SPACES_MOVE_H_INCLUDED_


#include "ngx_http_spaces_store.h"


typedef enum {
    ngx_http_spaces_move_hold = 0,   /* available -> deleted, or expired */
    ngx_http_spaces_move_extend,     /* held -> held, to another day */
    ngx_http_spaces_move_amend,      /* it stays, otherwise described */
    ngx_http_spaces_move_purge,      /* held -> nothing */
    ngx_http_spaces_move_lapse,      /* likewise, if its time is over */
    ngx_http_spaces_move_forget,     /* what has no recording -> nothing */
    ngx_http_spaces_move_settle      /* Redis is to know what the disk has */
} ngx_http_spaces_move_e;


typedef struct ngx_http_spaces_move_s  ngx_http_spaces_move_t;


/*
 * NGX_OK: it is made, and lasts, though Redis may have to be told still;
 * NGX_DECLINED: the disk has no such recording; NGX_BUSY: another move of this
 * recording takes long, or the Space isn't through with its end; NGX_ERROR:
 * the disk failed, which is logged; NGX_ABORT: only Redis knew of it, and did
 * not answer.  "space" is as the move left it.
 */
typedef void (*ngx_http_spaces_moved_pt)(void *data, ngx_int_t rc,
    ngx_http_spaces_space_t *space);


/*
 * Begins a move.  "space" is copied, as it is to be afterwards; for a
 * settlement its id is enough.  "action" and "by" go to the audit, unless the
 * action is NULL.  The handler, which may be NULL, is called once, later.
 * NULL without memory.
 */
ngx_http_spaces_move_t *ngx_http_spaces_move(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_move_e kind, ngx_http_spaces_space_t *space,
    const char *action, ngx_str_t *by, ngx_http_spaces_moved_pt handler,
    void *data);

/* who waited for it is gone: the move goes on */
void ngx_http_spaces_move_leave(ngx_http_spaces_move_t *move);


#endif /* _NGX_HTTP_SPACES_MOVE_H_INCLUDED_ */
