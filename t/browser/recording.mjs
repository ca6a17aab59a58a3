// Copyright (C) Spaces for nginx contributors

// What a host does in the studio, and what one does with a recording of some
// length: to find one's way in it, to clip it, to give it away, to change what
// it is called.

import { accessible, fits, hears, is, ok, person, post, run, send, until }
    from './lib.mjs';

const url = process.argv[2];
const LONG = 34;

const get = async (path) => (await fetch(`${url}${path}`)).json();

// two who take turns; it is as long as it takes, so others go on meanwhile
async function record() {
    const space = await post(`${url}/spaces`, 'ana', {
        title: 'Two in turns', record: true, topics: ['turns'] });
    const { token } = await post(`${url}/spaces/${space.id}/speakers`, 'ana',
                                 { name: 'Bea' });
    const talk = (token, hz, seconds, at) =>
        send(`${url}/spaces/${space.id}/ingest?token=${token}`,
             `sine=frequency=${hz}`, seconds,
             `between(mod(t-${at}+24,24),0,9)`);
    const host = talk(space.token, 440, LONG, 0);
    await until(async () =>
        (await get(`/spaces/${space.id}`)).state === 'live');
    const guest = talk(token, 1000, LONG - 4, 12);
    await Promise.all([host, guest]);
    await post(`${url}/spaces/${space.id}/end`, 'ana', {});
    return get(`/spaces/${space.id}`);
}

const recorded = record();

const time = (page) => page.locator('.player audio').evaluate((a) =>
    (a.seeking || a.readyState === 0 ? NaN : a.currentTime));

// playing goes on while one looks: "late" is how far
const comesTo = (page, at, late = 0.1) => until(async () => {
    const now = await time(page);
    return now > at - 0.1 && now < at + late;
});

async function studio(browser) {
    const space = await post(`${url}/spaces`, 'Zoë', { title: 'Hosting',
                                                      record: true });
    const host = await person(browser, url, { name: 'Zoë' });
    await host.page.goto(`${url}/studio.html?id=${space.id}`);
    await host.page.getByRole('button', { name: 'Don’t record it' }).click();
    await host.page.getByText('This Space is not recorded').waitFor();
    await host.page.getByRole('button', { name: 'Record it after all' }).click();
    await host.page.locator('#recording')
        .getByText('This Space will be recorded').waitFor();
    ok(true, 'recording is changed before it begins');
    await host.page.getByRole('button', { name: 'Go live' }).click();
    await host.page.getByText('The connection is good.').waitFor();

    const { token } = await post(`${url}/spaces/${space.id}/speakers`, 'Zoë',
                                 { name: 'Bea' });
    const guest = await person(browser, url);
    await guest.page.goto(`${url}/studio.html?id=${space.id}#token=${token}`);
    await guest.page.getByRole('button', { name: 'Join and talk' }).click();
    const tile = host.page.locator('.tile', { hasText: 'Bea' });
    await tile.getByRole('button', { name: 'Mute Bea', exact: true }).click();
    await guest.page.locator('.tile', { hasText: 'Bea' })
        .getByText('Muted by the host').waitFor();
    ok(true, 'the speaker is muted');
    await tile.getByRole('button', { name: 'Unmute Bea' }).click();
    await tile.getByRole('button', { name: 'Mute Bea', exact: true }).waitFor();
    await host.page.keyboard.press('m');
    await host.page.getByRole('button', { name: 'Unmute yourself' }).waitFor();
    await host.page.keyboard.press('m');
    await host.page.getByRole('button', { name: 'Mute yourself' }).waitFor();
    ok(true, 'the host mutes with a key');

    for (const width of [320, 1440]) {
        await host.page.setViewportSize({ width, height: 800 });
        await fits(host.page, `the studio on the air, ${width}`);
    }
    await host.page.getByRole('button', { name: 'Edit' }).click();
    await host.page.getByLabel('Title').fill('Hosting, changed');
    await host.page.getByRole('button', { name: 'Save' }).click();
    await host.page.getByRole('heading', { name: 'Hosting, changed' }).waitFor();
    ok(true, 'the title is changed on the air');

    await tile.getByRole('button', { name: 'Remove Bea' }).click();
    await host.page.getByRole('dialog')
        .getByRole('button', { name: 'Remove' }).click();
    await tile.waitFor({ state: 'detached' });
    await guest.page.locator('#problem').waitFor();
    ok(true, 'a speaker is removed, and told so');
    await post(`${url}/spaces/${space.id}/end`, 'Zoë', {});
    await host.page.getByText('The recording is ready').waitFor();
    ok(true, 'ended from elsewhere, the studio knows');
    await host.context.close();
    await guest.context.close();
}

