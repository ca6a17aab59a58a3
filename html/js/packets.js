// Copyright (C) Spaces for nginx contributors

// Opus packets as they arrive become sound, with as little delay as the
// connection allows: each is scheduled right behind the one before. The delay
// grows when packets come too late, and what is too far ahead is left out.

import { decoderOf } from './decoders.js';
import { duration } from './opus.js';

const MOST = 0.6;

export class PacketPlayer {
    constructor({ context, delay }) {
        this.context = context;
        this.decoder = decoderOf(context, (...args) => this.play(...args));
        this.least = 0.06 + this.decoder.delay;
        this.delay = delay + this.decoder.delay; // seconds kept in hand
        this.next = 0;                  // when the next packet is to be heard
        this.calm = 0;                  // seconds without being too late
        this.gain = context.createGain();
        this.analyser = context.createAnalyser();
        this.analyser.fftSize = 1024;
        this.samples = new Float32Array(this.analyser.fftSize);
        this.gain.connect(this.analyser).connect(context.destination);
    }

    push(packet) {
        if (duration(packet) > 0 && !this.closed) {
            this.decoder.push(packet);
        }
    }

    play(buffer, from, length) {
        const { context } = this;
        const now = context.currentTime;

        if (context.state !== 'running' || this.closed) {
            return;
        }
        if (this.next < now + 0.005) {
            if (this.next > 0) {
                this.delay = Math.min(this.delay * 1.3, MOST);
            }
            this.calm = 0;
            this.next = now + this.delay;
        } else if (this.next > now + 2 * this.delay + 0.15) {
            return;
        } else if ((this.calm += length) > 20) {
            this.delay = Math.max(this.delay * 0.9, this.least);
            this.calm = 0;
        }

        const source = new AudioBufferSourceNode(context, { buffer });
        source.connect(this.gain);
        source.start(this.next, from, length);
        this.next += length;
    }

    set volume(value) {
        this.gain.gain.value = value;
    }

    // how loud it is right now, 0 to 1
    get level() {
        return loudness(this.analyser, this.samples);
    }

    close() {
        this.closed = true;
        this.decoder.close();
        this.analyser.disconnect();
    }
}

export function loudness(analyser, samples) {
    analyser.getFloatTimeDomainData(samples);
    const sum = samples.reduce((all, x) => all + x * x, 0);
    return Math.sqrt(sum / samples.length);
}

// a loudness on the scale of a meter: 0 is -60 dB, 1 is full
export function meterOf(rms) {
    return rms > 0 ? Math.min(1, Math.max(0, 1 + 20 * Math.log10(rms) / 60))
                   : 0;
}
