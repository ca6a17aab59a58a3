
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What a second of a Space costs in CPU, for so many speakers of whom so many
 * talk.  Three ways, in turn, in the same process: ours; the baseline, which
 * decodes everybody and encodes the mix, and a mix for each who talks, always;
 * and the codec calls alone that a mix can't do without.  Time is simulated,
 * and the packets are made beforehand.
 *
 *   room <seconds> <rounds> <complexity of the encoders> voip|audio
 *
 * Prints a line for each case: speakers, talkers, what the others send, the
 * medians in microseconds per second of the Space (baseline, codec, ours), and
 * those of ours by baseline and ours by codec within a round.
 */


#include <math.h>
#include <opus/opus.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spaces_playout.h"


#define RATE          48000
#define FRAME         960           /* 20 ms */
#define FRAME_MS      20
#define CHANNELS      2             /* of the mix */
#define BITRATE       32000         /* of the mix, and of who talks */
#define IDLE_BITRATE  24000
#define MAX_PACKET    1500
#define MAX_SPEAKERS  13

#define RING          65536         /* what a source has sent */
#define RETURNS       16384         /* what the others say to it */
#define MARGIN        80            /* ms that a source's packets wait */
#define START         1000000       /* ms, on the clock of all */

#define WAVE          2048          /* samples of one period of a vowel */
#define VOWELS        3

#define ms(n)         ((n) * RATE / 1000)


/* what one speaker sends, a packet every 20 ms */

typedef struct {
    uint8_t      *data;
    size_t       *at;               /* where packet i begins; one more */
} track_t;


typedef enum {
    IDLE_NONE = 0,                  /* everybody talks */
    IDLE_DTX,                       /* silence, by an encoder that knows */
    IDLE_NOISE,                     /* an open microphone in a quiet room */
    IDLE_KINDS
} idle_e;


/* one case; the first "active" speakers talk */

typedef struct {
    int             speakers;
    int             active;
    idle_e          idle;
    int             packets;        /* of each */
    int             complexity;
    const track_t  *tracks[MAX_SPEAKERS];

    /* for the codec alone: what is to be encoded, one behind the other */
    int             nmixes;
    float          *mixes;
} talk_t;


typedef struct {
    int             packets;
    int             application;
    track_t         active[MAX_SPEAKERS];
    track_t         idle[IDLE_KINDS][MAX_SPEAKERS];
} input_t;


typedef struct {
    OpusDecoder    *decoders[MAX_SPEAKERS];
    OpusEncoder    *encoders[MAX_SPEAKERS + 1];    /* the last: the mix */
    float           pcm[MAX_SPEAKERS][FRAME * CHANNELS];
    float           sum[FRAME * CHANNELS];
    float           out[FRAME * CHANNELS];
    uint8_t         packet[MAX_PACKET];
} baseline_t;


typedef struct {
    spaces_playout_t        playout;
    spaces_packet_ring_t   *rings[MAX_SPEAKERS];
    spaces_packet_ring_t   *returns[MAX_SPEAKERS];
    spaces_packet_cursor_t  cursors[MAX_SPEAKERS];  /* of the returns */
    uint64_t                pages;
} ours_t;


typedef double (*bench_pt)(const talk_t *talk);


static void run_case(const input_t *input, int speakers, int active,
    idle_e idle, int rounds, int complexity);
static double bench_ours(const talk_t *talk);
static double bench_baseline(const talk_t *talk);
static double bench_codec(const talk_t *talk);
static void ours_open(ours_t *ours, const talk_t *talk);
static void ours_close(ours_t *ours, const talk_t *talk);
static void ours_page(spaces_playout_t *playout, const uint8_t *page,
    size_t len);
static void ours_send(ours_t *ours, const talk_t *talk, int i, int64_t now);
static void ours_tick(ours_t *ours, const talk_t *talk, int64_t now);
static spaces_packet_ring_t *ours_ring(size_t size);
static const uint8_t *talk_packet(const talk_t *talk, int speaker, int i,
    int *len);
static void baseline_open(baseline_t *b, const talk_t *talk, int encoders);
static void baseline_close(baseline_t *b);
static void baseline_decode(baseline_t *b, const talk_t *talk, int i);
static void baseline_mix(baseline_t *b, const talk_t *talk, int without);
static void baseline_encode(baseline_t *b, int encoder, const float *pcm);
static void prepare_mixes(talk_t *talk);
static void make_input(input_t *input, int seconds, const char *application);
static void make_track(track_t *track, const float *pcm, int packets,
    int application, int bitrate, int dtx);
