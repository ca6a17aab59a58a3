// Copyright (C) Spaces for nginx contributors

// What a share link shows: the recording, or the clip that the link is for.
// share.html has the facts, as nginx has written them into it.

import { $, avatar, el } from './dom.js';
import { parseClock } from './format.js';
import { RecordingMark } from './marks.js';
import { Player } from './player.js';
import { fragment, holdToken } from './session.js';
import { shell } from './shell.js';
import { t } from './strings.js';

shell();

const main = $('#main');
const title = $('#about h1').textContent;
const host = $('#about .host').textContent;
const token = decodeURIComponent(location.pathname.split('/').at(-1));
const space = {
    id: main.dataset.space, title, host, state: 'ended',
    recording: 'available', duration: parseClock(main.dataset.duration),
};

// for this page alone: who hosts it remains its host in the others
holdToken(space.id, token);

document.title = `${title} · ${t('brand')}`;
$('#about .host').replaceChildren(avatar(host, 'small'),
                                  el('span', {}, t('by', { name: host })));
new RecordingMark($('#recording')).show(space);

const player = new Player({
    space, key: token.slice(0, 8), keysOf: document, who: true,
    at: parseClock(fragment().get('t') ?? ''),
});
player.element.addEventListener('gone', ({ detail }) => {
    // the server says why, in a page
    if (detail === 404 || detail === 410) {
        location.reload();
    }
});
$('#space').replaceChildren(player.element, el('details', { class: 'keys' },
    el('summary', {}, t('keys')), el('p', {}, t('keys.text'))));
