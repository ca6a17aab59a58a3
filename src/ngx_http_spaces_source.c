
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * From the bytes of a source to the ring of its room, which the first packet
 * opens.
 */


#include "ngx_http_spaces_ingest.h"
#include "ngx_http_spaces_load.h"


/* a sender that was slowed down is taken for one ahead of time so long, ms */
#define NGX_HTTP_SPACES_PACED  10000

/* the most audio that is taken in after the end was asked for, samples */
#define NGX_HTTP_SPACES_HURRY  (5 * SPACES_OPUS_RATE)


static ngx_int_t ngx_http_spaces_ingest_next(ngx_http_spaces_ingest_t *ingest);
static ngx_int_t ngx_http_spaces_ingest_refuse(
    ngx_http_spaces_ingest_t *ingest, ngx_http_spaces_problem_e problem,
    const char *detail);
static ngx_int_t ngx_http_spaces_ingest_write(
    ngx_http_spaces_ingest_t *ingest);
static void ngx_http_spaces_ingest_joined(ngx_http_spaces_ingest_t *ingest);
static ngx_int_t ngx_http_spaces_ingest_no(ngx_http_spaces_ingest_t *ingest,
    ngx_int_t rc);
static ngx_int_t ngx_http_spaces_ingest_reload(
    ngx_http_spaces_ingest_t *ingest);
static ngx_int_t ngx_http_spaces_ingest_unloaded(ngx_http_request_t *r,
    ngx_int_t rc);
static ngx_int_t ngx_http_spaces_ingest_reloaded(ngx_http_request_t *r);
static ngx_uint_t ngx_http_spaces_ingest_changed(
    ngx_http_spaces_ingest_t *ingest);
static ngx_int_t ngx_http_spaces_ingest_enter(
    ngx_http_spaces_ingest_t *ingest);
static ngx_int_t ngx_http_spaces_ingest_open(ngx_http_spaces_ingest_t *ingest);
static void ngx_http_spaces_ingest_complain(ngx_http_spaces_ingest_t *ingest);


ngx_int_t
ngx_http_spaces_ingest_feed(ngx_http_spaces_ingest_t *ingest, u_char *data,
    size_t len)
{
    if (spaces_demuxer_feed(&ingest->demuxer, data, len) != 0) {
        return ngx_http_spaces_ingest_refuse(ingest,
                                             NGX_HTTP_SPACES_INTERNAL,
                                             "out of memory");
    }

    return ngx_http_spaces_ingest_pump(ingest);
}


ngx_int_t
ngx_http_spaces_ingest_pump(ngx_http_spaces_ingest_t *ingest)
{
    ngx_int_t  rc;

    if (ingest->blocked) {
        return NGX_AGAIN;
    }

    for ( ;; ) {

        if (ingest->held) {
            rc = ngx_http_spaces_ingest_write(ingest);

            if (rc != NGX_OK) {
                return rc;
            }
        }

        rc = ngx_http_spaces_ingest_next(ingest);

        if (rc != NGX_OK) {
            return rc == NGX_DECLINED ? NGX_OK : rc;
        }
    }
}


ngx_int_t
ngx_http_spaces_ingest_peek(ngx_http_spaces_ingest_t *ingest, u_char *data,
    size_t len)
{
    if (spaces_demuxer_feed(&ingest->demuxer, data, len) != 0) {
        return ngx_http_spaces_ingest_refuse(ingest,
                                             NGX_HTTP_SPACES_INTERNAL,
                                             "out of memory");
    }

    return ngx_http_spaces_ingest_next(ingest) == NGX_ABORT ? NGX_ABORT
                                                            : NGX_OK;
}


/* a packet is held; or NGX_DECLINED: it is not there yet; or NGX_ABORT */

