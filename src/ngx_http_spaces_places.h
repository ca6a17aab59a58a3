
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Who is in a room: speakers on their places, and the processes whose
 * listeners it has.
 */


#ifndef _NGX_HTTP_SPACES_PLACES_H_INCLUDED_
#define _NGX_HTTP_SPACES_PLACES_H_INCLUDED_


#include "ngx_http_spaces_zone.h"


/* who speaks, as everybody is told */

typedef struct {
    u_char                   id[NGX_HTTP_SPACES_SPEAKER_ID];
    u_char                   name[NGX_HTTP_SPACES_SPEAKER_NAME];
    size_t                   id_len;
    size_t                   name_len;
    unsigned                 host:1;
    unsigned                 muted:1;
    unsigned                 speaking:1;
} ngx_http_spaces_voice_t;


/* one who comes to speak */

typedef struct {
    ngx_str_t                id;
    ngx_str_t                name;
    ngx_str_t                token;        /* the host's, hashed; or empty */
    ngx_uint_t               host;
    ngx_uint_t               returns;      /* wants to hear the others */
    int64_t                  margin;       /* ms, of the jitter buffer */
    int16_t                  gain;         /* of the head, dB in Q7.8 */
} ngx_http_spaces_entrant_t;


/*
 * Takes a place in a room that is live: NGX_OK, with its number; NGX_BUSY if
 * this speaker has one; NGX_DECLINED if there is no such room, or it ended;
 * NGX_ABORT if all places are taken.
 */
ngx_int_t ngx_http_spaces_zone_attach(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id, ngx_http_spaces_entrant_t *entrant,
    ngx_http_spaces_room_t **room, ngx_uint_t *place,
    ngx_atomic_uint_t *serial);

/* gives it up; the room may go away from then on */
void ngx_http_spaces_zone_detach(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_room_t *room, ngx_uint_t place, ngx_atomic_uint_t serial);

/* under the zone's lock: a speaker's connection is gone */
void ngx_http_spaces_room_left(ngx_http_spaces_room_t *room,
    ngx_http_spaces_speaker_t *speaker);

/* whether a speaker of that id is in the room */
ngx_uint_t ngx_http_spaces_zone_speaks(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id, ngx_str_t *speaker);

/*
 * Whether such a speaker has to wait for a former connection of theirs, which
 * is broken.  It is told to leave, and does so at its next ticks.
 */
ngx_uint_t ngx_http_spaces_zone_returns(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id, ngx_str_t *speaker);

/*
 * What a room knows of a token by its hash: that it is the host's or one of its
 * speakers', for a minute.  NULL if it doesn't, or without memory.
 */
ngx_http_spaces_token_t *ngx_http_spaces_zone_token(
    ngx_http_spaces_zone_t *zone, ngx_str_t *id, ngx_str_t *hash,
    ngx_pool_t *pool);

/*
 * Mutes a speaker who is in the room, or not any more; removes one.  NGX_OK,
 * with the "voice" that this is about; NGX_DECLINED if they are not there, or
 * were removed before.
 */
ngx_int_t ngx_http_spaces_zone_mute(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id, ngx_str_t *speaker, ngx_uint_t muted,
    ngx_http_spaces_voice_t *voice);
ngx_int_t ngx_http_spaces_zone_remove(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id, ngx_str_t *speaker);

/*
 * Who speaks: fills SPACES_PLAYOUT_SOURCES voices at most, returns how many.
 */
ngx_uint_t ngx_http_spaces_zone_voices(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id, ngx_http_spaces_voice_t *voices);

/* the same as JSON, and one voice of them; owned by the caller */
json_t *ngx_http_spaces_zone_speakers(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id);
json_t *ngx_http_spaces_voice_json(ngx_http_spaces_voice_t *voice);

/*
 * A room to listen to, kept until this process leaves it; NULL if there is
 * none that is live.
 */
ngx_http_spaces_room_t *ngx_http_spaces_zone_enter(
    ngx_http_spaces_zone_t *zone, ngx_str_t *id);
void ngx_http_spaces_zone_leave(ngx_http_spaces_room_t *room);

/* so many processes have listeners of the room that this one can't */
ngx_uint_t ngx_http_spaces_zone_is_full(ngx_http_spaces_zone_t *zone,
    ngx_str_t *id);

/* this process has so many listeners of a room that it has entered */
void ngx_http_spaces_zone_count(ngx_http_spaces_room_t *room,
    ngx_uint_t listeners);

/* the sum over the processes that live; "kept" if there is such a process */
ngx_uint_t ngx_http_spaces_zone_listeners(ngx_http_spaces_room_t *room,
    ngx_uint_t *kept);


#endif /* _NGX_HTTP_SPACES_PLACES_H_INCLUDED_ */
