
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What Prometheus is told: all that is counted, and what there is to see in
 * the shared memory at the moment.
 */


#include "ngx_http_spaces_handlers.h"


/* more than all of it takes, bytes */
#define NGX_HTTP_SPACES_SCRAPE  32768


/* what there is at the moment; -1 is not known */

typedef enum {
    ngx_http_spaces_gauge_rooms = 0,       /* by NGX_HTTP_SPACES_ROOM_… */
    ngx_http_spaces_gauge_speakers = ngx_http_spaces_gauge_rooms
                                     + NGX_HTTP_SPACES_ROOM_FAILED + 1,
    ngx_http_spaces_gauge_http,            /* listeners */
    ngx_http_spaces_gauge_websocket,
    ngx_http_spaces_gauge_events,
    ngx_http_spaces_gauge_recording,       /* recordings */
    ngx_http_spaces_gauge_available,
    ngx_http_spaces_gauge_held,
    ngx_http_spaces_gauge_available_bytes,
    ngx_http_spaces_gauge_held_bytes,
    ngx_http_spaces_gauge_lag,             /* ms */
    ngx_http_spaces_gauge_due,
    ngx_http_spaces_gauge_zone,            /* bytes */
    ngx_http_spaces_gauge_free,
    ngx_http_spaces_gauge_workers,
    ngx_http_spaces_gauge_redis,
    ngx_http_spaces_gauge_n
} ngx_http_spaces_gauge_e;


typedef struct {
    u_char                      *p;
    u_char                      *last;
    int64_t                      gauges[ngx_http_spaces_gauge_n];

    /* the processes that are alive */
    ngx_atomic_uint_t            pids[NGX_HTTP_SPACES_METRICS_SLOTS];
    ngx_uint_t                   npids;
} ngx_http_spaces_scrape_t;


typedef struct ngx_http_spaces_family_s  ngx_http_spaces_family_t;

struct ngx_http_spaces_family_s {
    const char                  *name;
    const char                  *type;
    void                       (*write)(ngx_http_spaces_scrape_t *s,
                                        ngx_http_spaces_family_t *f);
    ngx_uint_t                   first;     /* gauge, counter or histogram */
    int64_t                      scale;     /* of it to the unit, 1: whole */
    const char                  *label;     /* NULL: there is one sample */
    const char                  *values[6];
    const char                  *help;
};


typedef struct {
    const char                  *name;
    ngx_http_handler_pt          handler;
} ngx_http_spaces_handler_name_t;


static void ngx_http_spaces_scrape_all(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_main_conf_t *smcf);
static void ngx_http_spaces_scrape_slots(ngx_http_spaces_scrape_t *s);
static void ngx_http_spaces_scrape_rooms(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_zone_t *zone);
static void ngx_http_spaces_scrape_room(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_room_t *room, int64_t now);
static ngx_uint_t ngx_http_spaces_scrape_is_alive(ngx_http_spaces_scrape_t *s,
    ngx_atomic_uint_t pid);
static void ngx_http_spaces_scrape_stored(ngx_http_spaces_scrape_t *s);
static int64_t ngx_http_spaces_scrape_signed(ngx_atomic_uint_t n);

static void ngx_http_spaces_write_gauges(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f);
static void ngx_http_spaces_write_counters(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f);
static void ngx_http_spaces_write_problems(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f);
static void ngx_http_spaces_write_requests(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f);
static void ngx_http_spaces_write_histogram(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f);
static void ngx_http_spaces_write_sample(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f, const char *value, int64_t n);
static void ngx_http_spaces_write_bound(ngx_http_spaces_scrape_t *s,
    int64_t n, int64_t scale);
static void ngx_http_spaces_write_number(ngx_http_spaces_scrape_t *s,
    int64_t n, int64_t scale);


/* what is none of these is counted as "other", which comes first */

static ngx_http_spaces_handler_name_t  ngx_http_spaces_handler_names[] = {
    { "other", NULL },
    { "api", ngx_http_spaces_api_handler },
    { "ingest", ngx_http_spaces_ingest_handler },
    { "live", ngx_http_spaces_live_handler },
    { "events", ngx_http_spaces_events_handler },
    { "replay", ngx_http_spaces_replay_handler },
    { "share", ngx_http_spaces_share_handler },
    { "oembed", ngx_http_spaces_oembed_handler },
    { "metrics", ngx_http_spaces_metrics_handler },
    { NULL, NULL }
};


