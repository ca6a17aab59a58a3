// Copyright (C) Spaces for nginx contributors

// The whole way of a Space, once with WebCodecs and once with what MediaRecorder
// makes: a host goes live, a speaker comes by invitation, a listener hears both;
// it ends, is replayed, shared, clipped, and deleted.

import { accessible, hears, is, lookout, ok, person, post, run, until }
    from './lib.mjs';

const url = process.argv[2];
const TITLE = '<b>Rivers</b> & <img src=x onerror=alert(1)>';

const HOST = 440;
const SPEAKER = 1000;

// from the first click on: the host logs in, says what it is to be, and tries
// the microphone
async function beginning(host) {
    await host.page.goto(`${url}/studio.html`);
    await host.page.locator('main').getByRole('button', { name: 'Log in' })
        .click();
    await host.page.getByText('This is a demonstration.').waitFor();
    await accessible(host.page, 'the login');
    await host.page.getByLabel('Your name').fill('Zoë');
    await host.page.getByRole('button', { name: 'Continue' }).click();

    const record = host.page.getByLabel('Record this Space');
    is(await record.isChecked(), false, 'recording is off by default');
    await accessible(host.page, 'the form');
    await host.page.getByLabel('Title').fill(TITLE);
    await record.check();
    await host.page.getByLabel('Topics').fill('rivers, #maps');
    await host.page.getByRole('button', { name: 'Continue to the studio' })
        .click();
    await host.page.getByRole('heading', { name: TITLE }).waitFor();
    ok(true, 'a title with markup is text');

    await host.page.getByRole('button', { name: 'Test the microphone' }).click();
    await host.page.getByText('It works: you can be heard.').waitFor();
    ok(true, 'the microphone is heard');
    await accessible(host.page, 'the microphone test');
    return new URL(host.page.url()).searchParams.get('id');
}

async function goLive(host) {
    await host.page.locator('#recording')
        .getByText('This Space will be recorded').waitFor();
    await host.page.getByRole('button', { name: 'Go live' }).click();
    await host.page.locator('#recording')
        .getByText('This Space is being recorded').waitFor();
    await host.page.getByText('The connection is good.').waitFor();
    ok(true, 'the host is live, and told that it is recorded');
    ok(await until(async () => (await host.page.locator('#announcer')
           .textContent()) === 'This Space is being recorded'),
       'which is read out');
}

async function invited(host, guest) {
    await host.page.getByLabel('Invite a speaker').fill('Bea');
    await host.page.getByRole('button', { name: 'Make a link' }).click();
    const invitation = await host.page
        .getByRole('textbox', { name: 'Invitation' }).inputValue();
    await host.page.keyboard.press('Escape');
    ok(/\/studio\.html\?id=\w+#token=/.test(invitation),
       'the token is in the fragment');

    await guest.page.goto(invitation);
    await guest.page.locator('#recording')
        .getByText('This Space is being recorded').waitFor();
    ok(!guest.page.url().includes('token'), 'and taken out of the address');
    await guest.page.getByRole('button', { name: 'Join and talk' }).click();
    await host.page.locator('.tile', { hasText: 'Bea' }).waitFor();
    ok(true, 'the host sees the speaker');
}

async function listens(host, listener, packets) {
    const { page } = listener;
    await page.locator('#recording')
        .getByText('This Space is being recorded').waitFor();
    await page.getByRole('button', { name: 'Listen live' }).click();
    await page.getByText('You hear it live').waitFor();
    ok(await hears(page, HOST, SPEAKER), 'the listener hears both');
    is(await page.evaluate(() => sockets.length), packets ? 1 : 0,
       packets ? 'in packets' : 'as a stream');
    await page.locator('.tile', { hasText: 'Zoë' }).waitFor();
    await host.page.getByText('1 listener').waitFor();
    ok(true, 'and is counted');

    await page.getByRole('button', { name: 'From the beginning' }).click();
    await page.getByText('You hear it from the beginning').waitFor();
    ok(await hears(page, HOST), 'back at the beginning while it goes on');
    await page.getByRole('button', { name: 'Back to the present' }).click();
    await page.getByText('You hear it live').waitFor();
    ok(await hears(page, HOST, SPEAKER), 'and in the present');
}

