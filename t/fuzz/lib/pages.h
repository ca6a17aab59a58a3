
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Mutations of Ogg: of pages, and of bytes, whose checksums are made good
 * mostly, or nothing of what is behind them would ever be tried.
 */


#ifndef _SPACES_TEST_PAGES_H_INCLUDED_
#define _SPACES_TEST_PAGES_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* for LLVMFuzzerCustomMutator() of a target */
size_t pages_mutate(uint8_t *data, size_t len, size_t max, unsigned seed);

/* where the next page begins behind "at"; "len" if there is none */
size_t pages_next(const uint8_t *data, size_t len, size_t at);

/* makes the checksum of every page good that is there whole */
void pages_mend(uint8_t *data, size_t len);


#endif /* _SPACES_TEST_PAGES_H_INCLUDED_ */
