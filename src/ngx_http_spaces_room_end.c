
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * How a room ends: its file is finished and published, and Redis is told.
 */


#include "ngx_http_spaces_owned.h"
#include "ngx_http_spaces_store.h"


/* a room that ended stays until nobody has an older picture in a cache, ms */
#define NGX_HTTP_SPACES_LINGER  3000


static ngx_int_t ngx_http_spaces_owned_publish(ngx_http_spaces_owned_t *owned);
static ngx_http_spaces_space_t *ngx_http_spaces_owned_result(
    ngx_http_spaces_owned_t *owned, ngx_pool_t *pool);
static ngx_uint_t ngx_http_spaces_owned_is_used(
    ngx_http_spaces_owned_t *owned);
static void ngx_http_spaces_owned_saved(void *data, ngx_uint_t ok);


/* step by step, each begun when the one before is done */

void
ngx_http_spaces_owned_ending(ngx_http_spaces_owned_t *owned)
{
    off_t                    size;
    int64_t                  granule;
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    if (owned->recorder
        && !ngx_http_spaces_recorder_idle(owned->recorder))
    {
        return;
    }

    if (owned->end == ngx_http_spaces_end_close) {
        size = (off_t) owned->playout.state.head;
        granule = owned->playout.state.granule;

        if (owned->recorder) {
            if (ngx_http_spaces_recorder_close(owned->recorder) == NGX_OK) {
                owned->end = ngx_http_spaces_end_closing;
            }

            return;
        }

    } else if (owned->recorder) {
        ngx_http_spaces_recorder_measure(owned->recorder, &size, &granule);

    } else {
        return;
    }

    if (owned->end == ngx_http_spaces_end_close
        || owned->end == ngx_http_spaces_end_closing)
    {
        room->bytes = (int64_t) size;
        room->duration = ngx_max(granule - room->head.pre_skip, 0)
                         / (SPACES_OPUS_RATE / 1000);

        owned->end = ngx_http_spaces_end_publish;

        if (owned->recorder == NULL || size == 0) {
            room->recording = NGX_HTTP_SPACES_NONE;
            owned->end = ngx_http_spaces_end_saving;
        }
    }

    if (owned->end == ngx_http_spaces_end_publish) {

        room->recording = NGX_HTTP_SPACES_AVAILABLE;

        if (ngx_http_spaces_owned_publish(owned) == NGX_OK) {
            owned->end = ngx_http_spaces_end_publishing;
        }

        return;
    }

    if (owned->end == ngx_http_spaces_end_publishing) {

        if (size == 0) {
            /* it failed, and is logged; the file waits for the next start */
            room->recording = NGX_HTTP_SPACES_NONE;
        }

        owned->end = ngx_http_spaces_end_saving;
    }

    if (room->recording == NGX_HTTP_SPACES_AVAILABLE) {
        ngx_http_spaces_metrics_recording(ngx_http_spaces_metric_available,
                                          room->bytes);
    }

    room->ended = ngx_http_spaces_monotonic();

    ngx_memory_barrier();

    room->state = NGX_HTTP_SPACES_ROOM_ENDED;

    ngx_http_spaces_room_changed(room);

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "space %V has ended after %L ms, recording: %V",
                  &room->sn.str, room->duration,
                  &ngx_http_spaces_recordings[room->recording]);

    owned->tried = 0;

    if (!owned->saving) {
        ngx_http_spaces_owned_save(owned);
    }
}


