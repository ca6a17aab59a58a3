// Copyright (C) Spaces for nginx contributors

// Plays a recording: in a card of the timeline, in a page of its own, after
// a Space in the studio. Where one stopped is remembered from visit to visit.

import { path, withToken } from './api.js';
import { announce, button, el, relabel } from './dom.js';
import { clock } from './format.js';
import { Lanes } from './lanes.js';
import { memory } from './session.js';
import { t } from './strings.js';
import { SeekBar } from './waveform.js';

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];
const STEP = 15;

let playing = null;

export class Player {
    // "at" is where to begin; "key" what the position is kept by; "keysOf"
    // where keys are listened to; "who" shows who spoke when
    constructor({ space, at = null, key = space.id, keysOf = null,
                  who = false }) {
        this.space = space;
        this.key = `at.${key}`;
        this.length = space.duration || 0;
        this.start = at ?? Number(memory.get(this.key) ?? 0);
        this.abort = new AbortController();

        this.audio = el('audio', {
            preload: 'metadata',
            src: withToken(path(space.id, '/replay'), space.id),
        });
        this.seekBar = new SeekBar({ seek: (s) => this.seek(s) });
        this.lanes = who ? new Lanes({
            at: () => this.at,
            seek: (s) => { this.seek(s); this.play(); },
        }) : null;
        this.element = el('div', { class: 'player', role: 'group',
                                   'aria-label': t('player.of', space) },
                          this.audio, this.seekBar.element, this.controls(),
                          this.trouble = el('p', { class: 'trouble',
                                                   role: 'alert', hidden: true }),
                          this.lanes?.element ?? '');
        this.listen();
        this.keys(keysOf ?? this.element);
        this.show();
        this.seekBar.load(space.id);
    }

    controls() {
        this.toggleButton = button({
            label: t('player.play'), name: 'play', hidden: true,
            kind: 'round primary', click: () => this.toggle(),
        });
        this.speed = el('select', {
            class: 'speed', 'aria-label': t('player.speed'),
            on: { change: () => this.setSpeed(Number(this.speed.value)) },
        }, SPEEDS.map((s) => el('option', { value: s, selected: s === 1 },
                                `${s}×`)));
        this.times = el('span', { class: 'times' });
        return el('div', { class: 'controls' },
            button({ label: t('player.back'), name: 'back15', hidden: true,
                     kind: 'round', click: () => this.skip(-STEP) }),
            this.toggleButton,
            button({ label: t('player.forward'), name: 'forward15',
                     hidden: true, kind: 'round',
                     click: () => this.skip(STEP) }),
            this.times, this.speed);
    }

    listen() {
        const { audio } = this;
        const on = (event, handler, more) => audio.addEventListener(
            event, handler, { signal: this.abort.signal, ...more });

        on('loadedmetadata', () => {
            if (Number.isFinite(audio.duration) && audio.duration > 0) {
                this.length = audio.duration;
            }
            if (this.start > 0 && this.start < this.length - 1) {
                audio.currentTime = this.start;
            }
            this.start = 0;
            this.setSpeed(Number(memory.get('speed')) || 1);
            this.trouble.hidden = true;
            this.lanes?.load(this.space.id, this.length);
            this.show();
        }, { once: true });
        for (const event of ['ratechange', 'seeked']) {
            on(event, () => this.position());
        }
        on('timeupdate', () => {
            this.show();
            if (Math.abs(audio.currentTime - (this.saved ?? -9)) > 5) {
                this.remember();
            }
        });
        on('play', () => {
            if (playing && playing !== this) {
                playing.audio.pause();
            }
            playing = this;
            relabel(this.toggleButton, { label: t('player.pause'),
                                         name: 'pause' });
            this.element.classList.add('is-playing');
            this.mediaSession();
        });
        on('pause', () => {
            relabel(this.toggleButton, { label: t('player.play'),
                                         name: 'play' });
            this.element.classList.remove('is-playing');
            this.remember();
        });
        on('ended', () => memory.set(this.key, null));
        on('error', () => this.failed());
        addEventListener('pagehide', () => this.remember(),
                         { signal: this.abort.signal });
    }

