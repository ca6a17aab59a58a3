
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Any bytes to the reader of WebM and Matroska.
 */


#include "container.h"
#include "fuzz.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len && data[0] != 'O') {
        container_check(data, len);
    }

    return 0;
}
