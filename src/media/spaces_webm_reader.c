
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <stdlib.h>
#include <string.h>

#include "spaces_webm_reader.h"


/* RFC 8794, 11.2; RFC 9559, 5.1 */

#define SPACES_WEBM_EBML             0x1a45dfa3
#define SPACES_WEBM_SEGMENT          0x18538067
#define SPACES_WEBM_INFO             0x1549a966
#define SPACES_WEBM_TIMESTAMP_SCALE  0x2ad7b1
#define SPACES_WEBM_TRACKS           0x1654ae6b
#define SPACES_WEBM_TRACK_ENTRY      0xae
#define SPACES_WEBM_TRACK_NUMBER     0xd7
#define SPACES_WEBM_CODEC_ID         0x86
#define SPACES_WEBM_CODEC_PRIVATE    0x63a2
#define SPACES_WEBM_ENCODINGS        0x6d80
#define SPACES_WEBM_CLUSTER          0x1f43b675
#define SPACES_WEBM_TIMESTAMP        0xe7
#define SPACES_WEBM_SIMPLE_BLOCK     0xa3
#define SPACES_WEBM_BLOCK_GROUP      0xa0
#define SPACES_WEBM_BLOCK            0xa1
#define SPACES_WEBM_DISCARD          0x75a2

#define SPACES_WEBM_UNKNOWN          UINT64_MAX

/* the longest head of an element: an id of 4 bytes, a size of 8 */
#define SPACES_WEBM_MAX_HEAD         12

/* RFC 9559, 5.1.2.9: a timestamp is in ms unless it is said otherwise */
#define SPACES_WEBM_SCALE            1000000
#define SPACES_WEBM_MAX_SCALE        1000000000

/*
 * Times are rounded to ms, and come from another clock than the packets; what
 * is further off than this is missing, samples
 */
#define SPACES_WEBM_TOLERANCE        4800

/* a hole longer than a day is nonsense */
#define SPACES_WEBM_MAX_HOLE         (INT64_C(86400) * SPACES_OPUS_RATE)


typedef struct {
    uint32_t  id;
    uint64_t  size;            /* SPACES_WEBM_UNKNOWN: up to its parent's end,
                                  or to an element that can't be inside */
    size_t    head;            /* bytes of both */
} spaces_webm_element_t;


static spaces_reader_status_e spaces_webm_element(
    spaces_webm_reader_t *reader);
static spaces_reader_status_e spaces_webm_leaf(spaces_webm_reader_t *reader,
    const spaces_webm_element_t *element);
static int spaces_webm_is_parent(uint32_t id);
static int spaces_webm_is_known(uint32_t id);
static spaces_reader_status_e spaces_webm_parent(spaces_webm_reader_t *reader,
    uint32_t id);
static void spaces_webm_begin_track(spaces_webm_reader_t *reader);
static void spaces_webm_choose_track(spaces_webm_reader_t *reader);
static void spaces_webm_group(spaces_webm_reader_t *reader, size_t at,
    size_t len);
static void spaces_webm_block(spaces_webm_reader_t *reader, size_t at,
    size_t len);
static int spaces_webm_lace(spaces_webm_reader_t *reader, size_t at,
    size_t len, unsigned kind);
static int spaces_webm_sizes(spaces_webm_reader_t *reader, size_t *at,
    size_t end, unsigned n, unsigned kind);
static void spaces_webm_time(spaces_webm_reader_t *reader, int16_t relative);
static int spaces_webm_head(const uint8_t *p, size_t len,
    spaces_webm_element_t *element);
static size_t spaces_webm_number(const uint8_t *p, size_t len, size_t max,
    uint64_t *value);
static uint64_t spaces_webm_unsigned(const uint8_t *p, size_t len);


void
spaces_webm_reader_init(spaces_webm_reader_t *reader)
{
    memset(reader, 0, sizeof(spaces_webm_reader_t));

    reader->scale = SPACES_WEBM_SCALE;
}


void
spaces_webm_reader_free(spaces_webm_reader_t *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}


