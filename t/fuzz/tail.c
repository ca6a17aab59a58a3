
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What a crash leaves of a file, or anything else: it is cut to something that
 * needs no cut, never made longer, and what follows goes on from there.
 */


#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "pages.h"
#include "recording.h"
#include "spaces_ogg_seek.h"
#include "spaces_ogg_tail.h"
#include "spaces_ogg_writer.h"


#define LONG  160000


static void check_any(const uint8_t *data, size_t len);
static void check_close(int fd, const spaces_ogg_tail_t *tail, int sound);
static void check_next(int fd, const spaces_ogg_tail_t *tail);
static void check_torn(const recording_t *recording, uint32_t *seed);
static void check_seek(const recording_t *recording, uint32_t *seed);
static void must_be_same(const spaces_ogg_tail_t *a,
    const spaces_ogg_tail_t *b);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t        size;
    uint8_t      *repeated;
    uint32_t      seed;
    recording_t   recording, longer;

    seed = fuzz_hash(data, len);

    check_any(data, len);

    recording_open(&recording, data, len);

    if (recording.sound) {
        check_torn(&recording, &seed);
        check_seek(&recording, &seed);

        if (recording.serial == RECORDING_LONG) {
            repeated = recording_repeat(&recording,
                                        (unsigned) (LONG / len + 2), &size);

            recording_open(&longer, repeated, size);

            /* what follows a packet may make a page of it that was none */

            must(longer.sound || longer.misleads);

            if (longer.sound) {
                check_torn(&longer, &seed);
                check_seek(&longer, &seed);
            }

            recording_close(&longer);
            free(repeated);
        }
    }

    recording_close(&recording);

    return 0;
}


size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
    return pages_mutate(data, len, max, seed);
}


static void
check_any(const uint8_t *data, size_t len)
{
    int                 fd, rc;
    off_t               offset;
    size_t              left;
    int64_t             before;
    uint8_t            *kept;
    spaces_ogg_tail_t   tail, again;

    fd = fuzz_file(data, len);
    rc = spaces_ogg_tail_find(fd, &tail);

    must(rc == 0 || rc == 1);

    rc = spaces_ogg_seek(fd, (off_t) len, 48000, &offset, &before);

    must(rc == 0 ? offset >= 0 && offset <= (off_t) len : errno == EBADMSG);

    if (spaces_ogg_tail_find(fd, &tail) != 0) {
        return;
    }

    must(tail.start > 0 && tail.end > tail.start && tail.end <= (off_t) len);
    must(tail.granule > 0);
    must(spaces_ogg_page_len(data + tail.start, len - (size_t) tail.start)
         == (size_t) (tail.end - tail.start));

    must(spaces_ogg_tail_cut(fd, &tail) == 0);

    kept = fuzz_read(fd, &left);

    must((off_t) left == tail.end);
    must(memcmp(kept, data, left) == 0);

    free(kept);

    /*
     * What is in a page that is cut off is not looked at, for anybody may have
     * said it: a header that claims more than there is now ends the search.
     */

    if (spaces_ogg_tail_find(fd, &again) != 0 || again.end != tail.end) {
        return;
    }

    must_be_same(&again, &tail);

    check_close(fd, &tail, 0);
}


/* in place, and nothing but that */

static void
check_close(int fd, const spaces_ogg_tail_t *tail, int sound)
{
    size_t              i, len, left;
    uint8_t            *before, *after;
    spaces_ogg_tail_t   closed, again;

    before = fuzz_read(fd, &len);

    closed = *tail;

    must(spaces_ogg_tail_close(fd, &closed) == 0);
    must(closed.eos);

    after = fuzz_read(fd, &left);

    must(left == len);

    for (i = 0; i < len; i++) {
        must(before[i] == after[i]
             || (off_t) i == tail->start + 5
             || ((off_t) i >= tail->start + 22
                 && (off_t) i < tail->start + 26));
    }

    if (sound) {
        must(spaces_ogg_tail_find(fd, &again) == 0);
        must_be_same(&again, &closed);
    }

    free(before);
    free(after);
}


/* the recorder goes on behind it */

