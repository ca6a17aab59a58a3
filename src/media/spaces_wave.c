
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "spaces_wave.h"


/* read at a time */
#define SPACES_WAVE_READ      4096

/* of a text record: what is behind its type and its number */
#define SPACES_WAVE_TEXT      14

#define SPACES_WAVE_NOBODY    UINT32_MAX


/*
 * A record begins with its type; numbers are little-endian.  What a power cut
 * leaves as zeros is none.
 *
 * level    type, peak, length (16 bits), time, places (32), 0 (32)
 * speaker  type, place, length of the id, 0, length of the name (16), 0 …
 * text     type, number from 0, 14 bytes: of id and name, one after the other
 */

enum {
    SPACES_WAVE_IS_LEVEL = 1,
    SPACES_WAVE_IS_SPEAKER,
    SPACES_WAVE_IS_TEXT
};


/* what is known at a record, of all that come before */

typedef struct {
    int64_t                 start;       /* what is wanted */
    int64_t                 end;

    /* peaks */
    int64_t                 samples;
    uint8_t                *peaks;
    size_t                  n;

    /* talk */
    spaces_wave_talk_t     *talk;
    uint32_t                who[SPACES_WAVE_PLACES];
    spaces_wave_segment_t   open[SPACES_WAVE_PLACES];

    /* a speaker whose text is being read */
    unsigned                place;
    unsigned                next;        /* text */
    size_t                  id_len;
    size_t                  name_len;    /* both 0: there is none */
    uint8_t                 text[SPACES_WAVE_SPEAKER];
} spaces_wave_scan_t;


static int spaces_wave_scan(int fd, spaces_wave_scan_t *scan);
static void spaces_wave_peak(spaces_wave_scan_t *scan, const uint8_t *record);
static void spaces_wave_active(spaces_wave_scan_t *scan,
    const uint8_t *record);
static void spaces_wave_speaker(spaces_wave_scan_t *scan,
    const uint8_t *record);
static void spaces_wave_text(spaces_wave_scan_t *scan, const uint8_t *record);
static uint32_t spaces_wave_find(spaces_wave_talk_t *talk, const uint8_t *id,
    size_t id_len, const uint8_t *name, size_t name_len);
static void spaces_wave_close(spaces_wave_scan_t *scan, unsigned place);
static int64_t spaces_wave_get(const uint8_t *p, int n);
static void spaces_wave_put(uint8_t *p, uint32_t value, int n);


size_t
spaces_wave_put_level(uint8_t *out, int64_t granule, int samples, float level,
    uint32_t places)
{
    float    peak;
    int64_t  first, last;

    /* of a sine of that level */

    peak = 127 * 1.41421356f * powf(10, level / 20);

    first = granule / SPACES_WAVE_UNIT;
    last = (granule + samples + SPACES_WAVE_UNIT - 1) / SPACES_WAVE_UNIT;

    memset(out, 0, SPACES_WAVE_RECORD);

    out[0] = SPACES_WAVE_IS_LEVEL;
    out[1] = peak < 127 ? (uint8_t) (peak + 0.5f) : 127;

    spaces_wave_put(&out[2], (uint32_t) (last - first), 2);
    spaces_wave_put(&out[4], (uint32_t) first, 4);
    spaces_wave_put(&out[8], places, 4);

    return SPACES_WAVE_RECORD;
}


size_t
spaces_wave_put_speaker(uint8_t *out, unsigned place, const uint8_t *id,
    size_t id_len, const uint8_t *name, size_t name_len)
{
    size_t    i, at, len;
    uint8_t   text[SPACES_WAVE_ID + SPACES_WAVE_NAME + SPACES_WAVE_TEXT];
    uint8_t  *p;

    id_len = id_len < SPACES_WAVE_ID ? id_len : SPACES_WAVE_ID;
    name_len = name_len < SPACES_WAVE_NAME ? name_len : SPACES_WAVE_NAME;
    len = id_len + name_len;

    memset(text, 0, sizeof(text));
    memcpy(text, id, id_len);
    memcpy(text + id_len, name, name_len);

    memset(out, 0, SPACES_WAVE_RECORD);

    out[0] = SPACES_WAVE_IS_SPEAKER;
    out[1] = (uint8_t) place;
    out[2] = (uint8_t) id_len;
    spaces_wave_put(&out[4], (uint32_t) name_len, 2);

    p = out + SPACES_WAVE_RECORD;

    for (at = 0, i = 0; at < len; at += SPACES_WAVE_TEXT, i++) {
        *p++ = SPACES_WAVE_IS_TEXT;
        *p++ = (uint8_t) i;
        memcpy(p, text + at, SPACES_WAVE_TEXT);
        p += SPACES_WAVE_TEXT;
    }

    return (size_t) (p - out);
}


