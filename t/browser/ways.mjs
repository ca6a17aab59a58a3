// Copyright (C) Spaces for nginx contributors

// Other browsers, other windows: without WebCodecs, narrow and wide, dark,
// without a network, without a mouse.

import { accessible, fits, is, lookout, ok, person, post, run, until }
    from './lib.mjs';

const url = process.argv[2];

const create = (fields) =>
    post(`${url}/spaces`, 'ana', { title: 'Ways', ...fields });

async function goLive(browser, space) {
    const host = await person(browser, url, { name: 'ana' });
    await host.page.goto(`${url}/studio.html?id=${space.id}`);
    await host.page.getByRole('button', { name: 'Go live' }).click();
    await host.page.getByText('The connection is good.').waitFor();
    return host;
}

async function end(host) {
    await host.page.getByRole('button', { name: 'End the Space' }).click();
    await host.page.getByRole('dialog')
        .getByRole('button', { name: 'End the Space' }).click();
    await host.page.locator('.air').waitFor({ state: 'detached' });
}

// who has no WebCodecs

async function listening(browser) {
    const host = await goLive(browser, await create());
    const id = new URL(host.page.url()).searchParams.get('id');
    const { page } = await person(browser, url,
                                  { gone: ['AudioDecoder', 'AudioEncoder'] });
    await page.goto(`${url}/space.html?id=${id}`);
    await page.locator('#recording')
        .getByText('This Space is not being recorded').waitFor();
    ok(true, 'that it is not recorded is said, too');
    await page.getByRole('button', { name: 'Listen live' }).click();
    await page.getByText('You hear it live').waitFor();
    ok(true, 'without AudioDecoder: it plays as a stream');
    is(await page.getByRole('button', { name: 'From the beginning' }).count(), 0,
       'what is not recorded has no beginning to go back to');

    // the host's connection is cut: the same Space goes on
    const lost = await lookout(host.page, 'The connection was lost.');
    await host.page.evaluate(() => sockets.at(-1).close());
    ok(await lost(), 'a host who is cut off is told so');
    await host.page.getByText('The connection is good.').waitFor();
    ok(true, 'and comes back');
    await end(host);
    await host.page.getByText('It was not recorded').waitFor();
    await page.getByText('It was not recorded').waitFor();
    ok(true, 'at the end there is nothing to replay, and that is said');
}

// a browser that can play nothing of what the others say

async function deaf(browser) {
    const { page, context } = await person(browser, url, {
        name: 'ana', gone: ['AudioDecoder'] });
    await context.addInitScript(() => {
        HTMLMediaElement.prototype.canPlayType = () => '';
    });
    const space = await create();
    await page.goto(`${url}/studio.html?id=${space.id}`);
    await page.getByText('cannot play the others').waitFor();
    ok(true, 'that the others can\'t be heard is said');
    await context.close();
}

// a browser without anything to sound by waits for ever, and tells nobody

async function soundless(browser) {
    const { page, context } = await person(browser, url, { name: 'ana' });
    await context.addInitScript(() => {
        AudioContext.prototype.resume = () => new Promise(() => {});
        Object.defineProperty(AudioContext.prototype, 'state',
                              { get: () => 'suspended' });
    });
    const space = await create();
    await page.goto(`${url}/studio.html?id=${space.id}`);
    await page.getByRole('button', { name: 'Test the microphone' }).click();
    await page.getByText('Connect a speaker or headphones').waitFor();
    ok(true, 'a browser that can\'t sound is told what to do');
    await context.close();
}

// what comes out of this browser is no audio

async function garbled(browser) {
    const space = await create();
    const { page, context } = await person(browser, url, {
        name: 'ana', gone: ['AudioEncoder'] });
    await context.addInitScript(() => {
        globalThis.MediaRecorder = class {
            static isTypeSupported(type) {
                return type.startsWith('audio/webm');
            }
            start() {
                this.timer = setInterval(() => this.ondataavailable?.({
                    data: new Blob(['nothing that anybody can hear']) }), 100);
            }
            stop() {
                clearInterval(this.timer);
            }
        };
    });
    await page.goto(`${url}/studio.html?id=${space.id}`);
    await page.getByRole('button', { name: 'Go live' }).click();
    await page.getByText('does not understand what this browser sends').waitFor();
    ok(true, 'what the server does not understand is given up, and said');
    await context.close();
}

// who has a link to what is in no list

const unlisted = (browser) => byLink(browser, 'unlisted',
                                     'There is no such Space');

const ticketed = (browser) => byLink(browser, 'ticketed',
                                     'This Space is heard with a ticket');

