
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A source of audio: its request, raw connection or WebSocket, and how far it
 * is.
 */


#ifndef _NGX_HTTP_SPACES_INGEST_H_INCLUDED_
#define _NGX_HTTP_SPACES_INGEST_H_INCLUDED_


#include "ngx_http_spaces_feed.h"
#include "ngx_http_spaces_request.h"
#include "ngx_http_spaces_room.h"
#include "ngx_http_spaces_websocket.h"

#include "spaces_demuxer.h"


/*
 * How long the first packet waits for more, ms: HTTP comes in pages, and is
 * not what people talk to each other over
 */
#define NGX_HTTP_SPACES_MARGIN_HTTP       200
#define NGX_HTTP_SPACES_MARGIN_WEBSOCKET  80


typedef struct ngx_http_spaces_ingest_s  ngx_http_spaces_ingest_t;


struct ngx_http_spaces_ingest_s {
    ngx_http_request_t             *request;
    ngx_http_spaces_main_conf_t    *smcf;
    spaces_demuxer_t                demuxer;
    ngx_http_spaces_waiter_t        waiter;

    ngx_http_spaces_entrant_t       entrant;
    ngx_http_spaces_room_t         *room;      /* while attached */
    ngx_http_spaces_speaker_t      *speaker;   /* the place there */
    ngx_uint_t                      place;
    ngx_atomic_uint_t               serial;

    spaces_reader_packet_t          packet;    /* that found no room yet */
    ngx_uint_t                      trim;
    int64_t                         pts;       /* of packets that have none */
    uint64_t                        hurried;   /* samples, at the end */
    int64_t                         slowed;    /* ms, monotonic: when last */
    int64_t                         heard;     /* likewise, a packet came */
    ngx_atomic_uint_t               change;    /* of the Space, when they were
                                                  let in */

    u_char                         *raw;       /* buffer, if there is no body
                                                  as nginx sees it */
    size_t                          received;

    ngx_http_spaces_websocket_t    *ws;
    ngx_uint_t                      protocol;  /* its, if it is one */
    ngx_http_spaces_subscriber_t    subscriber;
    spaces_packet_cursor_t          back;      /* in the ring of returns */
    u_char                         *pending;   /* messages that came while it
                                                  was blocked */
    size_t                          pending_pos;
    size_t                          pending_len;
    size_t                          pending_size;

    ngx_int_t                       answer;    /* what answering returned */
    ngx_int_t                       broken;    /* what reading the body did */

    /* goes on after it was blocked */
    void                          (*resume)(ngx_http_spaces_ingest_t *ingest);

    unsigned                        bare:1;    /* messages are packets */
    unsigned                        waiting:1; /* in the list of waiters */
    unsigned                        held:1;    /* "packet" is set */
    unsigned                        blocked:1; /* the room takes no more now */
    unsigned                        fresh:1;   /* no packet written yet */
    unsigned                        complete:1;/* the body came to its end */
    unsigned                        ended:1;   /* and so the ring was told */
    unsigned                        complained:1;
    unsigned                        draining:1;/* the Space ends: hurry */
    unsigned                        leaving:1; /* for another connection: hurry,
                                                  once */
    unsigned                        emptied:1; /* a tick ago, hurrying */
    unsigned                        failed:1;  /* the room came to nothing */
    unsigned                        no_space:1;
    unsigned                        again:1;   /* they are to come back */
    unsigned                        reloading:1;
    unsigned                        reloaded:1;
    unsigned                        too_long:1;/* a packet was */
    unsigned                        raw_answered:1;
    unsigned                        over:1;    /* the Space has ended */
    unsigned                        done:1;
};


/* whether the caller may talk now: NGX_DECLINED, or the answer */
ngx_int_t ngx_http_spaces_ingest_admit(ngx_http_request_t *r);

/*
 * Begins, now or later, if there is room for the Space and disk for its
 * recording, or it has begun; otherwise it is the answer
 */
ngx_int_t ngx_http_spaces_ingest_room(ngx_http_request_t *r);

/* the source that was admitted is told to talk, and read */
ngx_int_t ngx_http_spaces_ingest_begin(ngx_http_request_t *r);

/* the answers if there is no room, no disk */
ngx_int_t ngx_http_spaces_ingest_full(ngx_http_request_t *r);
ngx_int_t ngx_http_spaces_ingest_no_space(ngx_http_request_t *r);

/* the answer to audio that can't be taken, which is logged, too */
ngx_int_t ngx_http_spaces_ingest_bad(ngx_http_request_t *r,
    ngx_http_spaces_problem_e problem, const char *detail);

/* the answer to who is to come back when nginx has restarted */
ngx_int_t ngx_http_spaces_ingest_later(ngx_http_spaces_ingest_t *ingest);

/* takes a place in the room: the codes are those of feeding */
ngx_int_t ngx_http_spaces_ingest_join(ngx_http_spaces_ingest_t *ingest);

/*
 * Takes in bytes, and what they make into the ring.  NGX_OK: all of it;
 * NGX_AGAIN: the rest later, "blocked" is set until then; NGX_ABORT: it was
 * answered, with what "answer" holds.
 */
ngx_int_t ngx_http_spaces_ingest_feed(ngx_http_spaces_ingest_t *ingest,
    u_char *data, size_t len);

/* likewise of bytes that were taken in before */
ngx_int_t ngx_http_spaces_ingest_pump(ngx_http_spaces_ingest_t *ingest);

/*
 * Takes in the first bytes, and puts nothing into the ring yet.  NGX_OK: the
 * pump goes on with them; NGX_ABORT as of feeding.
 */
ngx_int_t ngx_http_spaces_ingest_peek(ngx_http_spaces_ingest_t *ingest,
    u_char *data, size_t len);

/* as feeding, a packet; if it is NGX_AGAIN it has not been taken */
ngx_int_t ngx_http_spaces_ingest_packet(ngx_http_spaces_ingest_t *ingest,
    u_char *data, size_t len);

/* all that has come is in the ring: an end need not wait for more */
void ngx_http_spaces_ingest_idle(ngx_http_spaces_ingest_t *ingest);

/* what became of it, while it is in the room: the answer */
ngx_int_t ngx_http_spaces_ingest_result(ngx_http_spaces_ingest_t *ingest);

/* nothing of the worker or the room points at it from here on */
void ngx_http_spaces_ingest_leave(ngx_http_spaces_ingest_t *ingest);

/* the request is over, with the rc of its answer; the room is left */
void ngx_http_spaces_ingest_done(ngx_http_spaces_ingest_t *ingest,
    ngx_int_t rc);

/* becomes a WebSocket: returns what a content handler is to return */
ngx_int_t ngx_http_spaces_ingest_websocket(ngx_http_spaces_ingest_t *ingest);

/* likewise, for a source client that sends without length and chunks */
ngx_int_t ngx_http_spaces_ingest_raw(ngx_http_request_t *r);

/* the handshake, before anything else: NGX_DECLINED, or the answer */
ngx_int_t ngx_http_spaces_ingest_handshake(ngx_http_request_t *r,
    ngx_uint_t *protocol);

/* at every tick of one: what the others say */
void ngx_http_spaces_ingest_returns(ngx_http_spaces_ingest_t *ingest);

/* the frame of the end, with why */
void ngx_http_spaces_ingest_close(ngx_http_spaces_ingest_t *ingest);


#endif /* _NGX_HTTP_SPACES_INGEST_H_INCLUDED_ */
