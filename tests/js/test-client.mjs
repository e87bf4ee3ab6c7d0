/* SPDX-License-Identifier: Apache-2.0 */

import assert from 'node:assert/strict';
import test from 'node:test';

import { harness, jwt, memoryStorage, settle } from './fakes.mjs';

const CURSOR_KEY = 'ringside:cursor:u-1';

test('the handshake carries token, cursor and filter, and no token in the address', async () => {
    const token = jwt({ sub: 'u-1' });
    const { connect } = harness({ token, cursor: '7.10', threads: ['a', 'b&c'] });
    const socket = await connect();
    assert.deepEqual(socket.protocols, ['ringside.v1', `bearer.${token}`]);
    assert.equal(socket.cursor, '7.10');
    assert.deepEqual(socket.query.getAll('thread'), ['a', 'b&c']);
    assert.equal(socket.query.get('snapshot'), null);
    assert.ok(!socket.url.includes(token));
});

test('a client may ask for what open runs show', async () => {
    const { connect } = harness({ snapshots: true });
    const socket = await connect();
    assert.equal(socket.query.get('snapshot'), '1');
});

test('a fresh client goes connecting, replaying, live', async () => {
    const { connect, heard, client } = harness({ cursor: 'start' });
    const socket = await connect({ head: 2, oldest: 1 });
    socket.event(1);
    socket.event(2);
    assert.equal(client.state, 'replaying');
    socket.push({ type: 'caught_up', seq: 2 });
    assert.deepEqual(heard.state.map((s) => s.state), ['connecting', 'replaying', 'live']);
    assert.deepEqual(heard.caughtup, [{ seq: 2 }]);
    assert.equal(client.cursor, '7.2');
});

test('a live welcome counts as caught up, once', async () => {
    const { connect, heard, client } = harness();
    const socket = await connect({ head: 5, oldest: 1, resume: 'live' });
    socket.push({ type: 'caught_up', seq: 5 });
    assert.equal(client.state, 'live');
    assert.deepEqual(heard.caughtup, [{ seq: 5 }]);
});

test('duplicates are dropped and counted', async () => {
    const { connect, heard, client } = harness({ cursor: '7.0' });
    const socket = await connect({ head: 3, oldest: 1 });
    for (const seq of [1, 2, 2, 1, 3]) socket.event(seq);
    assert.deepEqual(heard.event.map((e) => e.seq), [1, 2, 3]);
    assert.equal(client.counters.duplicates, 2);
    assert.equal(client.counters.gaps, 0);
});

test('the handlers get the frame as it was received', async () => {
    const { connect, client } = harness({ cursor: '7.0' });
    const raw = [];
    client.on('event', (event, text) => raw.push(text));
    const socket = await connect({ head: 1, oldest: 1 });
    const text = '{"type":"agent_started", "seq":1, "prev":0, "run_id":"r", "data":{}}';
    socket.push(text);
    assert.deepEqual(raw, [text]);
});

test('a gap is reported and the client resumes from the last good cursor', async () => {
    const { connect, heard, client, clock, sockets } = harness({ cursor: '7.0' });
    const first = await connect({ head: 9, oldest: 1 });
    first.event(1);
    first.event(5);
    assert.equal(heard.gap.length, 1);
    assert.deepEqual({ ...heard.gap[0] }, {
        kind: 'detected', reason: 'chain_broken', from: 2, to: 4, seq: 5, prev: 4, cursor: '7.1',
    });
    assert.equal(client.counters.gaps, 1);
    assert.equal(client.state, 'waiting');
    assert.ok(first.closedWith >= 3000);
    await clock.advance(250);
    assert.equal(sockets().length, 2);
    const second = sockets()[1];
    assert.equal(second.cursor, '7.1');
    second.welcome({ head: 9, oldest: 1 });
    for (const seq of [2, 3, 4, 5]) second.event(seq);
    assert.deepEqual(heard.event.map((e) => e.seq), [1, 2, 3, 4, 5]);
    assert.equal(client.counters.duplicates, 0);
});

test('what a dead socket still says is not heard', async () => {
    const { connect, heard, client, clock, sockets } = harness({ cursor: '7.0' });
    const first = await connect({ head: 1, oldest: 1 });
    client.drop();
    await clock.advance(500);
    sockets()[1].welcome({ head: 1, oldest: 1 });
    first.event(1);
    first.fail(4403);
    assert.equal(heard.event.length, 0);
    assert.equal(client.state, 'replaying');
});

