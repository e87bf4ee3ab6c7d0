/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The page: a session (token → client → model) and what draws it.
 *
 * The model lives in memory and is the fold of events. After a reload it is gone, so the page asks
 * for `cursor=start` and folds all that is retained again: the history is the one truth, and a copy
 * in the browser could be cut off by a quota or fall out of step with it. A lost connection, by
 * contrast, keeps the model, and the client resumes from its cursor. Counters and `ringside.events`
 * begin anew with the model, so that both always speak of the same set of events. The cursor in
 * sessionStorage serves one purpose: to say so when events were trimmed between the old page and
 * the new one.
 *
 * Drawing is batched: events only mark what changed, and one frame draws it.
 */

import { drawNotices, Feed, Figures, showState } from './panel.js';
import {
    activeRun, applyEvent, applyOpenRuns, applySnapshot, createModel, isOpen,
} from './run-model.js';
import { RingsideClient, newId } from './ringside.js';
import * as session from './session.js';
import { RUN_LABELS } from './steps.js';
import { Outbox } from './storage.js';
import { ThreadList, Timeline, decorate } from './timeline.js';
import { claims } from './token.js';
import { setText } from './dom.js';

const MAX_RECORDED = 100_000;
const HIDDEN_FRAME_MS = 250;
const NEEDS_TOKEN = new Set([4401, 4403]);

const $ = (id) => document.getElementById(id);
const storage = window.sessionStorage;

const page = {
    client: null, token: '', model: createModel(), events: [], outbox: null, pending: new Map(),
    thread: null, follow: true, changed: new Set(), latency: null, scheduled: false, notices: [],
};
const figures = new Figures($);
const feed = new Feed($('feed'));
const threadList = new ThreadList($('threads'), select);
const timeline = new Timeline({
    root: $('messages'), empty: $('empty'), jump: $('jump'),
    actions: { cancel: cancelRun, respond, retry: deliver, discard },
});

/* ---- session ---- */

function start(token) {
    page.client?.close();
    page.token = token;
    clearModel();
    page.pending.clear();
    page.thread = session.keptThread(storage);
    page.follow = page.thread === null;
    page.client = new RingsideClient({
        url: session.socketAddress(window.location), token, cursor: 'start', storage,
    });
    page.outbox = new Outbox(storage, claims(token).sub ?? 'anyone');
    window.ringside = { client: page.client, model: page.model, events: page.events };
    listen(page.client);
    setText($('user'), claims(token).sub ?? '');
    for (const params of page.outbox.list()) deliver(pendingMessage(params));
    page.client.connect();
    $('login').close();
    focusComposer();
    schedule();
}

function clearModel() {
    page.model = createModel();
    page.events.length = 0;
    page.changed.clear();
    page.latency = null;
    if (window.ringside) window.ringside.model = page.model;
    timeline.clear();
    feed.clear();
}

function listen(client) {
    client.on('event', (event, text) => receive(client, event, text));
    client.on('control', (frame) => control(frame));
    client.on('caughtup', () => change(applyOpenRuns(page.model, client.welcome.runs)));
    client.on('state', (state) => stateChanged(state));
    client.on('gap', (gap) => reportGap(gap));
    client.on('reset', () => {
        clearModel();
        notify('The server began this stream anew; you see all that it retains.', 'warning');
    });
    client.on('error', (error) => console.warn('ringside', error));
}

function receive(client, event, text) {
    const { events } = page;
    events.push({ seq: event.seq, text });
    if (events.length > MAX_RECORDED) events.splice(0, events.length - MAX_RECORDED);
    if (client.state === 'live' && Number.isFinite(event.timestamp))
        page.latency = Date.now() - event.timestamp;
    feed.add(event);
    if (event.type === 'chat_message') settle(event.message_id);
    const touched = applyEvent(page.model, event);
    if (touched) {
        page.changed.add(touched.thread);
        if (client.state === 'live' && touched.run && !isOpen(touched.run)) announce(touched.run);
    }
    schedule();
}

function control(frame) {
    if (frame.type === 'snapshot') change([applySnapshot(page.model, frame)]);
    if (frame.type === 'going_away')
        notify('The server is being replaced; the page reconnects by itself.', 'info');
    schedule();
}

