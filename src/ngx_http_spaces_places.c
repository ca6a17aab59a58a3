
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_places.h"


/* how long it may be taken for true what a room knows of a token, ms */
#define NGX_HTTP_SPACES_TOKEN_KNOWN  60000

#define ngx_http_spaces_is_connected(speaker)                                 \
    ((speaker)->source && ngx_http_spaces_alive((speaker)->source))


static ngx_int_t ngx_http_spaces_room_place(ngx_http_spaces_room_t *room,
    ngx_http_spaces_entrant_t *entrant, ngx_uint_t *place);
static ngx_http_spaces_speaker_t *ngx_http_spaces_zone_speaker(
    ngx_http_spaces_zone_t *zone, ngx_str_t *id, ngx_str_t *speaker_id,
    ngx_http_spaces_room_t **room);
static ngx_http_spaces_speaker_t *ngx_http_spaces_room_speaker(
    ngx_http_spaces_room_t *room, ngx_str_t *id);
static void ngx_http_spaces_room_take(ngx_http_spaces_room_t *room,
    ngx_uint_t place, ngx_http_spaces_entrant_t *entrant);
static void ngx_http_spaces_room_voice(ngx_http_spaces_room_t *room,
    ngx_http_spaces_speaker_t *speaker, ngx_http_spaces_voice_t *voice);
static ngx_http_spaces_counter_t *ngx_http_spaces_room_counter(
    ngx_http_spaces_room_t *room);
static ngx_http_spaces_counter_t *ngx_http_spaces_room_free_counter(
    ngx_http_spaces_room_t *room);


