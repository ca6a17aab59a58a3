
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Ogg Opus in, packets out.  Reads a stream as it arrives, in pieces of any
 * size: finds the Opus stream among others, follows chained streams, skips
 * tags of any length without keeping them, and finds its way again after
 * damage (RFC 3533, 6; RFC 7845, 3 and 4).
 */


#ifndef _SPACES_OGG_READER_H_INCLUDED_
#define _SPACES_OGG_READER_H_INCLUDED_


#include <ogg/ogg.h>

#include "spaces_reader.h"


typedef struct {
    size_t     start;           /* in the page's body */
    size_t     len;
    int        duration;        /* -1: not to be given out */
} spaces_ogg_segment_t;


typedef struct {
    ogg_sync_state        sync;
    ogg_page              page;

    spaces_opus_head_t    head;         /* of the first Opus stream */
    spaces_reader_damage_t   damage;

    int                   state;
    int                   serial;
    long                  sequence;     /* of the page to come */

    int64_t               pts;
    int64_t               shift;        /* granule position less pts */
    unsigned              shifted:1;
    unsigned              continued:1;  /* "partial" holds a packet's start */
    unsigned              oversize:1;   /* and that packet is too long */

    uint64_t              header_bytes; /* of the tags so far */

    uint8_t              *partial;      /* SPACES_OPUS_MAX_PACKET bytes */
    size_t                partial_len;

    /* the packets that end on the page at hand */

    spaces_ogg_segment_t  packets[256];
    unsigned              npackets;
    unsigned              next;
    size_t                tail;         /* of the body: begins a packet that
                                           ends on a later page */
    unsigned              has_tail:1;
    int                   trim;
} spaces_ogg_reader_t;


/* returns 0, or -1 without memory */
int spaces_ogg_reader_init(spaces_ogg_reader_t *reader);

void spaces_ogg_reader_free(spaces_ogg_reader_t *reader);

/*
 * Copies bytes in.  To be called only when spaces_ogg_reader_next() said
 * SPACES_READER_AGAIN, which also bounds the memory: a page and one feed.
 * Returns 0, or -1 without memory.
 */
int spaces_ogg_reader_feed(spaces_ogg_reader_t *reader, const uint8_t *data,
    size_t len);

/*
 * The next audio packet.  Anything but SPACES_READER_PACKET and
 * SPACES_READER_AGAIN is final.  reader->head is set by the first packet.
 */
spaces_reader_status_e spaces_ogg_reader_next(spaces_ogg_reader_t *reader,
    spaces_reader_packet_t *packet);


#endif /* _SPACES_OGG_READER_H_INCLUDED_ */