async function replayed(listener, id) {
    const { page } = listener;
    await page.goto(`${url}/`);
    const card = page.locator(`[data-space="${id}"]`);
    await card.getByText('Recorded', { exact: true }).waitFor();
    await card.getByRole('button', { name: /^Listen/ }).click();
    ok(await hears(page, HOST), 'the card plays, and it sounds');
    await card.locator('.seek-wave').waitFor();
    ok(true, 'with its waveform');

    const audio = card.locator('audio');
    const length = await audio.evaluate((a) => a.duration);
    ok(length > 3 && Number.isFinite(length), `it is ${length} s long`);
    const box = await card.locator('.seek').boundingBox();
    await page.mouse.click(box.x + box.width * 0.7, box.y + box.height / 2);
    ok(await until(() => audio.evaluate((a) =>
           !a.seeking && a.currentTime > 0.66 * a.duration)), 'seeks to 70 %');
    ok(await hears(page, HOST, SPEAKER), 'where both are heard');
    return length;
}

async function clipped(host, browser, id, length) {
    const { page } = host;
    await page.goto(`${url}/space.html?id=${id}`);
    await page.locator('.lanes').getByText('Bea').waitFor();
    ok(true, 'who spoke when is told');
    await page.getByRole('button', { name: 'Clip' }).click();
    for (const [name, part] of [['Start', 0.6], ['End', 0.9]]) {
        const field = page.getByRole('textbox', { name });
        await field.fill((part * length).toFixed(1));
        await field.press('Enter');
    }
    const heard = hears(page, HOST, SPEAKER);
    await page.getByRole('button', { name: 'Hear the clip' }).click();
    ok(await heard, 'a clip is heard before it is shared');
    await page.getByRole('button', { name: 'Share the clip' }).click();
    const link = await page.getByLabel('Link to the clip').inputValue();
    await page.keyboard.press('Escape');

    const stranger = await person(browser, url);
    await stranger.page.goto(link);
    const plays = hears(stranger.page, HOST, SPEAKER);
    await stranger.page.getByRole('button', { name: 'Play' }).click();
    ok(await plays, 'the clip plays');
    const lasts = await stranger.page.locator('audio')
        .evaluate((a) => a.duration);
    ok(Math.abs(lasts - 0.3 * length) < 0.5, `it is ${lasts} s long`,
       `not ${0.3 * length}`);
    await stranger.context.close();
}

