
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ogg/ogg.h>

#include "spaces_clip.h"
#include "spaces_ogg_seek.h"
#include "spaces_ogg_tail.h"


/* in a page's header (RFC 3533, 6) */
#define SPACES_CLIP_FLAGS     5
#define SPACES_CLIP_GRANULE   6
#define SPACES_CLIP_SERIAL    14
#define SPACES_CLIP_SEQUENCE  18
#define SPACES_CLIP_CRC       22
#define SPACES_CLIP_SEGMENTS  26
#define SPACES_CLIP_HEADER    27

/* in the identification header: the pre-skip (RFC 7845, 5.1) */
#define SPACES_CLIP_PRE_SKIP  10

/* whatever page it is in the middle of, another begins in so much before */
#define SPACES_CLIP_WINDOW    (2 * SPACES_OGG_MAX_PAGE)


/* a page of the file, and what of it is kept */

typedef struct {
    off_t      offset;
    size_t     len;
    int64_t    granule;         /* its packets begin there */
    int64_t    end;             /* and end there, as the page says */
    uint32_t   sequence;

    size_t     body;            /* the kept packets begin there in "data" */
    unsigned   segment;         /* and there in the segment table */
    unsigned   nsegments;
    size_t     body_len;
    int64_t    begin;           /* granule of the first of them */

    uint8_t    data[SPACES_OGG_MAX_PAGE];
} spaces_clip_page_t;


typedef struct {
    spaces_clip_page_t  first;
    spaces_clip_page_t  last;
    uint8_t             headers[SPACES_OGG_MAX_HEADER_SIZE
                                + SPACES_OPUS_HEAD_SIZE + SPACES_OGG_MAX_PAGE];
    size_t              head_len;      /* of the first of these pages */
    size_t              headers_len;
    spaces_ogg_tail_t   tail;
    int64_t             start;         /* granules of the file */
    int64_t             end;
} spaces_clip_plan_t;


static spaces_clip_status_e spaces_clip_plan(spaces_clip_plan_t *plan, int fd,
    int64_t start, int64_t end);
static spaces_clip_status_e spaces_clip_headers(spaces_clip_plan_t *plan,
    int fd);
static spaces_clip_status_e spaces_clip_page(spaces_clip_page_t *page, int fd,
    off_t size, int64_t granule);
static int spaces_clip_keep(spaces_clip_page_t *page, int64_t start,
    int64_t end);
static spaces_clip_status_e spaces_clip_build(spaces_clip_t *clip,
    spaces_clip_plan_t *plan);
static size_t spaces_clip_put_page(const spaces_clip_t *clip,
    const spaces_clip_page_t *page, int flags, int64_t end, uint8_t *out);
static uint32_t spaces_clip_serial(const spaces_clip_plan_t *plan);

static ssize_t spaces_clip_read_pages(spaces_clip_t *clip, int fd,
    off_t offset, uint8_t *buffer, const uint8_t **data);
static off_t spaces_clip_locate(const spaces_clip_t *clip, int fd,
    off_t offset);
static void spaces_clip_rewrite(const spaces_clip_t *clip, uint8_t *page,
    size_t len);

static void spaces_clip_sum(uint8_t *page, size_t len);
static uint64_t spaces_clip_get(const uint8_t *p, int n);
static void spaces_clip_put(uint8_t *p, uint64_t value, int n);
static ssize_t spaces_clip_pread(int fd, void *buf, size_t len, off_t offset);


spaces_clip_status_e
spaces_clip_open(spaces_clip_t *clip, int fd, int64_t start, int64_t end)
{
    spaces_clip_plan_t    *plan;
    spaces_clip_status_e   status;

    memset(clip, 0, sizeof(spaces_clip_t));

    plan = malloc(sizeof(spaces_clip_plan_t));
    if (plan == NULL) {
        return SPACES_CLIP_ERROR;
    }

    status = spaces_clip_plan(plan, fd, start, end);

    if (status == SPACES_CLIP_OK) {
        status = spaces_clip_build(clip, plan);
    }

    free(plan);

    return status;
}


void
spaces_clip_free(spaces_clip_t *clip)
{
    free(clip->head);
    free(clip->tail);

    clip->head = NULL;
    clip->tail = NULL;
}


