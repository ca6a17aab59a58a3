
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What the targets have in common.  Each is given any bytes, and holds what
 * src/media promises against them: what it says goes beyond "it doesn't crash".
 */


#ifndef _SPACES_TEST_FUZZ_H_INCLUDED_
#define _SPACES_TEST_FUZZ_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* what holds for any input; else the input is kept, and told */
#define must(condition)                                                       \
    ((condition) ? (void) 0 : fuzz_failed(__FILE__, __LINE__, #condition))


/* libFuzzer's */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max,
    unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);

void fuzz_failed(const char *file, int line, const char *condition)
    __attribute__((noreturn));

/* a file with these bytes, in memory; the one of the call before is gone */
int fuzz_file(const uint8_t *data, size_t len);

/* all bytes of it, to be freed */
uint8_t *fuzz_read(int fd, size_t *len);

/* a number that is the same for the same bytes */
uint32_t fuzz_hash(const uint8_t *data, size_t len);

/* the next of a sequence that a seed begins; below "n" */
uint32_t fuzz_chance(uint32_t *seed, uint32_t n);


#endif /* _SPACES_TEST_FUZZ_H_INCLUDED_ */
