// Copyright (C) Spaces for nginx contributors

// The form that makes a Space.

import { aboutFields, field } from './about.js';
import { el, icon } from './dom.js';
import { t } from './strings.js';

const VISIBILITIES = ['public', 'unlisted', 'ticketed'];

// "create" gets the fields; what it throws is shown
export function createForm(create) {
    const about = aboutFields();
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
        about.title,
        el('div', { class: 'switch' }, record,
           el('div', {}, el('label', { for: 'record' }, t('create.record')),
              el('p', { class: 'hint', id: 'record-hint' },
                 t('create.record.text')))),
        visibility, tickets, about.topics,
        el('div', { class: 'pair' }, about.language,
           field('when', t('create.when'), when, t('create.when.text'))),
        trouble, el('div', { class: 'actions' }, submit));

    async function send(event) {
        event.preventDefault();
        submit.disabled = true;
        trouble.hidden = true;
        const kind = new FormData(form).get('visibility');
        const { language, ...fields } = about.read();
        Object.assign(fields, { record: record.checked, visibility: kind });
        if (language) {
            fields.language = language;
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
