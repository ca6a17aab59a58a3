
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pages.h"
#include "recording.h"
#include "spaces_ogg_seek.h"
#include "spaces_ogg_writer.h"


/* more samples than any test takes, and less than would overflow */
#define MAX_GRANULE  (INT64_C(1) << 60)


static size_t recording_head(recording_t *recording);
static int recording_page(recording_t *recording, size_t at, size_t len);
static int recording_misleads(const recording_t *recording, size_t at,
    size_t len);
static int recording_is_page(const uint8_t *page, size_t len);
static int64_t recording_lasts(const uint8_t *page, size_t len);
static uint64_t get(const uint8_t *p, int n);
static void put(uint8_t *p, uint64_t value, int n);


void
recording_open(recording_t *recording, const uint8_t *data, size_t len)
{
    size_t  at, n;

    memset(recording, 0, sizeof(recording_t));

    recording->data = data;
    recording->len = len;

    at = recording_head(recording);

    if (at == 0) {
        return;
    }

    recording->pages = malloc((len / 27 + 1) * sizeof(recording_page_t));
    must(recording->pages != NULL);

    for ( /* void */ ; !recording->ended; at += n) {
        n = spaces_ogg_page_len(data + at, len - at);

        if (n == 0 || !recording_is_page(data + at, n)) {
            break;
        }

        if (!recording_page(recording, at, n)) {
            return;
        }
    }

    /* behind the end, whatever is torn there, is no other page */

    for (n = at; n < len; n = pages_next(data, len, n)) {

        if (len - n >= 4 && memcmp(data + n, "OggS", 4) == 0
            && recording_is_page(data + n, spaces_ogg_page_len(data + n,
                                                               len - n)))
        {
            return;
        }
    }

    recording->sound = recording->n != 0;
}


void
recording_close(recording_t *recording)
{
    free(recording->pages);
}


/* both header pages; returns where the audio begins */

static size_t
recording_head(recording_t *recording)
{
    size_t               one, two, i;
    const uint8_t       *data;
    spaces_opus_head_t   head;

    data = recording->data;

    one = spaces_ogg_page_len(data, recording->len);

    if (one != 28 + SPACES_OPUS_HEAD_SIZE || !recording_is_page(data, one)
        || data[4] != 0 || data[5] != SPACES_OGG_BOS || data[26] != 1
        || get(data + 6, 8) != 0
        || spaces_opus_head_parse(&head, data + 28, SPACES_OPUS_HEAD_SIZE)
           != SPACES_OPUS_HEAD_OK)
    {
        return 0;
    }

    data += one;
    two = spaces_ogg_page_len(data, recording->len - one);

    if (two == 0 || !recording_is_page(data, two) || data[4] != 0
        || data[5] != 0 || data[26] == 0 || get(data + 6, 8) != 0
        || get(data + 14, 4) != get(recording->data + 14, 4)
        || data[26 + data[26]] == 255 || two < 27 + data[26] + 8u
        || memcmp(data + 27 + data[26], "OpusTags", 8) != 0)
    {
        return 0;
    }

    /* one packet, and no other beside it */

    for (i = 0; i + 1 < data[26]; i++) {

        if (data[27 + i] != 255) {
            return 0;
        }
    }

    recording->serial = (uint32_t) get(data + 14, 4);
    recording->pre_skip = head.pre_skip;

    recording->misleads = recording_misleads(recording, one, two);

    return recording->misleads ? 0 : one + two;
}


/* whether a page goes on where the one before it ended */

