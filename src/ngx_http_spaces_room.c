
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_owned.h"
#include "ngx_http_spaces_store.h"
#include "ngx_http_spaces_tick.h"

#include "spaces_celt.h"
#include "spaces_wave.h"


/* listeners are counted every so often, ms */
#define NGX_HTTP_SPACES_COUNT     1000

/* an end waits for what its sources have received and not passed on, ms */
#define NGX_HTTP_SPACES_DRAIN     400

/* and for all that is in the rings, but not for ever */
#define NGX_HTTP_SPACES_DRAINED   900

/*
 * Calls of the codec in one tick, of some 40 microseconds each: what exceeds
 * that is for the thread pool
 */
#define NGX_HTTP_SPACES_CODEC     60


static ngx_http_spaces_owned_t *ngx_http_spaces_owned_create(
    ngx_http_spaces_main_conf_t *smcf, ngx_http_spaces_room_t *room);
static ngx_int_t ngx_http_spaces_owned_begin(ngx_http_spaces_owned_t *owned,
    ngx_uint_t resume);
static void ngx_http_spaces_owned_wave(ngx_http_spaces_owned_t *owned,
    int64_t granule);
static void ngx_http_spaces_owned_page(spaces_playout_t *playout,
    const uint8_t *page, size_t len);
static void ngx_http_spaces_owned_starting(ngx_http_spaces_owned_t *owned);
static void ngx_http_spaces_owned_live(ngx_http_spaces_owned_t *owned,
    int64_t now);
static void ngx_http_spaces_owned_speakers(ngx_http_spaces_owned_t *owned);
static ngx_int_t ngx_http_spaces_owned_post(ngx_http_spaces_owned_t *owned);
static void ngx_http_spaces_owned_thread(void *data, ngx_log_t *log);
static void ngx_http_spaces_owned_thread_done(ngx_event_t *ev);
static void ngx_http_spaces_owned_play(ngx_http_spaces_owned_t *owned);
static void ngx_http_spaces_owned_played(ngx_http_spaces_owned_t *owned);
static void ngx_http_spaces_owned_count(ngx_http_spaces_owned_t *owned);
static const char *ngx_http_spaces_owned_why_over(
    ngx_http_spaces_owned_t *owned, int64_t now);
static ngx_uint_t ngx_http_spaces_owned_is_long(
    ngx_http_spaces_owned_t *owned);
static ngx_uint_t ngx_http_spaces_owned_is_drained(
    ngx_http_spaces_owned_t *owned, int64_t now);
static ngx_uint_t ngx_http_spaces_owned_hand_over(
    ngx_http_spaces_owned_t *owned);
static ngx_uint_t ngx_http_spaces_owned_let_go(
    ngx_http_spaces_owned_t *owned);
static void ngx_http_spaces_owned_dismiss(ngx_http_spaces_owned_t *owned,
    ngx_uint_t resume);
static void ngx_http_spaces_owned_fail(ngx_http_spaces_owned_t *owned,
    ngx_uint_t no_space);
static void ngx_http_spaces_owned_recorded(void *data);


ngx_int_t
ngx_http_spaces_room_own(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_room_t *room)
{
    ngx_uint_t                resume;
    ngx_http_spaces_owned_t  *owned;

    resume = (ngx_http_spaces_room_playout(room)->head != 0);

    owned = ngx_http_spaces_owned_create(smcf, room);
    if (owned == NULL) {

        if (!resume) {
            room->state = NGX_HTTP_SPACES_ROOM_FAILED;
        }

        room->owner = 0;
        return NGX_ERROR;
    }

    if ((!resume || room->header_len == 0)
        && ngx_http_spaces_owned_begin(owned, resume) != NGX_OK)
    {
        ngx_http_spaces_owned_dismiss(owned, resume);
        return NGX_ERROR;
    }

    if (resume) {
        spaces_playout_resume(&owned->playout,
                              ngx_http_spaces_room_playout(room));
    }

    if (room->record
        && room->state != NGX_HTTP_SPACES_ROOM_FAILED
        && (room->state != NGX_HTTP_SPACES_ROOM_ENDED
            || (room->recording == NGX_HTTP_SPACES_AVAILABLE && !room->moved)))
    {
        owned->recorder = ngx_http_spaces_recorder_open(smcf, room, resume,
                                             ngx_http_spaces_owned_recorded,
                                             owned);
        if (owned->recorder == NULL) {
            ngx_http_spaces_owned_dismiss(owned, resume);
            return NGX_ERROR;
        }
    }

    if (room->state == NGX_HTTP_SPACES_ROOM_ENDED) {
        owned->end = ngx_http_spaces_end_saving;

    } else if (room->state == NGX_HTTP_SPACES_ROOM_LIVE) {
        owned->unsaved = 1;
    }

    ngx_http_spaces_tick_soon(smcf->tick);

    return NGX_OK;
}


