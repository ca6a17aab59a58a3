// Copyright (C) Spaces for nginx contributors

// Where nginx has "spaces_api" and, below it, the handlers of each Space.

export const base = '/spaces';

// Pages. A Space is named in the query; what is secret only in the fragment,
// which no server and no log ever sees.

export const pages = {
    timeline: './',
    space: (id) => `space.html?id=${encodeURIComponent(id)}`,
    studio: (id) => id ? `studio.html?id=${encodeURIComponent(id)}`
                       : 'studio.html',
};
