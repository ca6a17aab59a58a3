
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_feed.h"

#include "spaces_ogg_seek.h"


/* how many ms a slow listener may be behind before it is skipped forward */
#define NGX_HTTP_SPACES_BEHIND    5000
#define NGX_HTTP_SPACES_SKIP      1000

/* a listener is counted when it has stayed so long: probes haven't, ms */
#define NGX_HTTP_SPACES_STAY      1000

#define NGX_HTTP_SPACES_LOOK      250     /* for a room that isn't there, ms */
#define NGX_HTTP_SPACES_BEAT      15000

/* the bytes of a form: at first, and at most */
#define NGX_HTTP_SPACES_FORM_MIN  8192
#define NGX_HTTP_SPACES_FORM_MAX  2097152

/* starts of frames that a form remembers: more than the ms behind need */
#define NGX_HTTP_SPACES_MARKS     512

/* pages that may be overwritten while they are read are left alone, bytes */
#define NGX_HTTP_SPACES_MOVING    66000

/* of a listener's past this much is taken at a time, bytes */
#define NGX_HTTP_SPACES_PIECE     65536


typedef struct {
    uint64_t                      at;
    int64_t                       time;      /* ms, monotonic */
} ngx_http_spaces_mark_t;


/* a stream of bytes that listeners are in: a ring of its last ones */

typedef struct {
    u_char                       *data;
    size_t                        size;      /* a power of two */
    uint64_t                      head;
    uint64_t                      last;      /* where the end begins */
    ngx_uint_t                    nmarks;    /* ever */
    ngx_http_spaces_mark_t       *marks;
    ngx_queue_t                   listeners;
    ngx_uint_t                    n;
} ngx_http_spaces_stream_t;


struct ngx_http_spaces_feed_s {
    ngx_queue_t                   queue;
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_http_spaces_waiter_t      waiter;
    ngx_str_t                     id;
    u_char                        id_data[NGX_HTTP_SPACES_ID_LEN];

    ngx_http_spaces_room_t       *room;      /* NULL: none, or over */
    uint64_t                      offset;    /* of the stream: taken so far */

    ngx_http_spaces_stream_t      streams[ngx_http_spaces_form_n];
    ngx_queue_t                   newcomers;
    ngx_queue_t                   subscribers;
    ngx_queue_t                  *next;      /* listener to be served */

    ngx_uint_t                    nusers;
    ngx_uint_t                    counted;
    ngx_uint_t                    published;

    /* what was told last */
    ngx_atomic_uint_t             version;
    ngx_uint_t                    recording;
    ngx_uint_t                    listeners;
    char                         *speakers;

    int64_t                       looked;
    int64_t                       beat;
    int64_t                       checked;
    int64_t                       now;

    unsigned                      running:1; /* in its tick */
    unsigned                      over:1;    /* the Space has ended */
};


struct ngx_http_spaces_feeds_s {
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_queue_t                   feeds;

    /* scratch: pages as they are, bytes as they go out */
    u_char                       *pages;
    ngx_http_spaces_bytes_t       bytes;
};


static ngx_http_spaces_feed_t *ngx_http_spaces_feed_get(
    ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id);
