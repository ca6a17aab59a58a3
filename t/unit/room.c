
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The playout with several speakers, in simulated time: tones and noise that
 * libopus encodes go in, what listeners and speakers get is decoded by libopus
 * and measured.
 */


#pragma GCC diagnostic ignored "-Wunused-function"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ogg/ogg.h>
#include <opus/opus.h>

#include "spaces_ogg_seek.h"
#include "spaces_playout.h"


#define RATE        48000
#define TICK        20
#define MAX         1500
#define PLACES      SPACES_PLAYOUT_SOURCES

#define HOST_RING   65536
#define GUEST_RING  16384
#define RETURNS     8192

/* what stands for silence or a loss is no longer; a speaker's packet is */
#define FILLER      SPACES_OPUS_FILLER

/* packets one after the other: a recording to send, or what has come */

typedef struct {
    size_t     at;
    int        len;
    int        duration;
    int64_t    pts;
} piece_t;


typedef struct {
    uint8_t   *data;
    size_t     len;
    piece_t   *pieces;
    size_t     n;
    int64_t    samples;
} track_t;


/* what is recorded: a tone, or noise like speech, from "on" to "off", s */

typedef struct {
    double     freq;            /* 0: noise */
    double     level;           /* amplitude, or rms of noise */
    double     on;
    double     off;
    int        channels;
    int        frame;           /* samples */
    int        application;
    int        bitrate;
    int        dtx;
} voice_t;


typedef struct {
    spaces_packet_ring_t    *ring;
    spaces_packet_ring_t    *returns;
    int                      gain;
    int64_t                  margin;      /* ms */

    const track_t           *clip;        /* NULL: has nothing to say */
    size_t                   next;
    int                      loop;
    double                   due;         /* ms: the next one is complete */
    double                   pace;        /* ms of wall for one of its own */
    int64_t                  pts;
    int                      jitter;      /* ms at most, and uneven */
    int                      loss;        /* percent */
    int                      fresh;
    uint64_t                 arrival;

    spaces_packet_cursor_t   seen;        /* of its ring: what was played */
    int64_t                  delay;       /* ms: the longest since reset */
    unsigned                 played;
    unsigned                 shed;
    unsigned                 shed_loud;   /* of them, from on to off */
    unsigned                 missing;     /* ticks without audio from on to
                                             off */
    const voice_t           *voice;

    spaces_packet_cursor_t   got;         /* of the returns */
    track_t                  heard;
} speaker_t;


typedef struct {
    spaces_playout_t        *playout;
    spaces_playout_state_t   kept;
    int64_t                  now;
    speaker_t                speakers[PLACES];
    unsigned                 n;

    int                      forget;      /* the stream is not kept */
    track_t                  out;
    size_t                   bytes;
    int64_t                  granule;
    uint32_t                 sequence;
    int                      ended;
    unsigned                 pages;
    int64_t                  behind;      /* ms: wall less granule, extremes */
    int64_t                  ahead;
    unsigned                 seed;
} room_t;


static unsigned
chance(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;

    return *seed >> 8;
}


static void *
grown(void *p, size_t n, size_t more, size_t size)
{
    size_t  room;

    /* doubled at powers of two: no count of what is allocated is kept */

    for (room = 64; room < n; room *= 2) { /* void */ }

    if (p && n + more <= room) {
        return p;
    }

    for ( /* void */ ; room < n + more; room *= 2) { /* void */ }

    p = realloc(p, room * size);
    assert_non_null(p);

    return p;
}


static void
track_add(track_t *track, const uint8_t *data, int len, int duration,
    int64_t pts)
{
    piece_t  *piece;

    track->data = grown(track->data, track->len, len, 1);
    track->pieces = grown(track->pieces, track->n, 1, sizeof(piece_t));

    memcpy(track->data + track->len, data, len);

    piece = &track->pieces[track->n++];

    piece->at = track->len;
    piece->len = len;
    piece->duration = duration;
    piece->pts = pts;

    track->len += len;
    track->samples += duration;
}


