// Copyright (C) Spaces for nginx contributors

// The timeline: what is live, what is to come, what was recorded.

import { languageOptions } from './about.js';
import { api } from './api.js';
import { Card } from './card.js';
import { pages } from './config.js';
import { $, announce, button, el } from './dom.js';
import { notice, shell } from './shell.js';
import { t } from './strings.js';

const REFRESH = 15000;

// Spaces that are asked for at first and with each "more", those that the server
// gives at once, and looks that bring nothing to show before that is enough
const PAGE = 12;
const MOST = 100;
const VAIN = 6;

// a browser has six connections to a server: these follow, the others wait
// for the next look at the list
const WATCHED = 2;

shell('timeline');

const filter = new URLSearchParams(location.search);
const shown = new Map();                 // id: Card
let serial = 0;
let busy = false;
let timer;

// "looked" are the Spaces that the server has given for it, "next" leads on
const sections = ['live', 'scheduled', 'ended'].map((state) => {
    const element = $(`#${state}`);
    const button = $('.more', element);
    const section = { state, element, button, list: $('ul', element),
                      looked: 0, next: null };
    button.addEventListener('click', () => more(section));
    return section;
});

// the filter: in the address, so that it can be kept and sent

const topic = $('#topic');
const languageField = $('#language');

languageField.append(...languageOptions());
topic.value = filter.get('topic') ?? '';
languageField.value = filter.get('language') ?? '';

