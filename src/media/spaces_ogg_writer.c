
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <string.h>

#include <ogg/ogg.h>

#include "spaces_ogg_writer.h"


#define SPACES_OGG_VENDOR         "Spaces for nginx"

/* the comments are the Space's title and host: a few hundred bytes each */
#define SPACES_OGG_MAX_TAGS       8192

/* of a page: where its serial number is, and up to its end (RFC 3533, 6) */
#define SPACES_OGG_SERIAL         14
#define SPACES_OGG_TELLS          (SPACES_OGG_SERIAL + 4)


static int spaces_ogg_has_header(const uint8_t *p, size_t len,
    uint32_t serial);
static void spaces_ogg_put_le(uint8_t *p, uint64_t value, int n);


void
spaces_ogg_writer_init(spaces_ogg_writer_t *writer, uint32_t serial,
    uint32_t sequence, int64_t granule)
{
    writer->serial = serial;
    writer->sequence = sequence;
    writer->granule = granule;
    writer->samples = 0;
    writer->nsegments = 0;
    writer->len = 0;
}


int
spaces_ogg_writer_fits(const spaces_ogg_writer_t *writer, size_t len)
{
    return writer->nsegments + len / 255 + 1 <= 255;
}


int
spaces_ogg_writer_misleads(const spaces_ogg_writer_t *writer,
    const uint8_t *data, size_t len)
{
    size_t   before, behind;
    uint8_t  seam[2 * (SPACES_OGG_TELLS - 1)];

    if (spaces_ogg_has_header(data, len, writer->serial)) {
        return 1;
    }

    /* or begun by the packets before */

    before = writer->len < SPACES_OGG_TELLS - 1 ? writer->len
                                                : SPACES_OGG_TELLS - 1;
    behind = len < SPACES_OGG_TELLS - 1 ? len : SPACES_OGG_TELLS - 1;

    memcpy(seam, writer->body + writer->len - before, before);
    memcpy(seam + before, data, behind);

    return spaces_ogg_has_header(seam, before + behind, writer->serial);
}


static int
spaces_ogg_has_header(const uint8_t *p, size_t len, uint32_t serial)
{
    uint8_t         bytes[4];
    const uint8_t  *last;

    spaces_ogg_put_le(bytes, serial, 4);

    last = p + len;

    while (last - p >= SPACES_OGG_TELLS) {

        p = memchr(p, 'O', (size_t) (last - p - SPACES_OGG_TELLS + 1));

        if (p == NULL) {
            return 0;
        }

        if (memcmp(p, "OggS", 4) == 0
            && memcmp(p + SPACES_OGG_SERIAL, bytes, 4) == 0)
        {
            return 1;
        }

        p++;
    }

    return 0;
}


void
spaces_ogg_writer_add(spaces_ogg_writer_t *writer, const uint8_t *data,
    size_t len, int duration)
{
    size_t  rest;

    for (rest = len; rest >= 255; rest -= 255) {
        writer->lacing[writer->nsegments++] = 255;
    }

    writer->lacing[writer->nsegments++] = (uint8_t) rest;

    memcpy(writer->body + writer->len, data, len);

    writer->len += (uint32_t) len;
    writer->samples += (uint32_t) duration;
    writer->granule += duration;
}


size_t
spaces_ogg_writer_flush(spaces_ogg_writer_t *writer, int flags, uint8_t *out)
{
    size_t    header_len;
    ogg_page  page;

    memcpy(out, "OggS", 4);

    out[4] = 0;
    out[5] = (uint8_t) flags;

    spaces_ogg_put_le(&out[6], (uint64_t) writer->granule, 8);
    spaces_ogg_put_le(&out[14], writer->serial, 4);
    spaces_ogg_put_le(&out[18], writer->sequence, 4);
    spaces_ogg_put_le(&out[22], 0, 4);

    out[26] = (uint8_t) writer->nsegments;

    memcpy(&out[27], writer->lacing, writer->nsegments);
    header_len = 27 + writer->nsegments;

    memcpy(out + header_len, writer->body, writer->len);

    page.header = out;
    page.header_len = (long) header_len;
    page.body = out + header_len;
    page.body_len = (long) writer->len;

    ogg_page_checksum_set(&page);

    header_len += writer->len;

    spaces_ogg_writer_init(writer, writer->serial, writer->sequence + 1,
                           writer->granule);

    return header_len;
}


size_t
spaces_ogg_writer_begin(spaces_ogg_writer_t *writer, uint32_t serial,
    const spaces_opus_head_t *head, const char *const *comments, size_t n,
    uint8_t *out)
{
    size_t   len;
    uint8_t  packet[SPACES_OGG_MAX_TAGS];

    spaces_ogg_writer_init(writer, serial, 0, 0);

    spaces_opus_head_write(head, packet);
    spaces_ogg_writer_add(writer, packet, SPACES_OPUS_HEAD_SIZE, 0);

    len = spaces_ogg_writer_flush(writer, SPACES_OGG_BOS, out);

    spaces_ogg_writer_add(writer, packet,
                          spaces_opus_tags_write(packet, sizeof(packet),
                                                 SPACES_OGG_VENDOR, comments,
                                                 n),
                          0);

    return len + spaces_ogg_writer_flush(writer, 0, out + len);
}


static void
spaces_ogg_put_le(uint8_t *p, uint64_t value, int n)
{
    while (n--) {
        *p++ = value & 0xff;
        value >>= 8;
    }
}
