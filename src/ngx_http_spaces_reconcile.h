
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What the disk has and what Redis knows, brought together: after a start,
 * when Redis was away, and when it has forgotten.  In small batches, in a
 * thread and over the one connection, by the reaper's worker alone.
 */


#ifndef _NGX_HTTP_SPACES_RECONCILE_H_INCLUDED_
#define _NGX_HTTP_SPACES_RECONCILE_H_INCLUDED_


#include "ngx_http_spaces_move.h"


typedef struct ngx_http_spaces_reconcile_s  ngx_http_spaces_reconcile_t;


/* for this worker's life; NULL without memory */
ngx_http_spaces_reconcile_t *ngx_http_spaces_reconcile_create(
    ngx_http_spaces_main_conf_t *smcf);

/*
 * To be called every second while Redis is there: begins when there is reason
 * to, and goes on by itself.
 */
void ngx_http_spaces_reconcile_run(ngx_http_spaces_reconcile_t *rec);


#endif /* _NGX_HTTP_SPACES_RECONCILE_H_INCLUDED_ */