static void
track_free(track_t *track)
{
    free(track->data);
    free(track->pieces);
    memset(track, 0, sizeof(track_t));
}


/* what a listener hears of it, to be freed */

static float *
track_pcm(const track_t *track, int channels)
{
    int           err, n;
    size_t        i;
    float        *pcm, *p;
    piece_t      *piece;
    OpusDecoder  *decoder;

    decoder = opus_decoder_create(RATE, channels, &err);
    assert_non_null(decoder);

    pcm = calloc(track->samples * channels + 1, sizeof(float));
    assert_non_null(pcm);

    for (p = pcm, i = 0; i < track->n; i++) {
        piece = &track->pieces[i];

        n = opus_decode_float(decoder, track->data + piece->at, piece->len, p,
                              piece->duration, 0);
        assert_int_equal(n, piece->duration);

        p += n * channels;
    }

    opus_decoder_destroy(decoder);

    return pcm;
}


static int
piece_equal(const track_t *a, size_t i, const track_t *b, size_t k)
{
    return a->pieces[i].len == b->pieces[k].len
           && memcmp(a->data + a->pieces[i].at, b->data + b->pieces[k].at,
                     a->pieces[i].len)
              == 0;
}


/*
 * How many packets of "clip" are in the track one after the other, without
 * anything between them, from the first that is there; "first" is set to it.
 */

static size_t
track_holds(const track_t *track, const track_t *clip, size_t *first)
{
    size_t  i, k, n;

    for (k = 0; k < clip->n; k++) {

        if (clip->pieces[k].len <= FILLER) {
            continue;
        }

        for (i = 0; i < track->n; i++) {

            if (!piece_equal(track, i, clip, k)) {
                continue;
            }

            for (n = 0; i + n < track->n && k + n < clip->n; n++) {

                if (!piece_equal(track, i + n, clip, k + n)) {
                    break;
                }
            }

            *first = k;
            return n;
        }
    }

    return 0;
}


static size_t
track_fillers(const track_t *track, int64_t from, int64_t to)
{
    size_t   i, n;
    int64_t  at;

    for (n = 0, at = 0, i = 0; i < track->n; i++) {
        n += (at >= from && at < to && track->pieces[i].len <= FILLER);
        at += track->pieces[i].duration;
    }

    return n;
}


/* fades of 30 ms: a tone that begins at once is a click of its own */

static double
voice_gate(const voice_t *voice, double t)
{
    double  gate;

    gate = fmin(t - voice->on, voice->off - t) / 0.03;

    return gate < 0 ? 0 : gate > 1 ? 1 : (1 - cos(M_PI * gate)) / 2;
}


static void
clip_record(track_t *clip, const voice_t *voice, double seconds)
{
    int           i, k, c, err, len;
    float         x, pcm[2 * 5760];
    double        brown, t;
    uint8_t       out[MAX];
    unsigned      seed;
    OpusEncoder  *encoder;

    memset(clip, 0, sizeof(track_t));

    encoder = opus_encoder_create(RATE, voice->channels, voice->application,
                                  &err);
    assert_non_null(encoder);

    opus_encoder_ctl(encoder, OPUS_SET_BITRATE(voice->bitrate));
    opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(5));
    opus_encoder_ctl(encoder, OPUS_SET_DTX(voice->dtx));

    brown = 0;
    seed = 1;

    for (i = 0; i < (int) (seconds * RATE) / voice->frame; i++) {

        for (k = 0; k < voice->frame; k++) {
            t = (double) (i * voice->frame + k) / RATE;
            brown = 0.9 * brown + chance(&seed) / 16777216.0 - 0.5;

            x = voice->freq ? sin(2 * M_PI * voice->freq * t)
                            : brown / 0.66 * (1 - cos(2 * M_PI * 4 * t));
            x *= voice->level * voice_gate(voice, t);

            for (c = 0; c < voice->channels; c++) {
                pcm[k * voice->channels + c] = x;
            }
        }

        len = opus_encode_float(encoder, pcm, voice->frame, out, sizeof(out));
        assert_true(len > 0);

        track_add(clip, out, len, voice->frame, clip->samples);
    }

    opus_encoder_destroy(encoder);
}


