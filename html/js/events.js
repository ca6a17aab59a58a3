// Copyright (C) Spaces for nginx contributors

// Server-Sent Events of a Space, read with fetch: EventSource can send no
// Authorization, and a token is not to be in an address. Comes back by itself.

import { path, Problem } from './api.js';
import { tokenOf } from './session.js';

// "handler" gets (event, data); "refused" with a Problem when it is pointless
// to go on. Gives back what stops it.

export function follow(id, handler) {
    const control = new AbortController();
    run(id, handler, control.signal);
    return () => control.abort();
}

async function run(id, handler, signal) {
    let over = false;
    let wait = 1000;

    const tell = (event, data) => {
        over ||= event === 'state' && data.state === 'ended';
        wait = 1000;
        handler(event, data);
    };

    while (!over && !signal.aborted) {
        try {
            const token = tokenOf(id);
            const response = await fetch(path(id, '/events'), {
                signal, cache: 'no-store',
                headers: token ? { Authorization: `Bearer ${token}` } : {},
            });
            if (response.ok) {
                await read(response.body, tell);
            } else if (response.status < 500 && response.status !== 429) {
                handler('refused', await Problem.of(response));
                return;
            }
        } catch {
            // no network, or told to stop: the loop knows
        }
        if (!over && !signal.aborted) {
            handler('lost', {});
            await new Promise((resolve) => {
                setTimeout(resolve, wait);
                signal.addEventListener('abort', resolve, { once: true });
            });
            wait = Math.min(2 * wait, 15000);
        }
    }
}

async function read(body, tell) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
        const { value, done } = await reader.read();
        if (done) {
            return;
        }
        const blocks = (rest + value).split(/\r?\n\r?\n/);
        rest = blocks.pop();
        for (const block of blocks) {
            let event = 'message';
            let data = '';
            for (const line of block.split(/\r?\n/)) {
                const [, field, text] = /^(\w+): ?(.*)$/.exec(line) ?? [];
                if (field === 'event') {
                    event = text;
                } else if (field === 'data') {
                    data += text;
                }
            }
            if (data) {
                tell(event, JSON.parse(data));
            }
        }
    }
}
