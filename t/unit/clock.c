
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The clock of a Space over hours, and over bad connections: what is played of
 * speakers whose clocks are off, whose packets come late or never, and by an
 * owner that comes late itself.
 */


#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "room.h"


#define HOUR  3600


/* when clip_flags() has voice flags */

static const voice_t  flags = { .on = 0, .off = 2.4 };


/*
 * Speech in bare SILK packets of 60 ms, for hours of it: 2.4 s of packets that
 * have voice flags, then 0.6 s of empty ones.  Nobody decodes them.
 */

static void
clip_flags(track_t *clip)
{
    int                   i;
    static const uint8_t  loud[] = { 0x18, 0xe0, 0x55, 0xaa };
    static const uint8_t  empty[] = { 0x18 };

    memset(clip, 0, sizeof(track_t));

    for (i = 0; i < 50; i++) {

        if (i < 40) {
            track_add(clip, loud, sizeof(loud), 2880, clip->samples);

        } else {
            track_add(clip, empty, sizeof(empty), 2880, clip->samples);
        }
    }
}


/* a listener hears the tone in each 40 ms from "from" to "to", s; in dB */

static double
faintest(const track_t *track, double from, double to, double freq,
    double level)
{
    float    *pcm;
    double    db, least;
    int64_t   at;

    pcm = track_pcm(track, 1);
    least = 100;

    for (at = from * RATE; at + 1920 <= to * RATE; at += 480) {
        db = decibel(goertzel(pcm, 1, at, 1920, freq, NULL), level);
        least = fmin(least, db);
    }

    free(pcm);

    return least;
}


/* the longest time that it is not heard in, ms; by windows of 20 ms */

static int
longest_hole(const track_t *track, double from, double to, double freq,
    double level)
{
    int       n, longest;
    float    *pcm;
    int64_t   at;

    pcm = track_pcm(track, 1);
    longest = 0;
    n = 0;

    for (at = from * RATE; at + 960 <= to * RATE; at += 192) {
        n = decibel(goertzel(pcm, 1, at, 960, freq, NULL), level) < -20
            ? n + 1 : 0;
        longest = n > longest ? n : longest;
    }

    free(pcm);

    return 4 * longest;
}


/*
 * Four hours of a speaker whose clock is off, alone or beside somebody who
 * sends nothing.  Of 4 h, 200 ppm are 2.88 s.
 */

static void
drift(double ppm, unsigned present, int64_t margin, int64_t longest)
{
    int         minutes;
    double      drifted, shed;
    uint64_t    anchor;
    room_t     *room;
    track_t     clip;
    speaker_t  *s;

    clip_flags(&clip);

    room = room_new(2, 1, 32000);
    room->forget = 1;
    room->speakers[0].margin = margin;
    anchor = 0;

    s = room_speak(room, 0, &clip);
    s->loop = 1;
    s->pace = 1 - ppm / 1e6;
    s->voice = &flags;

    if (present > 1) {
        room_speak(room, 1, NULL);
    }

    for (minutes = 0; minutes < 4 * 60; minutes++) {
        room_run(room, 60);

        assert_true(room->ahead <= 100 && room->behind <= 100);
        assert_true(s->delay <= longest);
        s->delay = 0;

        /* it never runs dry, as it would in a word */

        if (minutes == 0) {
            anchor = room->playout->state.sources[0].anchor;
        }

        assert_int_equal(room->playout->state.sources[0].anchor, anchor);
    }

    drifted = 4 * HOUR * ppm / 1e6;
    shed = s->shed * 0.06;

    print_message("%+.0f ppm: shed %.2f s of %u packets, drift is %.2f s, "
                  "clock %" PRId64 " to %" PRId64 " ms\n", ppm, shed, s->sent,
                  drifted, -room->ahead, room->behind);

    /* what the buffer may hold at the end is not shed yet */

    assert_below(shed, fmax(drifted, 0) + 0.06, "shed, s");
    assert_int_equal(s->shed_loud, 0);
    assert_int_equal(s->sent - s->played - s->shed
                     <= (unsigned) longest / 60 + 1, 1);

    track_free(&clip);
    room_free(room);
}