static const voice_t  tone = { .freq = 400, .level = 0.1, .off = 1e9,
                               .channels = 1, .frame = 960,
                               .application = OPUS_APPLICATION_AUDIO,
                               .bitrate = 64000 };


static void
clip_tone(track_t *clip, double freq, double level, double seconds)
{
    voice_t  voice = tone;

    voice.freq = freq;
    voice.level = level;

    clip_record(clip, &voice, seconds);
}


/* amplitude and phase of a tone in "n" samples; windowed by Hann */

static double
goertzel(const float *pcm, int channels, int64_t from, int n, double freq,
    double *phase)
{
    int            i;
    double         w, s, s1, s2, re, im;
    static int     size;
    static double  hann[4 * RATE];

    assert_in_range(n, 1, 4 * RATE);

    for (i = 0; size != n && i < n; i++) {
        hann[i] = 0.5 - 0.5 * cos(2 * M_PI * i / n);
    }

    size = n;
    w = 2 * M_PI * freq / RATE;
    s1 = s2 = 0;

    for (i = 0; i < n; i++) {
        s = hann[i] * pcm[(from + i) * channels] + 2 * cos(w) * s1 - s2;
        s2 = s1;
        s1 = s;
    }

    re = s1 - s2 * cos(w);
    im = s2 * sin(w);

    if (phase) {
        *phase = remainder(atan2(im, re) - w * (from + n - 1), 2 * M_PI);
    }

    return 4 / (double) n * sqrt(re * re + im * im);
}


static double
level_of(const track_t *track, double from, double seconds, double freq)
{
    float   *pcm;
    double   level;

    assert_true(track->samples >= (int64_t) ((from + seconds) * RATE));

    pcm = track_pcm(track, 1);
    level = goertzel(pcm, 1, (int64_t) (from * RATE), seconds * RATE, freq,
                     NULL);
    free(pcm);

    return level;
}


static double
decibel(double a, double b)
{
    return 20 * log10((a + 1e-12) / (b + 1e-12));
}


static void
assert_level(double level, double expected, double tolerance)
{
    double  db;

    db = decibel(level, expected);

    if (fabs(db) > tolerance) {
        print_message("level is off by %.2f dB\n", db);
        fail();
    }
}


static void
assert_below(double value, double bound, const char *what)
{
    if (!(value <= bound)) {
        print_message("%s: %g, more than %g\n", what, value, bound);
        fail();
    }
}


static int64_t
get_le(const uint8_t *p, int n)
{
    uint64_t  value;

    for (value = 0; n--; /* void */ ) {
        value = value << 8 | p[n];
    }

    return (int64_t) value;
}


static void
check_sum(const uint8_t *data, size_t len)
{
    uint8_t   header[SPACES_OGG_MAX_HEADER_SIZE];
    ogg_page  page;

    page.header_len = 27 + data[26];
    page.header = memcpy(header, data, page.header_len);
    page.body = (uint8_t *) data + page.header_len;
    page.body_len = (long) (len - page.header_len);

    ogg_page_checksum_set(&page);
    assert_memory_equal(header, data, page.header_len);
}


/* every page of every test: the stream is whole and its clock right */