static ngx_http_spaces_owned_t *
ngx_http_spaces_owned_create(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_room_t *room)
{
    ngx_http_spaces_owned_t  *owned;

    owned = ngx_alloc(sizeof(ngx_http_spaces_owned_t), ngx_cycle->log);
    if (owned == NULL) {
        return NULL;
    }

    /* not the playout's body: its pages are touched as they are needed */

    ngx_memzero(owned, offsetof(ngx_http_spaces_owned_t, playout));

    owned->task = ngx_calloc(sizeof(ngx_thread_task_t), ngx_cycle->log);
    if (owned->task == NULL) {
        ngx_free(owned);
        return NULL;
    }

    owned->task->ctx = owned;
    owned->task->handler = ngx_http_spaces_owned_thread;
    owned->task->event.data = owned;
    owned->task->event.handler = ngx_http_spaces_owned_thread_done;

    owned->room = room;
    owned->smcf = smcf;
    owned->resave = smcf->zone->sh->resave;

    spaces_playout_init(&owned->playout, (unsigned) room->nspeakers);

    owned->playout.handler = ngx_http_spaces_owned_page;
    owned->playout.data = owned;
    owned->playout.channels = (int) room->channels;
    owned->playout.bitrate = (int) room->bitrate;
    owned->playout.gain = room->head.gain;

    ngx_queue_insert_tail(&smcf->rooms->owned.queue, &owned->queue);

    return owned;
}


/*
 * The header pages tell players the title, the host and the day.  A stream
 * that was found on disk goes on with a header of its own for who listens.
 */

static ngx_int_t
ngx_http_spaces_owned_begin(ngx_http_spaces_owned_t *owned, ngx_uint_t resume)
{
    size_t                    len;
    u_char                   *title, *artist, *date;
    uint32_t                  serial;
    ngx_tm_t                  tm;
    const char               *comments[3];
    ngx_pool_t               *pool;
    spaces_playout_t         *playout;
    ngx_http_spaces_room_t   *room;
    ngx_http_spaces_space_t  *space;

    room = owned->room;
    playout = &owned->playout;

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

    if (resume) {
        serial = ngx_http_spaces_room_playout(room)->serial;

        len = spaces_ogg_writer_begin(&playout->writer, serial, &room->head,
                                      comments, 3, playout->page);

        ngx_memcpy(room->header, playout->page, len);
        room->header_len = len;

    } else {
        serial = (uint32_t) ngx_random() ^ (uint32_t) ngx_pid;

        spaces_playout_begin(playout, serial, &room->head, comments, 3);
    }

    ngx_destroy_pool(pool);

    return NGX_OK;
}


/* how loud the page is that begins there, and who speaks in it */

static void
ngx_http_spaces_owned_wave(ngx_http_spaces_owned_t *owned, int64_t granule)
{
    u_char             record[SPACES_WAVE_RECORD];
    spaces_playout_t  *playout;

    playout = &owned->playout;

    if (owned->recorder) {
        (void) spaces_wave_put_level(record, granule,
                                     (int) (playout->state.granule - granule),
                                     playout->level, playout->heard);

        ngx_http_spaces_recorder_wave(owned->recorder, record,
                                      sizeof(record));
    }

    playout->level = SPACES_CELT_SILENCE;
    playout->heard = 0;
}


/* a page: to the ring of pages first, then one store makes it true */

static void
ngx_http_spaces_owned_page(spaces_playout_t *playout, const uint8_t *page,
    size_t len)
{
    size_t                    start, first;
    ngx_uint_t                n;
    ngx_atomic_uint_t         next;
    ngx_http_spaces_room_t   *room;
    ngx_http_spaces_index_t  *index;
    ngx_http_spaces_owned_t  *owned;

    owned = playout->data;
    room = owned->room;

    start = (size_t) ((playout->state.head - len) % NGX_HTTP_SPACES_PAGES);
    first = ngx_min(len, NGX_HTTP_SPACES_PAGES - start);

    ngx_memcpy(room->pages + start, page, first);
    ngx_memcpy(room->pages, page + first, len - first);

    if (playout->state.head == len) {

        /* the two of the header; its comments are of bounded length */

        ngx_memcpy(room->header, page, len);
        room->header_len = len;

    } else {
        n = playout->state.sequence - 1;

        index = &room->index[n % NGX_HTTP_SPACES_INDEX];
        index->start = playout->state.head - len;
        index->granule = ngx_http_spaces_room_playout(room)->granule;

        ngx_http_spaces_owned_wave(owned, index->granule);

        if (room->first > n) {
            room->first = n;
        }
    }

    next = !(room->current & 1);

    ngx_memcpy(&room->playout[next], &playout->state,
               spaces_playout_state_size(playout->nsources));

    ngx_memory_barrier();

    room->current = next;

    spaces_playout_release(playout);
}


