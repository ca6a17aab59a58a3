// Copyright (C) Spaces for nginx contributors

// Who spoke when: a lane for each speaker, to jump along. Nothing is shown
// where the server doesn't tell.

import { api } from './api.js';
import { announce, button, el } from './dom.js';
import { clock } from './format.js';
import { t } from './strings.js';

// closer than that, in parts of the whole, two segments are drawn as one
const FINEST = 1 / 800;

// whoever begins so soon, seconds, is who one has just jumped to
const NOW = 0.2;

export class Lanes {
    // "seek" is called with the moment to jump to, "at" tells where one is
    constructor({ seek, at }) {
        Object.assign(this, { seek, at });
        this.speakers = [];
        this.element = el('section', { class: 'lanes', hidden: true,
                                       'aria-label': t('player.who') });
    }

    async load(id, length) {
        const told = await api.speakers(id).catch(() => null);
        this.speakers = (told?.speakers ?? [])
            .filter(({ segments }) => segments?.length);
        if (!this.speakers.length || !length) {
            return;
        }
        this.rows = this.speakers.map((speaker, i) =>
            this.row(speaker, i, length));
        this.element.replaceChildren(
            el('div', { class: 'lanes-head' }, el('h2', {}, t('player.who')),
               button({ label: t('player.next'), name: 'next', kind: 'small',
                        click: () => this.next() })),
            el('ul', {}, this.rows));
        this.element.hidden = false;
    }

    row({ name, segments }, i, length) {
        const total = segments.reduce((sum, [a, b]) => sum + b - a, 0);
        const lane = el('span', { class: `lane tint-${i % 6}`,
                                  'aria-hidden': 'true' });
        for (const [from, until] of merged(segments, length * FINEST)) {
            const mark = el('span', { on: { click: () => this.seek(from) } });
            mark.style.insetInlineStart = `${100 * from / length}%`;
            mark.style.inlineSize = `${100 * (until - from) / length}%`;
            lane.append(mark);
        }
        return el('li', {},
            el('button', {
                type: 'button', class: 'lane-name', title: name,
                on: { click: () => this.nextOf(segments) },
                'aria-label': t('player.next.of', { name }),
            }, name),
            lane, el('span', { class: 'lane-total' }, clock(total)));
    }

    // what one of them says next; behind their last word, the first again
    nextOf(segments) {
        const at = this.at();
        const [from] = segments.find(([a]) => a > at + NOW) ?? segments[0];
        this.seek(from);
    }

    // somebody else, or after a pause whoever goes on
    next() {
        const at = this.at();
        const later = this.speakers.flatMap((speaker) => speaker.segments
            .filter(([from]) => from > at + NOW)
            .map(([from]) => ({ from, speaker })))
            .sort((a, b) => a.from - b.from);
        const found = later.find(({ speaker }) => !speaks(speaker, at))
                      ?? later[0];
        if (found) {
            this.seek(found.from);
            announce(found.speaker.name);
        } else {
            announce(t('player.next.none'));
        }
    }

    update(at) {
        this.rows?.forEach((row, i) => row.classList.toggle('is-speaking',
            speaks(this.speakers[i], at)));
    }
}

const speaks = ({ segments }, at) =>
    segments.some(([from, until]) => from <= at + NOW && at + NOW < until);

function merged(segments, gap) {
    const marks = [];
    for (const [from, until] of segments) {
        const last = marks.at(-1);
        if (last && from - last[1] < gap) {
            last[1] = until;
        } else {
            marks.push([from, until]);
        }
    }
    return marks;
}
