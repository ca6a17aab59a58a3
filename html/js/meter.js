// Copyright (C) Spaces for nginx contributors

// How loud something is, as a bar. For the eyes: what it shows is said in
// words beside it, where it matters.

import { el } from './dom.js';
import { meterOf } from './packets.js';

export function meter(level, of) {
    const bar = el('span');
    const element = el('span', { class: 'meter', 'data-of': of,
                                 'aria-hidden': 'true' }, bar);
    let shown = 0;

    const timer = setInterval(() => {
        const now = level();
        shown = Math.max(meterOf(now), shown - 0.06);
        bar.style.transform = `scaleX(${shown.toFixed(3)})`;
        element.dataset.level = now.toFixed(4);
    }, 50);

    return { element, close: () => clearInterval(timer) };
}