void
ngx_http_spaces_owned_step(ngx_http_spaces_owned_t *owned, int64_t now)
{
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    ngx_http_spaces_room_renew(room, now);

    if (owned->playing) {
        return;
    }

    if (ngx_exiting
        && (ngx_http_spaces_owned_hand_over(owned)
            || ngx_http_spaces_owned_let_go(owned)))
    {
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

        ngx_http_spaces_metrics_add(ngx_http_spaces_metric_started, 1);
    }

    room->state = NGX_HTTP_SPACES_ROOM_LIVE;
    owned->unsaved = 1;

    ngx_http_spaces_room_changed(room);
}


static void
ngx_http_spaces_owned_live(ngx_http_spaces_owned_t *owned, int64_t now)
{
    uint64_t                  began;
    unsigned                  cost;
    const char               *why;
    ngx_http_spaces_rooms_t  *rooms;

    ngx_http_spaces_owned_speakers(owned);

    owned->now = now;

    why = owned->draining ? NULL : ngx_http_spaces_owned_why_over(owned, now);

    if (why) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "space %V ends: %s", &owned->room->sn.str, why);

        /* from here on the sources hurry, too */

        owned->draining = 1;
        owned->ending = now;
        owned->room->ending = 1;

        if (ngx_http_spaces_owned_is_long(owned)) {

            /* what else has been said is more than may be */

            owned->ending = now - NGX_HTTP_SPACES_DRAINED;
            ngx_http_spaces_owned_played(owned);
            return;
        }
    }

    rooms = owned->smcf->rooms;
    cost = spaces_playout_cost(&owned->playout, now);

    if (owned->draining) {

        /* up to a second of audio at once */

        cost = spaces_playout_cost(&owned->playout, now + 1000);
    }

    if (cost && rooms->codec + cost > NGX_HTTP_SPACES_CODEC
        && ngx_http_spaces_owned_post(owned) == NGX_OK)
    {
        return;
    }

    rooms->codec += cost;

    began = cost ? ngx_http_spaces_metrics_clock() : 0;

    ngx_http_spaces_owned_play(owned);

    if (cost) {
        ngx_http_spaces_metrics_since(ngx_http_spaces_metric_codec_loop,
                                      began);
    }

    ngx_http_spaces_owned_played(owned);
}


/* who has come, gone, or was muted since the last tick */

static void
ngx_http_spaces_owned_speakers(ngx_http_spaces_owned_t *owned)
{
    ngx_uint_t                  i;
    spaces_playout_t           *playout;
    u_char                      records[SPACES_WAVE_SPEAKER];
    ngx_atomic_uint_t           serial;
    ngx_http_spaces_room_t     *room;
    spaces_playout_source_t    *source;
    ngx_http_spaces_speaker_t  *speaker;

    room = owned->room;
    playout = &owned->playout;

    for (i = 0; i < room->nspeakers; i++) {
        speaker = &room->speakers[i];
        source = &playout->sources[i];

        serial = speaker->serial;

        if (speaker->vacated == serial) {
            continue;
        }

        if (owned->serials[i] != serial) {
            owned->serials[i] = serial;

            if (owned->recorder) {
                ngx_http_spaces_recorder_wave(owned->recorder, records,
                    spaces_wave_put_speaker(records, (unsigned) i,
                                            speaker->id, speaker->id_len,
                                            speaker->name,
                                            speaker->name_len));
            }

            if (spaces_playout_join(playout, (unsigned) i, speaker->ring,
                                    speaker->returns ? speaker->back : NULL,
                                    speaker->margin, speaker->gain, i == 0)
                != 0)
            {
                ngx_http_spaces_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                                 "space %V: no memory to mix its speakers, one "
                                 "of them is heard", &room->sn.str);
            }
        }

        source->muted = (speaker->muted || speaker->removed);

        /* a host who is through stays: the next turn ends the Space */

        if (speaker->source == 0 && !source->complete
            && spaces_playout_played(playout, (unsigned) i))
        {
            spaces_playout_leave(playout, (unsigned) i);

            speaker->active = 0;
            ngx_memory_barrier();

            /* not another's, who may have come since */

            speaker->vacated = serial;
        }
    }
}


