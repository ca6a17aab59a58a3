// Copyright (C) Spaces for nginx contributors

// Debian's Chromium with a microphone that beeps, and TAP.

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

// they are installed where nothing of the repository is
const require = createRequire(new URL('../../build/browser/', import.meta.url));

const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

// only a bound: everything is waited for, nothing is timed
export const PATIENCE = Number(process.env.PATIENCE ?? 120000);

let count = 0;
let failed = 0;

export function ok(condition, name, detail = '') {
    count++;
    failed += !condition;
    console.log(`${condition ? 'ok' : 'not ok'} ${count} - ${name}`);
    if (!condition && detail) {
        console.log(`${detail}`.replace(/^/gm, '# '));
    }
    return Boolean(condition);
}

export const is = (got, wanted, name) =>
    ok(got === wanted, name, `got ${JSON.stringify(got)}, `
                             + `wanted ${JSON.stringify(wanted)}`);

export async function until(condition, patience = PATIENCE) {
    const end = Date.now() + patience;
    while (Date.now() < end) {
        if (await condition().catch(() => false)) {
            return true;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return false;
}

export const launch = () => chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
           '--autoplay-policy=no-user-gesture-required', '--no-sandbox',
           '--disable-dev-shm-usage', '--mute-audio'],
});

// somebody with a browser of their own, which lacks what "gone" names, and with
// a voice of that many hertz, or a microphone that beeps; "trouble" is what the
// pages complain of
export async function person(browser, url, { name, voice, gone = [],
                                             ...options } = {}) {
    const context = await browser.newContext({
        locale: 'en-GB', timezoneId: 'UTC', viewport: { width: 1100, height: 900 },
        permissions: ['microphone', 'clipboard-read', 'clipboard-write'],
        ...options,
    });
    context.setDefaultTimeout(PATIENCE);
    const trouble = [];
    const requests = [];
    context.on('page', (page) => {
        page.on('pageerror', (error) => trouble.push(String(error)));
        page.on('console', (message) => {
            if (message.type() === 'error'
                && !/^Failed to load resource|WebSocket connection to/
                    .test(message.text())) {
                trouble.push(message.text());
            }
        });
        page.on('request', (request) => requests.push(request));
    });
    await context.addInitScript(hands);
    await context.addInitScript((names) => {
        for (const lost of names) {
            delete globalThis[lost];
        }
    }, gone);
    if (voice) {
        await context.addInitScript(sing, voice);
    }
    if (name) {
        await context.addCookies([{ name: 'spaces_user', value: name, url }]);
    }
    const page = await context.newPage();
    return { context, page, trouble, requests };
}

// in the page: what a test takes hold of, sockets to cut and what sounds