int
spaces_webm_reader_feed(spaces_webm_reader_t *reader, const uint8_t *data,
    size_t len)
{
    size_t    left, size;
    uint8_t  *buffer;

    if (reader->skip) {
        left = reader->skip < len ? (size_t) reader->skip : len;

        reader->skip -= left;
        data += left;
        len -= left;
    }

    left = reader->end - reader->start;

    if (left) {
        memmove(reader->buffer, reader->buffer + reader->start, left);
    }

    reader->start = 0;
    reader->end = left;

    if (len == 0) {
        return 0;
    }

    if (left + len > reader->size) {
        size = left + len + 4096;

        buffer = realloc(reader->buffer, size);
        if (buffer == NULL) {
            return -1;
        }

        reader->buffer = buffer;
        reader->size = size;
    }

    memcpy(reader->buffer + left, data, len);
    reader->end += len;

    return 0;
}


spaces_reader_status_e
spaces_webm_reader_next(spaces_webm_reader_t *reader,
    spaces_reader_packet_t *packet)
{
    int                     duration;
    spaces_webm_frame_t    *frame;
    spaces_reader_status_e  status;

    for ( ;; ) {

        while (reader->next < reader->nframes) {
            frame = &reader->frames[reader->next++];

            duration = frame->len <= SPACES_OPUS_MAX_PACKET
                       ? spaces_opus_duration(reader->buffer + frame->start,
                                              frame->len)
                       : -1;

            if (duration < 0) {
                reader->damage.bad_packets++;
                continue;
            }

            packet->data = reader->buffer + frame->start;
            packet->len = frame->len;
            packet->duration = duration;
            packet->pts = reader->pts;
            packet->trim = 0;

            if (reader->next == reader->nframes && reader->trim > 0) {
                packet->trim = reader->trim < duration ? reader->trim
                                                       : duration;
            }

            reader->pts += duration;

            return SPACES_READER_PACKET;
        }

        reader->nframes = 0;
        reader->next = 0;
        reader->trim = 0;

        status = spaces_webm_element(reader);

        if (status != SPACES_READER_PACKET) {
            return status;
        }
    }
}


/* one element; SPACES_READER_PACKET: there may be frames, or more elements */

static spaces_reader_status_e
spaces_webm_element(spaces_webm_reader_t *reader)
{
    int                    rc;
    size_t                 len;
    spaces_webm_element_t  element;

    len = reader->end - reader->start;

    if (len == 0) {
        return SPACES_READER_AGAIN;
    }

    rc = spaces_webm_head(reader->buffer + reader->start, len, &element);

    if (rc > 0) {
        return SPACES_READER_AGAIN;
    }

    if (!reader->headed) {

        if (rc < 0 || element.id != SPACES_WEBM_EBML) {
            return SPACES_READER_UNKNOWN;
        }

        reader->headed = 1;
    }

    if (rc < 0) {
        return SPACES_READER_BROKEN;
    }

    if (spaces_webm_is_parent(element.id)) {
        reader->start += element.head;
        return spaces_webm_parent(reader, element.id);
    }

    if (element.size == SPACES_WEBM_UNKNOWN) {
        return SPACES_READER_BROKEN;
    }

    return spaces_webm_leaf(reader, &element);
}


