// Copyright (C) Spaces for nginx contributors

// Who is calling: a name, and the tokens that came in links.

// A DEMONSTRATION: whoever sets this cookie is believed. On a real site the
// login of that site does it, and this function asks that login for the name.

export function me() {
    const found = /(?:^|;\s*)spaces_user=([^;]*)/.exec(document.cookie);
    return found ? found[1] : '';
}

export function become(name) {
    const plain = name.replace(/[\u0000-\u001f\u007f;,"]/g, ' ')
        .replace(/\s+/g, ' ').trim().slice(0, 64);
    document.cookie = `spaces_user=${plain}; path=/; SameSite=Lax; max-age=`
                      + (plain ? 31536000 : 0);
    return plain;
}

// The fragment of the page: "#t=90&token=…". A token is moved out of the
// address at once; it lives as long as the tab.

export function fragment() {
    return new URLSearchParams(location.hash.slice(1));
}

export function takeToken(id) {
    const parts = fragment();
    const token = parts.get('token');
    if (token) {
        keepToken(id, token);
        parts.delete('token');
        const rest = parts.toString();
        history.replaceState(history.state, '', location.pathname
                             + location.search + (rest ? `#${rest}` : ''));
    }
    return tokenOf(id);
}

export function keepToken(id, token) {
    sessionStorage.setItem(`spaces.token.${id}`, token);
}

// one that is good for this page alone, and comes before those that are kept
const held = new Map();

export function holdToken(id, token) {
    held.set(id, token);
}

export function tokenOf(id) {
    return held.get(id) ?? sessionStorage.getItem(`spaces.token.${id}`);
}

export function dropToken(id) {
    sessionStorage.removeItem(`spaces.token.${id}`);
}

// what is remembered from visit to visit, where that is allowed

export const memory = {
    get(key) {
        try {
            return localStorage.getItem(`spaces.${key}`);
        } catch {
            return null;
        }
    },
    set(key, value) {
        try {
            if (value === null) {
                localStorage.removeItem(`spaces.${key}`);
            } else {
                localStorage.setItem(`spaces.${key}`, value);
            }
        } catch {
            // private browsing: nothing is remembered
        }
    },
};
