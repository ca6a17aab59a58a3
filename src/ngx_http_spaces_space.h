
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The Space: its fields, and their forms in Redis (a hash), on disk (a JSON
 * object of the same strings) and in an answer (the contract's JSON).
 */


#ifndef _NGX_HTTP_SPACES_SPACE_H_INCLUDED_
#define _NGX_HTTP_SPACES_SPACE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <jansson.h>

#include "ngx_http_spaces_id.h"


/* a Space as JSON on disk and in a room is never longer */
#define NGX_HTTP_SPACES_DOCUMENT    16384

#define NGX_HTTP_SPACES_SCHEDULED   0
#define NGX_HTTP_SPACES_LIVE        1
#define NGX_HTTP_SPACES_ENDED       2

#define NGX_HTTP_SPACES_NONE        0
#define NGX_HTTP_SPACES_RECORDING   1
#define NGX_HTTP_SPACES_AVAILABLE   2
#define NGX_HTTP_SPACES_DELETED     3
#define NGX_HTTP_SPACES_EXPIRED     4

#define NGX_HTTP_SPACES_PUBLIC      0
#define NGX_HTTP_SPACES_UNLISTED    1
#define NGX_HTTP_SPACES_TICKETED    2


/* how JSON is written: no time in it has more digits than that */
#define NGX_HTTP_SPACES_JSON  (JSON_COMPACT|JSON_REAL_PRECISION(12))


/* times are ms since the epoch, 0 if there is none */

typedef struct {
    ngx_str_t    id;
    ngx_str_t    title;
    ngx_str_t    host;
    ngx_str_t    topics;           /* a JSON array of strings */
    ngx_str_t    language;
    ngx_str_t    price;
    ngx_str_t    node;

    ngx_uint_t   state;
    ngx_uint_t   recording;
    ngx_uint_t   visibility;

    int64_t      record;
    int64_t      capacity;         /* 0: none given */
    int64_t      created_at;
    int64_t      scheduled_at;
    int64_t      started_at;
    int64_t      ended_at;
    int64_t      expires_at;
    int64_t      held_at;          /* 0: it is not held */
    int64_t      hold_until;
    int64_t      duration;         /* ms */
    int64_t      bytes;
    int64_t      listeners;
    int64_t      replays;

    /* the settings of the location that created it; times in s */
    int64_t      replay_ttl;
    int64_t      hold;
    int64_t      hold_max;
    int64_t      reconnect;
    int64_t      max_duration;

    int64_t      max_speakers;
    int64_t      bitrate;          /* of the mix, bit/s */
    int64_t      channels;
} ngx_http_spaces_space_t;


/* its audio is there for review alone */
#define ngx_http_spaces_is_held(space)                                        \
    ((space)->recording == NGX_HTTP_SPACES_DELETED                            \
     || (space)->recording == NGX_HTTP_SPACES_EXPIRED)


/* how the name of a state, a recording or a visibility is spelt */
extern ngx_str_t  ngx_http_spaces_states[];
extern ngx_str_t  ngx_http_spaces_recordings[];
extern ngx_str_t  ngx_http_spaces_visibilities[];


/* the index of a name in one of these, NGX_ERROR if it is none */
ngx_int_t ngx_http_spaces_name_index(ngx_str_t *names, ngx_str_t *name);

/*
 * Sets the field of that name from its stored form, copied into the pool; a
 * name that isn't known is passed over.  NGX_ERROR without memory.
 */
ngx_int_t ngx_http_spaces_space_set(ngx_http_spaces_space_t *space,
    ngx_pool_t *pool, ngx_str_t *name, ngx_str_t *value);

/* every field in its stored form: an array of ngx_keyval_t, NULL on error */
ngx_array_t *ngx_http_spaces_space_fields(ngx_http_spaces_space_t *space,
    ngx_pool_t *pool);

/* the form on disk; data is NULL on error, or if it were too long */
ngx_str_t ngx_http_spaces_space_document(ngx_http_spaces_space_t *space,
    ngx_pool_t *pool);

/* NULL if it isn't such a document */
ngx_http_spaces_space_t *ngx_http_spaces_space_parse(ngx_str_t *document,
    ngx_pool_t *pool);

/*
 * The form in an answer, owned by the caller; "for_host" adds what only the
 * host is told, "speakers" (the reference is taken over) is from its room.
 * NULL without memory.
 */
json_t *ngx_http_spaces_space_json(ngx_http_spaces_space_t *space,
    json_t *speakers, ngx_uint_t for_host);

/* likewise of one that is held, with what a moderator is told of that */
json_t *ngx_http_spaces_review_json(ngx_http_spaces_space_t *space);

/* a time, ms, as RFC 3339; null for 0 */
json_t *ngx_http_spaces_json_time(int64_t ms);

/* a string of any bytes; what isn't UTF-8 becomes null */
json_t *ngx_http_spaces_json_string(ngx_str_t *s);

/* the topics as an array, never NULL but without memory */
json_t *ngx_http_spaces_space_topics(ngx_http_spaces_space_t *space);

/* where its files are or may be, zero-terminated */

typedef struct {
    char        *live;
    char        *live_json;
    char        *recording;
    char        *recording_json;
    char        *held;
    char        *held_json;
    char        *live_wave;
    char        *recording_wave;
    char        *held_wave;
} ngx_http_spaces_paths_t;


/* NGX_ERROR without memory */
ngx_int_t ngx_http_spaces_space_paths(ngx_str_t *path, ngx_str_t *id,
    ngx_pool_t *pool, ngx_http_spaces_paths_t *paths);

/* <path>/live/<id><suffix>, zero-terminated; data is NULL on error */
ngx_str_t ngx_http_spaces_live_path(ngx_str_t *path, ngx_str_t *id,
    const char *suffix, ngx_pool_t *pool);

/* <path>/recordings/<xx>/<id><suffix> */
ngx_str_t ngx_http_spaces_recording_path(ngx_str_t *path, ngx_str_t *id,
    const char *suffix, ngx_pool_t *pool);

/* <path>/held/<id><suffix> */
ngx_str_t ngx_http_spaces_held_path(ngx_str_t *path, ngx_str_t *id,
    const char *suffix, ngx_pool_t *pool);

/* ms since the epoch */
int64_t ngx_http_spaces_now(void);

/* ms of the monotonic clock, which all processes share */
int64_t ngx_http_spaces_monotonic(void);


#endif /* _NGX_HTTP_SPACES_SPACE_H_INCLUDED_ */