static ngx_int_t
ngx_http_spaces_owned_publish(ngx_http_spaces_owned_t *owned)
{
    ngx_int_t                 rc;
    ngx_str_t                 document;
    ngx_pool_t               *pool;
    ngx_http_spaces_space_t  *space;

    pool = ngx_create_pool(NGX_HTTP_SPACES_DOCUMENT, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;
    space = ngx_http_spaces_owned_result(owned, pool);

    if (space) {
        document = ngx_http_spaces_space_document(space, pool);

        if (document.len) {
            rc = ngx_http_spaces_recorder_publish(owned->recorder, &document);
        }
    }

    ngx_destroy_pool(pool);

    return rc;
}


/* the Space with what became of it here */

static ngx_http_spaces_space_t *
ngx_http_spaces_owned_result(ngx_http_spaces_owned_t *owned, ngx_pool_t *pool)
{
    ngx_http_spaces_room_t   *room;
    ngx_http_spaces_space_t  *space;

    room = owned->room;

    space = ngx_http_spaces_zone_space(owned->smcf->zone, room, pool);
    if (space == NULL) {
        return NULL;
    }

    space->node = owned->smcf->node;
    space->record = room->record;
    space->recording = room->recording;
    space->started_at = room->started_at;

    if (room->state == NGX_HTTP_SPACES_ROOM_LIVE) {
        space->state = NGX_HTTP_SPACES_LIVE;
        return space;
    }

    /* what was not recorded leaves the timeline at the same time */

    space->state = NGX_HTTP_SPACES_ENDED;
    space->ended_at = room->ended_at;
    space->duration = room->duration;
    space->bytes = room->bytes;
    space->listeners = room->peak;
    space->expires_at = room->ended_at + space->replay_ttl * 1000;

    room->expires_at = space->expires_at;

    return space;
}


void
ngx_http_spaces_owned_ended(ngx_http_spaces_owned_t *owned, int64_t now)
{
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    if (owned->saving
        || (owned->recorder
            && !ngx_http_spaces_recorder_idle(owned->recorder)))
    {
        return;
    }

    if (room->state == NGX_HTTP_SPACES_ROOM_ENDED) {

        if (room->dirty || owned->resave != owned->smcf->zone->sh->resave) {
            ngx_http_spaces_zone_resave(owned->smcf->zone, room);
            owned->resave = owned->smcf->zone->sh->resave;
            owned->tried = 0;
        }

        if (!room->saved) {

            if (now >= owned->tried + NGX_HTTP_SPACES_RESAVE) {
                ngx_http_spaces_owned_save(owned);
            }

            return;
        }

        if (owned->end == ngx_http_spaces_end_saving) {

            owned->end = ngx_http_spaces_end_done;

            if (owned->recorder
                && room->recording == NGX_HTTP_SPACES_AVAILABLE)
            {
                (void) ngx_http_spaces_recorder_forget(owned->recorder);
                return;
            }
        }
    }

    if (ngx_http_spaces_owned_is_used(owned)
        || (room->state == NGX_HTTP_SPACES_ROOM_ENDED
            && now < room->ended + NGX_HTTP_SPACES_LINGER))
    {
        return;
    }

    ngx_http_spaces_zone_free(owned->smcf->zone, room);
    ngx_http_spaces_owned_free(owned);
}


/* by speakers whose requests are still there, or by listeners */

static ngx_uint_t
ngx_http_spaces_owned_is_used(ngx_http_spaces_owned_t *owned)
{
    ngx_uint_t               i, kept;
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    for (i = 0; i < room->nspeakers; i++) {

        if (room->speakers[i].source) {
            return 1;
        }
    }

    (void) ngx_http_spaces_zone_listeners(room, &kept);

    return kept;
}


void
ngx_http_spaces_owned_save(ngx_http_spaces_owned_t *owned)
{
    ngx_pool_t               *pool;
    ngx_http_spaces_space_t  *space;

    owned->tried = ngx_http_spaces_monotonic();

    pool = ngx_create_pool(NGX_HTTP_SPACES_DOCUMENT, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    space = ngx_http_spaces_owned_result(owned, pool);

    if (space
        && ngx_http_spaces_store_save(owned->smcf, space,
                                      ngx_http_spaces_owned_saved, owned)
           == NGX_OK)
    {
        owned->saving = 1;
        owned->resave = owned->smcf->zone->sh->resave;
        owned->saving_end = (owned->room->state
                             == NGX_HTTP_SPACES_ROOM_ENDED);
        owned->unsaved = 0;
    }

    ngx_destroy_pool(pool);
}


static void
ngx_http_spaces_owned_saved(void *data, ngx_uint_t ok)
{
    ngx_http_spaces_owned_t  *owned = data;

    owned->saving = 0;

    if (owned->saving_end) {
        owned->room->saved = ok;

    } else if (!ok) {
        owned->unsaved = 1;
    }
}


void
ngx_http_spaces_owned_free(ngx_http_spaces_owned_t *owned)
{
    ngx_http_spaces_round_remove(&owned->smcf->rooms->owned, &owned->queue);

    if (owned->recorder) {
        ngx_http_spaces_recorder_free(owned->recorder);
    }

    spaces_playout_free(&owned->playout);

    ngx_free(owned->task);
    ngx_free(owned);
}