static ngx_int_t
ngx_http_spaces_ingest_next(ngx_http_spaces_ingest_t *ingest)
{
    switch (spaces_demuxer_next(&ingest->demuxer, &ingest->packet)) {

    case SPACES_READER_PACKET:
        ingest->held = 1;
        return NGX_OK;

    case SPACES_READER_AGAIN:
        ngx_http_spaces_ingest_complain(ingest);
        return NGX_DECLINED;

    case SPACES_READER_UNKNOWN:
        return ngx_http_spaces_ingest_refuse(ingest, NGX_HTTP_SPACES_NOT_OPUS,
                   "the first bytes are neither those of Ogg nor of WebM; "
                   "encode with \"-c:a libopus -f ogg\"");

    case SPACES_READER_NOT_OPUS:
        return ngx_http_spaces_ingest_refuse(ingest, NGX_HTTP_SPACES_NOT_OPUS,
                   "no stream in it is Opus; encode with \"-c:a libopus\"");

    case SPACES_READER_UNSUPPORTED:
        return ngx_http_spaces_ingest_refuse(ingest, NGX_HTTP_SPACES_NOT_OPUS,
                   "only mono and stereo of channel mapping family 0 are "
                   "taken");

    case SPACES_READER_BROKEN:
        return ngx_http_spaces_ingest_refuse(ingest, NGX_HTTP_SPACES_BAD_AUDIO,
                   "the headers of the stream are broken");

    default: /* SPACES_READER_NO_MEMORY */
        return ngx_http_spaces_ingest_refuse(ingest, NGX_HTTP_SPACES_INTERNAL,
                                             "out of memory");
    }
}


static ngx_int_t
ngx_http_spaces_ingest_refuse(ngx_http_spaces_ingest_t *ingest,
    ngx_http_spaces_problem_e problem, const char *detail)
{
    ingest->answer = ngx_http_spaces_ingest_bad(ingest->request, problem,
                                                detail);
    return NGX_ABORT;
}


ngx_int_t
ngx_http_spaces_ingest_bad(ngx_http_request_t *r,
    ngx_http_spaces_problem_e problem, const char *detail)
{
    ngx_http_spaces_ctx_t  *ctx;

    if (!r->header_sent) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

        ngx_http_spaces_log_error(NGX_LOG_INFO, r->connection->log, 0,
                                  "a source of space %V is refused: %s",
                                  &ctx->id, detail);
    }

    return ngx_http_spaces_problem(r, problem, "%s", detail);
}


ngx_int_t
ngx_http_spaces_ingest_packet(ngx_http_spaces_ingest_t *ingest, u_char *data,
    size_t len)
{
    int        duration;
    ngx_int_t  rc;

    duration = spaces_opus_duration(data, len);

    if (duration < 0) {
        return ngx_http_spaces_ingest_refuse(ingest, NGX_HTTP_SPACES_NOT_OPUS,
                                             "a message is no Opus packet");
    }

    ingest->packet.data = data;
    ingest->packet.len = len;
    ingest->packet.duration = duration;
    ingest->packet.pts = ingest->pts;
    ingest->packet.trim = 0;

    rc = ngx_http_spaces_ingest_write(ingest);

    if (rc == NGX_OK) {
        ingest->pts += duration;
    }

    return rc;
}


/* a packet into the ring, the first of all into a room */