static void
test_drift(void **state)
{
    drift(200, 1, 200, 2000);
    drift(-200, 1, 200, 300);
    drift(200, 2, 80, 300);
    drift(-200, 2, 80, 200);
}


/*
 * Two who talk all the time, one's clock slow and one's fast, by as much in
 * 150 s as the clocks of a good sound card are in hours: once the slow one's
 * buffer runs empty, and the fast one's stays below what may wait.
 */

static void
test_drift_mixed(void **state)
{
    int       slow, fast;
    room_t   *room;
    track_t   clips[2];

    clip_tone(&clips[0], 410, 0.1, 20);
    clip_tone(&clips[1], 670, 0.1, 20);

    room = room_new(2, 1, 48000);
    room_speak(room, 0, &clips[0])->loop = 1;
    room_speak(room, 1, &clips[1])->loop = 1;
    room->speakers[0].pace = 1.002;
    room->speakers[1].pace = 0.998;

    room_run(room, 150);

    slow = longest_hole(&room->out, 1, 149, 410, 0.1);
    fast = longest_hole(&room->out, 1, 149, 670, 0.1);

    print_message("drift while mixing: holes of %d and %d ms, delays %" PRId64
                  " and %" PRId64 " ms, shed %u and %u\n", slow, fast,
                  room->speakers[0].delay, room->speakers[1].delay,
                  room->speakers[0].shed, room->speakers[1].shed);

    assert_in_range(slow, 100, 300);
    assert_in_range(fast, 0, 20);
    assert_below(room->speakers[0].delay, 300, "delay, ms");
    assert_below(room->speakers[1].delay, 600, "delay, ms");
    assert_int_equal(room->speakers[0].shed, 0);
    assert_true(labs(room->now - room->playout->state.epoch
                     - room->playout->state.granule / 48) <= TICK);

    track_free(&clips[0]);
    track_free(&clips[1]);
    room_free(room);
}


/* packets of two come up to 300 ms late, in order, and so in bursts */

static void
bursts(unsigned n, int frame)
{
    size_t      fillers;
    room_t     *room;
    track_t     clips[2];
    voice_t     voice = tone;
    unsigned    i;
    speaker_t  *s;

    room = room_new(2, 1, 48000);

    for (i = 0; i < n; i++) {
        voice.freq = 410 + 260 * i;
        voice.frame = frame;
        clip_record(&clips[i], &voice, 40);

        s = room_speak(room, i, &clips[i]);
        s->jitter = 300;
    }

    room_run(room, 39);

    fillers = track_fillers(&room->out, 5 * RATE, 38 * RATE);

    for (i = 0; i < n; i++) {
        s = &room->speakers[i];

        print_message("bursts, place %u: at least %.1f dB, %zu fillers, shed "
                      "%u, delay %" PRId64 " ms\n", i,
                      faintest(&room->out, 5, 38, 410 + 260 * i, 0.1),
                      fillers, s->shed, s->delay);

        assert_below(-faintest(&room->out, 5, 38, 410 + 260 * i, 0.1), 2,
                     "a gap, dB");
        assert_below(s->delay, 200 + 300 + 2 * TICK + frame / 48, "delay, ms");
        track_free(&clips[i]);
    }

    assert_int_equal(fillers, 0);
    room_free(room);
}


static void
test_bursts(void **state)
{
    bursts(1, 960);
    bursts(1, 2880);
    bursts(2, 960);
    bursts(2, 2880);
}


/* of the packets 5 % never come: each is concealed, in its place */