async function byLink(browser, visibility, refused) {
    const space = await create({ visibility, record: true });
    const host = await goLive(browser, space);
    const stranger = await person(browser, url);
    await stranger.page.goto(`${url}/space.html?id=${space.id}`);
    await stranger.page.locator('#space').getByText(refused).first().waitFor();
    ok(true, `${visibility}: it is not for others`);
    await host.page.getByRole('button', { name: 'Invite listeners' }).click();
    const link = await host.page.getByLabel('Link to listen').inputValue();
    await host.page.keyboard.press('Escape');
    const friend = await person(browser, url);
    await friend.page.goto(link);
    await friend.page.getByRole('button', { name: 'Listen live' }).click();
    await friend.page.getByText('You hear it live').waitFor();
    ok(!friend.page.url().includes('token'),
       `${visibility}: by link it is heard`);
    await end(host);
    await friend.page.locator('.player').waitFor();
    ok(await until(() => friend.page.locator('.player audio').evaluate(
           (a) => a.readyState > 0)), `${visibility}: and replayed`);
}

// narrow and wide, and in each of them light and dark

async function windows(browser) {
    const space = await create({ record: true, title: 'W'.repeat(120),
                                 topics: ['x'.repeat(60), 'y', 'z'] });
    const host = await goLive(browser, space);
    await sizes(browser, [[`space.html?id=${space.id}`, '.tile']]);
    await end(host);
    await sizes(browser, [['', '.card'], ['studio.html', 'form'],
                          [`space.html?id=${space.id}`, '.player'],
                          ['space.html?id=none', '.notice']]);
}

async function sizes(browser, pages) {
    for (const [width, colorScheme] of [[320, 'dark'], [1440, 'light']]) {
        const { page, context } = await person(browser, url, {
            name: 'ana', colorScheme, viewport: { width, height: 700 } });
        for (const [path, ready] of pages) {
            await page.goto(`${url}/${path}`);
            await page.locator(ready).first().waitFor();
            const name = `/${path.slice(0, 10)} with ${ready} at ${width}`;
            await fits(page, name);
            await accessible(page, name);
        }
        await context.close();
    }
}

// an address that leads nowhere, to a Space that is none or to none at all

async function nowhere(browser) {
    const { page, context, trouble } = await person(browser, url);
    for (const [path, title] of [
        ['space.html', 'There is no such Space · Spaces'],
        ['space.html?id=', 'There is no such Space · Spaces'],
        ['space.html?id=.', 'There is no such Space · Spaces'],
        ['space.html?id=none', 'There is no such Space · Spaces'],
        ['studio.html?id=none', 'Studio · Spaces']]) {
        await page.goto(`${url}/${path}`);
        await page.locator('.notice').waitFor();
        is(await page.locator('h1').allTextContents().then(String),
           'There is no such Space', `/${path}: says so, as its only h1`);
        is(await page.title(), title, `/${path}: "${title}"`);
    }
    is(trouble.join('\n'), '', 'without an error');
    await context.close();
}

// what is to come says when, with the year if it is another, and whether it will
// be recorded, to who has no ticket yet as well

async function announced(browser) {
    const { page, context } = await person(browser, url);
    const shown = async (fields, ready) => {
        const { id } = await create(fields);
        await page.goto(`${url}/space.html?id=${id}`);
        await page.locator(ready).waitFor();
        return page.locator('#about .facts').textContent();
    };
    const now = new Date();
    const later = `${now.getUTCFullYear() + 5}-03-02T12:00:00Z`;
    const off = 'This Space will not be recorded';
    for (const [record, visibility, ready, text] of [
        [true, 'public', '.waiting', 'This Space will be recorded'],
        [false, 'public', '.waiting', off],
        [false, 'ticketed', '#ticket', off]]) {
        const facts = await shown({ record, visibility, scheduled_at: later },
                                  ready);
        is(await page.locator('#recording').textContent(), text,
           `${visibility}, to come: "${text}"`);
        ok(facts.includes(`2 March ${now.getUTCFullYear() + 5}`),
           'in another year, which is said', facts);
    }
    // of this year, at the end of it as well
    const soon = new Date(Math.min(now.getTime() + 60e3,
                                   Date.UTC(now.getUTCFullYear(), 11, 31, 23, 59, 59)));
    const facts = await shown({ scheduled_at: soon.toISOString()
        .replace(/\.\d+Z$/, 'Z') }, '.waiting');
    ok(!facts.includes(soon.getUTCFullYear()), 'this year is not', facts);
    ok(await until(async () => (await page.locator('#announcer')
           .textContent()) === off), 'what is not recorded is read out, too');
    await context.close();
}

// without a mouse

