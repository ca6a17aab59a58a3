// Copyright (C) Spaces for nginx contributors

// The form that makes a Space.

import { el, icon } from './dom.js';
import { languageName } from './format.js';
import { language, t } from './strings.js';

const LANGUAGES = ['ar', 'de', 'en', 'es', 'fr', 'hi', 'it', 'ja', 'ko', 'nl',
                   'pl', 'pt', 'ru', 'tr', 'uk', 'zh'];
const VISIBILITIES = ['public', 'unlisted', 'ticketed'];

function field(id, label, input, hint) {
    input.id = id;
    if (hint) {
        input.setAttribute('aria-describedby', `${id}-hint`);
    }
    return el('div', { class: 'field' }, el('label', { for: id }, label), input,
              hint && el('p', { class: 'hint', id: `${id}-hint` }, hint));
}

// "create" gets the fields; what it throws is shown
export function createForm(create) {
    const title = el('input', { type: 'text', required: true, maxlength: 200,
                                autocomplete: 'off' });
    const topics = el('input', { type: 'text', autocomplete: 'off' });
    const spoken = el('select', {},
        el('option', { value: '' }, t('language.none')),
        LANGUAGES.map((code) => [languageName(code), code])
            .sort(([a], [b]) => a.localeCompare(b))
            .map(([name, code]) => el('option', {
                value: code, selected: code === language() }, name)));
    const when = el('input', { type: 'datetime-local' });
    const record = el('input', { type: 'checkbox', role: 'switch', id: 'record',
                                 'aria-describedby': 'record-hint' });
    const capacity = el('input', { type: 'number', min: 1, max: 1000000 });
    const price = el('input', { type: 'text', maxlength: 64 });
    const tickets = el('div', { class: 'pair', hidden: true },
        field('capacity', t('create.capacity'), capacity),
        field('price', t('create.price'), price));
    const trouble = el('p', { class: 'trouble', role: 'alert', hidden: true });
    const submit = el('button', { type: 'submit', class: 'button primary big' },
                      icon('live'), el('span', {}, t('create.go')));

    const visibility = el('fieldset', { class: 'choices' },
        el('legend', {}, t('create.visibility')),
        VISIBILITIES.map((name, i) => el('label', { class: 'choice' },
            el('input', { type: 'radio', name: 'visibility', value: name,
                          checked: i === 0, on: { change: () => {
                              tickets.hidden = name !== 'ticketed';
                          } } }),
            el('span', {}, el('strong', {}, t(`visibility.${name}`)),
               el('span', { class: 'hint' }, t(`visibility.${name}.text`))))));

    const form = el('form', { class: 'panel create', on: { submit: send } },
        field('title', t('create.title'), title),
        el('div', { class: 'switch' }, record,
           el('div', {}, el('label', { for: 'record' }, t('create.record')),
              el('p', { class: 'hint', id: 'record-hint' },
                 t('create.record.text')))),
        visibility, tickets,
        field('topics', t('topics'), topics, t('create.topics.text')),
        el('div', { class: 'pair' },
           field('spoken', t('create.language'), spoken),
           field('when', t('create.when'), when, t('create.when.text'))),
        trouble, el('div', { class: 'actions' }, submit));

    async function send(event) {
        event.preventDefault();
        submit.disabled = true;
        trouble.hidden = true;
        const kind = new FormData(form).get('visibility');
        const fields = {
            title: title.value.trim(), record: record.checked, visibility: kind,
            topics: [...new Set(topics.value.split(',')
                .map((topic) => topic.trim().replace(/^#/, ''))
                .filter(Boolean))],
        };
        if (spoken.value) {
            fields.language = spoken.value;
        }
        if (when.value) {
            fields.scheduled_at = new Date(when.value).toISOString()
                .replace(/\.\d+Z$/, 'Z');
        }
        if (kind === 'ticketed' && capacity.value) {
            fields.capacity = Number(capacity.value);
        }
        if (kind === 'ticketed' && price.value.trim()) {
            fields.price = price.value.trim();
        }
        try {
            await create(fields);
        } catch (problem) {
            trouble.textContent = problem.message;
            trouble.hidden = false;
            submit.disabled = false;
        }
    }

    return form;
}
