
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The configuration, as every other file sees it.
 */


#ifndef _NGX_HTTP_SPACES_MODULE_H_INCLUDED_
#define _NGX_HTTP_SPACES_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_spaces_log.h"


#define NGX_HTTP_SPACES_MIN_ZONE          (1024 * 1024)

/* of a zone, what isn't rooms: nginx's own, and the rest of ours */
#define NGX_HTTP_SPACES_ZONE_REST         (80 * 1024)

/* and what replays are counted with: 16 bytes for each that is under way */
#define ngx_http_spaces_zone_playings(size)  ((size) / 32)

#define NGX_HTTP_SPACES_DEFAULT_SPEAKERS  13
#define NGX_HTTP_SPACES_DEFAULT_TTL       (30 * 24 * 3600)
#define NGX_HTTP_SPACES_DEFAULT_HOLD      (30 * 24 * 3600)
#define NGX_HTTP_SPACES_DEFAULT_HOLD_MAX  (120 * 24 * 3600)


typedef struct ngx_http_spaces_zone_s   ngx_http_spaces_zone_t;
typedef struct ngx_http_spaces_redis_s  ngx_http_spaces_redis_t;
typedef struct ngx_http_spaces_cache_s  ngx_http_spaces_cache_t;
typedef struct ngx_http_spaces_tick_s   ngx_http_spaces_tick_t;
typedef struct ngx_http_spaces_rooms_s  ngx_http_spaces_rooms_t;
typedef struct ngx_http_spaces_feeds_s  ngx_http_spaces_feeds_t;
typedef struct ngx_http_spaces_transfers_s  ngx_http_spaces_transfers_t;


/* "spaces_redis" */

typedef struct {
    ngx_str_t                    name;       /* as written, for messages */
    ngx_str_t                    host;       /* zero-terminated: address, */
    in_port_t                    port;       /*   or path of a socket if 0 */
    ngx_uint_t                   db;
    ngx_str_t                    user;
    ngx_str_t                    password;
    ngx_str_t                    prefix;
    ngx_msec_t                   timeout;
} ngx_http_spaces_redis_conf_t;


typedef struct {
    ngx_shm_zone_t              *shm_zone;
    ngx_str_t                    path;       /* no slash at its end */
    ngx_str_t                    node;
    off_t                        min_free;
    ngx_http_spaces_redis_conf_t redis_conf;
    ngx_thread_pool_t           *thread_pool;    /* for the disk */
    ngx_thread_pool_t           *codec_pool;

    ngx_uint_t                   max_speakers; /* of all locations */

    ngx_str_t                    oembed;     /* where that is, first */

    /* the first handler in the configuration, for messages */
    ngx_str_t                    handler_file;
    ngx_uint_t                   handler_line;

    /* of this worker process, NULL in any other */
    ngx_http_spaces_zone_t      *zone;
    ngx_http_spaces_redis_t     *redis;
    ngx_http_spaces_cache_t     *cache;
    ngx_http_spaces_tick_t      *tick;
    ngx_http_spaces_rooms_t     *rooms;
    ngx_http_spaces_feeds_t     *feeds;
    ngx_http_spaces_transfers_t *transfers;
} ngx_http_spaces_main_conf_t;


typedef struct {
    /* the handler's argument: a Space's id, or a token */
    ngx_http_complex_value_t    *target;
    ngx_uint_t                   is_share;   /* the target is a token */
    ngx_uint_t                   is_oembed;  /* its URL argument has one */
    ngx_http_complex_value_t    *share_page; /* the operator's, or NULL */
    ngx_http_handler_pt          handler;    /* one of ours, if it is here, */
    ngx_str_t                    file;       /* and where that was written */
    ngx_uint_t                   line;

    ngx_http_complex_value_t    *user;
    ngx_http_complex_value_t    *moderator;
    ngx_http_complex_value_t    *record;
    ngx_http_complex_value_t    *create;
    ngx_http_complex_value_t    *share_url;
    ngx_array_t                 *origins;    /* of ngx_str_t */

    time_t                       replay_ttl;
    time_t                       hold;
    time_t                       hold_max;
    time_t                       reconnect;
    time_t                       max_duration;
    ngx_int_t                    max_speakers;
    ngx_int_t                    channels;
    size_t                       bitrate;      /* of the mix, bit/s */
} ngx_http_spaces_loc_conf_t;


extern ngx_module_t  ngx_http_spaces_module;


#endif /* _NGX_HTTP_SPACES_MODULE_H_INCLUDED_ */
