// Copyright (C) Spaces for nginx contributors

// What the first bytes of an Opus packet tell (RFC 6716, section 3).

const SILK = [10000, 20000, 40000, 60000];
const HYBRID = [10000, 20000];
const CELT = [2500, 5000, 10000, 20000];

// how long a packet is, microseconds; 0 if it is none
export function duration(packet) {
    if (packet.length === 0) {
        return 0;
    }
    const config = packet[0] >> 3;
    const frame = config < 12 ? SILK[config & 3]
                : config < 16 ? HYBRID[config & 1] : CELT[config & 3];
    const code = packet[0] & 3;
    const frames = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 63;
    return frames * frame;
}
