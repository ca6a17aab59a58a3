// Copyright (C) Spaces for nginx contributors

// Choosing a clip: its start and end on the waveform, by mouse, finger or key,
// or typed; heard as it will be, then shared. The two handles are an
// <input type=range> each, over the waveform.

import { api, path, withToken } from './api.js';
import { announce, button, el, relabel } from './dom.js';
import { exact, parseClock, spoken } from './format.js';
import { t } from './strings.js';
import { Wave } from './waveform.js';

// a longer recording is shown in part, so that a handle can be put exactly
const WINDOW = 600;
const LEAST = 1;
const FIRST = 30;

const within = (x, least, most) => Math.min(Math.max(x, least), most);
const tenths = (x) => Math.round(x * 10) / 10;

export class Clip {
    // "share" gets { start, end }, "pause" is called when this begins to play
    constructor({ space, length, at, share, pause, close }) {
        Object.assign(this, { space, pause });
        this.length = Math.max(Math.floor(length * 10) / 10, 0.1);
        this.start = tenths(within(at, 0, Math.max(0, this.length - FIRST)));
        this.end = tenths(Math.min(this.start + FIRST, this.length));

        this.wave = new Wave();
        this.head = el('span', { class: 'clip-head', hidden: true });
        this.handles = { start: this.handle('start'), end: this.handle('end') };
        this.fields = { start: this.field('start'), end: this.field('end') };
        this.audio = el('audio', { preload: 'none' });
        this.hear = button({ label: t('clip.hear'), name: 'play',
                             click: () => this.toggle() });
        this.says = el('p', { class: 'hint', role: 'status' });

        this.element = el('section', { class: 'clip',
                                       'aria-label': t('clip') },
            el('div', { class: 'clip-top' },
               el('h2', { tabindex: -1 }, t('clip.title')),
               button({ label: t('close'), name: 'close', hidden: true,
                        kind: 'round quiet', click: close })),
            el('p', { class: 'hint' }, t('clip.text')),
            this.box = el('div', { class: 'clip-box' }, this.wave.canvas,
                          this.head, this.handles.start, this.handles.end),
            el('div', { class: 'clip-fields' },
               this.labelled('start'), this.labelled('end'), this.says),
            el('div', { class: 'actions' }, this.hear,
               button({ label: t('clip.share'), name: 'share', kind: 'primary',
                        click: () => share({ start: this.start,
                                             end: this.end }) })),
            this.audio);

        this.box.addEventListener('pointerdown', (event) => this.drag(event));
        this.audio.addEventListener('play', () => this.playing(true));
        for (const event of ['pause', 'ended', 'error']) {
            this.audio.addEventListener(event, () => this.playing(false));
        }
        this.audio.addEventListener('timeupdate', () => this.show());
        this.look();
    }

    handle(name) {
        const range = el('input', {
            type: 'range', step: 0.1, class: `clip-${name}`,
            'aria-label': t(`clip.${name}`),
            on: { input: () => this.move(name, Number(range.value)),
                  keydown: (event) => this.key(event, name) },
        });
        return range;
    }

    // arrows go by a second, with Shift by a tenth
    key(event, name) {
        const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
        if (by[event.key]) {
            event.preventDefault();
            this.move(name, this[name]
                            + by[event.key] * (event.shiftKey ? 0.1 : 1));
        }
    }

    field(name) {
        return el('input', {
            type: 'text', id: `clip-${name}`, class: 'clip-time',
            inputmode: 'decimal', autocomplete: 'off',
            on: { change: ({ target }) => {
                const at = parseClock(target.value.trim());
                if (at !== null) {
                    this.put(name, at);
                    this.look();
                }
                this.fields[name].value = exact(this[name]);
            } },
        });
    }

    labelled(name) {
        return el('div', { class: 'field' },
                  el('label', { for: `clip-${name}` }, t(`clip.${name}`)),
                  this.fields[name]);
    }

    // a press anywhere takes the nearer end along
    drag(event) {
        if (event.button !== 0) {
            return;
        }
        event.preventDefault();
        const at = (x) => {
            const { left, width } = this.box.getBoundingClientRect();
            return this.from + (this.until - this.from) * (x - left) / width;
        };
        const first = at(event.clientX);
        const name = Math.abs(first - this.start) < Math.abs(first - this.end)
            ? 'start' : 'end';
        const move = ({ clientX }) => this.move(name, at(clientX));
        const control = new AbortController();
        const { signal } = control;
        this.box.setPointerCapture(event.pointerId);
        this.box.addEventListener('pointermove', move, { signal });
        for (const over of ['pointerup', 'pointercancel']) {
            this.box.addEventListener(over, () => control.abort(), { signal });
        }
        this.handles[name].focus();
        move(event);
    }

    // typed: one that comes too near to the other takes it along
    put(name, at) {
        const long = this.end - this.start;
        if (name === 'start' && at > this.end - LEAST) {
            this.end = tenths(within(at + long, 0, this.length));
        } else if (name === 'end' && at < this.start + LEAST) {
            this.start = tenths(within(at - long, 0, this.length));
        }
        this.move(name, at);
    }

    move(name, to) {
        const least = Math.min(LEAST, this.length);
        if (name === 'start') {
            this.start = tenths(within(to, 0, this.end - least));
        } else {
            this.end = tenths(within(to, this.start + least, this.length));
        }
        this.audio.pause();
        this.audio.removeAttribute('src');
        this.show();
    }

    // the part of a long recording that is shown: what is chosen, and around it
    async look() {
        const around = Math.max(this.end - this.start, WINDOW / 4);
        const whole = this.length <= WINDOW;
        const from = whole ? 0 : Math.max(0, this.start - around);
        const until = whole ? this.length
                            : Math.min(this.length, this.end + around);
        if (from !== this.from || until !== this.until) {
            Object.assign(this, { from, until });
            for (const handle of Object.values(this.handles)) {
                handle.min = from;
                handle.max = until;
            }
            this.show();
            await this.wave.load(this.space.id, whole ? {} : {
                start: from.toFixed(1), end: until.toFixed(1) });
        }
        this.show();
    }

    show() {
        const { start, end, from, until, audio } = this;
        const part = (at) => (at - from) / (until - from);
        for (const name of ['start', 'end']) {
            this.handles[name].value = this[name];
            this.handles[name].setAttribute('aria-valuetext',
                                            spoken(this[name], 1));
            // what somebody is typing stays
            if (document.activeElement !== this.fields[name]) {
                this.fields[name].value = exact(this[name]);
            }
        }
        this.says.textContent = t('clip.length', { length: spoken(end - start, 1) });
        this.wave.colour(part(start), part(end));
        this.head.hidden = audio.paused;
        this.head.style.insetInlineStart =
            `${100 * part(start + audio.currentTime)}%`;
    }

    // the clip itself, as who gets the link will hear it
    toggle() {
        if (!this.audio.paused) {
            this.audio.pause();
            return;
        }
        const { id } = this.space;
        this.audio.src = withToken(path(id, '/replay'), id, {
            start: this.start, end: this.end });
        this.pause();
        this.audio.play().catch((error) => {
            if (error.name !== 'AbortError') {
                announce(t('player.failed'));
            }
        });
    }

    playing(now) {
        relabel(this.hear, { label: t(now ? 'clip.stop' : 'clip.hear'),
                             name: now ? 'stop' : 'play' });
        this.show();
    }

    close() {
        this.audio.pause();
        this.audio.removeAttribute('src');
        this.wave.close();
        this.element.remove();
    }
}
