// Copyright (C) Spaces for nginx contributors

// Opus packets to sound. Each decoder takes packets, and gives to "output" an
// AudioBuffer, and from where on and how much of it is new, in seconds.

import { oggOf, segments } from './ogg.js';
import { duration } from './opus.js';

const hasCodecs = () => typeof AudioDecoder === 'function';

// each packet as it comes
class Packets {
    delay = 0;

    constructor(context, output) {
        Object.assign(this, { context, output });
        this.stamp = 0;
        this.open();
    }

    open() {
        this.decoder = new AudioDecoder({
            output: (data) => this.take(data),
            // a packet that can't be decoded costs itself, not the rest
            error: () => { if (!this.closed) { this.open(); } },
        });
        this.decoder.configure({ codec: 'opus', sampleRate: 48000,
                                 numberOfChannels: 2 });
    }

    take(data) {
        const { numberOfChannels, numberOfFrames, sampleRate } = data;
        const buffer = this.context.createBuffer(numberOfChannels,
                                                 numberOfFrames, sampleRate);
        for (let i = 0; i < numberOfChannels; i++) {
            data.copyTo(buffer.getChannelData(i),
                        { planeIndex: i, format: 'f32-planar' });
        }
        data.close();
        this.output(buffer, 0, buffer.duration);
    }

    push(packet) {
        const length = duration(packet);
        if (this.decoder.state === 'configured') {
            this.decoder.decode(new EncodedAudioChunk({
                type: 'key', timestamp: this.stamp, duration: length,
                data: packet,
            }));
            this.stamp += length;
        }
    }

    close() {
        this.closed = true;
        if (this.decoder.state !== 'closed') {
            this.decoder.close();
        }
    }
}

// Where there is no such decoder: a fifth of a second at a time as a file of
// its own, after what a decoder needs to hear first to be in time (RFC 7845,
// section 4.6: 80 ms).
const PIECE = 200000;
const LEAD = 80000;
const SEGMENTS = 255;

const lengthOf = (packets) =>
    packets.reduce((sum, packet) => sum + duration(packet), 0);

const segmentsOf = (packets) =>
    packets.reduce((sum, packet) => sum + segments(packet), 0);

class Pieces {
    delay = PIECE / 1e6;

    constructor(context, output) {
        Object.assign(this, { context, output });
        this.lead = [];
        this.packets = [];
        this.done = Promise.resolve();
    }

    push(packet) {
        if (segmentsOf([...this.packets, packet]) > SEGMENTS) {
            this.flush();
        }
        this.packets.push(packet);
        if (lengthOf(this.packets) >= PIECE) {
            this.flush();
        }
    }

    flush() {
        const { packets } = this;
        const both = [...this.lead, ...packets];
        const piece = segmentsOf(both) <= SEGMENTS ? both : packets;
        const seconds = lengthOf(packets) / 1e6;
        let n = 1;
        while (n < piece.length && lengthOf(piece.slice(-n)) < LEAD) {
            n++;
        }
        this.lead = piece.slice(-n);
        this.packets = [];
        this.done = this.done.then(() => this.decode(piece, seconds));
    }

    async decode(packets, seconds) {
        const file = await oggOf(packets).arrayBuffer();
        const buffer = await this.context.decodeAudioData(file)
            .catch(() => null);
        if (buffer && !this.closed) {
            const from = Math.max(0, buffer.duration - seconds);
            this.output(buffer, from, buffer.duration - from);
        }
    }

    close() {
        this.closed = true;
    }
}

// with the delay of packets
export const decodesPackets = hasCodecs;

// at all
export const decodes = () => hasCodecs()
    || new Audio().canPlayType('audio/ogg; codecs=opus') !== '';

export const decoderOf = (context, output) =>
    hasCodecs() ? new Packets(context, output) : new Pieces(context, output);
