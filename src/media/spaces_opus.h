
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What has to be known about an Opus packet without decoding it, and the
 * packets that stand in where there is nothing to pass on.  Durations are in
 * samples at 48 kHz, the clock of every Ogg Opus stream (RFC 7845, 4).
 */


#ifndef _SPACES_OPUS_H_INCLUDED_
#define _SPACES_OPUS_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define SPACES_OPUS_RATE           48000

/* RFC 7845, 6: more octets than that are no audio packet of one stream */
#define SPACES_OPUS_MAX_PACKET     61440

/* RFC 6716, 3.2.5: 120 ms */
#define SPACES_OPUS_MAX_DURATION   5760

/* a filler packet: a TOC byte and at most two bytes of payload */
#define SPACES_OPUS_FILLER         3

/* the shortest frame, 2.5 ms: no filler is shorter */
#define SPACES_OPUS_MIN_DURATION   120

#define SPACES_OPUS_HEAD_SIZE      19

#define SPACES_OPUS_NO_TOC         -1


typedef struct {
    uint8_t   channels;        /* 1 or 2 */
    uint16_t  pre_skip;        /* samples */
    uint32_t  input_rate;      /* Hz, informative */
    int16_t   gain;            /* dB in Q7.8 */
} spaces_opus_head_t;


typedef enum {
    SPACES_OPUS_HEAD_OK = 0,
    SPACES_OPUS_HEAD_BROKEN,
    SPACES_OPUS_HEAD_UNSUPPORTED    /* a version or mapping we don't take */
} spaces_opus_head_status_e;


/*
 * The duration of a packet in samples, 120 to 5760; -1 if the packet breaks
 * a rule of RFC 6716, 3.4.
 */
int spaces_opus_duration(const uint8_t *data, size_t len);

/*
 * Writes a packet of SPACES_OPUS_FILLER bytes at most that lasts no longer
 * than "samples".  With the TOC byte of the packet before it the filler makes
 * the decoder conceal (an empty frame, RFC 6716, 3.2.1); with
 * SPACES_OPUS_NO_TOC it is silence.  Sets the duration; returns the length,
 * 0 if "samples" is less than the shortest frame.
 */
size_t spaces_opus_filler(uint8_t *out, int toc, int64_t samples,
    int *duration);

/* RFC 7845, 5.1 */
spaces_opus_head_status_e spaces_opus_head_parse(spaces_opus_head_t *head,
    const uint8_t *data, size_t len);

/* writes SPACES_OPUS_HEAD_SIZE bytes */
void spaces_opus_head_write(const spaces_opus_head_t *head, uint8_t *out);

/*
 * Writes an OpusTags packet (RFC 7845, 5.2) of "n" comments "NAME=value",
 * each zero-terminated; a comment that doesn't fit is left out.
 * Returns the length.
 */
size_t spaces_opus_tags_write(uint8_t *out, size_t size, const char *vendor,
    const char *const *comments, size_t n);


#endif /* _SPACES_OPUS_H_INCLUDED_ */
