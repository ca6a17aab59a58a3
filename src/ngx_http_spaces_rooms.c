
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * All rooms of a worker: a step for each at every tick, and a look at those of
 * workers that are gone.
 */


#include "ngx_http_spaces_owned.h"
#include "ngx_http_spaces_tick.h"


/* ms */
#define NGX_HTTP_SPACES_SCAN      250

/*
 * Scans in time that a worker needs behind it before it finds another one
 * late: when all of them were stopped, one is the first to go on
 */
#define NGX_HTTP_SPACES_STEADY    4

/*
 * When no worker has been there that stays, ms, those that leave let go what
 * is live, if another nginx waits for it: a new binary, or a zone of another
 * size
 */
#define NGX_HTTP_SPACES_UNATTENDED  2000

/* rooms taken over in one scan */
#define NGX_HTTP_SPACES_TAKEOVER  32


static ngx_uint_t ngx_http_spaces_rooms_tick(void *data, int64_t now);
static void ngx_http_spaces_rooms_step(void *data, ngx_queue_t *q);
static void ngx_http_spaces_scan(ngx_http_spaces_rooms_t *rooms, int64_t now);
static ngx_uint_t ngx_http_spaces_is_unattended(
    ngx_http_spaces_rooms_t *rooms, int64_t now);
static ngx_uint_t ngx_http_spaces_claims(ngx_http_spaces_rooms_t *rooms,
    ngx_http_spaces_room_t *room);
static void ngx_http_spaces_fence(ngx_http_spaces_room_t *room, int64_t now);
static ngx_uint_t ngx_http_spaces_feeds(ngx_http_spaces_room_t *room);


ngx_http_spaces_rooms_t *
ngx_http_spaces_rooms_create(ngx_http_spaces_main_conf_t *smcf)
{
    ngx_http_spaces_rooms_t  *rooms;

    rooms = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_spaces_rooms_t));
    if (rooms == NULL) {
        return NULL;
    }

    rooms->smcf = smcf;

    ngx_http_spaces_round_init(&rooms->owned, ngx_http_spaces_rooms_step,
                               rooms);

    ngx_http_spaces_tick_add(smcf->tick, ngx_http_spaces_rooms_tick, rooms);

    return rooms;
}


void
ngx_http_spaces_rooms_leave(ngx_http_spaces_rooms_t *rooms)
{
    ngx_queue_t              *q;
    ngx_http_spaces_room_t   *room;
    ngx_http_spaces_owned_t  *owned;

    while (!ngx_queue_empty(&rooms->owned.queue)) {

        q = ngx_queue_head(&rooms->owned.queue);
        owned = ngx_queue_data(q, ngx_http_spaces_owned_t, queue);
        room = owned->room;

        /* the threads are gone, and what they were at is done */

        ngx_http_spaces_owned_write_out(owned);
        ngx_http_spaces_owned_free(owned);

        room->owner = 0;
    }
}


static ngx_uint_t
ngx_http_spaces_rooms_tick(void *data, int64_t now)
{
    ngx_http_spaces_rooms_t *rooms = data;

    rooms->codec = 0;
    rooms->now = now;

    ngx_http_spaces_round_begin(&rooms->owned);

    if (now >= rooms->scanned + NGX_HTTP_SPACES_SCAN) {

        if (now < rooms->scanned + 4 * NGX_HTTP_SPACES_SCAN) {
            rooms->steady++;

        } else {
            rooms->steady = 0;
        }

        rooms->scanned = now;
        ngx_http_spaces_scan(rooms, now);
    }

    return !ngx_queue_empty(&rooms->owned.queue);
}


static void
ngx_http_spaces_rooms_step(void *data, ngx_queue_t *q)
{
    ngx_http_spaces_rooms_t *rooms = data;

    ngx_http_spaces_owned_step(ngx_queue_data(q, ngx_http_spaces_owned_t,
                                              queue),
                               rooms->now);
}


/* sources and owners that died without a word */

