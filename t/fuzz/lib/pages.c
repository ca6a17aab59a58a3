
/*
 * Copyright (C) Spaces for nginx contributors
 */


#define _GNU_SOURCE

#include <stdlib.h>
#include <string.h>

#include <ogg/ogg.h>

#include "fuzz.h"
#include "pages.h"
#include "spaces_ogg_seek.h"


static size_t pages_pick(const uint8_t *data, size_t len, uint32_t *seed,
    size_t *page);
static void pages_change(uint8_t *page, uint32_t *seed);


/* what a page says of itself: flags, granule, serial, sequence, segments */

static const struct {
    uint8_t  at;
    uint8_t  len;
} fields[] = { { 5, 1 }, { 6, 8 }, { 14, 4 }, { 18, 4 }, { 26, 1 } };


size_t
pages_mutate(uint8_t *data, size_t len, size_t max, unsigned seed)
{
    size_t    at, page, n;
    uint32_t  chance;

    chance = seed;
    n = pages_pick(data, len, &chance, &page);
    at = page;

    switch (n < 28 ? 7 : fuzz_chance(&chance, 8)) {

    case 0:     /* left out */
        memmove(data + at, data + at + n, len - at - n);
        len -= n;
        break;

    case 1:     /* there twice */
        if (n <= max - len) {
            memmove(data + at + n, data + at, len - at);
            len += n;
        }

        break;

    case 2:     /* torn */
        len = at + fuzz_chance(&chance, (uint32_t) n);
        break;

    case 3:
        pages_change(data + at, &chance);
        break;

    default:
        len = LLVMFuzzerMutate(data, len, max);
    }

    if (fuzz_chance(&chance, 8)) {
        pages_mend(data, len);
    }

    return len;
}


/* any of the pages; returns its length, 0 if there is none */

static size_t
pages_pick(const uint8_t *data, size_t len, uint32_t *seed, size_t *page)
{
    size_t    at, end;
    uint32_t  n;

    *page = 0;
    end = 0;
    n = 0;

    for (at = 0; at + 27 <= len; at = pages_next(data, len, at)) {

        if (memcmp(data + at, "OggS", 4) == 0
            && fuzz_chance(seed, ++n) == 0)
        {
            *page = at;
            end = pages_next(data, len, at);
        }
    }

    return end - *page;
}


static void
pages_change(uint8_t *page, uint32_t *seed)
{
    uint8_t   *p;
    uint32_t   i;
    uint64_t   value;

    i = fuzz_chance(seed, sizeof(fields) / sizeof(fields[0]));
    p = page + fields[i].at;

    value = 0;
    memcpy(&value, p, fields[i].len);

    switch (fuzz_chance(seed, 6)) {

    case 0:
        value += 1;
        break;

    case 1:
        value -= 1;
        break;

    case 2:
        value = fuzz_chance(seed, 2) ? UINT64_MAX : INT64_MAX;
        break;

    case 3:
        value = fuzz_chance(seed, 300000);
        break;

    case 4:
        value ^= UINT64_C(1) << fuzz_chance(seed, 8 * fields[i].len);
        break;

    default:
        value += fuzz_chance(seed, 5760) - 2880;
    }

    memcpy(p, &value, fields[i].len);
}


size_t
pages_next(const uint8_t *data, size_t len, size_t at)
{
    const uint8_t  *next;

    next = at + 1 < len ? memmem(data + at + 1, len - at - 1, "OggS", 4)
                        : NULL;

    return next ? (size_t) (next - data) : len;
}


void
pages_mend(uint8_t *data, size_t len)
{
    size_t    at, n;
    ogg_page  page;

    /* what is in a page is no page */

    for (at = 0; at + 27 <= len; at += n) {
        n = spaces_ogg_page_len(data + at, len - at);

        if (n == 0) {
            n = pages_next(data, len, at) - at;
            continue;
        }

        page.header = data + at;
        page.header_len = 27 + data[at + 26];
        page.body = page.header + page.header_len;
        page.body_len = (long) n - page.header_len;

        ogg_page_checksum_set(&page);
    }
}
