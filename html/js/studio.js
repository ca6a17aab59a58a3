// Copyright (C) Spaces for nginx contributors

// The studio: create a Space, try the microphone, go live, end it. Who comes by
// an invitation finds the same studio without what only a host may do.

import { editAbout } from './about.js';
import { api } from './api.js';
import { pages } from './config.js';
import { confirm, login } from './dialogs.js';
import { $, announce, button, el, icon, relabel } from './dom.js';
import { follow } from './events.js';
import { clock, number } from './format.js';
import { createForm } from './create.js';
import { RecordingMark, stateMark } from './marks.js';
import { meter } from './meter.js';
import { Microphone } from './microphone.js';
import { Player } from './player.js';
import { Room } from './room.js';
import { keepToken, me, takeToken, tokenOf } from './session.js';
import { shareRecording, shareSpace, showInvitation } from './share.js';
import { notice, shell } from './shell.js';
import { t } from './strings.js';
import { hears, Talk } from './talk.js';

shell('studio');

const main = $('#studio');
const mark = new RecordingMark($('#recording'));
const microphone = new Microphone();

let id = new URLSearchParams(location.search).get('id') ?? '';
let space = null;
let host = false;
let view = null;
let deaf = false;                        // the others can't be heard here

function open(next) {
    view?.close?.();
    view = next;
    main.replaceChildren(next.element);
}

function complain(problem) {
    const place = $('#problem');
    place.textContent = problem?.message ?? '';
    place.hidden = !problem;
}

function title() {
    document.title = `${space.title} · ${t('studio')}`;
    $('#state').replaceChildren(stateMark(space));
    $('#about').replaceChildren(...[
        el('h1', {}, space.title),
        host && button({ label: t('about.edit'), name: 'edit', kind: 'small',
                         click: edit }),
    ].filter(Boolean));
    mark.show(space);
}

async function edit() {
    space = await editAbout(space) ?? space;
    title();
}

// which part of the studio it is

async function begin() {
    complain(null);
    if (!id) {
        $('#about').replaceChildren(el('h1', {}, t('studio.new')),
                                    el('p', { class: 'lead' },
                                       t('studio.new.text')));
        open(me() ? create() : strangers());
        return;
    }
    takeToken(id);
    try {
        space = await api.space(id);
    } catch (problem) {
        open({ element: notice({ kind: 'bad', title: t('space.none'),
                                 text: problem.message }) });
        return;
    }
    host = space.host === me();
    deaf = !hears();
    title();
    if (space.state === 'ended') {
        after();
    } else if (!host && !tokenOf(id)) {
        open({ element: notice({
            title: t('studio.closed'), text: t('studio.closed.text'),
            action: el('div', { class: 'actions' },
                el('a', { class: 'button primary', href: pages.space(id) },
                   icon('headphones'), el('span', {}, t('live.listen'))),
                !me() && button({ label: t('login.title'), click: login })),
        }) });
    } else {
        greenRoom();
    }
}

function strangers() {
    return { element: notice({
        title: t('login.first'), text: t('login.first.text'),
        action: button({ label: t('login.title'), kind: 'primary',
                         click: login }) }) };
}

function create() {
    return { element: createForm(async (fields) => {
        const made = await api.create(fields);
        keepToken(made.id, made.token);
        id = made.id;
        history.replaceState(null, '', pages.studio(id));
        await begin();
    }) };
}

const troubles = { NotAllowedError: 'mic.denied', NotReadableError: 'mic.busy' };

// before: is the microphone good, and does everybody know what is recorded?

