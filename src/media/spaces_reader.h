
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What the readers of containers have in common: Opus packets of one stream,
 * one after the other, as bytes come.
 */


#ifndef _SPACES_READER_H_INCLUDED_
#define _SPACES_READER_H_INCLUDED_


#include "spaces_opus.h"


typedef enum {
    SPACES_READER_PACKET = 0,
    SPACES_READER_AGAIN,        /* feed more */
    SPACES_READER_UNKNOWN,      /* the first bytes are of no such container */
    SPACES_READER_NOT_OPUS,     /* they are, but no stream in it is Opus */
    SPACES_READER_UNSUPPORTED,  /* Opus of a version or mapping not taken */
    SPACES_READER_BROKEN,       /* headers that break RFC 7845, or RFC 8794 */
    SPACES_READER_NO_MEMORY
} spaces_reader_status_e;


typedef struct {
    const uint8_t  *data;       /* valid until the next call of the reader */
    size_t          len;
    int             duration;   /* samples */
    int64_t         pts;        /* samples since the first packet; it jumps
                                   where the container's times say that
                                   something is missing */
    int             trim;       /* samples to cut from the end of the stream,
                                   told with its last packet */
} spaces_reader_packet_t;


typedef struct {
    uint64_t  skipped;          /* bytes that belonged to no good page */
    uint64_t  holes;            /* pages missing by their sequence numbers */
    uint64_t  bad_packets;      /* dropped: too long or not Opus */
    uint64_t  links;            /* chained streams begun */
} spaces_reader_damage_t;


#endif /* _SPACES_READER_H_INCLUDED_ */
