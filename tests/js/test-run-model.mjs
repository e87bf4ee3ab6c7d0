/* SPDX-License-Identifier: Apache-2.0 */

import assert from 'node:assert/strict';
import test from 'node:test';

import {
    activeRun, applyEvent, applyOpenRuns, applySnapshot, contentText, createModel, isOpen,
} from '../../clients/js/run-model.js';

/** Fold [type, data, fields?] rows of run r-1 in thread t-1, numbered from 1. */
function folded(...rows) {
    const model = createModel();
    rows.forEach(([type, data = {}, fields = {}], i) => applyEvent(model, {
        type, data, seq: i + 1, prev: i, timestamp: 1_000 + i, thread_id: 't-1', run_id: 'r-1',
        ...fields,
    }));
    return { model, run: model.runs.get('r-1') };
}

/** The steps without the marks of beginning and end. */
const work = (run) => run.items.filter((item) => item.kind !== 'mark');
const steps = (run) => work(run).map((item) => item.kind);

test('a run goes from queued through its steps to completed', () => {
    const { run, model } = folded(
        ['chat_message', { role: 'user', content: 'hello' }, { message_id: 'm-1' }],
        ['run_queued', { position: 2 }],
        ['agent_started', { agent: 'researcher' }],
        ['agent_thinking', { status: 'reading' }, { message_id: 'm-2' }],
        ['agent_thinking', { delta: 'Let me ' }, { message_id: 'm-2' }],
        ['agent_thinking', { delta: 'see.' }, { message_id: 'm-2' }],
        ['tool_executing', { tool_name: 'search', args: { q: 'rings' } }, { tool_call_id: 'c-1' }],
        ['tool_completed', { tool_name: 'search', status: 'ok', result: [1], duration_ms: 12 },
            { tool_call_id: 'c-1' }],
        ['partial_result', { delta: 'Rings ' }, { message_id: 'm-3' }],
        ['partial_result', { delta: 'are round.', final: true }, { message_id: 'm-3' }],
        ['agent_completed', { outcome: 'success', usage: { output_tokens: 4 } }],
    );
    assert.deepEqual(steps(run), ['thinking', 'tool', 'text']);
    const [thinking, tool, text] = work(run);
    assert.equal(thinking.text, 'Let me see.');
    assert.equal(thinking.status, 'reading');
    assert.deepEqual([tool.name, tool.status, tool.durationMs], ['search', 'ok', 12]);
    assert.deepEqual([text.text, text.final], ['Rings are round.', true]);
    assert.deepEqual([run.state, run.agent, run.startedAt, run.endedAt],
        ['completed', 'researcher', 1_002, 1_010]);
    assert.deepEqual(run.items.filter((item) => item.kind === 'mark').map((mark) => mark.id),
        ['queued', 'started', 'ended']);
    const thread = model.threads.get('t-1');
    assert.deepEqual(thread.items.map((item) => item.kind), ['message', 'run']);
    assert.equal(thread.title, 'hello');
    assert.equal(model.lastSeq, 11);
});

test('tools that overlap end each for itself', () => {
    const { run } = folded(
        ['agent_started'],
        ['tool_executing', { tool_name: 'a' }, { tool_call_id: 'c-1' }],
        ['tool_executing', { tool_name: 'b' }, { tool_call_id: 'c-2' }],
        ['tool_completed', { tool_name: 'b', status: 'denied' }, { tool_call_id: 'c-2' }],
    );
    assert.deepEqual(work(run).map((t) => t.status), ['running', 'denied']);
});

test('progress and partial output belong to the tool and are not text of the answer', () => {
    const { run } = folded(
        ['agent_started'],
        ['tool_executing', { tool_name: 'a' }, { tool_call_id: 'c-1' }],
        ['partial_result', { progress: 0.5 }, { tool_call_id: 'c-1' }],
        ['partial_result', { tool_call_id: 'c-1', progress: 0.75, delta: 'line' }],
    );
    assert.deepEqual(steps(run), ['tool']);
    assert.deepEqual([work(run)[0].progress, work(run)[0].partial], [0.75, 'line']);
});

