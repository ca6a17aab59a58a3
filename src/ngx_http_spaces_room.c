
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_room.h"
#include "ngx_http_spaces_recorder.h"
#include "ngx_http_spaces_store.h"


/* ms */
#define NGX_HTTP_SPACES_TICK      20
#define NGX_HTTP_SPACES_SCAN      250
#define NGX_HTTP_SPACES_RESAVE    1000

/* a room that ended stays until nobody has an older picture in a cache, ms */
#define NGX_HTTP_SPACES_LINGER    3000

/* an end waits for what its source has received and not passed on, ms */
#define NGX_HTTP_SPACES_DRAIN     400

/* rooms taken over in one scan */
#define NGX_HTTP_SPACES_TAKEOVER  32


typedef enum {
    ngx_http_spaces_end_close = 0,
    ngx_http_spaces_end_closing,
    ngx_http_spaces_end_publish,
    ngx_http_spaces_end_publishing,
    ngx_http_spaces_end_saving,
    ngx_http_spaces_end_done
} ngx_http_spaces_end_e;


typedef struct {
    ngx_queue_t                    queue;
    ngx_http_spaces_room_t        *room;
    ngx_http_spaces_main_conf_t   *smcf;
    ngx_http_spaces_recorder_t    *recorder;   /* NULL: not recorded */
    spaces_playout_t               playout;

    ngx_http_spaces_end_e          end;
    int64_t                        tried;      /* to save, ms monotonic */
    int64_t                        ending;     /* since when, likewise */

    unsigned                       saving:1;
    unsigned                       saving_end:1;
    unsigned                       unsaved:1;  /* that it is live */
} ngx_http_spaces_owned_t;


struct ngx_http_spaces_rooms_s {
    ngx_http_spaces_main_conf_t   *smcf;
    ngx_queue_t                    owned;
    ngx_queue_t                    waiters;
    ngx_queue_t                   *next;       /* waiter to be asked */
    ngx_event_t                    tick;
    int64_t                        scanned;    /* ms, monotonic */

    uint8_t                       *packet;     /* scratch of all playouts */
    uint8_t                       *page;
};


static void ngx_http_spaces_tick_handler(ngx_event_t *ev);
static void ngx_http_spaces_tick_again(ngx_http_spaces_rooms_t *rooms);
static void ngx_http_spaces_scan(ngx_http_spaces_rooms_t *rooms, int64_t now);
static ngx_uint_t ngx_http_spaces_claims(ngx_http_spaces_room_t *room);

static ngx_int_t ngx_http_spaces_owned_begin(ngx_http_spaces_owned_t *owned);
static void ngx_http_spaces_owned_page(spaces_playout_t *playout,
    const uint8_t *page, size_t len);
static void ngx_http_spaces_owned_step(ngx_http_spaces_owned_t *owned,
    int64_t now);
static void ngx_http_spaces_owned_starting(ngx_http_spaces_owned_t *owned);
static void ngx_http_spaces_owned_live(ngx_http_spaces_owned_t *owned,
    int64_t now);
static ngx_uint_t ngx_http_spaces_owned_is_over(ngx_http_spaces_owned_t *owned,
    int64_t now);
static ngx_uint_t ngx_http_spaces_owned_is_drained(
    ngx_http_spaces_owned_t *owned, int64_t now);
static void ngx_http_spaces_owned_ending(ngx_http_spaces_owned_t *owned);
static ngx_int_t ngx_http_spaces_owned_publish(ngx_http_spaces_owned_t *owned);
static ngx_http_spaces_space_t *ngx_http_spaces_owned_result(
    ngx_http_spaces_owned_t *owned, ngx_pool_t *pool);
static void ngx_http_spaces_owned_ended(ngx_http_spaces_owned_t *owned,
    int64_t now);
static ngx_uint_t ngx_http_spaces_owned_hand_over(
    ngx_http_spaces_owned_t *owned);