test('an announced gap is counted with what it lost, and the chain goes on after it', async () => {
    const { connect, heard, client } = harness({ cursor: '7.10' });
    const socket = await connect({ head: 60, oldest: 50, resume: 'gap' });
    socket.push({ type: 'gap', from: 11, to: 49, reason: 'trimmed' });
    socket.event(50);
    assert.equal(heard.gap[0].reason, 'trimmed');
    assert.equal(client.counters.gaps, 1);
    assert.equal(client.counters.lost, 39);
    assert.deepEqual(heard.event.map((e) => e.seq), [50]);
});

test('an unknown type advances the cursor; an unknown control frame is passed on', async () => {
    const { connect, heard, client } = harness({ cursor: '7.0' });
    const socket = await connect({ head: 1, oldest: 1 });
    socket.push({ type: 'weather', seq: 1, prev: 0, data: {} });
    socket.push({ type: 'announcement', text: 'hello' });
    assert.equal(client.cursor, '7.1');
    assert.equal(heard.control.at(-1).type, 'announcement');
});

test('a frame that is not JSON is reported and harms nothing', async () => {
    const { connect, heard, client } = harness({ cursor: '7.0' });
    const socket = await connect({ head: 1, oldest: 1 });
    socket.push('{"type":');
    socket.push('null');
    socket.event(1);
    assert.deepEqual(heard.error.map((e) => e.code), ['bad_frame', 'bad_frame']);
    assert.equal(client.cursor, '7.1');
});

test('a handler that throws is reported and the chain goes on', async () => {
    const { connect, heard, client } = harness({ cursor: '7.0' });
    client.on('event', () => {
        throw new Error('application bug');
    });
    const socket = await connect({ head: 2, oldest: 1 });
    socket.event(1);
    socket.event(2);
    assert.equal(client.counters.gaps, 0);
    assert.equal(heard.error.length, 2);
    assert.equal(heard.error[0].code, 'handler_failed');
});

for (const code of [1001, 1006, 1011, 4001, 4002, 4003, 4399, 4408]) {
    test(`close code ${code} reconnects with the cursor`, async () => {
        const { connect, client, clock, sockets } = harness({ cursor: '7.0' });
        const socket = await connect({ head: 1, oldest: 1 });
        socket.event(1);
        socket.fail(code);
        assert.equal(client.state, 'waiting');
        await clock.advance(300);
        assert.equal(sockets().length, 2);
        assert.equal(sockets()[1].cursor, '7.1');
    });
}

for (const code of [1000, 1009, 4400, 4401, 4403, 4499, 4999]) {
    test(`close code ${code} stops`, async () => {
        const { connect, client, clock, sockets, heard } = harness({ cursor: '7.0' });
        const socket = await connect({ head: 1, oldest: 1 });
        socket.fail(code, 'because');
        assert.equal(client.state, 'stopped');
        assert.equal(heard.state.at(-1).code, code);
        await clock.advance(3_600_000);
        assert.equal(sockets().length, 1);
        assert.equal(clock.pending, 0);
    });
}

test('close code 4429 backs off for at least ten seconds', async () => {
    const { connect, clock, sockets } = harness({ cursor: '7.0' });
    (await connect({})).fail(4429);
    await clock.advance(9_999);
    assert.equal(sockets().length, 1);
    await clock.advance(300);
    assert.equal(sockets().length, 2);
});

test('close code 4004 forgets the state and reconnects from the start', async () => {
    const { connect, heard, clock, sockets, client } = harness({ cursor: '7.40' });
    const socket = await connect({ head: 41, oldest: 1 });
    socket.event(41);
    socket.fail(4004);
    assert.equal(heard.reset.length, 1);
    await clock.advance(300);
    assert.equal(sockets()[1].cursor, 'start');
    sockets()[1].welcome({ epoch: '8', head: 1, oldest: 1 });
    sockets()[1].event(1);
    assert.equal(heard.reset.length, 1);
    assert.equal(client.cursor, '8.1');
    assert.equal(client.counters.duplicates, 0);
});

