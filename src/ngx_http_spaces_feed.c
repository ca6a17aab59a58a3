
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_feeding.h"


/* a listener is counted when it has stayed so long: probes haven't, ms */
#define NGX_HTTP_SPACES_STAY   1000

#define NGX_HTTP_SPACES_LOOK   250     /* for a room that isn't there, ms */
#define NGX_HTTP_SPACES_BEAT   15000


static ngx_http_spaces_feed_t *ngx_http_spaces_feed_get(
    ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id);
static ngx_int_t ngx_http_spaces_feed_enter(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_unuse(ngx_http_spaces_feed_t *feed);

static void ngx_http_spaces_feed_tick(ngx_http_spaces_waiter_t *waiter);
static void ngx_http_spaces_feed_take(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_look(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_watch(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_tell(ngx_http_spaces_feed_t *feed,
    const char *name, json_t *data);
static void ngx_http_spaces_feed_tell_state(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_finish(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_count(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_beat(ngx_http_spaces_feed_t *feed);
static void ngx_http_spaces_feed_add(ngx_http_spaces_feed_t *feed,
    ngx_uint_t form);


ngx_http_spaces_feeds_t *
ngx_http_spaces_feeds_create(ngx_http_spaces_main_conf_t *smcf)
{
    ngx_http_spaces_feeds_t  *feeds;

    feeds = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_spaces_feeds_t));
    if (feeds == NULL) {
        return NULL;
    }

    feeds->smcf = smcf;

    ngx_rbtree_init(&feeds->rbtree, &feeds->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&feeds->pending);

    feeds->event.handler = ngx_http_spaces_feeds_serve;
    feeds->event.data = feeds;
    feeds->event.log = ngx_cycle->log;

    feeds->pages = ngx_palloc(ngx_cycle->pool, NGX_HTTP_SPACES_PAGES);

    return feeds->pages ? feeds : NULL;
}


void
ngx_http_spaces_feeds_destroy(ngx_http_spaces_feeds_t *feeds)
{
    ngx_http_spaces_form_free(&feeds->bytes);
}


static ngx_http_spaces_feed_t *
ngx_http_spaces_feed_get(ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id)
{
    uint32_t                 hash;
    ngx_uint_t               i;
    ngx_str_node_t          *sn;
    ngx_http_spaces_feed_t  *feed;

    hash = ngx_crc32_short(id->data, id->len);
    sn = ngx_str_rbtree_lookup(&smcf->feeds->rbtree, id, hash);

    if (sn) {
        return (ngx_http_spaces_feed_t *)
                   ((u_char *) sn - offsetof(ngx_http_spaces_feed_t, sn));
    }

    feed = ngx_calloc(sizeof(ngx_http_spaces_feed_t), ngx_cycle->log);
    if (feed == NULL) {
        return NULL;
    }

    feed->smcf = smcf;
    feed->now = ngx_http_spaces_monotonic();
    feed->beat = feed->now;
    feed->checked = feed->now;
    feed->sn.node.key = hash;
    feed->sn.str.len = NGX_HTTP_SPACES_ID_LEN;
    feed->sn.str.data = feed->id_data;
    ngx_memcpy(feed->id_data, id->data, NGX_HTTP_SPACES_ID_LEN);

    for (i = 0; i < ngx_http_spaces_form_n; i++) {
        ngx_queue_init(&feed->audiences[i].listeners);
    }

    ngx_queue_init(&feed->newcomers);
    ngx_queue_init(&feed->subscribers);

    ngx_rbtree_insert(&smcf->feeds->rbtree, &feed->sn.node);

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

    room = ngx_http_spaces_zone_enter(feed->smcf->zone, &feed->sn.str);

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


void
ngx_http_spaces_feed_free(ngx_http_spaces_feed_t *feed)
{
    ngx_uint_t  i;

    if (feed->room) {
        ngx_http_spaces_zone_leave(feed->room);
    }

    for (i = 0; i < ngx_http_spaces_form_n; i++) {
        ngx_http_spaces_stream_free(&feed->audiences[i].stream);
    }

    free(feed->speakers);

    if (feed->serving) {
        ngx_queue_remove(&feed->pending);
    }

    ngx_http_spaces_stop_waiting(&feed->waiter);

    if (!feed->over) {
        ngx_rbtree_delete(&feed->smcf->feeds->rbtree, &feed->sn.node);
    }

    ngx_free(feed);
}


ngx_int_t
ngx_http_spaces_feed_join(ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id,
    ngx_http_spaces_listener_t *listener, int64_t back, json_t *hello)
{
    ngx_int_t                    rc;
    ngx_http_spaces_feed_t      *feed;
    ngx_http_spaces_audience_t  *audience;

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

    audience = &feed->audiences[listener->form];

    if (feed->room == NULL && listener->form < ngx_http_spaces_form_sse) {
        ngx_http_spaces_feed_unuse(feed);
        return NGX_DECLINED;
    }

    if (audience->stream.data == NULL
        && ngx_http_spaces_stream_init(&audience->stream) != NGX_OK)
    {
        ngx_http_spaces_feed_unuse(feed);
        return NGX_ERROR;
    }

    listener->feed = feed;
    listener->since = ngx_http_spaces_monotonic();

    ngx_queue_insert_tail(&audience->listeners, &listener->queue);
    audience->n++;
    ngx_http_spaces_metrics_listener(listener->form, 1);

    if (listener->counts) {
        listener->newcoming = 1;
        ngx_queue_insert_tail(&feed->newcomers, &listener->newcomer);
    }

    listener->write = listener->connection->write;

    /* until its connection says that it may be sent to */

    listener->blocked = 1;
    listener->blocked_at = listener->since;

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
    feed->audiences[listener->form].n--;
    ngx_http_spaces_metrics_listener(listener->form, -1);

    if (listener->newcoming) {
        ngx_queue_remove(&listener->newcomer);
    }

    if (listener->counted) {
        feed->counted--;
    }

    ngx_http_spaces_form_free(&listener->past);
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

    if (feed->told == &subscriber->queue) {
        feed->told = ngx_queue_next(&subscriber->queue);
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

    if (feed->now >= feed->checked + 1000) {
        feed->checked = feed->now;
        feed->checking = 1;
        feed->due = 1;
    }

    feed->running = 0;

    if (feed->nusers == 0) {
        ngx_http_spaces_feed_free(feed);
        return;
    }

    if (feed->due || feed->over) {
        feed->due = 0;
        ngx_http_spaces_feed_serve(feed);
    }
}


/* the pages since the last tick, framed once for each form that is taken */

static void
ngx_http_spaces_feed_take(ngx_http_spaces_feed_t *feed)
{
    size_t                       len;
    uint64_t                     head;
    ngx_uint_t                   i;
    ngx_http_spaces_bytes_t     *bytes;
    ngx_http_spaces_audience_t  *audience;

    head = ngx_http_spaces_room_playout(feed->room)->head;

    if (head == feed->offset) {
        return;
    }

    len = ngx_http_spaces_feed_copy(feed, feed->offset, head);

    if (len == 0) {

        /* this process was stopped for longer than there is memory */

        ngx_http_spaces_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                       "space %V: the listeners of this worker miss some audio",
                       &feed->sn.str);

        ngx_http_spaces_metrics_add(ngx_http_spaces_metric_gaps, 1);
        feed->offset = head;
        return;
    }

    feed->offset = head;
    bytes = &feed->smcf->feeds->bytes;

    for (i = 0; i < ngx_http_spaces_form_sse; i++) {
        audience = &feed->audiences[i];

        if (audience->n == 0) {
            continue;
        }

        bytes->len = 0;

        if (ngx_http_spaces_form_pages((ngx_http_spaces_form_e) i,
                                       feed->smcf->feeds->pages, len, 0, bytes)
            == NGX_OK)
        {
            ngx_http_spaces_feed_add(feed, i);
        }
    }
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
    char                        *text;
    json_t                      *speakers;
    ngx_uint_t                   i, recording;
    ngx_atomic_uint_t            version;
    ngx_http_spaces_room_t      *room;
    ngx_http_spaces_audience_t  *audience;

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
                                          ngx_http_spaces_feed_warning());
            }
        }

        speakers = ngx_http_spaces_zone_speakers(feed->smcf->zone,
                                                 &feed->sn.str);
        text = json_dumps(speakers, NGX_HTTP_SPACES_JSON);

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
            audience = &feed->audiences[i];
            audience->stream.last = audience->stream.head;
        }

        feed->moved_on = (room->moved_on != 0);

        if (!feed->moved_on) {
            ngx_http_spaces_feed_tell_state(feed);
        }

        ngx_http_spaces_feed_finish(feed);
    }
}


json_t *
ngx_http_spaces_feed_warning(void)
{
    return json_pack("{s:s}", "detail",
                     "the recording has stopped: the disk takes no more; what "
                     "was recorded so far is kept");
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
    ngx_http_spaces_audience_t    *audience;
    ngx_http_spaces_subscriber_t  *subscriber;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    text = json_dumps(data, NGX_HTTP_SPACES_JSON);

    if (pool == NULL || text == NULL
        || ngx_http_spaces_event_json(pool, name, data, &json) != NGX_OK)
    {
        goto done;
    }

    compact.data = (u_char *) text;
    compact.len = ngx_strlen(text);

    bytes = &feed->smcf->feeds->bytes;

    for (i = ngx_http_spaces_form_ws_opus; i < ngx_http_spaces_form_n; i++) {
        audience = &feed->audiences[i];

        if (audience->n == 0) {
            continue;
        }

        bytes->len = 0;

        if (ngx_http_spaces_form_event((ngx_http_spaces_form_e) i, name,
                                       &compact, &json, bytes)
            == NGX_OK)
        {
            ngx_http_spaces_feed_add(feed, i);
        }
    }

    for (q = ngx_queue_head(&feed->subscribers);
         q != ngx_queue_sentinel(&feed->subscribers);
         q = feed->told)
    {
        feed->told = ngx_queue_next(q);

        subscriber = ngx_queue_data(q, ngx_http_spaces_subscriber_t, queue);
        subscriber->event(subscriber->data, &json);
    }

    feed->told = NULL;

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

    text = json_dumps(json, NGX_HTTP_SPACES_JSON);
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
                         ngx_http_spaces_zone_speakers(zone, &feed->sn.str), 0);

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
    ngx_http_spaces_audience_t  *audience;
    ngx_http_spaces_listener_t  *listener;

    bytes = &feed->smcf->feeds->bytes;

    for (i = 0; i < ngx_http_spaces_form_n; i++) {
        audience = &feed->audiences[i];

        for (q = ngx_queue_head(&audience->listeners);
             q != ngx_queue_sentinel(&audience->listeners);
             q = ngx_queue_next(q))
        {
            listener = ngx_queue_data(q, ngx_http_spaces_listener_t, queue);

            ngx_http_spaces_listener_keep(listener);
        }

        if (audience->n == 0) {
            continue;
        }

        bytes->len = 0;

        if (ngx_http_spaces_form_end((ngx_http_spaces_form_e) i, bytes)
            == NGX_OK)
        {
            ngx_http_spaces_feed_add(feed, i);
        }
    }

    ngx_http_spaces_zone_leave(feed->room);

    ngx_rbtree_delete(&feed->smcf->feeds->rbtree, &feed->sn.node);

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
    ngx_uint_t                   i;
    ngx_http_spaces_bytes_t     *bytes;
    ngx_http_spaces_audience_t  *audience;

    if (feed->now < feed->beat + NGX_HTTP_SPACES_BEAT || feed->over) {
        return;
    }

    feed->beat = feed->now;
    bytes = &feed->smcf->feeds->bytes;

    for (i = ngx_http_spaces_form_sse; i < ngx_http_spaces_form_n; i++) {
        audience = &feed->audiences[i];
        bytes->len = 0;

        if (audience->n
            && ngx_http_spaces_form_beat((ngx_http_spaces_form_e) i, bytes)
               == NGX_OK)
        {
            ngx_http_spaces_feed_add(feed, i);
        }
    }
}


/* the bytes at hand, for all who take that form */

static void
ngx_http_spaces_feed_add(ngx_http_spaces_feed_t *feed, ngx_uint_t form)
{
    ngx_http_spaces_bytes_t     *bytes;
    ngx_http_spaces_audience_t  *audience;

    bytes = &feed->smcf->feeds->bytes;
    audience = &feed->audiences[form];

    ngx_http_spaces_stream_add(&audience->stream, bytes->data, bytes->len,
                               feed->now, NGX_HTTP_SPACES_BEHIND,
                               audience->needed);
    feed->due = 1;
}
