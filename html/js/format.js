// Copyright (C) Spaces for nginx contributors

// Times and numbers as people write them.

import { locale, t } from './strings.js';

export function clock(seconds) {
    const s = Math.max(0, Math.floor(seconds || 0));
    const two = (n) => String(n).padStart(2, '0');
    return s >= 3600
        ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`
        : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

// to the tenth, as one types it: "2:03.5"
export function exact(seconds) {
    const tenth = Math.round((seconds || 0) * 10);
    return clock(tenth / 10) + (tenth % 10 ? `.${tenth % 10}` : '');
}

// "1:02:03", "2:03", "83" or "1h2m3s", as a link may have it; or null
export function parseClock(text) {
    const units = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$/.exec(text);
    if (text && units) {
        const [h, m, s] = units.slice(1).map((n) => Number(n ?? 0));
        return h * 3600 + m * 60 + s;
    }
    if (!/^\d+(?::\d\d){0,2}(?:\.\d+)?$/.test(text ?? '')) {
        return null;
    }
    return text.split(':').reduce((sum, n) => sum * 60 + Number(n), 0);
}

// for screen readers, which say "1:02" as a time of day
export function spoken(seconds, digits = 0) {
    const scale = 10 ** digits;
    const s = Math.max(0, Math.floor((seconds || 0) * scale + 1e-6) / scale);
    const parts = [[Math.floor(s / 3600), 'hour'],
                   [Math.floor(s / 60) % 60, 'minute'], [s % 60, 'second']];
    return parts.filter(([n], i) => n || (i === 2 && s < 60))
        .map(([n, unit]) => new Intl.NumberFormat(locale(), {
            style: 'unit', unit, unitDisplay: 'long',
            maximumFractionDigits: digits }).format(n))
        .join(' ');
}

// the year is said if it is another
function dated(date) {
    const sameYear = date.getFullYear() === new Date().getFullYear();
    return { day: 'numeric', month: 'long',
             year: sameYear ? undefined : 'numeric' };
}

export function day(text) {
    const date = new Date(text);
    return date.toLocaleDateString(locale(), dated(date));
}

export function moment(text, more = {}) {
    const date = new Date(text);
    return date.toLocaleString(locale(),
        { weekday: 'short', ...dated(date),
          hour: 'numeric', minute: '2-digit', ...more });
}

export function ago(text) {
    const s = (Date.now() - new Date(text)) / 1000;
    const steps = [[86400 * 7, null], [86400, 'day'], [3600, 'hour'],
                   [60, 'minute']];
    for (const [size, unit] of steps) {
        if (s >= size) {
            return unit ? new Intl.RelativeTimeFormat(locale(),
                                                      { numeric: 'auto' })
                              .format(-Math.floor(s / size), unit)
                        : day(text);
        }
    }
    return t('time.now');
}

export function languageName(code) {
    try {
        const name = new Intl.DisplayNames(locale(), { type: 'language' })
            .of(code);
        return name[0].toLocaleUpperCase(locale()) + name.slice(1);
    } catch {
        return code;
    }
}

export const number = (n) => new Intl.NumberFormat(locale()).format(n);
