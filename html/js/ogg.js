// Copyright (C) Spaces for nginx contributors

// Opus packets as a file that a browser plays: Ogg (RFC 3533), Opus in it
// (RFC 7845).

import { duration } from './opus.js';

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
    let crc = n << 24;
    for (let bit = 0; bit < 8; bit++) {
        crc = crc << 1 ^ (crc < 0 ? 0x04c11db7 : 0);
    }
    return crc;
});

const text = (string) => new TextEncoder().encode(string);

// "packets" fit on one page: they have 255 segments at most
function page(packets, { flags, granule, number }) {
    const lacing = packets.flatMap(({ length }) =>
        [...Array(Math.floor(length / 255)).fill(255), length % 255]);
    const size = packets.reduce((sum, { length }) => sum + length, 0);
    const bytes = new Uint8Array(27 + lacing.length + size);
    const view = new DataView(bytes.buffer);

    bytes.set(text('OggS'));
    bytes[5] = flags;
    view.setUint32(6, granule, true);
    view.setUint32(14, 1, true);
    view.setUint32(18, number, true);
    bytes[26] = lacing.length;
    bytes.set(lacing, 27);
    let at = 27 + lacing.length;
    for (const packet of packets) {
        bytes.set(packet, at);
        at += packet.length;
    }
    view.setUint32(22, bytes.reduce(
        (crc, byte) => crc << 8 ^ CRC[crc >>> 24 ^ byte], 0) >>> 0, true);
    return bytes;
}

export const segments = (packet) => Math.floor(packet.length / 255) + 1;

// a whole file of them, with nothing to be skipped
export function oggOf(packets) {
    const head = new Uint8Array(19);
    head.set(text('OpusHead'));
    head[8] = 1;
    head[9] = 2;
    new DataView(head.buffer).setUint32(12, 48000, true);
    const tags = new Uint8Array(16);
    tags.set(text('OpusTags'));

    const granule = packets.reduce((sum, packet) =>
        sum + duration(packet) * 48 / 1000, 0);
    return new Blob([
        page([head], { flags: 2, granule: 0, number: 0 }),
        page([tags], { flags: 0, granule: 0, number: 1 }),
        page(packets, { flags: 4, granule, number: 2 }),
    ]);
}
