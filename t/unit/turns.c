
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Who comes and goes in a Space: owners that are killed, speakers who leave,
 * are muted, take the place of another, end it, or send what no speaker does.
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
#include <opus/opus.h>

#include "room.h"


/* no whole number of periods in 20 ms: a packet too many or too few shows */

static double
tone_of(unsigned i)
{
    return 410 + 260 * i;
}


static double
level_at(const track_t *track, double from, double seconds, unsigned i)
{
    return decibel(level_of(track, from, seconds, tone_of(i)), 0.1);
}


/* owners are killed while one talks: not a packet more, nor less */

static void
takeover_alone(int frame)
{
    int       k;
    size_t    n, first;
    room_t   *room;
    track_t   clip;
    voice_t   voice = tone;

    voice.freq = tone_of(0);
    voice.frame = frame;
    clip_record(&clip, &voice, 8);

    room = room_new(3, 1, 48000);
    room_speak(room, 0, &clip);
    room_speak(room, 1, NULL);

    for (k = 0; k < 15; k++) {
        room_run(room, 0.3 + 0.02 * (chance(&room->seed) % 20));
        room_take_over(room);
    }

    room_run(room, 3);
    room_finish(room);

    n = track_holds(&room->out, &clip, &first);
    assert_int_equal(n, clip.n);

    track_free(&clip);
    room_free(room);
}


static void
test_takeover_alone(void **state)
{
    takeover_alone(120);
    takeover_alone(960);
    takeover_alone(2880);
    takeover_alone(5760);
}


/* the farthest that level and phase of a tone get from those at "from" */

static void
check_steady(const track_t *track, unsigned i, double from, double to,
    double decibels)
{
    int       n;
    float    *pcm;
    double    level, phase, begin, turn, off;
    int64_t   at;

    n = RATE / 25;
    off = 0;
    turn = 0;
    begin = 0;
    pcm = track_pcm(track, 1);

    for (at = from * RATE; at + n <= to * RATE; at += n / 4) {
        level = goertzel(pcm, 1, at, n, tone_of(i), &phase);

        if (at == (int64_t) (from * RATE)) {
            begin = phase;
        }

        off = fmax(off, fabs(decibel(level, 0.1)));
        turn = fmax(turn, fabs(remainder(phase - begin, 2 * M_PI)));
    }

    free(pcm);

    print_message("tone %u: %.2f dB off, phase by %.2f\n", i, off, turn);

    assert_below(off, decibels, "level, dB");
    assert_below(turn, 0.5, "phase");
}


/* and while several are mixed: each goes on where it was */

static void
takeover_mixing(unsigned n, int frame)
{
    int        k;
    room_t    *room;
    track_t    clips[3];
    voice_t    voice = tone;
    unsigned   i;

    room = room_new(4, 1, 64000);

    for (i = 0; i < n; i++) {
        voice.freq = tone_of(i);
        voice.frame = frame;
        clip_record(&clips[i], &voice, 10);
        room_speak(room, i, &clips[i]);
    }

    room_speak(room, 3, NULL);

    for (k = 0; k < 15; k++) {
        room_run(room, 0.3 + 0.02 * (chance(&room->seed) % 20));
        room_take_over(room);
    }

    room_run(room, 10.5 - (double) (room->now - 100000) / 1000);
    room_finish(room);

    for (i = 0; i < n; i++) {
        check_steady(&room->out, i, 0.5, 9.5, 2);
        assert_int_equal(room->speakers[i].shed, 0);

        /* what came after the last page is said again, once for each owner */

        assert_in_range(room->speakers[i].heard.samples,
                        room->out.samples - RATE / 4,
                        room->out.samples + 15 * RATE / 8);
        track_free(&clips[i]);
    }

    room_free(room);
}


static void
test_takeover_mixing(void **state)
{
    takeover_mixing(2, 960);
    takeover_mixing(3, 960);
    takeover_mixing(3, 2880);
}


/* nobody owns it for half a second, which all but fills the rings */

static void
test_takeover_late(void **state)
{
    room_t   *room;
    track_t   clips[2];
    unsigned  i, ticks;

    room = room_new(2, 1, 64000);

    for (i = 0; i < 2; i++) {
        clip_tone(&clips[i], tone_of(i), 0.1, 10);
        room_speak(room, i, &clips[i]);
    }

    room_run(room, 3);

    for (ticks = 0; ticks < 30; ticks++) {
        room->now += TICK;
        room_send(room, 0);
        room_send(room, 1);
    }

    room_take_over(room);
    room_run(room, 10.5 - (double) (room->now - 100000) / 1000);
    room_finish(room);

    check_steady(&room->out, 0, 0.5, 9.5, 2);
    check_steady(&room->out, 1, 0.5, 9.5, 2);

    track_free(&clips[0]);
    track_free(&clips[1]);
    room_free(room);
}