int
spaces_wave_peaks(int fd, int64_t granule, int64_t samples, uint8_t *peaks,
    size_t n)
{
    spaces_wave_scan_t  scan;

    memset(&scan, 0, sizeof(spaces_wave_scan_t));
    memset(peaks, 0, n);

    scan.start = granule;
    scan.end = granule + samples * (int64_t) n;
    scan.samples = samples;
    scan.peaks = peaks;
    scan.n = n;

    return spaces_wave_scan(fd, &scan);
}


int
spaces_wave_talk(int fd, int64_t start, int64_t end, spaces_wave_talk_t *talk)
{
    unsigned            i;
    spaces_wave_scan_t  scan;

    memset(&scan, 0, sizeof(spaces_wave_scan_t));

    scan.start = start;
    scan.end = end;
    scan.talk = talk;

    talk->nspeakers = 0;
    talk->nsegments = 0;
    talk->full = 0;

    for (i = 0; i < SPACES_WAVE_PLACES; i++) {
        scan.who[i] = SPACES_WAVE_NOBODY;
        scan.open[i].speaker = SPACES_WAVE_NOBODY;
    }

    if (spaces_wave_scan(fd, &scan) != 0) {
        return -1;
    }

    for (i = 0; i < SPACES_WAVE_PLACES; i++) {
        spaces_wave_close(&scan, i);
    }

    return 0;
}


static int
spaces_wave_scan(int fd, spaces_wave_scan_t *scan)
{
    off_t     at;
    ssize_t   n;
    uint8_t  *p, buffer[SPACES_WAVE_READ];

    for (at = 0; /* void */ ; at += n) {

        n = pread(fd, buffer, sizeof(buffer), at);

        if (n == -1) {

            if (errno == EINTR) {
                n = 0;
                continue;
            }

            return -1;
        }

        n -= n % SPACES_WAVE_RECORD;

        if (n == 0) {
            return 0;
        }

        for (p = buffer; p < buffer + n; p += SPACES_WAVE_RECORD) {

            if (p[0] == SPACES_WAVE_IS_LEVEL) {

                if (scan->peaks) {
                    spaces_wave_peak(scan, p);

                } else {
                    spaces_wave_active(scan, p);
                }

            } else if (p[0] == SPACES_WAVE_IS_SPEAKER && scan->talk) {
                spaces_wave_speaker(scan, p);

            } else if (p[0] == SPACES_WAVE_IS_TEXT && scan->talk) {
                spaces_wave_text(scan, p);
            }
        }
    }
}


static void
spaces_wave_peak(spaces_wave_scan_t *scan, const uint8_t *record)
{
    int64_t  start, end, i;

    start = spaces_wave_get(&record[4], 4) * SPACES_WAVE_UNIT;
    end = start + spaces_wave_get(&record[2], 2) * SPACES_WAVE_UNIT;

    start = start > scan->start ? start : scan->start;
    end = end < scan->end ? end : scan->end;

    if (start >= end) {
        return;
    }

    for (i = (start - scan->start) / scan->samples;
         i <= (end - 1 - scan->start) / scan->samples;
         i++)
    {
        if (scan->peaks[i] < record[1]) {
            scan->peaks[i] = record[1] < 127 ? record[1] : 127;
        }
    }
}