function greenRoom() {
    const loud = meter(() => microphone.level, 'me');
    const heard = el('p', { class: 'hint', role: 'status' }, t('mic.off'));
    const devices = el('select', { id: 'device', on: { change: () =>
        use(devices.value) } });
    const field = el('div', { class: 'field', hidden: true },
        el('label', { for: 'device' }, t('mic.device')), devices);
    const test = button({ label: t('mic.test'), name: 'mic',
                          click: () => use() });
    const go = button({
        label: t(host ? space.state === 'live' ? 'studio.again' : 'studio.golive'
                      : 'studio.join'),
        name: 'live', kind: 'primary big', click: enter,
    });
    const waits = el('p', { class: 'hint', role: 'status' });
    let spoken = false;

    const timer = setInterval(() => {
        if (!spoken && microphone.level > 0.01) {
            spoken = true;
            heard.textContent = t('mic.heard');
        }
    }, 100);

    async function use(device) {
        try {
            await microphone.open(device);
            const all = await Microphone.devices();
            devices.replaceChildren(...all.map(({ deviceId, label }) =>
                el('option', { value: deviceId,
                               selected: deviceId === microphone.device },
                   label)));
            field.hidden = all.length < 2;
            test.hidden = true;
            spoken = false;
            heard.textContent = t('mic.say');
            complain(null);
            return true;
        } catch (error) {
            complain({ message: t(troubles[error.name] ?? 'mic.none') });
            return false;
        }
    }

    async function enter() {
        go.disabled = true;
        if ((microphone.stream || await use())) {
            onAir();
        } else {
            go.disabled = false;
        }
    }

    const stop = follow(id, (event, data) => {
        if (event === 'refused') {
            complain(data);
        } else if (event === 'hello' || event === 'state') {
            if (data.space) {
                space = data.space;
                title();
            }
            if (space.state === 'ended') {
                after();
                return;
            }
            go.disabled = !host && space.state !== 'live';
            waits.textContent = go.disabled ? t('studio.wait') : '';
        }
    });
    go.disabled = !host && space.state !== 'live';

    open({
        element: el('div', { class: 'panel green' },
            el('h2', {}, t('mic.title')),
            el('p', {}, t('mic.text')),
            el('div', { class: 'mic' }, test, loud.element), heard, field,
            el('div', { class: 'consent' },
               el('p', {}, t(space.record ? 'consent.on' : 'consent.off')),
               host && space.state === 'scheduled' && recordSwitch()),
            el('div', { class: 'actions' }, go,
               host && button({ label: t('share'), name: 'share',
                                click: () => shareSpace(space)
                                    .catch(complain) })),
            waits, deaf && el('p', { class: 'hint' }, t('deaf'))),
        close() {
            loud.close();
            clearInterval(timer);
            stop();
        },
    });
}

// it is settled before anybody has said a word
function recordSwitch() {
    return button({ label: t(space.record ? 'consent.dont' : 'consent.do'),
                    kind: 'text-button', click: async () => {
        try {
            space = await api.change(id, { record: !space.record });
            title();
            greenRoom();
        } catch (problem) {
            complain(problem);
        }
    } });
}

// on the air

function onAir() {
    const health = el('p', { class: 'health', role: 'status' });
    const listeners = el('p', { class: 'facts' });
    const time = el('span', { class: 'times' });
    const mine = meter(() => (microphone.muted ? 0 : microphone.level), 'me');
    const room = new Room({ actions: (speaker) =>
        (host && speaker.role !== 'host' ? [
            { label: t(speaker.muted ? 'room.unmute' : 'room.mute'),
              name: speaker.muted ? 'mic' : 'mic-off', kind: 'small',
              'aria-label': t(speaker.muted ? 'room.unmute.who'
                                            : 'room.mute.who', speaker),
              click: () => api.mute(id, speaker.id, !speaker.muted)
                  .catch(complain) },
            { label: t('room.remove'), name: 'close', kind: 'small',
              'aria-label': t('room.remove.who', speaker),
              click: async () => {
                  if (await confirm({
                      title: t('room.remove.who', speaker),
                      text: t('room.remove.text'), yes: t('room.remove'),
                      danger: true })) {
                      api.dismiss(id, speaker.id).catch(complain);
                  }
              } },
        ] : []) });
    let started = null;
    let quality = null;

    const talk = new Talk({ id, microphone, handlers: {
        event, status,
        over(problem) {
            microphone.close();
            if (problem) {
                complain(problem);
                greenRoom();
            } else {
                reload();
            }
        },
    } });
    const theirs = meter(() => talk.level, 'others');

    function status(now) {
        if (now !== quality) {
            quality = now;
            health.textContent = t(`health.${now}`);
            health.dataset.health = now;
            panel.dataset.health = now;
        }
    }

    function event(name, data) {
        if (name === 'hello') {
            space = data.space;
            title();
            room.show(space.speakers ?? []);
            count(space.listeners ?? 0);
        } else if (name === 'state') {
            space = data.space ?? { ...space, state: data.state };
            title();
        } else if (name === 'recording') {
            space.recording = data.recording ? 'recording' : 'none';
            title();
        } else if (name === 'speakers') {
            room.show(data.speakers);
        } else if (name === 'listeners') {
            count(data.listeners);
        } else if (name === 'warning') {
            complain({ message: data.detail });
        }
        started ??= space.state === 'live'
            ? new Date(space.started_at ?? Date.now()) : null;
    }

    function count(n) {
        listeners.replaceChildren(icon('headphones'), el('span', {},
            t('listeners', { n: number(n), count: n })));
    }

    const mute = button({ label: t('me.mute'), name: 'mic', kind: 'big',
                          'aria-pressed': 'false', click: toggle });

    function toggle() {
        microphone.muted = !microphone.muted;
        const off = microphone.muted;
        mute.setAttribute('aria-pressed', String(off));
        relabel(mute, { label: t(off ? 'me.unmute' : 'me.mute'),
                        name: off ? 'mic-off' : 'mic' });
        announce(t(off ? 'me.muted' : 'me.unmuted'));
    }

    function key(pressed) {
        if (pressed.key === 'm' && !pressed.ctrlKey && !pressed.metaKey
            && !pressed.altKey && !pressed.target.matches('input, textarea, '
                                                          + 'select, dialog *')) {
            toggle();
        }
    }

    async function end() {
        if (!await confirm({ title: t('end.title'),
                             text: t(space.record ? 'end.recorded' : 'end.text'),
                             yes: t('end'), danger: true })) {
            return;
        }
        try {
            space = await api.end(id);
            talk.stop();
            microphone.close();
            after();
        } catch (problem) {
            complain(problem);
        }
    }

    function leave() {
        talk.stop();
        microphone.close();
        greenRoom();
    }

    const volume = el('input', {
        type: 'range', min: 0, max: 1, step: 0.05, value: 1, id: 'volume',
        on: { input: () => { talk.volume = Number(volume.value); } } });

    const panel = el('div', { class: 'panel air' },
        el('div', { class: 'air-head' }, mute,
           el('div', { class: 'air-me' },
              el('span', { class: 'label' }, t('me.level')), mine.element),
           !deaf && el('div', { class: 'air-me' },
              el('span', { class: 'label' }, t('room.level')), theirs.element)),
        el('div', { class: 'air-line' }, health, time),
        el('div', { class: 'room-head' }, el('h2', {}, t('room')), listeners),
        room.element,
        host && inviteForm(),
        el('div', { class: 'actions' },
           host ? button({ label: t('end'), name: 'stop', kind: 'danger',
                           click: end })
                : button({ label: t('leave'), name: 'stop', click: leave }),
           button({ label: t('share.listen'), name: 'share',
                    click: () => shareSpace(space)
                        .catch(complain) }),
           !deaf && el('span', { class: 'volume' },
              el('label', { for: 'volume' }, t('volume')), volume)));

    const timer = setInterval(() => {
        time.textContent = started ? clock((Date.now() - started) / 1000) : '';
    }, 500);
    const leaving = (unload) => unload.preventDefault();
    addEventListener('beforeunload', leaving);
    document.addEventListener('keydown', key);

    count(space.listeners ?? 0);
    open({ element: panel, close() {
        talk.stop();
        mine.close();
        theirs.close();
        clearInterval(timer);
        removeEventListener('beforeunload', leaving);
        document.removeEventListener('keydown', key);
    } });
    mute.focus();
    microphone.stream.getAudioTracks()[0].onended = () =>
        complain({ message: t('mic.none') });
    talk.start();
}

