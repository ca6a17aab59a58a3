
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <ogg/ogg.h>

#include "spaces_ogg_seek.h"


/* to be bisected no further: at least a page of any size */
#define SPACES_OGG_SEEK_SPAN    65536

#define SPACES_OGG_SEEK_READ    16384

/* of a page: up to its segment table (RFC 3533, 6) */
#define SPACES_OGG_SEEK_HEADER  27

/* and where in it the stream's serial number is */
#define SPACES_OGG_SEEK_SERIAL  14


/*
 * Good pages of a part of a file, one after the other: those of the stream that
 * it begins with, for a packet may hold what looks like a page of another.
 */

typedef struct {
    int              fd;
    uint32_t         serial;
    off_t            from;      /* not read so far */
    off_t            to;
    off_t            start;     /* of the page that was found */
    off_t            end;
    int64_t          granule;
    ogg_sync_state   sync;
} spaces_ogg_seek_t;


static int spaces_ogg_seek_serial(int fd, uint32_t *serial);
static int spaces_ogg_seek_page(int fd, off_t from, off_t to,
    spaces_ogg_seek_t *seek);
static void spaces_ogg_seek_begin(spaces_ogg_seek_t *seek, int fd, off_t from,
    off_t to);
static int spaces_ogg_seek_next(spaces_ogg_seek_t *seek);
static int spaces_ogg_seek_read(spaces_ogg_seek_t *seek);


int
spaces_ogg_seek(int fd, off_t size, int64_t granule, off_t *offset,
    int64_t *before)
{
    int                rc;
    off_t              low, high, middle, to;
    spaces_ogg_seek_t  seek;

    if (spaces_ogg_seek_serial(fd, &seek.serial) != 0) {
        return -1;
    }

    /* pages that end before "low" are too early, that begin at "high" not */

    low = 0;
    high = size;
    *before = 0;

    while (high - low > SPACES_OGG_SEEK_SPAN) {

        middle = low + (high - low) / 2;
        to = high + 2 * SPACES_OGG_SEEK_SPAN;
        to = to < size ? to : size;

        rc = spaces_ogg_seek_page(fd, middle, to, &seek);

        if (rc < 0) {
            return -1;
        }

        if (rc > 0 || seek.granule > granule) {
            high = middle;

        } else {
            low = seek.end;
            *before = seek.granule;
        }
    }

    spaces_ogg_seek_begin(&seek, fd, low, size);

    while ((rc = spaces_ogg_seek_next(&seek)) == 0) {

        if (seek.granule > granule) {
            break;
        }

        /* it was late enough before: no more of such a file is read */

        if (seek.start >= high) {
            errno = EBADMSG;
            rc = -1;
            break;
        }

        *before = seek.granule;
    }

    *offset = rc ? size : seek.start;

    (void) ogg_sync_clear(&seek.sync);

    return rc < 0 ? -1 : 0;
}


/* of the first page; a file that is shorter has no page that is looked for */

static int
spaces_ogg_seek_serial(int fd, uint32_t *serial)
{
    ssize_t  n;
    uint8_t  p[4];

    do {
        n = pread(fd, p, sizeof(p), SPACES_OGG_SEEK_SERIAL);
    } while (n == -1 && errno == EINTR);

    if (n == -1) {
        return -1;
    }

    *serial = (n < (ssize_t) sizeof(p)) ? 0
              : (uint32_t) p[0] | (uint32_t) p[1] << 8
                | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;

    return 0;
}


/* the first good page at or behind "from"; 1 if there is none up to "to" */

static int
spaces_ogg_seek_page(int fd, off_t from, off_t to, spaces_ogg_seek_t *seek)
{
    int  rc;

    spaces_ogg_seek_begin(seek, fd, from, to);

    rc = spaces_ogg_seek_next(seek);

    (void) ogg_sync_clear(&seek->sync);

    return rc;
}


