/* SPDX-License-Identifier: Apache-2.0 */

import assert from 'node:assert/strict';
import test from 'node:test';

import { RingsideError } from '../../clients/js/ringside.js';
import { harness, settle } from './fakes.mjs';

test('a reply settles its own request', async () => {
    const { connect, client } = harness();
    const socket = await connect({});
    const one = client.getRun('r-1');
    const two = client.getRun('r-2');
    const [first, second] = socket.requests('run.get');
    socket.push({ id: second.id, result: { run_id: 'r-2' } });
    socket.push({ id: first.id, result: { run_id: 'r-1' } });
    assert.deepEqual(await one, { run_id: 'r-1' });
    assert.deepEqual(await two, { run_id: 'r-2' });
});

test('an error reply becomes a typed error', async () => {
    const { connect, client } = harness();
    const socket = await connect({});
    const call = client.cancelRun({ run_id: 'r-1' });
    const [frame] = socket.requests('run.cancel');
    const error = {
        code: 'run_not_found', message: 'no such run', retryable: false, data: { a: 1 },
    };
    socket.push({ id: frame.id, error });
    await assert.rejects(call, (e) => e instanceof RingsideError && e.code === 'run_not_found'
        && e.message === 'no such run' && e.retryable === false && e.data.a === 1);
});

test('a request without a reply ends in time', async () => {
    const { connect, client, clock } = harness({ requestTimeoutMs: 2_000 });
    await connect({});
    const call = client.respondInterrupt({ interrupt_id: 'i-1', status: 'resolved' });
    const ended = assert.rejects(call, { code: 'timeout', retryable: true });
    await clock.advance(2_000);
    await ended;
    assert.equal(client.pendingRequests, 0);
});

test('a request made before the welcome goes out after it', async () => {
    const { connect, client, socket } = harness();
    client.chatSend({ thread_id: 't-1', content: 'hi' });
    await connect();
    socket().open();
    assert.equal(socket().sent.length, 0);
    socket().welcome();
    assert.equal(socket().requests('chat.send').length, 1);
});

test('a pending chat.send is sent again under its message_id until answered', async () => {
    const { connect, client, clock, sockets } = harness();
    const first = await connect({});
    const call = client.chatSend({ thread_id: 't-1', content: 'hi' });
    first.fail(1006);
    await clock.advance(300);
    sockets()[1].welcome();
    const [before] = first.requests('chat.send');
    const [after] = sockets()[1].requests('chat.send');
    assert.ok(before.params.message_id);
    assert.deepEqual(after.params, before.params);
    sockets()[1].push({ id: after.id, result: { run_id: 'r-1', status: 'queued' } });
    assert.deepEqual(await call, { run_id: 'r-1', status: 'queued' });
    sockets()[1].fail(1006);
    await clock.advance(300);
    sockets()[2].welcome();
    assert.equal(sockets()[2].requests('chat.send').length, 0);
});

test('several pending messages keep their order', async () => {
    const { connect, client, clock, sockets } = harness();
    const first = await connect({});
    for (const content of ['a', 'b', 'c']) client.chatSend({ thread_id: 't-1', content });
    first.fail(1006);
    await clock.advance(300);
    sockets()[1].welcome();
    const contents = sockets()[1].requests('chat.send').map((frame) => frame.params.content);
    assert.deepEqual(contents, ['a', 'b', 'c']);
});

test('a request that must not be repeated fails when the connection is lost', async () => {
    const { connect, client, clock, sockets } = harness();
    const socket = await connect({});
    const call = client.respondInterrupt({ interrupt_id: 'i-1', status: 'resolved' });
    const ended = assert.rejects(call, { code: 'connection_lost', retryable: true });
    socket.fail(1006);
    await ended;
    await clock.advance(300);
    sockets()[1].welcome();
    assert.equal(sockets()[1].requests('interrupt.respond').length, 0);
});

test('an unavailable service is asked again on the same connection', async () => {
    const { connect, client, clock } = harness();
    const socket = await connect({});
    const call = client.chatSend({ thread_id: 't-1', message_id: 'm-1', content: 'hi' });
    const error = { code: 'unavailable', message: 'no broker', retryable: true };
    socket.push({ id: socket.requests('chat.send')[0].id, error });
    assert.equal(socket.requests('chat.send').length, 1);
    await clock.advance(300);
    const [, again] = socket.requests('chat.send');
    assert.equal(again.params.message_id, 'm-1');
    socket.push({ id: again.id, result: { run_id: 'r-1' } });
    assert.equal((await call).run_id, 'r-1');
});

test('a stopped client fails what waits and what comes', async () => {
    const { connect, client } = harness();
    const socket = await connect({});
    const ended = assert.rejects(client.chatSend({ thread_id: 't', content: 'x' }),
        { code: 'payload_too_large' });
    socket.fail(1009);
    await ended;
    await assert.rejects(client.ping(), { code: 'closed' });
});

test('closing fails what waits', async () => {
    const { connect, client } = harness();
    await connect({});
    const ended = assert.rejects(client.ping(), { code: 'closed' });
    client.close();
    await ended;
});

test('more requests than the limit are refused at once', async () => {
    const { connect, client } = harness();
    await connect();
    const waiting = Array.from({ length: 256 }, () => client.ping().catch((e) => e.code));
    await assert.rejects(client.ping(), { code: 'queue_full', retryable: true });
    client.close();
    assert.ok((await Promise.all(waiting)).every((code) => code === 'closed'));
});

test('a reply to nothing is ignored', async () => {
    const { connect, heard } = harness();
    const socket = await connect({});
    socket.push({ id: 'c-99', result: {} });
    await settle();
    assert.equal(heard.error.length, 0);
});

test('a request over the frame limit is refused here and the connection is kept', async () => {
    const { connect, client } = harness();
    const socket = await connect({ limits: { max_frame: 200 } });
    const small = client.chatSend({ thread_id: 't', message_id: 'm-1', content: 'x' });
    const large = client.chatSend({ thread_id: 't', message_id: 'm-2', content: 'é'.repeat(99) });
    await assert.rejects(large, { code: 'payload_too_large', retryable: false });
    const [frame, ...others] = socket.requests('chat.send');
    assert.equal(others.length, 0);
    socket.push({ id: frame.id, result: { run_id: 'r-1' } });
    assert.equal((await small).run_id, 'r-1');
});
