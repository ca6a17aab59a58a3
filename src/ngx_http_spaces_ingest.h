
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A source of audio: its request, or raw connection, and how far it is.
 */


#ifndef _NGX_HTTP_SPACES_INGEST_H_INCLUDED_
#define _NGX_HTTP_SPACES_INGEST_H_INCLUDED_


#include "ngx_http_spaces_request.h"
#include "ngx_http_spaces_room.h"

#include "spaces_ogg_reader.h"


typedef struct {
    ngx_http_request_t           *request;
    ngx_http_spaces_main_conf_t  *smcf;
    spaces_ogg_reader_t           reader;
    ngx_http_spaces_waiter_t      waiter;

    ngx_http_spaces_room_t       *room;        /* while attached */
    ngx_atomic_uint_t             serial;

    spaces_ogg_packet_t           packet;      /* that found no room yet */
    ngx_uint_t                    trim;

    u_char                       *raw;         /* buffer, if there is no body
                                                  as nginx sees it */
    size_t                        received;

    ngx_int_t                     answer;      /* what answering returned */

    unsigned                      waiting:1;   /* in the list of waiters */
    unsigned                      held:1;      /* "packet" is set */
    unsigned                      blocked:1;   /* the room takes no more now */
    unsigned                      fresh:1;     /* no packet written yet */
    unsigned                      complete:1;  /* the body came to its end */
    unsigned                      ended:1;     /* and so the ring was told */
    unsigned                      complained:1;
    unsigned                      draining:1;  /* the Space ends: hurry */
    unsigned                      failed:1;    /* the room came to nothing */
    unsigned                      no_space:1;
    unsigned                      reloading:1;
    unsigned                      reloaded:1;
    unsigned                      raw_answered:1;
} ngx_http_spaces_ingest_t;


/* whether the caller may talk now: NGX_DECLINED, or the answer */
ngx_int_t ngx_http_spaces_ingest_admit(ngx_http_request_t *r);

/*
 * Takes in bytes, and what they make into the ring.  NGX_OK: all of it;
 * NGX_AGAIN: the rest later, "blocked" is set until then; NGX_ABORT: it was
 * answered, with what "answer" holds.
 */
ngx_int_t ngx_http_spaces_ingest_feed(ngx_http_spaces_ingest_t *ingest,
    u_char *data, size_t len);

/* likewise of bytes that were taken in before */
ngx_int_t ngx_http_spaces_ingest_pump(ngx_http_spaces_ingest_t *ingest);

/* the request is over, with the rc of its answer; the room is left */
void ngx_http_spaces_ingest_done(ngx_http_spaces_ingest_t *ingest,
    ngx_int_t rc);


#endif /* _NGX_HTTP_SPACES_INGEST_H_INCLUDED_ */
