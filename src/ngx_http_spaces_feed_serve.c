
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The listeners of all feeds get what is new, in turns.
 */


#include "ngx_http_spaces_feeding.h"
#include "ngx_http_spaces_round.h"


/* whether a turn is over is looked at after so many */
#define NGX_HTTP_SPACES_EVERY  8


/* what is soon wanted comes into the CPU's cache meanwhile */

#if (__GNUC__)

#define ngx_http_spaces_prefetch(p)  __builtin_prefetch(p)

#else

#define ngx_http_spaces_prefetch(p)

#endif


static void ngx_http_spaces_feed_round(ngx_http_spaces_feed_t *feed,
    ngx_uint_t form);
static ngx_uint_t ngx_http_spaces_feed_serve_on(ngx_http_spaces_feed_t *feed,
    int64_t end);
static void ngx_http_spaces_feed_next(ngx_http_spaces_feed_t *feed,
    ngx_queue_t *q, ngx_queue_t *sentinel);


void
ngx_http_spaces_feed_serve(ngx_http_spaces_feed_t *feed)
{
    ngx_http_spaces_feeds_t  *feeds;

    feeds = feed->smcf->feeds;

    if (feed->serving) {
        feed->again = 1;
        return;
    }

    feed->serving = 1;

    ngx_http_spaces_feed_round(feed, 0);

    ngx_queue_insert_tail(&feeds->pending, &feed->pending);

    if (!feeds->event.posted) {
        ngx_post_event(&feeds->event, &ngx_posted_next_events);
    }
}


/* of those who take that form */

static void
ngx_http_spaces_feed_round(ngx_http_spaces_feed_t *feed, ngx_uint_t form)
{
    ngx_http_spaces_audience_t  *audience;

    feed->form = form;

    if (form < ngx_http_spaces_form_n) {
        audience = &feed->audiences[form];
        audience->lowest = audience->stream.head;

        feed->next = ngx_queue_head(&audience->listeners);
    }
}


void
ngx_http_spaces_feeds_serve(ngx_event_t *ev)
{
    int64_t                   end;
    ngx_queue_t              *q;
    ngx_http_spaces_feed_t   *feed;
    ngx_http_spaces_feeds_t  *feeds = ev->data;

    end = ngx_http_spaces_turn();

    while (!ngx_queue_empty(&feeds->pending)) {

        q = ngx_queue_head(&feeds->pending);
        feed = ngx_queue_data(q, ngx_http_spaces_feed_t, pending);

        feed->running = 1;

        if (!ngx_http_spaces_feed_serve_on(feed, end)) {
            feed->running = 0;
            break;
        }

        ngx_queue_remove(q);

        feed->running = 0;
        feed->serving = 0;

        if (feed->nusers == 0) {
            ngx_http_spaces_feed_free(feed);

        } else if (feed->again) {
            feed->again = 0;
            ngx_http_spaces_feed_serve(feed);
        }

        /* many may have but a few listeners each */

        if (ngx_http_spaces_turn_is_over(end)) {
            break;
        }
    }

    if (!ngx_queue_empty(&feeds->pending) && !feeds->event.posted) {
        ngx_post_event(&feeds->event, &ngx_posted_next_events);
    }
}


/* 0: the time is over before the round is */

static ngx_uint_t
ngx_http_spaces_feed_serve_on(ngx_http_spaces_feed_t *feed, int64_t end)
{
    ngx_uint_t                   n;
    ngx_queue_t                 *q;
    ngx_http_spaces_audience_t  *audience;
    ngx_http_spaces_listener_t  *listener;

    for (n = 1; feed->form < ngx_http_spaces_form_n; n++) {

        audience = &feed->audiences[feed->form];
        q = feed->next;

        if (q == ngx_queue_sentinel(&audience->listeners)) {

            audience->needed = audience->lowest;

            ngx_http_spaces_feed_round(feed, feed->form + 1);
            continue;
        }

        ngx_http_spaces_feed_next(feed, q,
                                  ngx_queue_sentinel(&audience->listeners));

        listener = ngx_queue_data(q, ngx_http_spaces_listener_t, queue);

        if (feed->checking && listener->handlers->check) {
            listener->handlers->check(listener, feed->now);
        }

        if (listener->feed
            && (listener->position != audience->stream.head
                || listener->catching_up || feed->over))
        {
            ngx_http_spaces_listener_serve(listener);
        }

        if (n % NGX_HTTP_SPACES_EVERY == 0
            && ngx_http_spaces_turn_is_over(end))
        {
            return 0;
        }
    }

    feed->checking = 0;

    return 1;
}


/*
 * Among thousands of listeners nothing of one is in the CPU's cache when it is
 * served, and what is reached through pointers would be waited for step by
 * step.  These steps are taken while the kernel is busy with those before it:
 * the listener, the connection (what a send takes of it is in its first line,
 * the one from 64 on, and the last), the log that nginx asks for its level.
 */

static void
ngx_http_spaces_feed_next(ngx_http_spaces_feed_t *feed, ngx_queue_t *q,
    ngx_queue_t *sentinel)
{
    u_char                      *c;
    ngx_http_spaces_listener_t  *listener;

    q = ngx_queue_next(q);
    feed->next = q;

    if (q == sentinel) {
        return;
    }

    listener = ngx_queue_data(q, ngx_http_spaces_listener_t, queue);
    ngx_http_spaces_prefetch(listener->connection->log);

    q = ngx_queue_next(q);

    if (q == sentinel) {
        return;
    }

    listener = ngx_queue_data(q, ngx_http_spaces_listener_t, queue);
    ngx_http_spaces_prefetch(listener->write);

    c = (u_char *) listener->connection;
    ngx_http_spaces_prefetch(c);
    ngx_http_spaces_prefetch(c + 64);
    ngx_http_spaces_prefetch(c + sizeof(ngx_connection_t) - 1);

    /* a listener may lie across two lines */

    c = (u_char *) ngx_queue_next(q);
    ngx_http_spaces_prefetch(c);
    ngx_http_spaces_prefetch(c + 63);
}
