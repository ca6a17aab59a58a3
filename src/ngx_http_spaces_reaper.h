
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Due dates: one worker of a node takes what is due from Redis, in small
 * batches.  A recording expires into held/, and leaves that when its hold is
 * over; what was never recorded, or never begun, is forgotten.
 */


#ifndef _NGX_HTTP_SPACES_REAPER_H_INCLUDED_
#define _NGX_HTTP_SPACES_REAPER_H_INCLUDED_


#include "ngx_http_spaces_module.h"


/* looks every second, if this is the worker to do it */
ngx_int_t ngx_http_spaces_reaper_start(ngx_http_spaces_main_conf_t *smcf);


#endif /* _NGX_HTTP_SPACES_REAPER_H_INCLUDED_ */