static void ngx_http_spaces_owned_fail(ngx_http_spaces_owned_t *owned,
    ngx_uint_t no_space);
static void ngx_http_spaces_owned_save(ngx_http_spaces_owned_t *owned);
static void ngx_http_spaces_owned_saved(void *data, ngx_uint_t ok);
static void ngx_http_spaces_owned_recorded(void *data);
static void ngx_http_spaces_owned_free(ngx_http_spaces_owned_t *owned);


ngx_http_spaces_rooms_t *
ngx_http_spaces_rooms_create(ngx_http_spaces_main_conf_t *smcf)
{
    ngx_http_spaces_rooms_t  *rooms;

    rooms = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_spaces_rooms_t));
    if (rooms == NULL) {
        return NULL;
    }

    rooms->packet = ngx_palloc(ngx_cycle->pool, SPACES_OPUS_MAX_PACKET);
    rooms->page = ngx_palloc(ngx_cycle->pool, 2 * SPACES_OGG_MAX_PAGE);

    if (rooms->packet == NULL || rooms->page == NULL) {
        return NULL;
    }

    rooms->smcf = smcf;

    ngx_queue_init(&rooms->owned);
    ngx_queue_init(&rooms->waiters);

    rooms->tick.handler = ngx_http_spaces_tick_handler;
    rooms->tick.data = rooms;
    rooms->tick.log = ngx_cycle->log;
    rooms->tick.cancelable = 1;

    ngx_add_timer(&rooms->tick, NGX_HTTP_SPACES_TICK);

    return rooms;
}


void
ngx_http_spaces_rooms_leave(ngx_http_spaces_rooms_t *rooms)
{
    ngx_queue_t              *q;
    ngx_http_spaces_room_t   *room;
    ngx_http_spaces_owned_t  *owned;

    while (!ngx_queue_empty(&rooms->owned)) {

        q = ngx_queue_head(&rooms->owned);
        owned = ngx_queue_data(q, ngx_http_spaces_owned_t, queue);
        room = owned->room;

        if (room->state == NGX_HTTP_SPACES_ROOM_LIVE) {

            /* this may be the last process that sees the ring */

            if (spaces_playout_drain(&owned->playout,
                                     ngx_http_spaces_monotonic())
                == SPACES_PLAYOUT_COMPLETE)
            {
                spaces_playout_finish(&owned->playout);

            } else {
                spaces_playout_flush(&owned->playout);
            }
        }

        if (owned->recorder) {
            ngx_http_spaces_recorder_leave(owned->recorder);
        }

        ngx_http_spaces_owned_free(owned);

        room->owner = 0;
    }
}


void
ngx_http_spaces_wait(ngx_http_spaces_rooms_t *rooms,
    ngx_http_spaces_waiter_t *waiter)
{
    ngx_queue_insert_tail(&rooms->waiters, &waiter->queue);
    ngx_http_spaces_tick_again(rooms);
}


void
ngx_http_spaces_stop_waiting(ngx_http_spaces_waiter_t *waiter)
{
    ngx_http_spaces_rooms_t      *rooms;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_spaces_module);
    rooms = smcf->rooms;

    if (rooms->next == &waiter->queue) {
        rooms->next = ngx_queue_next(&waiter->queue);
    }

    ngx_queue_remove(&waiter->queue);
}


