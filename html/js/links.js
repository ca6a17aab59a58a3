// Copyright (C) Spaces for nginx contributors

// For the host: the links that lead to a Space, to make, and to revoke. What a
// link is made of is shown once, when it is made; here is what it is called.

import { api } from './api.js';
import { field } from './about.js';
import { confirm } from './dialogs.js';
import { announce, button, el, icon } from './dom.js';
import { exact, moment } from './format.js';
import { showLink } from './share.js';
import { t } from './strings.js';

const DAY = 86400;

// those without a label are told apart by when they were made, to the second
const nameOf = ({ label, created_at: at }) => label
    ?? `${t('links.unnamed')}, ${t('links.made', {
        when: moment(at, { second: '2-digit' }) })}`;

export class Links {
    constructor(space, complain) {
        Object.assign(this, { space, complain });
        this.list = el('ul', { class: 'links' });
        this.none = el('p', { class: 'hint', hidden: true }, t('links.none'));
        this.element = el('section', { class: 'panel',
                                       'aria-labelledby': 'links-title' },
            el('h2', { id: 'links-title' }, t('links')),
            this.none, this.list, this.form());
        this.changed = () => this.load();
        document.addEventListener('shares', this.changed);
        this.load();
    }

    form() {
        const label = el('input', { type: 'text', maxlength: 200,
                                    autocomplete: 'off' });
        const ttl = el('select', {}, [['', 'all'], [DAY, 'day'], [7 * DAY, 'week']]
            .map(([value, name]) => el('option', { value },
                                       t(`links.for.${name}`))));
        return el('form', { class: 'links-new', on: { submit: async (event) => {
            event.preventDefault();
            try {
                await showLink(this.space, {
                    ...label.value.trim() && { label: label.value.trim() },
                    ...ttl.value && { ttl: Number(ttl.value) },
                });
                label.value = '';
            } catch (problem) {
                this.complain(problem);
            }
        } } },
            field('link-label', t('links.label'), label),
            field('link-ttl', t('links.for'), ttl),
            el('button', { type: 'submit', class: 'button' }, icon('share'),
               el('span', {}, t('links.make'))));
    }

    async load() {
        try {
            const { shares } = await api.shares(this.space.id);
            shares.sort((a, b) => b.created_at.localeCompare(a.created_at));
            this.none.hidden = shares.length > 0;
            this.list.replaceChildren(...shares.map((share) =>
                this.item(share)));
        } catch (problem) {
            this.complain(problem);
        }
    }

    item(share) {
        const name = nameOf(share);
        return el('li', { 'data-share': share.id },
            el('div', {}, el('strong', {}, share.label ?? t('links.unnamed')),
               el('p', { class: 'facts' },
                  share.end && el('span', {}, t('links.clip', {
                      start: exact(share.start), end: exact(share.end) })),
                  el('span', {}, t('links.made', {
                      when: moment(share.created_at) })),
                  el('span', {}, t('links.until', {
                      when: moment(share.expires_at) })))),
            button({ label: t('links.revoke'), kind: 'small danger-text',
                     'aria-label': t('links.revoke.which', { name }),
                     click: () => this.revoke(share, name) }));
    }

    async revoke(share, name) {
        if (!await confirm({ title: t('links.revoke.which', { name }),
                             text: t('links.revoke.text'),
                             yes: t('links.revoke'), danger: true })) {
            return;
        }
        try {
            await api.revoke(this.space.id, share.id);
            announce(t('links.revoked', { name }));
        } catch (problem) {
            this.complain(problem);
        }
        await this.load();
        (this.list.querySelector('button')
         ?? this.element.querySelector('input')).focus();
    }

    close() {
        document.removeEventListener('shares', this.changed);
        this.element.remove();
    }
}