static ngx_http_spaces_family_t  ngx_http_spaces_families[] = {

    { "spaces_rooms", "gauge", ngx_http_spaces_write_gauges,
      ngx_http_spaces_gauge_rooms, 1,
      "state", { "starting", "live", "ending", "ended", "failed", NULL },
      "Spaces in shared memory; ended ones stay for some seconds." },

    { "spaces_speakers", "gauge", ngx_http_spaces_write_gauges,
      ngx_http_spaces_gauge_speakers, 1, NULL, { NULL },
      "Connections that may speak, of hosts and of guests." },

    { "spaces_listeners", "gauge", ngx_http_spaces_write_gauges,
      ngx_http_spaces_gauge_http, 1,
      "kind", { "http", "websocket", "events", NULL },
      "Connections that listen live, or take Server-Sent Events." },

    { "spaces_requests_total", "counter", ngx_http_spaces_write_requests,
      0, 1, "handler", { NULL },
      "Requests that came to a location of this module." },

    { "spaces_errors_total", "counter", ngx_http_spaces_write_problems,
      0, 1, "type", { NULL },
      "Problems that were answered, by the last part of their type." },

    { "spaces_recordings", "gauge", ngx_http_spaces_write_gauges,
      ngx_http_spaces_gauge_recording, 1,
      "state", { "recording", "available", "held", NULL },
      "Recordings of this node; those on disk once they have been counted." },

    { "spaces_recordings_bytes", "gauge", ngx_http_spaces_write_gauges,
      ngx_http_spaces_gauge_available_bytes, 1,
      "state", { "available", "held", NULL },
      "Size of the recordings on disk, once they have been counted." },

    { "spaces_recording_events_total", "counter",
      ngx_http_spaces_write_counters, ngx_http_spaces_metric_started, 1,
      "event", { "started", "available", "stopped", "deleted", "expired",
                 "purged" },
      "What has become of recordings; stopped is by an error." },

    { "spaces_recording_written_bytes_total", "counter",
      ngx_http_spaces_write_counters, ngx_http_spaces_metric_written, 1,
      NULL, { NULL },
      "Audio written to recordings." },

    { "spaces_recording_sync_lag_seconds", "gauge",
      ngx_http_spaces_write_gauges, ngx_http_spaces_gauge_lag, 1000,
      NULL, { NULL },
      "Age of the oldest audio that is not safely on disk, of all rooms." },

    { "spaces_recording_sync_seconds", "histogram",
      ngx_http_spaces_write_histogram, ngx_http_spaces_histogram_sync, 1000000,
      NULL, { NULL },
      "Time that writing and flushing to disk took." },

    { "spaces_due_recordings", "gauge", ngx_http_spaces_write_gauges,
      ngx_http_spaces_gauge_due, 1, NULL, { NULL },
      "Recordings that are due to expire or to be purged and are not yet." },

    { "spaces_tick_lateness_seconds", "histogram",
      ngx_http_spaces_write_histogram, ngx_http_spaces_histogram_tick, 1000000,
      NULL, { NULL },
      "How late the ticks of 20 ms came that live audio depends on." },

    { "spaces_codec_seconds_total", "counter", ngx_http_spaces_write_counters,
      ngx_http_spaces_metric_codec_loop, 1000000,
      "where", { "event_loop", "thread", NULL },
      "Time spent decoding, mixing and encoding." },

    { "spaces_rooms_taken_over_total", "counter",
      ngx_http_spaces_write_counters, ngx_http_spaces_metric_taken_over, 1,
      NULL, { NULL },
      "Live Spaces that another worker went on with." },

    { "spaces_slow_listeners_total", "counter",
      ngx_http_spaces_write_counters, ngx_http_spaces_metric_skipped, 1,
      "action", { "skipped", "dropped", NULL },
      "Times a listener was moved on to the present, or closed." },

    { "spaces_feed_gaps_total", "counter", ngx_http_spaces_write_counters,
      ngx_http_spaces_metric_gaps, 1, NULL, { NULL },
      "Times all listeners of a Space in a worker missed audio." },

    { "spaces_zone_size_bytes", "gauge", ngx_http_spaces_write_gauges,
      ngx_http_spaces_gauge_zone, 1, NULL, { NULL },
      "Size of the shared memory." },

    { "spaces_zone_free_bytes", "gauge", ngx_http_spaces_write_gauges,
      ngx_http_spaces_gauge_free, 1, NULL, { NULL },
      "Free pages of the shared memory." },

    { "spaces_workers", "gauge", ngx_http_spaces_write_gauges,
      ngx_http_spaces_gauge_workers, 1, NULL, { NULL },
      "Worker processes, with those that are leaving." },

    { "spaces_redis_connected_workers", "gauge", ngx_http_spaces_write_gauges,
      ngx_http_spaces_gauge_redis, 1, NULL, { NULL },
      "Of these, those connected to Redis." },

    { "spaces_redis_command_seconds", "histogram",
      ngx_http_spaces_write_histogram, ngx_http_spaces_histogram_redis,
      1000000, NULL, { NULL },
      "Time until Redis answered." },

    { "spaces_redis_connects_total", "counter", ngx_http_spaces_write_counters,
      ngx_http_spaces_metric_redis_connects, 1, NULL, { NULL },
      "Connections for commands that came to be." },

    { "spaces_redis_errors_total", "counter", ngx_http_spaces_write_counters,
      ngx_http_spaces_metric_redis_lost, 1,
      "kind", { "connection", "refused", "unanswered", NULL },
      "Connections that failed; commands refused; commands without answer." },

    { NULL, NULL, NULL, 0, 0, NULL, { NULL }, NULL }
};


