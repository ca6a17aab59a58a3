// Copyright (C) Spaces for nginx contributors

// Who is in the room and who talks: tiles that change as events come.

import { avatar, button, el } from './dom.js';
import { t } from './strings.js';

export class Room {
    // "actions" gives the buttons a host has for somebody
    constructor({ actions = () => [] } = {}) {
        this.actions = actions;
        this.element = el('ul', { class: 'room', 'aria-label': t('room') });
        this.tiles = new Map();
    }

    show(speakers) {
        const here = new Set(speakers.map(({ id }) => id));
        for (const [id, { tile }] of this.tiles) {
            if (!here.has(id)) {
                tile.remove();
                this.tiles.delete(id);
            }
        }
        for (const speaker of speakers) {
            const known = this.tiles.get(speaker.id);
            const { tile, says } = known ?? this.add(speaker);
            tile.classList.toggle('is-speaking', speaker.speaking);
            tile.classList.toggle('is-muted', speaker.muted);
            says.textContent = speaker.muted ? t('room.muted')
                : speaker.speaking ? t('room.speaking')
                : speaker.role === 'host' ? t('room.host') : t('room.speaker');
            if (!known || known.muted !== speaker.muted) {
                this.tiles.get(speaker.id).muted = speaker.muted;
                const actions = this.actions(speaker);
                if (actions.length) {
                    tile.querySelector('.tile-actions')
                        .replaceChildren(...actions.map(button));
                }
            }
        }
    }

    add({ id, name, role }) {
        const says = el('span', { class: 'says' });
        const tile = el('li', { class: `tile tile-${role}`,
                                'data-speaker': id },
                        avatar(name, 'large'),
                        el('span', { class: 'tile-name' }, name), says,
                        el('span', { class: 'tile-actions' }));
        this.tiles.set(id, { tile, says });
        this.element.append(tile);
        return { tile, says };
    }
}
