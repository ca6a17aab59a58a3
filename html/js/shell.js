// Copyright (C) Spaces for nginx contributors

// What every page has around it: words in the reader's language, who is
// calling, and whether there is a network.

import { login } from './dialogs.js';
import { $, avatar, el } from './dom.js';
import { me } from './session.js';
import { language, languages, localize, setLanguage, t } from './strings.js';

export function shell() {
    localize(document);
    who();
    document.addEventListener('login', who);
    languageChoice();

    const offline = $('#offline');
    const online = () => { offline.hidden = navigator.onLine; };
    addEventListener('online', online);
    addEventListener('offline', online);
    online();
}

function who() {
    const name = me();
    $('#who').replaceChildren(el('button', {
        type: 'button', class: 'button quiet who', on: { click: login },
        'aria-label': name ? t('login.as', { name }) : null,
    }, name ? [avatar(name, 'small'), el('span', { class: 'who-name' }, name)]
            : t('login.title')));
}

function languageChoice() {
    $('#languages').replaceChildren(...Object.entries(languages).map(
        ([code, name]) => el('button', {
            type: 'button', class: 'text-button', lang: code,
            'aria-pressed': String(code === language()),
            on: { click: () => { setLanguage(code); location.reload(); } },
        }, name)));
}

// a state of the page instead of its content: empty, gone, broken
export function notice({ title, text, action, kind = '' }) {
    return el('div', { class: `notice ${kind}` },
              el('h2', {}, title), text && el('p', {}, text), action);
}