    keys(root) {
        const actions = {
            ' ': () => this.toggle(), k: () => this.toggle(),
            j: () => this.skip(-STEP), l: () => this.skip(STEP),
            ArrowLeft: () => this.skip(-STEP), ArrowRight: () => this.skip(STEP),
            Home: () => this.seek(0), End: () => this.seek(this.length),
            n: () => this.lanes?.next(),
            '<': () => this.faster(-1), '>': () => this.faster(1),
        };
        root.addEventListener('keydown', (event) => {
            const { target, key } = event;
            // what has the focus has the first word
            if (event.ctrlKey || event.metaKey || event.altKey
                || target.matches('textarea, select, dialog *')
                || (target.matches('input') && target !== this.seekBar.range)
                || (key === ' ' && target.matches('button, a, summary'))) {
                return;
            }
            const action = /^\d$/.test(key)
                ? () => this.seek(this.length * Number(key) / 10)
                : actions[key];
            if (action) {
                event.preventDefault();
                action();
            }
        }, { signal: this.abort.signal });
    }

    mediaSession() {
        const session = navigator.mediaSession;
        if (!session) {
            return;
        }
        this.position();
        session.metadata = new MediaMetadata({
            title: this.space.title, artist: this.space.host,
        });
        const actions = {
            play: () => this.play(), pause: () => this.audio.pause(),
            seekbackward: ({ seekOffset }) => this.skip(-(seekOffset || STEP)),
            seekforward: ({ seekOffset }) => this.skip(seekOffset || STEP),
            seekto: ({ seekTime }) => this.seek(seekTime),
        };
        for (const [name, action] of Object.entries(actions)) {
            try {
                session.setActionHandler(name, action);
            } catch {
                // this browser has no such key
            }
        }
    }

    // where a lock screen or a keyboard's display shows it to be
    position() {
        if (playing === this && this.length > 0) {
            navigator.mediaSession?.setPositionState?.({
                duration: this.length, playbackRate: this.audio.playbackRate,
                position: Math.min(this.at, this.length),
            });
        }
    }

    get at() {
        return this.start || this.audio.currentTime;
    }

    play() {
        return this.audio.play().catch((error) => {
            // the browser wants a click first: the button is there
            if (error.name !== 'NotAllowedError'
                && error.name !== 'AbortError') {
                this.failed();
            }
        });
    }

    toggle() {
        if (this.audio.paused) {
            this.play();
        } else {
            this.audio.pause();
        }
    }

    seek(seconds) {
        const to = Math.min(Math.max(seconds, 0), this.length);
        if (this.audio.readyState === 0) {
            this.start = to;
        } else {
            this.audio.currentTime = to;
        }
        this.show();
    }

    skip(seconds) {
        this.seek(this.at + seconds);
    }

    setSpeed(speed) {
        this.audio.playbackRate = speed;
        this.audio.preservesPitch = true;
        this.speed.value = speed;
        memory.set('speed', speed === 1 ? null : speed);
    }

    faster(by) {
        const i = SPEEDS.indexOf(this.audio.playbackRate) + by;
        if (SPEEDS[i]) {
            this.setSpeed(SPEEDS[i]);
            announce(t('player.speed.now', { speed: SPEEDS[i] }));
        }
    }

    show() {
        this.seekBar.update(this.at, this.length);
        this.lanes?.update(this.at);
        this.times.textContent = `${clock(this.at)} / ${clock(this.length)}`;
    }

    remember() {
        this.saved = this.audio.currentTime;
        if (!this.audio.ended && this.audio.readyState > 0) {
            memory.set(this.key, this.saved > 3 ? this.saved.toFixed(1) : null);
        }
    }

    // a media element doesn't tell why: the server does
    async failed() {
        const { status } = await fetch(this.audio.src, { method: 'HEAD' })
            .catch(() => ({ status: 0 }));
        if (this.abort.signal.aborted) {
            return;
        }
        this.trouble.textContent = t(
            status === 0 ? 'problem.offline'
            : status === 410 ? 'problem.deleted'
            : status === 200 ? 'player.cannot' : 'player.failed');
        this.trouble.hidden = false;
        this.element.dispatchEvent(new CustomEvent('gone', { detail: status }));
    }

    close() {
        this.remember();
        this.abort.abort();
        this.audio.pause();
        this.audio.removeAttribute('src');
        this.audio.load();
        this.seekBar.close();
        this.element.remove();
        playing = playing === this ? null : playing;
    }
}