static void speech(float *pcm, size_t n, int speaker);
static void make_vowels(float wave[VOWELS][WAVE], double pitch);
static void noise(float *pcm, size_t n, float level);
static float random_one(void);
static double median(double *values, int n);
static int compare(const void *a, const void *b);
static int64_t cpu_ns(void);
static double per_second(const talk_t *talk, int64_t cpu);
static void *get(size_t size);
static void check(int ok, const char *what);


static const char  *idle_names[] = { "-", "dtx", "noise" };


int
main(int argc, char **argv)
{
    int       rounds, complexity, kind;
    size_t    i;
    input_t   input;

    static const int  some[] = { 2, 5, 13 };
    static const int  all[] = { 2, 3, 5, 13 };

    check(argc == 5, "usage: see the head of the source");

    rounds = atoi(argv[2]);
    complexity = atoi(argv[3]);
    check(atoi(argv[1]) > 0 && rounds > 0, "seconds and rounds");

    make_input(&input, atoi(argv[1]), argv[4]);

    run_case(&input, 1, 1, IDLE_NONE, rounds, complexity);

    for (i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        for (kind = IDLE_DTX; kind < IDLE_KINDS; kind++) {
            run_case(&input, some[i], 1, kind, rounds, complexity);
        }
    }

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        run_case(&input, all[i], all[i], IDLE_NONE, rounds, complexity);
    }

    return 0;
}


/* each round begins with another of the three: what warms up serves all */

static void
run_case(const input_t *input, int speakers, int active, idle_e idle,
    int rounds, int complexity)
{
    int       i, k, round;
    double   *results[5];
    talk_t    talk;

    static const bench_pt  benches[] = {
        bench_baseline, bench_codec, bench_ours
    };

    memset(&talk, 0, sizeof(talk_t));

    talk.speakers = speakers;
    talk.active = active;
    talk.idle = idle;
    talk.packets = input->packets;
    talk.complexity = complexity;

    for (i = 0; i < speakers; i++) {
        talk.tracks[i] = i < active ? &input->active[i]
                                    : &input->idle[idle][i];
    }

    prepare_mixes(&talk);

    for (k = 0; k < 5; k++) {
        results[k] = get(rounds * sizeof(double));
    }

    for (round = 0; round < rounds; round++) {
        for (i = 0; i < 3; i++) {
            k = (i + round) % 3;
            results[k][round] = benches[k](&talk);
        }

        /* a machine that others use as well is so to one round alike */

        results[3][round] = results[2][round] / results[0][round];
        results[4][round] = results[2][round] / results[1][round];
    }

    printf("%d %d %s", speakers, active, idle_names[idle]);

    for (k = 0; k < 5; k++) {
        printf(" %.4f", median(results[k], rounds));
        free(results[k]);
    }

    printf("\n");
    fflush(stdout);
    free(talk.mixes);
}


/*
 * Ours: rings, the playout with its mixer, pages and returns.  Packet i of
 * each speaker has pts i * FRAME and comes at i * FRAME_MS; a tick follows.
 * What waits at the end is played as well.
 */

static double
bench_ours(const talk_t *talk)
{
    int       i;
    ours_t   *ours;
    int64_t   began, now;

    ours = get(sizeof(ours_t));
    ours_open(ours, talk);

    began = cpu_ns();

    for (i = 0; i <= talk->packets + MARGIN / FRAME_MS; i++) {
        now = START + i * FRAME_MS;

        if (i < talk->packets) {
            ours_send(ours, talk, i, now);
        }

        ours_tick(ours, talk, now);
    }

    began = cpu_ns() - began;

    ours_close(ours, talk);
    free(ours);

    return per_second(talk, began);
}


/* a mixer that doesn't look at what it mixes */

static double
bench_baseline(const talk_t *talk)
{
    int          i, k;
    int64_t      began;
    baseline_t  *b;

    b = get(sizeof(baseline_t));
    baseline_open(b, talk, talk->active + 1);

    began = cpu_ns();

    for (i = 0; i < talk->packets; i++) {
        baseline_decode(b, talk, i);

        baseline_mix(b, talk, -1);
        baseline_encode(b, talk->active, b->out);

        for (k = 0; k < talk->active; k++) {
            baseline_mix(b, talk, k);
            baseline_encode(b, k, b->out);
        }
    }

    began = cpu_ns() - began;

    baseline_close(b);
    free(b);

    return per_second(talk, began);
}


/*
 * Who talks is decoded, and the mix and what each of them hears is encoded;
 * the sums are there already.  Of two each hears the other's packets; one
 * alone takes no codec.
 */

