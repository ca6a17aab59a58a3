// Copyright (C) Spaces for nginx contributors

// Each page, in both themes, wide and narrow. The same Spaces for all of them:
// two that are recorded, one that is live with two speakers, one to come.

import { mkdirSync } from 'node:fs';
import { launch, person, post as postTo, send, until } from './lib.mjs';

const [url, folder] = process.argv.slice(2);

const post = (path, name, body) => postTo(url + path, name, body);

const SIZES = { wide: { width: 1280, height: 860 },
                narrow: { width: 360, height: 740 } };

const TALK = 'A bridge hums when the wind finds its length. We put an ear to '
    + 'the rail and waited. First there was nothing, then a note, and after a '
    + 'while another one, very low, that came from the cables. ';

mkdirSync(folder, { recursive: true });

const browser = await launch();
try {
    await all();
} finally {
    await browser.close();
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

// two who take turns, so that there is something to see in it
async function conversation(name, guest, fields) {
    const space = await post('/spaces', name, { record: true, ...fields });
    const { token } = await post(`/spaces/${space.id}/speakers`, name,
                                 { name: guest });
    const talk = (as, voice, seconds, when) =>
        send(`${url}/spaces/${space.id}/ingest?token=${as}`,
             `flite=voice=${voice}:text='${TALK.repeat(4)}'`, seconds, when);
    const host = talk(space.token, 'slt', 48,
                      'lt(t,11)+between(t,22,27)+gt(t,38)');
    await until(async () => (await (await fetch(`${url}/spaces/${space.id}`))
        .json()).state === 'live');
    await Promise.all([host, talk(token, 'rms', 46,
                                  'between(t,10,24)+between(t,27,39)')]);
    await post(`/spaces/${space.id}/end`, name, {});
    return space;
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
    const old = await conversation('Claire Dubois', 'Bea Novak', {
        title: 'Why bridges sing', topics: ['architecture', 'sound'],
        language: 'en' });
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
            const shot = async (page, name, fullPage = true) => {
                const file = `${folder}/${name}-${size}-${colorScheme}.png`;
                await page.screenshot({ path: file, fullPage,
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
            await listener.page.goto(`${url}/space.html?id=${old.id}#t=19`);
            await listener.page.locator('.lanes li').nth(1).waitFor();
            await listener.page.locator('.seek-wave').waitFor();
            await shot(listener.page, 'player');
            await listener.page.getByRole('button', { name: 'Share' }).click();
            const link = await listener.page.getByLabel('Link to the recording')
                .inputValue();
            await shot(listener.page, 'share', false);
            await listener.page.keyboard.press('Escape');
            await listener.page.getByRole('button', { name: 'Clip' }).click();
            await listener.page.getByRole('textbox', { name: 'Start' })
                .fill('0:11');
            await listener.page.getByRole('textbox', { name: 'Start' })
                .press('Enter');
            await listener.page.getByRole('textbox', { name: 'End' })
                .fill('0:24.5');
            await listener.page.getByRole('textbox', { name: 'End' })
                .press('Enter');
            await shot(listener.page, 'clip');
            await listener.page.getByRole('button', { name: 'Edit' }).click();
            await shot(listener.page, 'edit', false);
            await listener.page.goto(link);
            await listener.page.locator('.lanes li').nth(1).waitFor();
            await shot(listener.page, 'link');
            const frame = await view();
            await frame.page.setViewportSize({ width: 480, height: 140 });
            await frame.page.goto(`${link}/embed`);
            await frame.page.waitForLoadState('networkidle');
            await shot(frame.page, 'embed');
            await frame.page.goto(`${url}/s/none`);
            await shot(frame.page, 'nothing-there');
            await frame.context.close();
            await listener.page.goto(`${url}/studio.html`);
            await listener.page.getByLabel('Title').waitFor();
            await shot(listener.page, 'create');
            await listener.page.locator('#who button').click();
            await shot(listener.page, 'login', false);
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
