
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The codec work of a Space in which several talk: decoders of its speakers,
 * the sum, the limiter, and the encoders of the mix and of what each of those
 * who talk hears.  All memory is there before it is needed.  Audio is float,
 * interleaved, 48 kHz, full scale 1.0.
 */


#ifndef _SPACES_MIXER_H_INCLUDED_
#define _SPACES_MIXER_H_INCLUDED_


#include "spaces_opus.h"


#define SPACES_MIXER_FRAME       960     /* samples: 20 ms */

/* an encoded frame is never longer: the most of one frame (RFC 6716, 3.2.1) */
#define SPACES_MIXER_MAX_PACKET  1276

/* another owner mixed the frame before, of those who are heard in this one */
#define SPACES_MIXER_ALL         -2


typedef struct spaces_mixer_s  spaces_mixer_t;


/*
 * For "n" speakers at most; "channels" 1 or 2 and "bitrate" in bit/s are of
 * what is encoded.  NULL without memory.
 */
spaces_mixer_t *spaces_mixer_create(unsigned n, int channels, int bitrate);

void spaces_mixer_destroy(spaces_mixer_t *mixer);

/*
 * The memory of one speaker, if it isn't there yet; "returns" that of an
 * encoder for what they hear.  Returns 0, or -1 without memory.
 */
int spaces_mixer_reserve(spaces_mixer_t *mixer, unsigned i, int returns);

/*
 * Whether the decoder's last packet was the one that ends at "place"; if not,
 * it is to be begun again.
 */
int spaces_mixer_follows(const spaces_mixer_t *mixer, unsigned i,
    uint64_t place);

/* another speaker has the place, or the same one begins again */
void spaces_mixer_forget(spaces_mixer_t *mixer, unsigned i);

/*
 * Begins a decoder again, for the packet at "place"; "gain" in dB, Q7.8, is
 * applied to its output.
 */
void spaces_mixer_restart(spaces_mixer_t *mixer, unsigned i, int gain,
    uint64_t place);

/*
 * Decodes a packet of "duration" samples that ends at "place": from then on
 * these samples are what spaces_mixer_pull() gives.
 */
void spaces_mixer_decode(spaces_mixer_t *mixer, unsigned i,
    const uint8_t *data, size_t len, int duration, uint64_t place);

/* likewise for what is lost: "duration" is a multiple of 2.5 ms */
void spaces_mixer_conceal(spaces_mixer_t *mixer, unsigned i, int duration);

/* of the samples that were decoded, only the last "samples" are to come */
void spaces_mixer_keep(spaces_mixer_t *mixer, unsigned i, int samples);

/*
 * A frame: begun, added to at an offset (samples) by each speaker that is
 * heard in it, and encoded; it is no longer than SPACES_MIXER_FRAME.
 */
void spaces_mixer_begin(spaces_mixer_t *mixer);
void spaces_mixer_pull(spaces_mixer_t *mixer, unsigned i, int at,
    int samples);

/*
 * Encodes the sum of the frame, which begins at the granule.  If the frame
 * before was not encoded, "before" is the speaker, -1, or SPACES_MIXER_ALL,
 * whose decoded audio the encoder is to begin with.  Returns the length, 0 on
 * an error.
 */
int spaces_mixer_encode(spaces_mixer_t *mixer, int64_t granule, int samples,
    int before, uint8_t *out);

/* likewise, the sum without speaker i */
int spaces_mixer_encode_without(spaces_mixer_t *mixer, unsigned i,
    int64_t granule, int samples, uint8_t *out);


#endif /* _SPACES_MIXER_H_INCLUDED_ */