function hands() {
    globalThis.sockets = [];
    globalThis.ears = [];
    globalThis.players = [];
    globalThis.WebSocket = class extends WebSocket {
        constructor(...args) {
            super(...args);
            sockets.push(this);
        }
    };

    const ear = (context) => new AnalyserNode(context, { fftSize: 4096 });
    const { connect } = AudioNode.prototype;
    AudioNode.prototype.connect = function (to, ...args) {
        if (to === this.context.destination) {
            const node = ear(this.context);
            connect.call(this, node);
            ears.push(node);
        }
        return connect.call(this, to, ...args);
    };
    const { play } = HTMLMediaElement.prototype;
    HTMLMediaElement.prototype.play = function () {
        if (!players.includes(this)) {
            players.push(this);
        }
        return play.call(this);
    };

    // Chromium captures nothing of what has not begun, nor what comes behind a
    // new address: each is listened to for as long as it is asked for.  What is
    // short may be over before this has begun, on a machine that is busy: it is
    // played until it is heard
    globalThis.listen = async (ready) => {
        const over = players.filter(({ ended }) => ended);
        const from = ears.length;
        const context = new AudioContext();
        await context.resume();
        const heard = new Map();
        for (;;) {
            for (const audio of players) {
                if (audio.ended && !over.includes(audio)) {
                    heard.delete(audio);
                    await audio.play();
                }
                if (!heard.has(audio) && !audio.paused
                    && audio.currentTime > 0) {
                    heard.set(audio, ear(context));
                    context.createMediaStreamSource(audio.captureStream())
                        .connect(heard.get(audio));
                }
            }
            const found = [...ears.slice(0, from), ...heard.values()]
                .some(ready);
            if (found) {
                await context.close();
                return true;
            }
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    };

    // all of these tones at once, each far above what lies between them
    globalThis.tones = (ear, wanted) => {
        const bins = new Float32Array(ear.frequencyBinCount);
        ear.getFloatFrequencyData(bins);
        const at = (hz) => {
            const i = Math.round(hz * ear.fftSize / ear.context.sampleRate);
            return Math.max(...bins.slice(i - 2, i + 3));
        };
        return wanted.every((hz) => at(hz) > -60
                                    && at(hz) > at(hz * 1.35) + 20);
    };

    globalThis.shows = (text) => new Promise((resolve) => {
        const look = () => {
            if (document.body.innerText.includes(text)) {
                observer.disconnect();
                resolve(true);
            }
        };
        const observer = new MutationObserver(look);
        observer.observe(document, { subtree: true, childList: true,
                                     characterData: true, attributes: true });
        look();
    });

    globalThis.loud = (ear) => {
        const samples = new Float32Array(ear.fftSize);
        ear.getFloatTimeDomainData(samples);
        return Math.sqrt(samples.reduce((all, x) => all + x * x, 0)
                         / samples.length) > 0.02;
    };
}

// in the page: a microphone with nothing but a tone
function sing(hz) {
    if (!navigator.mediaDevices) {
        return;                          // an empty page
    }
    navigator.mediaDevices.getUserMedia = async () => {
        const context = new AudioContext();
        const to = context.createMediaStreamDestination();
        const voice = new OscillatorNode(context, { frequency: hz });
        voice.connect(new GainNode(context, { gain: 0.3 })).connect(to);
        voice.start();
        return to.stream;
    };
}

const bounded = (promise) => Promise.race([promise, new Promise((resolve) => {
    setTimeout(resolve, PATIENCE, false).unref();
})]);

// true once the page plays all these tones at once; if it never does, what it
// plays is told
export async function hears(page, ...wanted) {
    const heard = await bounded(page.evaluate((all) =>
        listen((ear) => tones(ear, all)), wanted));
    if (!heard) {
        const all = await page.evaluate(() => players.map((audio) => [
            audio.currentSrc.replace(/[?].*/, ''), audio.currentTime,
            audio.duration, audio.paused, audio.ended, audio.error?.message]));
        console.log(`# not heard: ${JSON.stringify(all)}`);
    }
    return heard;
}

// what comes and goes, maybe before Playwright has looked: from now on the page
// itself looks out for the text; what is returned tells once it was there
export async function lookout(page, text) {
    const looking = await page.evaluateHandle((t) => ({ seen: shows(t) }), text);
    return () => bounded(looking.evaluate(({ seen }) => seen));
}

// true once the page plays anything
export const sounds = (page) => bounded(page.evaluate(() => listen(loud)));

// "serious" and "critical" of what axe-core finds, with both themes; and a
// heading that is left out, which who goes from one to the next looks for
export async function accessible(page, name) {
    const dark = await page.evaluate(() =>
        matchMedia('(prefers-color-scheme: dark)').matches);
    const themes = ['light', 'dark'];
    const [now, other] = dark ? themes.reverse() : themes;
    await page.evaluate(axe);
    const bad = await violations(page, {});
    // and at once: a colour on its way is neither
    await page.emulateMedia({ colorScheme: other, reducedMotion: 'reduce' });
    bad.push(...await violations(page, { runOnly: ['color-contrast'] }));
    await page.emulateMedia({ colorScheme: now, reducedMotion: null });
    ok(bad.length === 0, `${name}: nothing serious for axe, in both themes`,
       bad.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)
           .join('\n   ')}`).join('\n'));
}

async function violations(page, options) {
    const found = await page.evaluate((o) => globalThis.axe.run(document, o),
                                      options);
    return found.violations.filter(({ id, impact }) => impact === 'serious'
        || impact === 'critical' || id === 'heading-order');
}

// the window holds the page
export async function fits(page, name) {
    const over = await page.evaluate(() =>
        document.documentElement.scrollWidth - innerWidth);
    ok(over <= 0, `${name}: fits`, `${over} pixels too wide`);
}

// by HTTP, as whoever

export async function post(url, name, body) {
    const response = await fetch(url, {
        method: 'POST', body: JSON.stringify(body),
        headers: { 'Content-Type': 'application/json',
                   Cookie: Buffer.from(`spaces_user=${name}`)
                       .toString('latin1') },
    });
    return response.json();
}

// FFmpeg talks: a source of libavfilter, heard while "when" is true of "t"
export function send(to, source, seconds, when) {
    const sender = spawn('ffmpeg', ['-v', 'error', '-nostdin', '-re',
        '-f', 'lavfi', '-i', source, '-t', String(seconds),
        '-af', `volume='${when}':eval=frame`, '-c:a', 'libopus', '-f', 'ogg',
        '-method', 'PUT', to], { stdio: ['ignore', 'ignore', 'inherit'] });
    return new Promise((resolve) => { sender.on('close', resolve); });
}

// the parts of a script, each to its end whatever the others do
export async function run(...parts) {
    const browser = await launch();
    try {
        for (const part of parts) {
            try {
                await part(browser);
            } catch (error) {
                ok(false, `${part.name} goes on to its end`, error.stack);
            }
        }
    } finally {
        await browser.close();
    }
    finish();
}

export function finish() {
    console.log(`1..${count}`);
    process.exitCode = failed ? 1 : 0;
}
