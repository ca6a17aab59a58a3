
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <string.h>

#include "spaces_packet_ring.h"


/* records begin at multiples of eight */
#define spaces_packet_record(len)                                             \
    ((sizeof(spaces_packet_t) + (len) + 7) & ~(uint64_t) 7)


static void spaces_packet_copy_in(spaces_packet_ring_t *ring, uint64_t at,
    const void *data, size_t len);
static void spaces_packet_copy_out(const spaces_packet_ring_t *ring,
    uint64_t at, void *data, size_t len);


size_t
spaces_packet_ring_size(size_t size)
{
    return sizeof(spaces_packet_ring_t) + size;
}


void
spaces_packet_ring_init(spaces_packet_ring_t *ring, size_t size)
{
    memset(ring, 0, sizeof(spaces_packet_ring_t));

    ring->size = size;
}


uint64_t
spaces_packet_ring_queued(const spaces_packet_ring_t *ring)
{
    uint64_t  read;

    /* in this order, or the difference could be negative */

    read = __atomic_load_n(&ring->read_samples, __ATOMIC_ACQUIRE);

    return __atomic_load_n(&ring->written_samples, __ATOMIC_ACQUIRE) - read;
}


int
spaces_packet_ring_empty(const spaces_packet_ring_t *ring,
    const spaces_packet_cursor_t *cursor)
{
    return __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE) == cursor->bytes;
}


int
spaces_packet_ring_write(spaces_packet_ring_t *ring,
    const spaces_packet_t *packet, const uint8_t *data)
{
    uint64_t  used;

    used = ring->written - __atomic_load_n(&ring->read, __ATOMIC_ACQUIRE);

    if (spaces_packet_record(packet->len) > ring->size - used) {
        return -1;
    }

    spaces_packet_copy_in(ring, ring->written, packet,
                          sizeof(spaces_packet_t));
    spaces_packet_copy_in(ring, ring->written + sizeof(spaces_packet_t), data,
                          packet->len);

    if (!(packet->flags & SPACES_PACKET_END)) {
        __atomic_store_n(&ring->written_samples,
                         ring->written_samples + packet->duration,
                         __ATOMIC_RELEASE);
    }

    __atomic_store_n(&ring->written,
                     ring->written + spaces_packet_record(packet->len),
                     __ATOMIC_RELEASE);

    return 0;
}


int
spaces_packet_ring_peek(const spaces_packet_ring_t *ring,
    const spaces_packet_cursor_t *cursor, spaces_packet_t *packet)
{
    if (spaces_packet_ring_empty(ring, cursor)) {
        return -1;
    }

    spaces_packet_copy_out(ring, cursor->bytes, packet,
                           sizeof(spaces_packet_t));
    return 0;
}


void
spaces_packet_ring_copy(const spaces_packet_ring_t *ring,
    const spaces_packet_cursor_t *cursor, const spaces_packet_t *packet,
    uint8_t *data)
{
    spaces_packet_copy_out(ring, cursor->bytes + sizeof(spaces_packet_t),
                           data, packet->len);
}


void
spaces_packet_ring_take(const spaces_packet_ring_t *ring,
    spaces_packet_cursor_t *cursor, const spaces_packet_t *packet,
    uint8_t *data)
{
    spaces_packet_ring_copy(ring, cursor, packet, data);
    spaces_packet_ring_pass(cursor, packet);
}


void
spaces_packet_ring_pass(spaces_packet_cursor_t *cursor,
    const spaces_packet_t *packet)
{
    cursor->bytes += spaces_packet_record(packet->len);

    if (!(packet->flags & SPACES_PACKET_END)) {
        cursor->samples += packet->duration;
    }
}


void
spaces_packet_ring_release(spaces_packet_ring_t *ring,
    const spaces_packet_cursor_t *cursor)
{
    __atomic_store_n(&ring->read_samples, cursor->samples, __ATOMIC_RELEASE);
    __atomic_store_n(&ring->read, cursor->bytes, __ATOMIC_RELEASE);
}


static void
spaces_packet_copy_in(spaces_packet_ring_t *ring, uint64_t at,
    const void *data, size_t len)
{
    size_t  start, first;

    start = at & (ring->size - 1);
    first = ring->size - start;

    if (first >= len) {
        memcpy(ring->data + start, data, len);
        return;
    }

    memcpy(ring->data + start, data, first);
    memcpy(ring->data, (const uint8_t *) data + first, len - first);
}


static void
spaces_packet_copy_out(const spaces_packet_ring_t *ring, uint64_t at,
    void *data, size_t len)
{
    size_t  start, first;

    start = at & (ring->size - 1);
    first = ring->size - start;

    if (first >= len) {
        memcpy(data, ring->data + start, len);
        return;
    }

    memcpy(data, ring->data + start, first);
    memcpy((uint8_t *) data + first, ring->data, len - first);
}
