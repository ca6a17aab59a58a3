
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The tick of a worker, and the life of the rooms it owns: every 20 ms their
 * clocks go on, their files grow, and who waits for something is asked to
 * look.
 */


#ifndef _NGX_HTTP_SPACES_ROOM_H_INCLUDED_
#define _NGX_HTTP_SPACES_ROOM_H_INCLUDED_


#include "ngx_http_spaces_zone.h"


/* somebody who looks at something at every tick of this worker */

typedef struct ngx_http_spaces_waiter_s  ngx_http_spaces_waiter_t;

struct ngx_http_spaces_waiter_s {
    ngx_queue_t     queue;
    void          (*handler)(ngx_http_spaces_waiter_t *waiter);
    void           *data;
};


/* begins the tick of this worker; NULL without memory */
ngx_http_spaces_rooms_t *ngx_http_spaces_rooms_create(
    ngx_http_spaces_main_conf_t *smcf);

/* for a worker that exits: writes what its rooms have, and leaves them */
void ngx_http_spaces_rooms_leave(ngx_http_spaces_rooms_t *rooms);

/*
 * Takes a room whose owner this process has become: a new one, one of an owner
 * that is gone, or one read from the disk.  NGX_ERROR without memory; then the
 * room has failed.
 */
ngx_int_t ngx_http_spaces_room_own(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_room_t *room);

/* a waiter may stop waiting in its own handler */
void ngx_http_spaces_wait(ngx_http_spaces_rooms_t *rooms,
    ngx_http_spaces_waiter_t *waiter);
void ngx_http_spaces_stop_waiting(ngx_http_spaces_waiter_t *waiter);


#endif /* _NGX_HTTP_SPACES_ROOM_H_INCLUDED_ */
