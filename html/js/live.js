// Copyright (C) Spaces for nginx contributors

// Listening live. Packets over a WebSocket where the browser decodes them,
// an <audio> elsewhere and for what is past. Comes back by itself.

import { path, socketUrl, withToken } from './api.js';
import { decodesPackets } from './decoders.js';
import { PacketPlayer } from './packets.js';

export class Live {
    // handlers: status(connecting | playing | reconnecting | stopped | failed)
    constructor({ id, handlers }) {
        Object.assign(this, { id, handlers });
        this.loudness = 1;
    }

    // "from" is null for the present, or what "?from=" takes
    start(from = null) {
        this.stop();
        this.stopped = false;
        this.from = from;
        this.wait = 500;
        this.handlers.status('connecting');
        if (from === null && decodesPackets()) {
            // made in the click that this is called in, or it stays silent
            this.context = new AudioContext({ sampleRate: 48000,
                                              latencyHint: 'interactive' });
            this.context.resume();
            this.connect();
        } else {
            this.element(from ?? '-16');
        }
    }

    connect() {
        const socket = new WebSocket(
            socketUrl(withToken(path(this.id, '/live'), this.id)),
            'spaces.opus.v1');
        let ended = false;
        socket.binaryType = 'arraybuffer';
        this.socket = socket;
        socket.onopen = () => {
            this.player = new PacketPlayer({ context: this.context,
                                             delay: 0.15 });
            this.player.volume = this.loudness;
            this.wait = 500;
        };
        socket.onmessage = ({ data }) => {
            if (typeof data === 'string') {
                const { event, state } = JSON.parse(data);
                ended ||= event === 'state' && state === 'ended';
                return;
            }
            this.player.push(new Uint8Array(data));
            if (!this.heard) {
                this.heard = true;
                this.handlers.status('playing');
            }
        };
        socket.onclose = ({ code }) => {
            this.player?.close();
            this.player = null;
            this.heard = false;
            if (this.stopped || this.socket !== socket) {
                return;
            }
            if (ended || code === 1000 || code === 1008) {
                this.stop();
            } else {
                this.again(() => this.connect());
            }
        };
    }

    element(from) {
        const audio = new Audio(
            withToken(path(this.id, '/live'), this.id, { from }));
        this.audio = audio;
        audio.volume = this.loudness;
        audio.onplaying = () => {
            this.wait = 500;
            this.handlers.status('playing');
        };
        audio.onended = () => this.stop();
        audio.onerror = () => {
            if (this.audio === audio) {
                // further back only once: what was heard is not to begin again
                this.again(() => this.element('-16'));
            }
        };
        audio.play().catch((error) => {
            if (error.name === 'NotAllowedError') {
                this.stop();
            }
        });
    }

    again(action) {
        this.tries = (this.tries ?? 0) + 1;
        if (this.wait > 6000) {
            this.stop('failed');
            return;
        }
        this.handlers.status('reconnecting');
        this.timer = setTimeout(action, this.wait);
        this.wait *= 1.7;
    }

    set volume(value) {
        this.loudness = value;
        if (this.player) {
            this.player.volume = value;
        }
        if (this.audio) {
            this.audio.volume = value;
        }
    }

    get level() {
        return this.player?.level ?? 0;
    }

    get running() {
        return this.stopped === false;
    }

    stop(status = 'stopped') {
        if (!this.running) {
            return;
        }
        this.stopped = true;
        clearTimeout(this.timer);
        const { socket, audio } = this;
        this.socket = this.audio = null;
        this.heard = false;
        socket?.close(1000);
        this.player?.close();
        this.player = null;
        if (audio) {
            audio.pause();
            audio.removeAttribute('src');
            audio.load();
        }
        this.context?.close();
        this.context = null;
        this.handlers.status(status);
    }
}