static ngx_int_t
ngx_http_spaces_ingest_write(ngx_http_spaces_ingest_t *ingest)
{
    int64_t                now;
    uint64_t               ahead;
    ngx_int_t              rc;
    spaces_packet_t        packet;
    spaces_packet_ring_t  *ring;

    if (ingest->room == NULL) {
        rc = ngx_http_spaces_ingest_join(ingest);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    ring = ingest->speaker->ring;
    ahead = (uint64_t) NGX_HTTP_SPACES_AHEAD * (SPACES_OPUS_RATE / 1000);
    now = ngx_http_spaces_monotonic();

    ingest->heard = now;

    if (ingest->packet.len + sizeof(spaces_packet_t) > ring->size) {

        /* of those who are not the host: no voice needs as much */

        ingest->too_long = 1;

        return ngx_http_spaces_ingest_refuse(ingest,
                   NGX_HTTP_SPACES_TOO_LONG,
                   "a packet of a speaker has less than 16 KB; encode at a "
                   "lower bitrate, or in packets of 20 ms");
    }

    ngx_memzero(&packet, sizeof(spaces_packet_t));

    packet.len = (uint32_t) ingest->packet.len;
    packet.duration = (uint32_t) ingest->packet.duration;
    packet.pts = ingest->packet.pts;
    packet.arrival = (uint64_t) now;

    if (ingest->fresh) {
        packet.flags |= SPACES_PACKET_FRESH;
    }

    if (now < ingest->slowed + NGX_HTTP_SPACES_PACED) {
        packet.flags |= SPACES_PACKET_PACED;
    }

    /* what was sent is taken in when the Space ends, but not for ever */

    if ((ingest->draining ? ingest->hurried >= NGX_HTTP_SPACES_HURRY
                          : spaces_packet_ring_queued(ring) >= ahead)
        || spaces_packet_ring_write(ring, &packet, ingest->packet.data) != 0)
    {
        ingest->blocked = 1;
        ingest->slowed = now;
        return NGX_AGAIN;
    }

    if (ingest->draining) {
        ingest->hurried += packet.duration;
    }

    ingest->fresh = 0;
    ingest->held = 0;
    ingest->trim = (ngx_uint_t) ingest->packet.trim;

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_ingest_join(ngx_http_spaces_ingest_t *ingest)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(ingest->request, ngx_http_spaces_module);

    ingest->entrant.gain = spaces_demuxer_head(&ingest->demuxer)->gain;

    if (!ingest->entrant.host) {

        /* they may have been muted or removed since they were let in */

        return ngx_http_spaces_ingest_changed(ingest)
               ? ngx_http_spaces_ingest_reload(ingest)
               : ngx_http_spaces_ingest_enter(ingest);
    }

    rc = ngx_http_spaces_zone_attach(ingest->smcf->zone, &ctx->id,
                                     &ingest->entrant, &ingest->room,
                                     &ingest->place, &ingest->serial);

    if (rc == NGX_OK) {
        ngx_http_spaces_ingest_joined(ingest);
        return NGX_OK;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_spaces_ingest_reload(ingest);
    }

    ingest->answer = ngx_http_spaces_ingest_no(ingest, rc);

    return NGX_ABORT;
}


/* whether something may be known now that was not when they were let in */

static ngx_uint_t
ngx_http_spaces_ingest_changed(ngx_http_spaces_ingest_t *ingest)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(ingest->request, ngx_http_spaces_module);

    return ingest->change
           != *ngx_http_spaces_zone_change(ingest->smcf->zone, &ctx->id);
}


/* who has just been let in: the host into a new room, a guest into theirs */

static ngx_int_t
ngx_http_spaces_ingest_enter(ngx_http_spaces_ingest_t *ingest)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    if (ingest->entrant.host) {
        rc = ngx_http_spaces_ingest_open(ingest);

    } else {
        ctx = ngx_http_get_module_ctx(ingest->request, ngx_http_spaces_module);

        rc = ngx_http_spaces_zone_attach(ingest->smcf->zone, &ctx->id,
                                         &ingest->entrant, &ingest->room,
                                         &ingest->place, &ingest->serial);

        if (rc == NGX_OK && ngx_http_spaces_ingest_changed(ingest)) {

            /* who is removed by now was not in the room when that was done */

            ngx_http_spaces_zone_detach(ingest->smcf->zone, ingest->room,
                                        ingest->place, ingest->serial);
            ingest->room = NULL;

            return ngx_http_spaces_ingest_reload(ingest);
        }

        if (rc == NGX_OK) {
            ngx_http_spaces_ingest_joined(ingest);
        }

        if (rc == NGX_DECLINED && !ingest->smcf->zone->sh->scanned) {
            rc = NGX_HTTP_SPACES_LATER;
        }

        if (rc == NGX_DECLINED) {
            return ngx_http_spaces_ingest_refuse(ingest, NGX_HTTP_SPACES_OVER,
                                                 "the Space has just ended");
        }

        if (rc == NGX_ABORT) {
            return ngx_http_spaces_ingest_refuse(ingest,
                                                 NGX_HTTP_SPACES_NO_ROOM,
                                                 "as many speak as may: try "
                                                 "again when one of them has "
                                                 "left");
        }
    }

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    ingest->answer = ngx_http_spaces_ingest_no(ingest, rc);

    return NGX_ABORT;
}


