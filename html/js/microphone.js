// Copyright (C) Spaces for nginx contributors

// The microphone: chosen, heard, measured.

import { loudness } from './packets.js';

// a browser that has nothing to sound by may never start to, and not say so, ms
const START = 5000;

export class Microphone {
    async open(deviceId) {
        this.close();
        this.stream = await navigator.mediaDevices.getUserMedia({ audio: {
            deviceId: deviceId ? { exact: deviceId } : undefined,
            channelCount: 1, echoCancellation: true, noiseSuppression: true,
            autoGainControl: true,
        } });
        this.context = this.makeContext();
        this.samples = new Float32Array(1024);
        this.analyser = this.context.createAnalyser();
        this.analyser.fftSize = 1024;
        this.source.connect(this.analyser);
        await this.start();
    }

    async start() {
        const { context } = this;
        const late = new Promise((resolve) => setTimeout(resolve, START));
        await Promise.race([context.resume(), late]);
        if (context.state !== 'running') {
            this.close();
            throw new DOMException('no sound', 'NotReadableError');
        }
    }

    // Opus likes 48 kHz; where a stream can't be had at that, as it comes
    makeContext() {
        for (const options of [{ sampleRate: 48000 }, {}]) {
            const context = new AudioContext({ latencyHint: 'interactive',
                                               ...options });
            try {
                this.source = context.createMediaStreamSource(this.stream);
                return context;
            } catch {
                context.close();
            }
        }
        throw new Error('the microphone gives no stream');
    }

    get device() {
        return this.stream?.getAudioTracks()[0]?.getSettings().deviceId;
    }

    get level() {
        return this.analyser ? loudness(this.analyser, this.samples) : 0;
    }

    get muted() {
        return !this.stream?.getAudioTracks()[0]?.enabled;
    }

    // muted by who speaks: the browser sends silence and shows it
    set muted(value) {
        for (const track of this.stream?.getAudioTracks() ?? []) {
            track.enabled = !value;
        }
    }

    static async devices() {
        const all = await navigator.mediaDevices.enumerateDevices();
        return all.filter(({ kind, label }) => kind === 'audioinput' && label);
    }

    close() {
        for (const track of this.stream?.getTracks() ?? []) {
            track.stop();
        }
        this.context?.close();
        this.stream = this.context = this.analyser = null;
    }
}
