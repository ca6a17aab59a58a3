// Copyright (C) Spaces for nginx contributors

// A Space: to wait for, to listen to live, to replay.

import { editAbout } from './about.js';
import { api, path, Problem, withToken } from './api.js';
import { Clip } from './clip.js';
import { pages } from './config.js';
import { confirm } from './dialogs.js';
import { $, announce, avatar, button, el, icon, relabel } from './dom.js';
import { follow } from './events.js';
import { clock, day, languageName, moment, number, parseClock }
    from './format.js';
import { Links } from './links.js';
import { Live } from './live.js';
import { RecordingMark, stateMark } from './marks.js';
import { meter } from './meter.js';
import { Player } from './player.js';
import { Room } from './room.js';
import { fragment, keepToken, me, takeToken } from './session.js';
import { shareRecording, shareSpace, showLink } from './share.js';
import { notice, shell } from './shell.js';
import { t } from './strings.js';

shell();

const id = new URLSearchParams(location.search).get('id') ?? '';
const main = $('#space');
const mark = new RecordingMark($('#recording'));

let space = null;
let view = null;                         // what is open: { close }
let links = null;                        // for the host
let unfollow = null;

takeToken(id);

async function load() {
    unfollow?.();
    try {
        // what no path holds would be the address of something else
        if (!/\w/.test(id)) {
            throw new Problem(404, 'not-found');
        }
        space = await api.space(id);
        show();
    } catch (problem) {
        broken(problem);
    }
}

// the frame that is the same before, during and after

function show() {
    head();
    view?.close();
    links?.close();
    view = (space.state === 'ended' ? ended
            : space.state === 'live' ? live : waiting)();
    main.replaceChildren(view.element);
    links = isHost() && (space.recording === 'available'
                         || (space.visibility === 'unlisted'
                             && space.state !== 'ended'))
        ? new Links(space, complain) : null;
    if (links) {
        main.append(links.element);
    }
}

const isHost = () => space.host === me();

function head() {
    document.title = `${space.title} · ${t('brand')}`;
    $('#state').replaceChildren(stateMark(space));
    mark.show(space);
    const facts = [
        space.state === 'ended' && space.ended_at && day(space.ended_at),
        space.state === 'scheduled' && space.scheduled_at
            && moment(space.scheduled_at),
        space.language && languageName(space.language),
        space.visibility !== 'public' && t(`visibility.${space.visibility}`),
    ].filter(Boolean);

    $('#about').replaceChildren(
        el('h1', {}, space.title),
        el('p', { class: 'host' }, avatar(space.host, 'small'),
           el('span', {}, t('by', { name: space.host }))),
        el('p', { class: 'facts' }, facts.map((fact) => el('span', {}, fact))),
        space.topics?.length
            ? el('ul', { class: 'topics', 'aria-label': t('topics') },
                 space.topics.map((topic) => el('li', {}, el('a', {
                     class: 'topic',
                     href: pages.timeline(topic),
                 }, topic))))
            : '',
        isHost() ? button({ label: t('about.edit'), name: 'edit', kind: 'small',
                            click: edit }) : '');
}

async function edit() {
    const changed = await editAbout(space);
    if (changed) {
        space = changed;
        head();
        $('#about button').focus();
    }
}

function broken(problem) {
    view?.close();
    links?.close();
    view = links = null;
    const ticket = problem.status === 403;
    const title = t(problem.status === 404 ? 'space.none'
                    : problem.status === 410 ? 'space.gone'
                    : ticket ? 'space.ticket' : 'space.failed');
    if (!space) {
        document.title = `${title} · ${t('brand')}`;
    }
    main.replaceChildren(notice({
        kind: 'bad', title, text: problem.message,
        action: ticket ? ticketForm() : problem.status === 404
                || problem.status === 410
            ? el('a', { class: 'button', href: pages.timeline() },
                 el('span', {}, t('timeline.back')))
            : button({ label: t('again'), kind: 'primary', click: load }),
    }));
    announce(problem.message);
}

