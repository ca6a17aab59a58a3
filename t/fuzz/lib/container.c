
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <stdlib.h>
#include <string.h>

#include <ogg/ogg.h>

#include "container.h"
#include "fuzz.h"
#include "spaces_ogg_writer.h"


#define SERIAL  7

/* the shortest (RFC 3533, 6) */
#define PAGE    27


static void container_add(container_t *container,
    const spaces_reader_packet_t *packet);
static void container_must_hold(const container_t *container);
static uint8_t *container_write(const container_t *container, size_t *len);
static int container_misleads(const spaces_ogg_writer_t *writer,
    size_t before);
static void container_must_be_ogg(const container_t *container,
    const uint8_t *data, size_t len);


void
container_read(container_t *container, const uint8_t *data, size_t len,
    uint32_t piece, uint32_t seed)
{
    size_t                   at, n;
    spaces_demuxer_t        *demuxer;
    spaces_reader_packet_t   packet;

    memset(container, 0, sizeof(container_t));
    container->status = SPACES_READER_AGAIN;

    demuxer = malloc(sizeof(spaces_demuxer_t));
    must(demuxer != NULL && spaces_demuxer_init(demuxer) == 0);
    must(spaces_demuxer_feed(demuxer, NULL, 0) == 0);

    for (at = 0; at < len && container->status == SPACES_READER_AGAIN;
         at += n)
    {
        n = piece ? 1 + fuzz_chance(&seed, piece) : len;
        n = n < len - at ? n : len - at;

        must(spaces_demuxer_feed(demuxer, data + at, n) == 0);

        /* what it keeps is an element, and a feed */

        must(demuxer->webm.size <= SPACES_WEBM_MAX_ELEMENT + 12 + n + 4096);

        while ((container->status = spaces_demuxer_next(demuxer, &packet))
               == SPACES_READER_PACKET)
        {
            container_add(container, &packet);
        }
    }

    container->head = *spaces_demuxer_head(demuxer);
    container->damage = *spaces_demuxer_damage(demuxer);

    spaces_demuxer_free(demuxer);
    free(demuxer);
}


static void
container_add(container_t *container, const spaces_reader_packet_t *packet)
{
    container_packet_t  *p;

    if ((container->n & (container->n - 1)) == 0) {
        container->packets = realloc(container->packets,
                                     (2 * container->n + 1)
                                     * sizeof(container_packet_t));
        must(container->packets != NULL);
    }

    p = &container->packets[container->n++];

    p->at = container->len;
    p->len = packet->len;
    p->duration = packet->duration;
    p->pts = packet->pts;
    p->trim = packet->trim;

    container->bytes = realloc(container->bytes, p->at + p->len);
    must(container->bytes != NULL);

    memcpy(container->bytes + p->at, packet->data, p->len);
    container->len += p->len;
}


void
container_free(container_t *container)
{
    free(container->bytes);
    free(container->packets);
}


void
container_must_equal(const container_t *a, const container_t *b)
{
    size_t  i;

    must(a->n == b->n);
    must(a->len == b->len);

    for (i = 0; i < a->n; i++) {
        must(a->packets[i].len == b->packets[i].len);
        must(a->packets[i].duration == b->packets[i].duration);
    }

    must(a->len == 0 || memcmp(a->bytes, b->bytes, a->len) == 0);
}


void
container_check(const uint8_t *data, size_t len)
{
    size_t       i, written;
    uint8_t     *stream;
    uint32_t     seed;
    container_t  whole, pieces, again;

    static const uint32_t  sizes[] = { 1, 40, 4000 };

    seed = fuzz_hash(data, len);

    container_read(&whole, data, len, 0, 0);
    container_must_hold(&whole);

    container_read(&pieces, data, len,
                   sizes[fuzz_chance(&seed, len < 4096 ? 3 : 2)
                         + (len >= 4096)],
                   seed);

    must(pieces.status == whole.status);
    container_must_equal(&pieces, &whole);

    for (i = 0; i < whole.n; i++) {
        must(pieces.packets[i].pts == whole.packets[i].pts);
        must(pieces.packets[i].trim == whole.packets[i].trim);
    }

    if (whole.status == SPACES_READER_AGAIN) {
        must(pieces.damage.holes == whole.damage.holes);
        must(pieces.damage.bad_packets == whole.damage.bad_packets);
        must(pieces.damage.links == whole.damage.links);

        /* what is shorter than a page may be noise, or the start of one */

        must(whole.damage.skipped - pieces.damage.skipped < PAGE);
    }

    if (whole.n) {
        must(whole.head.channels == 1 || whole.head.channels == 2);

        stream = container_write(&whole, &written);

        container_read(&again, stream, written, 0, 0);
        container_must_equal(&again, &whole);

        must(again.status == SPACES_READER_AGAIN);
        must(again.damage.skipped == 0 && again.damage.holes == 0
             && again.damage.bad_packets == 0 && again.damage.links == 1);
        must(again.head.channels == whole.head.channels
             && again.head.pre_skip == whole.head.pre_skip
             && again.head.input_rate == whole.head.input_rate
             && again.head.gain == whole.head.gain);
        must(again.packets[0].pts == 0);

        container_must_hold(&again);
        container_must_be_ogg(&whole, stream, written);

        container_free(&again);
        free(stream);
    }

    container_free(&pieces);
    container_free(&whole);
}