static ngx_int_t ngx_http_spaces_feed_enter(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_unuse(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_free(ngx_http_spaces_feed_t *feed);

static void ngx_http_spaces_feed_tick(ngx_http_spaces_waiter_t *waiter);
static void ngx_http_spaces_feed_take(ngx_http_spaces_feed_t *feed);
static size_t ngx_http_spaces_feed_copy(ngx_http_spaces_feed_t *feed,
    uint64_t from, uint64_t to);
static uint64_t ngx_http_spaces_feed_page(ngx_http_spaces_room_t *room,
    int64_t granule);
static int64_t ngx_http_spaces_feed_granule(ngx_http_spaces_room_t *room,
    uint64_t start);
static void ngx_http_spaces_feed_look(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_watch(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_tell(ngx_http_spaces_feed_t *feed,
    const char *name, json_t *data);
static void ngx_http_spaces_feed_tell_state(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_finish(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_count(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_beat(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_serve(ngx_http_spaces_feed_t *feed);

static ngx_int_t ngx_http_spaces_stream_init(ngx_http_spaces_stream_t *stream);
static void ngx_http_spaces_stream_add(ngx_http_spaces_stream_t *stream,
    u_char *data, size_t len, int64_t now);
static ngx_int_t ngx_http_spaces_stream_grow(ngx_http_spaces_stream_t *stream,
    size_t len, int64_t now);
static uint64_t ngx_http_spaces_stream_mark(ngx_http_spaces_stream_t *stream,
    int64_t time);

static ngx_int_t ngx_http_spaces_listener_begin(
    ngx_http_spaces_listener_t *listener, int64_t back, json_t *hello);
static void ngx_http_spaces_listener_serve(
    ngx_http_spaces_listener_t *listener);
static ngx_int_t ngx_http_spaces_listener_catch_up(
    ngx_http_spaces_listener_t *listener);
static ngx_int_t ngx_http_spaces_listener_refill(
    ngx_http_spaces_listener_t *listener);
static ngx_int_t ngx_http_spaces_listener_read_on(
    ngx_http_spaces_listener_t *listener);
static ngx_int_t ngx_http_spaces_listener_send(
    ngx_http_spaces_listener_t *listener, u_char *p, size_t len);
static uint64_t ngx_http_spaces_listener_skip(
    ngx_http_spaces_listener_t *listener);
static void ngx_http_spaces_listener_end(ngx_http_spaces_listener_t *listener,
    ngx_uint_t lost);
static void ngx_http_spaces_bytes_free(ngx_http_spaces_bytes_t *bytes);


ngx_http_spaces_feeds_t *
ngx_http_spaces_feeds_create(ngx_http_spaces_main_conf_t *smcf)
{
    ngx_http_spaces_feeds_t  *feeds;

    feeds = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_spaces_feeds_t));
    if (feeds == NULL) {
        return NULL;
    }

    feeds->smcf = smcf;

    ngx_queue_init(&feeds->feeds);

    feeds->pages = ngx_palloc(ngx_cycle->pool, NGX_HTTP_SPACES_PAGES);

    return feeds->pages ? feeds : NULL;
}


static ngx_http_spaces_feed_t *
ngx_http_spaces_feed_get(ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id)
{
    ngx_uint_t               i;
    ngx_queue_t             *q;
    ngx_http_spaces_feed_t  *feed;

    for (q = ngx_queue_head(&smcf->feeds->feeds);
         q != ngx_queue_sentinel(&smcf->feeds->feeds);
         q = ngx_queue_next(q))
    {
        feed = ngx_queue_data(q, ngx_http_spaces_feed_t, queue);

        if (!feed->over
            && ngx_memcmp(feed->id_data, id->data, NGX_HTTP_SPACES_ID_LEN)
               == 0)
        {
            return feed;
        }
    }

    feed = ngx_calloc(sizeof(ngx_http_spaces_feed_t), ngx_cycle->log);
    if (feed == NULL) {
        return NULL;
    }

    feed->smcf = smcf;
    feed->now = ngx_http_spaces_monotonic();
    feed->beat = feed->now;
    feed->checked = feed->now;
    feed->id.len = NGX_HTTP_SPACES_ID_LEN;
    feed->id.data = feed->id_data;
    ngx_memcpy(feed->id_data, id->data, NGX_HTTP_SPACES_ID_LEN);

    for (i = 0; i < ngx_http_spaces_form_n; i++) {
        ngx_queue_init(&feed->streams[i].listeners);
    }

    ngx_queue_init(&feed->newcomers);
    ngx_queue_init(&feed->subscribers);

    ngx_queue_insert_head(&smcf->feeds->feeds, &feed->queue);

    feed->waiter.handler = ngx_http_spaces_feed_tick;
    feed->waiter.data = feed;

    ngx_http_spaces_wait(smcf->tick, &feed->waiter);

    (void) ngx_http_spaces_feed_enter(feed);

    return feed;
}


static ngx_int_t
ngx_http_spaces_feed_enter(ngx_http_spaces_feed_t *feed)
{
    ngx_http_spaces_room_t  *room;

    room = ngx_http_spaces_zone_enter(feed->smcf->zone, &feed->id);

    if (room == NULL) {
        return NGX_DECLINED;
    }

    feed->room = room;
    feed->version = room->version;
    feed->recording = (room->recording == NGX_HTTP_SPACES_RECORDING);
    feed->listeners = room->listeners;
    feed->offset = ngx_http_spaces_room_playout(room)->head;
    feed->published = 0;

    return NGX_OK;
}


static void
ngx_http_spaces_feed_unuse(ngx_http_spaces_feed_t *feed)
{
    if (--feed->nusers == 0 && !feed->running) {
        ngx_http_spaces_feed_free(feed);
    }
}


static void
ngx_http_spaces_feed_free(ngx_http_spaces_feed_t *feed)
{
    ngx_uint_t  i;

    if (feed->room) {
        ngx_http_spaces_zone_leave(feed->room);
    }

    for (i = 0; i < ngx_http_spaces_form_n; i++) {
        ngx_free(feed->streams[i].data);
        ngx_free(feed->streams[i].marks);
    }

    free(feed->speakers);

    ngx_http_spaces_stop_waiting(&feed->waiter);
    ngx_queue_remove(&feed->queue);
    ngx_free(feed);
}


ngx_int_t
ngx_http_spaces_feed_join(ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id,
    ngx_http_spaces_listener_t *listener, int64_t back, json_t *hello)
{
    ngx_int_t                  rc;
    ngx_http_spaces_feed_t    *feed;
    ngx_http_spaces_stream_t  *stream;

    feed = ngx_http_spaces_feed_get(smcf, id);
    if (feed == NULL) {
        return NGX_ERROR;
    }

    feed->nusers++;

    if (feed->room == NULL) {

        /* it was made for events, before there was a room */

        feed->now = ngx_http_spaces_monotonic();
        feed->looked = 0;

        ngx_http_spaces_feed_look(feed);
    }

    stream = &feed->streams[listener->form];

    if (feed->room == NULL && listener->form < ngx_http_spaces_form_sse) {
        ngx_http_spaces_feed_unuse(feed);
        return NGX_DECLINED;
    }

    if (stream->data == NULL
        && ngx_http_spaces_stream_init(stream) != NGX_OK)
    {
        ngx_http_spaces_feed_unuse(feed);
        return NGX_ERROR;
    }

    listener->feed = feed;
    listener->since = ngx_http_spaces_monotonic();

    ngx_queue_insert_tail(&stream->listeners, &listener->queue);
    stream->n++;

    if (listener->counts) {
        listener->newcoming = 1;
        ngx_queue_insert_tail(&feed->newcomers, &listener->newcomer);
    }

    /* until its connection says that it may be sent to */

    listener->blocked = 1;

    rc = ngx_http_spaces_listener_begin(listener, back, hello);

    if (rc != NGX_OK) {
        ngx_http_spaces_feed_leave(listener);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_spaces_feed_leave(ngx_http_spaces_listener_t *listener)
{
    ngx_http_spaces_feed_t  *feed;

    feed = listener->feed;

    if (feed == NULL) {
        return;
    }

    listener->feed = NULL;

    if (feed->next == &listener->queue) {
        feed->next = ngx_queue_next(&listener->queue);
    }

    ngx_queue_remove(&listener->queue);
    feed->streams[listener->form].n--;

    if (listener->newcoming) {
        ngx_queue_remove(&listener->newcomer);
    }

    if (listener->counted) {
        feed->counted--;
    }

    ngx_http_spaces_bytes_free(&listener->past);
    ngx_http_spaces_past_close(listener->file);
    listener->file = NULL;

    ngx_http_spaces_feed_unuse(feed);
}


ngx_int_t
ngx_http_spaces_feed_subscribe(ngx_http_spaces_main_conf_t *smcf,
    ngx_str_t *id, ngx_http_spaces_subscriber_t *subscriber)
{
    ngx_http_spaces_feed_t  *feed;

    feed = ngx_http_spaces_feed_get(smcf, id);
    if (feed == NULL) {
        return NGX_ERROR;
    }

    feed->nusers++;

    subscriber->feed = feed;
    ngx_queue_insert_tail(&feed->subscribers, &subscriber->queue);

    return NGX_OK;
}


void
ngx_http_spaces_feed_unsubscribe(ngx_http_spaces_subscriber_t *subscriber)
{
    ngx_http_spaces_feed_t  *feed;

    feed = subscriber->feed;

    if (feed == NULL) {
        return;
    }

    subscriber->feed = NULL;

    if (feed->next == &subscriber->queue) {
        feed->next = ngx_queue_next(&subscriber->queue);
    }

    ngx_queue_remove(&subscriber->queue);

    ngx_http_spaces_feed_unuse(feed);
}


static void
ngx_http_spaces_feed_tick(ngx_http_spaces_waiter_t *waiter)
{
    ngx_http_spaces_feed_t *feed = waiter->data;

    feed->now = ngx_http_spaces_monotonic();
    feed->running = 1;

    if (feed->room == NULL && !feed->over) {
        ngx_http_spaces_feed_look(feed);
    }

    if (feed->room) {
        ngx_http_spaces_feed_take(feed);
        ngx_http_spaces_feed_watch(feed);
        ngx_http_spaces_feed_count(feed);
    }

    ngx_http_spaces_feed_beat(feed);
    ngx_http_spaces_feed_serve(feed);

    feed->running = 0;

    if (feed->nusers == 0) {
        ngx_http_spaces_feed_free(feed);
    }
}


/* the pages since the last tick, framed once for each form that is taken */

static void
ngx_http_spaces_feed_take(ngx_http_spaces_feed_t *feed)
{
    size_t                     len;
    uint64_t                   head;
    ngx_uint_t                 i;
    ngx_http_spaces_bytes_t   *bytes;
    ngx_http_spaces_stream_t  *stream;

    head = ngx_http_spaces_room_playout(feed->room)->head;

    if (head == feed->offset) {
        return;
    }

    len = ngx_http_spaces_feed_copy(feed, feed->offset, head);

    if (len == 0) {

        /* this process was stopped for longer than there is memory */

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "space %V: the listeners of this worker miss some audio",
                      &feed->id);

        feed->offset = head;
        return;
    }

    feed->offset = head;
    bytes = &feed->smcf->feeds->bytes;

    for (i = 0; i < ngx_http_spaces_form_sse; i++) {
        stream = &feed->streams[i];

        if (stream->n == 0) {
            continue;
        }

        bytes->len = 0;

        if (ngx_http_spaces_form_pages((ngx_http_spaces_form_e) i,
                                       feed->smcf->feeds->pages, len, 0, bytes)
            == NGX_OK)
        {
            ngx_http_spaces_stream_add(stream, bytes->data, bytes->len,
                                       feed->now);
        }
    }
}


/* to the scratch; 0 if they are not there any more */

static size_t
ngx_http_spaces_feed_copy(ngx_http_spaces_feed_t *feed, uint64_t from,
    uint64_t to)
{
    size_t                   len, start, first;
    u_char                  *pages;
    ngx_http_spaces_room_t  *room;

    room = feed->room;
    pages = feed->smcf->feeds->pages;
    len = (size_t) (to - from);

    if (to - from > NGX_HTTP_SPACES_PAGES - NGX_HTTP_SPACES_MOVING) {
        return 0;
    }

    start = (size_t) (from % NGX_HTTP_SPACES_PAGES);
    first = ngx_min(len, NGX_HTTP_SPACES_PAGES - start);

    ngx_memcpy(pages, room->pages + start, first);
    ngx_memcpy(pages + first, room->pages, len - first);

    ngx_memory_barrier();

    if (ngx_http_spaces_room_playout(room)->head - from
        > NGX_HTTP_SPACES_PAGES - NGX_HTTP_SPACES_MOVING)
    {
        return 0;
    }

    return len;
}


/* where the page begins that has the granule in it, or the oldest there is */

static uint64_t
ngx_http_spaces_feed_page(ngx_http_spaces_room_t *room, int64_t granule)
{
    uint64_t                  start, head;
    ngx_uint_t                n, oldest;
    spaces_playout_state_t   *state;
    ngx_http_spaces_index_t  *index;

    state = ngx_http_spaces_room_playout(room);

    head = state->head;
    start = head;
    n = state->sequence;

    oldest = n > NGX_HTTP_SPACES_INDEX - 8 ? n - (NGX_HTTP_SPACES_INDEX - 8)
                                           : 0;
    oldest = ngx_max(oldest, room->first);

    while (n > oldest) {
        index = &room->index[--n % NGX_HTTP_SPACES_INDEX];

        if (head - index->start
            > NGX_HTTP_SPACES_PAGES - 2 * NGX_HTTP_SPACES_MOVING)
        {
            break;
        }

        start = index->start;

        if (index->granule <= granule) {
            break;
        }
    }

    return start;
}


/* for events of a Space that isn't live yet */

static void
ngx_http_spaces_feed_look(ngx_http_spaces_feed_t *feed)
{
    if (feed->now < feed->looked + NGX_HTTP_SPACES_LOOK) {
        return;
    }

    feed->looked = feed->now;

    if (ngx_http_spaces_feed_enter(feed) == NGX_OK) {
        feed->version = (ngx_atomic_uint_t) -1;
        feed->recording = !feed->recording;

        ngx_http_spaces_feed_tell_state(feed);
    }
}


/* what has changed since it was told last */

static void
ngx_http_spaces_feed_watch(ngx_http_spaces_feed_t *feed)
{
    char                    *text;
    json_t                  *speakers;
    ngx_uint_t               i, recording;
    ngx_atomic_uint_t        version;
    ngx_http_spaces_room_t  *room;

    room = feed->room;
    version = room->version;

    if (version == feed->version) {
        return;
    }

    feed->version = version;

    if (room->state == NGX_HTTP_SPACES_ROOM_LIVE) {

        recording = (room->recording == NGX_HTTP_SPACES_RECORDING);

        if (recording != feed->recording) {
            feed->recording = recording;

            ngx_http_spaces_feed_tell(feed, "recording",
                              json_pack("{s:b}", "recording", (int) recording));

            if (room->torn) {
                ngx_http_spaces_feed_tell(feed, "warning",
                    json_pack("{s:s}", "detail",
                              "the recording has stopped: the disk takes no "
                              "more; what was recorded so far is kept"));
            }
        }

        speakers = ngx_http_spaces_zone_speakers(feed->smcf->zone, &feed->id);
        text = json_dumps(speakers, JSON_COMPACT);

        if (text && feed->speakers && ngx_strcmp(text, feed->speakers) == 0) {
            json_decref(speakers);
            free(text);

        } else {
            free(feed->speakers);
            feed->speakers = text;

            ngx_http_spaces_feed_tell(feed, "speakers",
                                json_pack("{s:o}", "speakers", speakers));
        }

        if (room->listeners != feed->listeners) {
            feed->listeners = room->listeners;

            ngx_http_spaces_feed_tell(feed, "listeners",
                                      json_pack("{s:i}", "listeners",
                                                (int) feed->listeners));
        }

        return;
    }

    if (room->state == NGX_HTTP_SPACES_ROOM_ENDED
        || room->state == NGX_HTTP_SPACES_ROOM_FAILED)
    {
        ngx_http_spaces_feed_take(feed);

        for (i = 0; i < ngx_http_spaces_form_n; i++) {
            feed->streams[i].last = feed->streams[i].head;
        }

        ngx_http_spaces_feed_tell_state(feed);
        ngx_http_spaces_feed_finish(feed);
    }
}


/* takes over the reference to the data */

static void
ngx_http_spaces_feed_tell(ngx_http_spaces_feed_t *feed, const char *name,
    json_t *data)
{
    char                          *text;
    ngx_str_t                      compact, json;
    ngx_uint_t                     i;
    ngx_pool_t                    *pool;
    ngx_queue_t                   *q;
    ngx_http_spaces_bytes_t       *bytes;
    ngx_http_spaces_stream_t      *stream;
    ngx_http_spaces_subscriber_t  *subscriber;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    text = json_dumps(data, JSON_COMPACT);

    if (pool == NULL || text == NULL
        || ngx_http_spaces_event_json(pool, name, data, &json) != NGX_OK)
    {
        goto done;
    }

    compact.data = (u_char *) text;
    compact.len = ngx_strlen(text);

    bytes = &feed->smcf->feeds->bytes;

    for (i = ngx_http_spaces_form_ws_opus; i < ngx_http_spaces_form_n; i++) {
        stream = &feed->streams[i];

        if (stream->n == 0) {
            continue;
        }

        bytes->len = 0;

        if (ngx_http_spaces_form_event((ngx_http_spaces_form_e) i, name,
                                       &compact, &json, bytes)
            == NGX_OK)
        {
            ngx_http_spaces_stream_add(stream, bytes->data, bytes->len,
                                       feed->now);
        }
    }

    for (q = ngx_queue_head(&feed->subscribers);
         q != ngx_queue_sentinel(&feed->subscribers);
         q = feed->next)
    {
        feed->next = ngx_queue_next(q);

        subscriber = ngx_queue_data(q, ngx_http_spaces_subscriber_t, queue);
        subscriber->event(subscriber->data, &json);
    }

    feed->next = NULL;

done:

    json_decref(data);
    free(text);

    if (pool) {
        ngx_destroy_pool(pool);
    }
}


ngx_int_t
ngx_http_spaces_event_json(ngx_pool_t *pool, const char *name, json_t *data,
    ngx_str_t *out)
{
    char    *text;
    json_t  *json;

    json = json_pack("{s:s}", "event", name);

    if (json == NULL || json_object_update(json, data) != 0) {
        json_decref(json);
        return NGX_ERROR;
    }

    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);

    if (text == NULL) {
        return NGX_ERROR;
    }

    out->len = ngx_strlen(text);
    out->data = ngx_pnalloc(pool, out->len);

    if (out->data) {
        ngx_memcpy(out->data, text, out->len);
    }

    free(text);

    return out->data ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_spaces_feed_tell_state(ngx_http_spaces_feed_t *feed)
{
    json_t                      *space_json;
    ngx_pool_t                  *pool;
    ngx_http_spaces_zone_t      *zone;
    ngx_http_spaces_space_t     *space;
    ngx_http_spaces_room_info_t  info;

    zone = feed->smcf->zone;

    pool = ngx_create_pool(NGX_HTTP_SPACES_DOCUMENT, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    space = ngx_http_spaces_zone_space(zone, feed->room, pool);

    if (space) {
        (void) ngx_http_spaces_zone_overlay(zone, space, &info);

        space_json = ngx_http_spaces_space_json(space,
                         ngx_http_spaces_zone_speakers(zone, &feed->id), 0);

        ngx_http_spaces_feed_tell(feed, "state",
            json_pack("{s:o, s:o}", "state",
                      ngx_http_spaces_json_string(
                                     &ngx_http_spaces_states[space->state]),
                      "space", space_json));
    }

    ngx_destroy_pool(pool);
}


/* all is taken that there will be: who is behind keeps what is left */

static void
ngx_http_spaces_feed_finish(ngx_http_spaces_feed_t *feed)
{
    ngx_uint_t                   i;
    ngx_queue_t                 *q;
    ngx_http_spaces_bytes_t     *bytes;
    ngx_http_spaces_stream_t    *stream;
    ngx_http_spaces_listener_t  *listener;

    bytes = &feed->smcf->feeds->bytes;

    for (i = 0; i < ngx_http_spaces_form_n; i++) {
        stream = &feed->streams[i];

        for (q = ngx_queue_head(&stream->listeners);
             q != ngx_queue_sentinel(&stream->listeners);
             q = ngx_queue_next(q))
        {
            listener = ngx_queue_data(q, ngx_http_spaces_listener_t, queue);

            while (listener->catching_up && listener->file == NULL
                   && listener->offset < feed->offset
                   && ngx_http_spaces_listener_refill(listener) == NGX_OK)
            {
                /* void */
            }
        }

        if (stream->n == 0) {
            continue;
        }

        bytes->len = 0;

        if (ngx_http_spaces_form_end((ngx_http_spaces_form_e) i, bytes)
            == NGX_OK)
        {
            ngx_http_spaces_stream_add(stream, bytes->data, bytes->len,
                                       feed->now);
        }
    }

    ngx_http_spaces_zone_leave(feed->room);

    feed->room = NULL;
    feed->over = 1;
}


static void
ngx_http_spaces_feed_count(ngx_http_spaces_feed_t *feed)
{
    ngx_queue_t                 *q;
    ngx_http_spaces_listener_t  *listener;

    if (feed->room == NULL) {
        return;
    }

    while (!ngx_queue_empty(&feed->newcomers)) {

        q = ngx_queue_head(&feed->newcomers);
        listener = ngx_queue_data(q, ngx_http_spaces_listener_t, newcomer);

        if (feed->now < listener->since + NGX_HTTP_SPACES_STAY) {
            break;
        }

        ngx_queue_remove(q);

        listener->newcoming = 0;
        listener->counted = 1;
        feed->counted++;
    }

    if (feed->counted != feed->published) {
        feed->published = feed->counted;
        ngx_http_spaces_zone_count(feed->room, feed->counted);
    }
}


/* that a connection without anything to say is still there */

static void
ngx_http_spaces_feed_beat(ngx_http_spaces_feed_t *feed)
{
    ngx_uint_t                 i;
    ngx_http_spaces_bytes_t   *bytes;
    ngx_http_spaces_stream_t  *stream;

    if (feed->now < feed->beat + NGX_HTTP_SPACES_BEAT || feed->over) {
        return;
    }

    feed->beat = feed->now;
    bytes = &feed->smcf->feeds->bytes;

    for (i = ngx_http_spaces_form_sse; i < ngx_http_spaces_form_n; i++) {
        stream = &feed->streams[i];
        bytes->len = 0;

        if (stream->n
            && ngx_http_spaces_form_beat((ngx_http_spaces_form_e) i, bytes)
               == NGX_OK)
        {
            ngx_http_spaces_stream_add(stream, bytes->data, bytes->len,
                                       feed->now);
        }
    }
}


static void
ngx_http_spaces_feed_serve(ngx_http_spaces_feed_t *feed)
{
    ngx_uint_t                   i, check;
    ngx_queue_t                 *q;
    ngx_http_spaces_stream_t    *stream;
    ngx_http_spaces_listener_t  *listener;

    check = (feed->now >= feed->checked + 1000);

    if (check) {
        feed->checked = feed->now;
    }

    for (i = 0; i < ngx_http_spaces_form_n; i++) {
        stream = &feed->streams[i];

        for (q = ngx_queue_head(&stream->listeners);
             q != ngx_queue_sentinel(&stream->listeners);
             q = feed->next)
        {
            feed->next = ngx_queue_next(q);

            listener = ngx_queue_data(q, ngx_http_spaces_listener_t, queue);

            if (check && listener->handlers->check) {
                listener->handlers->check(listener, feed->now);
            }

            if (listener->feed
                && (listener->position != stream->head || listener->catching_up
                    || feed->over))
            {
                ngx_http_spaces_listener_serve(listener);
            }
        }
    }

    feed->next = NULL;
}


static ngx_int_t
ngx_http_spaces_stream_init(ngx_http_spaces_stream_t *stream)
{
    stream->data = ngx_alloc(NGX_HTTP_SPACES_FORM_MIN, ngx_cycle->log);
    stream->marks = ngx_alloc(NGX_HTTP_SPACES_MARKS
                              * sizeof(ngx_http_spaces_mark_t),
                              ngx_cycle->log);

    if (stream->data == NULL || stream->marks == NULL) {
        ngx_free(stream->data);
        ngx_free(stream->marks);
        stream->data = NULL;
        stream->marks = NULL;
        return NGX_ERROR;
    }

    stream->size = NGX_HTTP_SPACES_FORM_MIN;

    return NGX_OK;
}


static void
ngx_http_spaces_stream_add(ngx_http_spaces_stream_t *stream, u_char *data,
    size_t len, int64_t now)
{
    size_t                   start, first;
    ngx_http_spaces_mark_t  *mark;

    if (len == 0
        || ngx_http_spaces_stream_grow(stream, len, now) != NGX_OK)
    {
        return;
    }

    mark = &stream->marks[stream->nmarks++ % NGX_HTTP_SPACES_MARKS];
    mark->at = stream->head;
    mark->time = now;

    start = (size_t) (stream->head & (stream->size - 1));
    first = ngx_min(len, stream->size - start);

    ngx_memcpy(stream->data + start, data, first);
    ngx_memcpy(stream->data, data + first, len - first);

    stream->head += len;
}


/* what slow listeners may still want is not written over */

static ngx_int_t
ngx_http_spaces_stream_grow(ngx_http_spaces_stream_t *stream, size_t len,
    int64_t now)
{
    size_t     size, n, start, end;
    u_char    *data;
    uint64_t   at, keep;

    keep = ngx_http_spaces_stream_mark(stream, now - NGX_HTTP_SPACES_BEHIND);

    size = stream->size;

    while (stream->head + len - keep > size
           && size < NGX_HTTP_SPACES_FORM_MAX)
    {
        size *= 2;
    }

    if (len > size) {
        return NGX_ERROR;
    }

    if (size == stream->size) {
        return NGX_OK;
    }

    data = ngx_alloc(size, ngx_cycle->log);
    if (data == NULL) {
        return NGX_ERROR;
    }

    at = stream->head > stream->size ? stream->head - stream->size : 0;

    for ( /* void */ ; at < stream->head; at += n) {
        start = (size_t) (at & (stream->size - 1));
        end = (size_t) (at & (size - 1));

        n = ngx_min(stream->size - start, size - end);
        n = (size_t) ngx_min(n, stream->head - at);

        ngx_memcpy(data + end, stream->data + start, n);
    }

    ngx_free(stream->data);

    stream->data = data;
    stream->size = size;

    return NGX_OK;
}


/* the first frame that begins not before the time */

static uint64_t
ngx_http_spaces_stream_mark(ngx_http_spaces_stream_t *stream, int64_t time)
{
    uint64_t                 at;
    ngx_uint_t               i, n;
    ngx_http_spaces_mark_t  *mark;

    at = stream->head;
    n = ngx_min(stream->nmarks, NGX_HTTP_SPACES_MARKS);

    for (i = 1; i <= n; i++) {
        mark = &stream->marks[(stream->nmarks - i) % NGX_HTTP_SPACES_MARKS];

        if (mark->time < time) {
            break;
        }

        at = mark->at;
    }

    return at;
}


/* the header, and where it begins */

static ngx_int_t
ngx_http_spaces_listener_begin(ngx_http_spaces_listener_t *listener,
    int64_t back, json_t *hello)
{
    char                    *text;
    int64_t                  granule;
    ngx_int_t                rc;
    ngx_str_t                compact, json;
    ngx_pool_t              *pool;
    ngx_http_spaces_feed_t  *feed;
    ngx_http_spaces_room_t  *room;

    feed = listener->feed;
    room = feed->room;

    listener->catching_up = 1;
    listener->offset = feed->offset;

    if (hello) {
        rc = NGX_ERROR;
        pool = ngx_create_pool(4096, ngx_cycle->log);
        text = json_dumps(hello, JSON_COMPACT);

        if (pool && text
            && ngx_http_spaces_event_json(pool, "hello", hello, &json)
               == NGX_OK)
        {
            compact.data = (u_char *) text;
            compact.len = ngx_strlen(text);

            rc = ngx_http_spaces_form_event(
                                  (ngx_http_spaces_form_e) listener->form,
                                  "hello", &compact, &json, &listener->past);
        }

        free(text);

        if (pool) {
            ngx_destroy_pool(pool);
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (room == NULL || listener->form >= ngx_http_spaces_form_sse) {
        return NGX_OK;
    }

    if (ngx_http_spaces_form_pages((ngx_http_spaces_form_e) listener->form,
                                   room->header, room->header_len, 1,
                                   &listener->past)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (back == 0) {
        return NGX_OK;
    }

    granule = ngx_http_spaces_room_playout(room)->granule;
    granule = back > granule / (SPACES_OPUS_RATE / 1000)
              ? 0 : granule - back * (SPACES_OPUS_RATE / 1000);

    listener->offset = ngx_min(ngx_http_spaces_feed_page(room, granule),
                               feed->offset);

    if (room->record && !room->torn
        && listener->offset > room->header_len
        && ngx_http_spaces_feed_granule(room, listener->offset) > granule)
    {
        return ngx_http_spaces_past_read(listener, feed->smcf, &feed->id,
                                         granule, 0, room->written);
    }

    return NGX_OK;
}


/* the granule where a page begins; what the index doesn't know is late */

static int64_t
ngx_http_spaces_feed_granule(ngx_http_spaces_room_t *room, uint64_t start)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_SPACES_INDEX; i++) {

        if (room->index[i].start == start) {
            return room->index[i].granule;
        }
    }

    return INT64_MAX;
}


void
ngx_http_spaces_listener_go_on(ngx_http_spaces_listener_t *listener)
{
    if (listener->feed == NULL || !listener->blocked) {
        return;
    }

    listener->blocked = 0;

    ngx_http_spaces_listener_serve(listener);
}


ngx_uint_t
ngx_http_spaces_listener_is_even(ngx_http_spaces_listener_t *listener)
{
    ngx_uint_t                 i, n;
    ngx_http_spaces_mark_t    *mark;
    ngx_http_spaces_stream_t  *stream;

    if (listener->feed == NULL) {
        return 0;
    }

    if (listener->catching_up) {
        return listener->sent == 0 || listener->sent == listener->past.len;
    }

    stream = &listener->feed->streams[listener->form];

    if (listener->position == stream->head) {
        return 1;
    }

    n = ngx_min(stream->nmarks, NGX_HTTP_SPACES_MARKS);

    for (i = 1; i <= n; i++) {
        mark = &stream->marks[(stream->nmarks - i) % NGX_HTTP_SPACES_MARKS];

        if (mark->at <= listener->position) {
            return mark->at == listener->position;
        }
    }

    return 0;
}


/* sends what it has not got yet, as far as its connection takes it */

static void
ngx_http_spaces_listener_serve(ngx_http_spaces_listener_t *listener)
{
    size_t                     start, n;
    uint64_t                   end;
    ngx_int_t                  rc;
    ngx_http_spaces_feed_t    *feed;
    ngx_http_spaces_stream_t  *stream;

    feed = listener->feed;

    if (listener->catching_up) {

        if (listener->blocked) {
            return;
        }

        rc = ngx_http_spaces_listener_catch_up(listener);

        if (rc != NGX_OK) {
            return;
        }
    }

    stream = &feed->streams[listener->form];

    if (stream->head - listener->position > stream->size) {

        /* it has taken nothing for so long that what comes next is gone */

        ngx_http_spaces_listener_end(listener, 1);
        return;
    }

    if (listener->blocked) {
        return;
    }

    while (listener->position < stream->head) {

        end = ngx_http_spaces_listener_skip(listener);

        start = (size_t) (listener->position & (stream->size - 1));
        n = (size_t) ngx_min(end - listener->position, stream->size - start);

        rc = ngx_http_spaces_listener_send(listener, stream->data + start, n);

        if (rc < 0) {
            return;
        }

        listener->position += rc;
    }

    if (feed->over) {
        ngx_http_spaces_listener_end(listener, 0);
    }
}


/* bytes that were sent; or it is blocked, or it has left */

static ngx_int_t
ngx_http_spaces_listener_send(ngx_http_spaces_listener_t *listener, u_char *p,
    size_t len)
{
    ssize_t  n;

    if (listener->handlers->ready && !listener->handlers->ready(listener)) {
        listener->blocked = 1;
        return NGX_AGAIN;
    }

    n = listener->handlers->send(listener, p, len);

    if (n == NGX_AGAIN) {
        listener->blocked = 1;
        return NGX_AGAIN;
    }

    if (n < 0) {
        ngx_http_spaces_listener_end(listener, 1);
        return NGX_ERROR;
    }

    return n;
}


/* NGX_OK: it is in the present */

static ngx_int_t
ngx_http_spaces_listener_catch_up(ngx_http_spaces_listener_t *listener)
{
    ngx_int_t                  rc;
    ngx_http_spaces_feed_t    *feed;
    ngx_http_spaces_stream_t  *stream;

    feed = listener->feed;

    for ( ;; ) {

        while (listener->sent < listener->past.len) {

            rc = ngx_http_spaces_listener_send(listener,
                                        listener->past.data + listener->sent,
                                        listener->past.len - listener->sent);

            if (rc < 0) {
                return rc;
            }

            listener->sent += rc;
        }

        listener->sent = 0;
        listener->past.len = 0;

        if (listener->file) {

            if (ngx_http_spaces_past_busy(listener->file)) {
                return NGX_AGAIN;
            }

            rc = ngx_http_spaces_listener_read_on(listener);

            if (rc != NGX_DECLINED) {
                return rc;
            }
        }

        if (listener->offset >= feed->offset) {
            break;
        }

        rc = ngx_http_spaces_listener_refill(listener);

        if (rc == NGX_DECLINED) {

            /* it was too slow: the present is all there is */

            break;
        }

        if (rc != NGX_OK) {
            ngx_http_spaces_listener_end(listener, 1);
            return NGX_ERROR;
        }
    }

    ngx_http_spaces_bytes_free(&listener->past);

    stream = &feed->streams[listener->form];

    listener->catching_up = 0;
    listener->position = feed->over ? stream->last : stream->head;

    return NGX_OK;
}


/* more of the past, from memory; NGX_DECLINED: it isn't there any more */

static ngx_int_t
ngx_http_spaces_listener_refill(ngx_http_spaces_listener_t *listener)
{
    size_t                   len;
    u_char                  *pages;
    ngx_http_spaces_feed_t  *feed;

    feed = listener->feed;
    pages = feed->smcf->feeds->pages;

    if (feed->room == NULL) {
        return NGX_DECLINED;
    }

    len = ngx_http_spaces_feed_copy(feed, listener->offset,
                                    ngx_min(feed->offset, listener->offset
                                                + NGX_HTTP_SPACES_PIECE));
    len = spaces_ogg_whole(pages, len);

    if (len == 0) {
        return NGX_DECLINED;
    }

    listener->offset += len;

    return ngx_http_spaces_form_pages((ngx_http_spaces_form_e) listener->form,
                                      pages, len, 0, &listener->past);
}


/* likewise from the file; NGX_DECLINED: memory goes back far enough now */

static ngx_int_t
ngx_http_spaces_listener_read_on(ngx_http_spaces_listener_t *listener)
{
    uint64_t                 end;
    ngx_http_spaces_feed_t  *feed;

    feed = listener->feed;
    end = feed->room ? feed->room->written : feed->offset;

    if (listener->offset >= feed->offset
        || (feed->room
            && feed->offset - listener->offset
               < NGX_HTTP_SPACES_PAGES - 3 * NGX_HTTP_SPACES_MOVING))
    {
        ngx_http_spaces_past_close(listener->file);
        listener->file = NULL;
        return NGX_DECLINED;
    }

    if (listener->offset >= end) {
        return NGX_AGAIN;
    }

    if (ngx_http_spaces_past_read(listener, feed->smcf, &feed->id, 0,
                                  listener->offset, end)
        != NGX_OK)
    {
        ngx_http_spaces_listener_end(listener, 1);
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


void
ngx_http_spaces_listener_read(ngx_http_spaces_listener_t *listener,
    const u_char *data, ssize_t len, uint64_t offset)
{
    ngx_http_spaces_feed_t  *feed;

    feed = listener->feed;

    if (len <= 0) {

        /* what memory has is better than nothing */

        ngx_http_spaces_past_close(listener->file);
        listener->file = NULL;

        if (feed->over) {
            listener->offset = feed->offset;
        }

    } else {
        listener->offset = offset + len;

        if (ngx_http_spaces_form_pages(
                                   (ngx_http_spaces_form_e) listener->form,
                                   data, (size_t) len, 0, &listener->past)
            != NGX_OK)
        {
            ngx_http_spaces_listener_end(listener, 1);
            return;
        }
    }

    ngx_http_spaces_listener_serve(listener);
}


/*
 * Up to where it may be sent to in one go.  Who is too far behind goes on in
 * the present, after the frame that they are in.
 */

static uint64_t
ngx_http_spaces_listener_skip(ngx_http_spaces_listener_t *listener)
{
    uint64_t                   next;
    ngx_uint_t                 i, n;
    ngx_http_spaces_feed_t    *feed;
    ngx_http_spaces_mark_t    *mark;
    ngx_http_spaces_stream_t  *stream;

    feed = listener->feed;
    stream = &feed->streams[listener->form];

    mark = &stream->marks[(stream->nmarks - 1) % NGX_HTTP_SPACES_MARKS];

    /* the usual: nothing but the last frame is missing */

    if (listener->position >= mark->at
        || listener->form >= ngx_http_spaces_form_sse)
    {
        return stream->head;
    }

    if (listener->position
        >= ngx_http_spaces_stream_mark(stream,
                                       feed->now - NGX_HTTP_SPACES_BEHIND))
    {
        return stream->head;
    }

    next = stream->head;
    n = ngx_min(stream->nmarks, NGX_HTTP_SPACES_MARKS);

    for (i = 1; i <= n; i++) {
        mark = &stream->marks[(stream->nmarks - i) % NGX_HTTP_SPACES_MARKS];

        if (mark->at == listener->position) {
            listener->position = ngx_http_spaces_stream_mark(stream,
                                             feed->now - NGX_HTTP_SPACES_SKIP);
            if (feed->over) {
                listener->position = ngx_min(listener->position,
                                             stream->last);
            }

            return stream->head;
        }

        if (mark->at < listener->position) {
            break;
        }

        next = mark->at;
    }

    return next;
}


static void
ngx_http_spaces_listener_end(ngx_http_spaces_listener_t *listener,
    ngx_uint_t lost)
{
    ngx_http_spaces_feed_leave(listener);

    listener->handlers->ended(listener, lost);
}


static void
ngx_http_spaces_bytes_free(ngx_http_spaces_bytes_t *bytes)
{
    ngx_free(bytes->data);

    ngx_memzero(bytes, sizeof(ngx_http_spaces_bytes_t));
}