function ticketForm() {
    const input = el('input', { id: 'ticket', type: 'text', required: true,
                                autocomplete: 'off', spellcheck: 'false' });
    return el('form', { class: 'field', on: { submit: (event) => {
        event.preventDefault();
        keepToken(id, input.value.trim());
        load();
    } } },
        el('label', { for: 'ticket' }, t('space.ticket.label')),
        el('div', { class: 'with-button' }, input,
           el('button', { type: 'submit', class: 'button primary' },
              el('span', {}, t('space.ticket.go')))));
}

// waiting for the host

function waiting() {
    const stop = follow(id, (event, data) => {
        if (event === 'refused') {
            broken(data);
        } else if ((event === 'state' || event === 'hello')
                   && data.space && data.space.state !== 'scheduled') {
            space = data.space;
            show();
            announce(t(`state.${space.state}`));
        }
    });
    return {
        element: el('div', { class: 'panel waiting' },
            el('h2', {}, t('waiting')), el('p', {}, t('waiting.text')),
            el('div', { class: 'actions' }, hostLink(), invite())),
        close: stop,
    };
}

const hostLink = () => isHost()
    && el('a', { class: 'button', href: pages.studio(id) }, icon('mic'),
          el('span', {}, t('studio.open')));

const invite = () => (space.visibility === 'public' || isHost())
    && button({ label: t('share'), name: 'share',
                click: () => shareSpace(space).catch(complain) });

function complain(problem) {
    announce(problem.message);
    const place = $('#problem');
    place.textContent = problem.message;
    place.hidden = false;
}

// live

function live() {
    const room = new Room();
    const said = el('p', { class: 'live-status', role: 'status' });
    const listeners = el('p', { class: 'facts' });
    const listening = new Live({ id, handlers: { status } });
    const loud = meter(() => listening.level, 'room');
    let started = Date.now();
    let talked = false;

    const listen = button({
        label: t('live.listen'), name: 'headphones', kind: 'primary big',
        click: () => (listening.running ? listening.stop() : listening.start()),
    });
    const fromStart = button({ label: t('live.start'), name: 'start',
                               click: () => listening.start('start') });
    const toPresent = button({ label: t('live.now'), name: 'live',
                               click: () => listening.start() });
    const volume = el('input', {
        type: 'range', min: 0, max: 1, step: 0.05, value: 1, id: 'volume',
        on: { input: () => { listening.volume = Number(volume.value); } },
    });
    const timer = setInterval(() => { time.textContent = clock(elapsed()); },
                              1000);
    const time = el('span', { class: 'times' });
    const elapsed = () => (Date.now() - new Date(space.started_at
                                                 ?? started)) / 1000;

    function status(now) {
        const on = listening.running;
        relabel(listen, { label: t(on ? 'live.stop' : 'live.listen'),
                          name: on ? 'stop' : 'headphones' });
        const behind = listening.from === 'start';
        fromStart.hidden = space.recording !== 'recording' || behind && on;
        toPresent.hidden = !on || !behind;
        said.textContent = now === 'playing'
            ? t(behind ? 'live.playing.start' : 'live.playing')
            : now === 'stopped' ? '' : t(`live.${now}`);
        panel.dataset.status = now;
        panel.classList.toggle('is-playing', now === 'playing');
    }

    const panel = el('div', { class: 'panel live' },
        el('div', { class: 'live-head' }, listen,
           el('div', {}, said, loud.element), time),
        el('div', { class: 'actions' }, fromStart, toPresent, hostLink(),
           invite(),
           el('span', { class: 'volume' },
              el('label', { for: 'volume' }, t('volume')), volume)),
        el('div', { class: 'room-head' }, el('h2', {}, t('room')), listeners),
        room.element);

    const count = (n) => {
        listeners.replaceChildren(el('span', {}, t('listeners', {
            n: number(n), count: n })));
    };
    const stop = follow(id, (event, data) => {
        if (event === 'refused') {
            broken(data);
            return;
        }
        if (event === 'hello') {
            space = data.space;
            mark.show(space);
            room.show(space.speakers ?? []);
            count(space.listeners ?? 0);
            if (space.state !== 'live') {
                show();
            }
        } else if (event === 'recording') {
            space.recording = data.recording ? 'recording' : 'none';
            mark.show(space);
            status(panel.dataset.status);
        } else if (event === 'speakers') {
            room.show(data.speakers);
        } else if (event === 'listeners') {
            count(data.listeners);
        } else if (event === 'warning') {
            complain({ message: data.detail });
        } else if (event === 'state' && data.state === 'ended') {
            space = data.space;
            announce(t('live.ended'));
            talked = listening.running;
            setTimeout(show, talked ? 800 : 0);
        }
    });

    room.show(space.speakers ?? []);
    count(space.listeners ?? 0);
    time.textContent = clock(elapsed());
    status('stopped');

    return { element: panel, close() {
        stop();
        listening.stop();
        loud.close();
        clearInterval(timer);
    } };
}

