
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The rooms that a worker owns: at every tick their clocks go on and their
 * files grow.
 */


#ifndef _NGX_HTTP_SPACES_ROOM_H_INCLUDED_
#define _NGX_HTTP_SPACES_ROOM_H_INCLUDED_


#include "ngx_http_spaces_places.h"


/* to be called after the tick is there; NULL without memory */
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


#endif /* _NGX_HTTP_SPACES_ROOM_H_INCLUDED_ */
