
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Any file in place of levels and speakers; and what is read of it, written
 * and read again.
 */


#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "spaces_wave.h"


#define SPEAKERS  5
#define SEGMENTS  40
#define PEAKS     64

/* 497 days: no record says a later time */
#define FOREVER   ((int64_t) UINT32_MAX * SPACES_WAVE_UNIT)


static void check_peaks(int fd, const uint8_t *data, size_t len,
    int64_t granule, int64_t samples, size_t n);
static void check_talk(int fd, int64_t start, int64_t end);
static void check_again(const spaces_wave_talk_t *talk);
static size_t write_speaker(uint8_t *out, const spaces_wave_talk_t *talk,
    size_t i);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int       fd;
    uint32_t  seed;
    int64_t   start;

    seed = fuzz_hash(data, len);
    fd = fuzz_file(data, len);

    check_talk(fd, 0, FOREVER);
    check_talk(fd, 0, 48000);

    start = SPACES_WAVE_UNIT * (int64_t) fuzz_chance(&seed, 5000);
    check_talk(fd, start,
               start + SPACES_WAVE_UNIT * (int64_t) fuzz_chance(&seed, 5000));

    fd = fuzz_file(data, len);

    check_peaks(fd, data, len, 0, 480, PEAKS);
    check_peaks(fd, data, len, 312, 48000, PEAKS);
    check_peaks(fd, data, len, fuzz_chance(&seed, 1000000),
                1 + fuzz_chance(&seed, 100000),
                1 + fuzz_chance(&seed, PEAKS));
    check_peaks(fd, data, len, 0, 1, 1);

    return 0;
}


/* a record that is torn, or there twice, changes nothing */

static void
check_peaks(int fd, const uint8_t *data, size_t len, int64_t granule,
    int64_t samples, size_t n)
{
    size_t    i, whole;
    uint8_t  *twice;
    uint8_t   peaks[PEAKS + 1], again[PEAKS + 1];

    peaks[n] = 0xaa;
    again[n] = 0xaa;

    must(spaces_wave_peaks(fd, granule, samples, peaks, n) == 0);
    must(peaks[n] == 0xaa);

    for (i = 0; i < n; i++) {
        must(peaks[i] <= 127);
    }

    whole = len / SPACES_WAVE_RECORD;

    twice = malloc(2 * len + 1);
    must(twice != NULL);

    for (i = 0; i < whole; i++) {
        memcpy(twice + 2 * i * SPACES_WAVE_RECORD,
               data + i * SPACES_WAVE_RECORD, SPACES_WAVE_RECORD);
        memcpy(twice + (2 * i + 1) * SPACES_WAVE_RECORD,
               data + i * SPACES_WAVE_RECORD, SPACES_WAVE_RECORD);
    }

    fd = fuzz_file(twice, 2 * whole * SPACES_WAVE_RECORD);

    must(spaces_wave_peaks(fd, granule, samples, again, n) == 0);
    must(memcmp(peaks, again, n + 1) == 0);

    free(twice);

    (void) fuzz_file(data, len);
}


static void
check_talk(int fd, int64_t start, int64_t end)
{
    size_t                  i;
    spaces_wave_talk_t      talk;
    spaces_wave_segment_t  *s;

    memset(&talk, 0, sizeof(talk));

    talk.max_speakers = SPEAKERS;
    talk.max_segments = SEGMENTS;
    talk.speakers = calloc(SPEAKERS, sizeof(spaces_wave_speaker_t));
    talk.segments = calloc(SEGMENTS, sizeof(spaces_wave_segment_t));

    must(talk.speakers != NULL && talk.segments != NULL);
    must(spaces_wave_talk(fd, start, end, &talk) == 0);
    must(talk.nspeakers <= SPEAKERS && talk.nsegments <= SEGMENTS);

    for (i = 0; i < talk.nspeakers; i++) {
        must(talk.speakers[i].id_len <= SPACES_WAVE_ID);
        must(talk.speakers[i].name_len <= SPACES_WAVE_NAME);
    }

    for (i = 0; i < talk.nsegments; i++) {
        s = &talk.segments[i];

        must(s->speaker < talk.nspeakers);
        must(s->start >= start && s->end <= end && s->start < s->end);
    }

    if (start == 0 && end == FOREVER) {
        check_again(&talk);
    }

    free(talk.speakers);
    free(talk.segments);
}


/* written as it was told, it is told the same */

static void
check_again(const spaces_wave_talk_t *talk)
{
    int                      fd;
    size_t                   i, len;
    int64_t                  at, n;
    uint8_t                 *out;
    spaces_wave_talk_t       again;
    spaces_wave_segment_t   *s;

    len = 0;

    for (i = 0; i < talk->nsegments; i++) {
        s = &talk->segments[i];
        len += SPACES_WAVE_SPEAKER
               + SPACES_WAVE_RECORD
                 * (size_t) ((s->end - s->start) / SPACES_WAVE_UNIT / 60000
                             + 1);
    }

    out = malloc(len + 1);
    must(out != NULL);

    len = 0;

    for (i = 0; i < talk->nsegments; i++) {
        s = &talk->segments[i];
        len += write_speaker(out + len, talk, i);

        for (at = s->start; at < s->end; at += n) {
            n = s->end - at < 60000 * SPACES_WAVE_UNIT
                ? s->end - at : 60000 * SPACES_WAVE_UNIT;

            len += spaces_wave_put_level(out + len, at, (int) n, -20.0f,
                                         1u << i % SPACES_WAVE_PLACES);
        }
    }

    fd = fuzz_file(out, len);
    free(out);

    again = *talk;
    again.speakers = calloc(SPEAKERS, sizeof(spaces_wave_speaker_t));
    again.segments = calloc(SEGMENTS, sizeof(spaces_wave_segment_t));

    must(again.speakers != NULL && again.segments != NULL);
    must(spaces_wave_talk(fd, 0, FOREVER, &again) == 0);
    must(!again.full);

    /* each place has had others on it: who is over last may be told last */

    for (i = 0; i < talk->nsegments; i++) {
        for (n = 0; n < (int64_t) again.nsegments; n++) {
            s = &again.segments[n];

            if (s->start <= talk->segments[i].start
                && s->end >= talk->segments[i].end
                && memcmp(&again.speakers[s->speaker],
                          &talk->speakers[talk->segments[i].speaker],
                          sizeof(spaces_wave_speaker_t))
                   == 0)
            {
                break;
            }
        }

        must(n < (int64_t) again.nsegments);
    }

    free(again.speakers);
    free(again.segments);
}


static size_t
write_speaker(uint8_t *out, const spaces_wave_talk_t *talk, size_t i)
{
    size_t                        len;
    const spaces_wave_speaker_t  *speaker;

    speaker = &talk->speakers[talk->segments[i].speaker];

    len = spaces_wave_put_speaker(out, i % SPACES_WAVE_PLACES, speaker->id,
                                  speaker->id_len, speaker->name,
                                  speaker->name_len);

    must(len > SPACES_WAVE_RECORD && len <= SPACES_WAVE_SPEAKER
         && len % SPACES_WAVE_RECORD == 0);

    return len;
}
