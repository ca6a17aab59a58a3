
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Bytes of Ogg or WebM, and the packets in them.
 */


#ifndef _SPACES_TEST_CONTAINER_H_INCLUDED_
#define _SPACES_TEST_CONTAINER_H_INCLUDED_


#include "spaces_demuxer.h"


typedef struct {
    size_t                   at;        /* in "bytes" */
    size_t                   len;
    int                      duration;
    int64_t                  pts;
    int                      trim;
} container_packet_t;


typedef struct {
    uint8_t                 *bytes;
    size_t                   len;
    container_packet_t      *packets;
    size_t                   n;
    spaces_reader_status_e   status;    /* the last one */
    spaces_opus_head_t       head;
    spaces_reader_damage_t   damage;
} container_t;


/* in pieces of up to so many bytes, by a seed; 0: at once */
void container_read(container_t *container, const uint8_t *data, size_t len,
    uint32_t piece, uint32_t seed);

void container_free(container_t *container);

/* the same packets, from any other bytes */
void container_must_equal(const container_t *a, const container_t *b);

/*
 * All that holds for what the readers make of any bytes: it doesn't depend on
 * the pieces these come in, and what is read can be written, and read again.
 */
void container_check(const uint8_t *data, size_t len);


#endif /* _SPACES_TEST_CONTAINER_H_INCLUDED_ */