static spaces_clip_status_e
spaces_clip_plan(spaces_clip_plan_t *plan, int fd, int64_t start, int64_t end)
{
    int64_t               skip, total, heard;
    spaces_clip_status_e  status;

    switch (spaces_ogg_tail_find(fd, &plan->tail)) {

    case 0:
        break;

    case 1:
        return SPACES_CLIP_BROKEN;

    default:
        return SPACES_CLIP_ERROR;
    }

    skip = plan->tail.pre_skip;
    total = plan->tail.granule - skip;

    if (start < 0 || start >= total || start >= end) {
        return SPACES_CLIP_EMPTY;
    }

    plan->start = skip + start;
    plan->end = skip + (end < total ? end : total);

    status = spaces_clip_headers(plan, fd);

    if (status != SPACES_CLIP_OK) {
        return status;
    }

    heard = plan->start > SPACES_CLIP_PRE_ROLL
            ? plan->start - SPACES_CLIP_PRE_ROLL : 0;

    status = spaces_clip_page(&plan->first, fd, plan->tail.end, heard);

    if (status != SPACES_CLIP_OK) {
        return status;
    }

    status = spaces_clip_page(&plan->last, fd, plan->tail.end, plan->end - 1);

    if (status != SPACES_CLIP_OK) {
        return status;
    }

    if (plan->first.offset == plan->last.offset) {
        return spaces_clip_keep(&plan->first, heard, plan->end)
               ? SPACES_CLIP_OK : SPACES_CLIP_BROKEN;
    }

    if (plan->first.offset + (off_t) plan->first.len > plan->last.offset
        || !spaces_clip_keep(&plan->first, heard, INT64_MAX)
        || !spaces_clip_keep(&plan->last, INT64_MIN, plan->end))
    {
        return SPACES_CLIP_BROKEN;
    }

    return SPACES_CLIP_OK;
}


/* two pages with a packet each; that the first is one is known */

static spaces_clip_status_e
spaces_clip_headers(spaces_clip_plan_t *plan, int fd)
{
    size_t    one, two;
    ssize_t   n;
    uint8_t  *p;

    p = plan->headers;

    n = spaces_clip_pread(fd, p, sizeof(plan->headers), 0);

    if (n == -1) {
        return SPACES_CLIP_ERROR;
    }

    one = SPACES_CLIP_HEADER + 1 + SPACES_OPUS_HEAD_SIZE;

    if ((size_t) n < one + SPACES_CLIP_HEADER
        || p[SPACES_CLIP_SEGMENTS] != 1
        || p[SPACES_CLIP_HEADER] != SPACES_OPUS_HEAD_SIZE)
    {
        return SPACES_CLIP_BROKEN;
    }

    two = spaces_ogg_page_len(p + one, (size_t) n - one);

    if (two == 0 || p[one + SPACES_CLIP_SEGMENTS] == 0
        || p[one + SPACES_CLIP_HEADER + p[one + SPACES_CLIP_SEGMENTS] - 1]
           == 255
        || two < SPACES_CLIP_HEADER + p[one + SPACES_CLIP_SEGMENTS] + 8u
        || memcmp(p + one + SPACES_CLIP_HEADER + p[one + SPACES_CLIP_SEGMENTS],
                  "OpusTags", 8)
           != 0)
    {
        return SPACES_CLIP_BROKEN;
    }

    plan->head_len = one;
    plan->headers_len = one + two;

    return SPACES_CLIP_OK;
}


/* the first page that ends after the granule: of whole packets */

