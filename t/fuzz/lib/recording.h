
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * A file of Ogg Opus, looked at from its beginning: what the ways that jump
 * about in it are compared with.
 */


#ifndef _SPACES_TEST_RECORDING_H_INCLUDED_
#define _SPACES_TEST_RECORDING_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* a file of this serial stands for a long one, of the same audio repeated */
#define RECORDING_LONG  0x6c6f6e67


typedef struct {
    size_t             start;
    size_t             end;
    int64_t            before;       /* granules: it begins there */
    int64_t            granule;      /* and ends there */
} recording_page_t;


typedef struct {
    const uint8_t     *data;
    size_t             len;

    /* as the recorder writes it, but for an end that may be torn */
    int                sound;

    /* it isn't, for a packet in it passes for a page of the same stream */
    int                misleads;

    uint32_t           serial;
    uint16_t           pre_skip;
    recording_page_t  *pages;        /* of audio */
    size_t             n;
    int                ended;        /* the last one says so */
} recording_t;


void recording_open(recording_t *recording, const uint8_t *data, size_t len);
void recording_close(recording_t *recording);

/* the same audio "n" times, if it is sound; to be freed */
uint8_t *recording_repeat(const recording_t *recording, unsigned n,
    size_t *len);


#endif /* _SPACES_TEST_RECORDING_H_INCLUDED_ */