static int
recording_page(recording_t *recording, size_t at, size_t len)
{
    int64_t            lasts;
    const uint8_t     *page;
    recording_page_t  *p;

    page = recording->data + at;
    p = &recording->pages[recording->n];

    p->start = at;
    p->end = at + len;
    p->before = recording->n ? p[-1].granule : 0;
    p->granule = (int64_t) get(page + 6, 8);

    lasts = recording_lasts(page, len);

    if (lasts <= 0 || p->granule > MAX_GRANULE
        || get(page + 14, 4) != recording->serial
        || get(page + 18, 4) != recording->n + 2
        || page[4] != 0 || (page[5] & ~SPACES_OGG_EOS))
    {
        return 0;
    }

    recording->ended = (page[5] & SPACES_OGG_EOS) != 0;
    recording->n++;

    recording->misleads = recording_misleads(recording, at, len);

    if (recording->misleads) {
        return 0;
    }

    return p->granule == p->before + lasts
           || (recording->ended && p->granule > p->before
               && p->granule < p->before + lasts);
}


/* nobody could tell a page of the same stream in a packet from others */

static int
recording_misleads(const recording_t *recording, size_t at, size_t len)
{
    size_t          n;
    const uint8_t  *page;

    for (n = at + 27; n < at + len; n = pages_next(recording->data,
                                                   recording->len, n))
    {
        page = recording->data + n;

        if (recording->len - n >= 27 && memcmp(page, "OggS", 4) == 0
            && get(page + 14, 4) == recording->serial
            && recording_is_page(page, spaces_ogg_page_len(page,
                                                     recording->len - n)))
        {
            return 1;
        }
    }

    return 0;
}


static int
recording_is_page(const uint8_t *page, size_t len)
{
    int       good;
    uint8_t  *copy;

    if (len == 0) {
        return 0;
    }

    copy = malloc(len);
    must(copy != NULL);

    memcpy(copy, page, len);
    pages_mend(copy, len);

    good = memcmp(copy, page, len) == 0;

    free(copy);

    return good;
}


/* samples of the packets of a page; -1 if they aren't whole, or none */

static int64_t
recording_lasts(const uint8_t *page, size_t len)
{
    int             duration;
    long            n;
    size_t          at;
    int64_t         samples;
    unsigned        segment;
    const uint8_t  *packet;

    if (page[26] == 0 || page[26 + page[26]] == 255) {
        return -1;
    }

    at = 0;
    segment = 0;
    samples = 0;

    while ((n = spaces_ogg_packet_of(page, len, &at, &segment, &packet)) >= 0)
    {
        duration = spaces_opus_duration(packet, (size_t) n);

        if (duration < 0) {
            return -1;
        }

        samples += duration;
    }

    return samples;
}


uint8_t *
recording_repeat(const recording_t *recording, unsigned n, size_t *len)
{
    size_t             i, head, size;
    uint8_t           *out, *p;
    unsigned           k;
    int64_t            shift;
    recording_page_t  *last;

    must(recording->sound);

    head = recording->pages[0].start;
    last = &recording->pages[recording->n - 1];

    out = malloc(head + n * (last->end - head));
    must(out != NULL);

    memcpy(out, recording->data, head);

    p = out + head;
    shift = 0;

    for (k = 0; k < n; k++) {

        for (i = 0; i < recording->n; i++) {
            size = recording->pages[i].end - recording->pages[i].start;

            memcpy(p, recording->data + recording->pages[i].start, size);

            put(p + 18, k * recording->n + i + 2, 4);

            if (k + 1 < n) {
                p[5] = 0;
                put(p + 6, (uint64_t) (recording->pages[i].before
                                       + recording_lasts(p, size) + shift),
                    8);

            } else {
                put(p + 6, (uint64_t) (recording->pages[i].granule + shift),
                    8);
            }

            p += size;
        }

        shift = (int64_t) get(p - size + 6, 8);
    }

    *len = (size_t) (p - out);
    pages_mend(out, *len);

    return out;
}


static uint64_t
get(const uint8_t *p, int n)
{
    uint64_t  value;

    for (value = 0; n--; /* void */ ) {
        value = value << 8 | p[n];
    }

    return value;
}


static void
put(uint8_t *p, uint64_t value, int n)
{
    while (n--) {
        *p++ = value & 0xff;
        value >>= 8;
    }
}
