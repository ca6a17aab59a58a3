// Copyright (C) Spaces for nginx contributors

// The JSON API, and what its errors mean.

import { base } from './config.js';
import { tokenOf } from './session.js';
import { has, t } from './strings.js';

export class Problem extends Error {
    constructor(status, slug, detail) {
        super(has(`problem.${slug}`) ? t(`problem.${slug}`)
              : detail || t('problem.unknown', { status }));
        this.status = status;
        this.slug = slug;
    }

    static async of(response) {
        const body = await response.json().catch(() => ({}));
        return new Problem(response.status,
                           (body.type ?? '').replace(/.*:/, ''), body.detail);
    }
}

export function path(id, rest = '') {
    return `${base}/${encodeURIComponent(id)}${rest}`;
}

// for media elements and WebSockets, which send no headers of ours
export function withToken(url, id, more = {}) {
    const query = new URLSearchParams(more);
    const token = tokenOf(id);
    if (token) {
        query.set('token', token);
    }
    const text = query.toString();
    return text ? `${url}?${text}` : url;
}

export function socketUrl(url) {
    return new URL(url, location.href).href.replace(/^http/, 'ws');
}

export async function request(method, url, { id, body, signal } = {}) {
    const headers = {};
    const token = id && tokenOf(id);
    if (token) {
        headers.Authorization = `Bearer ${token}`;
    }
    if (body !== undefined) {
        headers['Content-Type'] = 'application/json';
    }
    let response;
    try {
        response = await fetch(url, {
            method, headers, signal, cache: 'no-store',
            body: body === undefined ? undefined : JSON.stringify(body),
        });
    } catch (error) {
        throw error.name === 'AbortError' ? error : new Problem(0, 'offline');
    }
    if (!response.ok) {
        throw await Problem.of(response);
    }
    return response.status === 204 ? null : response.json();
}

const on = (method, rest) => (id, body) =>
    request(method, path(id, rest), { id, body });

export const api = {
    list: (query, signal) =>
        request('GET', `${base}?${new URLSearchParams(query)}`, { signal }),
    create: (body) => request('POST', base, { body }),
    space: on('GET', ''),
    change: on('PATCH', ''),
    end: on('POST', '/end'),
    remove: on('DELETE', ''),
    invite: on('POST', '/speakers'),
    share: on('POST', '/shares'),
    mute: (id, speaker, muted) =>
        request('PATCH', path(id, `/speakers/${encodeURIComponent(speaker)}`),
                { id, body: { muted } }),
    dismiss: (id, speaker) =>
        request('DELETE', path(id, `/speakers/${encodeURIComponent(speaker)}`),
                { id }),
    tickets: on('POST', '/tickets'),
    shares: on('GET', '/shares'),
    revoke: (id, share) =>
        request('DELETE', path(id, `/shares/${encodeURIComponent(share)}`),
                { id }),
    waveform: (id, span = {}) =>
        request('GET', `${path(id, '/replay/waveform')}?`
                       + new URLSearchParams(span), { id }),
    speakers: on('GET', '/replay/speakers'),
};
