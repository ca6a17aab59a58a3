// Copyright (C) Spaces for nginx contributors

// A Space in the timeline. A recorded one plays in place; a live one follows
// what happens in it.

import { pages } from './config.js';
import { avatar, button, el, icon } from './dom.js';
import { follow } from './events.js';
import { ago, clock, languageName, moment, number } from './format.js';
import { recordingMark, stateMark } from './marks.js';
import { Player } from './player.js';
import { me } from './session.js';
import { t } from './strings.js';

export class Card {
    // "filter" is called with a topic, "gone" when there is nothing any more
    constructor(space, { filter, gone }) {
        Object.assign(this, { filter, gone });
        this.element = el('li', { class: 'card' });
        this.update(space);
    }

    update(space) {
        this.space = space;
        if (this.player) {
            return;                      // who listens is not disturbed
        }
        const { element } = this;
        // the focus stays on the card's link when only numbers change
        const focused = element.contains(document.activeElement);
        element.className = `card card-${space.state}`;
        element.dataset.space = space.id;
        element.replaceChildren(this.head(), this.about(), this.actions());
        if (focused) {
            element.querySelector('h3 a').focus();
        }
    }

    head() {
        const { space } = this;
        const when = space.state === 'scheduled'
            ? space.scheduled_at && moment(space.scheduled_at)
            : space.state === 'live' ? t('card.since', {
                when: ago(space.started_at ?? space.created_at) })
            : ago(space.ended_at ?? space.created_at);
        return el('div', { class: 'card-head' }, stateMark(space),
                  when && el('span', { class: 'when' }, when),
                  recordingMark(space, { short: true }));
    }

    about() {
        const { space } = this;
        const facts = [];
        if (space.state === 'live') {
            this.count = el('span', {}, t('listeners', {
                n: number(space.listeners), count: space.listeners }));
            facts.push(this.count);
        } else if (space.state === 'ended') {
            facts.push(el('span', {}, clock(space.duration)));
            if (space.replays) {
                facts.push(el('span', {}, t('replays', {
                    n: number(space.replays), count: space.replays })));
            }
        }
        if (space.language) {
            facts.push(el('span', {}, languageName(space.language)));
        }
        if (space.visibility === 'ticketed') {
            facts.push(el('span', {}, t('visibility.ticketed'),
                          space.price ? ` · ${space.price}` : ''));
        }
        return el('div', { class: 'card-about' },
            avatar(space.host),
            el('div', {},
               el('h3', {}, el('a', { href: pages.space(space.id) },
                               space.title)),
               el('p', { class: 'host' }, t('by', { name: space.host })),
               el('p', { class: 'facts' }, facts),
               space.topics?.length
                   ? el('ul', { class: 'topics', 'aria-label': t('topics') },
                        space.topics.map((topic) => el('li', {}, el('button', {
                            type: 'button', class: 'topic',
                            on: { click: () => this.filter(topic) },
                        }, topic))))
                   : null));
    }

    actions() {
        const { space } = this;
        this.place = el('div', { class: 'card-actions' });
        if (space.recording === 'available') {
            this.place.append(button({
                label: t('player.listen'), name: 'play', kind: 'primary',
                'aria-label': t('player.listen.to', space),
                click: () => this.play(),
            }));
        } else if (space.state === 'live') {
            this.place.append(el('a', { class: 'button primary',
                                        href: pages.space(space.id),
                                        'aria-label': t('live.listen.to', space) },
                                 icon('headphones'),
                                 el('span', {}, t('live.listen'))));
        }
        if (space.host === me() && space.state !== 'ended') {
            this.place.append(el('a', { class: 'button',
                                        href: pages.studio(space.id) },
                                 icon('mic'), el('span', {}, t('studio'))));
        }
        return this.place;
    }

    play() {
        this.player = new Player({ space: this.space });
        this.player.element.addEventListener('gone', ({ detail }) => {
            if (detail === 410 || detail === 404) {
                this.close();
                this.gone();
            }
        });
        this.place.replaceChildren(this.player.element);
        this.player.toggleButton.focus();
        this.player.play();
    }

    // what happens in a live one, as it happens
    watch() {
        if (this.stop || this.space.state !== 'live') {
            return;
        }
        this.stop = follow(this.space.id, (event, data) => {
            if (event === 'listeners') {
                this.space.listeners = data.listeners;
                this.count.textContent = t('listeners', {
                    n: number(data.listeners), count: data.listeners });
            } else if (event === 'speakers') {
                this.element.classList.toggle('is-speaking',
                    data.speakers.some(({ speaking }) => speaking));
            } else if (event === 'state' && data.state === 'ended') {
                this.unwatch();
                this.gone();
            }
        });
    }

    unwatch() {
        this.stop?.();
        this.stop = null;
    }

    close() {
        this.unwatch();
        this.player?.close();
        this.player = null;
    }
}
