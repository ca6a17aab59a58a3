
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_zone.h"

#include <sys/file.h>


/* there while another nginx waits for the lock */
#define NGX_HTTP_SPACES_AWAITED  "live/.awaited"


static ngx_int_t ngx_http_spaces_zone_folder(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_zone_t *ozone);
static void ngx_http_spaces_zone_cleanup(void *data);
static ngx_uint_t ngx_http_spaces_zone_places(ngx_http_spaces_space_t *space);
static void ngx_http_spaces_room_places(ngx_http_spaces_room_t *room,
    u_char *p);
static ngx_http_spaces_claim_t *ngx_http_spaces_zone_find_claim(
    ngx_http_spaces_shm_t *sh, ngx_str_t *id);
static void ngx_http_spaces_zone_fill_info(ngx_http_spaces_room_t *room,
    ngx_http_spaces_room_info_t *info);


/* how long those who wait for an end also wait for Redis to know of it, ms */
#define NGX_HTTP_SPACES_SETTLE  300

/* how far ahead of the clock may be what is made in a crowd, ms */
#define NGX_HTTP_SPACES_CROWDED  1000


ngx_int_t
ngx_http_spaces_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_spaces_zone_t  *ozone = data;

    size_t                   len;
    ngx_http_spaces_zone_t  *zone;

    zone = shm_zone->data;

    if (ngx_http_spaces_zone_folder(zone, ozone) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ozone) {
        zone->sh = ozone->sh;
        zone->shpool = ozone->shpool;
        return NGX_OK;
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;
        return NGX_OK;
    }

    zone->sh = ngx_slab_calloc(zone->shpool, sizeof(ngx_http_spaces_shm_t));
    if (zone->sh == NULL) {
        return NGX_ERROR;
    }

    len = ngx_http_spaces_zone_playings(shm_zone->shm.size);

    zone->sh->playings = ngx_slab_alloc(zone->shpool, len);
    if (zone->sh->playings == NULL) {
        return NGX_ERROR;
    }

    spaces_playings_init(zone->sh->playings, len);

    zone->shpool->data = zone->sh;

    ngx_rbtree_init(&zone->sh->rbtree, &zone->sh->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&zone->sh->rooms);

    len = sizeof(" in spaces zone \"\"") + shm_zone->shm.name.len;

    zone->shpool->log_ctx = ngx_slab_alloc(zone->shpool, len);
    if (zone->shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(zone->shpool->log_ctx, " in spaces zone \"%V\"%Z",
                &shm_zone->shm.name);

    /* a full zone is answered with 503 and logged there */

    zone->shpool->log_nomem = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_zone_prepare(ngx_conf_t *cf, ngx_shm_zone_t *shm_zone,
    ngx_str_t *path)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_spaces_zone_t  *zone;

    zone = shm_zone->data;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    zone->path = path;
    zone->folder = NGX_INVALID_FILE;

    cln->handler = ngx_http_spaces_zone_cleanup;
    cln->data = zone;

    return NGX_OK;
}


/*
 * Opened once for all processes that share the zone, and inherited by them,
 * as is its lock then; closed in a new binary
 */

