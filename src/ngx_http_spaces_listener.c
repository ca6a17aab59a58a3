
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * One listener of a feed: the past it asked for first, then the present.
 */


#include "ngx_http_spaces_feeding.h"

#include "spaces_ogg_seek.h"


/* who was too far behind goes on so many ms ago */
#define NGX_HTTP_SPACES_SKIP    1000

/* pages that may be overwritten while they are read are left alone, bytes */
#define NGX_HTTP_SPACES_MOVING  66000

/* who takes nothing of the past, or of what is left, for so long is gone, ms */
#define NGX_HTTP_SPACES_STUCK   20000

/* of a listener's past this much is taken at a time, bytes */
#define NGX_HTTP_SPACES_PIECE   65536


static uint64_t ngx_http_spaces_listener_page(ngx_http_spaces_room_t *room,
    int64_t granule);
static int64_t ngx_http_spaces_listener_granule(ngx_http_spaces_room_t *room,
    uint64_t start);
static ngx_uint_t ngx_http_spaces_listener_is_told(
    ngx_http_spaces_listener_t *listener);
static ngx_int_t ngx_http_spaces_listener_update(
    ngx_http_spaces_listener_t *listener);
static ngx_int_t ngx_http_spaces_listener_tell(
    ngx_http_spaces_listener_t *listener, const char *name, json_t *data);
static void ngx_http_spaces_listener_behind(
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


size_t
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
ngx_http_spaces_listener_page(ngx_http_spaces_room_t *room, int64_t granule)
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


/* the granule where a page begins; what the index doesn't know is late */

static int64_t
ngx_http_spaces_listener_granule(ngx_http_spaces_room_t *room, uint64_t start)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_SPACES_INDEX; i++) {

        if (room->index[i].start == start) {
            return room->index[i].granule;
        }
    }

    return INT64_MAX;
}


/* the header, and where it begins */