/* two talk, one is muted for two seconds, then the other leaves */

static void
test_mute_and_leave(void **state)
{
    room_t   *room;
    track_t   clips[2];

    clip_tone(&clips[0], tone_of(0), 0.1, 20);
    clip_tone(&clips[1], tone_of(1), 0.1, 4.5);

    room = room_new(3, 1, 64000);
    room_speak(room, 0, &clips[0]);
    room_speak(room, 1, &clips[1]);
    room_speak(room, 2, NULL);

    room_run(room, 2);
    room->playout->sources[0].muted = 1;
    room_run(room, 2);
    room->playout->sources[0].muted = 0;
    room->speakers[0].delay = 0;
    room_run(room, 1);

    /* what was muted is past, and makes no delay */

    assert_below(room->speakers[0].delay, 240, "delay, ms");
    assert_int_equal(room->speakers[0].shed, 0);

    assert_true(spaces_playout_played(room->playout, 1));
    spaces_playout_leave(room->playout, 1);
    assert_int_equal(room->playout->present, 2);
    room_run(room, 1);

    /* the last who is left is muted, too */

    room->playout->sources[0].muted = 1;
    room_run(room, 1);
    room_finish(room);

    assert_below(fabs(level_at(&room->out, 0.5, 1.2, 0)), 1, "both, 0");
    assert_below(fabs(level_at(&room->out, 0.5, 1.2, 1)), 1, "both, 1");
    assert_below(level_at(&room->out, 2, 1.5, 0), -40, "muted, 0");
    assert_below(fabs(level_at(&room->out, 2, 1.5, 1)), 1, "muted, 1");
    assert_below(fabs(level_at(&room->out, 4, 1.5, 0)), 1, "again, 0");
    assert_below(level_at(&room->out, 4.9, 1, 1), -40, "left, 1");
    assert_below(level_at(&room->out, 6, 0.7, 0), -60, "all muted, 0");

    /* the muted one hears; who listens only, all */

    assert_below(fabs(level_at(&room->speakers[0].heard, 2, 1.5, 1)), 1,
                 "heard by the muted one");
    assert_below(fabs(level_at(&room->speakers[2].heard, 4, 1.5, 0)), 1,
                 "heard by who listens");

    track_free(&clips[0]);
    track_free(&clips[1]);
    room_free(room);
}


/*
 * Who was through comes back before all of it is played: they are through when
 * the second time is, and nothing is left for who has the place next.
 */

static void
test_through_twice(void **state)
{
    room_t   *room;
    track_t   clips[3];

    clip_tone(&clips[0], tone_of(0), 0.1, 8);
    clip_tone(&clips[1], tone_of(1), 0.1, 0.5);
    clip_tone(&clips[2], tone_of(2), 0.1, 3);

    room = room_new(2, 1, 64000);
    room_speak(room, 0, &clips[0]);
    room_run(room, 1);

    room_speak(room, 1, &clips[1]);
    room_run(room, 0.5);
    room_end(room, 1, 0);
    assert_false(spaces_playout_played(room->playout, 1));

    room_speak(room, 1, &clips[2]);
    room_run(room, 1.5);
    assert_false(spaces_playout_played(room->playout, 1));

    room_run(room, 3);
    assert_true(spaces_playout_played(room->playout, 1));
    room_finish(room);

    assert_below(fabs(level_at(&room->out, 1.8, 2.6, 2)), 1, "all of it");
    assert_below(level_at(&room->out, 5.5, 0.5, 2), -40, "and no more");

    track_free(&clips[0]);
    track_free(&clips[1]);
    track_free(&clips[2]);
    room_free(room);
}


/* a place goes from one to another, in mono and stereo, SILK and CELT */

