// Copyright (C) Spaces for nginx contributors

// Links to give away.

import { api } from './api.js';
import { pages } from './config.js';
import { linkField, login, showLinks } from './dialogs.js';
import { clock, exact } from './format.js';
import { me, tokenOf } from './session.js';
import { t } from './strings.js';

function page(url, fragment) {
    const parts = new URLSearchParams(fragment).toString();
    return url + (parts ? `#${parts}` : '');
}

// a link that the host can revoke; null if they would not say who they are
async function mint(space, fields) {
    if (!me() && !tokenOf(space.id) && !await login()) {
        return null;
    }
    const share = await api.share(space.id, fields);
    document.dispatchEvent(new CustomEvent('shares'));
    return share;
}

const copied = (url) => (navigator.clipboard?.writeText(url)
                         ?? Promise.reject()).then(() => true, () => false);

// A link to a recording or, with "start" and "end", to a clip of it. While
// there is no recording yet it leads to the Space itself.
export async function showLink(space, fields, ...more) {
    const share = await mint(space, fields);
    if (!share) {
        return;
    }
    const url = space.state === 'ended' ? share.url
        : page(pages.space(space.id), { token: share.token });
    const label = fields.end === undefined ? t('share.link')
        : t('share.clip', { start: exact(fields.start),
                            end: exact(fields.end) });
    showLinks(t(await copied(url) ? 'share.title' : 'share.here'), null,
        linkField(label, url, t('share.link.hint')),
        ...more.map((field) => field(share)));
}

// A recording, and this very moment of it. What is not public opens with the
// token of that link alone.
export function shareRecording(space, at) {
    const seconds = Math.floor(at);
    const moment = ({ token }) =>
        linkField(t('share.at', { at: clock(seconds) }),
                  page(pages.space(space.id), {
                      ...space.visibility !== 'public' && { token },
                      t: seconds }));
    return showLink(space, {}, ...(seconds > 0 ? [moment] : []));
}

// A live or coming Space, to listen to. A ticket is a seat: one for each link.
export async function shareSpace(space) {
    let token = {};
    if (space.visibility === 'ticketed') {
        const { tickets } = await api.tickets(space.id, { count: 1 });
        token = { token: tickets[0].token };
    } else if (space.visibility === 'unlisted') {
        token = { token: (await mint(space, {})).token };
    }
    showLinks(t('share.listen'), null,
        linkField(t('share.listen.link'), page(pages.space(space.id), token),
                  t(`share.listen.${space.visibility}`)));
}

export function showInvitation(space, { name, token }) {
    showLinks(t('invite.made', { name }), t('invite.made.text'),
        linkField(t('invite.link'), page(pages.studio(space.id), { token }),
                  t('invite.secret')));
}
