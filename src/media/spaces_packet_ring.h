
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A queue of packets between one process that writes and one that reads, in
 * memory that both share.  No lock, no pointer, no allocation; either may die
 * at any moment and leaves the ring whole.
 */


#ifndef _SPACES_PACKET_RING_H_INCLUDED_
#define _SPACES_PACKET_RING_H_INCLUDED_


#include "spaces_opus.h"


#define SPACES_PACKET_FRESH  0x01   /* the first packet of a connection */
#define SPACES_PACKET_END    0x02   /* no audio: the source is complete */
#define SPACES_PACKET_PACED  0x04   /* its sender was slowed down just now */


typedef struct {
    uint32_t  len;              /* bytes that follow */
    uint32_t  flags;
    uint32_t  duration;         /* samples; of END: to trim from the end */
    uint32_t  reserved;
    int64_t   pts;              /* samples on the source's own clock */
    uint64_t  arrival;          /* ms, monotonic */
} spaces_packet_t;


typedef struct {
    uint64_t  size;             /* of the data; a power of two */

    /* bytes ever written and read, and samples likewise: each of one side */

    uint64_t  written;
    uint64_t  written_samples;
    uint64_t  read;
    uint64_t  read_samples;

    uint8_t   data[];
} spaces_packet_ring_t;


/* where a reader stands: ahead of what it has given back */

typedef struct {
    uint64_t  bytes;
    uint64_t  samples;
} spaces_packet_cursor_t;


/* the bytes a ring with "size" bytes of data needs in all */
size_t spaces_packet_ring_size(size_t size);

void spaces_packet_ring_init(spaces_packet_ring_t *ring, size_t size);

/* samples that were written and not given back */
uint64_t spaces_packet_ring_queued(const spaces_packet_ring_t *ring);

/* the reader's: whether there is nothing at the cursor */
int spaces_packet_ring_empty(const spaces_packet_ring_t *ring,
    const spaces_packet_cursor_t *cursor);

/* the writer's: returns 0, or -1 if there is no room: try again later */
int spaces_packet_ring_write(spaces_packet_ring_t *ring,
    const spaces_packet_t *packet, const uint8_t *data);

/* the reader's: the packet at the cursor, without its data; -1 if none */
int spaces_packet_ring_peek(const spaces_packet_ring_t *ring,
    const spaces_packet_cursor_t *cursor, spaces_packet_t *packet);

/* copies the data of the packet last peeked at */
void spaces_packet_ring_copy(const spaces_packet_ring_t *ring,
    const spaces_packet_cursor_t *cursor, const spaces_packet_t *packet,
    uint8_t *data);

/* moves the cursor past the packet last peeked at */
void spaces_packet_ring_pass(spaces_packet_cursor_t *cursor,
    const spaces_packet_t *packet);

/* both */
void spaces_packet_ring_take(const spaces_packet_ring_t *ring,
    spaces_packet_cursor_t *cursor, const spaces_packet_t *packet,
    uint8_t *data);

/* gives back all before the cursor */
void spaces_packet_ring_release(spaces_packet_ring_t *ring,
    const spaces_packet_cursor_t *cursor);


#endif /* _SPACES_PACKET_RING_H_INCLUDED_ */
