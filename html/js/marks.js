// Copyright (C) Spaces for nginx contributors

// What everybody has to know about a Space at a glance: whether it is recorded,
// and whether it is live. In words; colour only helps.

import { announce, el, icon } from './dom.js';
import { t } from './strings.js';

// what there is to say about a Space that is recorded; '' if it is not
export function recordingText(space) {
    if (space.state === 'scheduled') {
        return space.record ? t('rec.will') : '';
    }
    if (space.state === 'live') {
        return space.recording === 'recording' ? t('rec.now') : '';
    }
    return space.recording === 'available' ? t('rec.was') : '';
}

// and about one that is not; what has ended says so in the page itself
const OFF = { scheduled: 'rec.wont', live: 'rec.not' };

export function recordingMark(space, { short } = {}) {
    const text = recordingText(space);
    if (!text) {
        return null;
    }
    return el('p', { class: `rec ${space.state === 'live' ? 'rec-now' : ''}`,
                     'data-recording': space.state },
              el('span', { class: 'rec-dot', 'aria-hidden': 'true' }),
              short ? t(`rec.short.${space.state}`) : text);
}

// a mark that stays in the page, and is read out whenever it changes
export class RecordingMark {
    constructor(place) {
        this.place = place;
        this.text = null;
    }

    show(space) {
        const off = OFF[space.state];
        const text = recordingText(space) || (off ? t(off) : '');
        if (text === this.text) {
            return;
        }
        this.text = text;
        this.place.replaceChildren(recordingMark(space)
            ?? (text ? el('p', { class: 'rec rec-off' }, text) : ''));
        if (text) {
            announce(text);
        }
    }
}

export function stateMark(space) {
    const text = t(`state.${space.state}`);
    return el('span', { class: `state state-${space.state}` },
              space.state === 'live' && icon('live'), text);
}
