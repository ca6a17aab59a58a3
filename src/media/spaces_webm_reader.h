
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Reads WebM or Matroska with Opus in it as it comes (RFC 8794, EBML; RFC 9559,
 * Matroska): segments and clusters of unknown size, SimpleBlocks and
 * BlockGroups, all kinds of lacing, segments one after the other.
 */


#ifndef _SPACES_WEBM_READER_H_INCLUDED_
#define _SPACES_WEBM_READER_H_INCLUDED_


#include "spaces_reader.h"


/* an element that is looked into is no longer: 120 ms in one block and more */
#define SPACES_WEBM_MAX_ELEMENT  262144

/* RFC 9559, 10.3: the number of frames in a lace */
#define SPACES_WEBM_MAX_FRAMES   256


typedef struct {
    size_t  start;              /* in the buffer */
    size_t  len;
} spaces_webm_frame_t;


typedef struct {
    spaces_opus_head_t      head;
    spaces_reader_damage_t  damage;

    uint8_t                *buffer;
    size_t                  size;
    size_t                  start;      /* what is before it is read */
    size_t                  end;

    uint64_t                skip;       /* bytes to come that mean nothing */

    uint64_t                track;      /* the chosen one, 0: none yet */
    uint64_t                scale;      /* of timestamps, ns */
    uint64_t                cluster;    /* its timestamp */

    /* the track that is being described */
    uint64_t                number;
    unsigned                opus:1;
    unsigned                encoded:1;  /* compressed or encrypted */
    unsigned                has_head:1;
    unsigned                headed:1;   /* an EBML header was there */
    unsigned                clustered:1;
    unsigned                begun:1;    /* "shift" is set */
    spaces_opus_head_status_e  head_status;
    spaces_opus_head_t      track_head;

    int64_t                 pts;        /* of the packet to come */
    int64_t                 shift;      /* pts less the container's time */

    /* of the block at hand */
    spaces_webm_frame_t     frames[SPACES_WEBM_MAX_FRAMES];
    unsigned                nframes;
    unsigned                next;
    int                     trim;
} spaces_webm_reader_t;


void spaces_webm_reader_init(spaces_webm_reader_t *reader);

void spaces_webm_reader_free(spaces_webm_reader_t *reader);

/*
 * Copies bytes in.  To be called only when spaces_webm_reader_next() said
 * SPACES_READER_AGAIN, which also bounds the memory: an element and one feed.
 * Returns 0, or -1 without memory.
 */
int spaces_webm_reader_feed(spaces_webm_reader_t *reader, const uint8_t *data,
    size_t len);

/*
 * The next audio packet.  Anything but SPACES_READER_PACKET and
 * SPACES_READER_AGAIN is final.  reader->head is set by the first packet.
 */
spaces_reader_status_e spaces_webm_reader_next(spaces_webm_reader_t *reader,
    spaces_reader_packet_t *packet);


#endif /* _SPACES_WEBM_READER_H_INCLUDED_ */