test('a welcome with another epoch resets, and low numbers are new again', async () => {
    const { connect, heard, client } = harness({ cursor: '7.40' });
    const socket = await connect({ epoch: '8', head: 2, oldest: 1, resume: 'reset' });
    socket.push({ type: 'gap', from: 41, to: 41, reason: 'epoch_changed' });
    socket.event(1);
    socket.event(2);
    assert.deepEqual({ ...heard.reset[0] }, { previous: '7', epoch: '8', reason: 'epoch_changed' });
    assert.deepEqual(heard.event.map((e) => e.seq), [1, 2]);
    assert.equal(client.counters.gaps, 1);
    assert.equal(client.state, 'replaying');
});

test('an epoch that changes in mid-connection makes the client begin again', async () => {
    const { connect, heard, clock, sockets } = harness({ cursor: '7.40' });
    const socket = await connect({ head: 40, oldest: 1 });
    socket.push({ type: 'gap', from: 41, to: 41, reason: 'epoch_changed' });
    assert.equal(heard.reset.length, 1);
    await clock.advance(300);
    assert.equal(sockets()[1].cursor, 'start');
});

test('going_away sets when to come back', async () => {
    const { connect, clock, sockets, heard } = harness({ cursor: '7.0' });
    const socket = await connect({ head: 1, oldest: 1 });
    socket.event(1);
    socket.push({ type: 'going_away', reason: 'drain', reconnect_after_ms: 4_000, cursor: '7.1' });
    await clock.advance(1_000);
    socket.fail(4001);
    assert.equal(heard.state.at(-1).delayMs, 3_000);
    await clock.advance(2_999);
    assert.equal(sockets().length, 1);
    await clock.advance(1);
    assert.equal(sockets()[1].cursor, '7.1');
});

test('failing again and again waits longer, and an event makes it quick again', async () => {
    const { connect, clock, socket, heard, client } = harness({ cursor: '7.0' });
    await connect();
    clock.randomValue = 0.999;
    const delays = [];
    for (let i = 0; i < 8; i += 1) {
        socket().fail(1006);
        delays.push(heard.state.at(-1).delayMs);
        await clock.advance(delays.at(-1));
    }
    assert.deepEqual(delays, [250, 500, 999, 1998, 3996, 7992, 14985, 14985]);
    socket().welcome({ head: 1, oldest: 1 });
    socket().event(1);
    socket().fail(1006);
    assert.equal(heard.state.at(-1).delayMs, 250);
    assert.equal(client.counters.reconnects, 8);
});

test('a connection that never says welcome is given up', async () => {
    const { connect, clock, client, sockets } = harness();
    (await connect()).open();
    await clock.advance(10_000);
    assert.equal(client.state, 'waiting');
    await clock.advance(300);
    assert.equal(sockets().length, 2);
});

test('the token function is asked once more after 4401, and a second 4401 stops', async () => {
    const reasons = [];
    const { connect, clock, sockets, client } = harness({
        token: async ({ reason }) => {
            reasons.push(reason);
            return jwt({ sub: 'u-1', n: reasons.length });
        },
    });
    (await connect()).fail(4401);
    await clock.advance(300);
    assert.deepEqual(reasons, ['connect', 'refused']);
    assert.notEqual(sockets()[0].protocols[1], sockets()[1].protocols[1]);
    sockets()[1].fail(4401);
    await clock.advance(3_600_000);
    assert.equal(client.state, 'stopped');
    assert.equal(sockets().length, 2);
});

test('after a welcome a later 4401 may ask again', async () => {
    const { connect, clock, sockets, client } = harness({ token: async () => jwt({ sub: 'u-1' }) });
    (await connect()).fail(4401);
    await clock.advance(300);
    sockets()[1].welcome();
    sockets()[1].fail(4401);
    assert.equal(client.state, 'waiting');
});

test('a token function that fails is asked again after a pause', async () => {
    let calls = 0;
    const { connect, clock, sockets, heard } = harness({
        token: async () => {
            calls += 1;
            if (calls === 1) throw new Error('offline');
            return jwt({ sub: 'u-1' });
        },
    });
    await connect();
    assert.equal(heard.error[0].code, 'token_unavailable');
    await clock.advance(300);
    assert.equal(sockets().length, 1);
});