static spaces_clip_status_e
spaces_clip_page(spaces_clip_page_t *page, int fd, off_t size, int64_t granule)
{
    int               flags;
    long              len;
    size_t            at;
    ssize_t           n;
    int64_t           before, samples;
    unsigned          segment;
    const uint8_t    *packet;

    if (spaces_ogg_seek(fd, size, granule, &page->offset, &before) != 0) {
        return errno == EBADMSG ? SPACES_CLIP_BROKEN : SPACES_CLIP_ERROR;
    }

    n = spaces_clip_pread(fd, page->data, SPACES_OGG_MAX_PAGE, page->offset);

    if (n == -1) {
        return SPACES_CLIP_ERROR;
    }

    page->len = spaces_ogg_page_len(page->data, (size_t) n);

    if (page->len == 0) {
        return SPACES_CLIP_BROKEN;
    }

    flags = page->data[SPACES_CLIP_FLAGS];
    n = page->data[SPACES_CLIP_SEGMENTS];

    if ((flags & SPACES_OGG_CONTINUED) || n == 0
        || page->data[SPACES_CLIP_HEADER + n - 1] == 255)
    {
        return SPACES_CLIP_BROKEN;
    }

    page->end = (int64_t) spaces_clip_get(&page->data[SPACES_CLIP_GRANULE], 8);
    page->sequence = (uint32_t)
                     spaces_clip_get(&page->data[SPACES_CLIP_SEQUENCE], 4);

    at = 0;
    segment = 0;
    samples = 0;

    while ((len = spaces_ogg_packet_of(page->data, page->len, &at, &segment,
                                       &packet))
           >= 0)
    {
        n = spaces_opus_duration(packet, (size_t) len);

        if (n < 0) {
            return SPACES_CLIP_BROKEN;
        }

        samples += n;
    }

    /* that the end is trimmed tells nothing of the beginning */

    page->granule = (flags & SPACES_OGG_EOS) ? before : page->end - samples;

    if (page->granule < 0 || page->granule >= page->end) {
        return SPACES_CLIP_BROKEN;
    }

    return SPACES_CLIP_OK;
}


/* the packets that are not over at "start", and begin before "end" */

static int
spaces_clip_keep(spaces_clip_page_t *page, int64_t start, int64_t end)
{
    long            len;
    size_t          at;
    int64_t         granule;
    unsigned        n, segment, before;
    const uint8_t  *packet;

    at = 0;
    segment = 0;
    before = 0;
    granule = page->granule;

    page->nsegments = 0;
    page->body_len = 0;

    n = page->data[SPACES_CLIP_SEGMENTS];

    while (granule < end && before < n) {

        len = spaces_ogg_packet_of(page->data, page->len, &at, &segment,
                                   &packet);

        if (page->nsegments == 0) {
            page->segment = before;
            page->body = (size_t) (packet - page->data);
            page->begin = granule;
        }

        granule += spaces_opus_duration(packet, (size_t) len);

        if (granule > start) {
            page->nsegments += segment - before;
            page->body_len += (size_t) len;
        }

        before = segment;
    }

    return page->nsegments != 0;
}


static spaces_clip_status_e
spaces_clip_build(spaces_clip_t *clip, spaces_clip_plan_t *plan)
{
    int                  single;
    uint8_t             *p;
    int64_t              skip;
    spaces_clip_page_t  *first, *last;

    first = &plan->first;
    last = &plan->last;

    single = (first->offset == last->offset);
    skip = plan->start - first->begin;

    if (skip < 0 || skip > UINT16_MAX) {
        return SPACES_CLIP_BROKEN;
    }

    clip->source = plan->tail.serial;
    clip->serial = spaces_clip_serial(plan);
    clip->sequence = first->sequence - 2;
    clip->granule = first->begin;
    clip->from = first->offset + (off_t) first->len;
    clip->to = single ? clip->from : last->offset;
    clip->next = clip->from;

    clip->head = malloc(plan->headers_len + SPACES_CLIP_HEADER
                        + first->nsegments + first->body_len);
    if (clip->head == NULL) {
        return SPACES_CLIP_ERROR;
    }

    p = clip->head;

    memcpy(p, plan->headers, plan->headers_len);

    spaces_clip_put(&p[SPACES_CLIP_HEADER + 1 + SPACES_CLIP_PRE_SKIP],
                    (uint64_t) skip, 2);
    spaces_clip_put(&p[SPACES_CLIP_SERIAL], clip->serial, 4);
    spaces_clip_sum(p, plan->head_len);

    p += plan->head_len;

    spaces_clip_put(&p[SPACES_CLIP_SERIAL], clip->serial, 4);
    spaces_clip_sum(p, plan->headers_len - plan->head_len);

    p += plan->headers_len - plan->head_len;

    p += single ? spaces_clip_put_page(clip, first, SPACES_OGG_EOS, plan->end,
                                       p)
                : spaces_clip_put_page(clip, first, 0, first->end, p);

    clip->head_len = (size_t) (p - clip->head);

    if (!single) {
        clip->tail = malloc(SPACES_CLIP_HEADER + last->nsegments
                            + last->body_len);
        if (clip->tail == NULL) {
            spaces_clip_free(clip);
            return SPACES_CLIP_ERROR;
        }

        clip->tail_len = spaces_clip_put_page(clip, last, SPACES_OGG_EOS,
                                              plan->end, clip->tail);
    }

    clip->length = (off_t) (clip->head_len + clip->tail_len)
                   + clip->to - clip->from;

    return SPACES_CLIP_OK;
}


