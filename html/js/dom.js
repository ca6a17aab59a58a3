// Copyright (C) Spaces for nginx contributors

// Elements. Text goes in as text: nothing here, or in any page, parses HTML.

import { icons } from './config.js';

const SVG = 'http://www.w3.org/2000/svg';

export const $ = (selector, root = document) => root.querySelector(selector);

export function el(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (key === 'on') {
            for (const [event, handler] of Object.entries(value)) {
                element.addEventListener(event, handler);
            }
        } else if (value === true) {
            element.setAttribute(key, '');
        } else if (value !== false && value !== null && value !== undefined) {
            element.setAttribute(key, value);
        }
    }
    element.append(...children.flat().filter((child) => child !== null
                                             && child !== undefined
                                             && child !== false));
    return element;
}

export function icon(name) {
    const svg = document.createElementNS(SVG, 'svg');
    const use = document.createElementNS(SVG, 'use');
    svg.setAttribute('class', 'icon');
    svg.setAttribute('aria-hidden', 'true');
    use.setAttribute('href', `${icons}#${name}`);
    svg.append(use);
    return svg;
}

// a button with an icon, and words that are seen or only read out
export function button({ label, name, hidden, kind = '', click, ...more }) {
    return el('button', {
        type: 'button', class: `button ${kind}`, on: click ? { click } : {},
        'aria-label': hidden ? label : null, title: hidden ? label : null,
        ...more,
    }, name && icon(name), !hidden && el('span', {}, label));
}

// another icon and other words on such a button; the element stays focused
export function relabel(element, { label, name }) {
    if (name) {
        element.querySelector('use').setAttribute('href', `${icons}#${name}`);
    }
    const words = element.querySelector('span');
    if (words) {
        words.textContent = label;
    } else {
        element.setAttribute('aria-label', label);
        element.setAttribute('title', label);
    }
}

// for those who don't see what has changed
export function announce(text) {
    const place = $('#announcer');
    place.textContent = '';
    setTimeout(() => { place.textContent = text; }, 50);
}

// a picture of somebody: their initial, in a colour that is always theirs
export function avatar(name, kind = '') {
    let hash = 0;
    for (const c of name) {
        hash = (hash * 31 + c.codePointAt(0)) % 997;
    }
    const initial = [...name.trim()][0] ?? '?';
    // written by the style sheet: it is a picture, and no text
    return el('span', { class: `avatar tint-${hash % 6} ${kind}`,
                        'data-initial': initial.toUpperCase() });
}
