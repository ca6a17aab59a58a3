
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Clips of any file.  Of one that is as the recorder writes it, any span is
 * a stream of its own: from granule 0, of the right length, of the file's own
 * packets; whichever way it is read.
 */


#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "container.h"
#include "fuzz.h"
#include "pages.h"
#include "recording.h"
#include "spaces_clip.h"


#define SPANS  3

/* to be bisected: longer than two pages of any size */
#define LONG   160000


static void check_file(const uint8_t *data, size_t len, uint32_t *seed);
static void check_span(const recording_t *recording, const container_t *file,
    int fd, int64_t start, int64_t end, uint32_t *seed);
static uint8_t *read_all(spaces_clip_t *clip, int fd);
static void check_parts(spaces_clip_t *clip, int fd, const uint8_t *whole,
    int sound, uint32_t *seed);
static void check_sound(const recording_t *recording, const container_t *file,
    const uint8_t *data, size_t len, int64_t lasts);


static uint8_t  buffer[SPACES_CLIP_BUFFER];


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t        size;
    uint8_t      *repeated;
    uint32_t      seed;
    recording_t   recording;

    seed = fuzz_hash(data, len);

    check_file(data, len, &seed);

    recording_open(&recording, data, len);

    if (recording.sound && recording.serial == RECORDING_LONG) {
        repeated = recording_repeat(&recording, (unsigned) (LONG / len + 2),
                                    &size);
        check_file(repeated, size, &seed);
        free(repeated);
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
check_file(const uint8_t *data, size_t len, uint32_t *seed)
{
    int           fd, i;
    int64_t       total, start;
    container_t   file;
    recording_t   recording;

    fd = fuzz_file(data, len);

    recording_open(&recording, data, len);
    container_read(&file, data, len, 0, 0);

    total = recording.n ? recording.pages[recording.n - 1].granule : 48000;
    total = total > recording.pre_skip + 1 ? total - recording.pre_skip : 1;

    check_span(&recording, &file, fd, 0, INT64_MAX, seed);
    check_span(&recording, &file, fd, 0, 1, seed);
    check_span(&recording, &file, fd, total - 1, total, seed);
    check_span(&recording, &file, fd, total, INT64_MAX, seed);

    for (i = 0; i < SPANS; i++) {
        start = fuzz_chance(seed, (uint32_t) total);

        check_span(&recording, &file, fd, start,
                   start + 1 + fuzz_chance(seed, (uint32_t) total), seed);
    }

    container_free(&file);
    recording_close(&recording);
}


static void
check_span(const recording_t *recording, const container_t *file, int fd,
    int64_t start, int64_t end, uint32_t *seed)
{
    int64_t                total;
    uint8_t               *data;
    spaces_clip_t          clip;
    spaces_clip_status_e   status;

    status = spaces_clip_open(&clip, fd, start, end);

    must(status != SPACES_CLIP_ERROR);

    if (recording->sound) {
        total = recording->pages[recording->n - 1].granule
                - recording->pre_skip;

        must(status == (start < total ? SPACES_CLIP_OK : SPACES_CLIP_EMPTY));

        end = end < total ? end : total;
    }

    if (status != SPACES_CLIP_OK) {
        return;
    }

    must(clip.length > 0);

    data = read_all(&clip, fd);

    must(data != NULL || !recording->sound);

    if (data) {
        check_parts(&clip, fd, data, recording->sound, seed);

        if (recording->sound) {
            check_sound(recording, file, data, (size_t) clip.length,
                        end - start);
        }
    }

    free(data);
    spaces_clip_free(&clip);
}


/* NULL where the file has no page */

static uint8_t *
read_all(spaces_clip_t *clip, int fd)
{
    off_t           at;
    ssize_t         n;
    uint8_t        *whole;
    const uint8_t  *data;

    whole = malloc((size_t) clip->length);
    must(whole != NULL);

    for (at = 0; at < clip->length; at += n) {
        n = spaces_clip_read(clip, fd, at, buffer, &data);

        if (n == -1) {
            must(errno == EBADMSG);
            free(whole);
            return NULL;
        }

        must(n > 0 && n <= clip->length - at);
        memcpy(whole + at, data, (size_t) n);
    }

    return whole;
}


/* from anywhere, the bytes are the same */

static void
check_parts(spaces_clip_t *clip, int fd, const uint8_t *whole, int sound,
    uint32_t *seed)
{
    int             i;
    off_t           at;
    ssize_t         n;
    const uint8_t  *data;

    for (i = 0; i < 2; i++) {
        at = fuzz_chance(seed, (uint32_t) clip->length);

        n = spaces_clip_read(clip, fd, at, buffer, &data);

        if (n == -1) {
            must(errno == EBADMSG && !sound);
            continue;
        }

        must(n > 0 && n <= clip->length - at);

        /* of what is damaged it can be told in more than one way */

        must(!sound || memcmp(whole + at, data, (size_t) n) == 0);
    }
}


static void
check_sound(const recording_t *recording, const container_t *file,
    const uint8_t *data, size_t len, int64_t lasts)
{
    size_t                i, first;
    recording_t           cut;
    container_t           packets;
    recording_page_t     *last;
    container_packet_t   *p;

    /* a sound file itself, with an end */

    recording_open(&cut, data, len);

    must(cut.sound && cut.ended && cut.n);

    last = &cut.pages[cut.n - 1];

    must(last->end == len);
    must(cut.serial != recording->serial || len == recording->len);
    must(last->granule - cut.pre_skip == lasts);

    /* packets of the file, without a gap */

    container_read(&packets, data, len, 0, 0);

    must(packets.status == SPACES_READER_AGAIN && packets.n);
    must(packets.n <= file->n);

    for (first = 0; first + packets.n <= file->n; first++) {

        for (i = 0; i < packets.n; i++) {
            p = &file->packets[first + i];

            if (packets.packets[i].len != p->len
                || memcmp(packets.bytes + packets.packets[i].at,
                          file->bytes + p->at, p->len)
                   != 0)
            {
                break;
            }
        }

        if (i == packets.n) {
            break;
        }
    }

    must(first + packets.n <= file->n);

    container_free(&packets);
    recording_close(&cut);
}
