
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The playout with several speakers, in simulated time: tones and noise that
 * libopus encodes go in, what listeners and speakers get is decoded by libopus
 * and measured.
 */


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


/* one talks, one sends nothing, one DTX, one the noise of a room */

static void
pass_through(int frame, int channels)
{
    size_t    n, first;
    room_t   *room;
    track_t   talk, dtx, noise;
    voice_t   voice = tone;

    voice.frame = frame;
    voice.channels = channels;
    clip_record(&talk, &voice, 4);

    voice.frame = 960;
    voice.channels = 1;
    voice.application = OPUS_APPLICATION_VOIP;
    voice.bitrate = 16000;
    voice.dtx = 1;
    voice.level = 0;
    clip_record(&dtx, &voice, 4);

    voice.application = OPUS_APPLICATION_AUDIO;
    voice.bitrate = 64000;
    voice.dtx = 0;
    voice.freq = 0;
    voice.level = 0.0001;
    clip_record(&noise, &voice, 4);

    room = room_new(4, 2, 32000);
    room_speak(room, 2, &talk);
    room_run(room, 0.4);
    room_speak(room, 0, NULL);
    room_speak(room, 1, &dtx);
    room_speak(room, 3, &noise);
    room_run(room, 4.5);
    room_finish(room);

    n = track_holds(&room->out, &talk, &first);
    assert_int_equal(first, 0);
    assert_int_equal(n, talk.n);

    n = track_holds(&room->speakers[1].heard, &talk, &first);
    assert_int_equal(n, talk.n - first);
    assert_true(first * frame <= RATE / 2);

    assert_int_equal(track_holds(&room->speakers[2].heard, &talk, &first), 0);

    track_free(&talk);
    track_free(&dtx);
    track_free(&noise);
    room_free(room);
}


static void
test_pass_through(void **state)
{
    pass_through(120, 1);
    pass_through(960, 1);
    pass_through(960, 2);
    pass_through(2880, 1);
    pass_through(2880, 2);
}


static double
nth_tone(unsigned i)
{
    return 300 + 170 * i;
}


/* kinds of packets side by side */

static void
clip_nth(track_t *clip, unsigned i, double level, double seconds)
{
    voice_t           voice = tone;
    static const int  frames[] = { 960, 2880, 120, 5760 };

    voice.freq = nth_tone(i);
    voice.level = level;
    voice.frame = frames[i % 4];
    voice.channels = 1 + i % 2;

    clip_record(clip, &voice, seconds);
}


/* levels in the mix and in each return, and what is left of one's own there */

static void
several(unsigned n, int channels, int bitrate, double tolerance, double own)
{
    double    db, worst, leak;
    room_t   *room;
    unsigned  i, k;
    double    levels[PLACES];
    track_t   clips[PLACES];

    room = room_new(n, channels, bitrate);

    for (i = 0; i < n; i++) {
        clip_nth(&clips[i], i, 0.65 / n, 4);
        levels[i] = level_of(&clips[i], 2, 1, nth_tone(i));
        room_speak(room, i, &clips[i]);
    }

    room_run(room, 4.5);
    room_finish(room);

    worst = 0;
    leak = -200;

    for (i = 0; i < n; i++) {
        db = decibel(level_of(&room->out, 2, 1, nth_tone(i)), levels[i]);
        worst = fmax(worst, fabs(db));

        for (k = 0; k < n; k++) {
            db = decibel(level_of(&room->speakers[i].heard, 2, 1,
                                  nth_tone(k)),
                         levels[k]);

            if (k == i) {
                leak = fmax(leak, db);

            } else {
                worst = fmax(worst, fabs(db));
            }
        }

        assert_int_equal(labs(room->speakers[i].heard.samples
                              - room->out.samples) < RATE / 10, 1);
    }

    print_message("%u speakers: %.2f dB off at most, own at %.1f dB\n", n,
                  worst, leak);

    assert_below(worst, tolerance, "level, dB");
    assert_below(leak, -own, "own voice, dB");

    for (i = 0; i < n; i++) {
        track_free(&clips[i]);
    }

    room_free(room);
}