ngx_int_t
ngx_http_spaces_zone_attach(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_http_spaces_entrant_t *entrant, ngx_http_spaces_room_t **roomp,
    ngx_uint_t *place, ngx_atomic_uint_t *serial)
{
    ngx_int_t                rc;
    ngx_http_spaces_room_t  *room;

    ngx_shmtx_lock(&zone->shpool->mutex);

    room = ngx_http_spaces_zone_lookup(zone, id);

    if (room == NULL || room->ending
        || (room->state != NGX_HTTP_SPACES_ROOM_LIVE
            && room->state != NGX_HTTP_SPACES_ROOM_STARTING))
    {
        rc = NGX_DECLINED;

    } else {
        rc = ngx_http_spaces_room_place(room, entrant, place);
    }

    if (rc == NGX_OK) {
        ngx_http_spaces_room_take(room, *place, entrant);

        *serial = room->speakers[*place].serial;
        *roomp = room;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


/* a speaker's own place, or a free one */

static ngx_int_t
ngx_http_spaces_room_place(ngx_http_spaces_room_t *room,
    ngx_http_spaces_entrant_t *entrant, ngx_uint_t *place)
{
    ngx_int_t                   left;
    ngx_uint_t                  i;
    ngx_http_spaces_speaker_t  *speaker;

    left = NGX_ABORT;
    speaker = ngx_http_spaces_room_speaker(room, &entrant->id);

    if (speaker) {

        if (speaker->removed || ngx_http_spaces_is_connected(speaker)) {
            return NGX_BUSY;
        }

        *place = speaker - room->speakers;

        return NGX_OK;
    }

    /* the first place is the host's */

    for (i = entrant->host ? 0 : 1; i < room->nspeakers; i++) {
        speaker = &room->speakers[i];

        if (speaker->source == 0 && ngx_http_spaces_is_vacant(speaker)) {
            *place = i;
            return NGX_OK;
        }

        /* who has just left may be heard to the end by another's side */

        if (speaker->source == 0 && !speaker->muted && !speaker->removed) {
            *place = i;
            left = NGX_OK;
        }

        if (entrant->host) {
            break;
        }
    }

    return left;
}


/* under the zone's lock: who has that id, and the room; NULL if there is none */

static ngx_http_spaces_speaker_t *
ngx_http_spaces_zone_speaker(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_str_t *speaker_id, ngx_http_spaces_room_t **room)
{
    *room = ngx_http_spaces_zone_lookup(zone, id);

    return *room ? ngx_http_spaces_room_speaker(*room, speaker_id) : NULL;
}


static ngx_http_spaces_speaker_t *
ngx_http_spaces_room_speaker(ngx_http_spaces_room_t *room, ngx_str_t *id)
{
    ngx_uint_t                  i;
    ngx_http_spaces_speaker_t  *speaker;

    for (i = 0; i < room->nspeakers; i++) {
        speaker = &room->speakers[i];

        if (speaker->id_len == id->len
            && ngx_memcmp(speaker->id, id->data, id->len) == 0
            && (speaker->source || !ngx_http_spaces_is_vacant(speaker)
                || i == 0))
        {
            return speaker;
        }
    }

    return NULL;
}


static void
ngx_http_spaces_room_take(ngx_http_spaces_room_t *room, ngx_uint_t place,
    ngx_http_spaces_entrant_t *entrant)
{
    ngx_http_spaces_speaker_t  *speaker;

    speaker = &room->speakers[place];

    /*
     * The same one who comes back is what they were; of who was gone only the
     * token tells what the host has decided since
     */

    if ((place && ngx_http_spaces_is_vacant(speaker))
        || speaker->id_len != entrant->id.len
        || ngx_memcmp(speaker->id, entrant->id.data, speaker->id_len) != 0)
    {
        speaker->muted = 0;
        speaker->removed = 0;
    }

    speaker->active = 0;
    speaker->returns = entrant->returns;
    speaker->margin = entrant->margin;
    speaker->gain = entrant->gain;

    speaker->id_len = ngx_min(entrant->id.len, NGX_HTTP_SPACES_SPEAKER_ID);
    speaker->name_len = ngx_min(entrant->name.len,
                                NGX_HTTP_SPACES_SPEAKER_NAME);

    ngx_memcpy(speaker->id, entrant->id.data, speaker->id_len);
    ngx_memcpy(speaker->name, entrant->name.data, speaker->name_len);

    if (entrant->token.len == NGX_HTTP_SPACES_TOKEN_HASH) {
        room->host_token_len = entrant->token.len;
        ngx_memcpy(room->host_token, entrant->token.data, entrant->token.len);
    }

    speaker->serial++;
    speaker->source = ngx_pid;

    room->vacant = 0;

    ngx_http_spaces_room_changed(room);
}


void
ngx_http_spaces_zone_detach(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_room_t *room, ngx_uint_t place, ngx_atomic_uint_t serial)
{
    ngx_http_spaces_speaker_t  *speaker;

    ngx_shmtx_lock(&zone->shpool->mutex);

    speaker = &room->speakers[place];

    if (speaker->source == (ngx_atomic_uint_t) ngx_pid
        && speaker->serial == serial)
    {
        ngx_http_spaces_room_left(room, speaker);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_spaces_room_left(ngx_http_spaces_room_t *room,
    ngx_http_spaces_speaker_t *speaker)
{
    ngx_uint_t  i;

    speaker->source = 0;

    ngx_http_spaces_room_changed(room);

    for (i = 0; i < room->nspeakers; i++) {

        if (room->speakers[i].source) {
            return;
        }
    }

    room->vacant = ngx_http_spaces_monotonic();
}


ngx_uint_t
ngx_http_spaces_zone_speaks(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_str_t *speaker_id)
{
    ngx_uint_t                  speaks;
    ngx_http_spaces_room_t     *room;
    ngx_http_spaces_speaker_t  *speaker;

    ngx_shmtx_lock(&zone->shpool->mutex);

    speaker = ngx_http_spaces_zone_speaker(zone, id, speaker_id, &room);
    speaks = speaker && ngx_http_spaces_is_connected(speaker);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return speaks;
}


ngx_uint_t
ngx_http_spaces_zone_returns(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_str_t *speaker_id)
{
    ngx_uint_t                  returns;
    ngx_http_spaces_room_t     *room;
    ngx_http_spaces_speaker_t  *speaker;

    ngx_shmtx_lock(&zone->shpool->mutex);

    speaker = ngx_http_spaces_zone_speaker(zone, id, speaker_id, &room);

    returns = speaker && ngx_http_spaces_is_connected(speaker)
              && speaker->hung_up == speaker->serial;

    if (returns) {
        speaker->wanted = speaker->serial;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return returns;
}


ngx_http_spaces_token_t *
ngx_http_spaces_zone_token(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_str_t *hash, ngx_pool_t *pool)
{
    u_char                     *name;
    ngx_str_t                   speaker_id;
    ngx_http_spaces_room_t     *room;
    ngx_http_spaces_token_t    *token;
    ngx_http_spaces_speaker_t  *speaker;

    token = ngx_pcalloc(pool, sizeof(ngx_http_spaces_token_t));
    name = ngx_pnalloc(pool, NGX_HTTP_SPACES_SPEAKER_NAME);

    if (token == NULL || name == NULL) {
        return NULL;
    }

    token->space = *id;
    token->label.data = name;
    token->expires_at = ngx_http_spaces_now() + NGX_HTTP_SPACES_TOKEN_KNOWN;

    speaker_id.data = hash->data;
    speaker_id.len = NGX_HTTP_SPACES_TOKEN_ID;

    ngx_shmtx_lock(&zone->shpool->mutex);

    speaker = ngx_http_spaces_zone_speaker(zone, id, &speaker_id, &room);

    if (room && room->host_token_len == hash->len
        && ngx_memcmp(room->host_token, hash->data, hash->len) == 0)
    {
        token->kind = NGX_HTTP_SPACES_HOST;

    } else if (speaker) {
        token->kind = NGX_HTTP_SPACES_SPEAKER;
        token->muted = (speaker->muted != 0);
        token->removed = (speaker->removed != 0);
        token->label.len = speaker->name_len;

        ngx_memcpy(name, speaker->name, speaker->name_len);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return token->kind == NGX_HTTP_SPACES_NOBODY ? NULL : token;
}


ngx_int_t
ngx_http_spaces_zone_mute(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_str_t *speaker_id, ngx_uint_t muted, ngx_http_spaces_voice_t *voice)
{
    ngx_int_t                   rc;
    ngx_http_spaces_room_t     *room;
    ngx_http_spaces_speaker_t  *speaker;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    speaker = ngx_http_spaces_zone_speaker(zone, id, speaker_id, &room);

    if (speaker) {
        speaker->muted = muted;
        ngx_http_spaces_room_changed(room);
        ngx_http_spaces_room_voice(room, speaker, voice);
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


ngx_int_t
ngx_http_spaces_zone_remove(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_str_t *speaker_id)
{
    ngx_int_t                   rc;
    ngx_http_spaces_room_t     *room;
    ngx_http_spaces_speaker_t  *speaker;

    ngx_shmtx_lock(&zone->shpool->mutex);

    speaker = ngx_http_spaces_zone_speaker(zone, id, speaker_id, &room);

    rc = NGX_DECLINED;

    if (speaker && !speaker->removed) {
        speaker->removed = 1;
        ngx_http_spaces_room_changed(room);
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


ngx_uint_t
ngx_http_spaces_zone_voices(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_http_spaces_voice_t *voices)
{
    ngx_uint_t                  i, n;
    ngx_http_spaces_room_t     *room;
    ngx_http_spaces_speaker_t  *speaker;

    n = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    room = ngx_http_spaces_zone_lookup(zone, id);

    if (room && room->state <= NGX_HTTP_SPACES_ROOM_LIVE) {

        for (i = 0; i < room->nspeakers; i++) {
            speaker = &room->speakers[i];

            if (speaker->source && !speaker->removed) {
                ngx_http_spaces_room_voice(room, speaker, &voices[n++]);
            }
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return n;
}


json_t *
ngx_http_spaces_zone_speakers(ngx_http_spaces_zone_t *zone, ngx_str_t *id)
{
    json_t                   *speakers;
    ngx_uint_t                i, n;
    ngx_http_spaces_voice_t   voices[SPACES_PLAYOUT_SOURCES];

    n = ngx_http_spaces_zone_voices(zone, id, voices);

    speakers = json_array();

    for (i = 0; i < n; i++) {
        (void) json_array_append_new(speakers,
                                     ngx_http_spaces_voice_json(&voices[i]));
    }

    return speakers;
}


json_t *
ngx_http_spaces_voice_json(ngx_http_spaces_voice_t *voice)
{
    ngx_str_t  id, name;

    id.data = voice->id;
    id.len = voice->id_len;
    name.data = voice->name;
    name.len = voice->name_len;

    return json_pack("{s:o, s:o, s:s, s:b, s:b}",
                     "id", ngx_http_spaces_json_string(&id),
                     "name", ngx_http_spaces_json_string(&name),
                     "role", voice->host ? "host" : "speaker",
                     "muted", (int) voice->muted,
                     "speaking", (int) voice->speaking);
}


static void
ngx_http_spaces_room_voice(ngx_http_spaces_room_t *room,
    ngx_http_spaces_speaker_t *speaker, ngx_http_spaces_voice_t *voice)
{
    voice->id_len = speaker->id_len;
    voice->name_len = speaker->name_len;

    ngx_memcpy(voice->id, speaker->id, speaker->id_len);
    ngx_memcpy(voice->name, speaker->name, speaker->name_len);

    voice->host = (speaker == room->speakers);
    voice->muted = (speaker->muted != 0);
    voice->speaking = (speaker->active && !speaker->muted
                       && !speaker->removed);
}


ngx_http_spaces_room_t *
ngx_http_spaces_zone_enter(ngx_http_spaces_zone_t *zone, ngx_str_t *id)
{
    ngx_http_spaces_room_t     *room;
    ngx_http_spaces_counter_t  *counter;

    counter = NULL;

    ngx_shmtx_lock(&zone->shpool->mutex);

    room = ngx_http_spaces_zone_lookup(zone, id);

    /* one that was found on disk has no header before its owner begins */

    if (room && room->state == NGX_HTTP_SPACES_ROOM_LIVE && room->header_len) {
        counter = ngx_http_spaces_room_free_counter(room);
    }

    if (counter) {
        counter->n = 0;
        counter->pid = ngx_pid;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return counter ? room : NULL;
}


ngx_uint_t
ngx_http_spaces_zone_is_full(ngx_http_spaces_zone_t *zone, ngx_str_t *id)
{
    ngx_uint_t               full;
    ngx_http_spaces_room_t  *room;

    ngx_shmtx_lock(&zone->shpool->mutex);

    room = ngx_http_spaces_zone_lookup(zone, id);

    full = room && ngx_http_spaces_room_counter(room) == NULL
           && ngx_http_spaces_room_free_counter(room) == NULL;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return full;
}


void
ngx_http_spaces_zone_leave(ngx_http_spaces_room_t *room)
{
    ngx_http_spaces_counter_t  *counter;

    counter = ngx_http_spaces_room_counter(room);

    if (counter) {
        counter->n = 0;
        ngx_memory_barrier();
        counter->pid = 0;
    }
}


void
ngx_http_spaces_zone_count(ngx_http_spaces_room_t *room, ngx_uint_t listeners)
{
    ngx_http_spaces_counter_t  *counter;

    counter = ngx_http_spaces_room_counter(room);

    if (counter) {
        counter->n = listeners;
    }
}


static ngx_http_spaces_counter_t *
ngx_http_spaces_room_counter(ngx_http_spaces_room_t *room)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_SPACES_COUNTERS; i++) {

        if (room->counters[i].pid == (ngx_atomic_uint_t) ngx_pid) {
            return &room->counters[i];
        }
    }

    return NULL;
}


/* of nobody, or of a process that is gone */

static ngx_http_spaces_counter_t *
ngx_http_spaces_room_free_counter(ngx_http_spaces_room_t *room)
{
    ngx_uint_t                  i;
    ngx_http_spaces_counter_t  *counter;

    for (i = 0; i < NGX_HTTP_SPACES_COUNTERS; i++) {
        counter = &room->counters[i];

        if (counter->pid == 0 || !ngx_http_spaces_alive(counter->pid)) {
            return counter;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_spaces_zone_listeners(ngx_http_spaces_room_t *room, ngx_uint_t *kept)
{
    ngx_uint_t                  i, n;
    ngx_http_spaces_counter_t  *counter;

    n = 0;
    *kept = 0;

    for (i = 0; i < NGX_HTTP_SPACES_COUNTERS; i++) {
        counter = &room->counters[i];

        if (counter->pid && ngx_http_spaces_alive(counter->pid)) {
            *kept = 1;
            n += counter->n;
        }
    }

    return n;
}
