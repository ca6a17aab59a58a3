
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The end of an Ogg file that may have been torn by a crash: found from the
 * back, so that it costs the same in a file of any length.
 */


#ifndef _SPACES_OGG_TAIL_H_INCLUDED_
#define _SPACES_OGG_TAIL_H_INCLUDED_


#include <stdint.h>
#include <sys/types.h>


typedef struct {
    off_t     end;          /* of the last good page */
    off_t     start;        /* where that page begins */
    int64_t   granule;      /* its granule position */
    uint32_t  serial;
    uint32_t  sequence;
    uint16_t  pre_skip;     /* of the stream, from the first page */
    unsigned  eos:1;
} spaces_ogg_tail_t;


/*
 * Finds the last good page of the stream that the file begins with.  Returns
 * 0; 1 if the file holds no such stream with audio in it; -1 on an error,
 * with errno set.
 */
int spaces_ogg_tail_find(int fd, spaces_ogg_tail_t *tail);

/* cuts what is behind the last good page; -1 on an error, with errno set */
int spaces_ogg_tail_cut(int fd, const spaces_ogg_tail_t *tail);

/* marks the last page as the stream's last, in place; likewise */
int spaces_ogg_tail_close(int fd, spaces_ogg_tail_t *tail);


#endif /* _SPACES_OGG_TAIL_H_INCLUDED_ */
