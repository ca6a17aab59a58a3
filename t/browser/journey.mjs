// Copyright (C) Spaces for nginx contributors

// The whole way in a browser: a host goes live, a speaker comes by invitation,
// a listener hears; it ends, is replayed, shared, and deleted.

import { accessible, finish, is, launch, ok, person, until }
    from './lib.mjs';

const url = process.argv[2];
const TITLE = '<b>Rivers</b> & <img src=x onerror=alert(1)>';

// the loudest that a meter has shown, once it shows something
async function heard(page, selector) {
    let most = 0;
    await until(async () => {
        most = Math.max(most, Number(await page.locator(selector)
                                     .getAttribute('data-level')));
        return most > 0.02;
    });
    return most;
}

// what an <audio> of the page plays, root mean square
const rmsOf = (page, selector) => page.evaluate(async (s) => {
    const audio = document.querySelector(s);
    // Chromium captures nothing of what has not begun
    while (!(audio.currentTime > 0)) {
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const context = new AudioContext();
    await context.resume();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(audio.captureStream()).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let most = 0;
    for (let i = 0; i < 600 && most < 0.02; i++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        analyser.getFloatTimeDomainData(samples);
        most = Math.max(most, Math.sqrt(samples.reduce((a, x) => a + x * x, 0)
                                        / samples.length));
    }
    await context.close();
    return most;
}, selector);

async function journey() {
    const host = await person(browser, url);
    const guest = await person(browser, url, { name: 'Bea' });
    const listener = await person(browser, url);

    // nobody yet

    await listener.page.goto(`${url}/`);
    await listener.page.getByText('Nobody has talked yet').waitFor();
    await accessible(listener.page, 'the empty timeline');

    // the host logs in, says loudly to be a demonstration

    await host.page.goto(`${url}/studio.html`);
    await host.page.locator('main').getByRole('button', { name: 'Log in' })
        .click();
    await host.page.getByText('This is a demonstration.').waitFor();
    await accessible(host.page, 'the login');
    await host.page.getByLabel('Your name').fill('Zoë');
    await host.page.getByRole('button', { name: 'Continue' }).click();

    // creates: recording is off until it is turned on

    const record = host.page.getByLabel('Record this Space');
    is(await record.isChecked(), false, 'recording is off by default');
    await accessible(host.page, 'the form');
    await host.page.getByLabel('Title').fill(TITLE);
    await record.check();
    await host.page.getByLabel('Topics').fill('rivers, #maps');
    await host.page.getByRole('button', { name: 'Continue to the studio' })
        .click();

    // tries the microphone

    await host.page.getByRole('heading', { name: TITLE }).waitFor();
    ok(true, 'a title with markup is text');
    await host.page.locator('#recording')
        .getByText('This Space will be recorded').waitFor();
    await host.page.getByRole('button', { name: 'Test the microphone' }).click();
    await host.page.getByText('It works: you can be heard.').waitFor();
    ok(true, 'the microphone is heard');
    await accessible(host.page, 'the microphone test');
    const id = new URL(host.page.url()).searchParams.get('id');

    // goes live

    await host.page.getByRole('button', { name: 'Go live' }).click();
    await host.page.locator('#recording')
        .getByText('This Space is being recorded').waitFor();
    await host.page.getByText('The connection is good.').waitFor();
    ok(true, 'the host is live, and told that it is recorded');
    ok(await until(async () => (await host.page.locator('#announcer')
           .textContent()) === 'This Space is being recorded'),
       'which is read out');

    // the timeline shows it by itself

    const card = listener.page.locator(`[data-space="${id}"]`);
    await card.getByText('Recording', { exact: true }).waitFor();
    ok(true, 'the card appears, marked');
    await accessible(listener.page, 'the timeline');

    // a speaker is invited

    await host.page.getByLabel('Invite a speaker').fill('Bea');
    await host.page.getByRole('button', { name: 'Make a link' }).click();
    const invitation = await host.page.getByRole('textbox', { name: 'Invitation' })
        .inputValue();
    await accessible(host.page, 'the invitation');
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
    ok(await heard(guest.page, '[data-of=others]') > 0.02,
       'the speaker hears the host');
    ok(await heard(host.page, '[data-of=others]') > 0.02,
       'the host hears the speaker');
    await accessible(host.page, 'the studio on the air');

    // a listener

    await card.getByRole('link', { name: /^Listen live/ }).click();
    await listener.page.locator('#recording')
        .getByText('This Space is being recorded').waitFor();
    await listener.page.getByRole('button', { name: 'Listen live' }).click();
    await listener.page.getByText('You hear it live').waitFor();
    ok(await heard(listener.page, '[data-of=room]') > 0.02,
       'the listener hears it');
    await listener.page.locator('.tile', { hasText: 'Zoë' }).waitFor();
    await host.page.getByText('1 listener').waitFor();
    ok(true, 'and is counted');
    await accessible(listener.page, 'the live page');

    await listener.page.evaluate(() => {
        const Old = Audio;
        globalThis.Audio = function (src) {
            globalThis.lastAudio = new Old(src);
            lastAudio.id = 'last-audio';
            document.body.append(lastAudio);
            return lastAudio;
        };
    });
    await listener.page.getByRole('button', { name: 'From the beginning' })
        .click();
    await listener.page.getByText('You hear it from the beginning').waitFor();
    ok(await rmsOf(listener.page, '#last-audio') > 0.02,
       'back at the beginning while it goes on');
    await listener.page.getByRole('button', { name: 'Back to the present' })
        .click();
    await listener.page.getByText('You hear it live').waitFor();
    ok(await heard(listener.page, '[data-of=room]') > 0.02, 'and in the present');

    // muted by the host, and not

    const tile = host.page.locator('.tile', { hasText: 'Bea' });
    await tile.getByRole('button', { name: 'Mute Bea' }).click();
    await guest.page.locator('.tile', { hasText: 'Bea' })
        .getByText('Muted by the host').waitFor();
    ok(true, 'the speaker is muted');
    await tile.getByRole('button', { name: 'Unmute Bea' }).click();
    await tile.getByRole('button', { name: 'Mute Bea' }).waitFor();
    await host.page.keyboard.press('m');
    await host.page.getByRole('button', { name: 'Unmute yourself' }).waitFor();
    await host.page.keyboard.press('m');
    await host.page.getByRole('button', { name: 'Mute yourself' }).waitFor();
    ok(true, 'the host mutes with a key');

    // the connection is lost, and comes back into the same Space

    await guest.page.evaluate(() => sockets.at(-1).close());
    await guest.page.getByText('The connection was lost.').waitFor();
    await guest.page.getByText('The connection is good.').waitFor();
    await tile.waitFor();
    ok(await heard(guest.page, '[data-of=others]') > 0.02,
       'a speaker who is cut off comes back, and hears again');

    // removed

    await tile.getByRole('button', { name: 'Remove Bea' }).click();
    await host.page.getByRole('dialog')
        .getByRole('button', { name: 'Remove' }).click();
    await tile.waitFor({ state: 'detached' });
    await guest.page.locator('#problem').waitFor();
    ok(true, 'a speaker is removed, and told so');

    // the end

    await host.page.getByRole('button', { name: 'End the Space' }).click();
    await accessible(host.page, 'the question before the end');
    await host.page.getByRole('dialog')
        .getByRole('button', { name: 'End the Space' }).click();
    await host.page.getByText('The recording is ready').waitFor();
    ok(true, 'ended: the host has the recording');
    await listener.page.locator('.player').waitFor();
    await listener.page.locator('#recording')
        .getByText('This Space was recorded').waitFor();
    ok(true, 'ended: so has the listener, on the same page');

    // the card plays in place

    await listener.page.goto(`${url}/`);
    await card.getByText('Recorded', { exact: true }).waitFor();
    await card.getByRole('button', { name: /^Listen/ }).click();
    ok(await rmsOf(listener.page, '.player audio') > 0.02,
       'the card plays, and it sounds');
    await accessible(listener.page, 'a card that plays');

    // seeks

    const audio = card.locator('audio');
    const length = await audio.evaluate((a) => a.duration);
    ok(length > 3 && Number.isFinite(length), `it is ${length} s long`);
    const box = await card.locator('.seek').boundingBox();
    await listener.page.mouse.click(box.x + box.width * 0.7,
                                    box.y + box.height / 2);
    ok(await until(() => audio.evaluate((a) =>
           !a.seeking && a.currentTime > 0.66 * a.duration)), 'seeks to 70 %');
    ok(await until(() => audio.evaluate((a) =>
           a.paused || a.currentTime > 0.71 * a.duration)), 'and plays on');
    await card.locator('.seek-range').press('3');
    ok(await until(() => audio.evaluate((a) =>
           !a.seeking && a.currentTime >= 0.29 * a.duration
           && a.currentTime < 0.69 * a.duration)), '3: to 30 %');
    await card.getByLabel('Speed').selectOption('2');
    is(await audio.evaluate((a) => a.playbackRate), 2, 'twice as fast');
    await card.getByRole('button', { name: 'Pause' }).click();

    // where one stopped is kept

    const at = await audio.evaluate((a) => a.currentTime);
    await audio.evaluate((a) => { a.currentTime = a.duration * 0.9; });
    await until(() => audio.evaluate((a) => !a.seeking));
    await listener.page.goto(`${url}/space.html?id=${id}`);
    const page = listener.page.locator('.player audio');
    ok(await until(() => page.evaluate((a) => a.currentTime > 3)),
       `kept over pages (was ${at})`);
    await listener.page.goto('about:blank');
    await listener.page.goto(`${url}/space.html?id=${id}#t=2`);
    ok(await until(() => page.evaluate((a) => a.readyState > 0
                                              && Math.abs(a.currentTime - 2) < 0.1)),
       'a link to a moment');
    await accessible(listener.page, 'the player');
    is(await listener.page.getByRole('link', { name: 'Download' }).count(), 0,
       'who is not the host gets no download button');

    // shares

    await host.page.goto(`${url}/space.html?id=${id}`);
    const download = host.page.waitForEvent('download');
    await host.page.getByRole('link', { name: 'Download' }).click();
    ok(/\.(opus|ogg)$/.test((await download).suggestedFilename()),
       'the host downloads it');
    await host.page.getByRole('button', { name: 'Share' }).click();
    const link = await host.page.getByLabel('Link to the recording').inputValue();
    is(await host.page.evaluate(() => navigator.clipboard.readText()), link,
       'the link is in the clipboard');
    await host.page.keyboard.press('Escape');
    const stranger = await person(browser, url);
    await stranger.page.goto(link);
    ok(await until(() => stranger.page.locator('audio').evaluate((a) =>
           a.readyState >= 1 && a.duration > 3)),
       'the share link opens for a stranger');

    // deleted

    await host.page.getByRole('button', { name: 'Delete' }).click();
    await host.page.getByRole('dialog')
        .getByRole('button', { name: 'Delete' }).click();
    await host.page.getByRole('heading', { name: 'The recording was deleted' })
        .waitFor();
    ok(true, 'deleted');
    await listener.page.reload();
    await listener.page.getByRole('heading', { name: /deleted/ }).waitFor();
    await accessible(listener.page, 'what is gone');
    is((await stranger.page.goto(link)).status(), 410, 'the link is gone');
    await listener.page.goto(`${url}/`);
    await listener.page.getByText('Nobody has talked yet').waitFor();
    ok(true, 'and so is the card');

    // what nobody saw

    for (const [name, { trouble, requests }] of Object.entries(
        { host, guest, listener })) {
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

    // another language

    const autre = await person(browser, url, { locale: 'fr-FR' });
    await autre.page.goto(`${url}/`);
    await autre.page.getByRole('heading', { name: 'À l’écoute' }).waitFor();
    is(await autre.page.locator('html').getAttribute('lang'), 'fr', 'French');
}

const browser = await launch();

try {
    await journey();
} catch (error) {
    ok(false, 'the journey goes on to its end', error.stack);
} finally {
    await browser.close();
}
finish();