static spaces_reader_status_e
spaces_webm_leaf(spaces_webm_reader_t *reader,
    const spaces_webm_element_t *element)
{
    size_t    at, len;
    uint8_t  *p;

    len = reader->end - reader->start;

    if (!spaces_webm_is_known(element->id)
        || element->size > SPACES_WEBM_MAX_ELEMENT)
    {
        /* what is this long is no voice either */

        if (element->id == SPACES_WEBM_SIMPLE_BLOCK
            || element->id == SPACES_WEBM_BLOCK_GROUP)
        {
            reader->damage.bad_packets++;
        }

        if (element->size <= len - element->head) {
            reader->start += element->head + (size_t) element->size;
            return SPACES_READER_PACKET;
        }

        reader->skip = element->size - (len - element->head);
        reader->start = reader->end;

        return SPACES_READER_AGAIN;
    }

    if (element->size > len - element->head) {
        return SPACES_READER_AGAIN;
    }

    at = reader->start + element->head;
    len = (size_t) element->size;
    p = reader->buffer + at;

    reader->start = at + len;

    switch (element->id) {

    case SPACES_WEBM_TIMESTAMP_SCALE:
        reader->scale = spaces_webm_unsigned(p, len);

        if (reader->scale == 0 || reader->scale > SPACES_WEBM_MAX_SCALE) {
            return SPACES_READER_BROKEN;
        }

        break;

    case SPACES_WEBM_TRACK_NUMBER:
        reader->number = spaces_webm_unsigned(p, len);
        break;

    case SPACES_WEBM_CODEC_ID:
        reader->opus = (len >= 6 && memcmp(p, "A_OPUS", 6) == 0
                        && (len == 6 || p[6] == '\0'));
        break;

    case SPACES_WEBM_CODEC_PRIVATE:
        reader->has_head = 1;
        reader->head_status = spaces_opus_head_parse(&reader->track_head, p,
                                                     len);
        break;

    case SPACES_WEBM_ENCODINGS:
        reader->encoded = 1;
        break;

    case SPACES_WEBM_TIMESTAMP:
        reader->cluster = spaces_webm_unsigned(p, len);
        break;

    case SPACES_WEBM_SIMPLE_BLOCK:
        spaces_webm_block(reader, at, len);
        break;

    case SPACES_WEBM_BLOCK_GROUP:
        spaces_webm_group(reader, at, len);
        break;
    }

    return SPACES_READER_PACKET;
}


/*
 * Those whose children are read as they come.  Ids say enough: no child of
 * these means something else in another of them.
 */

static int
spaces_webm_is_parent(uint32_t id)
{
    switch (id) {

    case SPACES_WEBM_SEGMENT:
    case SPACES_WEBM_INFO:
    case SPACES_WEBM_TRACKS:
    case SPACES_WEBM_TRACK_ENTRY:
    case SPACES_WEBM_CLUSTER:
        return 1;
    }

    return 0;
}


static int
spaces_webm_is_known(uint32_t id)
{
    switch (id) {

    case SPACES_WEBM_TIMESTAMP_SCALE:
    case SPACES_WEBM_TRACK_NUMBER:
    case SPACES_WEBM_CODEC_ID:
    case SPACES_WEBM_CODEC_PRIVATE:
    case SPACES_WEBM_ENCODINGS:
    case SPACES_WEBM_TIMESTAMP:
    case SPACES_WEBM_SIMPLE_BLOCK:
    case SPACES_WEBM_BLOCK_GROUP:
        return 1;
    }

    return 0;
}


static spaces_reader_status_e
spaces_webm_parent(spaces_webm_reader_t *reader, uint32_t id)
{
    switch (id) {

    case SPACES_WEBM_SEGMENT:

        /* another recording, perhaps: its times begin anew */

        if (reader->clustered) {
            reader->damage.links++;
        }

        reader->clustered = 0;
        reader->track = 0;
        reader->begun = 0;
        reader->scale = SPACES_WEBM_SCALE;
        spaces_webm_begin_track(reader);
        break;

    case SPACES_WEBM_TRACK_ENTRY:
        spaces_webm_choose_track(reader);
        spaces_webm_begin_track(reader);
        break;

    case SPACES_WEBM_CLUSTER:

        if (reader->clustered) {
            break;
        }

        reader->clustered = 1;
        spaces_webm_choose_track(reader);

        if (reader->track == 0) {
            return reader->opus && reader->has_head
                   && reader->head_status == SPACES_OPUS_HEAD_BROKEN
                   ? SPACES_READER_BROKEN
                   : reader->opus ? SPACES_READER_UNSUPPORTED
                                  : SPACES_READER_NOT_OPUS;
        }

        break;
    }

    return SPACES_READER_PACKET;
}