// after

function ended() {
    if (space.recording !== 'available') {
        const gone = { deleted: 'space.gone', expired: 'space.expired' };
        return { close() {}, element: notice({
            title: t(gone[space.recording] ?? 'space.over'),
            text: t(gone[space.recording] ? `${gone[space.recording]}.text`
                                          : 'space.over.text'),
            action: el('a', { class: 'button', href: pages.timeline() },
                       el('span', {}, t('timeline.back'))),
        }) };
    }

    const wanted = () => parseClock(fragment().get('t') ?? '');
    const player = new Player({ space, at: wanted(), keysOf: document,
                                who: true });
    player.element.addEventListener('gone', ({ detail }) => {
        if (detail !== 200 && detail !== 0) {
            load();
        }
    });
    const jump = () => {
        if (wanted() !== null) {
            player.seek(wanted());
        }
    };
    addEventListener('hashchange', jump);

    let clip = null;
    const place = el('div', { hidden: true });
    const choose = button({ label: t('clip'), name: 'clip',
                            'aria-expanded': 'false', click: toggleClip });
    player.audio.addEventListener('play', () => clip?.audio.pause());

    function toggleClip() {
        if (clip) {
            clip.close();
            clip = null;
            choose.focus();
        } else {
            clip = new Clip({
                space, length: player.length, at: player.at,
                share: (span) => showLink(space, span).catch(complain),
                pause: () => player.audio.pause(), close: toggleClip,
            });
            place.replaceChildren(clip.element);
        }
        place.hidden = !clip;
        choose.setAttribute('aria-expanded', String(Boolean(clip)));
        $('h2', place)?.focus();
    }

    const shares = isHost() || space.visibility === 'public';
    const actions = el('div', { class: 'actions' },
        shares && button({ label: t('share'), name: 'share', click: () =>
            shareRecording(space, player.at).catch(complain) }),
        shares && choose,
        isHost() && el('a', { class: 'button', download: true, href: withToken(
                                  path(id, '/replay'), id, { download: 1 }) },
                       icon('download'), el('span', {}, t('download'))),
        isHost() && button({ label: t('delete'), name: 'trash',
                             kind: 'danger-text', click: remove }));

    return {
        element: el('div', { class: 'panel' }, player.element, actions, place,
            space.expires_at && el('p', { class: 'hint' },
                t('space.until', { day: day(space.expires_at) })),
            el('details', { class: 'keys' },
               el('summary', {}, t('keys')), el('p', {}, t('keys.text')))),
        close() {
            removeEventListener('hashchange', jump);
            clip?.close();
            player.close();
        },
    };
}

async function remove() {
    if (!await confirm({ title: t('delete.title'), text: t('delete.text'),
                         yes: t('delete'), danger: true })) {
        return;
    }
    try {
        space = await api.remove(id) ?? space;
        space.recording = 'deleted';
        show();
        announce(t('space.gone'));
    } catch (problem) {
        complain(problem);
    }
}

document.addEventListener('login', load);

load();
