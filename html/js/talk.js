// Copyright (C) Spaces for nginx contributors

// A speaker's connection: audio up, what the others say and the events down.
// It comes back by itself, into the same recording, until told to stop.

import { path, Problem, socketUrl, withToken } from './api.js';
import { decodes } from './decoders.js';
import { chooseEncoder } from './encoders.js';
import { PacketPlayer } from './packets.js';
import { tokenOf } from './session.js';

// who can't send may wait so much, bytes; then the connection is given up
const STUCK = 65536;

// what a browser sends may be refused so often in a row
const REFUSED = 3;

// it is not, once it has gone well for so long, ms
const SETTLED = 5000;

// whether a speaker hears the others here
export const hears = decodes;

export class Talk {
    // handlers: event(name, data), status(text), over(problem or null)
    constructor({ id, microphone, handlers }) {
        Object.assign(this, { id, microphone, handlers });
        this.wait = 500;
        this.tries = 0;
        this.refused = 0;
    }

    async start() {
        this.make = await chooseEncoder();
        if (!this.make) {
            this.over(new Problem(0, 'no-encoder'));
            return;
        }
        if (decodes()) {
            this.context = new AudioContext({ sampleRate: 48000,
                                              latencyHint: 'interactive' });
            await this.context.resume();
        }
        this.health = setInterval(() => this.look(), 500);
        this.connect();
    }

    connect() {
        if (this.stopped) {
            return;
        }
        this.handlers.status(this.tries ? 'reconnecting' : 'connecting');
        this.encoder = this.make(this.microphone, (data) => this.send(data));
        const { protocol } = this.encoder;
        const socket = new WebSocket(
            socketUrl(withToken(path(this.id, '/ingest'), this.id,
                                { returns: 'opus' })), protocol);
        let opened = false;
        socket.binaryType = 'arraybuffer';
        this.socket = socket;

        socket.onopen = async () => {
            opened = true;
            this.since = Date.now();
            this.wait = 500;
            if (this.context) {
                this.player = new PacketPlayer({ context: this.context,
                                                 delay: 0.08 });
                this.player.volume = this.loudness ?? 1;
            }
            try {
                await this.encoder.start();
                this.handlers.status('good');
            } catch {
                this.over(new Problem(0, 'no-encoder'));
            }
        };
        socket.onmessage = ({ data }) => {
            if (typeof data === 'string') {
                const { event, ...rest } = JSON.parse(data);
                this.ended ||= event === 'state' && rest.state === 'ended';
                this.handlers.event(event, rest);
            } else {
                this.player?.push(new Uint8Array(data));
            }
        };
        socket.onclose = ({ code }) => {
            if (this.socket === socket) {
                this.drop();
                this.closed(code, opened);
            }
        };
    }

    async closed(code, opened) {
        if (this.stopped) {
            return;
        }
        if (this.ended || code === 1000) {
            this.over(null);
            return;
        }
        this.tries++;
        this.handlers.status('reconnecting');
        if (!opened || code === 1008) {
            const problem = await this.reason();
            if (problem?.status === 400 || problem?.status === 415) {
                // one is let in, but what was sent is not understood
                if (opened && ++this.refused > REFUSED) {
                    this.over(new Problem(415, 'not-opus'));
                    return;
                }
            } else if (problem && problem.status >= 400 && problem.status < 500
                       && problem.slug !== 'speaking') {
                this.over(problem);
                return;
            } else if (problem?.slug === 'speaking' && this.tries > 20) {
                this.over(problem);
                return;
            }
        }
        this.timer = setTimeout(() => this.connect(), this.wait);
        this.wait = Math.min(this.wait * 1.7, 8000);
    }

    // A WebSocket doesn't tell why it was refused; the same asked by POST, with
    // a body that is no audio, does: 400 and 415 mean that one would be let in.
    async reason() {
        const token = tokenOf(this.id);
        try {
            const response = await fetch(path(this.id, '/ingest'), {
                method: 'POST', body: '?',
                headers: token ? { Authorization: `Bearer ${token}` } : {},
            });
            return await Problem.of(response);
        } catch {
            return null;
        }
    }

    send(data) {
        if (this.socket?.readyState === WebSocket.OPEN) {
            this.socket.send(data);
        }
    }

    look() {
        if (this.socket?.readyState !== WebSocket.OPEN) {
            return;
        }
        const waiting = this.socket.bufferedAmount;
        if (waiting > STUCK) {
            this.socket.close();
        } else {
            if (Date.now() - this.since > SETTLED) {
                this.refused = 0;
            }
            this.handlers.status(waiting > 4096 ? 'slow' : 'good', waiting);
        }
    }

    set volume(value) {
        this.loudness = value;
        if (this.player) {
            this.player.volume = value;
        }
    }

    get level() {
        return this.player?.level ?? 0;
    }

    drop() {
        this.encoder?.stop();
        this.player?.close();
        this.encoder = this.player = this.socket = null;
    }

    over(problem) {
        if (!this.stopped) {
            this.stop();
            this.handlers.over(problem);
        }
    }

    stop() {
        this.stopped = true;
        clearTimeout(this.timer);
        clearInterval(this.health);
        const { socket } = this;
        this.drop();
        socket?.close(1000);
        this.context?.close();
        this.context = null;
    }
}