static void
loss(unsigned n, int frame)
{
    int         hole;
    room_t     *room;
    track_t     clips[2];
    voice_t     voice = tone;
    unsigned    i;
    speaker_t  *s;

    room = room_new(2, 1, 48000);

    for (i = 0; i < n; i++) {
        voice.freq = 410 + 260 * i;
        voice.frame = frame;
        clip_record(&clips[i], &voice, 24);

        s = room_speak(room, i, &clips[i]);
        s->loss = 5;
    }

    room_run(room, 24.3);

    for (i = 0; i < n; i++) {
        s = &room->speakers[i];
        hole = longest_hole(&room->out, 1, 23, 410 + 260 * i, 0.1);

        print_message("5 %% lost, place %u: %u of %zu played, a hole of "
                      "%d ms\n", i, s->played, clips[i].n, hole);

        assert_int_equal(s->played, s->sent);
        assert_in_range(s->sent, clips[i].n * 85 / 100, clips[i].n - 1);
        assert_below(hole, frame / 48, "a hole, ms");
        assert_in_range(room->playout->state.sources[i].position,
                        24 * RATE, 24.4 * RATE);
    }

    if (n == 1) {

        /* fillers of 20 ms for each, and nothing else is one */

        assert_in_range(track_fillers(&room->out, RATE / 4, 24 * RATE) * 960
                        / frame,
                        clips[0].n - room->speakers[0].sent - 1,
                        clips[0].n - room->speakers[0].sent);
    }

    while (n--) {
        track_free(&clips[n]);
    }

    room_free(room);
}


static void
test_loss(void **state)
{
    loss(1, 960);
    loss(2, 960);
    loss(1, 2880);
    loss(2, 2880);
}


/* ticks come late, by up to 900 ms, for hours; and the stream is whole */

static void
test_late_ticks(void **state)
{
    int64_t     late;
    room_t     *room;
    track_t     clip;
    unsigned    i;
    speaker_t  *s;

    clip_flags(&clip);

    room = room_new(2, 1, 32000);
    room->forget = 1;
    s = room_speak(room, 0, &clip);
    s->loop = 1;
    s->voice = &flags;
    room_speak(room, 1, NULL);
    room_run(room, 10);
    s->shed = 0;

    for (i = 0; i < 3 * HOUR; i++) {
        late = chance(&room->seed) % 10 ? chance(&room->seed) % 20
                                        : chance(&room->seed) % 900;
        room->now += late;
        room_tick(room);

        assert_true(labs(room->now - room->playout->state.epoch
                         - room->playout->state.granule / 48) <= 100);
        room_run(room, 0.1 * (1 + chance(&room->seed) % 10));
    }

    print_message("late ticks: %" PRId64 " h, %u of %u shed\n",
                  room->granule / 48000 / HOUR, s->shed, s->sent);

    assert_int_equal(s->shed_loud, 0);

    track_free(&clip);
    room_free(room);
}


/* nobody runs for a minute: a second is caught up with in each tick */

static void
test_suspended(void **state)
{
    int        ticks;
    room_t    *room;
    int64_t    before;
    track_t    clip;

    clip_tone(&clip, 410, 0.1, 4);

    room = room_new(2, 1, 32000);
    room_speak(room, 0, &clip)->loop = 1;
    room_run(room, 4);

    room->now += 60 * 1000;
    room->speakers[0].due += 60 * 1000;
    ticks = 0;

    do {
        before = room->playout->state.granule;
        room_tick(room);
        ticks++;

        assert_in_range(room->playout->state.granule - before, 1,
                        RATE + 960);

    } while (room->now - room->playout->state.epoch
             > room->playout->state.granule / 48 + TICK);

    assert_in_range(ticks, 60, 65);

    room_run(room, 4);
    room_finish(room);

    assert_below(-faintest(&room->out, 65, 67.5, 410, 0.1), 1,
                 "after it, dB");

    track_free(&clip);
    room_free(room);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_bursts),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_late_ticks),
        cmocka_unit_test(test_suspended),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_drift_mixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