static void
room_page(spaces_playout_t *playout, const uint8_t *page, size_t len)
{
    int             duration;
    long            n;
    size_t          at;
    room_t         *room = playout->data;
    int64_t         samples;
    unsigned        segment, packets;
    const uint8_t  *packet;

    room->bytes += len;
    room->kept = playout->state;

    assert_int_equal(playout->state.head, room->bytes);

    if (room->bytes == len) {
        room->sequence = 2;
        return;
    }

    assert_false(room->ended);
    assert_int_equal(spaces_ogg_whole(page, len), len);
    assert_int_equal(get_le(page + 14, 4), playout->state.serial);
    assert_int_equal(get_le(page + 18, 4), room->sequence++);
    assert_int_equal(playout->state.sequence, room->sequence);
    check_sum(page, len);

    at = 0;
    segment = 0;
    samples = 0;
    packets = 0;

    while ((n = spaces_ogg_packet_of(page, len, &at, &segment, &packet)) >= 0)
    {
        duration = spaces_opus_duration(packet, n);
        assert_int_not_equal(duration, -1);

        if (!room->forget) {
            track_add(&room->out, packet, (int) n, duration,
                      room->granule + samples);
        }

        samples += duration;
        packets++;
    }

    assert_true(packets > 0);
    assert_true(samples <= RATE / 10 || packets == 1);

    room->granule += samples;
    room->ended = page[5] & SPACES_OGG_EOS;
    room->pages++;

    assert_true(get_le(page + 6, 8) == room->granule
                || (room->ended && get_le(page + 6, 8) < room->granule));
    assert_int_equal(playout->state.granule, get_le(page + 6, 8));

    spaces_playout_release(playout);
}


static spaces_packet_ring_t *
ring_new(size_t size)
{
    spaces_packet_ring_t  *ring;

    ring = malloc(spaces_packet_ring_size(size));
    assert_non_null(ring);

    spaces_packet_ring_init(ring, size);

    return ring;
}


static spaces_playout_t *
playout_new(room_t *room, unsigned n, int channels, int bitrate)
{
    spaces_playout_t  *playout;

    playout = malloc(sizeof(spaces_playout_t));
    assert_non_null(playout);

    spaces_playout_init(playout, n);

    playout->handler = room_page;
    playout->data = room;
    playout->channels = channels;
    playout->bitrate = bitrate;

    return playout;
}


static room_t *
room_new(unsigned n, int channels, int bitrate)
{
    unsigned             i;
    room_t              *room;
    spaces_opus_head_t   head = { .channels = channels, .pre_skip = 312,
                                  .input_rate = RATE };

    room = calloc(1, sizeof(room_t));
    assert_non_null(room);

    room->n = n;
    room->now = 100000;
    room->seed = 1;
    room->playout = playout_new(room, n, channels, bitrate);

    for (i = 0; i < n; i++) {
        room->speakers[i].ring = ring_new(i ? GUEST_RING : HOST_RING);
        room->speakers[i].returns = ring_new(RETURNS);
        room->speakers[i].margin = 200;
    }

    spaces_playout_begin(room->playout, 77, &head, NULL, 0);

    return room;
}


static void
room_free(room_t *room)
{
    unsigned  i;

    for (i = 0; i < room->n; i++) {
        free(room->speakers[i].ring);
        free(room->speakers[i].returns);
        track_free(&room->speakers[i].heard);
    }

    spaces_playout_free(room->playout);
    track_free(&room->out);
    free(room->playout);
    free(room);
}


static void
room_join(room_t *room, unsigned i)
{
    speaker_t  *s;

    s = &room->speakers[i];

    assert_int_equal(spaces_playout_join(room->playout, i, s->ring,
                                         s->returns, s->margin, s->gain,
                                         i == 0),
                     0);
}


/* a speaker at a place that begins now */

static speaker_t *
room_speak(room_t *room, unsigned i, const track_t *clip)
{
    speaker_t  *s;

    s = &room->speakers[i];

    s->clip = clip;
    s->next = 0;
    s->pts = 0;
    s->fresh = 1;
    s->pace = 1;
    s->due = (double) room->now;

    if (clip) {
        s->due += clip->pieces[0].duration / 48.0;
    }

    room_join(room, i);

    return s;
}