test('a retry says which run it tries again', () => {
    assert.equal(folded(['run_queued', { position: 0, retry_of: 'r-1' }]).run.retryOf, 'r-1');
    assert.equal(folded(['run_queued', { position: 0 }]).run.retryOf, undefined);
});

test('a lost worker is told from a failure and from a refusal', () => {
    const fatal = (code) => [
        'error_event', { code, message: code, fatal: true }, { synthetic: true },
    ];
    assert.equal(folded(['agent_started'], fatal('worker_lost')).run.state, 'lost');
    assert.equal(folded(['agent_started'], fatal('worker_stalled')).run.state, 'lost');
    assert.equal(folded(['agent_started'], fatal('run_timeout')).run.state, 'failed');
    assert.equal(folded(['run_queued'], fatal('agent_not_found')).run.state, 'rejected');
    const { run } = folded(['agent_started'], fatal('worker_lost'));
    assert.equal(run.synthetic, true);
    assert.equal(run.error.code, 'worker_lost');
});

test('a run that fails or is cancelled tells what it has used', () => {
    const usage = { total_tokens: 15 };
    const failed = { code: 'llm_length', message: 'cut', fatal: true, usage };
    assert.deepEqual(folded(['agent_started'], ['error_event', failed]).run.usage, usage);
    const cancelled = { outcome: 'cancelled', usage };
    assert.deepEqual(folded(['agent_started'], ['agent_completed', cancelled]).run.usage, usage);
});

test('an error that is not fatal is a step, and the run goes on', () => {
    const { run } = folded(['agent_started'],
        ['error_event', { code: 'rate_limited', message: 'slow', fatal: false }],
        ['partial_result', { delta: 'x' }, { message_id: 'm' }]);
    assert.equal(run.state, 'running');
    assert.deepEqual(steps(run), ['error', 'text']);
});

test('each outcome has its state, and an unknown one is still an end', () => {
    const end = (outcome) => folded(['agent_started'], ['agent_completed', { outcome }]).run;
    assert.deepEqual(['success', 'cancelled', 'interrupt', 'new'].map((o) => end(o).state),
        ['completed', 'cancelled', 'interrupted', 'completed']);
    assert.equal(isOpen(end('success')), false);
});

test('an interrupt makes the run wait until it is resolved', () => {
    const ask = ['interrupt_requested', { interrupt_id: 'i-1', reason: 'May I?' }];
    assert.equal(folded(['agent_started'], ask).run.state, 'waiting');
    for (const [reason, status] of [['resolved', 'resolved'], ['cancelled', 'cancelled'],
        ['expired', 'expired'], ['approved by its author', 'resolved'], [undefined, 'resolved']]) {
        const { run } = folded(['agent_started'], ask,
            ['interrupt_resolved', { interrupt_id: 'i-1', reason, payload: { text: 'go' } }]);
        assert.equal(run.state, 'running');
        const [item] = work(run);
        assert.deepEqual([item.reason, item.status, item.answer.text], ['May I?', status, 'go']);
    }
});

test('a run that asks twice waits for both answers', () => {
    const ask = (id) => ['interrupt_requested', { interrupt_id: id, reason: '?' }];
    const answer = (id) => ['interrupt_resolved', { interrupt_id: id, reason: 'resolved' }];
    assert.equal(folded(['agent_started'], ask('a'), ask('b'), answer('a')).run.state, 'waiting');
    assert.equal(folded(['agent_started'], ask('a'), ask('b'), answer('a'), answer('b')).run.state,
        'running');
});