static double
bench_codec(const talk_t *talk)
{
    int           i, k;
    float        *mixes;
    talk_t        active;
    int64_t       began;
    baseline_t   *b;

    active = *talk;
    active.speakers = talk->nmixes ? talk->active : 0;

    b = get(sizeof(baseline_t));
    baseline_open(b, &active, talk->nmixes);

    began = cpu_ns();

    for (i = 0; i < talk->packets; i++) {
        baseline_decode(b, &active, i);

        mixes = talk->mixes + (size_t) i * talk->nmixes * FRAME * CHANNELS;

        for (k = 0; k < talk->nmixes; k++) {
            baseline_encode(b, k, mixes + k * FRAME * CHANNELS);
        }
    }

    began = cpu_ns() - began;

    baseline_close(b);
    free(b);

    return per_second(talk, began);
}


static void
ours_open(ours_t *ours, const talk_t *talk)
{
    int                 k, rc;
    spaces_playout_t   *playout;

    static const spaces_opus_head_t  head = { .channels = CHANNELS,
                                              .pre_skip = 312,
                                              .input_rate = RATE };

    playout = &ours->playout;

    spaces_playout_init(playout, talk->speakers);

    playout->channels = CHANNELS;
    playout->bitrate = BITRATE;
    playout->handler = ours_page;
    playout->data = ours;

    for (k = 0; k < talk->speakers; k++) {
        ours->rings[k] = ours_ring(RING);
        ours->returns[k] = ours_ring(RETURNS);

        rc = spaces_playout_join(playout, k, ours->rings[k],
                                 ours->returns[k], MARGIN, 0, k == 0);
        check(rc == 0, "spaces_playout_join");
    }

    spaces_playout_begin(playout, 1, &head, NULL, 0);
}


/* that nothing was left out */

static void
ours_close(ours_t *ours, const talk_t *talk)
{
    int  k;

    check(ours->playout.state.granule == (int64_t) talk->packets * FRAME,
          "not all was played");
    check(ours->pages >= (uint64_t) talk->packets / 5, "pages are missing");

    spaces_playout_free(&ours->playout);

    for (k = 0; k < talk->speakers; k++) {
        check(spaces_packet_ring_queued(ours->returns[k]) == 0
              && (talk->speakers == 1
                  || ours->cursors[k].samples
                     > (uint64_t) (talk->packets - 10) * FRAME),
              "somebody doesn't hear the others");

        free(ours->rings[k]);
        free(ours->returns[k]);
    }
}


static void
ours_page(spaces_playout_t *playout, const uint8_t *page, size_t len)
{
    ours_t *ours = playout->data;

    (void) page;
    (void) len;

    ours->pages++;
    spaces_playout_release(playout);
}


static void
ours_send(ours_t *ours, const talk_t *talk, int i, int64_t now)
{
    int              k, len;
    const uint8_t   *data;
    spaces_packet_t  packet;

    memset(&packet, 0, sizeof(spaces_packet_t));

    packet.flags = i == 0 ? SPACES_PACKET_FRESH : 0;
    packet.duration = FRAME;
    packet.pts = (int64_t) i * FRAME;
    packet.arrival = now;

    for (k = 0; k < talk->speakers; k++) {
        data = talk_packet(talk, k, i, &len);
        packet.len = len;

        check(spaces_packet_ring_write(ours->rings[k], &packet, data) == 0,
              "a ring is full");
    }
}


/* what is returned is taken from its ring, as a connection would send it */

static void
ours_tick(ours_t *ours, const talk_t *talk, int64_t now)
{
    int               k;
    uint8_t           data[MAX_PACKET];
    spaces_packet_t   packet;

    (void) spaces_playout_run(&ours->playout, now);

    for (k = 0; k < talk->speakers; k++) {

        while (spaces_packet_ring_peek(ours->returns[k], &ours->cursors[k],
                                       &packet)
               == 0)
        {
            spaces_packet_ring_take(ours->returns[k], &ours->cursors[k],
                                    &packet, data);
        }

        spaces_packet_ring_release(ours->returns[k], &ours->cursors[k]);
    }
}


static spaces_packet_ring_t *
ours_ring(size_t size)
{
    spaces_packet_ring_t  *ring;

    ring = get(spaces_packet_ring_size(size));
    spaces_packet_ring_init(ring, size);

    return ring;
}


static const uint8_t *
talk_packet(const talk_t *talk, int speaker, int i, int *len)
{
    const track_t  *track;

    track = talk->tracks[speaker];
    *len = track->at[i + 1] - track->at[i];

    return track->data + track->at[i];
}