static void
test_reuse(void **state)
{
    size_t     n, first;
    room_t    *room;
    track_t    clips[3];
    voice_t    voice = tone;
    unsigned   i;

    for (i = 0; i < 3; i++) {
        voice.freq = tone_of(i);
        voice.channels = 1 + (i == 2);
        voice.application = i == 1 ? OPUS_APPLICATION_VOIP
                                   : OPUS_APPLICATION_AUDIO;
        voice.bitrate = i == 1 ? 16000 : 64000;
        voice.frame = i == 1 ? 2880 : 960;
        clip_record(&clips[i], &voice, i ? 2 : 8);
    }

    room = room_new(2, 1, 64000);
    room_speak(room, 0, &clips[0]);

    for (i = 1; i < 3; i++) {
        room_speak(room, 1, &clips[i]);
        room_run(room, 2.5);
        assert_true(spaces_playout_played(room->playout, 1));
        spaces_playout_leave(room->playout, 1);
        assert_int_equal(room->playout->present, 1);
    }

    /* alone again, and somebody comes back whose clock is far off */

    room_run(room, 0.3);
    room_speak(room, 1, &clips[1]);
    room->speakers[1].pts = INT64_MIN + 5;
    room_run(room, 3);
    room_finish(room);

    assert_below(fabs(level_at(&room->out, 0.5, 1, 1)), 1.5, "first");
    assert_below(fabs(level_at(&room->out, 3, 1, 2)), 1.5, "second");
    assert_below(level_at(&room->out, 3, 1, 1), -40, "first is gone");
    assert_below(fabs(level_at(&room->out, 5.8, 1, 1)), 1.5, "third");

    for (i = 0; i < 7; i++) {
        assert_below(fabs(level_at(&room->out, 0.3 + i, 1, 0)), 1, "host");
    }

    n = track_holds(&room->speakers[0].heard, &clips[2], &first);
    assert_true(n > clips[2].n - 10);

    for (i = 0; i < 3; i++) {
        track_free(&clips[i]);
    }

    room_free(room);
}


/* the gain of a speaker's head against that of the stream's, dB in Q7.8 */

static void
gain(int stream, int host, int guest)
{
    size_t    n, first;
    room_t   *room;
    track_t   clips[2];

    clip_tone(&clips[0], tone_of(0), 0.1, 3);
    clip_tone(&clips[1], tone_of(1), 0.1, 3);

    room = room_new(2, 1, 64000);
    room->playout->gain = stream;
    room->speakers[0].gain = host;
    room->speakers[1].gain = guest;
    room_speak(room, 0, &clips[0]);
    room_run(room, 4);
    room_speak(room, 1, &clips[1]);
    room_run(room, 4);
    room_finish(room);

    /* what listeners hear is that much louder than the packets are */

    assert_below(fabs(level_at(&room->out, 1, 1.5, 0)
                      - (host - stream) / 256.0),
                 0.5, "host, dB");
    assert_below(fabs(level_at(&room->out, 5, 1.5, 1)
                      - (guest - stream) / 256.0),
                 0.5, "guest, dB");

    n = track_holds(&room->out, &clips[0], &first);
    assert_true(host == stream ? n == clips[0].n : n < 5);

    n = track_holds(&room->out, &clips[1], &first);
    assert_true(guest == stream ? n > 130 : n < 5);

    track_free(&clips[0]);
    track_free(&clips[1]);
    room_free(room);
}


static void
test_gain(void **state)
{
    gain(0, 0, 0);
    gain(0, 0, -1536);
    gain(0, 1536, 0);
    gain(-1536, -1536, -1536);
    gain(1536, 1536, 0);
}


/* a host's end is the stream's, to the sample; whatever it trims */

static void
end(int trim, int cut, unsigned n)
{
    int                       ticks;
    room_t                   *room;
    int64_t                   granule;
    track_t                   clip;
    spaces_playout_status_e   status;

    clip_tone(&clip, tone_of(0), 0.1, 2);

    room = room_new(n, 1, 64000);
    room_speak(room, 0, &clip);

    if (n > 1) {
        room_speak(room, 1, NULL);
    }

    room_run(room, 2);
    room_end(room, 0, trim);

    for (ticks = 0; ticks < 50; ticks++) {
        status = room_tick(room);

        if (status == SPACES_PLAYOUT_COMPLETE) {
            break;
        }
    }

    assert_in_range(ticks, 5, 20);
    assert_int_equal(room->playout->state.granule, clip.samples);

    granule = room->playout->state.granule;
    spaces_playout_finish(room->playout);

    assert_int_equal(room->playout->state.granule, granule - cut);
    assert_int_equal(room->out.samples, granule);
    assert_true(room->ended);

    track_free(&clip);
    room_free(room);
}


static void
test_end(void **state)
{
    end(0, 0, 1);
    end(500, 500, 1);
    end(500, 500, 2);

    /* RFC 7845, 4.4: the last page holds five packets */

    end(1 << 30, 4800, 1);
    end(-1, 4800, 1);
}