test('an expiring token is refreshed in-band', async () => {
    const env = harness().clock;
    const { connect, clock, client } = harness({
        token: async () => jwt({ sub: 'u-1', exp: env.now() / 1000 + 100 }),
    });
    const socket = await connect({ heartbeat_ms: 200_000 });
    await clock.advance(80_000);
    const [refresh] = socket.requests('auth.refresh');
    assert.equal(typeof refresh.params.token, 'string');
    socket.push({ id: refresh.id, result: { expires_at: 1 } });
    await settle();
    assert.equal(client.pendingRequests, 0);
});

test('the server\'s warning refreshes the token, whatever the clock here says', async () => {
    const { connect } = harness({ token: async () => jwt({ sub: 'u-1' }) });
    const socket = await connect({});
    socket.push({ type: 'token_expiring', expires_at: 1, closes_at: 2 });
    await settle();
    assert.equal(socket.requests('auth.refresh').length, 1);
});

test('a token that cannot be had again is not asked for', async () => {
    const { connect, heard } = harness({ token: jwt({ sub: 'u-1' }) });
    const socket = await connect({});
    socket.push({ type: 'token_expiring', expires_at: 1, closes_at: 2 });
    await settle();
    assert.equal(socket.requests('auth.refresh').length, 0);
    assert.equal(heard.control.at(-1).type, 'token_expiring');
});

test('a token of another user stops the client', async () => {
    const { connect, client, clock, sockets } = harness();
    const socket = await connect({});
    socket.fail(1006);
    await clock.advance(300);
    sockets()[1].welcome({ user_id: 'u-2' });
    assert.equal(client.state, 'stopped');
});

test('a refused handshake is diagnosed beside the socket, and 401 stops', async () => {
    const calls = [];
    const { connect, client, heard, clock } = harness({
        fetch: async (url, init) => {
            calls.push({ url, auth: init.headers.Authorization });
            const error = { code: 'unauthenticated', message: 'expired', retryable: false };
            return new Response(JSON.stringify({ error }), { status: 401 });
        },
    });
    (await connect()).fail(1006);
    await settle();
    await settle();
    assert.equal(calls[0].url, 'http://host/health/websocket');
    assert.match(calls[0].auth, /^Bearer /);
    assert.equal(client.state, 'stopped');
    assert.equal(heard.error[0].code, 'unauthenticated');
    assert.equal(clock.pending, 0);
});

test('a refusal with Retry-After is waited out', async () => {
    const { connect, heard, clock, sockets } = harness({
        fetch: async () => new Response('{}', { status: 503, headers: { 'Retry-After': '7' } }),
    });
    (await connect()).fail(1006);
    await settle();
    await settle();
    assert.ok(heard.state.at(-1).delayMs >= 7_000);
    await clock.advance(6_999);
    assert.equal(sockets().length, 1);
});

test('acknowledgements are throttled and say how far the client has come', async () => {
    const { connect, clock } = harness({ cursor: '7.0' });
    const socket = await connect({ head: 9, oldest: 1 });
    for (let seq = 1; seq <= 5; seq += 1) socket.event(seq);
    assert.equal(socket.requests('ack').length, 0);
    await clock.advance(1_000);
    socket.event(6);
    await clock.advance(1_000);
    await clock.advance(5_000);
    assert.deepEqual(socket.requests('ack'), [
        { method: 'ack', params: { seq: 5 } }, { method: 'ack', params: { seq: 6 } },
    ]);
});

test('what was handled before the loss is acknowledged on the next connection', async () => {
    const { connect, clock, sockets } = harness({ cursor: '7.0' });
    const socket = await connect({ head: 1, oldest: 1 });
    socket.event(1);
    socket.fail(1006);
    await clock.advance(300);
    sockets()[1].welcome({ head: 1, oldest: 1 });
    sockets()[1].push({ type: 'caught_up', seq: 1 });
    await clock.advance(1_000);
    assert.deepEqual(sockets()[1].requests('ack').map((a) => a.params.seq), [1]);
});

test('a page that goes away acknowledges and stores at once', async () => {
    const page = new EventTarget();
    page.document = Object.assign(new EventTarget(), { hidden: false });
    const storage = memoryStorage();
    const { connect } = harness({ cursor: '7.0', page, storage });
    const socket = await connect({ head: 1, oldest: 1 });
    socket.event(1);
    page.dispatchEvent(new Event('pagehide'));
    assert.equal(socket.requests('ack').length, 1);
    assert.equal(storage.map.get(CURSOR_KEY), '7.1');
});