async function speakers(browser) {
    const { id } = await recorded;
    const told = (await get(`/spaces/${id}/replay/speakers`)).speakers;
    const of = (name) => told.find((s) => s.name === name).segments;
    const { page, context } = await person(browser, url);
    await page.goto(`${url}/space.html?id=${id}`);
    await page.locator('.lanes li').nth(1).waitFor();
    await page.getByRole('button', { name: 'Next speaker' }).click();
    const [first] = of('Bea')[0];
    ok(await comesTo(page, first, 5), 'to the next speaker');
    await page.locator('.lanes li.is-speaking', { hasText: 'Bea' }).waitFor();
    ok(true, 'who is shown to speak');
    ok(await hears(page, 1000), 'and heard');
    await page.keyboard.press('n');
    const [next] = of('ana').find(([from]) => from > first);
    ok(await comesTo(page, next, 5), 'N: and to the next, who spoke before');
    await page.getByRole('button', { name: 'Bea: what they say next' }).click();
    const [again] = of('Bea').find(([from]) => from > next) ?? of('Bea')[0];
    ok(await comesTo(page, again, 5), 'to what one of them says next');
    await context.close();
}

// with a mouse, with keys, by link; and where one was is where one comes back to

async function ways(browser) {
    const { id } = await recorded;
    const { page, context } = await person(browser, url);
    await context.addInitScript(() => {
        globalThis.keys = {};
        const { setActionHandler } = MediaSession.prototype;
        MediaSession.prototype.setActionHandler = function (name, action) {
            keys[name] = action;
            return setActionHandler.call(this, name, action);
        };
    });
    const audio = page.locator('.player audio');
    const length = async () => audio.evaluate((a) => a.duration);
    const here = `${url}/space.html?id=${id}`;

    await page.goto(`${here}#t=2`);
    ok(await comesTo(page, 2), 'a link to a moment');
    await page.getByRole('button', { name: 'Forward 15 seconds' }).click();
    ok(await comesTo(page, 17), '15 seconds forward');
    await page.getByRole('button', { name: 'Back 15 seconds' }).click();
    ok(await comesTo(page, 2), 'and back');
    await page.evaluate(() => { location.hash = 't=0:20'; });
    ok(await comesTo(page, 20), 'another moment, in the same page');

    await page.locator('h1').click();
    for (const [key, at] of [['j', 5], ['l', 20], ['ArrowLeft', 5],
                             ['ArrowRight', 20], ['Home', 0],
                             ['3', 0.3 * await length()],
                             ['End', await length()]]) {
        await page.keyboard.press(key);
        ok(await comesTo(page, at), `${key}: to ${at} s`);
    }
    await page.keyboard.press('0');
    for (const [key, paused] of [[' ', false], ['k', true]]) {
        await page.keyboard.press(key);
        ok(await until(() => audio.evaluate((a, p) => a.paused === p, paused)),
           `"${key}": ${paused ? 'pauses' : 'plays'}`);
    }

    const speed = page.getByLabel('Speed');
    is((await speed.locator('option').allTextContents()).join(' '),
       '0.5× 0.75× 1× 1.25× 1.5× 1.75× 2×', 'from half to twice as fast');
    await page.keyboard.press('>');
    is(await audio.evaluate((a) => a.playbackRate), 1.25, '> is faster');
    await page.keyboard.press('<');
    is(await audio.evaluate((a) => a.playbackRate), 1, '< is slower');
    for (const rate of ['0.5', '2']) {
        await speed.selectOption(rate);
        is(await audio.evaluate((a) => a.playbackRate), Number(rate),
           `${rate} times as fast`);
    }

    // the keys of a keyboard or a headset
    await audio.evaluate((a) => a.play());
    ok(await until(() => page.evaluate(() =>
           navigator.mediaSession.metadata?.title === 'Two in turns'
           && navigator.mediaSession.metadata.artist === 'ana')),
       'the title is on the lock screen');
    await page.evaluate(() => keys.pause());
    ok(await until(() => audio.evaluate((a) => a.paused)), 'which pauses');
    await page.evaluate(() => keys.seekto({ seekTime: 8 }));
    ok(await comesTo(page, 8), 'seeks');
    await page.evaluate(() => keys.seekforward({}));
    ok(await comesTo(page, 23), 'and goes forward');
    await page.evaluate(() => keys.seekbackward({ seekOffset: 3 }));
    ok(await comesTo(page, 20), 'and back');

    // another visit
    await page.goto('about:blank');
    await page.goto(here);
    ok(await comesTo(page, 20), 'where one stopped is kept');
    is(await audio.evaluate((a) => a.playbackRate), 2, 'and how fast it was');
    await page.goto(`${url}/`);
    await page.locator(`[data-space="${id}"]`)
        .getByRole('button', { name: /^Listen/ }).click();
    ok(await comesTo(page, 20, 10), 'in the timeline, too');
    for (const name of ['Download', 'Edit', 'Delete']) {
        is(await page.getByText(name, { exact: true }).count(), 0,
           `who is not the host has no ${name}`);
    }
    await context.close();
}