static void
baseline_open(baseline_t *b, const talk_t *talk, int encoders)
{
    int  i, error;

    for (i = 0; i < talk->speakers; i++) {
        b->decoders[i] = opus_decoder_create(RATE, CHANNELS, &error);
        check(error == OPUS_OK, "opus_decoder_create");
    }

    for (i = 0; i < encoders; i++) {
        b->encoders[i] = opus_encoder_create(RATE, CHANNELS,
                              OPUS_APPLICATION_RESTRICTED_LOWDELAY, &error);
        check(error == OPUS_OK, "opus_encoder_create");

        opus_encoder_ctl(b->encoders[i], OPUS_SET_BITRATE(BITRATE));
        opus_encoder_ctl(b->encoders[i],
                         OPUS_SET_COMPLEXITY(talk->complexity));
    }
}


static void
baseline_close(baseline_t *b)
{
    int  i;

    for (i = 0; i < MAX_SPEAKERS; i++) {
        if (b->decoders[i]) {
            opus_decoder_destroy(b->decoders[i]);
        }
    }

    for (i = 0; i < MAX_SPEAKERS + 1; i++) {
        if (b->encoders[i]) {
            opus_encoder_destroy(b->encoders[i]);
        }
    }
}


static void
baseline_decode(baseline_t *b, const talk_t *talk, int i)
{
    int             k, n, len;
    const uint8_t  *data;

    for (k = 0; k < talk->speakers; k++) {
        data = talk_packet(talk, k, i, &len);
        n = opus_decode_float(b->decoders[k], data, len, b->pcm[k], FRAME, 0);
        check(n == FRAME, "opus_decode_float");
    }
}


/* the sum of all is made once; a mix without one takes that one off it */

static void
baseline_mix(baseline_t *b, const talk_t *talk, int without)
{
    int    i, k;
    float  x;

    if (without == -1) {
        memset(b->sum, 0, sizeof(b->sum));

        for (k = 0; k < talk->speakers; k++) {
            for (i = 0; i < FRAME * CHANNELS; i++) {
                b->sum[i] += b->pcm[k][i];
            }
        }
    }

    for (i = 0; i < FRAME * CHANNELS; i++) {
        x = b->sum[i];

        if (without != -1) {
            x -= b->pcm[without][i];
        }

        b->out[i] = x > 1 ? 1 : x < -1 ? -1 : x;
    }
}


static void
baseline_encode(baseline_t *b, int encoder, const float *pcm)
{
    int  n;

    n = opus_encode_float(b->encoders[encoder], pcm, FRAME, b->packet,
                          MAX_PACKET);
    check(n > 0, "opus_encode_float");
}


/* frame by frame: the mix, and behind it what each who talks hears */

static void
prepare_mixes(talk_t *talk)
{
    int          i, k;
    float       *mix;
    baseline_t  *b;

    talk->nmixes = talk->active == 1 ? 0
                   : talk->active == 2 ? 1 : talk->active + 1;

    if (talk->nmixes == 0) {
        return;
    }

    talk->mixes = get((size_t) talk->packets * talk->nmixes
                      * sizeof(b->out));
    mix = talk->mixes;

    b = get(sizeof(baseline_t));
    baseline_open(b, talk, 0);

    for (i = 0; i < talk->packets; i++) {
        baseline_decode(b, talk, i);

        for (k = 0; k < talk->nmixes; k++) {
            baseline_mix(b, talk, k - 1);
            memcpy(mix, b->out, sizeof(b->out));
            mix += FRAME * CHANNELS;
        }
    }

    baseline_close(b);
    free(b);
}


static void
make_input(input_t *input, int seconds, const char *application)
{
    int      i;
    float   *pcm;
    size_t   n;

    n = (size_t) seconds * RATE;
    pcm = get(n * sizeof(float));

    input->packets = n / FRAME;
    input->application = strcmp(application, "audio") == 0
                         ? OPUS_APPLICATION_AUDIO : OPUS_APPLICATION_VOIP;

    for (i = 0; i < MAX_SPEAKERS; i++) {
        speech(pcm, n, i);
        make_track(&input->active[i], pcm, input->packets, input->application,
                   BITRATE, 0);

        noise(pcm, n, 0.001);
        make_track(&input->idle[IDLE_NOISE][i], pcm, input->packets,
                   OPUS_APPLICATION_VOIP, IDLE_BITRATE, 0);

        memset(pcm, 0, n * sizeof(float));
        make_track(&input->idle[IDLE_DTX][i], pcm, input->packets,
                   OPUS_APPLICATION_VOIP, IDLE_BITRATE, 1);
    }

    free(pcm);
}


/* mono, and otherwise an encoder as a sender leaves it */