static void
ngx_http_spaces_tick_handler(ngx_event_t *ev)
{
    int64_t                    now;
    ngx_queue_t               *q;
    ngx_http_spaces_owned_t   *owned;
    ngx_http_spaces_rooms_t   *rooms = ev->data;
    ngx_http_spaces_waiter_t  *waiter;

    now = ngx_http_spaces_monotonic();

    for (q = ngx_queue_head(&rooms->owned);
         q != ngx_queue_sentinel(&rooms->owned);
         /* void */ )
    {
        owned = ngx_queue_data(q, ngx_http_spaces_owned_t, queue);
        q = ngx_queue_next(q);

        ngx_http_spaces_owned_step(owned, now);
    }

    if (now >= rooms->scanned + NGX_HTTP_SPACES_SCAN) {
        rooms->scanned = now;
        ngx_http_spaces_scan(rooms, now);
    }

    for (q = ngx_queue_head(&rooms->waiters);
         q != ngx_queue_sentinel(&rooms->waiters);
         q = rooms->next)
    {
        rooms->next = ngx_queue_next(q);

        waiter = ngx_queue_data(q, ngx_http_spaces_waiter_t, queue);
        waiter->handler(waiter);
    }

    rooms->next = NULL;

    ngx_http_spaces_tick_again(rooms);
}


/* at multiples of 20 ms of the clock that all share: late ones don't drift */

static void
ngx_http_spaces_tick_again(ngx_http_spaces_rooms_t *rooms)
{
    ngx_msec_t  delay;

    if (rooms->tick.timer_set) {
        ngx_del_timer(&rooms->tick);
    }

    /* a leaving worker stays for those who wait, and for no other */

    rooms->tick.cancelable = ngx_queue_empty(&rooms->waiters);

    if (ngx_queue_empty(&rooms->owned) && ngx_queue_empty(&rooms->waiters)) {
        delay = NGX_HTTP_SPACES_SCAN;

    } else {
        delay = NGX_HTTP_SPACES_TICK
                - ngx_http_spaces_monotonic() % NGX_HTTP_SPACES_TICK;
    }

    ngx_add_timer(&rooms->tick, delay);
}


/* sources and owners that died without a word */

static void
ngx_http_spaces_scan(ngx_http_spaces_rooms_t *rooms, int64_t now)
{
    ngx_uint_t                    i, n;
    ngx_queue_t                  *q;
    ngx_http_spaces_room_t       *room;
    ngx_http_spaces_room_t       *taken[NGX_HTTP_SPACES_TAKEOVER];
    ngx_http_spaces_zone_t       *zone;

    zone = rooms->smcf->zone;

    if (zone->sh->nrooms == 0) {
        return;
    }

    n = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (q = ngx_queue_head(&zone->sh->rooms);
         q != ngx_queue_sentinel(&zone->sh->rooms);
         q = ngx_queue_next(q))
    {
        room = ngx_queue_data(q, ngx_http_spaces_room_t, queue);

        if (room->source && !ngx_http_spaces_alive(room->source)) {
            room->source = 0;
            room->vacant = now;
        }

        if (n < NGX_HTTP_SPACES_TAKEOVER && ngx_http_spaces_claims(room)) {
            taken[n++] = room;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    for (i = 0; i < n; i++) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "space %V goes on in this worker",
                      &taken[i]->sn.str);

        (void) ngx_http_spaces_room_own(rooms->smcf, taken[i]);
    }
}


/* under the zone's lock */