static void
ngx_http_spaces_ingest_joined(ngx_http_spaces_ingest_t *ingest)
{
    ingest->speaker = &ingest->room->speakers[ingest->place];

    /* what was said before they came they do not hear */

    ingest->back.bytes = ingest->speaker->back->written;
    ingest->back.samples = ingest->speaker->back->written_samples;

    spaces_packet_ring_release(ingest->speaker->back, &ingest->back);
}


/* the answer to a source that found no place, by the reason */

static ngx_int_t
ngx_http_spaces_ingest_no(ngx_http_spaces_ingest_t *ingest, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = ingest->request;

    switch (rc) {

    case NGX_BUSY:
    case NGX_AGAIN:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_SPEAKING,
                                       "this speaker is connected already, or "
                                       "the Space is just ending");

    case NGX_DECLINED:
        return ngx_http_spaces_ingest_full(r);

    case NGX_HTTP_SPACES_LATER:
        return ngx_http_spaces_ingest_later(ingest);

    default:
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_INTERNAL,
                                       "out of memory");
    }
}


ngx_int_t
ngx_http_spaces_ingest_full(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    ngx_http_spaces_log_error(NGX_LOG_ERR, r->connection->log, 0,
                              "no room for space %V: enlarge \"spaces_zone\"",
                              &ctx->id);

    return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_ROOM,
                                   "too many Spaces are live on this server; "
                                   "try again later");
}


ngx_int_t
ngx_http_spaces_ingest_later(ngx_http_spaces_ingest_t *ingest)
{
    ingest->again = 1;

    if (ingest->raw_answered || ingest->ws) {
        return NGX_HTTP_CLOSE;
    }

    return ngx_http_spaces_problem(ingest->request, NGX_HTTP_SPACES_RESTARTS,
                                   "nginx restarts, and what is live goes on; "
                                   "come back in a moment");
}


/*
 * No room yet: the first audio of the host makes the Space live.  It may come
 * long after the host was admitted, and the Space may have ended since; of a
 * guest, likewise, who may be one no more.
 */

static ngx_int_t
ngx_http_spaces_ingest_reload(ngx_http_spaces_ingest_t *ingest)
{
    ngx_int_t               rc;
    ngx_http_spaces_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(ingest->request, ngx_http_spaces_module);

    ingest->reloading = 1;
    ingest->change = *ngx_http_spaces_zone_change(ingest->smcf->zone, &ctx->id);

    ctx->failed = ngx_http_spaces_ingest_unloaded;

    rc = ngx_http_spaces_load(ingest->request,
                              ngx_http_spaces_ingest_reloaded);

    ingest->reloading = 0;

    if (ingest->reloaded) {
        ingest->reloaded = 0;
        return ngx_http_spaces_ingest_enter(ingest);
    }

    if (rc == NGX_HTTP_SPACES_LATER) {
        ingest->blocked = 1;
        return NGX_AGAIN;
    }

    ingest->answer = rc;

    return NGX_ABORT;
}


/* Redis is away: the source is told what became of it */

static ngx_int_t
ngx_http_spaces_ingest_unloaded(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_ingest_t  *ingest;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ingest = ctx->data;

    if (ingest->reloading) {

        /* at once: the caller goes on */

        return rc;
    }

    ingest->blocked = 0;

    ngx_http_spaces_ingest_done(ingest, rc);

    return NGX_HTTP_SPACES_LATER;
}