static void
test_several(void **state)
{
    several(2, 1, 32000, 1.5, 30);
    several(2, 2, 48000, 1.5, 30);
    several(3, 1, 32000, 1.5, 30);
    several(3, 2, 48000, 1.5, 30);
    several(13, 1, 32000, 1.5, 25);
}


/* with two active each hears the other's packets, not one more, nor less */

static void
test_two_returns(void **state)
{
    size_t     n, first;
    room_t    *room;
    int64_t    at;
    unsigned   i, k;
    track_t    clips[2], *heard;

    room = room_new(3, 1, 32000);

    for (i = 0; i < 2; i++) {
        clip_nth(&clips[i], i, 0.2, 4);
        room_speak(room, i, &clips[i]);
    }

    room_run(room, 4.5);
    room_finish(room);

    for (i = 0; i < 2; i++) {
        heard = &room->speakers[i].heard;
        n = track_holds(heard, &clips[!i], &first);

        print_message("place %u hears %zu of %zu from %zu on\n", i, n,
                      clips[!i].n, first);

        assert_true(first * clips[!i].pieces[0].duration < RATE / 5);
        assert_int_equal(n, clips[!i].n - first);
        assert_true(labs(heard->samples - room->out.samples) < RATE / 10);

        for (at = heard->pieces[0].pts, k = 0; k < heard->n; k++) {
            assert_int_equal(heard->pieces[k].pts, at);
            at += heard->pieces[k].duration;
        }
    }

    track_free(&clips[0]);
    track_free(&clips[1]);
    room_free(room);
}


/* what is above 8 kHz, by two filters of second order */

static float *
high_pass(const float *pcm, int64_t n)
{
    int      k;
    float   *out;
    double   w, a, b, c, y;
    double   m[2][2] = { { 0 } };
    int64_t  i;

    out = malloc(n * sizeof(float));
    assert_non_null(out);

    w = tan(M_PI * 8000 / RATE);
    a = 1 / (1 + M_SQRT2 * w + w * w);
    b = 2 * (w * w - 1) * a;
    c = (1 - M_SQRT2 * w + w * w) * a;

    for (i = 0; i < n; i++) {
        y = pcm[i];

        for (k = 0; k < 2; k++) {
            w = y - b * m[k][0] - c * m[k][1];
            y = (w - 2 * m[k][0] + m[k][1]) * a;
            m[k][1] = m[k][0];
            m[k][0] = w;
        }

        out[i] = y;
    }

    return out;
}


/* the loudest 5 ms from "from" to "to", s; in dB */

static double
loudest(const float *pcm, double from, double to)
{
    int      k;
    double   sum, most;
    int64_t  i;

    most = 0;

    for (i = from * RATE; i + 240 <= to * RATE; i += 60) {

        for (sum = 0, k = 0; k < 240; k++) {
            sum += pcm[i + k] * pcm[i + k];
        }

        most = fmax(most, sum / 240);
    }

    return 10 * log10(most + 1e-12);
}


static double
steepest(const float *pcm, double from, double to)
{
    double   most;
    int64_t  i;

    most = 0;

    for (i = from * RATE + 1; i < to * RATE; i++) {
        most = fmax(most, fabs(pcm[i] - pcm[i - 1]));
    }

    return most;
}


static void
check_seams(const track_t *out, const char *what)
{
    float   *pcm, *high;
    double   spike, click, jump, ground;

    pcm = track_pcm(out, 1);
    high = high_pass(pcm, out->samples);

    /* both talk from 2 to 4 s */

    spike = loudest(pcm, 0.1, 5.8) - loudest(pcm, 2.6, 3.8);
    ground = loudest(high, 2.6, 3.8);
    click = fmax(loudest(high, 1.5, 2.6), loudest(high, 3.9, 5.5));
    jump = steepest(pcm, 0.1, 5.8) / steepest(pcm, 2.6, 3.8);

    print_message("%s: spike %.1f dB, over 8 kHz %.1f dB (mixing %.1f), "
                  "jump %.2f times\n", what, spike, click, ground, jump);

    assert_below(spike, 3, "spike, dB");
    assert_below(jump, 1.3, "jump");
    assert_below(click, fmax(ground + 6, -50), "click, dB");

    free(high);
    free(pcm);
}


