
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A Space in which anything happens, in any order: an input is a list of what
 * does, two bytes and more for each.  The room of t/unit holds at every tick
 * that the stream is whole and its clock right, and at every page that it
 * follows the one before.
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <opus/opus.h>

#include "fuzz.h"
#include "room.h"


#define SPEAKERS  4

/* ticks of one input */
#define TICKS     200


typedef struct {
    const uint8_t  *data;
    size_t          len;
} bytes_t;


static void step(room_t *room, bytes_t *in, int *ticks);
static void say(room_t *room, unsigned i, bytes_t *in);
static void forge(room_t *room, unsigned i, size_t split);
static int64_t any_time(bytes_t *in);
static uint64_t take(bytes_t *in, size_t n);
static void finish(room_t *room);
static void check_whole(room_t *room);


static track_t  clips[SPEAKERS];


/* CELT and SILK, mono and stereo, short and long packets */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    unsigned  i;
    voice_t   voice;

    static const int  frames[SPEAKERS] = { 960, 2880, 120, 5760 };

    /* what the room finds wrong is a crash */

    setenv("CMOCKA_TEST_ABORT", "1", 1);

    for (i = 0; i < SPEAKERS; i++) {
        voice = tone;

        voice.freq = i % 2 ? 0 : 410 + 130 * i;
        voice.frame = frames[i];
        voice.channels = 1 + i / 2;
        voice.dtx = i == 3;
        voice.application = i % 2 ? OPUS_APPLICATION_VOIP
                                  : OPUS_APPLICATION_AUDIO;
        voice.bitrate = 12000 + 16000 * i;
        voice.on = 0.2;
        voice.off = 1.0;

        clip_record(&clips[i], &voice, 1.5);
    }

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int      ticks;
    room_t  *room;
    bytes_t  in;

    in.data = data;
    in.len = len;

    room = room_new(SPEAKERS, 1 + take(&in, 1) % 2, 32000);
    room->seed = (unsigned) take(&in, 1);
    room->playout->gain = (int16_t) (256 * (int8_t) take(&in, 1));

    for (ticks = 0; in.len && ticks < TICKS; /* void */ ) {
        step(room, &in, &ticks);
    }

    finish(room);
    room_free(room);

    return 0;
}


static void
step(room_t *room, bytes_t *in, int *ticks)
{
    int                       n;
    unsigned                  i, what;
    speaker_t                *s;
    spaces_playout_source_t  *source;

    what = (unsigned) take(in, 1);
    i = what >> 4 & 3;

    s = &room->speakers[i];
    source = &room->playout->sources[i];

    switch (what & 15) {

    case 0:
        s->gain = 256 * (int8_t) take(in, 1);
        s->margin = take(in, 1) & 1 ? 80 : 200;
        track_free(&s->heard);
        room_speak(room, i, &clips[take(in, 1) % SPEAKERS]);
        s->loop = 1;
        s->pts = any_time(in);
        break;

    case 1:
        s->jitter = (int) take(in, 1) * 4;
        s->loss = (int) take(in, 1) % 60;
        s->pace = 0.5 + (double) take(in, 1) / 200;
        break;

    case 2:
        spaces_playout_leave(room->playout, i);
        s->clip = NULL;
        break;

    case 3:
        source->muted = !source->muted;
        break;

    case 4:
    case 5:
        if (source->ring) {
            say(room, i, in);
        }

        break;

    case 6:
        s->clip = NULL;
        break;

    case 7:
        if (source->ring) {
            s->clip = NULL;
            (void) room_write(room, i, (const uint8_t *) "", 0,
                              (int) take(in, 2), any_time(in),
                              SPACES_PACKET_END);
        }

        break;

    case 8:     /* the machine stood still */
        room->now += (int64_t) take(in, 1) << (take(in, 1) & 7);
        break;

    case 9:
        room_take_over(room);
        break;

    case 10:
        spaces_playout_flush(room->playout);
        break;

    case 11:
        must(spaces_playout_cost(room->playout, room->now + TICK)
             <= 50 * (2 * SPEAKERS + 1));
        break;

    case 12:
        if (source->ring) {
            forge(room, i, (size_t) take(in, 1));
        }

        break;

    default:
        for (n = 1 + (int) take(in, 1) % 20; n; n--, (*ticks)++) {
            (void) room_tick(room);
        }
    }
}


