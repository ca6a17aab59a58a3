
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <stdlib.h>
#include <string.h>

#include "spaces_ogg_reader.h"


/* RFC 7845, 6: a longer header packet may be refused */
#define SPACES_OGG_MAX_HEADER  125829120

/* a longer hole in the granule positions is a broken clock, not silence */
#define SPACES_OGG_MAX_HOLE    (60 * SPACES_OPUS_RATE)

/* bytes of no page that are passed over while there is no audio yet */
#define SPACES_OGG_MAX_NOISE   131072


typedef enum {
    SPACES_OGG_START = 0,       /* not one page seen */
    SPACES_OGG_STREAMS,         /* first pages, none of them Opus */
    SPACES_OGG_TAGS,            /* inside the packet of tags */
    SPACES_OGG_AUDIO,
    SPACES_OGG_ENDED            /* a page with the end flag passed */
} spaces_ogg_state_e;


static spaces_reader_status_e spaces_ogg_read_page(spaces_ogg_reader_t *reader);
static spaces_reader_status_e spaces_ogg_begin(spaces_ogg_reader_t *reader);
static spaces_reader_status_e spaces_ogg_skip_tags(spaces_ogg_reader_t *reader);
static int spaces_ogg_is_tags(ogg_page *page);
static int spaces_ogg_check_sequence(spaces_ogg_reader_t *reader);
static void spaces_ogg_split(spaces_ogg_reader_t *reader);
static void spaces_ogg_measure(spaces_ogg_reader_t *reader);
static void spaces_ogg_clock(spaces_ogg_reader_t *reader);
static const uint8_t *spaces_ogg_join(spaces_ogg_reader_t *reader,
    spaces_ogg_segment_t *segment, size_t *len);
static void spaces_ogg_keep_tail(spaces_ogg_reader_t *reader);


int
spaces_ogg_reader_init(spaces_ogg_reader_t *reader)
{
    memset(reader, 0, sizeof(spaces_ogg_reader_t));

    reader->partial = malloc(SPACES_OPUS_MAX_PACKET);
    if (reader->partial == NULL) {
        return -1;
    }

    (void) ogg_sync_init(&reader->sync);

    return 0;
}


void
spaces_ogg_reader_free(spaces_ogg_reader_t *reader)
{
    free(reader->partial);
    reader->partial = NULL;

    (void) ogg_sync_clear(&reader->sync);
}


int
spaces_ogg_reader_feed(spaces_ogg_reader_t *reader, const uint8_t *data,
    size_t len)
{
    char  *buf;

    if (len == 0) {
        return 0;
    }

    buf = ogg_sync_buffer(&reader->sync, (long) len);
    if (buf == NULL) {
        return -1;
    }

    memcpy(buf, data, len);

    return ogg_sync_wrote(&reader->sync, (long) len);
}


spaces_reader_status_e
spaces_ogg_reader_next(spaces_ogg_reader_t *reader,
    spaces_reader_packet_t *packet)
{
    spaces_reader_status_e    status;
    spaces_ogg_segment_t  *segment;

    for ( ;; ) {

        while (reader->next < reader->npackets) {
            segment = &reader->packets[reader->next++];

            if (segment->duration == -1) {
                continue;
            }

            packet->data = spaces_ogg_join(reader, segment, &packet->len);
            packet->duration = segment->duration;
            packet->pts = reader->pts;
            packet->trim = 0;

            if (reader->next == reader->npackets) {
                packet->trim = reader->trim;
            }

            reader->pts += segment->duration;

            return SPACES_READER_PACKET;
        }

        spaces_ogg_keep_tail(reader);

        status = spaces_ogg_read_page(reader);

        if (status != SPACES_READER_PACKET) {
            return status;
        }
    }
}


/* SPACES_READER_PACKET: a page was taken in, it may hold packets or not */