static void
spaces_webm_begin_track(spaces_webm_reader_t *reader)
{
    reader->number = 0;
    reader->opus = 0;
    reader->encoded = 0;
    reader->has_head = 0;
}


/* the first one that is Opus, and can be taken */

static void
spaces_webm_choose_track(spaces_webm_reader_t *reader)
{
    if (reader->track || reader->number == 0 || !reader->opus
        || reader->encoded || !reader->has_head
        || reader->head_status != SPACES_OPUS_HEAD_OK)
    {
        return;
    }

    reader->track = reader->number;

    /* as of chained Ogg streams: the first one's gain is that of all */

    if (reader->head.channels == 0) {
        reader->head = reader->track_head;
    }
}


/* its block, and how much of that is to be discarded (RFC 9559, 5.1.3.5) */

static void
spaces_webm_group(spaces_webm_reader_t *reader, size_t at, size_t len)
{
    size_t                 i, end;
    uint64_t               value;
    int64_t                ns;
    spaces_webm_element_t  element;

    ns = 0;
    end = at + len;

    while (at < end) {

        if (spaces_webm_head(reader->buffer + at, end - at, &element) != 0
            || element.size > end - at - element.head)
        {
            reader->damage.bad_packets++;
            return;
        }

        at += element.head;

        if (element.id == SPACES_WEBM_BLOCK) {
            spaces_webm_block(reader, at, (size_t) element.size);

        } else if (element.id == SPACES_WEBM_DISCARD && element.size
                   && element.size <= 8)
        {
            /* signed, of as many bytes as it takes */

            value = (reader->buffer[at] & 0x80) ? UINT64_MAX : 0;

            for (i = 0; i < element.size; i++) {
                value = (value << 8) | reader->buffer[at + i];
            }

            ns = (int64_t) value;
        }

        at += (size_t) element.size;
    }

    if (ns > 0 && ns <= 1000000000) {
        reader->trim = (int) (ns * 48 / 1000000);
    }
}


/* RFC 9559, 10: track, time, flags, frames */

static void
spaces_webm_block(spaces_webm_reader_t *reader, size_t at, size_t len)
{
    size_t          n;
    uint8_t         flags, *p;
    uint64_t        track;

    p = reader->buffer + at;
    n = spaces_webm_number(p, len, 8, &track);

    if (n == 0 || len < n + 3 || reader->nframes) {
        reader->damage.bad_packets++;
        return;
    }

    if (track != reader->track || reader->track == 0) {
        return;
    }

    flags = p[n + 2];

    if (spaces_webm_lace(reader, at + n + 3, len - n - 3, (flags >> 1) & 3)
        != 0)
    {
        reader->damage.bad_packets++;
        reader->nframes = 0;
        return;
    }

    spaces_webm_time(reader, (int16_t) ((p[n] << 8) | p[n + 1]));
}


/* RFC 9559, 10.3: 0 none, 1 as Xiph does it, 3 as EBML does, 2 all alike */

static int
spaces_webm_lace(spaces_webm_reader_t *reader, size_t at, size_t len,
    unsigned kind)
{
    size_t    end, used;
    unsigned  i, n;

    end = at + len;

    if (kind == 0) {
        reader->frames[0].start = at;
        reader->frames[0].len = len;
        reader->nframes = 1;
        return 0;
    }

    if (len == 0) {
        return -1;
    }

    n = reader->buffer[at++] + 1u;

    if (kind == 2) {

        if ((end - at) % n) {
            return -1;
        }

        for (i = 0; i < n; i++) {
            reader->frames[i].len = (end - at) / n;
        }

    } else if (spaces_webm_sizes(reader, &at, end, n, kind) != 0) {
        return -1;
    }

    /* what is left is the last one's */

    for (used = 0, i = 0; i + 1 < n; i++) {

        if (reader->frames[i].len > end - at - used) {
            return -1;
        }

        reader->frames[i].start = at + used;
        used += reader->frames[i].len;
    }

    reader->frames[n - 1].start = at + used;
    reader->frames[n - 1].len = end - at - used;
    reader->nframes = n;

    return 0;
}