/* a packet of any bytes, as a source may send it */

static void
say(room_t *room, unsigned i, bytes_t *in)
{
    int             duration;
    size_t          len;
    int64_t         pts;
    unsigned        flags;
    const uint8_t  *data;

    static const unsigned  kinds[] = { 0, SPACES_PACKET_PACED,
                                       SPACES_PACKET_FRESH, 0 };

    flags = kinds[take(in, 1) & 3];
    pts = any_time(in);

    len = take(in, 1);
    len = len < in->len ? len : in->len;

    data = in->data;
    in->data += len;
    in->len -= len;

    duration = spaces_opus_duration(data, len);

    if (duration > 0) {
        (void) room_write(room, i, data, (int) len, duration,
                          (int64_t) ((uint64_t) room->speakers[i].pts
                                     + (uint64_t) pts),
                          (int) flags);
    }
}


/* what passes for a page of the stream, in one packet or two */

static void
forge(room_t *room, unsigned i, size_t split)
{
    size_t   k, len[2];
    uint8_t  part[2][64];

    static const uint8_t  page[] = { 'O', 'g', 'g', 'S', 0, 0, 0xf8, 0xf8,
                                     0xf8, 0xf8, 0xf8, 0xf8, 0xf8, 0xf8,
                                     77, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 1,
                                     20 };

    split %= sizeof(page) + 1;

    memset(part, 0xf8, sizeof(part));
    memcpy(part[0] + 10, page, split);
    memcpy(part[1], page + split, sizeof(page) - split);

    len[0] = 10 + split;
    len[1] = sizeof(page) - split;

    for (k = 0; k < 2; k++) {

        if (spaces_opus_duration(part[k], len[k]) > 0) {
            (void) room_write(room, i, part[k], (int) len[k],
                              spaces_opus_duration(part[k], len[k]),
                              room->speakers[i].pts + 960 * (int64_t) k, 0);
        }
    }

    room->speakers[i].pts += 2 * 960;
}


/* mostly small, and at times anything */

static int64_t
any_time(bytes_t *in)
{
    uint8_t  kind;

    kind = (uint8_t) take(in, 1);

    switch (kind & 7) {

    case 0:
        return (int64_t) take(in, 8);

    case 1:
        return (int64_t) (take(in, 2) << (kind >> 3));

    case 2:
        return (int16_t) take(in, 2);

    default:
        return kind >> 3;
    }
}


static uint64_t
take(bytes_t *in, size_t n)
{
    uint64_t  value;

    for (value = 0; n && in->len; n--, in->len--) {
        value = value << 8 | *in->data++;
    }

    return value;
}


static void
finish(room_t *room)
{
    unsigned  i;

    for (i = 0; i < SPEAKERS; i++) {
        room->speakers[i].clip = NULL;
    }

    room_finish(room);
    check_whole(room);
}


/* what listeners got is as long as the clock says, and can be decoded */

static void
check_whole(room_t *room)
{
    int           n;
    size_t        i;
    int64_t       samples;
    piece_t      *piece;
    OpusDecoder  *decoder;
    static float  pcm[2 * SPACES_OPUS_MAX_DURATION];

    must(room->out.samples == room->granule);

    decoder = opus_decoder_create(48000, 2, &n);
    must(decoder != NULL);

    samples = 0;

    for (i = 0; i < room->out.n; i++) {
        piece = &room->out.pieces[i];

        must(piece->pts == samples);

        if (room->out.n < 200) {
            n = opus_decode_float(decoder, room->out.data + piece->at,
                                  piece->len, pcm, SPACES_OPUS_MAX_DURATION,
                                  0);
            must(n == piece->duration);
        }

        samples += piece->duration;
    }

    must(samples == room->granule);

    opus_decoder_destroy(decoder);
}
