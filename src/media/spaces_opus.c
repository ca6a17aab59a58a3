
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <string.h>

#include <opus/opus.h>

#include "spaces_opus.h"


/* CELT, full band, mono, one frame per packet (RFC 6716, table 2) */
#define SPACES_OPUS_TOC_20MS   0xf8
#define SPACES_OPUS_TOC_10MS   0xf0
#define SPACES_OPUS_TOC_5MS    0xe8
#define SPACES_OPUS_TOC_2_5MS  0xe0

/* two low bits of a TOC byte: how many frames; 0 is one */
#define SPACES_OPUS_TOC_CODE   0x03


static uint8_t *spaces_opus_put32(uint8_t *p, uint32_t value);


int
spaces_opus_duration(const uint8_t *data, size_t len)
{
    int                   samples;
    opus_int16            sizes[48];
    const unsigned char  *frames[48];

    if (len == 0 || len > SPACES_OPUS_MAX_PACKET) {
        return -1;
    }

    if (opus_packet_parse(data, (opus_int32) len, NULL, frames, sizes, NULL)
        < 0)
    {
        return -1;
    }

    samples = opus_packet_get_nb_samples(data, (opus_int32) len,
                                         SPACES_OPUS_RATE);

    if (samples < SPACES_OPUS_MIN_DURATION
        || samples > SPACES_OPUS_MAX_DURATION)
    {
        return -1;
    }

    return samples;
}


size_t
spaces_opus_filler(uint8_t *out, int toc, int64_t samples, int *duration)
{
    int  frame;

    if (toc != SPACES_OPUS_NO_TOC) {
        out[0] = (uint8_t) (toc & ~SPACES_OPUS_TOC_CODE);

        frame = opus_packet_get_samples_per_frame(out, SPACES_OPUS_RATE);

        if (frame <= samples) {
            *duration = frame;
            return 1;
        }
    }

    if (samples >= 960) {
        out[0] = SPACES_OPUS_TOC_20MS;
        *duration = 960;

    } else if (samples >= 480) {
        out[0] = SPACES_OPUS_TOC_10MS;
        *duration = 480;

    } else if (samples >= 240) {
        out[0] = SPACES_OPUS_TOC_5MS;
        *duration = 240;

    } else if (samples >= SPACES_OPUS_MIN_DURATION) {
        out[0] = SPACES_OPUS_TOC_2_5MS;
        *duration = 120;

    } else {
        return 0;
    }

    /* the range decoder reads the silence flag of CELT from these */

    out[1] = 0xff;
    out[2] = 0xfe;

    return 3;
}


spaces_opus_head_status_e
spaces_opus_head_parse(spaces_opus_head_t *head, const uint8_t *data,
    size_t len)
{
    if (len < SPACES_OPUS_HEAD_SIZE || memcmp(data, "OpusHead", 8) != 0) {
        return SPACES_OPUS_HEAD_BROKEN;
    }

    /* RFC 7845, 5.1: versions up to 15 are compatible */

    if (data[8] & 0xf0) {
        return SPACES_OPUS_HEAD_UNSUPPORTED;
    }

    head->channels = data[9];
    head->pre_skip = (uint16_t) (data[10] | data[11] << 8);
    head->input_rate = (uint32_t) data[12] | (uint32_t) data[13] << 8
                       | (uint32_t) data[14] << 16 | (uint32_t) data[15] << 24;
    head->gain = (int16_t) (data[16] | data[17] << 8);

    if (head->channels == 0) {
        return SPACES_OPUS_HEAD_BROKEN;
    }

    /* other families hold several Opus streams in one packet */

    if (data[18] != 0 || head->channels > 2) {
        return SPACES_OPUS_HEAD_UNSUPPORTED;
    }

    return SPACES_OPUS_HEAD_OK;
}


void
spaces_opus_head_write(const spaces_opus_head_t *head, uint8_t *out)
{
    memcpy(out, "OpusHead", 8);

    out[8] = 1;
    out[9] = head->channels;
    out[10] = head->pre_skip & 0xff;
    out[11] = head->pre_skip >> 8;

    (void) spaces_opus_put32(&out[12], head->input_rate);

    out[16] = (uint16_t) head->gain & 0xff;
    out[17] = (uint16_t) head->gain >> 8;
    out[18] = 0;
}


size_t
spaces_opus_tags_write(uint8_t *out, size_t size, const char *vendor,
    const char *const *comments, size_t n)
{
    size_t    i, len;
    uint8_t  *p, *count;
    uint32_t  written;

    len = strlen(vendor);

    if (size < 8 + 4 + len + 4) {
        return 0;
    }

    memcpy(out, "OpusTags", 8);

    p = spaces_opus_put32(&out[8], (uint32_t) len);
    memcpy(p, vendor, len);

    count = p + len;
    p = count + 4;
    written = 0;

    for (i = 0; i < n; i++) {
        len = strlen(comments[i]);

        if ((size_t) (out + size - p) < 4 + len) {
            continue;
        }

        p = spaces_opus_put32(p, (uint32_t) len);
        memcpy(p, comments[i], len);

        p += len;
        written++;
    }

    (void) spaces_opus_put32(count, written);

    return p - out;
}


static uint8_t *
spaces_opus_put32(uint8_t *p, uint32_t value)
{
    p[0] = value & 0xff;
    p[1] = (value >> 8) & 0xff;
    p[2] = (value >> 16) & 0xff;
    p[3] = value >> 24;

    return p + 4;
}