function setFilter() {
    for (const [name, field] of [['topic', topic], ['language', languageField]]) {
        const value = field.value.trim().replace(/^#/, '');
        if (value) {
            filter.set(name, value);
        } else {
            filter.delete(name);
        }
    }
    const query = filter.toString();
    history.replaceState(null, '', location.pathname + (query ? `?${query}` : ''));
    load();
}

$('#filter').addEventListener('submit', (event) => {
    event.preventDefault();
    setFilter();
});
topic.addEventListener('change', setFilter);
languageField.addEventListener('change', setFilter);
$('#clear').addEventListener('click', () => {
    topic.value = languageField.value = '';
    setFilter();
    topic.focus();
});

function byTopic(name) {
    topic.value = name;
    setFilter();
    announce(t('filter.by', { topic: name }));
}

const query = (state, more) => ({
    state, ...more,
    ...Object.fromEntries(['topic', 'language'].filter((name) => filter.get(name))
                          .map((name) => [name, filter.get(name)])),
});

// a section is shown when there is something in it

function place(section, { spaces, looked, next }, { keep } = {}) {
    const { list, element, button } = section;
    const now = new Set(spaces.map(({ id }) => id));
    if (!keep) {
        for (const item of [...list.children]) {
            const card = shown.get(item.dataset.space);
            if (!now.has(item.dataset.space) && !card?.player) {
                card?.close();
                shown.delete(item.dataset.space);
                item.remove();
            }
        }
    }
    let before = keep ? null : list.firstElementChild;
    for (const space of spaces) {
        let card = shown.get(space.id);
        if (card && card.element.parentNode !== list) {
            card.close();
            card.element.remove();
            card = null;
        }
        if (!card) {
            card = new Card(space, { filter: byTopic, gone: () => refresh() });
            shown.set(space.id, card);
        } else if (JSON.stringify(card.space) !== JSON.stringify(space)) {
            card.update(space);
        }
        if (card.element === before) {
            before = before.nextElementSibling;
        } else {
            list.insertBefore(card.element, before);
        }
    }
    section.looked = looked + (keep ? section.looked : 0);
    section.next = next;
    button.hidden = !next;
    element.hidden = !next && list.children.length === 0;
}

function watch() {
    [...shown.values()].filter(({ space }) => space.state === 'live')
        .forEach((card, i) => {
            if (i < WATCHED && !document.hidden) {
                card.watch();
            } else {
                card.unwatch();
            }
        });
}

const fits = ({ state, recording }) =>
    state !== 'ended' || recording === 'available';

// as many as are wanted; a page may hold nothing to show: the next one is looked
// at then
async function look(state, wanted, cursor = null) {
    const all = [];
    let next = cursor;
    let vain = 0;
    do {
        const page = await api.list(query(state, {
            limit: Math.min(Math.max(wanted - all.length, PAGE), MOST),
            ...next && { cursor: next } }));
        all.push(...page.spaces);
        next = page.next;
        vain = page.spaces.some(fits) ? 0 : vain + 1;
    } while (next && vain < VAIN && (all.length < wanted || !all.some(fits)));
    return { spaces: all.filter(fits), looked: all.length, next };
}

// from the top; true unless something else was asked for meanwhile
async function lookAtAll(mine, wanted) {
    const found = await Promise.all(sections.map((section) =>
        look(section.state, wanted(section))));
    if (mine === serial) {
        sections.forEach((section, i) => place(section, found[i]));
    }
    return mine === serial;
}

// what somebody asks for, which nothing is to undo that was looked at before

function begin() {
    clearTimeout(timer);
    setBusy(true);
    return ++serial;
}

function finish(mine) {
    if (mine === serial) {
        setBusy(false);
        watch();
        timer = setTimeout(refresh, REFRESH);
    }
}

function setBusy(now) {
    busy = now;
    $('#timeline').setAttribute('aria-busy', String(busy));
    for (const { button } of sections) {
        button.disabled = busy;
    }
}

// a full look: after a change of the filter, and at first
async function load() {
    const mine = begin();
    const status = $('#status');
    $('#clear').hidden = !filter.size;
    if (!shown.size) {
        status.replaceChildren(el('p', { class: 'loading' }, t('loading')));
    }
    try {
        if (!await lookAtAll(mine, () => PAGE)) {
            return;
        }
        status.replaceChildren();
        if (sections.every(({ element }) => element.hidden)) {
            status.replaceChildren(filter.size
                ? notice({ title: t('timeline.none'),
                           text: t('timeline.none.text') })
                : notice({ title: t('timeline.empty'),
                           text: t('timeline.empty.text'),
                           action: el('a', { class: 'button primary',
                                             href: pages.studio() },
                                      el('span', {}, t('studio.start'))) }));
        }
        announce(t('timeline.shown', { count: shown.size, n: shown.size }));
    } catch (problem) {
        if (mine === serial) {
            failed(problem);
        }
    }
    finish(mine);
}

function failed(problem) {
    $('#status').replaceChildren(notice({
        kind: 'bad', title: t('timeline.failed'), text: problem.message,
        action: button({ label: t('again'), kind: 'primary', click: load }),
    }));
}

async function more(section) {
    const { state, list } = section;
    const before = list.children.length;
    const mine = begin();
    try {
        do {
            const found = await look(state, PAGE, section.next);
            if (mine !== serial) {
                return;
            }
            place(section, found, { keep: true });
        } while (section.next && list.children.length === before);
        list.children[before]?.querySelector('a').focus();
    } catch (problem) {
        announce(problem.message);
    }
    finish(mine);
}

// a glance: as many of each as were looked at; new ones come in at the top
async function refresh() {
    const mine = serial;
    if (busy) {
        return;
    }
    clearTimeout(timer);
    if (!document.hidden) {
        try {
            if (await lookAtAll(mine, ({ looked }) => looked)) {
                if (shown.size) {
                    $('#status').replaceChildren();
                }
                watch();
            }
        } catch (problem) {
            if (mine === serial && !shown.size) {
                failed(problem);
            }
        }
    }
    if (mine === serial) {
        timer = setTimeout(refresh, REFRESH);
    }
}

document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
        watch();
    } else {
        refresh();
    }
});
document.addEventListener('login', () => {
    for (const card of shown.values()) {
        card.update(card.space);
    }
});
addEventListener('online', refresh);

load();
