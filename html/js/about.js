// Copyright (C) Spaces for nginx contributors

// What a Space is about, to fill in and to change: title, topics, language.

import { api } from './api.js';
import { ask } from './dialogs.js';
import { el } from './dom.js';
import { languageName } from './format.js';
import { language, t } from './strings.js';

const LANGUAGES = ['ar', 'de', 'en', 'es', 'fr', 'hi', 'it', 'ja', 'ko', 'nl',
                   'pl', 'pt', 'ru', 'tr', 'uk', 'zh'];

export function field(id, label, input, hint) {
    input.id = id;
    if (hint) {
        input.setAttribute('aria-describedby', `${id}-hint`);
    }
    return el('div', { class: 'field' }, el('label', { for: id }, label), input,
              hint && el('p', { class: 'hint', id: `${id}-hint` }, hint));
}

export function languageOptions(selected = '') {
    const codes = new Set([...LANGUAGES, selected].filter(Boolean));
    return [...codes].map((code) => [languageName(code), code])
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([name, code]) => el('option', {
            value: code, selected: code === selected }, name));
}

// blanks alone are nothing: the browser says then that it is required
function trim({ currentTarget: input }) {
    input.value = input.value.trim();
}

// the fields, and what is in them: "language" is null if it is not said
export function aboutFields({ title = '', topics = [],
                              language: spoken = language() } = {}) {
    const inputs = {
        title: el('input', { type: 'text', required: true, maxlength: 200,
                             autocomplete: 'off', value: title,
                             on: { change: trim } }),
        topics: el('input', { type: 'text', autocomplete: 'off',
                              value: topics.join(', ') }),
        spoken: el('select', {}, el('option', { value: '' },
                                    t('language.none')),
                   languageOptions(spoken ?? '')),
    };
    return {
        title: field('title', t('about.title'), inputs.title),
        topics: field('topics', t('topics'), inputs.topics,
                      t('about.topics.text')),
        language: field('spoken', t('about.language'), inputs.spoken),
        read: () => ({
            title: inputs.title.value.trim(),
            topics: [...new Set(inputs.topics.value.split(',')
                .map((topic) => topic.trim().replace(/^#/, ''))
                .filter(Boolean))],
            language: inputs.spoken.value || null,
        }),
    };
}

// by its host, at any time; the Space as it is then, or null
export function editAbout(space) {
    const fields = aboutFields(space);
    return ask({
        title: t('about.edit'), yes: t('about.save'),
        content: [fields.title, fields.topics, fields.language],
        action: () => api.change(space.id, fields.read()),
    });
}