static void
spaces_wave_active(spaces_wave_scan_t *scan, const uint8_t *record)
{
    int64_t                 start, end, places;
    unsigned                i;
    spaces_wave_segment_t  *open;

    start = spaces_wave_get(&record[4], 4) * SPACES_WAVE_UNIT;
    end = start + spaces_wave_get(&record[2], 2) * SPACES_WAVE_UNIT;
    places = spaces_wave_get(&record[8], 4);

    start = start > scan->start ? start : scan->start;
    end = end < scan->end ? end : scan->end;

    if (start >= end) {
        return;
    }

    for (i = 0; i < SPACES_WAVE_PLACES; i++) {

        if (!(places >> i & 1) || scan->who[i] == SPACES_WAVE_NOBODY) {
            continue;
        }

        open = &scan->open[i];

        if (open->speaker != scan->who[i] || start < open->start
            || start - open->end > SPACES_WAVE_PAUSE)
        {
            spaces_wave_close(scan, i);

            open->speaker = scan->who[i];
            open->start = start;
            open->end = end;
        }

        if (end > open->end) {
            open->end = end;
        }
    }
}


static void
spaces_wave_speaker(spaces_wave_scan_t *scan, const uint8_t *record)
{
    scan->place = record[1];
    scan->id_len = record[2];
    scan->name_len = (size_t) spaces_wave_get(&record[4], 2);
    scan->next = 0;

    if (scan->place >= SPACES_WAVE_PLACES || scan->id_len > SPACES_WAVE_ID
        || scan->name_len > SPACES_WAVE_NAME)
    {
        scan->id_len = 0;
        scan->name_len = 0;
    }
}


static void
spaces_wave_text(spaces_wave_scan_t *scan, const uint8_t *record)
{
    size_t    len, got;
    uint32_t  who;

    len = scan->id_len + scan->name_len;

    if (len == 0 || record[1] != scan->next) {
        scan->id_len = 0;
        scan->name_len = 0;
        return;
    }

    memcpy(scan->text + scan->next * SPACES_WAVE_TEXT, record + 2,
           SPACES_WAVE_TEXT);

    scan->next++;
    got = scan->next * SPACES_WAVE_TEXT;

    if (got < len) {
        return;
    }

    who = spaces_wave_find(scan->talk, scan->text, scan->id_len,
                           scan->text + scan->id_len, scan->name_len);

    if (who != scan->who[scan->place]) {
        spaces_wave_close(scan, scan->place);
        scan->who[scan->place] = who;
    }

    scan->id_len = 0;
    scan->name_len = 0;
}


/* who comes back by the same id and name is the same */

static uint32_t
spaces_wave_find(spaces_wave_talk_t *talk, const uint8_t *id, size_t id_len,
    const uint8_t *name, size_t name_len)
{
    size_t                  i;
    spaces_wave_speaker_t  *speaker;

    for (i = 0; i < talk->nspeakers; i++) {
        speaker = &talk->speakers[i];

        if (speaker->id_len == id_len && speaker->name_len == name_len
            && memcmp(speaker->id, id, id_len) == 0
            && memcmp(speaker->name, name, name_len) == 0)
        {
            return (uint32_t) i;
        }
    }

    if (talk->nspeakers == talk->max_speakers) {
        talk->full = 1;
        return SPACES_WAVE_NOBODY;
    }

    speaker = &talk->speakers[talk->nspeakers];

    speaker->id_len = (uint8_t) id_len;
    speaker->name_len = (uint16_t) name_len;
    memcpy(speaker->id, id, id_len);
    memcpy(speaker->name, name, name_len);

    return (uint32_t) talk->nspeakers++;
}


static void
spaces_wave_close(spaces_wave_scan_t *scan, unsigned place)
{
    spaces_wave_talk_t     *talk;
    spaces_wave_segment_t  *open;

    talk = scan->talk;
    open = &scan->open[place];

    if (open->speaker == SPACES_WAVE_NOBODY) {
        return;
    }

    if (talk->nsegments == talk->max_segments) {
        talk->full = 1;

    } else {
        talk->segments[talk->nsegments++] = *open;
    }

    open->speaker = SPACES_WAVE_NOBODY;
}


static int64_t
spaces_wave_get(const uint8_t *p, int n)
{
    int64_t  value;

    value = 0;

    while (n--) {
        value = value << 8 | p[n];
    }

    return value;
}


static void
spaces_wave_put(uint8_t *p, uint32_t value, int n)
{
    while (n--) {
        *p++ = value & 0xff;
        value >>= 8;
    }
}
