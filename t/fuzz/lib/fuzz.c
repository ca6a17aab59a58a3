
/*
 * Copyright (C) Spaces for nginx contributors
 */


#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"


const char *__asan_default_options(void);


/* memory that is freed is used again soon, or each input costs fresh pages */

const char *
__asan_default_options(void)
{
    return "quarantine_size_mb=16";
}


void
fuzz_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}


int
fuzz_file(const uint8_t *data, size_t len)
{
    static int  fd = -1;

    if (fd == -1) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        must(fd != -1);
    }

    must(ftruncate(fd, 0) == 0);
    must(pwrite(fd, data, len, 0) == (ssize_t) len);

    return fd;
}


uint8_t *
fuzz_read(int fd, size_t *len)
{
    uint8_t      *data;
    struct stat   st;

    must(fstat(fd, &st) == 0);

    *len = (size_t) st.st_size;

    data = malloc(*len + 1);
    must(data != NULL);
    must(pread(fd, data, *len, 0) == st.st_size);

    return data;
}


/* FNV-1a */

uint32_t
fuzz_hash(const uint8_t *data, size_t len)
{
    uint32_t  hash;

    for (hash = 2166136261u; len; len--) {
        hash = (hash ^ *data++) * 16777619u;
    }

    return hash;
}


uint32_t
fuzz_chance(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525u + 1013904223u;

    return (uint32_t) (((uint64_t) *seed * n) >> 32);
}