/*
 * A guest's end, of which as much is to be cut as no packet lasts, is passed
 * while their last packet is being mixed: it is not taken for another.
 */

static void
test_end_of_guest(void **state)
{
    room_t   *room;
    track_t   clips[2];
    voice_t   voice = tone;

    clip_tone(&clips[0], tone_of(0), 0.1, 3);

    voice.freq = tone_of(1);
    voice.frame = 5760;
    clip_record(&clips[1], &voice, 1.2);

    room = room_new(2, 1, 64000);
    room_speak(room, 0, &clips[0]);
    room_speak(room, 1, &clips[1]);

    room_run(room, 1.22);
    room_end(room, 1, 1 << 30);
    room_run(room, 1.5);
    room_finish(room);

    assert_below(fabs(level_at(&room->out, 0.6, 0.5, 1)), 1, "in the middle");
    assert_below(fabs(level_at(&room->out, 1.2, 0.1, 1)), 3, "to the end");
    assert_below(level_at(&room->out, 1.5, 0.8, 1), -40, "behind it");

    track_free(&clips[0]);
    track_free(&clips[1]);
    room_free(room);
}


/* the end comes while seconds are waiting: all of it is there, at once */

static void
test_drain(void **state)
{
    int       i;
    size_t    n, first;
    room_t   *room;
    track_t   clips[2];
    unsigned  steps;

    clip_tone(&clips[0], tone_of(0), 0.1, 5);
    clip_tone(&clips[1], tone_of(1), 0.1, 3);

    room = room_new(2, 1, 64000);
    room_speak(room, 0, &clips[0]);
    room_run(room, 0.1);

    for (i = 5; i < (int) clips[0].n; i++) {
        assert_int_equal(room_write(room, 0,
                                    clips[0].data + clips[0].pieces[i].at,
                                    clips[0].pieces[i].len, 960, i * 960, 0),
                         0);
    }

    for (steps = 0;
         spaces_playout_drain(room->playout, room->now)
         == SPACES_PLAYOUT_PLAYING;
         steps++)
    {
        /* void */
    }

    assert_in_range(steps, 4, 6);
    assert_int_equal(room->playout->state.granule, clips[0].samples);

    /* and somebody whose packets lie in the future: no gap is as long */

    room->speakers[0].clip = NULL;
    room_speak(room, 1, NULL);
    room_write(room, 1, clips[1].data + clips[1].pieces[9].at,
               clips[1].pieces[9].len, 960, 0, 0);
    room_write(room, 1, clips[1].data + clips[1].pieces[10].at,
               clips[1].pieces[10].len, 960, (int64_t) 9 * RATE, 0);
    room_finish(room);

    assert_in_range(room->out.samples - clips[0].samples, 2 * 960,
                    10 * RATE);

    n = track_holds(&room->out, &clips[0], &first);
    assert_int_equal(n, clips[0].n);

    track_free(&clips[0]);
    track_free(&clips[1]);
    room_free(room);
}


/* whatever a source's clock says, the Space's goes on, and who speaks does */

static void
test_hostile_times(void **state)
{
    int        i, flags;
    room_t    *room;
    int64_t    pts;
    track_t    clips[2];
    piece_t   *piece;
    speaker_t *s;

    clip_tone(&clips[0], tone_of(0), 0.1, 10);
    clip_tone(&clips[1], tone_of(1), 0.1, 2);

    room = room_new(2, 1, 64000);
    room_speak(room, 0, &clips[0]);
    s = room_speak(room, 1, NULL);

    for (i = 0; i < 450; i++) {
        piece = &clips[1].pieces[i % clips[1].n];

        switch (chance(&room->seed) % 6) {

        case 0:
            pts = INT64_MIN;
            break;

        case 1:
            pts = INT64_MAX;
            break;

        case 2:
            pts = (int64_t) ((uint64_t) chance(&room->seed) << 40);
            break;

        case 3:
            pts = -(int64_t) chance(&room->seed);
            break;

        case 4:
            pts = chance(&room->seed) % (9 * RATE);
            break;

        default:
            pts = i * 960;
        }

        flags = (chance(&room->seed) % 50 == 0) ? SPACES_PACKET_FRESH : 0;
        flags |= (chance(&room->seed) % 50 == 0) ? SPACES_PACKET_PACED : 0;

        (void) room_write(room, 1, clips[1].data + piece->at, piece->len,
                          960, pts, flags);
        room_tick(room);
    }

    room_run(room, 2);

    assert_below(room->ahead, 100, "ahead, ms");
    assert_below(room->behind, 100, "behind, ms");
    assert_int_equal(room->speakers[0].shed, 0);
    check_steady(&room->out, 0, 0.5, 9.5, 3);

    print_message("hostile times: %u of %u played\n", s->played, s->sent);

    track_free(&clips[0]);
    track_free(&clips[1]);
    room_free(room);
}


