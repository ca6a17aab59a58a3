
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A stream of any packets, each behind two bytes of its length: what is told
 * of them without decoding is what libopus makes of them.
 */


#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <opus/opus.h>

#include "fuzz.h"
#include "spaces_activity.h"
#include "spaces_celt.h"
#include "spaces_opus.h"
#include "spaces_range.h"


static void check_packet(OpusDecoder *decoder, spaces_activity_t *activity,
    const uint8_t *data, size_t len);
static void check_range(const uint8_t *data, size_t len);
static void check_filler(int toc, int64_t samples);
static void check_head(const uint8_t *data, size_t len);
static void check_tags(const uint8_t *data, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t              at, n;
    uint8_t            *packet;
    OpusDecoder        *decoder;
    spaces_activity_t  *activity;

    check_head(data, len);
    check_tags(data, len);

    decoder = calloc(1, (size_t) opus_decoder_get_size(2));
    activity = calloc(1, spaces_activity_size());

    must(decoder != NULL && activity != NULL);
    must(opus_decoder_init(decoder, 48000, 2) == OPUS_OK);

    spaces_activity_init(activity);

    for (at = 0; at + 2 <= len; at += n) {
        n = (size_t) data[at] << 8 | data[at + 1];
        at += 2;

        n = n < len - at ? n : len - at;

        /* no byte more: whoever reads behind it is seen */

        packet = malloc(n);
        must(packet != NULL);
        memcpy(packet, data + at, n);

        check_packet(decoder, activity, packet, n);
        check_range(packet, n);

        free(packet);
    }

    free(activity);
    free(decoder);

    return 0;
}


static void
check_packet(OpusDecoder *decoder, spaces_activity_t *activity,
    const uint8_t *data, size_t len)
{
    int            duration, active, n;
    float          level;
    static float   pcm[2 * SPACES_OPUS_MAX_DURATION];

    duration = spaces_opus_duration(data, len);
    active = spaces_activity_packet(activity, data, len);
    level = spaces_activity_level(activity);

    must(active == 0 || active == 1);
    must(isfinite(level) && level >= SPACES_CELT_SILENCE);

    if (duration == -1) {
        must(active == 0 && level == SPACES_CELT_SILENCE);
        return;
    }

    must(duration >= SPACES_OPUS_MIN_DURATION
         && duration <= SPACES_OPUS_MAX_DURATION && duration % 120 == 0);

    n = opus_decode_float(decoder, data, (opus_int32) len, pcm,
                          SPACES_OPUS_MAX_DURATION, 0);

    must(n == duration);

    /* whatever follows it */

    check_filler(data[0], duration);
    check_filler(data[0], 120 + data[0]);
    check_filler(SPACES_OPUS_NO_TOC, duration);
}


/* past either end there are zeros, and the count goes on */

static void
check_range(const uint8_t *data, size_t len)
{
    int             i, before;
    unsigned        n;
    spaces_range_t  range;

    if (len == 0) {
        return;
    }

    spaces_range_init(&range, data, len);

    for (i = 0; i < 64; i++) {
        before = spaces_range_tell_frac(&range);

        switch (data[(size_t) i % len] % 3) {

        case 0:
            must((unsigned) spaces_range_bit(&range, 1 + i % 15) <= 1);
            break;

        case 1:
            n = 2 + i * 4;
            must(spaces_range_uint(&range, n) < n);
            break;

        default:
            n = i % 17;
            must(spaces_range_raw(&range, n) < 1u << n);
        }

        must(spaces_range_tell_frac(&range) >= before);
        must(8 * spaces_range_tell(&range)
             >= spaces_range_tell_frac(&range));
    }
}


static void
check_filler(int toc, int64_t samples)
{
    int      duration;
    size_t   len;
    uint8_t  filler[SPACES_OPUS_FILLER];

    len = spaces_opus_filler(filler, toc, samples, &duration);

    must(len > 0 && len <= SPACES_OPUS_FILLER);
    must(duration > 0 && duration <= samples);
    must(spaces_opus_duration(filler, len) == duration);
}


static void
check_head(const uint8_t *data, size_t len)
{
    uint8_t             out[SPACES_OPUS_HEAD_SIZE];
    spaces_opus_head_t  head, again;

    memset(&head, 0, sizeof(head));
    memset(&again, 0, sizeof(again));

    if (spaces_opus_head_parse(&head, data, len) != SPACES_OPUS_HEAD_OK) {
        return;
    }

    must(head.channels == 1 || head.channels == 2);

    spaces_opus_head_write(&head, out);

    must(spaces_opus_head_parse(&again, out, sizeof(out))
         == SPACES_OPUS_HEAD_OK);
    must(memcmp(&head, &again, sizeof(head)) == 0);
}


/* two comments of any bytes into any room */

static void
check_tags(const uint8_t *data, size_t len)
{
    char        *text;
    size_t       size, n;
    uint8_t     *out;
    const char  *comments[2];

    if (len == 0) {
        return;
    }

    text = calloc(1, len + 1);
    must(text != NULL);
    memcpy(text, data, len);

    comments[0] = text;
    comments[1] = text + len / 2;

    size = data[0] * (size_t) 4;
    out = malloc(size);
    must(out != NULL);

    n = spaces_opus_tags_write(out, size, "vendor", comments, 2);

    must(n <= size);
    must(n == 0 ? size < 8 + 4 + 6 + 4
                : n >= 8 + 4 + 6 + 4 && memcmp(out, "OpusTags", 8) == 0);

    free(out);
    free(text);
}