ngx_int_t
ngx_http_spaces_metrics_handler(ngx_http_request_t *r)
{
    u_char                       *start;
    ngx_int_t                     rc;
    ngx_str_t                     body;
    ngx_http_spaces_family_t     *f;
    ngx_http_spaces_scrape_t     *s;

    static ngx_str_t  type = ngx_string("text/plain; version=0.0.4");

    rc = ngx_http_spaces_require_get(r, "metrics are read with GET");

    if (rc != NGX_DECLINED) {
        return rc;
    }

    s = ngx_pcalloc(r->pool, sizeof(ngx_http_spaces_scrape_t));
    start = ngx_palloc(r->pool, NGX_HTTP_SPACES_SCRAPE);

    if (s == NULL || start == NULL
        || ngx_http_spaces_header_cstr(r, "Cache-Control", "no-store")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s->p = start;
    s->last = start + NGX_HTTP_SPACES_SCRAPE;

    ngx_http_spaces_scrape_all(s,
               ngx_http_get_module_main_conf(r, ngx_http_spaces_module));

    for (f = ngx_http_spaces_families; f->name; f++) {
        s->p = ngx_slprintf(s->p, s->last, "# HELP %s %s\n# TYPE %s %s\n",
                            f->name, f->help, f->name, f->type);
        f->write(s, f);
    }

    body.data = start;
    body.len = s->p - start;

    return ngx_http_spaces_send(r, NGX_HTTP_OK, &type, &body);
}


void
ngx_http_spaces_count_request(ngx_http_handler_pt handler)
{
    ngx_uint_t                       i;
    ngx_http_spaces_handler_name_t  *names;

    names = ngx_http_spaces_handler_names;

    for (i = 1; names[i].name && names[i].handler != handler; i++) {
        /* void */
    }

    if (names[i].name == NULL) {
        i = 0;
    }

    (void) ngx_atomic_fetch_add(&ngx_http_spaces_metrics->requests[i], 1);
}


static void
ngx_http_spaces_scrape_all(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_main_conf_t *smcf)
{
    s->gauges[ngx_http_spaces_gauge_zone] = smcf->shm_zone->shm.size;

    ngx_http_spaces_scrape_slots(s);
    ngx_http_spaces_scrape_rooms(s, smcf->zone);
    ngx_http_spaces_scrape_stored(s);
}


static void
ngx_http_spaces_scrape_slots(ngx_http_spaces_scrape_t *s)
{
    ngx_uint_t                i, form, kind;
    ngx_atomic_uint_t         pid;
    ngx_http_spaces_slot_t   *slot;

    for (i = 0; i < NGX_HTTP_SPACES_METRICS_SLOTS; i++) {
        slot = &ngx_http_spaces_metrics->slots[i];
        pid = slot->pid;

        if (pid == 0 || !ngx_http_spaces_alive(pid)) {
            continue;
        }

        s->pids[s->npids++] = pid;
        s->gauges[ngx_http_spaces_gauge_redis] += slot->redis;

        for (form = 0; form < ngx_http_spaces_form_n; form++) {

            kind = form < ngx_http_spaces_form_ws_opus
                   ? ngx_http_spaces_gauge_http
                   : form < ngx_http_spaces_form_sse
                   ? ngx_http_spaces_gauge_websocket
                   : ngx_http_spaces_gauge_events;

            s->gauges[kind] += slot->listeners[form];
        }
    }

    s->gauges[ngx_http_spaces_gauge_workers] = s->npids;
}


/* as many as fit into the zone */

static void
ngx_http_spaces_scrape_rooms(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_zone_t *zone)
{
    int64_t       now;
    ngx_queue_t  *q;

    now = ngx_http_spaces_monotonic();

    ngx_shmtx_lock(&zone->shpool->mutex);

    s->gauges[ngx_http_spaces_gauge_free] = (int64_t) zone->shpool->pfree
                                            * ngx_pagesize;

    for (q = ngx_queue_head(&zone->sh->rooms);
         q != ngx_queue_sentinel(&zone->sh->rooms);
         q = ngx_queue_next(q))
    {
        ngx_http_spaces_scrape_room(s,
                       ngx_queue_data(q, ngx_http_spaces_room_t, queue), now);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static void
ngx_http_spaces_scrape_room(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_room_t *room, int64_t now)
{
    int64_t            *lag;
    ngx_uint_t          i;
    ngx_atomic_uint_t   state;

    state = room->state;
    s->gauges[ngx_http_spaces_gauge_rooms + state]++;

    for (i = 0; i < room->nspeakers; i++) {

        if (ngx_http_spaces_scrape_is_alive(s, room->speakers[i].source)) {
            s->gauges[ngx_http_spaces_gauge_speakers]++;
        }
    }

    if (room->recording != NGX_HTTP_SPACES_RECORDING
        || state > NGX_HTTP_SPACES_ROOM_ENDING)
    {
        return;
    }

    s->gauges[ngx_http_spaces_gauge_recording]++;

    lag = &s->gauges[ngx_http_spaces_gauge_lag];
    *lag = ngx_max(*lag, now - room->synced);
}


static ngx_uint_t
ngx_http_spaces_scrape_is_alive(ngx_http_spaces_scrape_t *s,
    ngx_atomic_uint_t pid)
{
    ngx_uint_t  i;

    if (pid) {

        for (i = 0; i < s->npids; i++) {

            if (s->pids[i] == pid) {
                return 1;
            }
        }
    }

    return 0;
}


static void
ngx_http_spaces_scrape_stored(ngx_http_spaces_scrape_t *s)
{
    int64_t                    *gauges;
    ngx_http_spaces_metrics_t  *m;

    m = ngx_http_spaces_metrics;
    gauges = s->gauges;

    gauges[ngx_http_spaces_gauge_due] = m->due_known ? (int64_t) m->due : -1;

    if (!m->counted) {
        gauges[ngx_http_spaces_gauge_available] = -1;
        gauges[ngx_http_spaces_gauge_available_bytes] = -1;
        gauges[ngx_http_spaces_gauge_held] = -1;
        gauges[ngx_http_spaces_gauge_held_bytes] = -1;
        return;
    }

    gauges[ngx_http_spaces_gauge_available] =
                            ngx_http_spaces_scrape_signed(m->available);
    gauges[ngx_http_spaces_gauge_available_bytes] =
                            ngx_http_spaces_scrape_signed(m->available_bytes);
    gauges[ngx_http_spaces_gauge_held] =
                            ngx_http_spaces_scrape_signed(m->held);
    gauges[ngx_http_spaces_gauge_held_bytes] =
                            ngx_http_spaces_scrape_signed(m->held_bytes);
}


/* what was counted while it changed may be off by one until the next count */

static int64_t
ngx_http_spaces_scrape_signed(ngx_atomic_uint_t n)
{
    return ngx_max((ngx_atomic_int_t) n, 0);
}


static void
ngx_http_spaces_write_gauges(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f)
{
    ngx_uint_t  i;

    for (i = 0; i == 0 || (i < 6 && f->values[i]); i++) {

        if (s->gauges[f->first + i] >= 0) {
            ngx_http_spaces_write_sample(s, f, f->values[i],
                                         s->gauges[f->first + i]);
        }
    }
}


static void
ngx_http_spaces_write_counters(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f)
{
    ngx_uint_t  i;

    for (i = 0; i == 0 || (i < 6 && f->values[i]); i++) {
        ngx_http_spaces_write_sample(s, f, f->values[i],
                     (int64_t) ngx_http_spaces_metrics->counters[f->first + i]);
    }
}


static void
ngx_http_spaces_write_problems(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f)
{
    ngx_uint_t   i;
    const char  *slug;

    for (i = 0; i < NGX_HTTP_SPACES_METRICS_PROBLEMS; i++) {
        slug = ngx_http_spaces_problem_slug(i);

        if (slug == NULL) {
            break;
        }

        ngx_http_spaces_write_sample(s, f, slug,
                               (int64_t) ngx_http_spaces_metrics->problems[i]);
    }
}


static void
ngx_http_spaces_write_requests(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_spaces_handler_names[i].name; i++) {
        ngx_http_spaces_write_sample(s, f,
                               ngx_http_spaces_handler_names[i].name,
                               (int64_t) ngx_http_spaces_metrics->requests[i]);
    }
}


/* buckets are cumulative, and the last one is the count */

static void
ngx_http_spaces_write_histogram(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f)
{
    int64_t                       n;
    ngx_uint_t                    i;
    ngx_http_spaces_histogram_t  *h;

    h = &ngx_http_spaces_metrics->histograms[f->first];
    n = 0;

    for (i = 0; i < NGX_HTTP_SPACES_METRICS_BUCKETS; i++) {
        n += (int64_t) h->buckets[i];

        s->p = ngx_slprintf(s->p, s->last, "%s_bucket{le=\"", f->name);
        ngx_http_spaces_write_bound(s, ngx_http_spaces_bounds[i], f->scale);
        s->p = ngx_slprintf(s->p, s->last, "\"} %L\n", n);
    }

    n += (int64_t) h->buckets[i];

    s->p = ngx_slprintf(s->p, s->last, "%s_bucket{le=\"+Inf\"} %L\n%s_sum ",
                        f->name, n, f->name);
    ngx_http_spaces_write_number(s, (int64_t) h->sum, f->scale);
    s->p = ngx_slprintf(s->p, s->last, "\n%s_count %L\n", f->name, n);
}


/* the values of labels are ours, with nothing in them to escape */

static void
ngx_http_spaces_write_sample(ngx_http_spaces_scrape_t *s,
    ngx_http_spaces_family_t *f, const char *value, int64_t n)
{
    if (f->label) {
        s->p = ngx_slprintf(s->p, s->last, "%s{%s=\"%s\"} ", f->name,
                            f->label, value);

    } else {
        s->p = ngx_slprintf(s->p, s->last, "%s ", f->name);
    }

    ngx_http_spaces_write_number(s, n, f->scale);
    s->p = ngx_slprintf(s->p, s->last, "\n");
}


/* as clients of Prometheus write it, so that an alert can select it: 0.1 */

static void
ngx_http_spaces_write_bound(ngx_http_spaces_scrape_t *s, int64_t n,
    int64_t scale)
{
    ngx_http_spaces_write_number(s, n, scale);

    if (scale > 1) {

        while (s->p[-1] == '0') {
            s->p--;
        }

        if (s->p[-1] == '.') {
            s->p--;
        }
    }
}


static void
ngx_http_spaces_write_number(ngx_http_spaces_scrape_t *s, int64_t n,
    int64_t scale)
{
    s->p = ngx_slprintf(s->p, s->last, "%L", n / scale);

    if (scale > 1) {
        s->p = ngx_slprintf(s->p, s->last, ".%06L",
                            n % scale * (1000000 / scale));
    }
}