test('what comes after the end is counted and changes nothing', () => {
    const { run, model } = folded(['agent_started'], ['agent_completed', { outcome: 'success' }],
        ['partial_result', { delta: 'late' }, { message_id: 'm' }]);
    assert.deepEqual(steps(run), []);
    assert.equal(model.late, 1);
});

test('an end that came without the end of its tool does not leave the tool running', () => {
    const { run } = folded(['agent_started'], ['tool_executing', {}, { tool_call_id: 'c' }],
        ['agent_completed', { outcome: 'success' }]);
    assert.equal(work(run)[0].status, 'unknown');
});

test('events whose beginning is gone still make their run', () => {
    const row = ['tool_completed', { tool_name: 'a', status: 'ok' }, { tool_call_id: 'c' }];
    const { run } = folded(row);
    assert.deepEqual([run.state, work(run)[0].name, work(run)[0].status], ['running', 'a', 'ok']);
});

test('unknown types, missing data and hostile names are survived', () => {
    const model = createModel();
    const hostile = [
        { type: 'weather', seq: 1 }, { type: 'constructor', seq: 2, run_id: 'r' },
        { type: '__proto__', seq: 3, run_id: '__proto__' }, { type: 'agent_started', seq: 4 },
        { type: 'agent_started', seq: 5, run_id: '__proto__', thread_id: '__proto__' },
        { type: 'tool_executing', seq: 6, run_id: '__proto__' }, { type: 'chat_message', seq: 7 },
        { type: 'partial_result', seq: 8, run_id: '__proto__', data: { delta: 7 } },
    ];
    for (const event of hostile) applyEvent(model, event);
    assert.equal(model.unknown, 4);
    assert.equal(model.runs.size, 1);
    assert.equal(model.lastSeq, 8);
    assert.equal({}.state, undefined);
});

test('folding the same events gives the same text whether they were folded before or not', () => {
    const one = folded(['agent_started'], ['partial_result', { delta: 'ab' }, { message_id: 'm' }],
        ['partial_result', { delta: 'cd' }, { message_id: 'm' }]).run;
    const two = folded(['agent_started'],
        ['partial_result', { delta: 'abcd' }, { message_id: 'm', first_seq: 2 }]).run;
    assert.equal(work(one)[0].text, work(two)[0].text);
});

test('a cursor within a folded text is given the rest, and the text comes out whole', () => {
    const live = folded(['agent_started'], ['partial_result', { delta: 'ab' }, { message_id: 'm' }],
        ['partial_result', { delta: 'cd' }, { message_id: 'm' }]);
    applyEvent(live.model, { type: 'partial_result', seq: 9, prev: 3, first_seq: 4, run_id: 'r-1',
        thread_id: 't-1', message_id: 'm', data: { delta: 'efghij' } });
    assert.equal(work(live.run)[0].text, 'abcdefghij');
});

test('a message that a run streamed is not shown a second time', () => {
    const { model, run } = folded(['agent_started'],
        ['partial_result', { delta: 'Hel' }, { message_id: 'm' }],
        ['chat_message', { role: 'assistant', content: 'Hello' }, { message_id: 'm' }]);
    assert.equal(work(run)[0].text, 'Hello');
    assert.deepEqual(model.threads.get('t-1').items.map((i) => i.kind), ['run']);
});

test('the active run is the one at work, else the first in the queue', () => {
    const queued = ['run_queued', {}, { run_id: 'r-2' }];
    assert.equal(activeRun(folded(queued, ['agent_started']).model, 't-1').id, 'r-1');
    assert.equal(activeRun(folded(queued).model, 't-1').id, 'r-2');
    assert.equal(activeRun(folded(['agent_started'], ['agent_completed']).model, 't-1'), null);
    assert.equal(activeRun(createModel(), 't-1'), null);
});