static void
ngx_http_spaces_scan(ngx_http_spaces_rooms_t *rooms, int64_t now)
{
    ngx_uint_t                    i, n, live;
    ngx_queue_t                  *q;
    ngx_http_spaces_room_t       *room;
    ngx_http_spaces_room_t       *taken[NGX_HTTP_SPACES_TAKEOVER];
    ngx_http_spaces_zone_t       *zone;
    ngx_http_spaces_speaker_t    *speaker;

    zone = rooms->smcf->zone;

    rooms->unattended = ngx_http_spaces_is_unattended(rooms, now);

    if (zone->sh->nrooms == 0 && !rooms->unattended) {
        return;
    }

    n = 0;
    live = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (q = ngx_queue_head(&zone->sh->rooms);
         q != ngx_queue_sentinel(&zone->sh->rooms);
         q = ngx_queue_next(q))
    {
        room = ngx_queue_data(q, ngx_http_spaces_room_t, queue);

        for (i = 0; i < room->nspeakers; i++) {
            speaker = &room->speakers[i];

            if (speaker->source && !ngx_http_spaces_alive(speaker->source)) {
                ngx_http_spaces_room_left(room, speaker);
            }
        }

        if (room->state <= NGX_HTTP_SPACES_ROOM_ENDING) {
            live = 1;
        }

        if (n < NGX_HTTP_SPACES_TAKEOVER
            && ngx_http_spaces_claims(rooms, room))
        {
            ngx_http_spaces_room_renew(room, now);
            taken[n++] = room;

        } else if (rooms->steady > NGX_HTTP_SPACES_STEADY) {
            ngx_http_spaces_fence(room, now);
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (rooms->unattended && !live) {
        ngx_http_spaces_zone_unlock(zone);
    }

    for (i = 0; i < n; i++) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "space %V goes on in this worker",
                      &taken[i]->sn.str);
        ngx_http_spaces_metrics_add(ngx_http_spaces_metric_taken_over, 1);

        (void) ngx_http_spaces_room_own(rooms->smcf, taken[i]);
    }
}


static ngx_uint_t
ngx_http_spaces_is_unattended(ngx_http_spaces_rooms_t *rooms, int64_t now)
{
    ngx_http_spaces_shm_t  *sh;

    sh = rooms->smcf->zone->sh;

    if (!ngx_exiting) {
        sh->attended = (ngx_atomic_uint_t) now;
        return 0;
    }

    /* nor when all of them were stopped, and this one is the first to go on */

    return rooms->steady > NGX_HTTP_SPACES_STEADY
           && now >= (int64_t) sh->attended + NGX_HTTP_SPACES_UNATTENDED
           && ngx_http_spaces_zone_is_awaited(rooms->smcf->zone);
}


/* under the zone's lock */

static ngx_uint_t
ngx_http_spaces_claims(ngx_http_spaces_rooms_t *rooms,
    ngx_http_spaces_room_t *room)
{
    if (room->owner == (ngx_atomic_uint_t) ngx_pid) {

        if (room->claimant == (ngx_atomic_uint_t) ngx_pid) {
            room->claimant = 0;
            room->leaving = 0;
            return 1;
        }

        return 0;
    }

    /* in a leaving worker only what it feeds itself, or what it lets go */

    if (ngx_exiting) {

        if (room->claimant == (ngx_atomic_uint_t) ngx_pid) {
            room->claimant = 0;
        }

        if (!rooms->unattended && !ngx_http_spaces_feeds(room)) {
            return 0;
        }
    }

    if (room->owner == 0 || !ngx_http_spaces_alive(room->owner)) {
        room->owner = ngx_pid;
        room->claimant = 0;
        room->leaving = 0;
        return 1;
    }

    if (room->leaving && !ngx_exiting
        && (room->claimant == 0 || !ngx_http_spaces_alive(room->claimant)))
    {
        room->claimant = ngx_pid;
    }

    return 0;
}


/*
 * An owner that hangs may come back in the middle of a page.  No check of its
 * own could keep it then from writing what another has written since, so it
 * is killed; the next scan finds it gone.
 */

static void
ngx_http_spaces_fence(ngx_http_spaces_room_t *room, int64_t now)
{
    if (room->owner == 0 || room->owner == (ngx_atomic_uint_t) ngx_pid
        || now < (int64_t) room->lease)
    {
        return;
    }

    if (kill((ngx_pid_t) room->owner, SIGKILL) == 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "space %V: worker process %P has not mixed it for %d ms "
                      "and was killed", &room->sn.str,
                      (ngx_pid_t) room->owner, NGX_HTTP_SPACES_LEASE);
    }

    /* a word for each of its rooms, and not again while it dies */

    ngx_http_spaces_room_renew(room, now);
}


/* whether a speaker's connection is in this process */

static ngx_uint_t
ngx_http_spaces_feeds(ngx_http_spaces_room_t *room)
{
    ngx_uint_t  i;

    for (i = 0; i < room->nspeakers; i++) {

        if (room->speakers[i].source == (ngx_atomic_uint_t) ngx_pid) {
            return 1;
        }
    }

    return 0;
}
