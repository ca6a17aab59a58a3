
/*
 * Copyright (C) Spaces for nginx contributors
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

#include "track.h"


#define MAX         1500

/* what stands for silence or a loss is no longer; a speaker's packet is */
#define FILLER      SPACES_OPUS_FILLER


const voice_t  tone = {
    .freq = 400, .level = 0.1, .off = 1e9, .channels = 1, .frame = 960,
    .application = OPUS_APPLICATION_AUDIO, .bitrate = 64000
};


unsigned
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


void
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


void
track_free(track_t *track)
{
    free(track->data);
    free(track->pieces);
    memset(track, 0, sizeof(track_t));
}


/* what a listener hears of it, to be freed */

float *
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
 * Packets of a tone may all be the same: whatever ends with one of the track
 * is compared with each of the clip.  What is as short as a filler may be one,
 * and counts only before another packet.
 */

size_t
track_holds(const track_t *track, const track_t *clip, size_t *first)
{
    size_t  i, k, longest, *run;

    longest = 0;
    run = calloc(clip->n + 1, sizeof(size_t));
    assert_non_null(run);

    for (i = 0; i < track->n; i++) {

        for (k = clip->n; k > 0; k--) {

            if (!piece_equal(track, i, clip, k - 1)) {
                run[k] = 0;
                continue;
            }

            run[k] = run[k - 1] + 1;

            if (run[k] > longest && track->pieces[i].len > FILLER) {
                longest = run[k];
                *first = k - run[k];
            }
        }
    }

    free(run);

    return longest;
}


size_t
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


void
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


void
clip_tone(track_t *clip, double freq, double level, double seconds)
{
    voice_t  voice = tone;

    voice.freq = freq;
    voice.level = level;

    clip_record(clip, &voice, seconds);
}


/* amplitude and phase of a tone in "n" samples; windowed by Hann */

double
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


double
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


double
decibel(double a, double b)
{
    return 20 * log10((a + 1e-12) / (b + 1e-12));
}


void
assert_below(double value, double bound, const char *what)
{
    if (!(value <= bound)) {
        print_message("%s: %g, more than %g\n", what, value, bound);
        fail();
    }
}
