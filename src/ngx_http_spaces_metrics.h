
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What is counted, in shared memory, by all processes together.  Counters only
 * grow.  What a process has at the moment is in a slot of its own, which is
 * left out as soon as that process is gone.
 */


#ifndef _NGX_HTTP_SPACES_METRICS_H_INCLUDED_
#define _NGX_HTTP_SPACES_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_spaces_form.h"


/* processes of all that run side by side; those that find no slot count not */
#define NGX_HTTP_SPACES_METRICS_SLOTS     128

#define NGX_HTTP_SPACES_METRICS_BUCKETS   6
#define NGX_HTTP_SPACES_METRICS_PROBLEMS  64
#define NGX_HTTP_SPACES_METRICS_HANDLERS  16


typedef enum {
    ngx_http_spaces_metric_written = 0,    /* bytes */

    /* recordings: what has become of them */
    ngx_http_spaces_metric_started,
    ngx_http_spaces_metric_available,
    ngx_http_spaces_metric_stopped,
    ngx_http_spaces_metric_deleted,
    ngx_http_spaces_metric_expired,
    ngx_http_spaces_metric_purged,

    ngx_http_spaces_metric_taken_over,

    /* slow listeners */
    ngx_http_spaces_metric_skipped,
    ngx_http_spaces_metric_dropped,
    ngx_http_spaces_metric_gaps,

    /* microseconds */
    ngx_http_spaces_metric_codec_loop,
    ngx_http_spaces_metric_codec_thread,

    ngx_http_spaces_metric_redis_connects,
    ngx_http_spaces_metric_redis_lost,
    ngx_http_spaces_metric_redis_refused,
    ngx_http_spaces_metric_redis_unanswered,

    ngx_http_spaces_metric_n
} ngx_http_spaces_metric_e;


typedef enum {
    ngx_http_spaces_histogram_tick = 0,    /* how late it is */
    ngx_http_spaces_histogram_sync,        /* until a flush is on disk */
    ngx_http_spaces_histogram_redis,       /* until a command is answered */
    ngx_http_spaces_histogram_n
} ngx_http_spaces_histogram_e;


/* what takes longer than the last bound is in the bucket behind it */

typedef struct {
    ngx_atomic_t                 buckets[NGX_HTTP_SPACES_METRICS_BUCKETS + 1];
    ngx_atomic_t                 sum;        /* microseconds */
} ngx_http_spaces_histogram_t;


/* of one process, which alone writes to it */

typedef struct {
    ngx_atomic_t                 pid;
    ngx_atomic_t                 redis;      /* it is connected */
    ngx_atomic_t                 listeners[ngx_http_spaces_form_n];
} ngx_http_spaces_slot_t;


typedef struct {
    ngx_atomic_t                 counters[ngx_http_spaces_metric_n];
    ngx_atomic_t                 problems[NGX_HTTP_SPACES_METRICS_PROBLEMS];
    ngx_atomic_t                 requests[NGX_HTTP_SPACES_METRICS_HANDLERS];
    ngx_http_spaces_histogram_t  histograms[ngx_http_spaces_histogram_n];

    /* files in recordings/ and held/, once somebody has counted them */
    ngx_atomic_t                 counted;
    ngx_atomic_t                 available;
    ngx_atomic_t                 available_bytes;
    ngx_atomic_t                 held;
    ngx_atomic_t                 held_bytes;

    ngx_atomic_t                 due_known;
    ngx_atomic_t                 due;

    ngx_http_spaces_slot_t       slots[NGX_HTTP_SPACES_METRICS_SLOTS];
} ngx_http_spaces_metrics_t;


/* where this process counts; never NULL, for nobody to see until attached */
extern ngx_http_spaces_metrics_t  *ngx_http_spaces_metrics;
extern ngx_http_spaces_slot_t     *ngx_http_spaces_slot;

/* the upper bounds of the buckets, microseconds */
extern ngx_uint_t  ngx_http_spaces_bounds[NGX_HTTP_SPACES_METRICS_BUCKETS];


/* for a worker that starts: from now on it counts there */
void ngx_http_spaces_metrics_attach(ngx_http_spaces_metrics_t *metrics);

/* for one that exits */
void ngx_http_spaces_metrics_detach(void);

/* whether any process is */
ngx_uint_t ngx_http_spaces_metrics_attached(void);

/* one atomic addition */
#define ngx_http_spaces_metrics_add(metric, n)                                \
    (void) ngx_atomic_fetch_add(                                              \
                       &ngx_http_spaces_metrics->counters[metric], n)

/* microseconds, monotonic; and adds what has passed since */
uint64_t ngx_http_spaces_metrics_clock(void);
void ngx_http_spaces_metrics_since(ngx_http_spaces_metric_e metric,
    uint64_t began);

/* microseconds; one atomic addition if it is none, else two */
void ngx_http_spaces_metrics_observe(ngx_http_spaces_histogram_e histogram,
    uint64_t time);

/* a listener has come (1) or gone (-1) */
#define ngx_http_spaces_metrics_listener(form, n)                             \
    ngx_http_spaces_slot->listeners[form] += (n)

/* whether this process can send commands to Redis */
#define ngx_http_spaces_metrics_redis(connected)                              \
    ngx_http_spaces_slot->redis = (connected)

/* one of ngx_http_spaces_problem_e was answered */
void ngx_http_spaces_metrics_problem(ngx_uint_t problem);

/*
 * A recording of so many bytes was made "available", or was "deleted",
 * "expired", "purged": counted, and files and bytes follow.
 */
void ngx_http_spaces_metrics_recording(ngx_http_spaces_metric_e event,
    off_t bytes);

/* what there is on disk, found by somebody who has looked */
void ngx_http_spaces_metrics_stored(ngx_uint_t available,
    off_t available_bytes, ngx_uint_t held, off_t held_bytes);

/* recordings whose next step is due and not done yet */
void ngx_http_spaces_metrics_due(ngx_uint_t n);


#endif /* _NGX_HTTP_SPACES_METRICS_H_INCLUDED_ */