static spaces_reader_status_e
spaces_ogg_read_page(spaces_ogg_reader_t *reader)
{
    int     hole;
    long    n;
    size_t  have;

    have = reader->sync.fill - reader->sync.returned;

    if (reader->state == SPACES_OGG_START) {

        /* what isn't Ogg from its first bytes is not searched for pages */

        if (have && memcmp(reader->sync.data + reader->sync.returned, "OggS",
                           have < 4 ? have : 4)
                    != 0)
        {
            return SPACES_READER_UNKNOWN;
        }
    }

    for ( ;; ) {
        n = ogg_sync_pageseek(&reader->sync, &reader->page);

        if (n == 0) {
            return SPACES_READER_AGAIN;
        }

        if (n > 0) {
            break;
        }

        reader->damage.skipped += (uint64_t) -n;

        if (reader->state == SPACES_OGG_START
            || (reader->state < SPACES_OGG_AUDIO
                && reader->damage.skipped > SPACES_OGG_MAX_NOISE))
        {
            return SPACES_READER_BROKEN;
        }
    }

    if (ogg_page_version(&reader->page) != 0) {
        reader->damage.skipped += (uint64_t) n;
        return SPACES_READER_PACKET;
    }

    if (ogg_page_bos(&reader->page)) {
        return spaces_ogg_begin(reader);
    }

    if (reader->state == SPACES_OGG_START
        || reader->state == SPACES_OGG_STREAMS)
    {
        /* RFC 3533, 4: all first pages come before any other */
        return SPACES_READER_NOT_OPUS;
    }

    if (ogg_page_serialno(&reader->page) != reader->serial
        || reader->state == SPACES_OGG_ENDED)
    {
        return SPACES_READER_PACKET;
    }

    hole = spaces_ogg_check_sequence(reader);

    if (reader->state == SPACES_OGG_TAGS
        && !(hole && reader->header_bytes == 0
             && !spaces_ogg_is_tags(&reader->page)))
    {
        return spaces_ogg_skip_tags(reader);
    }

    /* audio, or what follows a page of tags that was lost */

    reader->state = SPACES_OGG_AUDIO;

    spaces_ogg_split(reader);
    spaces_ogg_measure(reader);
    spaces_ogg_clock(reader);

    if (ogg_page_eos(&reader->page)) {
        reader->state = SPACES_OGG_ENDED;
    }

    return SPACES_READER_PACKET;
}


/* the first page of a logical stream */

static spaces_reader_status_e
spaces_ogg_begin(spaces_ogg_reader_t *reader)
{
    ogg_page            *page;
    spaces_opus_head_t   head;

    page = &reader->page;

    if (page->body_len < 8 || memcmp(page->body, "OpusHead", 8) != 0
        || reader->state == SPACES_OGG_TAGS)
    {
        if (reader->state == SPACES_OGG_START) {
            reader->state = SPACES_OGG_STREAMS;
        }

        return SPACES_READER_PACKET;
    }

    if (reader->state == SPACES_OGG_AUDIO
        && ogg_page_serialno(page) == reader->serial)
    {
        /* a first page in the middle of its stream: damage, or a restart */
        reader->damage.holes++;
    }

    switch (spaces_opus_head_parse(&head, page->body, page->body_len)) {

    case SPACES_OPUS_HEAD_OK:
        break;

    case SPACES_OPUS_HEAD_UNSUPPORTED:
        return SPACES_READER_UNSUPPORTED;

    default:
        return SPACES_READER_BROKEN;
    }

    if (reader->damage.links++ == 0) {
        reader->head = head;
    }

    reader->serial = ogg_page_serialno(page);
    reader->sequence = ogg_page_pageno(page) + 1;
    reader->state = SPACES_OGG_TAGS;
    reader->header_bytes = 0;
    reader->continued = 0;
    reader->shifted = 0;

    return SPACES_READER_PACKET;
}


/* RFC 7845, 3: the tags fill whole pages, audio begins on a fresh one */

static spaces_reader_status_e
spaces_ogg_skip_tags(spaces_ogg_reader_t *reader)
{
    int        i, nsegments;
    ogg_page  *page;

    page = &reader->page;

    if (reader->header_bytes == 0 && !spaces_ogg_is_tags(page)) {
        return SPACES_READER_BROKEN;
    }

    reader->header_bytes += (uint64_t) page->body_len;

    if (reader->header_bytes > SPACES_OGG_MAX_HEADER) {
        return SPACES_READER_BROKEN;
    }

    nsegments = page->header[26];

    for (i = 0; i < nsegments; i++) {

        if (page->header[27 + i] < 255) {
            reader->state = SPACES_OGG_AUDIO;
            break;
        }
    }

    if (ogg_page_eos(page)) {
        reader->state = SPACES_OGG_ENDED;
    }

    return SPACES_READER_PACKET;
}


static int
spaces_ogg_is_tags(ogg_page *page)
{
    return page->body_len >= 8 && memcmp(page->body, "OpusTags", 8) == 0;
}


/* whether pages are missing before this one */

static int
spaces_ogg_check_sequence(spaces_ogg_reader_t *reader)
{
    int   hole;
    long  sequence;

    sequence = ogg_page_pageno(&reader->page);
    hole = (sequence != reader->sequence);

    if (hole) {
        reader->damage.holes++;

        /* the rest of a packet begun before the hole is lost */
        reader->continued = 0;
    }

    reader->sequence = sequence + 1;

    return hole;
}


/* lists the packets that end on the page */