static ngx_int_t
ngx_http_spaces_zone_folder(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_zone_t *ozone)
{
    if (zone->path == NULL) {
        return NGX_OK;
    }

    if (ozone && ozone->path
        && (ozone->path->len != zone->path->len
            || ngx_strncmp(ozone->path->data, zone->path->data,
                           zone->path->len)
               != 0))
    {
        ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, 0,
                      "\"spaces_path\" was \"%V\", where what is live is "
                      "recorded: restart nginx for \"%V\", a reload is not "
                      "enough", ozone->path, zone->path);
        return NGX_ERROR;
    }

    if (ozone && ozone->path) {
        zone->folder = fcntl(ozone->folder, F_DUPFD_CLOEXEC, 0);

    } else {
        zone->folder = open((char *) zone->path->data,
                            O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    }

    if (zone->folder == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, ngx_errno,
                      "\"spaces_path\": the folder \"%V\" can't be opened",
                      zone->path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_spaces_zone_cleanup(void *data)
{
    ngx_http_spaces_zone_t *zone = data;

    if (zone->folder != NGX_INVALID_FILE) {
        (void) close(zone->folder);
    }
}


ngx_int_t
ngx_http_spaces_zone_lock(ngx_http_spaces_zone_t *zone)
{
    ngx_fd_t  fd;

    /* a file system that has no locks is taken to be of one nginx */

    if (flock(zone->folder, LOCK_EX|LOCK_NB) == -1 && ngx_errno == NGX_EAGAIN)
    {
        fd = openat(zone->folder, NGX_HTTP_SPACES_AWAITED,
                    O_WRONLY|O_CREAT|O_CLOEXEC, 0600);

        if (fd != NGX_INVALID_FILE) {
            (void) close(fd);
        }

        return NGX_BUSY;
    }

    (void) unlinkat(zone->folder, NGX_HTTP_SPACES_AWAITED, 0);

    return NGX_OK;
}


ngx_uint_t
ngx_http_spaces_zone_is_awaited(ngx_http_spaces_zone_t *zone)
{
    return faccessat(zone->folder, NGX_HTTP_SPACES_AWAITED, F_OK, 0) == 0;
}


void
ngx_http_spaces_zone_unlock(ngx_http_spaces_zone_t *zone)
{
    ngx_queue_t             *q;
    ngx_http_spaces_room_t  *room;

    ngx_shmtx_lock(&zone->shpool->mutex);

    /* if workers come again, they begin as after a start */

    zone->sh->scanned = 0;
    zone->sh->recovered = 0;
    zone->sh->recovery = 0;

    for (q = ngx_queue_head(&zone->sh->rooms);
         q != ngx_queue_sentinel(&zone->sh->rooms);
         q = ngx_queue_next(q))
    {
        room = ngx_queue_data(q, ngx_http_spaces_room_t, queue);

        if (room->state > NGX_HTTP_SPACES_ROOM_ENDING) {
            continue;
        }

        if (room->owner && ngx_http_spaces_alive(room->owner)) {
            goto done;
        }

        room->moved_on = 1;
        room->state = NGX_HTTP_SPACES_ROOM_FAILED;

        ngx_http_spaces_room_changed(room);
    }

    (void) flock(zone->folder, LOCK_UN);

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


size_t
ngx_http_spaces_room_size(ngx_uint_t nspeakers)
{
    return ngx_align(sizeof(ngx_http_spaces_room_t), 64)
           + ngx_align(nspeakers * sizeof(ngx_http_spaces_speaker_t), 64)
           + spaces_packet_ring_size(NGX_HTTP_SPACES_HOST_RING)
           + (nspeakers - 1)
             * spaces_packet_ring_size(NGX_HTTP_SPACES_SPEAKER_RING)
           + nspeakers * spaces_packet_ring_size(NGX_HTTP_SPACES_RETURN_RING)
           + NGX_HTTP_SPACES_PAGES;
}


/* what was written before there were these settings has none of them */

static ngx_uint_t
ngx_http_spaces_zone_places(ngx_http_spaces_space_t *space)
{
    return space->max_speakers ? ngx_min(space->max_speakers,
                                         SPACES_PLAYOUT_SOURCES)
                               : NGX_HTTP_SPACES_DEFAULT_SPEAKERS;
}


ngx_uint_t
ngx_http_spaces_zone_has_room(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_space_t *space)
{
    void  *p;

    p = ngx_slab_alloc(zone->shpool,
                       ngx_http_spaces_room_size(
                                       ngx_http_spaces_zone_places(space)));
    if (p == NULL) {
        return 0;
    }

    ngx_slab_free(zone->shpool, p);

    return 1;
}


ngx_int_t
ngx_http_spaces_zone_open(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_space_t *space, ngx_str_t *document,
    spaces_opus_head_t *head, ngx_http_spaces_room_t **roomp)
{
    u_char                   *p;
    ngx_int_t                 rc;
    ngx_uint_t                nspeakers;
    ngx_http_spaces_room_t   *room;
    ngx_http_spaces_claim_t  *claim;

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (ngx_http_spaces_zone_lookup(zone, &space->id)) {
        rc = NGX_BUSY;
        goto done;
    }

    claim = ngx_http_spaces_zone_find_claim(zone->sh, &space->id);

    if (claim && ngx_http_spaces_alive(claim->pid)) {
        rc = NGX_AGAIN;
        goto done;
    }

    nspeakers = ngx_http_spaces_zone_places(space);

    p = ngx_slab_alloc_locked(zone->shpool,
                              ngx_http_spaces_room_size(nspeakers));

    if (p == NULL) {
        rc = NGX_DECLINED;
        goto done;
    }

    room = (ngx_http_spaces_room_t *) p;
    ngx_memzero(room, sizeof(ngx_http_spaces_room_t));

    room->nspeakers = nspeakers;

    ngx_http_spaces_room_places(room,
                   p + ngx_align(sizeof(ngx_http_spaces_room_t), 64));

    ngx_memcpy(room->id, space->id.data, NGX_HTTP_SPACES_ID_LEN);

    room->owner = ngx_pid;
    ngx_http_spaces_room_renew(room, ngx_http_spaces_monotonic());

    room->head = *head;
    room->first = NGX_MAX_UINT32_VALUE;

    room->record = (ngx_uint_t) space->record;
    room->recording = space->record ? NGX_HTTP_SPACES_RECORDING
                                    : NGX_HTTP_SPACES_NONE;
    room->started_at = space->started_at;
    room->reconnect = space->reconnect * 1000;
    room->max_duration = space->max_duration * 1000;
    room->vacant = ngx_http_spaces_monotonic();
    room->synced = room->vacant;
    room->channels = space->channels ? (ngx_uint_t) space->channels : 2;
    room->bitrate = space->bitrate ? (ngx_uint_t) space->bitrate : 32000;

    room->document_len = document->len;
    ngx_memcpy(room->document, document->data, document->len);

    room->sn.str.data = room->id;
    room->sn.str.len = NGX_HTTP_SPACES_ID_LEN;
    room->sn.node.key = ngx_crc32_short(room->id, NGX_HTTP_SPACES_ID_LEN);

    ngx_rbtree_insert(&zone->sh->rbtree, &room->sn.node);
    ngx_queue_insert_tail(&zone->sh->rooms, &room->queue);
    zone->sh->nrooms++;

    *roomp = room;
    rc = NGX_OK;

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


/* the rest of a room's block: places, their rings, the pages */

static void
ngx_http_spaces_room_places(ngx_http_spaces_room_t *room, u_char *p)
{
    size_t                      size;
    ngx_uint_t                  i;
    ngx_http_spaces_speaker_t  *speaker;

    room->speakers = (ngx_http_spaces_speaker_t *) p;

    size = room->nspeakers * sizeof(ngx_http_spaces_speaker_t);

    ngx_memzero(p, size);
    p += ngx_align(size, 64);

    for (i = 0; i < room->nspeakers; i++) {
        speaker = &room->speakers[i];

        size = i ? NGX_HTTP_SPACES_SPEAKER_RING : NGX_HTTP_SPACES_HOST_RING;

        speaker->ring = (spaces_packet_ring_t *) p;
        spaces_packet_ring_init(speaker->ring, size);
        p += spaces_packet_ring_size(size);

        speaker->back = (spaces_packet_ring_t *) p;
        spaces_packet_ring_init(speaker->back, NGX_HTTP_SPACES_RETURN_RING);
        p += spaces_packet_ring_size(NGX_HTTP_SPACES_RETURN_RING);
    }

    room->pages = p;
}


void
ngx_http_spaces_zone_free(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_room_t *room)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    ngx_rbtree_delete(&zone->sh->rbtree, &room->sn.node);
    ngx_queue_remove(&room->queue);
    zone->sh->nrooms--;

    ngx_slab_free_locked(zone->shpool, room);

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_int_t
ngx_http_spaces_zone_overlay(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_space_t *space, ngx_http_spaces_room_info_t *info)
{
    ngx_http_spaces_room_t   *room;
    spaces_playout_state_t   *playout;
    ngx_http_spaces_claim_t  *claim;

    if (zone->sh->nrooms == 0 && zone->sh->nclaims == 0) {
        return NGX_DECLINED;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    claim = ngx_http_spaces_zone_find_claim(zone->sh, &space->id);

    if (claim && claim->recording) {
        space->recording = claim->recording;
    }

    room = ngx_http_spaces_zone_lookup(zone, &space->id);

    if (room == NULL || room->state == NGX_HTTP_SPACES_ROOM_FAILED) {
        ngx_shmtx_unlock(&zone->shpool->mutex);
        return NGX_DECLINED;
    }

    ngx_http_spaces_zone_fill_info(room, info);

    space->record = room->record;
    space->started_at = room->started_at;

    if (room->state == NGX_HTTP_SPACES_ROOM_ENDED) {
        space->state = NGX_HTTP_SPACES_ENDED;
        space->ended_at = room->ended_at;
        space->duration = room->duration;
        space->bytes = room->bytes;
        space->listeners = room->peak;

        /* Redis may know of a deletion since */

        if (!room->moved && space->recording < NGX_HTTP_SPACES_DELETED) {
            space->recording = room->recording;
            space->expires_at = room->expires_at;
        }

    } else {
        playout = ngx_http_spaces_room_playout(room);

        space->state = NGX_HTTP_SPACES_LIVE;
        space->recording = room->recording;
        space->duration = ngx_max(playout->granule - room->head.pre_skip, 0)
                          * 1000 / SPACES_OPUS_RATE;
        space->bytes = (int64_t) playout->head;
        space->listeners = room->listeners;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


int64_t
ngx_http_spaces_zone_moment(ngx_http_spaces_zone_t *zone)
{
    int64_t  now, last;

    now = ngx_http_spaces_now();

    ngx_shmtx_lock(&zone->shpool->mutex);

    last = zone->sh->moment;

    /* unless the clock was set back */

    if (last >= now && last < now + NGX_HTTP_SPACES_CROWDED) {
        now = last + 1;
    }

    zone->sh->moment = now;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return now;
}


ngx_int_t
ngx_http_spaces_zone_info(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_http_spaces_room_info_t *info)
{
    ngx_http_spaces_room_t  *room;

    ngx_shmtx_lock(&zone->shpool->mutex);

    room = ngx_http_spaces_zone_lookup(zone, id);

    if (room) {
        ngx_http_spaces_zone_fill_info(room, info);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return room ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_spaces_zone_end(ngx_http_spaces_zone_t *zone, ngx_str_t *id)
{
    ngx_http_spaces_room_t  *room;

    ngx_shmtx_lock(&zone->shpool->mutex);

    room = ngx_http_spaces_zone_lookup(zone, id);

    if (room) {
        room->ending = 1;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return room ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_spaces_zone_document(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_str_t *document)
{
    ngx_http_spaces_room_t  *room;

    ngx_shmtx_lock(&zone->shpool->mutex);

    room = ngx_http_spaces_zone_lookup(zone, id);

    if (room) {
        room->document_len = document->len;
        ngx_memcpy(room->document, document->data, document->len);
        room->dirty = 1;
        room->amended++;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


size_t
ngx_http_spaces_zone_described(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_room_t *room, u_char *document, ngx_uint_t *amended)
{
    size_t  len;

    ngx_shmtx_lock(&zone->shpool->mutex);

    len = room->document_len;
    ngx_memcpy(document, room->document, len);

    *amended = room->amended;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return len;
}


ngx_http_spaces_space_t *
ngx_http_spaces_zone_space(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_room_t *room, ngx_pool_t *pool)
{
    ngx_str_t   document;
    ngx_uint_t  amended;
    u_char      data[NGX_HTTP_SPACES_DOCUMENT];

    document.data = data;
    document.len = ngx_http_spaces_zone_described(zone, room, data, &amended);

    return ngx_http_spaces_space_parse(&document, pool);
}


ngx_http_spaces_space_t *
ngx_http_spaces_zone_known(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_pool_t *pool)
{
    ngx_str_t                document;
    ngx_http_spaces_room_t  *room;
    u_char                   data[NGX_HTTP_SPACES_DOCUMENT];

    document.data = data;
    document.len = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    room = ngx_http_spaces_zone_lookup(zone, id);

    if (room && room->state != NGX_HTTP_SPACES_ROOM_FAILED
        && !room->moved && !room->saved)
    {
        document.len = room->document_len;
        ngx_memcpy(data, room->document, document.len);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return ngx_http_spaces_space_parse(&document, pool);
}


ngx_int_t
ngx_http_spaces_zone_claim(ngx_http_spaces_zone_t *zone, ngx_str_t *id,
    ngx_uint_t recording)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_http_spaces_shm_t    *sh;
    ngx_http_spaces_room_t   *room;
    ngx_http_spaces_claim_t  *claim;

    sh = zone->sh;
    rc = NGX_BUSY;

    ngx_shmtx_lock(&zone->shpool->mutex);

    room = ngx_http_spaces_zone_lookup(zone, id);

    /* a room that will save the Space again would do so from what it knows */

    if (room && room->state != NGX_HTTP_SPACES_ROOM_FAILED
        && (room->state != NGX_HTTP_SPACES_ROOM_ENDED
            || !(room->moved || (room->saved && !room->dirty))))
    {
        goto done;
    }

    claim = ngx_http_spaces_zone_find_claim(sh, id);

    if (claim && ngx_http_spaces_alive(claim->pid)) {
        goto done;
    }

    for (i = 0; claim == NULL && i < NGX_HTTP_SPACES_CLAIMS; i++) {

        if (sh->claims[i].pid == 0) {
            claim = &sh->claims[i];
            claim->recording = NGX_HTTP_SPACES_NONE;
            ngx_memcpy(claim->id, id->data, NGX_HTTP_SPACES_ID_LEN);
            sh->nclaims++;
        }
    }

    if (claim == NULL) {
        goto done;
    }

    claim->pid = ngx_pid;

    if (room) {
        room->moved = 1;
    }

    if (recording) {
        claim->recording = recording;
    }

    rc = NGX_OK;

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


void
ngx_http_spaces_zone_release(ngx_http_spaces_zone_t *zone, ngx_str_t *id)
{
    ngx_http_spaces_claim_t  *claim;

    ngx_shmtx_lock(&zone->shpool->mutex);

    claim = ngx_http_spaces_zone_find_claim(zone->sh, id);

    if (claim) {
        claim->pid = 0;
        zone->sh->nclaims--;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_uint_t
ngx_http_spaces_zone_is_claimed(ngx_http_spaces_zone_t *zone, ngx_str_t *id)
{
    ngx_uint_t                claimed;
    ngx_http_spaces_claim_t  *claim;

    ngx_shmtx_lock(&zone->shpool->mutex);

    claim = ngx_http_spaces_zone_find_claim(zone->sh, id);
    claimed = (claim && ngx_http_spaces_alive(claim->pid));

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return claimed;
}


void
ngx_http_spaces_zone_resave(ngx_http_spaces_zone_t *zone,
    ngx_http_spaces_room_t *room)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    room->dirty = 0;

    if (!room->moved) {
        room->saved = 0;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_int_t
ngx_http_spaces_zone_orphan(ngx_http_spaces_zone_t *zone, u_char *id)
{
    ngx_uint_t                i;
    ngx_http_spaces_claim_t  *claim;

    if (zone->sh->nclaims == 0) {
        return NGX_DECLINED;
    }

    for (i = 0; i < NGX_HTTP_SPACES_CLAIMS; i++) {
        claim = &zone->sh->claims[i];

        if (claim->pid && !ngx_http_spaces_alive(claim->pid)) {
            ngx_memcpy(id, claim->id, NGX_HTTP_SPACES_ID_LEN);
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* under the zone's lock */

static ngx_http_spaces_claim_t *
ngx_http_spaces_zone_find_claim(ngx_http_spaces_shm_t *sh, ngx_str_t *id)
{
    ngx_uint_t  i;

    for (i = 0; sh->nclaims && i < NGX_HTTP_SPACES_CLAIMS; i++) {

        if (sh->claims[i].pid
            && ngx_strncmp(sh->claims[i].id, id->data, NGX_HTTP_SPACES_ID_LEN)
               == 0)
        {
            return &sh->claims[i];
        }
    }

    return NULL;
}


ngx_atomic_t *
ngx_http_spaces_zone_change(ngx_http_spaces_zone_t *zone, ngx_str_t *id)
{
    return &zone->sh->changes[ngx_crc32_short(id->data, id->len)
                              % NGX_HTTP_SPACES_CHANGES];
}


ngx_uint_t
ngx_http_spaces_alive(ngx_atomic_uint_t pid)
{
    return pid == (ngx_atomic_uint_t) ngx_pid
           || kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH;
}


ngx_http_spaces_room_t *
ngx_http_spaces_zone_lookup(ngx_http_spaces_zone_t *zone, ngx_str_t *id)
{
    return (ngx_http_spaces_room_t *)
               ngx_str_rbtree_lookup(&zone->sh->rbtree, id,
                                     ngx_crc32_short(id->data, id->len));
}


static void
ngx_http_spaces_zone_fill_info(ngx_http_spaces_room_t *room,
    ngx_http_spaces_room_info_t *info)
{
    info->state = room->state;
    info->recording = room->recording;

    info->settled = room->state == NGX_HTTP_SPACES_ROOM_ENDED
                    && (room->saved
                        || ngx_http_spaces_monotonic()
                           > room->ended + NGX_HTTP_SPACES_SETTLE);

    info->described = !room->record || room->torn
                      || room->state == NGX_HTTP_SPACES_ROOM_ENDED
                      || room->state == NGX_HTTP_SPACES_ROOM_FAILED
                      || room->described == room->amended;
}
