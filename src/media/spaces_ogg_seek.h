
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Where a time is in an Ogg file, by bisection: it costs the same in a file
 * of any length.
 */


#ifndef _SPACES_OGG_SEEK_H_INCLUDED_
#define _SPACES_OGG_SEEK_H_INCLUDED_


#include <stdint.h>
#include <sys/types.h>


/*
 * Finds the first page that ends after the granule, in the first "size" bytes
 * of a file of one logical stream.  Returns 0 with the offset of the page, or
 * "size" if there is none, and with the granule that the page before ends at,
 * 0 if that is none; -1 on an error, with errno set: EBADMSG if granules don't
 * rise in the file.
 */
int spaces_ogg_seek(int fd, off_t size, int64_t granule, off_t *offset,
    int64_t *before);

/* the length of the page that "data" begins with; 0 if it isn't there whole */
size_t spaces_ogg_page_len(const uint8_t *data, size_t len);

/*
 * The length of the whole pages that "data", which begins with a page, holds;
 * 0 if there is none, or what is there is no page.
 */
size_t spaces_ogg_whole(const uint8_t *data, size_t len);

/*
 * The next packet of whole pages, each of which holds whole packets, as
 * spaces_ogg_writer.h makes them.  "at" and "segment" begin with 0.  Returns
 * its length, -1 at the end.
 */
long spaces_ogg_packet_of(const uint8_t *data, size_t len, size_t *at,
    unsigned *segment, const uint8_t **packet);


#endif /* _SPACES_OGG_SEEK_H_INCLUDED_ */
