
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * Whether somebody talks, or plays, in the packets of a speaker, told from
 * the packets: by the flags of SILK, by the band energies of CELT, and now
 * and then by decoding a few packets of a SILK stream that has no flags set.
 */


#ifndef _SPACES_ACTIVITY_H_INCLUDED_
#define _SPACES_ACTIVITY_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


typedef struct spaces_activity_s  spaces_activity_t;


/* bytes to allocate for one stream, about 20 KB; aligned to 16 */
size_t spaces_activity_size(void);

/* in memory of that size, which can be freed without a word */
void spaces_activity_init(spaces_activity_t *activity);

/*
 * The packets of a stream in their order.  Returns 1 if the packet is active;
 * 0 if it is not, breaks a rule of RFC 6716, 3.4, or "len" is 0.
 */
int spaces_activity_packet(spaces_activity_t *activity, const uint8_t *data,
    size_t len);

/*
 * How loud the last packet is, about, dBov: of CELT as spaces_celt.h has it,
 * of SILK no more than whether there is a voice, unless it was decoded.
 */
float spaces_activity_level(const spaces_activity_t *activity);


#endif /* _SPACES_ACTIVITY_H_INCLUDED_ */