test('coming online ends the wait', async () => {
    const page = new EventTarget();
    page.document = Object.assign(new EventTarget(), { hidden: false });
    const { connect, sockets } = harness({ page });
    (await connect({})).fail(1006);
    page.dispatchEvent(new Event('online'));
    await settle();
    assert.equal(sockets().length, 2);
});

test('a stored cursor is resumed, and an explicit one goes before it', async () => {
    const storage = memoryStorage({ [CURSOR_KEY]: '7.33' });
    assert.equal((await harness({ storage }).connect()).cursor, '7.33');
    assert.equal((await harness({ storage, cursor: 'start' }).connect()).cursor, 'start');
    const other = memoryStorage({ 'ringside:cursor:u-2': '7.33' });
    assert.equal((await harness({ storage: other }).connect()).cursor, null);
});

test('a view from the start says what was trimmed since this tab last saw it', async () => {
    const storage = memoryStorage({ [CURSOR_KEY]: '7.33' });
    const { connect, heard, client } = harness({ storage, cursor: 'start' });
    await connect({ head: 60, oldest: 50 });
    assert.equal(heard.gap[0].kind, 'remembered');
    assert.equal(client.counters.lost, 16);
});

test('a silent server is asked, and one that answers is kept', async () => {
    const { connect, clock, client } = harness({ cursor: '7.0' });
    const socket = await connect({ heartbeat_ms: 10_000 });
    await clock.advance(9_999);
    assert.equal(socket.requests('ping').length, 0);
    await clock.advance(1);
    const [ping] = socket.requests('ping');
    socket.push({ id: ping.id, result: {} });
    await clock.advance(9_999);
    assert.equal(socket.requests('ping').length, 1);
    assert.equal(client.state, 'replaying');
});

test('a half-open connection is given up without its closing handshake', async () => {
    const { connect, clock, client, sockets, heard } = harness({ cursor: '7.0' });
    await connect({ heartbeat_ms: 10_000 });
    await clock.advance(20_000);
    assert.equal(heard.state.find((s) => s.state === 'waiting').code, 4003);
    await clock.advance(300);
    assert.equal(sockets().length, 2);
    assert.equal(client.counters.reconnects, 1);
});

test('closing leaves no timer and no listener behind', async () => {
    const { connect, clock, client } = harness({ cursor: '7.0' });
    const socket = await connect({ head: 1, oldest: 1 });
    socket.event(1);
    client.close();
    assert.equal(client.state, 'idle');
    assert.equal(clock.pending, 0);
    assert.equal(socket.closedWith, 1000);
});

/** A connection whose view ended at 7.1, and the subscribe that was sent on it. */
async function resubscribed(view, options = {}) {
    const setting = harness({ cursor: '7.0', ...options });
    const socket = await setting.connect({ head: 1, oldest: 1 });
    socket.event(1);
    socket.push({ type: 'caught_up', seq: 1 });
    setting.client.subscribe(view);
    const [request] = socket.requests('subscribe');
    const begin = (fields = {}) => socket.push({
        id: request.id, result: { epoch: '7', head: 2, oldest: 1, runs: [], resume: 'replay', ...fields },
    });
    return { ...setting, socket, request, begin };
}

test('subscribe begins another view on the open connection', async () => {
    const { socket, request, begin, sockets, heard, client } =
        await resubscribed({ cursor: 'start', threads: ['t-9'] }, { snapshots: true });
    assert.deepEqual(request.params, { cursor: 'start', threads: ['t-9'], snapshots: true });
    assert.equal(client.state, 'replaying');
    begin();
    socket.event(1, { prev: 0 });
    socket.push({ type: 'caught_up', seq: 2 });
    assert.equal(sockets().length, 1);
    assert.deepEqual(heard.event.map((e) => e.seq), [1, 1]);
    assert.deepEqual(heard.caughtup, [{ seq: 1 }, { seq: 2 }]);
    assert.equal(client.state, 'live');
    assert.equal(client.cursor, '7.2');
    assert.deepEqual(heard.error, []);
});

