
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * spaces_wave: what is told of a recording is what was written of it, however
 * much of that was lost.
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "spaces_wave.h"


#define PAGE  4800


static spaces_wave_speaker_t  speakers[4];
static spaces_wave_segment_t  segments[8];


static spaces_wave_talk_t
talk_of(FILE *file, int64_t start, int64_t end)
{
    spaces_wave_talk_t  talk;

    memset(&talk, 0, sizeof(talk));

    talk.speakers = speakers;
    talk.max_speakers = 4;
    talk.segments = segments;
    talk.max_segments = 8;

    assert_int_equal(fflush(file), 0);
    assert_int_equal(spaces_wave_talk(fileno(file), start, end, &talk), 0);

    return talk;
}


static void
put_speaker(FILE *file, unsigned place, const char *id, const char *name)
{
    size_t   len;
    uint8_t  out[SPACES_WAVE_SPEAKER];

    len = spaces_wave_put_speaker(out, place, (const uint8_t *) id, strlen(id),
                                  (const uint8_t *) name, strlen(name));

    assert_in_range(len, SPACES_WAVE_RECORD, sizeof(out));
    assert_int_equal(len % SPACES_WAVE_RECORD, 0);
    assert_int_equal(fwrite(out, 1, len, file), len);
}


/* pages from "from" on, before "to" */

static void
put_pages(FILE *file, int from, int to, float level, uint32_t places)
{
    uint8_t  out[SPACES_WAVE_RECORD];

    for ( /* void */ ; from < to; from++) {
        (void) spaces_wave_put_level(out, (int64_t) from * PAGE, PAGE, level,
                                     places);
        assert_int_equal(fwrite(out, 1, sizeof(out), file), sizeof(out));
    }
}


static void
check_segment(spaces_wave_talk_t *talk, size_t i, uint32_t speaker, int from,
    int to)
{
    assert_in_range(i, 0, talk->nsegments - 1);
    assert_int_equal(talk->segments[i].speaker, speaker);
    assert_int_equal(talk->segments[i].start, (int64_t) from * PAGE);
    assert_int_equal(talk->segments[i].end, (int64_t) to * PAGE);
}


static void
test_peaks(void **state)
{
    int      i;
    FILE    *file;
    uint8_t  peaks[10];

    file = tmpfile();
    assert_non_null(file);

    put_pages(file, 0, 10, -120, 0);
    put_pages(file, 10, 20, -3.01f, 1);
    put_pages(file, 20, 30, -23.01f, 1);
    put_pages(file, 40, 50, 10, 1);
    (void) fflush(file);

    assert_int_equal(spaces_wave_peaks(fileno(file), 0, 10 * PAGE, peaks, 10),
                     0);

    for (i = 0; i < 10; i++) {
        assert_int_equal(peaks[i], i == 1 || i == 4 ? 127 : i == 2 ? 13 : 0);
    }

    /* a part of it, in finer steps than there are */

    assert_int_equal(spaces_wave_peaks(fileno(file), 19 * PAGE, PAGE / 2,
                                       peaks, 10),
                     0);

    for (i = 0; i < 10; i++) {
        assert_int_equal(peaks[i], i < 2 ? 127 : 13);
    }

    (void) fclose(file);
}


static void
test_talk(void **state)
{
    FILE                *file;
    char                 name[300];
    spaces_wave_talk_t   talk;

    file = tmpfile();
    assert_non_null(file);

    memset(name, 'x', sizeof(name));
    name[299] = '\0';

    put_pages(file, 0, 5, -20, 1);          /* of nobody that is known */
    put_speaker(file, 0, "host", "Ana");
    put_pages(file, 5, 15, -20, 1);
    put_speaker(file, 31, "abcdefghijklmnopqrst", name);
    put_pages(file, 20, 25, -20, 0x80000001);
    put_pages(file, 25, 50, -60, 0);
    put_speaker(file, 0, "host", "Ana");    /* once more */
    put_pages(file, 50, 60, -20, 1);
    put_speaker(file, 31, "b", "Bob");
    put_pages(file, 60, 65, -20, 0x80000000);

    talk = talk_of(file, 0, 100 * PAGE);

    assert_int_equal(talk.nspeakers, 3);
    assert_int_equal(talk.full, 0);
    assert_int_equal(talk.speakers[0].name_len, 3);
    assert_memory_equal(talk.speakers[0].name, "Ana", 3);
    assert_int_equal(talk.speakers[1].id_len, 20);
    assert_int_equal(talk.speakers[1].name_len, SPACES_WAVE_NAME);
    assert_memory_equal(talk.speakers[1].name, name, SPACES_WAVE_NAME);

    /* a short pause is none, a long one is */

    assert_int_equal(talk.nsegments, 4);
    check_segment(&talk, 0, 0, 5, 25);
    check_segment(&talk, 1, 1, 20, 25);
    check_segment(&talk, 2, 0, 50, 60);
    check_segment(&talk, 3, 2, 60, 65);

    /* a part of it */

    talk = talk_of(file, 22 * PAGE, 55 * PAGE);
    assert_int_equal(talk.nsegments, 3);
    check_segment(&talk, 0, 0, 22, 25);
    check_segment(&talk, 1, 1, 22, 25);
    check_segment(&talk, 2, 0, 50, 55);

    (void) fclose(file);
}


static void
test_full(void **state)
{
    int                  i;
    char                 id[16];
    FILE                *file;
    spaces_wave_talk_t   talk;

    file = tmpfile();
    assert_non_null(file);

    for (i = 0; i < 100; i++) {
        (void) snprintf(id, sizeof(id), "%d", i);
        put_speaker(file, (unsigned) i % SPACES_WAVE_PLACES, id, "");
        put_pages(file, i * 20, i * 20 + 1, -20, 1u << i % 32);
    }

    talk = talk_of(file, 0, INT64_MAX);

    assert_int_equal(talk.nspeakers, 4);
    assert_int_equal(talk.nsegments, 4);
    assert_int_equal(talk.full, 1);

    (void) fclose(file);
}


/* what comes of it is no matter, so it comes to an end within its memory */

static void
test_hostile(void **state)
{
    int                  i, j;
    FILE                *file;
    uint8_t              peaks[7], bytes[2048];
    uint32_t             random;
    spaces_wave_talk_t   talk;

    random = 1;

    for (i = 0; i < 500; i++) {
        file = tmpfile();
        assert_non_null(file);

        for (j = 0; j < (int) sizeof(bytes); j++) {
            random = random * 1664525 + 1013904223;
            bytes[j] = (uint8_t) (random >> 24);

            if (j % SPACES_WAVE_RECORD == 0) {
                bytes[j] %= 4;
            }

            if (j % SPACES_WAVE_RECORD == 1 && (random & 0x800)) {
                bytes[j] %= 4;
            }
        }

        (void) fwrite(bytes, 1, (size_t) (random % sizeof(bytes)), file);
        (void) fflush(file);

        assert_int_equal(spaces_wave_peaks(fileno(file), 1000,
                                           INT64_C(200000000000), peaks, 7),
                         0);

        talk = talk_of(file, 0, INT64_MAX);
        assert_in_range(talk.nsegments, 0, 8);

        (void) fclose(file);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_peaks),
        cmocka_unit_test(test_talk),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
