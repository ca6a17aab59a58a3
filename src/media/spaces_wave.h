
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * How loud a recording is and who speaks in it, over time: a file of small
 * records that is appended to while it is recorded, and read to draw it.  A
 * record that is torn, lost or there twice does no harm to the others.
 */


#ifndef _SPACES_WAVE_H_INCLUDED_
#define _SPACES_WAVE_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>


/* bytes; the file is whole records, what is behind the last is cut */
#define SPACES_WAVE_RECORD    16

/* a time, samples: what is finer is left out */
#define SPACES_WAVE_UNIT      480

/* bytes of a speaker's id and name */
#define SPACES_WAVE_ID        20
#define SPACES_WAVE_NAME      256

#define SPACES_WAVE_PLACES    32

/* the most that spaces_wave_put_speaker() writes */
#define SPACES_WAVE_SPEAKER   (SPACES_WAVE_RECORD                             \
                               * (1 + (SPACES_WAVE_ID + SPACES_WAVE_NAME      \
                                       + 13) / 14))

/* pauses up to so many samples are within a segment: 1 s */
#define SPACES_WAVE_PAUSE     48000


typedef struct {
    uint8_t    id_len;
    uint16_t   name_len;
    uint8_t    id[SPACES_WAVE_ID];
    uint8_t    name[SPACES_WAVE_NAME];
} spaces_wave_speaker_t;


/* from "start" up to "end", samples */

typedef struct {
    uint32_t   speaker;
    int64_t    start;
    int64_t    end;
} spaces_wave_segment_t;


/*
 * Who spoke when: the speakers in the order that they came; the segments as
 * they were seen to be over, those of a place one after the other.  At most so
 * many as there is room for are told.
 */

typedef struct {
    spaces_wave_speaker_t  *speakers;
    size_t                  nspeakers;
    size_t                  max_speakers;
    spaces_wave_segment_t  *segments;
    size_t                  nsegments;
    size_t                  max_segments;
    unsigned                full:1;      /* there were more */
} spaces_wave_talk_t;


/*
 * A record of what is from "granule" on, "samples" long: its level in dBov,
 * and a mask of the places that are active.  Returns SPACES_WAVE_RECORD.
 */
size_t spaces_wave_put_level(uint8_t *out, int64_t granule, int samples,
    float level, uint32_t places);

/*
 * Records that from now on this speaker has the place: to be written again
 * whenever that is in doubt.  What is too long is cut.  Returns their length.
 */
size_t spaces_wave_put_speaker(uint8_t *out, unsigned place,
    const uint8_t *id, size_t id_len, const uint8_t *name, size_t name_len);

/*
 * The loudest of each of "n" spans of "samples" each, the first of which
 * begins at "granule": peaks, 0 to 127.  -1 on an error, with errno set.
 */
int spaces_wave_peaks(int fd, int64_t granule, int64_t samples, uint8_t *peaks,
    size_t n);

/* who spoke from "start" up to "end", granules; likewise */
int spaces_wave_talk(int fd, int64_t start, int64_t end,
    spaces_wave_talk_t *talk);


#endif /* _SPACES_WAVE_H_INCLUDED_ */
