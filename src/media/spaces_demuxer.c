
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include <string.h>

#include "spaces_demuxer.h"


/* RFC 8794, 11.2.1: what an EBML document begins with */
#define SPACES_DEMUXER_EBML  0x1a


int
spaces_demuxer_init(spaces_demuxer_t *demuxer)
{
    demuxer->known = 0;
    demuxer->is_webm = 0;

    spaces_webm_reader_init(&demuxer->webm);

    return spaces_ogg_reader_init(&demuxer->ogg);
}


void
spaces_demuxer_free(spaces_demuxer_t *demuxer)
{
    spaces_webm_reader_free(&demuxer->webm);
    spaces_ogg_reader_free(&demuxer->ogg);
}


int
spaces_demuxer_feed(spaces_demuxer_t *demuxer, const uint8_t *data, size_t len)
{
    if (!demuxer->known && len) {
        demuxer->known = 1;
        demuxer->is_webm = (data[0] == SPACES_DEMUXER_EBML);
    }

    return demuxer->is_webm
           ? spaces_webm_reader_feed(&demuxer->webm, data, len)
           : spaces_ogg_reader_feed(&demuxer->ogg, data, len);
}


spaces_reader_status_e
spaces_demuxer_next(spaces_demuxer_t *demuxer, spaces_reader_packet_t *packet)
{
    return demuxer->is_webm
           ? spaces_webm_reader_next(&demuxer->webm, packet)
           : spaces_ogg_reader_next(&demuxer->ogg, packet);
}


const spaces_opus_head_t *
spaces_demuxer_head(const spaces_demuxer_t *demuxer)
{
    return demuxer->is_webm ? &demuxer->webm.head : &demuxer->ogg.head;
}


const spaces_reader_damage_t *
spaces_demuxer_damage(const spaces_demuxer_t *demuxer)
{
    return demuxer->is_webm ? &demuxer->webm.damage : &demuxer->ogg.damage;
}