static void
check_next(int fd, const spaces_ogg_tail_t *tail)
{
    size_t                len;
    spaces_ogg_tail_t     again;
    static const uint8_t  packet[] = { 0xf8, 0xff, 0xfe };

    static uint8_t              page[SPACES_OGG_MAX_PAGE];
    static spaces_ogg_writer_t  writer;

    if (tail->granule > INT64_MAX - 960) {
        return;
    }

    spaces_ogg_writer_init(&writer, tail->serial, tail->sequence + 1,
                           tail->granule);
    spaces_ogg_writer_add(&writer, packet, sizeof(packet), 960);

    len = spaces_ogg_writer_flush(&writer, 0, page);

    must(pwrite(fd, page, len, tail->end) == (ssize_t) len);

    must(spaces_ogg_tail_find(fd, &again) == 0);

    must(again.start == tail->end && again.end == tail->end + (off_t) len);
    must(again.granule == tail->granule + 960);
    must(again.sequence == tail->sequence + 1 && !again.eos);
}


/* a file that ends anywhere, and then perhaps in zeros or in noise */

static void
check_torn(const recording_t *recording, uint32_t *seed)
{
    int                 fd, rc;
    size_t              i, at, len, more;
    uint8_t            *torn;
    spaces_ogg_tail_t   tail, again;
    recording_page_t   *page;

    len = recording->pages[recording->n - 1].end;
    at = fuzz_chance(seed, (uint32_t) len + 1);
    more = fuzz_chance(seed, 2) ? fuzz_chance(seed, 5000) : 0;

    torn = calloc(1, at + more + 1);
    must(torn != NULL);

    memcpy(torn, recording->data, at);

    if (fuzz_chance(seed, 2)) {

        for (i = at; i < at + more; i++) {
            torn[i] = (uint8_t) fuzz_chance(seed, 256);
        }
    }

    fd = fuzz_file(torn, at + more);
    rc = spaces_ogg_tail_find(fd, &tail);

    /* what follows may happen to be just what was cut off */

    for (i = 0; i < recording->n; i++) {
        page = &recording->pages[i];

        if (page->end > at + more
            || memcmp(torn + page->start, recording->data + page->start,
                      page->end - page->start)
               != 0)
        {
            break;
        }
    }

    free(torn);

    if (i == 0) {
        must(rc == 1);
        return;
    }

    must(rc == 0);
    must((size_t) tail.end == recording->pages[i - 1].end);
    must((size_t) tail.start == recording->pages[i - 1].start);
    must(tail.granule == recording->pages[i - 1].granule);
    must(tail.sequence == i + 1 && tail.serial == recording->serial);
    must(tail.pre_skip == recording->pre_skip);

    must(spaces_ogg_tail_cut(fd, &tail) == 0);
    must(spaces_ogg_tail_find(fd, &again) == 0);
    must_be_same(&again, &tail);

    check_close(fd, &tail, 1);
    check_next(fd, &tail);
}


static void
check_seek(const recording_t *recording, uint32_t *seed)
{
    int      fd, k;
    off_t    offset;
    size_t   i, len;
    int64_t  granule, before, last;

    len = recording->pages[recording->n - 1].end;
    last = recording->pages[recording->n - 1].granule;

    fd = fuzz_file(recording->data, len);

    for (k = 0; k < 8; k++) {
        granule = k == 0 ? 0 : k == 1 ? last - 1 : k == 2 ? last
                  : (int64_t) fuzz_chance(seed, (uint32_t) last);

        for (i = 0; i < recording->n
                    && recording->pages[i].granule <= granule; i++)
        {
            /* void */
        }

        must(spaces_ogg_seek(fd, (off_t) len, granule, &offset, &before)
             == 0);
        must((size_t) offset == (i < recording->n ? recording->pages[i].start
                                                  : len));
        must(before == (i ? recording->pages[i - 1].granule : 0));
    }
}


static void
must_be_same(const spaces_ogg_tail_t *a, const spaces_ogg_tail_t *b)
{
    must(a->start == b->start && a->end == b->end);
    must(a->granule == b->granule && a->sequence == b->sequence);
    must(a->serial == b->serial && a->pre_skip == b->pre_skip);
    must(a->eos == b->eos);
}
