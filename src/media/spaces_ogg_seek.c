
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <ogg/ogg.h>

#include "spaces_ogg_seek.h"


#define SPACES_OGG_SEEK_READ    65536

/* of a page: up to its segment table (RFC 3533, 6) */
#define SPACES_OGG_SEEK_HEADER  27


static int spaces_ogg_seek_page(int fd, off_t from, off_t size, off_t *start,
    off_t *end, int64_t *granule);


int
spaces_ogg_seek(int fd, off_t size, int64_t granule, off_t *offset)
{
    int      rc;
    off_t    low, high, middle, start, end;
    int64_t  found;

    /* all pages that end before "low" are too early, "high" is not */

    low = 0;
    high = size;

    while (high - low > SPACES_OGG_SEEK_READ) {

        middle = low + (high - low) / 2;

        rc = spaces_ogg_seek_page(fd, middle, high, &start, &end, &found);

        if (rc < 0) {
            return -1;
        }

        if (rc > 0 || found > granule) {
            high = middle;

        } else {
            low = end;
        }
    }

    for ( ;; ) {
        rc = spaces_ogg_seek_page(fd, low, size, &start, &end, &found);

        if (rc < 0) {
            return -1;
        }

        if (rc > 0) {
            *offset = size;
            return 0;
        }

        if (found > granule) {
            *offset = start;
            return 0;
        }

        low = end;
    }
}


/* the first good page at or behind "from"; 1 if there is none */

static int
spaces_ogg_seek_page(int fd, off_t from, off_t size, off_t *start, off_t *end,
    int64_t *granule)
{
    int              rc;
    long             n;
    char            *buffer;
    size_t           want;
    ssize_t          got;
    ogg_page         page;
    ogg_sync_state   sync;

    (void) ogg_sync_init(&sync);

    *start = from;
    rc = 1;

    for ( ;; ) {
        n = ogg_sync_pageseek(&sync, &page);

        if (n > 0) {
            *end = *start + n;
            *granule = ogg_page_granulepos(&page);
            rc = 0;
            break;
        }

        if (n < 0) {
            *start -= n;
            continue;
        }

        want = SPACES_OGG_SEEK_READ;

        if ((off_t) want > size - from) {
            want = size > from ? (size_t) (size - from) : 0;
        }

        if (want == 0) {
            break;
        }

        buffer = ogg_sync_buffer(&sync, (long) want);

        if (buffer == NULL) {
            errno = ENOMEM;
            rc = -1;
            break;
        }

        got = pread(fd, buffer, want, from);

        if (got < 0) {

            if (errno == EINTR) {
                continue;
            }

            rc = -1;
            break;
        }

        if (got == 0) {
            break;
        }

        (void) ogg_sync_wrote(&sync, (long) got);
        from += got;
    }

    (void) ogg_sync_clear(&sync);

    return rc;
}


size_t
spaces_ogg_whole(const uint8_t *data, size_t len)
{
    size_t    at, size;
    unsigned  i;

    for (at = 0; len - at >= SPACES_OGG_SEEK_HEADER; at += size) {

        if (memcmp(data + at, "OggS", 4) != 0) {
            break;
        }

        size = SPACES_OGG_SEEK_HEADER + data[at + 26];

        if (size > len - at) {
            break;
        }

        for (i = 0; i < data[at + 26]; i++) {
            size += data[at + SPACES_OGG_SEEK_HEADER + i];
        }

        if (size > len - at) {
            break;
        }
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
