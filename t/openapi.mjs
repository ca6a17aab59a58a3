// Copyright (C) Spaces for nginx contributors

// Whether a document is OpenAPI 3.1, by that specification's own schema; and
// whether its schemas are JSON Schema 2020-12, and its examples as they say.
// In TAP, for t/openapi.t.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

// they are installed where nothing of the repository is
const require = createRequire(new URL('../build/browser/', import.meta.url));
const installed = async (name) => import(require.resolve(name));

const { Validator } = await installed('@seriousme/openapi-schema-validator');
const { default: Ajv } = await installed('ajv/dist/2020.js');
const { default: addFormats } = await installed('ajv-formats');
const { parse } = await installed('yaml');

let count = 0;

function ok(condition, name, detail = '') {
    count++;
    console.log(`${condition ? 'ok' : 'not ok'} ${count} - ${name}`);
    if (!condition) {
        console.log(detail.replace(/^/gm, '# '));
    }
}

const text = readFileSync(process.argv[2], 'utf8');
const validity = await new Validator().validate(text);
ok(validity.valid, 'it is OpenAPI 3.1', JSON.stringify(validity.errors, null, 2));

const document = parse(text);
const ajv = new Ajv({ strict: true, allowUnionTypes: true, strictRequired: false });
addFormats(ajv);
// words of OpenAPI, which add nothing to what is valid
ajv.addVocabulary(['discriminator', 'example']);

// a schema with its references, of which there are none but to components
const within = (schema) => JSON.parse(JSON.stringify(schema), (key, value) =>
    key === '$ref' ? value.replace('#/components/schemas/', 'document#/$defs/') : value);
ajv.addSchema({ $id: 'document', $defs: within(document.components.schemas) });
const compiled = (schema) => ajv.compile(within(schema));

const escaped = (step) => `${step}`.replace(/~/g, '~0').replace(/\//g, '~1');

function followed(node) {
    const path = node?.$ref?.slice(2).split('/').map((s) => s.replace(/~1/g, '/').replace(/~0/g, '~'));
    return path ? followed(path.reduce((at, step) => at[step], document)) : node;
}

let examples = 0;

function hold(schema, value, where) {
    examples++;
    const validate = compiled(schema);
    ok(validate(value), `the example at ${where}`, JSON.stringify(validate.errors, null, 2));
}

for (const name of Object.keys(document.components.schemas)) {
    try {
        compiled(document.components.schemas[name]);
        ok(true, `the schema ${name}`);
    } catch (error) {
        ok(false, `the schema ${name}`, error.message);
    }
}

// media types, parameters, headers and schemas: each has its examples by it
function look(node, where) {
    if (node === null || typeof node !== 'object') {
        return;
    }
    const schema = node.schema ?? (Array.isArray(node.examples) ? node : undefined);
    if (schema && 'example' in node) {
        hold(schema, node.example, where);
    }
    for (const [name, example] of Object.entries(schema ? node.examples ?? {} : {})) {
        hold(schema, node.schema ? followed(example).value : example, `${where}/${name}`);
    }
    for (const [key, value] of Object.entries(node)) {
        if (!['example', 'examples', 'value'].includes(key)) {
            look(value, `${where}/${escaped(key)}`);
        }
    }
}

look({ paths: document.paths, components: document.components }, '#');
ok(examples > 50, 'there are examples', `${examples} of them`);

console.log(`1..${count}`);