/*
 * Clocks of whole milliseconds, as WebM has them: what is missing is no number
 * of frames.  Two take turns, each silent in between.
 */

static void
test_uneven_gaps(void **state)
{
    int         i, k;
    room_t     *room;
    track_t     clips[2];
    voice_t     voice = tone;
    piece_t    *piece;
    speaker_t  *s;

    room = room_new(2, 1, 64000);

    for (k = 0; k < 2; k++) {
        voice.freq = tone_of(k);
        voice.on = 1.2 * k;
        voice.off = voice.on + 1.2;
        clip_record(&clips[k], &voice, 2.4);

        s = room_speak(room, k, NULL);
        s->fresh = 1;
    }

    for (i = 0; i < 2000; i++) {

        for (k = 0; k < 2; k++) {
            s = &room->speakers[k];
            piece = &clips[k].pieces[i % clips[k].n];

            if (chance(&room->seed) % 10 == 0) {
                s->pts += 48 * (chance(&room->seed) % 60);
                continue;
            }

            (void) room_write(room, k, clips[k].data + piece->at, piece->len,
                              960, s->pts, 0);
            s->pts += 48 * (19 + chance(&room->seed) % 3);
        }

        room_tick(room);
    }

    for (k = 0; k < 2; k++) {
        print_message("uneven gaps: %u of %u played\n",
                      room->speakers[k].played, room->speakers[k].sent);
        assert_true(room->speakers[k].played > 1500);
        track_free(&clips[k]);
    }

    assert_below(room->ahead, 40, "ahead, ms");
    assert_below(room->behind, 40, "behind, ms");

    room_finish(room);
    room_free(room);
}


/* the largest packets that are taken: a page each, of padding mostly */

static void
hostile_sizes(unsigned n)
{
    int       i, len;
    room_t   *room;
    track_t   clips[2];
    piece_t  *piece;
    uint8_t  *data;

    static const int  sizes[] = { 61440, 61000, 40000, 16320, 1276, 510,
                                  61440, 255, 254, 253, 61440 };

    clip_tone(&clips[0], tone_of(0), 0.1, 8);
    clip_tone(&clips[1], tone_of(1), 0.1, 8);

    room = room_new(2, 1, 64000);
    room_speak(room, 0, NULL);

    if (n > 1) {
        room_speak(room, 1, &clips[1]);
    }

    data = malloc(SPACES_OPUS_MAX_PACKET);
    assert_non_null(data);

    for (i = 0; i < 400; i++) {
        len = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
        piece = &clips[0].pieces[i];

        memcpy(data, clips[0].data + piece->at, piece->len);
        assert_true(piece->len <= len);
        assert_int_equal(opus_packet_pad(data, piece->len, len), OPUS_OK);

        (void) room_write(room, 0, data, len, 960, i * 960, 0);
        room_tick(room);
    }

    free(data);

    print_message("hostile sizes: %u of 400 played, %zu bytes in %u pages\n",
                  room->speakers[0].played, room->bytes, room->pages);

    assert_true(room->speakers[0].played > 100);
    assert_below(room->ahead, 100, "ahead, ms");
    assert_below(room->behind, 100, "behind, ms");

    if (n > 1) {
        assert_below(fabs(level_at(&room->out, 4, 3, 1)), 1, "the other");

    } else {
        assert_true(room->bytes > 10 * SPACES_OPUS_MAX_PACKET);
    }

    track_free(&clips[0]);
    track_free(&clips[1]);
    room_free(room);
}


static void
test_hostile_sizes(void **state)
{
    hostile_sizes(1);
    hostile_sizes(2);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_takeover_alone),
        cmocka_unit_test(test_takeover_mixing),
        cmocka_unit_test(test_takeover_late),
        cmocka_unit_test(test_mute_and_leave),
        cmocka_unit_test(test_through_twice),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_gain),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_end_of_guest),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_hostile_times),
        cmocka_unit_test(test_uneven_gaps),
        cmocka_unit_test(test_hostile_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