function change(runs) {
    for (const run of runs) if (run) page.changed.add(page.model.threads.get(run.threadId));
    schedule();
}

function stateChanged({ state, code, reason }) {
    schedule();
    if (state !== 'stopped') return;
    const why = reason ? `${code}, ${reason}` : `${code}`;
    if (NEEDS_TOKEN.has(code)) {
        askForToken(`The server refused the token (${why}).`);
        return;
    }
    notify(`The connection was closed (${why}).`, 'error',
        { label: 'Connect again', act: () => page.client.connect() });
}

function reportGap({ kind, reason, from, to }) {
    if (kind === 'detected')
        notify(`Events ${from}–${to} were missing; the page asked for them again.`, 'warning');
    else if (reason === 'epoch_changed')
        notify('The server lost this stream’s earlier events and began a new one.', 'error');
    else
        notify(`Events ${from}–${to} are no longer retained and cannot be shown.`, 'error');
}

function askForToken(message) {
    if (message) setText($('login-message'), message);
    if (!$('login').open) $('login').showModal();
    $('token').focus();
}

/* ---- what the user does ---- */

function send() {
    const content = $('composer').value.trim();
    if (content === '' || !page.client) return;
    const params = { thread_id: page.thread ?? newId('t'), message_id: newId('m'), content };
    const agent = $('agent').value.trim();
    if (agent !== '') params.agent = agent;
    $('composer').value = '';
    fitComposer();
    select(params.thread_id);
    timeline.toEnd();
    deliver(pendingMessage(params));
}

function pendingMessage(params) {
    const pending = { params, state: 'sending', error: '' };
    const { thread_id: thread } = params;
    page.pending.set(thread, [...(page.pending.get(thread) ?? []), pending]);
    return pending;
}

/**
 * Kept in the outbox until the server has said yes or a final no, so that a reload loses nothing.
 */
async function deliver(pending) {
    const { client, outbox } = page;
    Object.assign(pending, { state: 'sending', error: '' });
    outbox.put(pending.params);
    schedule();
    try {
        await client.chatSend(pending.params);
        pending.state = 'accepted';
        outbox.remove(pending.params.message_id);
    } catch (error) {
        if (client !== page.client) return;
        Object.assign(pending, { state: 'failed', error: error.message || error.code });
        if (!error.retryable) outbox.remove(pending.params.message_id);
    }
    schedule();
}

function discard(pending) {
    page.outbox.remove(pending.params.message_id);
    settle(pending.params.message_id);
    schedule();
}

/** The message came back as an event (or is not wanted any more): it is no longer pending. */
function settle(messageId) {
    for (const [thread, list] of page.pending)
        page.pending.set(thread, list.filter((p) => p.params.message_id !== messageId));
}

async function cancelRun(runId) {
    try {
        await page.client.cancelRun({ run_id: runId, reason: 'cancelled by the user' });
        return true;
    } catch (error) {
        if (error.code !== 'already_finished') notify(`Not cancelled: ${error.message}`, 'error');
        return false;
    }
}

async function respond(params) {
    try {
        await page.client.respondInterrupt(params);
    } catch (error) {
        notify(error.code === 'already_resolved' ? 'Another tab was first, or the time is over.'
            : `Not answered: ${error.message}`, 'warning');
    }
}

function select(thread) {
    page.thread = thread;
    page.follow = false;
    session.keepThread(storage, thread);
    drawer(null);
    schedule();
}

function openSecondTab() {
    const { token, thread } = page;
    window.open(session.tabAddress(window.location, { token, thread }), '_blank', 'noopener');
}

function signOut() {
    page.client?.close();
    page.client = null;
    session.forgetToken(storage);
    clearModel();
    schedule();
    askForToken('You signed out of this tab. Paste an access token to connect again.');
}

/* ---- drawing ---- */

function notify(text, kind, action) {
    const others = page.notices.filter((notice) => notice.text !== text).slice(-3);
    page.notices = [...others, { text, kind, action }];
    schedule();
}

function dismiss(notice) {
    page.notices = page.notices.filter((n) => n !== notice);
    schedule();
}