/* what is kept of a page, as a page */

static size_t
spaces_clip_put_page(const spaces_clip_t *clip, const spaces_clip_page_t *page,
    int flags, int64_t end, uint8_t *out)
{
    size_t  len;

    memcpy(out, page->data, SPACES_CLIP_HEADER);

    out[SPACES_CLIP_FLAGS] = (uint8_t) flags;
    out[SPACES_CLIP_SEGMENTS] = (uint8_t) page->nsegments;

    spaces_clip_put(&out[SPACES_CLIP_GRANULE],
                    (uint64_t) (end - clip->granule), 8);
    spaces_clip_put(&out[SPACES_CLIP_SERIAL], clip->serial, 4);
    spaces_clip_put(&out[SPACES_CLIP_SEQUENCE],
                    page->sequence - clip->sequence, 4);

    memcpy(out + SPACES_CLIP_HEADER,
           page->data + SPACES_CLIP_HEADER + page->segment, page->nsegments);

    len = SPACES_CLIP_HEADER + page->nsegments;

    memcpy(out + len, page->data + page->body, page->body_len);

    len += page->body_len;

    spaces_clip_sum(out, len);

    return len;
}


/* the same for the same span, another for any other: FNV-1a */

static uint32_t
spaces_clip_serial(const spaces_clip_plan_t *plan)
{
    int       i;
    uint8_t   bytes[20];
    uint32_t  hash;

    spaces_clip_put(bytes, plan->tail.serial, 4);
    spaces_clip_put(bytes + 4, (uint64_t) plan->start, 8);
    spaces_clip_put(bytes + 12, (uint64_t) plan->end, 8);

    hash = 2166136261u;

    for (i = 0; i < 20; i++) {
        hash = (hash ^ bytes[i]) * 16777619u;
    }

    return hash;
}


ssize_t
spaces_clip_read(spaces_clip_t *clip, int fd, off_t offset, uint8_t *buffer,
    const uint8_t **data)
{
    off_t  rest;

    rest = clip->length - offset;

    if (offset < (off_t) clip->head_len) {
        *data = clip->head + offset;
        return (ssize_t) ((off_t) clip->head_len - offset);
    }

    if (rest <= (off_t) clip->tail_len) {
        *data = clip->tail + ((off_t) clip->tail_len - rest);
        return (ssize_t) rest;
    }

    return spaces_clip_read_pages(clip, fd,
                                  clip->from + offset - (off_t) clip->head_len,
                                  buffer, data);
}


/* whole pages of the file, the first of them the one that "offset" is in */

static ssize_t
spaces_clip_read_pages(spaces_clip_t *clip, int fd, off_t offset,
    uint8_t *buffer, const uint8_t **data)
{
    off_t    start;
    size_t   at, len, size;
    ssize_t  n;

    start = (offset == clip->next) ? offset
                                   : spaces_clip_locate(clip, fd, offset);

    if (start == -1) {
        return -1;
    }

    size = SPACES_CLIP_BUFFER;

    if ((off_t) size > clip->to - start) {
        size = (size_t) (clip->to - start);
    }

    n = spaces_clip_pread(fd, buffer, size, start);

    if (n == -1) {
        return -1;
    }

    for (at = 0; /* void */ ; at += len) {
        len = spaces_ogg_page_len(buffer + at, (size_t) n - at);

        if (len == 0) {
            break;
        }

        spaces_clip_rewrite(clip, buffer + at, len);
    }

    if (start + (off_t) at <= offset) {
        errno = EBADMSG;
        return -1;
    }

    clip->next = start + (off_t) at;
    *data = buffer + (offset - start);

    return (ssize_t) (clip->next - offset);
}