static ngx_uint_t
ngx_http_spaces_claims(ngx_http_spaces_room_t *room)
{
    /* in a leaving worker only what it feeds itself */

    if (ngx_exiting && room->source != (ngx_atomic_uint_t) ngx_pid) {
        return 0;
    }

    if (room->owner == (ngx_atomic_uint_t) ngx_pid) {

        if (room->claimant == (ngx_atomic_uint_t) ngx_pid) {
            room->claimant = 0;
            room->leaving = 0;
            return 1;
        }

        return 0;
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


ngx_int_t
ngx_http_spaces_room_own(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_room_t *room)
{
    ngx_uint_t                resume;
    ngx_http_spaces_owned_t  *owned;

    owned = ngx_alloc(sizeof(ngx_http_spaces_owned_t), ngx_cycle->log);
    if (owned == NULL) {
        room->state = NGX_HTTP_SPACES_ROOM_FAILED;
        room->owner = 0;
        return NGX_ERROR;
    }

    /* not the playout's body: its pages are touched as they are needed */

    owned->room = room;
    owned->smcf = smcf;
    owned->recorder = NULL;
    owned->end = ngx_http_spaces_end_close;
    owned->tried = 0;
    owned->ending = 0;
    owned->saving = 0;
    owned->saving_end = 0;
    owned->unsaved = 0;

    owned->playout.ring = room->ring;
    owned->playout.handler = ngx_http_spaces_owned_page;
    owned->playout.data = owned;
    owned->playout.packet = smcf->rooms->packet;
    owned->playout.page = smcf->rooms->page;

    ngx_queue_insert_tail(&smcf->rooms->owned, &owned->queue);

    resume = (ngx_http_spaces_room_playout(room)->head != 0);

    if (resume) {
        spaces_playout_resume(&owned->playout,
                              ngx_http_spaces_room_playout(room));

    } else if (ngx_http_spaces_owned_begin(owned) != NGX_OK) {
        ngx_http_spaces_owned_fail(owned, 0);
        return NGX_ERROR;
    }

    if (room->record
        && room->state != NGX_HTTP_SPACES_ROOM_FAILED
        && (room->state != NGX_HTTP_SPACES_ROOM_ENDED
            || room->recording == NGX_HTTP_SPACES_AVAILABLE))
    {
        owned->recorder = ngx_http_spaces_recorder_open(smcf, room, resume,
                                             ngx_http_spaces_owned_recorded,
                                             owned);
        if (owned->recorder == NULL) {

            if (resume) {
                /* to be tried again, by whoever looks first */
                ngx_http_spaces_owned_free(owned);
                room->owner = 0;

            } else {
                ngx_http_spaces_owned_fail(owned, 0);
            }

            return NGX_ERROR;
        }
    }

    if (room->state == NGX_HTTP_SPACES_ROOM_ENDED) {
        owned->end = ngx_http_spaces_end_saving;

    } else if (room->state == NGX_HTTP_SPACES_ROOM_LIVE) {
        owned->unsaved = 1;
    }

    ngx_http_spaces_tick_again(smcf->rooms);

    return NGX_OK;
}


/* the header pages tell players the title, the host and the day */

static ngx_int_t
ngx_http_spaces_owned_begin(ngx_http_spaces_owned_t *owned)
{
    u_char                   *title, *artist, *date;
    uint32_t                  serial;
    ngx_tm_t                  tm;
    const char               *comments[3];
    ngx_pool_t               *pool;
    ngx_http_spaces_room_t   *room;
    ngx_http_spaces_space_t  *space;

    room = owned->room;

    pool = ngx_create_pool(NGX_HTTP_SPACES_DOCUMENT, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    space = ngx_http_spaces_zone_space(owned->smcf->zone, room, pool);

    if (space == NULL
        || (title = ngx_pnalloc(pool, space->title.len + 7)) == NULL
        || (artist = ngx_pnalloc(pool, space->host.len + 8)) == NULL
        || (date = ngx_pnalloc(pool, sizeof("DATE=9999-12-31"))) == NULL)
    {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    ngx_gmtime((time_t) (room->started_at / 1000), &tm);

    ngx_sprintf(title, "TITLE=%V%Z", &space->title);
    ngx_sprintf(artist, "ARTIST=%V%Z", &space->host);
    ngx_sprintf(date, "DATE=%4d-%02d-%02d%Z", tm.ngx_tm_year, tm.ngx_tm_mon,
                tm.ngx_tm_mday);

    comments[0] = (char *) title;
    comments[1] = (char *) artist;
    comments[2] = (char *) date;

    serial = (uint32_t) ngx_random() ^ (uint32_t) ngx_pid;

    spaces_playout_begin(&owned->playout, serial, &room->head, comments, 3);

    ngx_destroy_pool(pool);

    return NGX_OK;
}


/* a page: to the ring of pages first, then one store makes it true */

static void
ngx_http_spaces_owned_page(spaces_playout_t *playout, const uint8_t *page,
    size_t len)
{
    size_t                    start, first;
    ngx_atomic_uint_t         next;
    ngx_http_spaces_room_t   *room;
    ngx_http_spaces_owned_t  *owned;

    owned = playout->data;
    room = owned->room;

    start = (size_t) ((playout->state.head - len) % NGX_HTTP_SPACES_PAGES);
    first = ngx_min(len, NGX_HTTP_SPACES_PAGES - start);

    ngx_memcpy(room->pages + start, page, first);
    ngx_memcpy(room->pages, page + first, len - first);

    next = !(room->current & 1);
    room->playout[next] = playout->state;

    ngx_memory_barrier();

    room->current = next;

    spaces_packet_ring_release(room->ring, &playout->state.cursor);
}


static void
ngx_http_spaces_owned_step(ngx_http_spaces_owned_t *owned, int64_t now)
{
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    if (ngx_exiting && ngx_http_spaces_owned_hand_over(owned)) {
        return;
    }

    switch (room->state) {

    case NGX_HTTP_SPACES_ROOM_STARTING:
        ngx_http_spaces_owned_starting(owned);
        break;

    case NGX_HTTP_SPACES_ROOM_LIVE:
        ngx_http_spaces_owned_live(owned, now);
        break;

    case NGX_HTTP_SPACES_ROOM_ENDING:
        ngx_http_spaces_owned_ending(owned);
        break;

    default: /* ENDED, FAILED */
        ngx_http_spaces_owned_ended(owned, now);
    }
}


static void
ngx_http_spaces_owned_starting(ngx_http_spaces_owned_t *owned)
{
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    if (owned->recorder) {

        if (!ngx_http_spaces_recorder_idle(owned->recorder)) {
            return;
        }

        if (ngx_http_spaces_recorder_failed(owned->recorder)) {
            ngx_http_spaces_owned_fail(owned,
                          ngx_http_spaces_recorder_no_space(owned->recorder));
            return;
        }
    }

    room->state = NGX_HTTP_SPACES_ROOM_LIVE;
    owned->unsaved = 1;
}


static void
ngx_http_spaces_owned_live(ngx_http_spaces_owned_t *owned, int64_t now)
{
    spaces_playout_state_t   *state;
    spaces_playout_status_e   status;
    ngx_http_spaces_room_t   *room;

    room = owned->room;
    state = &owned->playout.state;

    if (state->finished) {

        /* the owner before was killed right here */
        status = SPACES_PLAYOUT_COMPLETE;

    } else if (ngx_http_spaces_owned_is_over(owned, now)) {

        (void) spaces_playout_drain(&owned->playout, now);

        status = ngx_http_spaces_owned_is_drained(owned, now)
                 ? SPACES_PLAYOUT_COMPLETE : SPACES_PLAYOUT_PLAYING;

    } else {
        status = spaces_playout_run(&owned->playout, now);
    }

    room->speaking = (state->anchored && state->concealed == 0);

    if (status == SPACES_PLAYOUT_COMPLETE) {
        if (!state->finished) {
            spaces_playout_finish(&owned->playout);
        }

        room->speaking = 0;
        room->ended_at = ngx_http_spaces_now();
        room->state = NGX_HTTP_SPACES_ROOM_ENDING;

        ngx_http_spaces_owned_ending(owned);

        return;
    }

    if (owned->recorder) {
        ngx_http_spaces_recorder_run(owned->recorder);

        if (ngx_http_spaces_recorder_failed(owned->recorder)) {
            room->recording = NGX_HTTP_SPACES_NONE;
            room->torn = 1;
        }
    }

    if (room->dirty) {
        room->dirty = 0;
        owned->unsaved = 1;
    }

    if (owned->unsaved && !owned->saving
        && now >= owned->tried + NGX_HTTP_SPACES_RESAVE)
    {
        ngx_http_spaces_owned_save(owned);
    }
}


static ngx_uint_t
ngx_http_spaces_owned_is_over(ngx_http_spaces_owned_t *owned, int64_t now)
{
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    if (room->ending) {
        return 1;
    }

    if (room->source == 0 && now >= room->vacant + room->reconnect
        && spaces_packet_ring_empty(room->ring,
                                    &owned->playout.state.cursor))
    {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "space %V ends: its host has not come back",
                      &room->sn.str);
        return 1;
    }

    if (owned->playout.state.granule / (SPACES_OPUS_RATE / 1000)
        >= room->max_duration)
    {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "space %V ends: \"spaces_max_duration\" is reached",
                      &room->sn.str);
        return 1;
    }

    return 0;
}


/* what was asked to end takes in what its source still holds */

static ngx_uint_t
ngx_http_spaces_owned_is_drained(ngx_http_spaces_owned_t *owned, int64_t now)
{
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    if (!room->ending || room->source == 0
        || room->drained == room->source_serial)
    {
        return 1;
    }

    if (owned->ending == 0) {
        owned->ending = now;
    }

    return now >= owned->ending + NGX_HTTP_SPACES_DRAIN;
}


/* step by step, each begun when the one before is done */

static void
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

    room->ended = ngx_http_spaces_monotonic();

    ngx_memory_barrier();

    room->state = NGX_HTTP_SPACES_ROOM_ENDED;

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
    space->expires_at = room->ended_at + space->replay_ttl * 1000;

    room->expires_at = space->expires_at;

    return space;
}


static void
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

        if (room->dirty) {
            room->dirty = 0;
            ngx_http_spaces_owned_save(owned);
            return;
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

    if (room->source
        || (room->state == NGX_HTTP_SPACES_ROOM_ENDED
            && now < room->ended + NGX_HTTP_SPACES_LINGER))
    {
        return;
    }

    ngx_http_spaces_zone_free(owned->smcf->zone, room);
    ngx_http_spaces_owned_free(owned);
}


/* a worker that leaves lets another take the room, when one asks for it */

static ngx_uint_t
ngx_http_spaces_owned_hand_over(ngx_http_spaces_owned_t *owned)
{
    ngx_http_spaces_room_t  *room;

    room = owned->room;
    room->leaving = 1;

    if (room->claimant == 0 || owned->saving
        || room->state == NGX_HTTP_SPACES_ROOM_STARTING
        || (owned->recorder
            && !ngx_http_spaces_recorder_idle(owned->recorder)))
    {
        return 0;
    }

    ngx_memory_barrier();

    /* the packets of the page at hand are still in the ring */

    room->owner = room->claimant;

    ngx_http_spaces_owned_free(owned);

    return 1;
}


static void
ngx_http_spaces_owned_fail(ngx_http_spaces_owned_t *owned,
    ngx_uint_t no_space)
{
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    room->no_space = no_space;
    room->ended = ngx_http_spaces_monotonic();

    ngx_memory_barrier();

    room->state = NGX_HTTP_SPACES_ROOM_FAILED;
}


static void
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


static void
ngx_http_spaces_owned_recorded(void *data)
{
    ngx_http_spaces_owned_t  *owned = data;

    /* an end waits for no tick */

    if (owned->room->state == NGX_HTTP_SPACES_ROOM_ENDING) {
        ngx_http_spaces_owned_ending(owned);

    } else if (owned->room->state == NGX_HTTP_SPACES_ROOM_STARTING) {
        ngx_http_spaces_owned_starting(owned);
    }
}


static void
ngx_http_spaces_owned_free(ngx_http_spaces_owned_t *owned)
{
    ngx_queue_remove(&owned->queue);

    if (owned->recorder) {
        ngx_http_spaces_recorder_free(owned->recorder);
    }

    ngx_free(owned);
}