function announce(run) {
    setText($('announcer'), `${run.agent || 'Run'}: ${RUN_LABELS[run.state]}`);
}

/** One drawing for many events; by a timer where a hidden page gets no frames. */
function schedule() {
    if (page.scheduled) return;
    page.scheduled = true;
    let drawn = false;
    const once = () => {
        if (drawn) return;
        drawn = true;
        page.scheduled = false;
        draw();
    };
    requestAnimationFrame(once);
    setTimeout(once, HIDDEN_FRAME_MS);
}

function draw() {
    const { model, client } = page;
    timeline.update(page.changed, page.pending);
    if (page.follow) page.thread = newestThread(model);
    timeline.show(page.thread);
    threadList.draw(model.threads.values(), page.thread);
    drawAgents(model);
    page.changed.clear();
    const run = activeRun(model, page.thread);
    $('cancel').hidden = run === null;
    setText($('thread-title'), model.threads.get(page.thread)?.title.slice(0, 120) || 'New thread');
    showState($('state'), client?.state ?? 'idle');
    if (client) figures.show(client, page.latency);
    feed.draw();
    drawNotices($('notices'), page.notices, dismiss);
}

function newestThread(model) {
    let newest = null;
    for (const thread of model.threads.values())
        if (newest === null || thread.lastSeq > newest.lastSeq) newest = thread;
    return newest?.id ?? null;
}

function drawAgents(model) {
    const list = $('agents');
    const known = new Set([...list.children].map((option) => option.value));
    for (const { agent } of model.runs.values()) {
        if (agent === '' || known.has(agent)) continue;
        known.add(agent);
        list.append(new Option(agent, agent));
    }
}

function fitComposer() {
    const composer = $('composer');
    composer.style.height = 'auto';
    composer.style.height = `${Math.min(composer.scrollHeight, 200)}px`;
}

/** Not on a touch screen, where it would call the keyboard up over half of the page. */
function focusComposer() {
    if (window.matchMedia('(pointer: fine)').matches) $('composer').focus();
}

/** On a narrow page the two side columns are drawers, one open at most. */
function drawer(name) {
    for (const [id, button] of [['sidebar', 'toggle-threads'], ['panel', 'toggle-panel']]) {
        $(id).classList.toggle('open', id === name);
        $(button).setAttribute('aria-expanded', String(id === name));
    }
    $('backdrop').hidden = name === null;
}

function toggle(name) {
    const open = !$(name).classList.contains('open');
    drawer(open ? name : null);
    if (open) $(name).querySelector('button').focus();
}

/* ---- wiring ---- */

function wire() {
    const click = (id, action) => $(id).addEventListener('click', action);
    click('new-thread', () => {
        select(newId('t'));
        focusComposer();
    });
    click('cancel', () => {
        const run = activeRun(page.model, page.thread);
        if (run) cancelRun(run.id);
    });
    click('drop', () => page.client?.drop());
    click('second-tab', openSecondTab);
    click('sign-out', signOut);
    click('toggle-threads', () => toggle('sidebar'));
    click('toggle-panel', () => toggle('panel'));
    click('backdrop', () => drawer(null));
    $('composer').addEventListener('input', fitComposer);
    $('composer').addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        send();
    });
    $('composer-form').addEventListener('submit', (event) => {
        event.preventDefault();
        send();
    });
    $('token-form').addEventListener('submit', (event) => {
        event.preventDefault();
        useToken(session.cleanToken($('token').value));
    });
    $('login').addEventListener('cancel', (event) => event.preventDefault());
    document.addEventListener('keydown', (event) => {
        if (event.key === 'Escape') drawer(null);
    });
    window.addEventListener('hashchange', begin);
    setInterval(() => timeline.tick(Date.now()), 1_000);
}

function useToken(token) {
    if (token === '') return;
    $('token').value = '';
    session.keepToken(storage, token);
    start(token);
}

function begin() {
    const { location, history } = window;
    const token = session.takeToken({ location, history, storage });
    if (token === '') askForToken();
    else if (token !== page.token || !page.client) start(token);
}

decorate(document);
wire();
begin();