static ngx_int_t
ngx_http_spaces_ingest_reloaded(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_spaces_ctx_t     *ctx;
    ngx_http_spaces_ingest_t  *ingest;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    ingest = ctx->data;

    rc = ngx_http_spaces_ingest_admit(r);

    if (ingest->reloading) {

        /* at once, from the cache: the caller goes on */

        ingest->reloaded = (rc == NGX_DECLINED);

        return rc;
    }

    ingest->blocked = 0;

    if (rc != NGX_DECLINED) {
        ngx_http_spaces_ingest_done(ingest, rc);
        return NGX_HTTP_SPACES_LATER;
    }

    rc = ngx_http_spaces_ingest_enter(ingest);

    if (rc == NGX_AGAIN) {

        /* it is looked up once more */

        return NGX_HTTP_SPACES_LATER;
    }

    if (rc != NGX_OK) {
        ngx_http_spaces_ingest_done(ingest, ingest->answer);
        return NGX_HTTP_SPACES_LATER;
    }

    ingest->resume(ingest);

    return NGX_HTTP_SPACES_LATER;
}


static ngx_int_t
ngx_http_spaces_ingest_open(ngx_http_spaces_ingest_t *ingest)
{
    ngx_int_t                 rc;
    ngx_str_t                 document;
    ngx_http_request_t       *r;
    spaces_opus_head_t        head;
    ngx_http_spaces_ctx_t    *ctx;
    ngx_http_spaces_shm_t    *sh;
    ngx_http_spaces_room_t   *room;
    ngx_http_spaces_space_t  *space;

    r = ingest->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    space = ctx->space;

    sh = ingest->smcf->zone->sh;

    if (!sh->scanned
        && !(sh->waiting && space->state == NGX_HTTP_SPACES_SCHEDULED))
    {
        /* what a crash left, or another nginx has, may be of this very Space */
        return NGX_HTTP_SPACES_LATER;
    }

    if (space->started_at == 0) {
        space->started_at = ngx_http_spaces_now();
    }

    document = ngx_http_spaces_space_document(space, r->pool);

    if (document.data == NULL) {
        return NGX_ERROR;
    }

    ctx->space->state = NGX_HTTP_SPACES_LIVE;

    /*
     * Any packet may be stereo, whatever the head says of the first; bare
     * packets come without one, and libopus looks ahead by so much.
     */

    head = *spaces_demuxer_head(&ingest->demuxer);
    head.channels = 2;

    if (ingest->bare) {
        head.pre_skip = 312;
        head.input_rate = SPACES_OPUS_RATE;
    }

    rc = ngx_http_spaces_zone_open(ingest->smcf->zone, space, &document, &head,
                                   &room);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_spaces_zone_attach(ingest->smcf->zone, &ctx->id,
                                     &ingest->entrant, &ingest->room,
                                     &ingest->place, &ingest->serial);

    if (rc == NGX_OK) {
        ngx_http_spaces_ingest_joined(ingest);
    }

    /* also if it is to end already, by another worker: somebody has to do so */

    if (ngx_http_spaces_room_own(ingest->smcf, room) != NGX_OK) {
        return NGX_ERROR;
    }

    return rc == NGX_OK ? NGX_OK : NGX_BUSY;
}


static void
ngx_http_spaces_ingest_complain(ngx_http_spaces_ingest_t *ingest)
{
    ngx_http_spaces_ctx_t         *ctx;
    const spaces_reader_damage_t  *damage;

    damage = spaces_demuxer_damage(&ingest->demuxer);

    if (ingest->complained
        || (damage->skipped == 0 && damage->holes == 0
            && damage->bad_packets == 0))
    {
        return;
    }

    ingest->complained = 1;

    ctx = ngx_http_get_module_ctx(ingest->request, ngx_http_spaces_module);

    ngx_http_spaces_log_error(NGX_LOG_WARN, ingest->request->connection->log, 0,
                        "the source of space %V is damaged: what is missing is "
                        "concealed", &ctx->id);
}