test('what comes of the old view behind subscribe is passed over', async () => {
    const { socket, begin, heard, client } = await resubscribed({ cursor: '7.1' });
    socket.event(2);
    socket.push({ type: 'caught_up', seq: 2 });
    socket.push({ type: 'gap', from: 3, to: 4, reason: 'trimmed' });
    assert.deepEqual(heard.event.map((e) => e.seq), [1]);
    assert.equal(heard.caughtup.length, 1);
    begin();
    socket.event(2);
    assert.deepEqual(heard.event.map((e) => e.seq), [1, 2]);
    assert.equal(client.counters.duplicates + client.counters.gaps, 0);
});

test('a view from now on begins where its reply says', async () => {
    const { socket, begin, heard, client } = await resubscribed({});
    begin({ head: 40, resume: 'live' });
    socket.event(41);
    assert.equal(client.cursor, '7.41');
    assert.equal(heard.gap.length, 0);
});

test('the last of several subscribes counts', async () => {
    const { socket, begin, heard, client } = await resubscribed({ cursor: 'start' });
    client.subscribe({ cursor: '7.1', threads: ['t-2'] });
    begin();
    socket.event(1, { prev: 0 });
    assert.equal(heard.event.length, 1);
    const { id } = socket.requests('subscribe')[1];
    socket.push({ id, result: { epoch: '7', head: 2, oldest: 1, runs: [], resume: 'replay' } });
    socket.event(2);
    assert.deepEqual(heard.event.map((e) => e.seq), [1, 2]);
});

test('nothing is acknowledged between subscribe and its reply', async () => {
    const { socket, begin, clock, client } = await resubscribed({ cursor: '7.1' });
    assert.deepEqual(socket.requests('ack').map((ack) => ack.params.seq), [1]);
    client.flush();
    begin();
    socket.event(2);
    await clock.advance(1_000);
    assert.deepEqual(socket.requests('ack').map((ack) => ack.params.seq), [1, 2]);
});

test('a subscribe that is refused is asked for through a fresh connection', async () => {
    const { socket, request, sockets, heard } = await resubscribed({ cursor: '6.4', threads: ['t-9'] });
    socket.push({ id: request.id, error: { code: 'cursor_expired', message: 'gone', retryable: false } });
    await settle();
    assert.equal(socket.closedWith, 1000);
    assert.equal(sockets()[1].cursor, '6.4');
    assert.deepEqual(sockets()[1].query.getAll('thread'), ['t-9']);
    sockets()[1].welcome({ head: 1, oldest: 1, resume: 'reset' });
    assert.equal(heard.reset.length, 1);
    sockets()[1].event(1, { prev: 0 });
    assert.equal(heard.event.length, 2);
});

test('a subscribe whose reply never comes is asked for again', async () => {
    const { socket, clock, sockets } = await resubscribed({ cursor: '7.1' });
    await clock.advance(10_000);
    assert.equal(socket.closedWith, 3000);
    await clock.advance(1_000);
    assert.equal(sockets()[1].cursor, '7.1');
});

test('a connection lost between subscribe and its reply resumes the new view', async () => {
    const { socket, clock, sockets, heard, client } = await resubscribed({ cursor: 'start', threads: ['t-9'] });
    socket.fail(1006);
    await clock.advance(1_000);
    assert.equal(sockets()[1].cursor, 'start');
    sockets()[1].welcome({ head: 1, oldest: 1 });
    sockets()[1].event(1, { prev: 0 });
    assert.equal(heard.event.length, 2);
    assert.equal(client.counters.gaps, 0);
});

test('subscribe before the welcome begins anew', async () => {
    const { connect, client, sockets } = harness({ cursor: '7.0' });
    await connect();
    client.subscribe({ cursor: 'start' });
    await settle();
    assert.equal(sockets()[1].cursor, 'start');
});

test('going_away is heard between subscribe and its reply', async () => {
    const { socket, clock, sockets } = await resubscribed({ cursor: '7.1' });
    socket.push({ type: 'going_away', reason: 'drain', reconnect_after_ms: 5_000, cursor: '7.1' });
    socket.fail(4001);
    await clock.advance(4_900);
    assert.equal(sockets().length, 1);
    await clock.advance(200);
    assert.equal(sockets().length, 2);
});
