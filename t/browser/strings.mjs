// Copyright (C) Spaces for nginx contributors

// Every word that a page asks for is there, in every language; none is there
// for nothing.

import { readdirSync, readFileSync } from 'node:fs';
import { finish, is } from './lib.mjs';

const top = new URL('../../html/', import.meta.url);
const read = (name) => readFileSync(new URL(name, top), 'utf8');

// the Node of Debian 12 takes a .js by its name for something else
const { all } = await import('data:text/javascript,'
    + encodeURIComponent(read('js/strings.js')));

const scripts = readdirSync(new URL('js/', top))
    .filter((name) => name !== 'strings.js').map((name) => read(`js/${name}`));
const pages = readdirSync(top).filter((name) => name.endsWith('.html'))
    .map(read);

const [en, ...others] = Object.keys(all);
const known = Object.keys(all[en]);
const code = scripts.join('\n');

const asked = new Set();
for (const page of pages) {
    for (const [, key] of page.matchAll(/data-t(?:-label)?="([^"]+)"/g)) {
        asked.add(key);
    }
}
for (const [, key] of code.matchAll(/\bt\(\s*'([^']+)'/g)) {
    asked.add(key);
}

is([...asked].filter((key) => !known.includes(key)).join(), '',
   'nothing is asked for that is not there');

// a key may be put together: "state.${…}", "${…}.text"
const parts = [...code.matchAll(/`([\w.]+\.)\$\{/g)].map(([, part]) => part);
const used = (key) => asked.has(key) || code.includes(`'${key}'`)
    || parts.some((part) => key.startsWith(part))
    || (key.endsWith('.text') && used(key.replace(/\.text$/, '')));
is(known.filter((key) => !used(key)).join(), '',
   'nothing is there for nothing');

const holes = (text) => [text].flat()
    .map((s) => [...new Set(s.match(/\{\w+\}/g) ?? [])].sort().join()).at(-1);
for (const other of others) {
    is(Object.keys(all[other]).join(), known.join(),
       `${other}: all of it, in the same order`);
    is(known.filter((key) => holes(all[en][key]) !== holes(all[other][key] ?? ''))
            .join(), '', `${other}: with the same values`);
}

finish();
