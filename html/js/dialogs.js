// Copyright (C) Spaces for nginx contributors

// Dialogs: the browser's own element keeps the focus in and Escape closes it.

import { announce, button, el, relabel } from './dom.js';
import { become, me } from './session.js';
import { t } from './strings.js';

let count = 0;

function open(title, ...content) {
    const id = `dialog-${++count}`;
    const dialog = el('dialog', { 'aria-labelledby': id },
        el('div', { class: 'dialog-head' },
           el('h2', { id }, title),
           button({ label: t('close'), name: 'close', hidden: true,
                    kind: 'round quiet', click: () => dialog.close() })),
        ...content);
    document.body.append(dialog);
    dialog.addEventListener('close', () => dialog.remove());
    dialog.addEventListener('click', ({ target }) => {
        if (target === dialog) {
            dialog.close();
        }
    });
    dialog.showModal();
    return dialog;
}

// true if they mean it
export function confirm({ title, text, yes, danger }) {
    return new Promise((resolve) => {
        let answer = false;
        const dialog = open(title, el('p', {}, text),
            el('div', { class: 'actions' },
               button({ label: yes, kind: danger ? 'danger' : 'primary',
                        click: () => { answer = true; dialog.close(); } }),
               button({ label: t('cancel'), click: () => dialog.close() })));
        dialog.addEventListener('close', () => resolve(answer));
    });
}

// some fields; what "action" gives when they are sent, null if they are not
export function ask({ title, content, yes, action }) {
    return new Promise((resolve) => {
        let answer = null;
        const trouble = el('p', { class: 'trouble', role: 'alert',
                                  hidden: true });
        const dialog = open(title, el('form', { on: { submit: async (event) => {
            event.preventDefault();
            try {
                answer = await action();
                dialog.close();
            } catch (problem) {
                trouble.textContent = problem.message;
                trouble.hidden = false;
            }
        } } }, ...content, trouble, el('div', { class: 'actions' },
            el('button', { type: 'submit', class: 'button primary' },
               el('span', {}, yes)),
            button({ label: t('cancel'), click: () => dialog.close() }))));
        dialog.addEventListener('close', () => resolve(answer));
    });
}

// a link to take away, in full view
export function linkField(label, url, hint) {
    const id = `field-${++count}`;
    const input = el('input', { id, type: 'text', readonly: true, value: url,
                                class: 'link', on: {
                                    focus: () => input.select() } });
    const copy = button({ label: t('copy'), name: 'copy', click: async () => {
        try {
            await navigator.clipboard.writeText(url);
        } catch {
            input.focus();
            document.execCommand('copy');
        }
        relabel(copy, { label: t('copied'), name: 'check' });
        announce(t('copied'));
        setTimeout(() => relabel(copy, { label: t('copy'), name: 'copy' }),
                   3000);
    } });
    return el('div', { class: 'field' }, el('label', { for: id }, label),
              el('div', { class: 'with-button' }, input, copy),
              hint && el('p', { class: 'hint' }, hint));
}

export function showLinks(title, text, ...fields) {
    open(title, text && el('p', {}, text), ...fields);
}

// DEMONSTRATION: a name is all there is to it
export function login() {
    return new Promise((resolve) => {
        const id = `field-${++count}`;
        const input = el('input', { id, type: 'text', required: true,
                                    maxlength: 64, autocomplete: 'nickname',
                                    value: me() });
        const form = el('form', { method: 'dialog', on: { submit: (event) => {
            event.preventDefault();
            if (become(input.value)) {
                dialog.close();
            }
        } } },
            el('p', { class: 'demo', role: 'note' },
               el('strong', {}, t('demo.title')), ' ', t('demo.text')),
            el('div', { class: 'field' },
               el('label', { for: id }, t('login.name')), input),
            el('div', { class: 'actions' },
               el('button', { type: 'submit', class: 'button primary' },
                  el('span', {}, t('login.go'))),
               me() && button({ label: t('login.out'), click: () => {
                   become('');
                   dialog.close();
               } })));
        const dialog = open(t('login.title'), form);
        input.focus();
        dialog.addEventListener('close', () => {
            document.dispatchEvent(new CustomEvent('login'));
            resolve(me());
        });
    });
}
