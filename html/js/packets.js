// Copyright (C) Spaces for nginx contributors

// Opus packets as they arrive become sound, with as little delay as the
// connection allows: each is scheduled right behind the one before. The delay
// grows when packets come too late, and what is too far ahead is left out.

import { duration } from './opus.js';

const MOST = 0.6;

export const canDecode = () => typeof AudioDecoder === 'function';

export class PacketPlayer {
    constructor({ context, delay }) {
        this.context = context;
        this.delay = delay;             // seconds that are kept in hand
        this.next = 0;                  // when the next packet is to be heard
        this.stamp = 0;
        this.calm = 0;                  // seconds without being too late
        this.gain = context.createGain();
        this.analyser = context.createAnalyser();
        this.analyser.fftSize = 1024;
        this.samples = new Float32Array(this.analyser.fftSize);
        this.gain.connect(this.analyser).connect(context.destination);
        this.open();
    }

    open() {
        this.decoder = new AudioDecoder({
            output: (data) => this.play(data),
            // a packet that can't be decoded costs itself, not the rest
            error: () => { if (!this.closed) { this.open(); } },
        });
        this.decoder.configure({ codec: 'opus', sampleRate: 48000,
                                 numberOfChannels: 2 });
    }

    push(packet) {
        const length = duration(packet);
        if (length === 0 || this.closed
            || this.decoder.state !== 'configured') {
            return;
        }
        this.decoder.decode(new EncodedAudioChunk({
            type: 'key', timestamp: this.stamp, duration: length, data: packet,
        }));
        this.stamp += length;
    }

    play(data) {
        const { context } = this;
        const now = context.currentTime;
        const length = data.numberOfFrames / data.sampleRate;

        if (context.state !== 'running' || this.closed) {
            data.close();
            return;
        }
        if (this.next < now + 0.005) {
            if (this.next > 0) {
                this.delay = Math.min(this.delay * 1.3, MOST);
            }
            this.calm = 0;
            this.next = now + this.delay;
        } else if (this.next > now + 2 * this.delay + 0.15) {
            data.close();
            return;
        } else if ((this.calm += length) > 20) {
            this.delay = Math.max(this.delay * 0.9, 0.06);
            this.calm = 0;
        }

        const buffer = context.createBuffer(data.numberOfChannels,
                                            data.numberOfFrames,
                                            data.sampleRate);
        for (let i = 0; i < data.numberOfChannels; i++) {
            data.copyTo(buffer.getChannelData(i),
                        { planeIndex: i, format: 'f32-planar' });
        }
        data.close();

        const source = new AudioBufferSourceNode(context, { buffer });
        source.connect(this.gain);
        source.start(this.next);
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
        if (this.decoder.state !== 'closed') {
            this.decoder.close();
        }
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
