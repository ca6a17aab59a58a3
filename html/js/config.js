// Copyright (C) Spaces for nginx contributors

// Where nginx has "spaces_api" and, below it, the handlers of each Space.

export const base = '/spaces';

// Where these files are, whatever page has loaded them.

const top = new URL('..', import.meta.url);
const at = (name) => new URL(name, top).href;

export const icons = at('icons.svg');

// Pages. A Space is named in the query; what is secret only in the fragment,
// which no server and no log ever sees.

export const pages = {
    timeline: (topic) => at(topic ? `./?topic=${encodeURIComponent(topic)}`
                                  : './'),
    space: (id) => at(`space.html?id=${encodeURIComponent(id)}`),
    studio: (id) => at(id ? `studio.html?id=${encodeURIComponent(id)}`
                          : 'studio.html'),
};
