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

// a browser has six connections to a server: these follow, the others wait
// for the next look at the list
const WATCHED = 2;

shell('timeline');

const filter = new URLSearchParams(location.search);
const shown = new Map();                 // id: Card
let serial = 0;
let next = null;
let timer;

const sections = {
    live: $('#live'), scheduled: $('#scheduled'), ended: $('#ended'),
};

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

const query = (state, more = {}) => ({
    state, limit: 12, ...more,
    ...Object.fromEntries(['topic', 'language'].filter((name) => filter.get(name))
                          .map((name) => [name, filter.get(name)])),
});

// a section is shown when there is something in it

function place(state, spaces, { keep } = {}) {
    const list = $('ul', sections[state]);
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
    sections[state].hidden = list.children.length === 0;
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

const recorded = (list) => list.spaces.filter(
    ({ recording }) => recording === 'available');

async function fetchAll(mine) {
    const [live, scheduled, ended] = await Promise.all(
        ['live', 'scheduled', 'ended'].map((state) => api.list(query(state))));
    if (mine !== serial) {
        return null;
    }
    place('live', live.spaces);
    place('scheduled', scheduled.spaces);
    return ended;
}

// a full look: after a change of the filter, and at first
async function load() {
    const mine = ++serial;
    const status = $('#status');
    clearTimeout(timer);
    $('#timeline').setAttribute('aria-busy', 'true');
    $('#clear').hidden = !filter.size;
    if (!shown.size) {
        status.replaceChildren(el('p', { class: 'loading' }, t('loading')));
    }
    try {
        const ended = await fetchAll(mine);
        if (!ended) {
            return;
        }
        place('ended', recorded(ended));
        next = ended.next;
        status.replaceChildren();
        await fillUp(mine);
        if (!shown.size) {
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
    if (mine === serial) {
        $('#timeline').removeAttribute('aria-busy');
        $('#more').hidden = !next;
        watch();
        timer = setTimeout(refresh, REFRESH);
    }
}

function failed(problem) {
    $('#status').replaceChildren(notice({
        kind: 'bad', title: t('timeline.failed'), text: problem.message,
        action: button({ label: t('again'), kind: 'primary', click: load }),
    }));
}

// a page may hold nothing that was recorded: the next one is looked at
async function fillUp(mine) {
    const list = $('ul', sections.ended);
    const before = list.children.length;
    for (let i = 0; next && i < 5 && list.children.length <= before
                    && (i > 0 || !before); i++) {
        await more(mine);
    }
}

async function more(mine) {
    const ended = await api.list(query('ended', { cursor: next }));
    if (mine === serial) {
        next = ended.next;
        place('ended', recorded(ended), { keep: true });
    }
}

$('#more').addEventListener('click', async ({ currentTarget }) => {
    const list = $('ul', sections.ended);
    const before = list.children.length;
    currentTarget.disabled = true;
    try {
        do {
            await more(serial);
        } while (next && list.children.length === before);
        list.children[before]?.querySelector('a').focus();
    } catch (problem) {
        announce(problem.message);
    }
    currentTarget.disabled = false;
    currentTarget.hidden = !next;
});

// a glance: what is live and to come; new recordings come in at the top
async function refresh() {
    const mine = serial;
    clearTimeout(timer);
    if (!document.hidden) {
        try {
            const ended = await fetchAll(mine);
            if (ended) {
                const known = new Set(ended.spaces.map(({ id }) => id));
                const behind = [...shown.values()].map(({ space }) => space)
                    .filter(({ id, state }) => state === 'ended'
                                               && !known.has(id));
                const oldest = ended.spaces.at(-1)?.created_at ?? '';
                place('ended', [...recorded(ended),
                                ...behind.filter(({ created_at: at }) =>
                                    ended.next && at <= oldest)]);
                if (shown.size) {
                    $('#status').replaceChildren();
                }
                watch();
            }
        } catch (problem) {
            if (!shown.size) {
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
