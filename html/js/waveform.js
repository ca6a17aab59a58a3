// Copyright (C) Spaces for nginx contributors

// A recording as one sees it: how loud it is over time. And the bar one seeks
// in: that waveform where there is one, a plain line where there is none. The
// control itself is an <input type=range> that lies over it, so that keys and
// screen readers work as they do everywhere.

import { api } from './api.js';
import { el } from './dom.js';
import { spoken } from './format.js';
import { t } from './strings.js';

const BAR = 3;
const GAP = 2;

export class Wave {
    constructor() {
        this.peaks = null;
        this.from = this.until = 0;      // what is coloured, 0 to 1
        this.canvas = el('canvas', { class: 'wave', 'aria-hidden': 'true' });
        this.observer = new ResizeObserver(() => this.draw());
        this.observer.observe(this.canvas);
        this.scheme = matchMedia('(prefers-color-scheme: dark)');
        this.redraw = () => this.draw();
        this.scheme.addEventListener('change', this.redraw);
    }

    // true if there is something to draw; "span" is { start, end } of it
    async load(id, span = {}) {
        const told = await api.waveform(id, span).catch(() => null);
        this.peaks = told?.data?.length >= 2 ? peaksOf(told) : null;
        this.draw();
        return this.peaks !== null;
    }

    colour(from, until) {
        Object.assign(this, { from, until });
        this.draw();
    }

    draw() {
        const { canvas, from, until } = this;
        const { clientWidth: width, clientHeight: height } = canvas;
        if (width === 0) {
            return;
        }
        const scale = window.devicePixelRatio || 1;
        canvas.width = Math.round(width * scale);
        canvas.height = Math.round(height * scale);
        const to = canvas.getContext('2d');
        const style = getComputedStyle(canvas);
        const coloured = style.getPropertyValue('--played').trim();
        const rest = style.getPropertyValue('--rest').trim();
        to.scale(scale, scale);

        if (!this.peaks) {
            const within = (x) => Math.min(Math.max(x, 2), width - 2);
            line(to, rest, 2, width - 2, height / 2);
            line(to, coloured, within(width * from), within(width * until),
                 height / 2);
            return;
        }

        const bars = Math.floor(width / (BAR + GAP));
        for (let i = 0; i < bars; i++) {
            const tall = Math.max(2, height * loudest(this.peaks, i / bars,
                                                      (i + 1) / bars));
            const middle = (i + 0.5) / bars;
            to.fillStyle = middle >= from && middle <= until ? coloured : rest;
            to.beginPath();
            to.roundRect(i * (BAR + GAP), (height - tall) / 2, BAR, tall,
                         BAR / 2);
            to.fill();
        }
    }

    close() {
        this.observer.disconnect();
        this.scheme.removeEventListener('change', this.redraw);
    }
}

export class SeekBar {
    constructor({ seek }) {
        this.range = el('input', {
            type: 'range', min: 0, max: 1, step: 0.1, value: 0,
            class: 'seek-range', 'aria-label': t('player.seek'),
            on: {
                input: () => seek(Number(this.range.value)),
            },
        });
        this.wave = new Wave();
        this.element = el('div', { class: 'seek' }, this.wave.canvas,
                          this.range);
    }

    async load(id) {
        if (await this.wave.load(id)) {
            this.element.classList.add('seek-wave');
        }
    }

    update(at, length) {
        this.range.max = Math.max(length, 0.1);
        this.range.value = at;
        this.range.setAttribute('aria-valuetext', t('player.position', {
            at: spoken(at), length: spoken(length),
        }));
        this.wave.colour(0, length ? at / length : 0);
    }

    close() {
        this.wave.close();
    }
}

function line(to, colour, from, until, y) {
    to.strokeStyle = colour;
    to.lineWidth = 4;
    to.lineCap = 'round';
    to.beginPath();
    to.moveTo(from, y);
    to.lineTo(until, y);
    to.stroke();
}

// one number for each pair of least and greatest, the loudest being 1
function peaksOf({ data, channels = 1 }) {
    const peaks = [];
    for (let i = 0; i + 1 < data.length; i += 2 * channels) {
        let most = 0;
        for (let c = 0; c < 2 * channels && i + c < data.length; c++) {
            most = Math.max(most, Math.abs(data[i + c]));
        }
        peaks.push(most);
    }
    const most = peaks.reduce((a, b) => Math.max(a, b), 1);
    return peaks.map((peak) => peak / most);
}

function loudest(peaks, from, until) {
    const first = Math.floor(from * peaks.length);
    const last = Math.max(first + 1, Math.floor(until * peaks.length));
    let most = 0;
    for (let i = first; i < last; i++) {
        most = Math.max(most, peaks[i] ?? 0);
    }
    return most;
}