static ngx_int_t
ngx_http_spaces_owned_post(ngx_http_spaces_owned_t *owned)
{
    if (ngx_thread_task_post(owned->smcf->codec_pool, owned->task) != NGX_OK) {
        return NGX_ERROR;
    }

    owned->playing = 1;

    return NGX_OK;
}


static void
ngx_http_spaces_owned_thread(void *data, ngx_log_t *log)
{
    uint64_t  began;

    began = ngx_http_spaces_metrics_clock();

    ngx_http_spaces_owned_play(data);

    ngx_http_spaces_metrics_since(ngx_http_spaces_metric_codec_thread, began);
}


static void
ngx_http_spaces_owned_thread_done(ngx_event_t *ev)
{
    ngx_http_spaces_owned_t *owned = ev->data;

    owned->playing = 0;

    ngx_http_spaces_owned_played(owned);
}


/* on the event loop or in a thread, which has the playout for itself then */

static void
ngx_http_spaces_owned_play(ngx_http_spaces_owned_t *owned)
{
    spaces_playout_t  *playout;

    playout = &owned->playout;

    if (playout->state.finished) {

        /* the owner before was killed right here */

        owned->status = SPACES_PLAYOUT_COMPLETE;

    } else if (owned->draining) {
        owned->status = spaces_playout_drain(playout, owned->now);

    } else {
        owned->status = spaces_playout_run(playout, owned->now);
    }
}


static void
ngx_http_spaces_owned_played(ngx_http_spaces_owned_t *owned)
{
    spaces_playout_t        *playout;
    ngx_http_spaces_room_t  *room;

    room = owned->room;
    playout = &owned->playout;

    if (owned->status == SPACES_PLAYOUT_COMPLETE && !owned->draining
        && playout->present > 1)
    {
        /* the host is through, and the Space ends as if it was asked to */

        playout->state.trim = 0;
        room->ending = 1;
        return;
    }

    if ((owned->status == SPACES_PLAYOUT_COMPLETE
         && (playout->state.finished || !owned->draining
             || ngx_http_spaces_owned_is_drained(owned, owned->now)))
        || (owned->draining
            && owned->now >= owned->ending + NGX_HTTP_SPACES_DRAINED))
    {
        if (!playout->state.finished) {
            spaces_playout_finish(playout);
        }

        room->ended_at = ngx_http_spaces_now();
        room->state = NGX_HTTP_SPACES_ROOM_ENDING;

        ngx_http_spaces_owned_ending(owned);

        return;
    }

    ngx_http_spaces_owned_count(owned);

    if (owned->recorder) {
        ngx_http_spaces_recorder_run(owned->recorder);

        if (ngx_http_spaces_recorder_failed(owned->recorder) && !room->torn) {

            /* the reason first: who sees that it stopped tells why */

            room->torn = 1;

            ngx_memory_barrier();

            room->recording = NGX_HTTP_SPACES_NONE;
            ngx_http_spaces_metrics_add(ngx_http_spaces_metric_stopped, 1);
            ngx_http_spaces_room_changed(room);

            owned->unsaved = 1;
        }
    }

    if (room->dirty || owned->resave != owned->smcf->zone->sh->resave) {
        room->dirty = 0;
        owned->unsaved = 1;
    }

    if (owned->unsaved && !owned->saving
        && owned->now >= owned->tried + NGX_HTTP_SPACES_RESAVE)
    {
        ngx_http_spaces_owned_save(owned);
    }
}


/* who is heard to speak, and how many listen */

static void
ngx_http_spaces_owned_count(ngx_http_spaces_owned_t *owned)
{
    ngx_uint_t               i, n, kept;
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    for (i = 0; i < room->nspeakers; i++) {

        if (room->speakers[i].active != owned->playout.sources[i].active) {
            room->speakers[i].active = owned->playout.sources[i].active;
            ngx_http_spaces_room_changed(room);
        }
    }

    if (owned->now < owned->counted + NGX_HTTP_SPACES_COUNT) {
        return;
    }

    owned->counted = owned->now;

    n = ngx_http_spaces_zone_listeners(room, &kept);

    if (n != room->listeners) {
        room->listeners = n;
        room->peak = ngx_max(room->peak, n);
        ngx_http_spaces_room_changed(room);
    }
}


/* why the room is to end now, NULL if it goes on */

