
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Any bytes to the reader of Ogg, and what it takes to the writer.
 */


#include "container.h"
#include "fuzz.h"
#include "pages.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len && data[0] == 'O') {
        container_check(data, len);
    }

    return 0;
}


size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
    return pages_mutate(data, len, max, seed);
}
