
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A span of an Ogg Opus file as a stream of its own, cut without decoding
 * (RFC 7845, 4.3 to 4.6): from granule 0, its pre-skip covering what a decoder
 * needs to hear first, its end trimmed to the sample.  It is made where it is
 * read: all but the first and the last page are those of the file, of the same
 * length, with other headers; so a byte of the clip is found by arithmetic,
 * and no more of the file is read than that of the clip is wanted.
 */


#ifndef _SPACES_CLIP_H_INCLUDED_
#define _SPACES_CLIP_H_INCLUDED_


#include "spaces_ogg_writer.h"


/*
 * What a decoder hears before the clip begins, samples: 160 ms.  RFC 7845, 4.6
 * wants 80 ms at least; after those the first words still differ by -30 dB.
 */
#define SPACES_CLIP_PRE_ROLL  7680

/* takes any page */
#define SPACES_CLIP_BUFFER    65536


typedef enum {
    SPACES_CLIP_OK = 0,
    SPACES_CLIP_EMPTY,          /* nothing of the file is in that span */
    SPACES_CLIP_BROKEN,         /* no file as the recorder writes it */
    SPACES_CLIP_ERROR           /* errno tells */
} spaces_clip_status_e;


typedef struct {
    off_t      length;          /* of the clip, bytes */

    /* the cutter's own */

    uint32_t   source;          /* serial number of the file */
    uint32_t   serial;
    uint32_t   sequence;        /* pages of the file have numbers that are */
    int64_t    granule;         /* and granules that are higher by this */

    uint8_t   *head;            /* the header pages and the first of audio */
    size_t     head_len;
    off_t      from;            /* of the file: what goes between */
    off_t      to;
    uint8_t   *tail;            /* the last page; NULL: that is the first */
    size_t     tail_len;

    off_t      next;            /* of the file: where a page begins */
} spaces_clip_t;


/*
 * Cuts from "start" to "end", samples of what is heard of the file; an end
 * behind the file's is that.  It costs the same in a file of any length.
 * spaces_clip_free() is to be called if it returned SPACES_CLIP_OK.
 */
spaces_clip_status_e spaces_clip_open(spaces_clip_t *clip, int fd,
    int64_t start, int64_t end);

void spaces_clip_free(spaces_clip_t *clip);

/*
 * Bytes of the clip from "offset" on, less than "length": as many as are at
 * hand, one at least.  They are in "buffer", of SPACES_CLIP_BUFFER bytes, or
 * in the clip's own memory; *data points to them.  Going on where the last
 * bytes ended is cheap, any other offset costs three pages more.  Returns
 * their number; -1 on an error, with errno set, EBADMSG if there is no page
 * where one should be.
 */
ssize_t spaces_clip_read(spaces_clip_t *clip, int fd, off_t offset,
    uint8_t *buffer, const uint8_t **data);


#endif /* _SPACES_CLIP_H_INCLUDED_ */