static const char *
ngx_http_spaces_owned_why_over(ngx_http_spaces_owned_t *owned, int64_t now)
{
    ngx_uint_t               i;
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    if (room->ending) {
        return "it was asked to, or its host is through";
    }

    if (ngx_http_spaces_owned_is_long(owned)) {
        return "\"spaces_max_duration\" is reached";
    }

    if (room->vacant == 0 || now < room->vacant + room->reconnect) {
        return NULL;
    }

    for (i = 0; i < room->nspeakers; i++) {

        if (!spaces_playout_played(&owned->playout, (unsigned) i)) {
            return NULL;
        }
    }

    return "nobody has come back to speak";
}


static ngx_uint_t
ngx_http_spaces_owned_is_long(ngx_http_spaces_owned_t *owned)
{
    return owned->playout.state.granule / (SPACES_OPUS_RATE / 1000)
           >= owned->room->max_duration;
}


/* what was asked to end takes in what its sources still hold */

static ngx_uint_t
ngx_http_spaces_owned_is_drained(ngx_http_spaces_owned_t *owned, int64_t now)
{
    ngx_uint_t                  i;
    ngx_http_spaces_room_t     *room;
    ngx_http_spaces_speaker_t  *speaker;

    room = owned->room;

    if (now >= owned->ending + NGX_HTTP_SPACES_DRAIN) {
        return 1;
    }

    for (i = 0; i < room->nspeakers; i++) {
        speaker = &room->speakers[i];

        if (speaker->source && speaker->drained != speaker->serial) {
            return 0;
        }
    }

    return 1;
}


/* a worker that leaves lets another take the room, when one asks for it */

static ngx_uint_t
ngx_http_spaces_owned_hand_over(ngx_http_spaces_owned_t *owned)
{
    ngx_atomic_uint_t        claimant;
    ngx_http_spaces_room_t  *room;
    ngx_http_spaces_zone_t  *zone;

    room = owned->room;
    room->leaving = 1;

    if (room->claimant == 0 || owned->saving
        || room->state == NGX_HTTP_SPACES_ROOM_STARTING
        || (owned->recorder
            && !ngx_http_spaces_recorder_idle(owned->recorder)))
    {
        return 0;
    }

    /* it may take its claim back, if it is told to leave as well */

    zone = owned->smcf->zone;

    ngx_shmtx_lock(&zone->shpool->mutex);

    claimant = room->claimant;

    if (claimant) {
        /* the packets of the page at hand are still in the ring */
        room->owner = claimant;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (claimant == 0) {
        return 0;
    }

    ngx_http_spaces_owned_free(owned);

    return 1;
}


/*
 * No worker is left to hand over to, but there may be another nginx: those
 * who speak and listen are told to come back, and it goes on with the file.
 */

static ngx_uint_t
ngx_http_spaces_owned_let_go(ngx_http_spaces_owned_t *owned)
{
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    if (!owned->smcf->rooms->unattended || owned->saving || owned->draining
        || room->ending || room->state != NGX_HTTP_SPACES_ROOM_LIVE
        || owned->status == SPACES_PLAYOUT_COMPLETE
        || (owned->recorder
            && !ngx_http_spaces_recorder_idle(owned->recorder)))
    {
        return 0;
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "space %V is left to the nginx that follows",
                  &room->sn.str);

    ngx_http_spaces_owned_write_out(owned);

    if (owned->recorder) {
        ngx_http_spaces_recorder_free(owned->recorder);
        owned->recorder = NULL;
    }

    room->moved_on = 1;

    ngx_http_spaces_owned_fail(owned, 0);
    ngx_http_spaces_room_changed(room);

    return 1;
}


/* this may be the last process that sees the rings */

void
ngx_http_spaces_owned_write_out(ngx_http_spaces_owned_t *owned)
{
    spaces_playout_status_e  status;

    if (owned->room->state == NGX_HTTP_SPACES_ROOM_LIVE) {

        if (owned->status == SPACES_PLAYOUT_COMPLETE) {
            spaces_playout_finish(&owned->playout);

        } else {
            do {
                status = spaces_playout_drain(&owned->playout,
                                              ngx_http_spaces_monotonic());
            } while (status != SPACES_PLAYOUT_COMPLETE);

            spaces_playout_flush(&owned->playout);
        }
    }

    if (owned->recorder) {
        ngx_http_spaces_recorder_leave(owned->recorder);
    }
}


/* want of memory: a room that is live is tried again, by who looks first */

static void
ngx_http_spaces_owned_dismiss(ngx_http_spaces_owned_t *owned,
    ngx_uint_t resume)
{
    ngx_http_spaces_room_t  *room;

    room = owned->room;

    if (!resume) {
        ngx_http_spaces_owned_fail(owned, 0);
        return;
    }

    ngx_http_spaces_owned_free(owned);
    room->owner = 0;
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