static int
room_write(room_t *room, unsigned i, const uint8_t *data, int len,
    int duration, int64_t pts, int flags)
{
    speaker_t        *s;
    spaces_packet_t   packet;

    s = &room->speakers[i];

    memset(&packet, 0, sizeof(packet));

    packet.len = len;
    packet.duration = duration;
    packet.flags = flags | (s->fresh ? SPACES_PACKET_FRESH : 0);
    packet.pts = pts;
    packet.arrival = s->arrival > (uint64_t) room->now ? s->arrival
                                                       : (uint64_t) room->now;
    packet.reserved = (uint32_t) s->next;

    if (spaces_packet_ring_write(s->ring, &packet, data) != 0) {
        return -1;
    }

    s->fresh = 0;

    return 0;
}


static void
room_end(room_t *room, unsigned i, int trim)
{
    assert_int_equal(room_write(room, i, NULL, 0, trim, 0, SPACES_PACKET_END),
                     0);
    room->speakers[i].clip = NULL;
}


/* what of the speaker's recording has come by now; in order, as TCP does */

static void
room_send(room_t *room, unsigned i)
{
    speaker_t      *s;
    const piece_t  *piece;

    s = &room->speakers[i];

    while (s->clip && s->due <= (double) room->now) {

        if (s->next == s->clip->n) {

            if (!s->loop) {
                return;
            }

            s->next = 0;
        }

        if (s->arrival > (uint64_t) room->now) {
            return;
        }

        piece = &s->clip->pieces[s->next];

        if ((int) (chance(&room->seed) % 100) >= s->loss
            && room_write(room, i, s->clip->data + piece->at, piece->len,
                          piece->duration, s->pts, 0)
               != 0)
        {
            return;
        }

        s->next++;
        s->pts += piece->duration;

        piece = &s->clip->pieces[s->next % s->clip->n];
        s->due += piece->duration / 48.0 * s->pace;

        if (s->jitter) {
            s->arrival = (uint64_t) s->due + chance(&room->seed) % s->jitter;
        }
    }
}


static int
speaker_is_loud(const speaker_t *s, size_t next)
{
    double  t;

    t = (double) s->clip->pieces[next].pts / RATE;

    return s->voice && t >= s->voice->on && t < s->voice->off;
}


static int
jitter_took(const spaces_jitter_t *jitter, uint64_t bytes)
{
    unsigned  i;

    for (i = 0; i < SPACES_JITTER_HISTORY && i < jitter->taken; i++) {

        if (jitter->history[i].bytes == bytes) {
            return 1;
        }
    }

    return 0;
}


/* what the playout has taken from a ring in this tick, and how old it was */

static void
room_watch(room_t *room, unsigned i)
{
    int64_t                 delay;
    speaker_t              *s;
    spaces_packet_t         packet;
    const spaces_jitter_t  *jitter;

    s = &room->speakers[i];
    jitter = &room->playout->state.sources[i];

    while (s->seen.bytes < jitter->cursor.bytes) {
        assert_int_equal(spaces_packet_ring_peek(s->ring, &s->seen, &packet),
                         0);

        delay = room->now - (int64_t) packet.arrival;

        if (packet.flags & SPACES_PACKET_END) {
            /* void */

        } else if (jitter_took(jitter, s->seen.bytes)) {
            s->played++;
            s->delay = delay > s->delay ? delay : s->delay;

        } else {
            s->shed++;
            s->shed_loud += s->clip && speaker_is_loud(s, packet.reserved);
        }

        spaces_packet_ring_pass(&s->seen, &packet);
    }
}


/* what the others say, as a speaker gets it */

static void
room_hear(room_t *room, unsigned i)
{
    speaker_t        *s;
    uint8_t           data[SPACES_OPUS_MAX_PACKET];
    spaces_packet_t   packet;

    s = &room->speakers[i];

    while (spaces_packet_ring_peek(s->returns, &s->got, &packet) == 0) {
        spaces_packet_ring_take(s->returns, &s->got, &packet, data);

        assert_int_equal(spaces_opus_duration(data, packet.len),
                         packet.duration);

        if (!room->forget) {
            track_add(&s->heard, data, packet.len, packet.duration,
                      packet.pts);
        }
    }

    spaces_packet_ring_release(s->returns, &s->got);
}