/* A alone, both, B alone */

static void
switches(const voice_t *kind, double f1, double f2, int stereo,
    const char *what)
{
    room_t   *room;
    track_t   a, b;
    voice_t   voice = *kind;

    voice.freq = f1;
    voice.level = 0.2;
    voice.off = 4;
    clip_record(&a, &voice, 6);

    voice.freq = f2;
    voice.on = 2;
    voice.off = 6;
    clip_record(&b, &voice, 6);

    room = room_new(3, 1 + stereo, 32000 + 16000 * stereo);
    room_speak(room, 0, &a);
    room_speak(room, 1, &b);
    room_run(room, 6.5);
    room_finish(room);

    check_seams(&room->out, what);

    track_free(&a);
    track_free(&b);
    room_free(room);
}


static void
test_switches(void **state)
{
    voice_t  voice = tone;

    switches(&voice, 400, 800, 0, "CELT, in phase");
    switches(&voice, 400, 600, 0, "CELT, out of phase");
    switches(&voice, 600, 1000, 1, "CELT, out of phase, stereo mix");

    voice.channels = 2;
    switches(&voice, 600, 1000, 1, "CELT, stereo");

    voice.channels = 1;
    voice.frame = 2880;
    switches(&voice, 600, 1000, 0, "CELT, 60 ms");

    voice.frame = 960;
    voice.dtx = 1;
    voice.application = OPUS_APPLICATION_VOIP;
    voice.bitrate = 20000;
    switches(&voice, 400, 600, 0, "SILK, DTX");

    voice.dtx = 0;
    voice.bitrate = 32000;
    switches(&voice, 600, 1000, 0, "hybrid");

    voice.frame = 2880;
    voice.dtx = 1;
    voice.bitrate = 16000;
    switches(&voice, 600, 1000, 0, "SILK, DTX, 60 ms");
}


/* what the tones leave over of the energy of a second, in dB of it */

static double
distortion(const track_t *track, double from, unsigned n)
{
    int       i;
    float    *pcm;
    double    sum, tones, level, hann;
    unsigned  k;

    pcm = track_pcm(track, 1) ;
    sum = 0;
    tones = 0;

    for (i = 0; i < RATE; i++) {
        hann = 0.5 - 0.5 * cos(2 * M_PI * i / RATE);
        level = pcm[(int) (from * RATE) + i] * hann;
        sum += level * level;
    }

    for (k = 0; k < n; k++) {
        level = goertzel(pcm, 1, from * RATE, RATE, nth_tone(k), NULL);
        tones += level * level / 2 * 0.375 * RATE;
    }

    free(pcm);

    return 10 * log10(fmax(sum - tones, 1e-9) / sum);
}


static double
peak_of(const track_t *track, double from)
{
    float    *pcm;
    double    most;
    int64_t   i;

    pcm = track_pcm(track, 1);
    most = 0;

    for (i = from * RATE; i < track->samples; i++) {
        most = fmax(most, fabs(pcm[i]));
    }

    free(pcm);

    return most;
}


static void
test_limiter(void **state)
{
    double    most, before, rest;
    room_t   *room;
    track_t   clips[8];
    voice_t   voice = tone;
    unsigned  i;

    room = room_new(8, 1, 64000);
    before = 0;

    for (i = 0; i < 8; i++) {
        voice.freq = nth_tone(i);
        voice.level = 1;
        voice.on = 0.5 * i;
        clip_record(&clips[i], &voice, 7);
        before = fmax(before, peak_of(&clips[i], 0));
        room_speak(room, i, &clips[i]);
    }

    room_run(room, 7.5);
    room_finish(room);

    most = peak_of(&room->out, 0.6);
    rest = distortion(&room->out, 5, 8);

    print_message("limiter: peak %.3f (a source alone %.3f), distortion "
                  "%.1f dB\n", most, before, rest);

    assert_below(most, 1.1, "peak");
    assert_below(rest, -20, "distortion, dB");

    for (i = 0; i < 8; i++) {

        assert_below(peak_of(&room->speakers[i].heard, 0.6), 1.3, "return");
        track_free(&clips[i]);
    }

    room_free(room);
}


