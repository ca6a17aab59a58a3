
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_metrics.h"


static void ngx_http_spaces_metrics_move(ngx_atomic_t *files,
    ngx_atomic_t *size, ngx_atomic_int_t n, off_t bytes);


static ngx_http_spaces_metrics_t  ngx_http_spaces_metrics_nowhere;

ngx_http_spaces_metrics_t  *ngx_http_spaces_metrics =
                                &ngx_http_spaces_metrics_nowhere;

ngx_http_spaces_slot_t  *ngx_http_spaces_slot =
                                &ngx_http_spaces_metrics_nowhere.slots[0];


ngx_uint_t  ngx_http_spaces_bounds[NGX_HTTP_SPACES_METRICS_BUCKETS] = {
    1000, 5000, 20000, 100000, 500000, 2000000
};


void
ngx_http_spaces_metrics_attach(ngx_http_spaces_metrics_t *metrics)
{
    ngx_uint_t               i;
    ngx_atomic_uint_t        pid;
    ngx_http_spaces_slot_t  *slot;

    ngx_http_spaces_metrics = metrics;

    for (i = 0; i < NGX_HTTP_SPACES_METRICS_SLOTS; i++) {
        slot = &metrics->slots[i];
        pid = slot->pid;

        if (pid && (kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH)
            && pid != (ngx_atomic_uint_t) ngx_pid)
        {
            continue;
        }

        if (ngx_atomic_cmp_set(&slot->pid, pid, ngx_pid)) {
            slot->redis = 0;
            ngx_memzero((void *) slot->listeners, sizeof(slot->listeners));

            ngx_http_spaces_slot = slot;
            return;
        }
    }
}


void
ngx_http_spaces_metrics_detach(void)
{
    ngx_http_spaces_slot->pid = 0;
    ngx_http_spaces_slot = &ngx_http_spaces_metrics_nowhere.slots[0];
}


ngx_uint_t
ngx_http_spaces_metrics_attached(void)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  pid;

    for (i = 0; i < NGX_HTTP_SPACES_METRICS_SLOTS; i++) {
        pid = ngx_http_spaces_metrics->slots[i].pid;

        if (pid && (kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH)) {
            return 1;
        }
    }

    return 0;
}


uint64_t
ngx_http_spaces_metrics_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void
ngx_http_spaces_metrics_since(ngx_http_spaces_metric_e metric, uint64_t began)
{
    ngx_http_spaces_metrics_add(metric,
                                ngx_http_spaces_metrics_clock() - began);
}


void
ngx_http_spaces_metrics_observe(ngx_http_spaces_histogram_e histogram,
    uint64_t time)
{
    ngx_uint_t                    i;
    ngx_http_spaces_histogram_t  *h;

    h = &ngx_http_spaces_metrics->histograms[histogram];

    for (i = 0; i < NGX_HTTP_SPACES_METRICS_BUCKETS; i++) {

        if (time <= ngx_http_spaces_bounds[i]) {
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&h->buckets[i], 1);

    if (time) {
        (void) ngx_atomic_fetch_add(&h->sum, time);
    }
}


void
ngx_http_spaces_metrics_problem(ngx_uint_t problem)
{
    if (problem < NGX_HTTP_SPACES_METRICS_PROBLEMS) {
        (void) ngx_atomic_fetch_add(
                              &ngx_http_spaces_metrics->problems[problem], 1);
    }
}


void
ngx_http_spaces_metrics_recording(ngx_http_spaces_metric_e event, off_t bytes)
{
    ngx_http_spaces_metrics_t  *m;

    m = ngx_http_spaces_metrics;

    ngx_http_spaces_metrics_add(event, 1);

    switch (event) {

    case ngx_http_spaces_metric_available:
        ngx_http_spaces_metrics_move(&m->available, &m->available_bytes,
                                     1, bytes);
        break;

    case ngx_http_spaces_metric_deleted:
    case ngx_http_spaces_metric_expired:
        ngx_http_spaces_metrics_move(&m->available, &m->available_bytes,
                                     -1, bytes);
        ngx_http_spaces_metrics_move(&m->held, &m->held_bytes, 1, bytes);
        break;

    case ngx_http_spaces_metric_purged:
        ngx_http_spaces_metrics_move(&m->held, &m->held_bytes, -1, bytes);
        break;

    default:
        break;
    }
}


/* before they were counted this says nothing, and does no harm */

static void
ngx_http_spaces_metrics_move(ngx_atomic_t *files, ngx_atomic_t *size,
    ngx_atomic_int_t n, off_t bytes)
{
    (void) ngx_atomic_fetch_add(files, n);
    (void) ngx_atomic_fetch_add(size, n * (ngx_atomic_int_t) bytes);
}


void
ngx_http_spaces_metrics_stored(ngx_uint_t available, off_t available_bytes,
    ngx_uint_t held, off_t held_bytes)
{
    ngx_http_spaces_metrics_t  *m;

    m = ngx_http_spaces_metrics;

    m->available = available;
    m->available_bytes = (ngx_atomic_uint_t) available_bytes;
    m->held = held;
    m->held_bytes = (ngx_atomic_uint_t) held_bytes;

    ngx_memory_barrier();

    m->counted = 1;
}


void
ngx_http_spaces_metrics_due(ngx_uint_t n)
{
    ngx_http_spaces_metrics->due = n;
    ngx_http_spaces_metrics->due_known = 1;
}