ngx_int_t
ngx_http_spaces_listener_begin(ngx_http_spaces_listener_t *listener,
    int64_t back, json_t *hello)
{
    int64_t                  granule;
    ngx_http_spaces_feed_t  *feed;
    ngx_http_spaces_room_t  *room;

    feed = listener->feed;
    room = feed->room;

    listener->catching_up = 1;
    listener->offset = feed->offset;

    listener->told = feed->version;

    if (hello && ngx_http_spaces_listener_tell(listener, "hello",
                                               json_incref(hello))
                 != NGX_OK)
    {
        return NGX_ERROR;
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

    listener->offset = ngx_min(ngx_http_spaces_listener_page(room, granule),
                               feed->offset);

    if (room->record && !room->torn
        && listener->offset > room->header_len
        && ngx_http_spaces_listener_granule(room, listener->offset) > granule)
    {
        return ngx_http_spaces_past_read(listener, feed->smcf, &feed->sn.str,
                                         granule, 0, room->written);
    }

    return NGX_OK;
}


/* whether it knows what the others were told while it heard the past */

static ngx_uint_t
ngx_http_spaces_listener_is_told(ngx_http_spaces_listener_t *listener)
{
    return listener->form < ngx_http_spaces_form_ws_opus
           || listener->feed->room == NULL
           || listener->told == listener->feed->version;
}


static ngx_int_t
ngx_http_spaces_listener_update(ngx_http_spaces_listener_t *listener)
{
    ngx_http_spaces_feed_t  *feed;
    ngx_http_spaces_room_t  *room;

    feed = listener->feed;
    room = feed->room;

    listener->told = feed->version;

    if (ngx_http_spaces_listener_tell(listener, "recording",
               json_pack("{s:b}", "recording",
                         room->recording == NGX_HTTP_SPACES_RECORDING))
        != NGX_OK
        || ngx_http_spaces_listener_tell(listener, "listeners",
               json_pack("{s:i}", "listeners", (int) room->listeners))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (room->torn
        && ngx_http_spaces_listener_tell(listener, "warning",
                                         ngx_http_spaces_feed_warning())
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_spaces_listener_tell(listener, "speakers",
               json_pack("{s:o}", "speakers",
                         ngx_http_spaces_zone_speakers(feed->smcf->zone,
                                                       &feed->sn.str)));
}


/*
 * As its form has it: with the name of the event in the JSON, or beside it.
 * Takes over the reference to the data.
 */

static ngx_int_t
ngx_http_spaces_listener_tell(ngx_http_spaces_listener_t *listener,
    const char *name, json_t *data)
{
    char                    *text;
    ngx_int_t                rc;
    ngx_str_t                compact, json;
    ngx_pool_t              *pool;

    rc = NGX_ERROR;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    text = json_dumps(data, NGX_HTTP_SPACES_JSON);

    if (pool && text
        && ngx_http_spaces_event_json(pool, name, data, &json) == NGX_OK)
    {
        compact.data = (u_char *) text;
        compact.len = ngx_strlen(text);

        rc = ngx_http_spaces_form_event(
                                   (ngx_http_spaces_form_e) listener->form,
                                   name, &compact, &json, &listener->past);
    }

    json_decref(data);
    free(text);

    if (pool) {
        ngx_destroy_pool(pool);
    }

    return rc;
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
    ngx_http_spaces_stream_t  *stream;

    if (listener->feed == NULL || listener->pending) {
        return 0;
    }

    if (listener->catching_up) {
        return listener->sent == 0 || listener->sent == listener->past.len;
    }

    stream = &listener->feed->audiences[listener->form].stream;

    return ngx_http_spaces_stream_next(stream, listener->position)
           == listener->position;
}


void
ngx_http_spaces_listener_serve(ngx_http_spaces_listener_t *listener)
{
    size_t                     len;
    u_char                    *p;
    uint64_t                   end;
    ngx_int_t                  rc;
    ngx_http_spaces_feed_t    *feed;
    ngx_http_spaces_stream_t  *stream;

    feed = listener->feed;

    if (listener->blocked && (listener->catching_up || feed->over)
        && feed->now > listener->blocked_at + NGX_HTTP_SPACES_STUCK)
    {
        ngx_http_spaces_listener_end(listener, 1);
        return;
    }

    if (listener->catching_up) {

        if (listener->blocked) {
            return;
        }

        rc = ngx_http_spaces_listener_catch_up(listener);

        if (rc != NGX_OK) {
            return;
        }
    }

    stream = &feed->audiences[listener->form].stream;

    if (stream->head - listener->position > stream->size) {

        /* it has taken nothing for so long that what comes next is gone */

        ngx_http_spaces_listener_end(listener, 1);
        return;
    }

    if (listener->blocked) {
        ngx_http_spaces_listener_behind(listener);
        return;
    }

    while (listener->position < stream->head) {

        end = ngx_http_spaces_listener_skip(listener);

        p = ngx_http_spaces_stream_at(stream, listener->position, end, &len);

        rc = ngx_http_spaces_listener_send(listener, p, len);

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

    n = NGX_AGAIN;

    if (listener->handlers->ready == NULL
        || listener->handlers->ready(listener))
    {
        n = listener->handlers->send(listener, p, len);
    }

    if (n == NGX_AGAIN) {
        listener->blocked = 1;
        listener->blocked_at = listener->feed->now;
        ngx_http_spaces_listener_behind(listener);
        return NGX_AGAIN;
    }

    if (n < 0) {
        ngx_http_spaces_listener_end(listener, 1);
        return NGX_ERROR;
    }

    return n;
}


/* what it has not taken yet is to be kept for it */

static void
ngx_http_spaces_listener_behind(ngx_http_spaces_listener_t *listener)
{
    ngx_http_spaces_audience_t  *audience;

    if (listener->catching_up) {
        return;
    }

    audience = &listener->feed->audiences[listener->form];
    audience->lowest = ngx_min(audience->lowest, listener->position);
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

        rc = (listener->offset < feed->offset)
             ? ngx_http_spaces_listener_refill(listener) : NGX_DECLINED;

        if (rc == NGX_DECLINED) {

            /* it has come there; or it was too slow: the present is all */

            if (ngx_http_spaces_listener_is_told(listener)) {
                break;
            }

            rc = ngx_http_spaces_listener_update(listener);
        }

        if (rc != NGX_OK) {
            ngx_http_spaces_listener_end(listener, 1);
            return NGX_ERROR;
        }
    }

    ngx_http_spaces_form_free(&listener->past);

    stream = &feed->audiences[listener->form].stream;

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
        || (feed->room && feed->room->torn && listener->offset >= end)
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

    if (ngx_http_spaces_past_read(listener, feed->smcf, &feed->sn.str, 0,
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
    ngx_http_spaces_feed_t    *feed;
    ngx_http_spaces_stream_t  *stream;

    feed = listener->feed;
    stream = &feed->audiences[listener->form].stream;

    if (listener->pending
        || !ngx_http_spaces_stream_is_late(stream, listener->position)
        || listener->form >= ngx_http_spaces_form_sse
        || listener->position
           >= ngx_http_spaces_stream_since(stream,
                                       feed->now - NGX_HTTP_SPACES_BEHIND))
    {
        return stream->head;
    }

    next = ngx_http_spaces_stream_next(stream, listener->position);

    if (next != listener->position) {
        return next;
    }

    next = ngx_http_spaces_stream_since(stream,
                                        feed->now - NGX_HTTP_SPACES_SKIP);

    /* the end is nobody spared */

    listener->position = feed->over ? ngx_min(next, stream->last) : next;

    ngx_http_spaces_metrics_add(ngx_http_spaces_metric_skipped, 1);

    return stream->head;
}


static void
ngx_http_spaces_listener_end(ngx_http_spaces_listener_t *listener,
    ngx_uint_t lost)
{
    listener->moved_on = listener->feed->moved_on;

    ngx_http_spaces_feed_leave(listener);

    listener->handlers->ended(listener, lost);
}


void
ngx_http_spaces_listener_keep(ngx_http_spaces_listener_t *listener)
{
    while (listener->catching_up && listener->file == NULL
           && listener->offset < listener->feed->offset)
    {
        if (ngx_http_spaces_listener_refill(listener) != NGX_OK) {
            return;
        }
    }
}