static int
spaces_webm_sizes(spaces_webm_reader_t *reader, size_t *at, size_t end,
    unsigned n, unsigned kind)
{
    size_t     bytes;
    int64_t    size;
    uint8_t   *p;
    unsigned   i;
    uint64_t   value;

    p = reader->buffer;
    size = 0;

    for (i = 0; i + 1 < n; i++) {

        if (kind == 1) {
            size = 0;

            do {
                if (*at == end) {
                    return -1;
                }

                size += p[*at];

            } while (p[(*at)++] == 255);

        } else {
            bytes = spaces_webm_number(p + *at, end - *at, 8, &value);

            if (bytes == 0 || value == SPACES_WEBM_UNKNOWN) {
                return -1;
            }

            *at += bytes;

            /* the first is a size, the others differences, from -(2^..)+1 */

            size = i == 0 ? (int64_t) value
                          : size + (int64_t) value
                            - ((INT64_C(1) << (7 * bytes - 1)) - 1);
        }

        if (size < 0 || size > SPACES_WEBM_MAX_ELEMENT) {
            return -1;
        }

        reader->frames[i].len = (size_t) size;
    }

    return 0;
}


/* packets follow each other, unless the container's clock has gone ahead */

static void
spaces_webm_time(spaces_webm_reader_t *reader, int16_t relative)
{
    int64_t   hole;
    uint64_t  ticks;

    /* what overflows is a jump as any other */

    ticks = reader->cluster + (uint64_t) (int64_t) relative;

    if (ticks > (uint64_t) INT64_MAX / reader->scale) {
        return;
    }

    ticks = ticks * reader->scale / 1000 * 48 / 1000;

    if (!reader->begun) {
        reader->begun = 1;
        reader->shift = reader->pts - (int64_t) ticks;
        return;
    }

    hole = (int64_t) ticks + reader->shift - reader->pts;

    if (hole < -SPACES_WEBM_TOLERANCE || hole > SPACES_WEBM_MAX_HOLE) {

        /* time does not go back */

        reader->shift -= hole;
        return;
    }

    if (hole > SPACES_WEBM_TOLERANCE) {
        reader->damage.holes++;
        reader->pts += hole - hole % SPACES_OPUS_MIN_DURATION;
    }
}


/*
 * RFC 8794, 4 to 6, of at least a byte: 0, 1 if there is more to come of it, -1
 * if it is none
 */

static int
spaces_webm_head(const uint8_t *p, size_t len, spaces_webm_element_t *element)
{
    size_t    n, id;
    uint64_t  value;

    for (id = 1; id <= 4 && !(p[0] & (0x100 >> id)); id++) { /* void */ }

    if (id > 4) {
        return -1;
    }

    if (len < id + 1) {
        return 1;
    }

    n = spaces_webm_number(p + id, len - id, 8, &value);

    if (n == 0) {
        return (p[id] == 0 || len >= SPACES_WEBM_MAX_HEAD) ? -1 : 1;
    }

    element->id = (uint32_t) spaces_webm_unsigned(p, id);
    element->size = value;
    element->head = id + n;

    return 0;
}


/* RFC 8794, 4: bytes that it takes, 0 if it isn't whole */

static size_t
spaces_webm_number(const uint8_t *p, size_t len, size_t max, uint64_t *value)
{
    size_t  n;

    if (len == 0) {
        return 0;
    }

    for (n = 1; n <= max && !(p[0] & (0x100 >> n)); n++) { /* void */ }

    if (n > max || n > len) {
        return 0;
    }

    *value = spaces_webm_unsigned(p, n) & ((UINT64_C(1) << (7 * n)) - 1);

    /* all ones: unknown */

    if (*value == (UINT64_C(1) << (7 * n)) - 1) {
        *value = SPACES_WEBM_UNKNOWN;
    }

    return n;
}


static uint64_t
spaces_webm_unsigned(const uint8_t *p, size_t len)
{
    uint64_t  value;

    for (value = 0; len; len--) {
        value = (value << 8) | *p++;
    }

    return value;
}
