// Copyright (C) Spaces for nginx contributors

// Links to give away.

import { api } from './api.js';
import { pages } from './config.js';
import { linkField, login, showLinks } from './dialogs.js';
import { clock } from './format.js';
import { me, tokenOf } from './session.js';
import { t } from './strings.js';

function page(name, fragment) {
    const parts = new URLSearchParams(fragment).toString();
    return new URL(name, location.href).href + (parts ? `#${parts}` : '');
}

// A recording: a link that the host can revoke, and one to this very moment.
// What is not public opens with the token of that link alone.
export async function shareRecording(space, at) {
    if (!me() && !tokenOf(space.id) && !await login()) {
        return;
    }
    const share = await api.share(space.id, {});
    const token = space.visibility === 'public' ? {} : { token: share.token };
    const seconds = Math.floor(at);
    const copied = await navigator.clipboard?.writeText(share.url)
        .then(() => true, () => false);
    showLinks(t(copied ? 'share.title' : 'share.here'), null,
        linkField(t('share.link'), share.url, t('share.link.hint')),
        seconds > 0
        && linkField(t('share.at', { at: clock(seconds) }),
                     page(pages.space(space.id), { ...token, t: seconds })));
}

// A live or coming Space, to listen to. A ticket is a seat: one for each link.
export async function shareSpace(space) {
    let token = {};
    if (space.visibility === 'ticketed') {
        const { tickets } = await api.tickets(space.id, { count: 1 });
        token = { token: tickets[0].token };
    } else if (space.visibility === 'unlisted') {
        token = { token: (await api.share(space.id, {})).token };
    }
    showLinks(t('share.listen'), null,
        linkField(t('share.listen.link'),
                  page(pages.space(space.id), token),
                  t(`share.listen.${space.visibility}`)));
}

export function showInvitation(space, { name, token }) {
    showLinks(t('invite.made', { name }), t('invite.made.text'),
        linkField(t('invite.link'), page(pages.studio(space.id), { token }),
                  t('invite.secret')));
}
