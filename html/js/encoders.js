// Copyright (C) Spaces for nginx contributors

// From the microphone to messages of a WebSocket. Each encoder knows the
// subprotocol it speaks, starts, and stops.

const BITRATE = 48000;

// packets of 20 ms: the least delay
class Packets {
    protocol = 'spaces.opus.v1';

    constructor(microphone, send) {
        this.microphone = microphone;
        this.send = send;
    }

    async start() {
        const { context, source } = this.microphone;
        await context.audioWorklet.addModule(
            new URL('capture-worklet.js', import.meta.url));
        this.encoder = new AudioEncoder({
            output: (chunk) => {
                const packet = new Uint8Array(chunk.byteLength);
                chunk.copyTo(packet);
                this.send(packet);
            },
            error: () => this.stop(),
        });
        this.encoder.configure({
            codec: 'opus', sampleRate: context.sampleRate, numberOfChannels: 1,
            bitrate: BITRATE, opus: { frameDuration: 20000 },
        });
        let stamp = 0;
        this.node = new AudioWorkletNode(context, 'capture', {
            numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit',
        });
        this.node.port.onmessage = ({ data }) => {
            const samples = new AudioData({
                format: 'f32-planar', sampleRate: context.sampleRate,
                numberOfChannels: 1, numberOfFrames: data.length,
                timestamp: stamp, data,
            });
            stamp += 20000;
            if (this.encoder.state === 'configured') {
                this.encoder.encode(samples);
            }
            samples.close();
        };
        source.connect(this.node);
    }

    stop() {
        this.node?.disconnect();
        if (this.node) {
            this.node.port.onmessage = null;
            this.microphone.source.disconnect(this.node);
            this.node = null;
        }
        if (this.encoder?.state === 'configured') {
            this.encoder.close();
        }
    }
}

// a container, as the browser records it
class Recorded {
    constructor(microphone, send, type, protocol) {
        Object.assign(this, { microphone, send, type, protocol });
    }

    async start() {
        this.recorder = new MediaRecorder(this.microphone.stream, {
            mimeType: this.type, audioBitsPerSecond: BITRATE,
        });
        // one after the other: what a Blob holds is told later
        let queue = Promise.resolve();
        this.recorder.ondataavailable = ({ data }) => {
            queue = queue.then(() => data.arrayBuffer()).then((bytes) => {
                for (let i = 0; i < bytes.byteLength; i += 32768) {
                    this.send(bytes.slice(i, i + 32768));
                }
            });
        };
        this.recorder.start(100);
    }

    stop() {
        if (this.recorder && this.recorder.state !== 'inactive') {
            this.recorder.ondataavailable = null;
            this.recorder.stop();
        }
    }
}

const CONTAINERS = [['audio/ogg;codecs=opus', 'spaces.ogg.v1'],
                    ['audio/webm;codecs=opus', 'spaces.webm.v1']];

async function canSendPackets() {
    if (typeof AudioEncoder !== 'function' || !window.AudioWorkletNode) {
        return false;
    }
    const { supported } = await AudioEncoder.isConfigSupported({
        codec: 'opus', sampleRate: 48000, numberOfChannels: 1,
        bitrate: BITRATE,
    }).catch(() => ({ supported: false }));
    return supported;
}

// what this browser can do best; null if it can send no Opus at all
export async function chooseEncoder() {
    if (await canSendPackets()) {
        return (microphone, send) => new Packets(microphone, send);
    }
    const found = window.MediaRecorder && CONTAINERS.find(
        ([type]) => MediaRecorder.isTypeSupported(type));
    return found ? (microphone, send) => new Recorded(microphone, send, ...found)
                 : null;
}