static void
make_track(track_t *track, const float *pcm, int packets, int application,
    int bitrate, int dtx)
{
    int           i, n, error;
    size_t        used;
    OpusEncoder  *encoder;

    encoder = opus_encoder_create(RATE, 1, application, &error);
    check(error == OPUS_OK, "opus_encoder_create");

    opus_encoder_ctl(encoder, OPUS_SET_BITRATE(bitrate));
    opus_encoder_ctl(encoder, OPUS_SET_DTX(dtx));

    track->data = get((size_t) packets * MAX_PACKET);
    track->at = get((packets + 1) * sizeof(size_t));
    used = 0;

    for (i = 0; i < packets; i++) {
        n = opus_encode_float(encoder, pcm + (size_t) i * FRAME, FRAME,
                              track->data + used, MAX_PACKET);
        check(n > 0, "opus_encode_float");

        used += n;
        track->at[i + 1] = used;
    }

    opus_encoder_destroy(encoder);
}


/*
 * Nobody's words, but as speech is to an encoder: vowels of 80 to 250 ms whose
 * pitch moves, a hiss before some, pauses of 60 to 180 ms between words, and
 * never a longer silence.
 */

static void
speech(float *pcm, size_t n, int speaker)
{
    float          level, x;
    double         pitch, phase, step;
    size_t         at, i, len, hiss, pause;
    const float   *wave;
    static float   vowels[VOWELS][WAVE];

    pitch = 95 + 11 * speaker;
    make_vowels(vowels, pitch);

    noise(pcm, n, 0.0003);

    phase = 0;

    for (at = 0; at < n; at += len + hiss + pause) {
        len = ms(80) + ms(170) * random_one();
        hiss = random_one() < 0.4 ? ms(50) : 0;
        pause = random_one() < 0.3 ? ms(60) + ms(120) * random_one() : 0;
        wave = vowels[(int) (random_one() * VOWELS) % VOWELS];
        level = 0.1 + 0.15 * random_one();
        step = pitch * (0.85 + 0.3 * random_one()) * WAVE / RATE;

        for (i = 0; i < hiss && at + i < n; i++) {
            x = 2 * random_one() - 1;
            pcm[at + i] += level * 0.2 * x * sin(M_PI * i / hiss);
        }

        for (i = 0; i < len && at + hiss + i < n; i++) {
            step *= 1 - 0.1 / RATE;
            phase = fmod(phase + step, WAVE);
            pcm[at + hiss + i] += level * sin(M_PI * i / len)
                                  * wave[(int) phase];
        }
    }
}


/* harmonics under three formants each; peaks of 1 */

static void
make_vowels(float wave[VOWELS][WAVE], double pitch)
{
    int     v, f, h, i;
    double  level, distance, peak;

    static const double  formants[VOWELS][3] = {
        { 730, 1090, 2440 },
        { 270, 2290, 3010 },
        { 570, 840, 2410 }
    };

    for (v = 0; v < VOWELS; v++) {
        memset(wave[v], 0, WAVE * sizeof(float));
        peak = 0;

        for (h = 1; h <= 40; h++) {
            level = 0.02 / h;

            for (f = 0; f < 3; f++) {
                distance = (h * pitch - formants[v][f]) / 120;
                level += exp(-distance * distance) / (f + 1);
            }

            for (i = 0; i < WAVE; i++) {
                wave[v][i] += level * sin(2 * M_PI * h * i / WAVE + h * h);
            }
        }

        for (i = 0; i < WAVE; i++) {
            peak = fabs(wave[v][i]) > peak ? fabs(wave[v][i]) : peak;
        }

        for (i = 0; i < WAVE; i++) {
            wave[v][i] /= peak;
        }
    }
}


static void
noise(float *pcm, size_t n, float level)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        pcm[i] = level * (2 * random_one() - 1);
    }
}


/* from 0 to 1; the same in every run */

static float
random_one(void)
{
    static uint32_t  x = 1;

    x = x * 1664525 + 1013904223;

    return (x >> 8) / (float) (1 << 24);
}


static double
median(double *values, int n)
{
    qsort(values, n, sizeof(double), compare);

    return values[n / 2];
}


static int
compare(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


static int64_t
cpu_ns(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}


static double
per_second(const talk_t *talk, int64_t cpu)
{
    return cpu / 1000.0 / (talk->packets * FRAME_MS / 1000.0);
}


static void *
get(size_t size)
{
    void  *p;

    p = calloc(1, size ? size : 1);
    check(p != NULL, "no memory");

    return p;
}


static void
check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "room: %s\n", what);
        exit(1);
    }
}
