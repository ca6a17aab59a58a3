
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Packets one after the other: made of tones and noise by libopus, decoded by
 * it, and measured.
 */


#ifndef _SPACES_TEST_TRACK_H_INCLUDED_
#define _SPACES_TEST_TRACK_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "spaces_opus.h"


#define RATE        48000


typedef struct {
    size_t     at;
    int        len;
    int        duration;
    int64_t    pts;
} piece_t;


/* a recording to send, or what has come; begins as zeroes */

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


/* 400 Hz at -20 dB in CELT packets of 20 ms */
extern const voice_t  tone;


/* the next number of a sequence that a seed begins, 24 bits */
unsigned chance(unsigned *seed);

void track_add(track_t *track, const uint8_t *data, int len, int duration,
    int64_t pts);
void track_free(track_t *track);

/* what a listener hears of it, to be freed */
float *track_pcm(const track_t *track, int channels);

/*
 * The packets of the longest stretch of "clip" that is in the track without
 * anything between them; "first" is set to where in the clip it begins.
 */
size_t track_holds(const track_t *track, const track_t *clip, size_t *first);

/* packets between two times (samples) that are as short as fillers */
size_t track_fillers(const track_t *track, int64_t from, int64_t to);

/* encodes a voice */
void clip_record(track_t *clip, const voice_t *voice, double seconds);
void clip_tone(track_t *clip, double freq, double level, double seconds);

/*
 * Amplitude and phase (NULL: not wanted) of a tone in "n" samples, 4 s of them
 * at most; windowed by Hann.
 */
double goertzel(const float *pcm, int channels, int64_t from, int n,
    double freq, double *phase);

/* amplitude of a tone in a track, in "seconds" from "from" (s) on */
double level_of(const track_t *track, double from, double seconds,
    double freq);

/* "a" by "b", in dB */
double decibel(double a, double b);

/* fails with the value and its name */
void assert_below(double value, double bound, const char *what);


#endif /* _SPACES_TEST_TRACK_H_INCLUDED_ */