/* packets are such, and follow one another */

static void
container_must_hold(const container_t *container)
{
    size_t               i;
    container_packet_t  *p;

    for (i = 0; i < container->n; i++) {
        p = &container->packets[i];

        must(p->len > 0 && p->len <= SPACES_OPUS_MAX_PACKET);
        must(p->duration >= SPACES_OPUS_MIN_DURATION
             && p->duration <= SPACES_OPUS_MAX_DURATION);
        must(spaces_opus_duration(container->bytes + p->at, p->len)
             == p->duration);
        must(p->trim >= 0 && p->trim <= 255 * SPACES_OPUS_MAX_DURATION);
        must(p->pts >= (i ? p[-1].pts + p[-1].duration : 0));
    }
}


/* as a stream of our own */

static uint8_t *
container_write(const container_t *container, size_t *len)
{
    int                   misleads;
    size_t                i, size, before;
    uint8_t              *stream;
    container_packet_t   *p;
    spaces_ogg_writer_t  *writer;
    const char           *comments[] = { "TITLE=any" };

    writer = malloc(sizeof(spaces_ogg_writer_t));
    must(writer != NULL);

    size = 2 * SPACES_OGG_MAX_PAGE;
    stream = malloc(size);
    must(stream != NULL);

    *len = spaces_ogg_writer_begin(writer, SERIAL, &container->head, comments,
                                   1, stream);

    for (i = 0; i < container->n; i++) {
        p = &container->packets[i];

        if (writer->samples + p->duration > 48000
            || !spaces_ogg_writer_fits(writer, p->len))
        {
            if (writer->nsegments) {
                *len += spaces_ogg_writer_flush(writer, 0, stream + *len);
            }

            size = *len + 2 * SPACES_OGG_MAX_PAGE;
            stream = realloc(stream, size);
            must(stream != NULL);
        }

        must(spaces_ogg_writer_fits(writer, p->len));

        before = writer->len;
        misleads = spaces_ogg_writer_misleads(writer,
                                              container->bytes + p->at,
                                              p->len);

        spaces_ogg_writer_add(writer, container->bytes + p->at, p->len,
                              p->duration);

        must(misleads == container_misleads(writer, before));
    }

    *len += spaces_ogg_writer_flush(writer, SPACES_OGG_EOS, stream + *len);

    free(writer);

    return stream;
}


/* a header of a page of the stream, that ends behind "before" in the body */

static int
container_misleads(const spaces_ogg_writer_t *writer, size_t before)
{
    size_t                i;
    const uint8_t        *p;
    static const uint8_t  serial[] = { SERIAL, 0, 0, 0 };

    for (i = 0; i + 18 <= writer->len; i++) {
        p = writer->body + i;

        if (i + 18 > before && memcmp(p, "OggS", 4) == 0
            && memcmp(p + 14, serial, 4) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* what libogg makes of it */

static void
container_must_be_ogg(const container_t *container, const uint8_t *data,
    size_t len)
{
    size_t                i;
    int64_t               granule;
    ogg_page              page;
    ogg_packet            packet;
    ogg_sync_state        sync;
    ogg_stream_state      stream;
    container_packet_t   *p;

    must(ogg_sync_init(&sync) == 0 && ogg_stream_init(&stream, SERIAL) == 0);

    memcpy(ogg_sync_buffer(&sync, (long) len), data, len);
    must(ogg_sync_wrote(&sync, (long) len) == 0);

    i = 0;
    granule = 0;

    while (ogg_sync_pageout(&sync, &page) == 1) {
        must(ogg_stream_pagein(&stream, &page) == 0);

        while (ogg_stream_packetout(&stream, &packet) == 1) {

            if (packet.packetno < 2) {
                continue;
            }

            must(i < container->n);

            p = &container->packets[i++];
            granule += p->duration;

            must((size_t) packet.bytes == p->len);
            must(memcmp(packet.packet, container->bytes + p->at, p->len)
                 == 0);
            must(packet.granulepos == -1 || packet.granulepos == granule);
        }
    }

    must(i == container->n);
    must(ogg_page_eos(&page) && ogg_page_granulepos(&page) == granule);

    ogg_stream_clear(&stream);
    ogg_sync_clear(&sync);
}
