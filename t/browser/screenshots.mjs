// Copyright (C) Spaces for nginx contributors

// Each page, in both themes, wide and narrow. The same Spaces for all of them:
// two that are recorded, one that is live with two speakers, one to come.

import { mkdirSync } from 'node:fs';
import { launch, person, until } from './lib.mjs';

const [url, folder] = process.argv.slice(2);

const SIZES = { wide: { width: 1280, height: 860 },
                narrow: { width: 360, height: 740 } };

mkdirSync(folder, { recursive: true });

const browser = await launch();
try {
    await all();
} finally {
    await browser.close();
}

async function post(path, user, body) {
    const response = await fetch(url + path, {
        method: 'POST', body: JSON.stringify(body),
        headers: { 'Content-Type': 'application/json',
                   Cookie: Buffer.from(`spaces_user=${user}`)
                       .toString('latin1') },
    });
    return response.json();
}

// somebody who is live in a Space
async function live(name, fields) {
    const host = await person(browser, url, { name });
    const space = await post('/spaces', name, fields);
    await host.page.goto(`${url}/studio.html?id=${space.id}`);
    await host.page.getByRole('button', { name: 'Go live' }).click();
    await host.page.getByText('The connection is good.').waitFor();
    return { ...space, ...host };
}

async function recorded(name, fields) {
    const space = await live(name, { record: true, ...fields });
    await space.page.waitForTimeout(4000);
    await post(`/spaces/${space.id}/end`, name, {});
    await space.page.getByText('The recording is ready').waitFor();
    await space.context.close();
    return space;
}

async function all() {
    const old = await recorded('Claire Dubois', {
        title: 'Pourquoi les ponts chantent', topics: ['architecture', 'son'],
        language: 'fr' });
    await recorded('Tomás Rivera', {
        title: 'Field recordings from the night train', language: 'en',
        topics: ['sound', 'travel'] });
    await recorded('Ida Lindqvist', {
        title: 'Bread, slowly: a conversation about rye', language: 'en',
        topics: ['food'] });
    await post('/spaces', 'Mina Okafor', {
        title: 'Office hours: your first telescope', record: true,
        topics: ['astronomy'], language: 'en', visibility: 'ticketed',
        price: '€4', scheduled_at: '2031-03-02T19:00:00Z' });
    const ana = await live('Ana Ferreira', {
        title: 'What the river maps leave out', record: true,
        topics: ['rivers', 'maps', 'history'], language: 'en' });
    await live('Jun', { title: 'Morning coffee', language: 'en' });
    const bea = await post(`/spaces/${ana.id}/speakers`, 'Ana Ferreira',
                           { name: 'Bea Novak' });
    const guest = await person(browser, url);
    await guest.page.goto(`${url}/studio.html?id=${ana.id}#token=${bea.token}`);
    await guest.page.getByRole('button', { name: 'Join and talk' }).click();
    await ana.page.locator('.tile', { hasText: 'Bea' }).waitFor();

    for (const colorScheme of ['light', 'dark']) {
        for (const [size, viewport] of Object.entries(SIZES)) {
            const view = (more) => person(browser, url,
                                          { colorScheme, viewport, ...more });
            const shot = async (page, name) => {
                const file = `${folder}/${name}-${size}-${colorScheme}.png`;
                await page.screenshot({ path: file, fullPage: true,
                                        animations: 'disabled' });
                const { scrollWidth, clientWidth } = await page.evaluate(
                    () => document.documentElement);
                if (scrollWidth > clientWidth) {
                    console.log(`# ${name}, ${size}: wider than the window`);
                }
                console.log(file);
            };

            const visitor = await view({ name: 'Ana Ferreira' });
            await visitor.page.goto(`${url}/`);
            await visitor.page.locator('#ended .card').nth(2).waitFor();
            await shot(visitor.page, 'timeline');

            await visitor.page.goto(`${url}/?topic=nothing`);
            await visitor.page.getByText('Nothing fits').waitFor();
            await shot(visitor.page, 'nothing');

            await visitor.page.goto(`${url}/space.html?id=${ana.id}`);
            await visitor.page.getByRole('button', { name: 'Listen live' })
                .click();
            await visitor.page.getByText('You hear it live').waitFor();
            await visitor.page.waitForTimeout(800);
            await shot(visitor.page, 'live');
            await visitor.context.close();

            const listener = await view({ name: 'Claire Dubois' });
            await drawn(listener.page, old.id);
            await listener.page.goto(`${url}/space.html?id=${old.id}#t=2`);
            await listener.page.locator('.lanes').waitFor();
            await shot(listener.page, 'player');
            await listener.page.getByRole('button', { name: 'Share' }).click();
            await listener.page.getByRole('dialog').waitFor();
            await shot(listener.page, 'share');
            await listener.page.goto(`${url}/studio.html`);
            await listener.page.getByLabel('Title').waitFor();
            await shot(listener.page, 'create');
            await listener.page.locator('#who button').click();
            await shot(listener.page, 'login');
            await listener.context.close();

            const host = await view({ name: 'Jun' });
            const next = await post('/spaces', 'Jun', {
                title: 'Second coffee', record: true, visibility: 'unlisted' });
            await host.page.goto(`${url}/studio.html?id=${next.id}`);
            await host.page.getByRole('button', { name: 'Test the microphone' })
                .click();
            await host.page.getByText('It works').waitFor();
            await shot(host.page, 'microphone');
            await host.context.close();

            await ana.page.emulateMedia({ colorScheme });
            await ana.page.setViewportSize(viewport);
            await until(() => ana.page.locator('.is-speaking').isVisible(), 5000);
            await shot(ana.page, 'studio');
        }
    }
}

// a recording with more in it than four seconds of beeps
async function drawn(page, id) {
    const data = [];
    for (let i = 0; i < 400; i++) {
        const peak = Math.round(100 * Math.abs(Math.sin(i / 9) * Math.sin(i / 31))
                                + 20 * Math.abs(Math.sin(i * 7)));
        data.push(-peak, peak);
    }
    await page.route(`**/spaces/${id}/replay/waveform*`, (route) =>
        route.fulfill({ json: { version: 2, channels: 1, sample_rate: 48000,
                                samples_per_pixel: 480, bits: 8, length: 400,
                                data } }));
    await page.route(`**/spaces/${id}/replay/speakers*`, (route) =>
        route.fulfill({ json: { speakers: [
            { id: 'host', name: 'Claire Dubois',
              segments: [[0, 1.2], [1.9, 2.6], [3.4, 4]] },
            { id: 'b', name: 'Bea Novak', segments: [[1.1, 2], [2.6, 3.3]] },
        ] } }));
}
