
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Whatever happens in a Space, in any order: the stream stays whole, its clock
 * right, and nobody hears themselves.  "unit-chaos 1000 5" is a thousand
 * Spaces, from the fifth on.
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


#define SPEAKERS  6
#define STEPS     150


static unsigned  rooms = 8;
static unsigned  first_room = 1;


static void
clip_any(track_t *clip, unsigned i)
{
    voice_t           voice = tone;
    static const int  frames[] = { 960, 2880, 480, 120, 5760, 1920 };

    voice.freq = i % 3 ? 410 + 130 * i : 0;
    voice.level = 0.2;
    voice.on = 0.5;
    voice.off = 2.5;
    voice.frame = frames[i % 6];
    voice.channels = 1 + i % 2;
    voice.dtx = i % 2;
    voice.application = i % 2 ? OPUS_APPLICATION_VOIP
                              : OPUS_APPLICATION_AUDIO;
    voice.bitrate = 12000 + 16000 * i;

    clip_record(clip, &voice, 3.6);
}


static void
chaos_join(room_t *room, unsigned i, const track_t *clip)
{
    speaker_t  *s;

    s = &room->speakers[i];

    s->margin = chance(&room->seed) % 2 ? 80 : 200;
    s->gain = chance(&room->seed) % 4 ? 0 : (int) (chance(&room->seed) % 3000)
                                            - 1500;

    track_free(&s->heard);
    room_speak(room, i, chance(&room->seed) % 8 ? clip : NULL);

    s->loop = 1;
    s->pts = chance(&room->seed) % 2
             ? 0 : (int64_t) ((uint64_t) chance(&room->seed) << 42);
    s->pace = 0.9 + 0.2 * (chance(&room->seed) % 100) / 100;
    s->jitter = chance(&room->seed) % 3 ? 0 : chance(&room->seed) % 600;
    s->loss = chance(&room->seed) % 3 ? 0 : chance(&room->seed) % 30;
}


/* random bytes that are a packet, and may follow at any time */

static void
chaos_garbage(room_t *room, unsigned i)
{
    int      k, n, len, duration;
    int64_t  pts;
    uint8_t  data[300];

    for (n = chance(&room->seed) % 10; n; n--) {

        do {
            len = 1 + chance(&room->seed) % (sizeof(data) - 1);

            for (k = 0; k < len; k++) {
                data[k] = chance(&room->seed);
            }

            duration = spaces_opus_duration(data, len);

        } while (duration == -1);

        pts = room->speakers[i].pts + chance(&room->seed) % 4000;

        if (chance(&room->seed) % 4 == 0) {
            pts = (int64_t) ((uint64_t) chance(&room->seed) << 41);
        }

        (void) room_write(room, i, data, len, duration, pts,
                          chance(&room->seed) % 8 ? 0 : SPACES_PACKET_PACED);
    }
}


static void
chaos_step(room_t *room, track_t *clips)
{
    unsigned                  i;
    spaces_playout_source_t  *source;

    i = chance(&room->seed) % SPEAKERS;
    source = &room->playout->sources[i];

    switch (chance(&room->seed) % 8) {

    case 0:
    case 1:
        chaos_join(room, i, &clips[i]);
        break;

    case 2:
        if (chance(&room->seed) % 2) {
            spaces_playout_leave(room->playout, i);
            room->speakers[i].clip = NULL;
        }

        break;

    case 3:
        source->muted = !source->muted;
        break;

    case 4:
        if (source->ring) {
            chaos_garbage(room, i);
        }

        break;

    case 5:
        if (i && source->ring) {
            room->speakers[i].clip = NULL;
            (void) room_write(room, i, (const uint8_t *) "", 0, 0, 0,
                              SPACES_PACKET_END);
        }

        break;

    case 6:
        room->now += chance(&room->seed) % (chance(&room->seed) % 4
                                            ? 200 : 2500);
        break;

    case 7:
        room_take_over(room);
        break;
    }
}


/* a packet of one's own is never returned; one of two bytes is nobody's */

static void
check_returns(room_t *room, unsigned i, const track_t *clip)
{
    size_t    k, n;
    track_t  *heard;

    heard = &room->speakers[i].heard;

    for (k = 0; k < heard->n; k++) {

        for (n = 0; n < clip->n; n++) {

            if (clip->pieces[n].len > 12
                && clip->pieces[n].len == heard->pieces[k].len)
            {
                assert_memory_not_equal(heard->data + heard->pieces[k].at,
                                        clip->data + clip->pieces[n].at,
                                        clip->pieces[n].len);
            }
        }
    }
}


static void
chaos(unsigned seed, track_t *clips)
{
    float     *pcm;
    room_t    *room;
    int64_t    k;
    unsigned   i, step;

    room = room_new(SPEAKERS, 1 + seed % 2, 32000);
    room->seed = seed;
    room->playout->gain = seed % 5 ? 0 : 700;

    for (step = 0; step < STEPS; step++) {
        chaos_step(room, clips);
        room_run(room, 0.02 * (chance(&room->seed) % 20));

        for (i = 0; i < SPEAKERS; i++) {
            check_returns(room, i, &clips[i]);
            track_free(&room->speakers[i].heard);
        }
    }

    /* whoever is still there is through, and a second is left */

    for (i = 0; i < SPEAKERS; i++) {
        room->speakers[i].clip = NULL;
    }

    room_finish(room);

    pcm = track_pcm(&room->out, 2);

    for (k = 0; k < 2 * room->out.samples; k++) {

        assert_true(isfinite(pcm[k]));
    }

    free(pcm);
    room_free(room);
}


static void
test_chaos(void **state)
{
    unsigned  i;
    track_t   clips[SPEAKERS];

    for (i = 0; i < SPEAKERS; i++) {
        clip_any(&clips[i], i);
    }

    for (i = first_room; i < first_room + rooms; i++) {
        print_message("room %u\n", i);
        chaos(i, clips);
    }

    for (i = 0; i < SPEAKERS; i++) {
        track_free(&clips[i]);
    }
}


int
main(int argc, char **argv)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_chaos),
    };

    if (argc > 1) {
        rooms = atoi(argv[1]);
    }

    if (argc > 2) {
        first_room = atoi(argv[2]);
    }

    return cmocka_run_group_tests(tests, NULL, NULL);
}