// its start and end by mouse, finger and key

async function clip(browser) {
    const { id } = await recorded;
    const options = { name: 'ana', hasTouch: true };
    const { page, context, trouble } = await person(browser, url, options);
    await page.goto(`${url}/space.html?id=${id}#t=4`);
    await page.locator('.lanes').waitFor();
    await comesTo(page, 4);
    await page.getByRole('button', { name: 'Clip', exact: true }).click();
    await page.getByRole('heading', { name: 'Share a clip' }).waitFor();
    const box = page.locator('.clip-box');
    const start = page.getByRole('slider', { name: 'Start' });
    const end = page.getByRole('slider', { name: 'End' });
    const value = async (handle) => Number(await handle.inputValue());
    const whole = Number(await end.getAttribute('max'));
    const near = async (handle, at, name) => {
        const now = await value(handle);
        ok(Math.abs(now - at) < 0.5, name, `${now} is not ${at}`);
    };
    const place = async () => {
        await box.scrollIntoViewIfNeeded();
        const { x, y, width, height } = await box.boundingBox();
        return { y: y + height / 2, at: (part) => x + part * width };
    };

    let { y, at } = await place();
    await page.mouse.move(at(0.02), y);
    await page.mouse.down();
    await page.mouse.move(at(0.2), y, { steps: 4 });
    await page.mouse.move(at(0.3), y, { steps: 4 });
    await page.mouse.up();
    await near(start, 0.3 * whole, 'the start is dragged');
    await page.mouse.move(at(0.4), y);
    await near(start, 0.3 * whole, 'and stays where it was left');

    const touch = await context.newCDPSession(page);
    const finger = (type, ...points) => touch.send('Input.dispatchTouchEvent', {
        type, touchPoints: points.map((part) => ({ x: at(part), y })) });
    await finger('touchStart', 0.9);
    await finger('touchMove', 0.8);
    await finger('touchMove', 0.6);
    await finger('touchEnd');
    await near(end, 0.6 * whole, 'the end goes with a finger');

    const before = await value(start);
    await start.focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Shift+ArrowRight');
    ok(Math.abs(await value(start) - before - 1.1) < 0.01,
       'an arrow is a second, with Shift a tenth');
    await end.focus();
    await page.keyboard.press('Home');
    ok(Math.abs(await value(end) - await value(start) - 1) < 0.01,
       'the end stays behind the start');
    const close = Math.round(10 * await value(end) - 5) / 10;
    await page.getByRole('textbox', { name: 'Start' }).fill(`${close}`);
    await page.getByRole('textbox', { name: 'Start' }).press('Enter');
    is(await value(start), close, 'typed too near to the end,');
    ok(Math.abs(await value(end) - close - 1) < 0.01, 'which goes along');
    await page.getByRole('textbox', { name: 'Start' }).fill('0:13.5');
    await page.getByRole('textbox', { name: 'Start' }).press('Enter');
    await page.getByRole('textbox', { name: 'End' }).fill('0:19.5');
    await page.getByRole('textbox', { name: 'End' }).press('Enter');
    is(`${await value(start)} ${await value(end)}`, '13.5 19.5', 'typed');
    await page.getByText('6 seconds long').waitFor();
    await accessible(page, 'the choice of a clip');
    for (const width of [320, 1440]) {
        await page.setViewportSize({ width, height: 800 });
        await fits(page, `the choice of a clip, ${width}`);
    }
    const heard = hears(page, 1000);
    await page.getByRole('button', { name: 'Hear the clip' }).click();
    ok(await heard, 'heard');
    await page.getByRole('button', { name: 'Hear the clip' }).waitFor();
    ok(true, 'to its end');
    await page.getByRole('button', { name: 'Share the clip' }).click();
    const link = await page.getByLabel('Link to the clip, 0:13.5 to 0:19.5')
        .inputValue();
    is(await page.evaluate(() => navigator.clipboard.readText()), link,
       'the link is in the clipboard');
    await page.keyboard.press('Escape');
    await page.locator('.links').getByText('0:13.5 to 0:19.5').waitFor();
    ok(true, 'and among the links');
    is(trouble.join('\n'), '', 'without an error');
    await context.close();
}