static void
spaces_ogg_split(spaces_ogg_reader_t *reader)
{
    int                    i, nsegments, skip;
    size_t                 start, len;
    ogg_page              *page;
    spaces_ogg_segment_t  *segment;

    page = &reader->page;
    nsegments = page->header[26];

    reader->npackets = 0;
    reader->next = 0;
    reader->has_tail = 0;
    reader->trim = 0;

    if (!ogg_page_continued(page)) {
        reader->continued = 0;
    }

    skip = ogg_page_continued(page) && !reader->continued;

    start = 0;
    len = 0;

    for (i = 0; i < nsegments; i++) {
        len += page->header[27 + i];

        if (page->header[27 + i] == 255) {
            continue;
        }

        if (!skip) {
            segment = &reader->packets[reader->npackets++];
            segment->start = start;
            segment->len = len;

        } else {
            reader->damage.bad_packets++;
        }

        skip = 0;
        start += len;
        len = 0;
    }

    if (len && !skip) {
        reader->has_tail = 1;
        reader->tail = start;
    }
}


static void
spaces_ogg_measure(spaces_ogg_reader_t *reader)
{
    size_t                 len;
    unsigned               i;
    const uint8_t         *data;
    spaces_ogg_segment_t  *segment;

    for (i = 0; i < reader->npackets; i++) {
        segment = &reader->packets[i];

        data = spaces_ogg_join(reader, segment, &len);

        segment->duration = data ? spaces_opus_duration(data, len) : -1;

        /* some encoders end a stream with a packet that is empty */

        if (segment->duration == -1
            && !(len == 0 && ogg_page_eos(&reader->page)))
        {
            reader->damage.bad_packets++;
        }
    }
}


/*
 * The page's granule position is the end of its last packet (RFC 7845, 4).
 * Where it runs ahead of the packets, something is missing before them; where
 * it falls behind on the last page, the end is to be trimmed (RFC 7845, 4.4).
 */

static void
spaces_ogg_clock(spaces_ogg_reader_t *reader)
{
    int64_t   granule, ahead, total;
    unsigned  i;

    granule = ogg_page_granulepos(&reader->page);

    if (reader->npackets == 0 || granule == -1) {
        return;
    }

    total = 0;

    for (i = 0; i < reader->npackets; i++) {

        if (reader->packets[i].duration != -1) {
            total += reader->packets[i].duration;
        }
    }

    if (!reader->shifted) {
        reader->shifted = 1;

        /* RFC 7845, 4.5: a capture may begin in the middle of a stream */

        reader->shift = (int64_t) ((uint64_t) granule - (uint64_t) total
                                   - (uint64_t) reader->pts);

        if (ogg_page_eos(&reader->page) && reader->shift < -reader->pts) {
            reader->shift = -reader->pts;
        }
    }

    /* unsigned, for a hostile position may overflow */

    ahead = (int64_t) ((uint64_t) granule - (uint64_t) reader->shift
                       - (uint64_t) reader->pts - (uint64_t) total);

    if (ahead == 0) {
        return;
    }

    if (ahead < 0 && ogg_page_eos(&reader->page) && ahead >= -total) {
        reader->trim = (int) -ahead;
        return;
    }

    if (ahead >= SPACES_OPUS_MIN_DURATION && ahead <= SPACES_OGG_MAX_HOLE) {
        reader->pts += ahead;
        return;
    }

    /* no sense in that clock: the packets' own durations go on */

    reader->shift = (int64_t) ((uint64_t) reader->shift + (uint64_t) ahead);
}


/* a packet's bytes; the first on a page may have begun on an earlier one */

static const uint8_t *
spaces_ogg_join(spaces_ogg_reader_t *reader, spaces_ogg_segment_t *segment,
    size_t *len)
{
    if (segment != &reader->packets[0] || !reader->continued) {
        *len = segment->len;
        return reader->page.body + segment->start;
    }

    *len = reader->partial_len + segment->len;

    if (reader->oversize || *len > SPACES_OPUS_MAX_PACKET) {
        return NULL;
    }

    memcpy(reader->partial + reader->partial_len, reader->page.body,
           segment->len);

    return reader->partial;
}


/* before the page goes: the start of a packet that ends on a later one */

static void
spaces_ogg_keep_tail(spaces_ogg_reader_t *reader)
{
    size_t  len;

    if (reader->npackets == 0 && !reader->has_tail) {
        return;
    }

    if (!reader->has_tail) {
        reader->npackets = 0;
        reader->next = 0;
        reader->continued = 0;
        return;
    }

    if (reader->tail != 0 || reader->npackets || !reader->continued) {
        reader->partial_len = 0;
        reader->oversize = 0;
    }

    len = (size_t) reader->page.body_len - reader->tail;

    if (reader->partial_len + len > SPACES_OPUS_MAX_PACKET) {
        reader->oversize = 1;

    } else {
        memcpy(reader->partial + reader->partial_len,
               reader->page.body + reader->tail, len);
        reader->partial_len += len;
    }

    reader->continued = 1;
    reader->has_tail = 0;
    reader->npackets = 0;
    reader->next = 0;
}