function inviteForm() {
    const name = el('input', { id: 'guest', type: 'text', required: true,
                               maxlength: 64, autocomplete: 'off' });
    return el('form', { class: 'field invite', on: { submit: async (event) => {
        event.preventDefault();
        try {
            showInvitation(space, await api.invite(id, { name: name.value }));
            name.value = '';
        } catch (problem) {
            complain(problem);
        }
    } } },
        el('label', { for: 'guest' }, t('invite')),
        el('div', { class: 'with-button' }, name,
           el('button', { type: 'submit', class: 'button' }, icon('invite'),
              el('span', {}, t('invite.go')))),
        el('p', { class: 'hint' }, t('invite.text')));
}

// after

async function reload() {
    try {
        space = await api.space(id);
    } catch {
        space.state = 'ended';
    }
    after();
}

function after() {
    title();
    const player = space.recording === 'available'
        ? new Player({ space, keysOf: document, who: true }) : null;

    const remove = async () => {
        if (await confirm({ title: t('delete.title'), text: t('delete.text'),
                            yes: t('delete'), danger: true })) {
            try {
                space = await api.remove(id)
                    ?? { ...space, recording: 'deleted' };
                after();
                announce(t('space.gone'));
            } catch (problem) {
                complain(problem);
            }
        }
    };

    open({
        element: player
            ? el('div', { class: 'panel' },
                 el('h2', {}, t('after.title')), el('p', {}, t('after.text')),
                 player.element,
                 el('div', { class: 'actions' },
                    button({ label: t('share'), name: 'share', kind: 'primary',
                             click: () => shareRecording(space, 0)
                                 .catch(complain) }),
                    el('a', { class: 'button', href: pages.space(id) },
                       el('span', {}, t('after.page'))),
                    host && button({ label: t('delete'), name: 'trash',
                                     kind: 'danger-text', click: remove })))
            : notice({ title: t(space.recording === 'deleted' ? 'space.gone'
                                                              : 'space.over'),
                       text: t(space.recording === 'deleted'
                               ? 'space.gone.text' : 'space.over.text'),
                       action: el('a', { class: 'button primary',
                                         href: pages.studio() },
                                  el('span', {}, t('studio.another'))) }),
        close: () => player?.close(),
    });
}

document.addEventListener('login', () => {
    if (!(view?.element.matches('.air'))) {
        begin();
    }
});

begin();