/* where the page begins that "offset" is in; -1 on an error */

static off_t
spaces_clip_locate(const spaces_clip_t *clip, int fd, off_t offset)
{
    long             n;
    char            *buffer;
    off_t            at, end, found;
    ssize_t          got;
    ogg_page         page;
    ogg_sync_state   sync;

    at = clip->from;

    if (offset - at > SPACES_CLIP_WINDOW) {
        at = offset - SPACES_CLIP_WINDOW;
    }

    end = offset + SPACES_OGG_MAX_PAGE;

    if (end > clip->to) {
        end = clip->to;
    }

    (void) ogg_sync_init(&sync);

    buffer = ogg_sync_buffer(&sync, (long) (end - at));

    if (buffer == NULL) {
        errno = ENOMEM;
        return -1;
    }

    found = -1;

    got = spaces_clip_pread(fd, buffer, (size_t) (end - at), at);

    if (got == -1) {
        goto done;
    }

    errno = EBADMSG;

    (void) ogg_sync_wrote(&sync, (long) got);

    while (at <= offset && (n = ogg_sync_pageseek(&sync, &page)) != 0) {

        /* a packet may hold what looks like a page, of another stream */

        if (n > 0 && at + n > offset
            && (uint32_t) ogg_page_serialno(&page) == clip->source)
        {
            found = at;
            break;
        }

        at += n > 0 ? n : -n;
    }

done:

    (void) ogg_sync_clear(&sync);

    return found;
}


/* a page that was damaged stays so: its sum is wrong by as much as it was */

static void
spaces_clip_rewrite(const spaces_clip_t *clip, uint8_t *page, size_t len)
{
    int64_t   granule;
    uint64_t  sum, damage;

    sum = spaces_clip_get(&page[SPACES_CLIP_CRC], 4);
    spaces_clip_sum(page, len);
    damage = sum ^ spaces_clip_get(&page[SPACES_CLIP_CRC], 4);

    granule = (int64_t) (spaces_clip_get(&page[SPACES_CLIP_GRANULE], 8)
                         - (uint64_t) clip->granule);

    page[SPACES_CLIP_FLAGS] &= SPACES_OGG_CONTINUED;

    spaces_clip_put(&page[SPACES_CLIP_GRANULE], (uint64_t) granule, 8);
    spaces_clip_put(&page[SPACES_CLIP_SERIAL], clip->serial, 4);
    spaces_clip_put(&page[SPACES_CLIP_SEQUENCE],
                    spaces_clip_get(&page[SPACES_CLIP_SEQUENCE], 4)
                    - clip->sequence,
                    4);

    spaces_clip_sum(page, len);

    sum = spaces_clip_get(&page[SPACES_CLIP_CRC], 4);
    spaces_clip_put(&page[SPACES_CLIP_CRC], sum ^ damage, 4);
}


static void
spaces_clip_sum(uint8_t *page, size_t len)
{
    ogg_page  og;

    og.header = page;
    og.header_len = SPACES_CLIP_HEADER + page[SPACES_CLIP_SEGMENTS];
    og.body = page + og.header_len;
    og.body_len = (long) len - og.header_len;

    ogg_page_checksum_set(&og);
}


static uint64_t
spaces_clip_get(const uint8_t *p, int n)
{
    uint64_t  value;

    value = 0;

    while (n--) {
        value = value << 8 | p[n];
    }

    return value;
}


static void
spaces_clip_put(uint8_t *p, uint64_t value, int n)
{
    while (n--) {
        *p++ = value & 0xff;
        value >>= 8;
    }
}


static ssize_t
spaces_clip_pread(int fd, void *buf, size_t len, off_t offset)
{
    size_t   done;
    ssize_t  n;

    for (done = 0; done < len; done += (size_t) n) {

        n = pread(fd, (uint8_t *) buf + done, len - done,
                  offset + (off_t) done);

        if (n == -1) {

            if (errno == EINTR) {
                n = 0;
                continue;
            }

            return -1;
        }

        if (n == 0) {
            break;
        }
    }

    return (ssize_t) done;
}
