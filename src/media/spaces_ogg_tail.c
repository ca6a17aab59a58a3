
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include <ogg/ogg.h>

#include "spaces_ogg_tail.h"
#include "spaces_ogg_writer.h"


/* read at a time; the next step back overlaps it by a page of any size */
#define SPACES_OGG_TAIL_WINDOW  (2 * SPACES_OGG_MAX_PAGE)


static int spaces_ogg_tail_head(int fd, spaces_ogg_tail_t *tail);
static int spaces_ogg_tail_scan(int fd, off_t from, off_t to,
    spaces_ogg_tail_t *tail);
static ssize_t spaces_ogg_pread(int fd, void *buf, size_t len, off_t offset);


int
spaces_ogg_tail_find(int fd, spaces_ogg_tail_t *tail)
{
    int          rc;
    off_t        from, to, end;
    struct stat  st;

    if (fstat(fd, &st) == -1) {
        return -1;
    }

    memset(tail, 0, sizeof(spaces_ogg_tail_t));

    rc = spaces_ogg_tail_head(fd, tail);

    if (rc != 0) {
        return rc;
    }

    for (end = st.st_size; /* void */ ; end = from) {

        from = end > SPACES_OGG_TAIL_WINDOW ? end - SPACES_OGG_TAIL_WINDOW : 0;
        to = end + SPACES_OGG_MAX_PAGE;

        rc = spaces_ogg_tail_scan(fd, from, to < st.st_size ? to : st.st_size,
                                  tail);

        if (rc != 1 || from == 0) {
            return rc;
        }
    }
}


int
spaces_ogg_tail_cut(int fd, const spaces_ogg_tail_t *tail)
{
    return ftruncate(fd, tail->end);
}


int
spaces_ogg_tail_close(int fd, spaces_ogg_tail_t *tail)
{
    int       rc;
    size_t    len;
    uint8_t  *buf;
    ogg_page  page;

    len = (size_t) (tail->end - tail->start);

    buf = malloc(len);
    if (buf == NULL) {
        return -1;
    }

    rc = -1;

    if (spaces_ogg_pread(fd, buf, len, tail->start) != (ssize_t) len) {
        errno = EIO;
        goto done;
    }

    buf[5] |= SPACES_OGG_EOS;

    page.header = buf;
    page.header_len = 27 + buf[26];
    page.body = buf + page.header_len;
    page.body_len = (long) len - page.header_len;

    ogg_page_checksum_set(&page);

    if (pwrite(fd, buf, (size_t) page.header_len, tail->start)
        != page.header_len)
    {
        goto done;
    }

    tail->eos = 1;
    rc = 0;

done:

    free(buf);

    return rc;
}


/* the first page tells whose pages count */

static int
spaces_ogg_tail_head(int fd, spaces_ogg_tail_t *tail)
{
    ssize_t             n;
    uint8_t             buf[27 + 1 + SPACES_OPUS_HEAD_SIZE];
    spaces_opus_head_t  head;

    n = spaces_ogg_pread(fd, buf, sizeof(buf), 0);

    if (n == -1) {
        return -1;
    }

    if (n < (ssize_t) sizeof(buf) || memcmp(buf, "OggS", 4) != 0
        || spaces_opus_head_parse(&head, &buf[28], SPACES_OPUS_HEAD_SIZE)
           != SPACES_OPUS_HEAD_OK)
    {
        return 1;
    }

    tail->serial = (uint32_t) buf[14] | (uint32_t) buf[15] << 8
                   | (uint32_t) buf[16] << 16 | (uint32_t) buf[17] << 24;
    tail->pre_skip = head.pre_skip;

    return 0;
}


static int
spaces_ogg_tail_scan(int fd, off_t from, off_t to, spaces_ogg_tail_t *tail)
{
    int              rc;
    long             n;
    char            *buf;
    off_t            at;
    size_t           len;
    ogg_page         page;
    ogg_sync_state   sync;

    len = (size_t) (to - from);

    (void) ogg_sync_init(&sync);

    buf = ogg_sync_buffer(&sync, (long) len);

    if (buf == NULL) {
        errno = ENOMEM;
        return -1;
    }

    if (spaces_ogg_pread(fd, buf, len, from) != (ssize_t) len) {
        (void) ogg_sync_clear(&sync);
        return -1;
    }

    (void) ogg_sync_wrote(&sync, (long) len);

    rc = 1;
    at = from;

    while ((n = ogg_sync_pageseek(&sync, &page)) != 0) {

        if (n < 0) {
            at += -n;
            continue;
        }

        if ((uint32_t) ogg_page_serialno(&page) == tail->serial
            && at != 0
            && ogg_page_granulepos(&page) > 0)
        {
            tail->start = at;
            tail->end = at + n;
            tail->granule = ogg_page_granulepos(&page);
            tail->sequence = (uint32_t) ogg_page_pageno(&page);
            tail->eos = ogg_page_eos(&page) != 0;
            rc = 0;
        }

        at += n;
    }

    (void) ogg_sync_clear(&sync);

    return rc;
}


static ssize_t
spaces_ogg_pread(int fd, void *buf, size_t len, off_t offset)
{
    size_t   done;
    ssize_t  n;

    for (done = 0; done < len; done += (size_t) n) {

        n = pread(fd, (uint8_t *) buf + done, len - done,
                  offset + (off_t) done);

        if (n == -1) {
            return -1;
        }

        if (n == 0) {
            break;
        }
    }

    return (ssize_t) done;
}
