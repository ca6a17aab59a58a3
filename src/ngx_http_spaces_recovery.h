
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What a crash or a stop left in live/: found once after nginx starts.  A
 * Space goes on if its host may still come back, and ends if not.
 */


#ifndef _NGX_HTTP_SPACES_RECOVERY_H_INCLUDED_
#define _NGX_HTTP_SPACES_RECOVERY_H_INCLUDED_


#include "ngx_http_spaces_module.h"


/* begins, if no other worker has */
ngx_int_t ngx_http_spaces_recovery_start(ngx_http_spaces_main_conf_t *smcf);


#endif /* _NGX_HTTP_SPACES_RECOVERY_H_INCLUDED_ */