async function keys(browser) {
    const { page } = await person(browser, url);
    await page.goto(`${url}/`);
    await page.locator('.card').first().waitFor();
    await page.keyboard.press('Tab');
    is(await page.evaluate(() => document.activeElement.textContent),
       'Skip to content', 'the first stop skips to the content');
    const card = page.locator('#ended .card').first();
    await card.getByRole('button', { name: /^Listen/ }).press('Enter');
    await card.getByRole('button', { name: 'Pause' }).waitFor();
    ok(await page.evaluate(() => document.activeElement
           .getAttribute('aria-label') === 'Pause'), 'the focus goes along');
    await page.keyboard.press('k');
    await card.getByRole('button', { name: 'Play' }).waitFor();
    await page.keyboard.press('>');
    is(await card.getByLabel('Speed').inputValue(), '1.25', '> is faster');
}

async function offline(browser) {
    const { page, context } = await person(browser, url);
    await page.goto(`${url}/`);
    await page.locator('.card').first().waitFor();
    await context.setOffline(true);
    await page.getByText('You are offline.').waitFor();
    await page.getByLabel('Topic', { exact: true }).fill('nothing');
    await page.getByLabel('Topic', { exact: true }).press('Enter');
    await page.getByText('The timeline could not be loaded').waitFor();
    ok(true, 'without a network it says so');
    await context.setOffline(false);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('Nothing fits').waitFor();
    await page.getByRole('button', { name: 'Clear' }).click();
    await page.locator('.card').first().waitFor();
    ok(true, 'and comes back');
}

// more than fits on a page, of each kind

async function paging(browser) {
    const { page, trouble } = await person(browser, url);
    const all = { live: 30, scheduled: 30, ended: 36 };
    const made = (state, i) => ({
        id: `${state}${i}`, title: `Number ${i}`, host: 'ana', state,
        record: true, topics: [], language: 'en', visibility: 'public',
        recording: state === 'ended' ? 'available' : 'none',
        duration: 60, replays: 0, listeners: 0, speakers: [],
        created_at: `2026-01-01T00:00:${10 + i}Z`,
        ended_at: `2026-01-01T00:00:${10 + i}Z`,
    });
    await page.route('**/spaces?*', (route) => {
        const query = new URL(route.request().url()).searchParams;
        const state = query.get('state');
        const from = Number(query.get('cursor') ?? 0);
        const until = Math.min(from + Number(query.get('limit')), all[state]);
        return route.fulfill({ json: {
            spaces: Array.from({ length: until - from }, (x, i) =>
                made(state, all[state] - from - i)),
            next: until < all[state] ? String(until) : null } });
    });
    await page.goto(`${url}/`);
    const has = (state, n) => until(async () =>
        await page.locator(`#${state} .card`).count() === n);
    for (const [state, name] of [['live', 'Show more that are live'],
                                 ['scheduled', 'Show more that are coming up'],
                                 ['ended', 'Show older recordings']]) {
        const more = page.getByRole('button', { name });
        await more.click();
        ok(await has(state, 24), `${state}: the next page comes below`);
        is(await page.evaluate(() => document.activeElement.textContent),
           `Number ${all[state] - 12}`, 'with the focus on its first');
        await more.click();
        ok(await has(state, all[state]) && !await more.isVisible(),
           'until the last');
    }
    for (const state of Object.keys(all)) {
        all[state]--;
    }
    await page.evaluate(() => dispatchEvent(new Event('online')));
    for (const state of Object.keys(all)) {
        ok(await has(state, all[state]), `${state}: a glance goes as far`);
    }
    is(trouble.join('\n'), '', 'without an error');
}

async function french(browser) {
    const { page, context } = await person(browser, url, { locale: 'fr-FR' });
    await page.goto(`${url}/`);
    await page.getByRole('heading', { name: 'À l’écoute' }).waitFor();
    is(await page.locator('html').getAttribute('lang'), 'fr', 'French');
    await page.getByRole('button', { name: 'English' }).click();
    await page.getByRole('heading', { name: 'Listen in' }).waitFor();
    ok(true, 'and what one chooses');
    await context.close();
}

// what moves does not, for who asks for that

async function still(browser) {
    const { page, context } = await person(browser, url, {
        reducedMotion: 'reduce' });
    const space = await create({ record: true });
    await page.goto(`${url}/space.html?id=${space.id}`);
    const host = await goLive(browser, space);
    await page.locator('.rec-now .rec-dot').waitFor();
    is(await page.evaluate(() => document.getAnimations().length), 0,
       'nothing moves by itself');
    is(await page.locator('.button').first().evaluate((e) =>
           getComputedStyle(e).transitionProperty), 'none', 'nor fades');
    await end(host);
    await context.close();
}

await run(listening, deaf, soundless, garbled, unlisted, ticketed, windows, nowhere,
          announced, keys, offline, paging, french, still);