static void
room_compare_clocks(room_t *room)
{
    int64_t  late;

    if (!room->playout->state.started) {
        return;
    }

    late = room->now - room->playout->state.epoch
           - room->playout->state.granule / 48;

    room->behind = late > room->behind ? late : room->behind;
    room->ahead = -late > room->ahead ? -late : room->ahead;
}


static spaces_playout_status_e
room_tick(room_t *room)
{
    unsigned                  i;
    spaces_playout_status_e   status;

    room->now += TICK;

    for (i = 0; i < room->n; i++) {
        room_send(room, i);
    }

    status = spaces_playout_run(room->playout, room->now);

    for (i = 0; i < room->n; i++) {
        room_watch(room, i);
        room_hear(room, i);
    }

    room_compare_clocks(room);

    return status;
}


static void
room_run(room_t *room, double seconds)
{
    int  ticks;

    for (ticks = (int) (seconds * 1000 / TICK); ticks; ticks--) {
        room_tick(room);
    }
}


static void
room_drain(room_t *room)
{
    unsigned  i, n;

    for (n = 0;
         spaces_playout_drain(room->playout, room->now)
         != SPACES_PLAYOUT_COMPLETE;
         n++)
    {
        assert_in_range(n, 0, 100);

        for (i = 0; i < room->n; i++) {
            room_hear(room, i);
        }
    }
}


static void
room_finish(room_t *room)
{
    room_drain(room);
    spaces_playout_finish(room->playout);

    assert_true(room->ended);
}


/* another owner, from the last page; what was after it is done again */

static void
room_take_over(room_t *room)
{
    unsigned           i;
    unsigned           joined[PLACES], muted[PLACES];
    spaces_playout_t  *before;

    before = room->playout;

    room->playout = playout_new(room, before->nsources, before->channels,
                                before->bitrate);
    spaces_playout_resume(room->playout, &room->kept);

    for (i = 0; i < room->n; i++) {
        joined[i] = before->sources[i].ring != NULL;
        muted[i] = before->sources[i].muted;
    }

    spaces_playout_free(before);
    free(before);

    for (i = 0; i < room->n; i++) {

        if (joined[i]) {
            room_join(room, i);
            room->playout->sources[i].muted = muted[i];
        }
    }
}


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
    /* a packet as short as a filler isn't looked for */

    assert_true(first <= 1);
    assert_int_equal(n, talk.n - first);

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
    static const int  frames[] = { 960, 2880, 480 };

    voice.freq = nth_tone(i);
    voice.level = level;
    voice.frame = frames[i % 3];
    voice.channels = 1 + i % 2;

    clip_record(clip, &voice, seconds);
}


/* levels in the mix and in each return, and what is left of one's own there */

static void
several(unsigned n, int channels, int bitrate, double tolerance, double own)
{
    double    db, level, worst, leak;
    room_t   *room;
    unsigned  i, k;
    track_t   clips[PLACES];

    level = 0.65 / n;
    room = room_new(n, channels, bitrate);

    for (i = 0; i < n; i++) {
        clip_nth(&clips[i], i, level, 4);
        room_speak(room, i, &clips[i]);
    }

    room_run(room, 4.5);
    room_finish(room);

    worst = 0;
    leak = -200;

    for (i = 0; i < n; i++) {
        db = decibel(level_of(&room->out, 2, 1, nth_tone(i)), level);
        worst = fmax(worst, fabs(db));

        for (k = 0; k < n; k++) {
            db = decibel(level_of(&room->speakers[i].heard, 2, 1,
                                  nth_tone(k)),
                         level);

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

        /* where what is heard goes over to another encoder, a decoder errs */

        assert_below(peak_of(&room->speakers[i].heard, 0.6), 1.7, "return");
        track_free(&clips[i]);
    }

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