static void
spaces_ogg_seek_begin(spaces_ogg_seek_t *seek, int fd, off_t from, off_t to)
{
    seek->fd = fd;
    seek->from = from;
    seek->to = to;
    seek->end = from;

    (void) ogg_sync_init(&seek->sync);
}


/* the next one; 1 if there is none */

static int
spaces_ogg_seek_next(spaces_ogg_seek_t *seek)
{
    int       rc;
    long      n;
    ogg_page  page;

    seek->start = seek->end;

    for ( ;; ) {
        n = ogg_sync_pageseek(&seek->sync, &page);

        if (n > 0 && (uint32_t) ogg_page_serialno(&page) == seek->serial) {
            seek->end = seek->start + n;
            seek->granule = ogg_page_granulepos(&page);
            return 0;
        }

        if (n != 0) {
            seek->start += n > 0 ? n : -n;
            continue;
        }

        rc = spaces_ogg_seek_read(seek);

        if (rc < 0) {
            return -1;
        }

        if (rc == 0) {
            continue;
        }

        if (seek->sync.returned == seek->sync.fill) {
            return 1;
        }

        /* no page: it would be longer than what is there, others may not */

        seek->sync.returned++;
        seek->sync.headerbytes = 0;
        seek->sync.bodybytes = 0;
        seek->start++;
    }
}


/* more of the file; 1 if there is no more */

static int
spaces_ogg_seek_read(spaces_ogg_seek_t *seek)
{
    char     *buffer;
    size_t    want;
    ssize_t   got;

    want = SPACES_OGG_SEEK_READ;

    if ((off_t) want > seek->to - seek->from) {
        want = seek->to > seek->from ? (size_t) (seek->to - seek->from) : 0;
    }

    if (want == 0) {
        return 1;
    }

    buffer = ogg_sync_buffer(&seek->sync, (long) want);

    if (buffer == NULL) {
        errno = ENOMEM;
        return -1;
    }

    do {
        got = pread(seek->fd, buffer, want, seek->from);
    } while (got == -1 && errno == EINTR);

    if (got <= 0) {
        return got == 0 ? 1 : -1;
    }

    (void) ogg_sync_wrote(&seek->sync, (long) got);
    seek->from += got;

    return 0;
}



size_t
spaces_ogg_page_len(const uint8_t *data, size_t len)
{
    size_t    size;
    unsigned  i;

    if (len < SPACES_OGG_SEEK_HEADER || memcmp(data, "OggS", 4) != 0) {
        return 0;
    }

    size = SPACES_OGG_SEEK_HEADER + data[26];

    if (size > len) {
        return 0;
    }

    for (i = 0; i < data[26]; i++) {
        size += data[SPACES_OGG_SEEK_HEADER + i];
    }

    return size <= len ? size : 0;
}


size_t
spaces_ogg_whole(const uint8_t *data, size_t len)
{
    size_t  at, size;

    at = 0;

    while ((size = spaces_ogg_page_len(data + at, len - at)) != 0) {
        at += size;
    }

    return at;
}


long
spaces_ogg_packet_of(const uint8_t *data, size_t len, size_t *at,
    unsigned *segment, const uint8_t **packet)
{
    long            size;
    size_t          body;
    unsigned        i, n;
    const uint8_t  *page;

    for ( ;; ) {

        if (*at >= len) {
            return -1;
        }

        page = data + *at;
        n = page[26];

        /* what came before in this page */

        body = SPACES_OGG_SEEK_HEADER + n;

        for (i = 0; i < *segment; i++) {
            body += page[SPACES_OGG_SEEK_HEADER + i];
        }

        if (*segment < n) {
            break;
        }

        *at += body;
        *segment = 0;
    }

    size = 0;

    do {
        i = page[SPACES_OGG_SEEK_HEADER + *segment];
        size += i;
        (*segment)++;
    } while (i == 255 && *segment < n);

    *packet = page + body;

    return size;
}
