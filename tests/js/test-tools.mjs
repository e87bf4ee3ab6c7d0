/* SPDX-License-Identifier: Apache-2.0 */

import assert from 'node:assert/strict';
import test from 'node:test';

import { harness, settle } from './fakes.mjs';

function asked(id, name, args = {}) {
    return {
        type: 'interrupt_requested',
        data: {
            interrupt_id: id, reason: 'Your application is asked.',
            payload: { kind: 'tool', tool_call_id: `c-${id}`, tool_name: name, args },
        },
    };
}

async function answersOf(socket) {
    await settle();
    return socket.requests('interrupt.respond').map(({ params }) => params);
}

test('a call is done by its function, and the answer is the result', async () => {
    const { connect, client } = harness();
    client.onTool('page', (args, call) => ({ title: args.of, ...call }));
    const socket = await connect({ resume: 'live' });
    socket.event(1, asked('i-1', 'page', { of: 'Rings' }));
    socket.event(2, asked('i-2', 'other'));
    assert.deepEqual(await answersOf(socket), [{
        run_id: 'r-1', interrupt_id: 'i-1', status: 'resolved',
        payload: { title: 'Rings', run_id: 'r-1', tool_call_id: 'c-i-1' },
    }]);
});

test('nothing is null, and what is thrown is the error of the tool', async () => {
    const { connect, client } = harness();
    client.onTool('quiet', async () => undefined);
    client.onTool('broken', () => {
        throw Object.assign(new Error('nothing is open'), { code: 'no_page' });
    });
    const socket = await connect({ resume: 'live' });
    socket.event(1, asked('i-1', 'quiet'));
    socket.event(2, asked('i-2', 'broken'));
    const answers = await answersOf(socket);
    const [quiet, broken] = ['i-1', 'i-2'].map((id) => answers.find((a) => a.interrupt_id === id));
    assert.equal(quiet.payload, null);
    assert.equal(broken.status, 'cancelled');
    assert.deepEqual(broken.payload, { code: 'no_page', message: 'nothing is open' });
});

test('of the past only calls that are still open are done, once', async () => {
    const { connect, client } = harness({ cursor: 'start' });
    const done = [];
    client.onTool('page', (args) => done.push(args.n));
    const socket = await connect({ head: 5, oldest: 1 });
    socket.event(1, asked('i-1', 'page', { n: 1 }));
    socket.event(2, asked('i-2', 'page', { n: 2 }));
    socket.event(3, { type: 'interrupt_resolved', data: { interrupt_id: 'i-1' } });
    socket.event(4, { ...asked('i-4', 'page', { n: 4 }), run_id: 'r-2' });
    socket.event(5, { type: 'agent_completed', run_id: 'r-2', data: { outcome: 'success' } });
    await settle();
    assert.deepEqual(done, []);
    socket.push({ type: 'caught_up', seq: 5 });
    socket.push({ type: 'snapshot', run_id: 'r-1', seq: 5, interrupts: [asked('i-2', 'page').data] });
    assert.deepEqual((await answersOf(socket)).map((answer) => answer.interrupt_id), ['i-2']);
    assert.deepEqual(done, [2]);
});

test('a snapshot has calls as well, and a function may come late', async () => {
    const { connect, client } = harness();
    const socket = await connect({ resume: 'live' });
    const { data } = asked('i-1', 'page', { n: 1 });
    socket.push({ type: 'snapshot', run_id: 'r-7', seq: 0, interrupts: [data] });
    const undo = client.onTool('page', (args) => args.n);
    assert.throws(() => client.onTool('page', () => null), TypeError);
    assert.throws(() => client.onTool('none'), TypeError);
    assert.deepEqual(await answersOf(socket), [
        { run_id: 'r-7', interrupt_id: 'i-1', status: 'resolved', payload: 1 }]);
    undo();
    socket.event(1, asked('i-2', 'page'));
    assert.equal((await answersOf(socket)).length, 1);
});

test('another client that was first is no error, anything else is', async () => {
    const { connect, client, heard } = harness();
    client.onTool('page', () => 1);
    const socket = await connect({ resume: 'live' });
    socket.event(1, asked('i-1', 'page'));
    socket.event(2, asked('i-2', 'page'));
    await settle();
    const [first, second] = socket.requests('interrupt.respond');
    socket.push({ id: first.id, error: { code: 'already_resolved', message: 'too late' } });
    socket.push({ id: second.id, error: { code: 'payload_too_large', message: 'too large' } });
    await settle();
    assert.deepEqual(heard.error.map((error) => error.code), ['payload_too_large']);
});

test('approvals are for people', async () => {
    const { connect, client } = harness();
    client.onTool('page', () => 1);
    const socket = await connect({ resume: 'live' });
    const approval = asked('i-1', 'page');
    approval.data.payload.kind = 'approval';
    socket.event(1, approval);
    socket.event(2, { type: 'interrupt_requested', data: { interrupt_id: 'i-2', reason: '?' } });
    assert.deepEqual(await answersOf(socket), []);
});
