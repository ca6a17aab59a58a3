// Copyright (C) Spaces for nginx contributors

// What every page has around its <main>: where one can go, words in the
// reader's language, who is calling, and whether there is a network.

import { pages } from './config.js';
import { login } from './dialogs.js';
import { $, avatar, el, icon } from './dom.js';
import { me } from './session.js';
import { language, languages, localize, setLanguage, t } from './strings.js';

// "here" is the page among those of the header, if it is one
export function shell(here) {
    localize(document);
    document.body.prepend(
        el('a', { class: 'skip', href: '#main' }, t('skip')),
        header(here), offline());
    document.body.append(footer(),
        el('div', { id: 'announcer', class: 'unseen', 'aria-live': 'polite' }));
}

function header(here) {
    const link = (name) => el('a', {
        href: pages[name](), 'aria-current': name === here ? 'page' : null,
    }, t(`nav.${name}`));
    const who = el('div', { id: 'who' });
    const show = () => who.replaceChildren(caller());
    document.addEventListener('login', show);
    show();
    return el('header', { class: 'site' }, el('div', { class: 'wide' },
        el('a', { class: 'brand', href: pages.timeline() },
           icon('brand'), el('span', {}, t('brand'))),
        el('nav', { 'aria-label': t('brand') },
           link('timeline'), link('studio')),
        who));
}

function caller() {
    const name = me();
    return el('button', {
        type: 'button', class: 'button quiet who', on: { click: login },
        'aria-label': name ? t('login.as', { name }) : null,
    }, name ? [avatar(name, 'small'), el('span', { class: 'who-name' }, name)]
            : t('login.title'));
}

function offline() {
    const banner = el('p', { class: 'banner', role: 'status' });
    const show = () => {
        banner.textContent = navigator.onLine ? '' : t('offline');
        banner.hidden = navigator.onLine;
    };
    addEventListener('online', show);
    addEventListener('offline', show);
    show();
    return banner;
}

function footer() {
    return el('footer', { class: 'site' }, el('div', { class: 'wide' },
        el('p', {}, t('footer')),
        el('div', { id: 'languages', role: 'group',
                    'aria-label': t('languages') },
           Object.entries(languages).map(([code, name]) => el('button', {
               type: 'button', class: 'text-button', lang: code,
               'aria-pressed': String(code === language()),
               on: { click: () => { setLanguage(code); location.reload(); } },
           }, name)))));
}

// a state of the page instead of its content: empty, gone, broken; a page that
// has no other heading has this one
export function notice({ title, text, action, kind = '' }) {
    const level = $('h1:not(.notice > *)') ? 'h2' : 'h1';
    return el('div', { class: `notice ${kind}` },
              el(level, {}, title), text && el('p', {}, text), action);
}
