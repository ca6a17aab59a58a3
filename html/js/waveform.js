// Copyright (C) Spaces for nginx contributors

// The bar one seeks in: the waveform where there is one, a plain line where
// there is none. The control itself is an <input type=range> that lies over it,
// so that keys and screen readers work as they do everywhere.

import { api } from './api.js';
import { el } from './dom.js';
import { clock, spoken } from './format.js';
import { t } from './strings.js';

const BAR = 3;
const GAP = 2;

export class SeekBar {
    constructor({ seek }) {
        this.peaks = null;
        this.range = el('input', {
            type: 'range', min: 0, max: 1, step: 0.1, value: 0,
            class: 'seek-range', 'aria-label': t('player.seek'),
            on: {
                input: () => seek(Number(this.range.value)),
            },
        });
        this.canvas = el('canvas', { class: 'seek-canvas',
                                     'aria-hidden': 'true' });
        this.element = el('div', { class: 'seek' }, this.canvas, this.range);
        this.observer = new ResizeObserver(() => this.draw());
        this.observer.observe(this.canvas);
        this.scheme = matchMedia('(prefers-color-scheme: dark)');
        this.redraw = () => this.draw();
        this.scheme.addEventListener('change', this.redraw);
    }

    async load(id) {
        const waveform = await api.waveform(id).catch(() => null);
        if (waveform?.data?.length >= 2) {
            this.peaks = peaksOf(waveform);
            this.element.classList.add('seek-wave');
            this.draw();
        }
    }

    update(at, length) {
        this.at = at;
        this.length = length;
        this.range.max = Math.max(length, 0.1);
        this.range.value = at;
        this.range.setAttribute('aria-valuetext', t('player.position', {
            at: spoken(at), length: spoken(length),
        }));
        this.draw();
    }

    draw() {
        const { canvas } = this;
        const { clientWidth: width, clientHeight: height } = canvas;
        if (width === 0) {
            return;
        }
        const scale = window.devicePixelRatio || 1;
        canvas.width = Math.round(width * scale);
        canvas.height = Math.round(height * scale);
        const to = canvas.getContext('2d');
        const style = getComputedStyle(canvas);
        const played = style.getPropertyValue('--played').trim();
        const rest = style.getPropertyValue('--rest').trim();
        const x = this.length ? width * this.at / this.length : 0;
        to.scale(scale, scale);

        if (!this.peaks) {
            const y = height / 2;
            line(to, rest, 2, width - 2, y);
            line(to, played, 2, Math.max(2, Math.min(x, width - 2)), y);
            return;
        }

        const bars = Math.floor(width / (BAR + GAP));
        for (let i = 0; i < bars; i++) {
            const left = i * (BAR + GAP);
            const tall = Math.max(2, height * loudest(this.peaks, i / bars,
                                                      (i + 1) / bars));
            to.fillStyle = left + BAR / 2 <= x ? played : rest;
            to.beginPath();
            to.roundRect(left, (height - tall) / 2, BAR, tall, BAR / 2);
            to.fill();
        }
    }

    close() {
        this.observer.disconnect();
        this.scheme.removeEventListener('change', this.redraw);
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

// "who spoke when", below the bar; nothing where the server doesn't tell
export async function lanes(id, length, seek) {
    const told = await api.speakers(id).catch(() => null);
    const speakers = (told?.speakers ?? []).filter((s) => s.segments?.length);
    if (!speakers.length || !length) {
        return null;
    }
    return el('section', { class: 'lanes', 'aria-label': t('player.who') },
        el('h3', {}, t('player.who')),
        el('ul', {}, speakers.map(({ name, segments }, i) => {
            const total = segments.reduce((sum, [a, b]) => sum + b - a, 0);
            const lane = el('span', { class: `lane tint-${i % 6}`,
                                      'aria-hidden': 'true' });
            for (const [from, until] of segments) {
                const mark = el('span', { on: { click: () => seek(from) } });
                mark.style.insetInlineStart = `${100 * from / length}%`;
                mark.style.inlineSize = `${100 * (until - from) / length}%`;
                lane.append(mark);
            }
            return el('li', {},
                el('button', {
                    type: 'button', class: 'lane-name',
                    on: { click: () => seek(segments[0][0]) },
                    'aria-label': t('player.jumpto', {
                        name, at: spoken(segments[0][0]) }),
                }, name),
                lane, el('span', { class: 'lane-total' }, clock(total)));
        })));
}
