// Copyright (C) Spaces for nginx contributors

// Debian's Chromium with a microphone that beeps, and TAP.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

// they are installed where nothing of the repository is
const require = createRequire(new URL('../../build/browser/', import.meta.url));

const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

// only a bound: everything is waited for, nothing is timed
export const PATIENCE = 60000;

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

// somebody with a browser of their own; "trouble" is what the pages complain of
export async function person(browser, url, { name, ...options } = {}) {
    const context = await browser.newContext({
        locale: 'en-GB', viewport: { width: 1100, height: 900 },
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
    // so that a test can cut them
    await context.addInitScript(() => {
        globalThis.sockets = [];
        globalThis.WebSocket = class extends WebSocket {
            constructor(...args) {
                super(...args);
                sockets.push(this);
            }
        };
    });
    if (name) {
        await context.addCookies([{ name: 'spaces_user', value: name, url }]);
    }
    const page = await context.newPage();
    return { context, page, trouble, requests };
}

// "serious" and "critical" of what axe-core finds
export async function accessible(page, name) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    const bad = violations.filter(({ impact }) => impact === 'serious'
                                                  || impact === 'critical');
    ok(bad.length === 0, `${name}: nothing serious for axe`,
       bad.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)
           .join('\n   ')}`).join('\n'));
}

export function finish() {
    console.log(`1..${count}`);
    process.exitCode = failed ? 1 : 0;
}
