
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Packets in, pages of one logical Ogg stream out (RFC 3533, 6; RFC 7845).
 * A packet never spans pages, for a page holds any packet that is taken.
 */


#ifndef _SPACES_OGG_WRITER_H_INCLUDED_
#define _SPACES_OGG_WRITER_H_INCLUDED_


#include "spaces_opus.h"


#define SPACES_OGG_MAX_HEADER_SIZE  (27 + 255)
#define SPACES_OGG_MAX_BODY         (255 * 255)
#define SPACES_OGG_MAX_PAGE         (SPACES_OGG_MAX_HEADER_SIZE               \
                                     + SPACES_OGG_MAX_BODY)

#define SPACES_OGG_CONTINUED        0x01
#define SPACES_OGG_BOS              0x02
#define SPACES_OGG_EOS              0x04


/* the page that is being filled */

typedef struct {
    uint32_t   serial;
    uint32_t   sequence;       /* of this page */
    int64_t    granule;        /* samples up to the end of its last packet */
    uint32_t   samples;        /* of its packets */
    uint32_t   nsegments;
    uint32_t   len;            /* of the body */
    uint8_t    lacing[255];
    uint8_t    body[SPACES_OGG_MAX_BODY];
} spaces_ogg_writer_t;


/*
 * Begins at page "sequence" of a stream that has "granule" samples: 0 and 0
 * for a new one.
 */
void spaces_ogg_writer_init(spaces_ogg_writer_t *writer, uint32_t serial,
    uint32_t sequence, int64_t granule);

/* whether the packet fits into the page at hand; into an empty one any does */
int spaces_ogg_writer_fits(const spaces_ogg_writer_t *writer, size_t len);

/*
 * Whether the page would hold, with that packet that fits, what passes for the
 * header of a page of this stream: who looks for pages in the middle of a file
 * may be told anything by it, and anybody who listens knows the serial number.
 */
int spaces_ogg_writer_misleads(const spaces_ogg_writer_t *writer,
    const uint8_t *data, size_t len);

/* adds a packet that fits */
void spaces_ogg_writer_add(spaces_ogg_writer_t *writer, const uint8_t *data,
    size_t len, int duration);

/*
 * Writes the page to "out", SPACES_OGG_MAX_PAGE bytes, and begins the next.
 * "flags" are SPACES_OGG_BOS and SPACES_OGG_EOS.  Returns the page's length.
 */
size_t spaces_ogg_writer_flush(spaces_ogg_writer_t *writer, int flags,
    uint8_t *out);

/*
 * The two header pages of a stream, and "writer" ready for its audio.
 * Returns their length, at most 2 * SPACES_OGG_MAX_PAGE.
 */
size_t spaces_ogg_writer_begin(spaces_ogg_writer_t *writer, uint32_t serial,
    const spaces_opus_head_t *head, const char *const *comments, size_t n,
    uint8_t *out);


#endif /* _SPACES_OGG_WRITER_H_INCLUDED_ */
