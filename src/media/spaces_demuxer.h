
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Bytes of a container to Opus packets: the first byte decides which it is.
 */


#ifndef _SPACES_DEMUXER_H_INCLUDED_
#define _SPACES_DEMUXER_H_INCLUDED_


#include "spaces_ogg_reader.h"
#include "spaces_webm_reader.h"


typedef struct {
    unsigned              known:1;
    unsigned              is_webm:1;

    spaces_ogg_reader_t   ogg;
    spaces_webm_reader_t  webm;
} spaces_demuxer_t;


/* returns 0, or -1 without memory */
int spaces_demuxer_init(spaces_demuxer_t *demuxer);

void spaces_demuxer_free(spaces_demuxer_t *demuxer);

/* both as of the readers */
int spaces_demuxer_feed(spaces_demuxer_t *demuxer, const uint8_t *data,
    size_t len);
spaces_reader_status_e spaces_demuxer_next(spaces_demuxer_t *demuxer,
    spaces_reader_packet_t *packet);

/* set by the first packet */
const spaces_opus_head_t *spaces_demuxer_head(
    const spaces_demuxer_t *demuxer);

const spaces_reader_damage_t *spaces_demuxer_damage(
    const spaces_demuxer_t *demuxer);


#endif /* _SPACES_DEMUXER_H_INCLUDED_ */