async function links(browser) {
    const { id, title } = await recorded;
    const { page, context } = await person(browser, url, { name: 'ana' });
    const stranger = await person(browser, url);
    const make = async (label, choice) => {
        await page.getByLabel('What it is for').fill(label);
        await page.getByLabel('It opens for').selectOption(choice);
        await page.getByRole('button', { name: 'Make a link' }).click();
        const link = await page.getByLabel('Link to the recording').inputValue();
        await page.keyboard.press('Escape');
        await page.locator('.links').getByText(label).waitFor();
        return link;
    };
    await page.goto(`${url}/space.html?id=${id}`);
    const bob = await make('for Bob', 'a day');
    const eve = await make('for Eve', 'as long as it can');
    const item = page.locator('.links li', { hasText: 'for Bob' });
    const { shares } = await (await page.request.get(
        `${url}/spaces/${id}/shares`)).json();
    const opens = new Date(shares.find(({ label }) => label === 'for Bob')
        .expires_at).toLocaleDateString('en-GB',
            { day: 'numeric', month: 'long', timeZone: 'UTC' });
    await item.getByText(`opens until`).waitFor();
    ok((await item.textContent()).includes(opens), `until ${opens}`,
       await item.textContent());
    await accessible(page, 'the links');
    for (const link of [bob, eve]) {
        await stranger.page.goto(link);
        await stranger.page.getByRole('heading', { name: title }).waitFor();
    }
    await stranger.page.locator('.lanes li').nth(1).waitFor();
    await stranger.page.locator('.seek-wave').waitFor();
    ok(true, 'its page has a waveform, and who spoke when');
    for (const width of [320, 1440]) {
        await stranger.page.setViewportSize({ width, height: 800 });
        await fits(stranger.page, `the page of a link, ${width}`);
    }
    const framed = await person(browser, url);
    await framed.page.goto(`${eve}/embed`);
    await framed.page.locator('audio').evaluate((a) => a.play());
    ok(await hears(framed.page, 440), 'the player for frames plays');
    await framed.page.locator('audio').evaluate((a) => { a.currentTime = 13; });
    ok(await hears(framed.page, 1000), 'and seeks');
    await accessible(framed.page, 'the player for frames');

    await item.getByRole('button', { name: 'Revoke: for Bob' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await item.waitFor({ state: 'detached' });
    is((await framed.page.goto(bob)).status(), 404, 'a link is revoked');
    await accessible(framed.page, 'what a revoked link shows');
    is((await stranger.page.goto(eve)).status(), 200, 'the others open');
    for (const { trouble, context: other } of [stranger, framed]) {
        is(trouble.join('\n'), '', 'without an error');
        await other.close();
    }
    await context.close();
}

// links that have no name, and one that has a long one

async function names(browser) {
    const { id } = await recorded;
    const { page, context } = await person(browser, url, { name: 'ana' });
    await post(`${url}/spaces/${id}/shares`, 'ana', {});
    await page.waitForTimeout(1100);     // the server tells seconds
    await post(`${url}/spaces/${id}/shares`, 'ana', {});
    await post(`${url}/spaces/${id}/shares`, 'ana', { label: 'x'.repeat(150) });
    await page.goto(`${url}/space.html?id=${id}`);
    const unnamed = page.locator('.links li')
        .filter({ has: page.getByText('A link', { exact: true }) })
        .getByRole('button');
    await unnamed.first().waitFor();
    const called = await unnamed.evaluateAll((all) =>
        all.map((button) => button.getAttribute('aria-label')));
    ok(called.length > 1 && new Set(called).size === called.length
       && called.every((name) => name.startsWith('Revoke: A link, made ')),
       'what has no name is told apart by when it was made', called.join('\n'));

    await page.getByRole('button', { name: /^Revoke: xxx/ }).click();
    const close = page.getByRole('button', { name: 'Close' });
    for (const width of [320, 1440]) {
        await page.setViewportSize({ width, height: 800 });
        const box = await close.boundingBox();
        is(`${box.width} ${box.height}`, '44 44',
           `a long title leaves room to close it, ${width}`);
        await fits(page, `a long title, ${width}`);
    }
    await context.close();
}

async function changes(browser) {
    const { id } = await recorded;
    const { page, context } = await person(browser, url, { name: 'ana' });
    await page.goto(`${url}/space.html?id=${id}`);
    await page.getByRole('button', { name: 'Edit' }).click();
    const before = (await get(`/spaces/${id}`)).title;
    const patches = [];
    page.on('request', (request) => request.method() === 'PATCH'
        && patches.push(request));
    await page.getByLabel('Title').fill('   ');
    await page.getByLabel('Title').press('Enter');
    await page.getByRole('button', { name: 'Save' }).click();
    ok(await page.getByLabel('Title').evaluate((e) => e.validity.valueMissing),
       'a title of blanks is none, and the browser says so');
    is(`${patches.length} ${(await get(`/spaces/${id}`)).title}`, `0 ${before}`,
       'and nothing is sent');
    await page.getByLabel('Title').fill('  Renamed ');
    await page.getByRole('textbox', { name: 'Topics' }).fill('one, #two, three, four');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('dialog').getByRole('alert').waitFor();
    ok(true, 'what is wrong is said, and nothing lost');
    await page.getByRole('textbox', { name: 'Topics' }).fill('one, #two');
    await page.getByLabel('Language spoken').selectOption('French');
    await accessible(page, 'the change');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Renamed' }).waitFor();
    await page.getByText('French').waitFor();
    const now = await get(`/spaces/${id}`);
    is(`${now.title}: ${now.topics.join()} ${now.language}`,
       'Renamed: one,two fr', 'title, topics and language are changed');

    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download' }).click();
    is((await download).suggestedFilename(), 'Renamed.opus',
       'the host downloads it by its title');
    await context.close();
}

await run(studio, speakers, ways, clip, links, names, changes);