async function story(browser, gone = []) {
    const host = await person(browser, url, { voice: HOST, gone });
    const guest = await person(browser, url, { voice: SPEAKER, gone });
    const listener = await person(browser, url, { gone });
    const packets = !gone.length;

    let id;
    if (packets) {
        await listener.page.goto(`${url}/`);
        await listener.page.getByText('Nobody has talked yet').waitFor();
        await accessible(listener.page, 'the empty timeline');
        id = await beginning(host);
        await goLive(host);
        // the timeline shows it by itself
        const card = listener.page.locator(`[data-space="${id}"]`);
        await card.getByText('Recording', { exact: true }).waitFor();
        ok(true, 'the card appears, marked');
        await accessible(listener.page, 'the timeline');
        await card.getByRole('link', { name: /^Listen live/ }).click();
    } else {
        await host.context.addCookies([{ name: 'spaces_user', url,
                                         value: 'Zoë' }]);
        ({ id } = await post(`${url}/spaces`, 'Zoë', { title: TITLE,
                                                       record: true }));
        await host.page.goto(`${url}/studio.html?id=${id}`);
        await goLive(host);
        is(await host.page.evaluate(() => sockets.at(-1).protocol),
           'spaces.webm.v1', 'WebM is sent');
        await listener.page.goto(`${url}/space.html?id=${id}`);
    }

    await invited(host, guest);
    ok(await hears(guest.page, HOST), 'the speaker hears the host');
    ok(await hears(host.page, SPEAKER), 'the host hears the speaker');
    ok(!await host.page.evaluate((hz) => ears.some((ear) => tones(ear, [hz])),
                                 HOST), 'and not themself');
    if (packets) {
        await accessible(host.page, 'the studio on the air');
    }
    await listens(host, listener, packets);
    if (packets) {
        await accessible(listener.page, 'the live page');
    }

    // a speaker who is cut off comes back into the same recording
    const lost = await lookout(guest.page, 'The connection was lost.');
    await guest.page.evaluate(() => sockets.at(-1).close());
    ok(await lost(), 'a speaker who is cut off is told so');
    await guest.page.getByText('The connection is good.').waitFor();
    ok(await hears(listener.page, HOST, SPEAKER),
       'comes back, and is heard');

    await host.page.getByRole('button', { name: 'End the Space' }).click();
    if (packets) {
        await accessible(host.page, 'the question before the end');
    }
    await host.page.getByRole('dialog')
        .getByRole('button', { name: 'End the Space' }).click();
    await host.page.getByText('The recording is ready').waitFor();
    ok(true, 'ended: the host has the recording');
    await listener.page.locator('.player').waitFor();
    await listener.page.locator('#recording')
        .getByText('This Space was recorded').waitFor();
    ok(true, 'ended: so has the listener, on the same page');

    const length = await replayed(listener, id);
    await clipped(host, browser, id, length);
    await host.page.getByRole('button', { name: 'Share', exact: true }).click();
    const link = await host.page.getByLabel('Link to the recording').inputValue();
    await host.page.keyboard.press('Escape');
    const stranger = await person(browser, url, { gone });
    await stranger.page.goto(link);
    await stranger.page.getByRole('heading', { name: TITLE }).waitFor();
    await stranger.page.locator('#recording')
        .getByText('This Space was recorded').waitFor();
    await stranger.page.getByRole('button', { name: 'Play' }).click();
    ok(await hears(stranger.page, HOST),
       'the share link opens in a fresh browser, and plays');
    if (packets) {
        await accessible(stranger.page, 'the page of a link');
    }

    await host.page.getByRole('button', { name: 'Delete' }).click();
    await host.page.getByRole('dialog')
        .getByRole('button', { name: 'Delete' }).click();
    await host.page.getByRole('heading', { name: 'The recording was deleted' })
        .waitFor();
    ok(true, 'deleted');
    await listener.page.goto(`${url}/space.html?id=${id}`);
    await listener.page.getByRole('heading', { name: /deleted/ }).waitFor();
    if (packets) {
        await accessible(listener.page, 'what is gone');
    }
    is((await stranger.page.goto(link)).status(), 410, 'the link is gone');
    await stranger.page.getByText('the host has deleted it').waitFor();
    is((await stranger.page.goto(`${link}/embed`)).status(), 410,
       'so is the player for frames');
    await stranger.page.getByText('the host has deleted it').waitFor();
    ok(true, 'and both say why');
    await listener.page.goto(`${url}/`);
    await listener.page.getByText('Nobody has talked yet').waitFor();
    ok(true, 'and so is the card');

    // what nobody saw
    for (const [name, { trouble, requests }] of Object.entries(
        { host, guest, listener, stranger })) {
        is(trouble.join('\n'), '', `${name}: no error, and nothing that the `
                                   + 'Content-Security-Policy refused');
        is(requests.map((request) => request.url())
               .filter((u) => !u.startsWith(url) && !u.startsWith('about:'))
               .join(), '', `${name}: no request to anybody else`);
        is(requests.filter((request) => request.resourceType() === 'document'
                               && new URL(request.url()).searchParams
                                   .has('token')).length, 0,
           `${name}: no page with a token in its query`);
    }
    for (const { context } of [host, guest, listener, stranger]) {
        await context.close();
    }
}

await run(
    function codecs(browser) { return story(browser); },
    function recorder(browser) {
        return story(browser, ['AudioEncoder', 'AudioDecoder']);
    });