/*
 * What a speaker hears goes over from the packets of the only other one to an
 * encoder of its own, and what listeners hear from packets to the mix: neither
 * gets louder by it.
 */

static void
overshoot(double freq)
{
    double    before, heard, mixed;
    room_t   *room;
    track_t   clips[3];
    voice_t   voice = tone;
    unsigned  i;

    room = room_new(3, 1, 64000);

    for (i = 0; i < 3; i++) {
        voice.freq = i == 1 ? freq : 300;
        voice.level = i == 1 ? 0.9 : 0.02;
        voice.on = i == 0 ? 1 : i == 1 ? 0 : 2;
        clip_record(&clips[i], &voice, 4);
        room_speak(room, i, &clips[i]);
    }

    before = peak_of(&clips[1], 0);

    room_run(room, 4.5);
    room_finish(room);

    heard = decibel(peak_of(&room->speakers[0].heard, 0.3), before);
    mixed = decibel(peak_of(&room->out, 0.3), before);

    print_message("%.0f Hz: %.1f dB over what it was, %.1f dB in the mix\n",
                  freq, heard, mixed);

    assert_below(heard, 3.5, "what a speaker hears, dB");
    assert_below(mixed, 3.5, "the mix, dB");

    for (i = 0; i < 3; i++) {
        track_free(&clips[i]);
    }

    room_free(room);
}


static void
test_overshoot(void **state)
{
    int  i;

    for (i = 0; i < 12; i++) {
        overshoot(390 + 37 * i);
    }
}


/*
 * What listeners are told is enough to forge a page of the stream, and to send
 * it in a packet, or in two: who looks for pages would be led astray.  The room
 * holds of every page that there is no other in it.
 */

static void
test_forged_pages(void **state)
{
    size_t          i, at;
    room_t         *room;
    track_t         plain, clip = { 0 };
    uint8_t         whole[80] = { 0xf8 }, begun[40] = { 0xf8 };
    const piece_t  *piece;

    /* serial 77; the first byte of a packet may be one of its granule */

    static const uint8_t  page[] = { 'O', 'g', 'g', 'S', 0, 0, 1, 2, 3, 4,
                                     0xf8, 6, 7, 8, 77, 0, 0, 0, 9, 9, 9, 9,
                                     1, 2, 3, 4, 1, 20 };

    clip_record(&plain, &tone, 2);

    memcpy(whole + 30, page, sizeof(page));
    memcpy(begun + 30, page, 10);

    for (i = 0; i < plain.n; i++) {
        piece = &plain.pieces[i];

        switch (i) {

        case 20:
            track_add(&clip, whole, sizeof(whole), 960, piece->pts);
            break;

        case 41:
            track_add(&clip, begun, sizeof(begun), 960, piece->pts);
            break;

        case 42:
            track_add(&clip, page + 10, sizeof(page) - 10, 960, piece->pts);
            break;

        default:
            track_add(&clip, plain.data + piece->at, piece->len, 960,
                      piece->pts);
        }
    }

    room = room_new(1, 1, 32000);
    room_speak(room, 0, &clip);
    room_run(room, 2.5);
    room_finish(room);

    for (i = 0; i < clip.n; i++) {
        piece = &room->out.pieces[i];
        at = clip.pieces[i].at;

        assert_int_equal(piece->duration, 960);

        if (i == 20 || i == 42) {
            assert_true(piece->len < 3);
            continue;
        }

        assert_int_equal(piece->len, clip.pieces[i].len);
        assert_memory_equal(room->out.data + piece->at, clip.data + at,
                            piece->len);
    }

    track_free(&plain);
    track_free(&clip);
    room_free(room);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pass_through),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_two_returns),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_limiter),
        cmocka_unit_test(test_overshoot),
        cmocka_unit_test(test_forged_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