test('open runs of the welcome are made once, and events find them', () => {
    const { model } = folded(['agent_started']);
    const made = applyOpenRuns(model, [
        { run_id: 'r-1', state: 'running' },
        { run_id: 'r-9', thread_id: 't-2', agent: 'a', state: 'queued' },
        { run_id: 'r-8', thread_id: 't-2', state: 'starting' }, {}, null,
    ]);
    const states = made.map((run) => [run.id, run.state]);
    assert.deepEqual(states, [['r-9', 'queued'], ['r-8', 'running']]);
    assert.equal(model.threads.get('t-2').items.length, 2);
});

test('a snapshot stands for what the gap took, and its events do not double the text', () => {
    const { model, run } = folded(['agent_started'],
        ['tool_executing', { tool_name: 'old' }, { tool_call_id: 'c-0' }],
        ['partial_result', { delta: 'one ' }, { message_id: 'm' }]);
    applySnapshot(model, {
        type: 'snapshot', run_id: 'r-1', thread_id: 't-1', seq: 20, state: 'running',
        tools: [{ tool_call_id: 'c-1', tool_name: 'search', args: { q: 1 } }],
        texts: [{ message_id: 'm', text: 'one two three ' }], interrupts: [],
    });
    const delta = (seq, text) => applyEvent(model, {
        type: 'partial_result', seq, run_id: 'r-1', message_id: 'm', data: { delta: text },
    });
    delta(20, 'three ');
    delta(21, 'four');
    assert.deepEqual(work(run).map((item) => item.status ?? item.text),
        ['unknown', 'one two three four', 'running']);
});

test('a snapshot older than what is known changes nothing', () => {
    const { model, run } = folded(['agent_started'], ['agent_thinking', { status: 's' }]);
    assert.equal(applySnapshot(model, { run_id: 'r-1', seq: 1, texts: [] }), null);
    assert.deepEqual(steps(run), ['thinking']);
});

test('a snapshot at the last event known is taken: what came before it may be gone', () => {
    const { model, run } = folded(['agent_started'],
        ['partial_result', { delta: 'three ' }, { message_id: 'm' }]);
    applySnapshot(model, {
        type: 'snapshot', run_id: 'r-1', seq: run.lastSeq, state: 'waiting', status: 'asking',
        tools: [], texts: [{ message_id: 'm', text: 'one two three ', final: true }],
        interrupts: [{ interrupt_id: 'i-1', reason: 'may I?', payload: { n: 1 } }],
    });
    assert.equal(run.state, 'waiting');
    assert.equal(run.status, 'asking');
    const [text, asked] = run.items.slice(-2);
    assert.deepEqual([text.text, text.final], ['one two three ', true]);
    assert.deepEqual([asked.reason, asked.status, asked.payload], ['may I?', 'open', { n: 1 }]);
});

test('the front that a snapshot misses comes from what was known, or is marked', () => {
    const { model, run } = folded(['agent_started'],
        ['partial_result', { delta: '\u{1f600}bc' }, { message_id: 'm' }]);
    const text = () => run.items.find((item) => item.kind === 'text').text;
    const missing = (count) => applySnapshot(model, {
        run_id: 'r-1', seq: 20, state: 'running',
        texts: [{ message_id: 'm', text: 'cd', missing: count }],
    });
    missing(2);
    assert.equal(text(), '\u{1f600}bcd');
    missing(9);
    assert.equal(text(), '\u2026cd');
});

test('content is a string or parts', () => {
    assert.equal(contentText('a'), 'a');
    assert.equal(contentText([{ type: 'text', text: 'a' }, 'b', { type: 'image' }, null]),
        'a\nb\n[image]\n[part]');
    assert.equal(contentText(undefined), '');
});

test('every change of a step raises its rev', () => {
    const { run, model } = folded(['agent_started'],
        ['partial_result', { delta: 'a' }, { message_id: 'm' }]);
    const before = work(run)[0].rev;
    applyEvent(model, {
        type: 'partial_result', seq: 9, run_id: 'r-1', message_id: 'm', data: { delta: 'b' },
    });
    assert.ok(work(run)[0].rev > before);
});
