/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Events folded into what a page shows: threads, their messages and runs, the steps of each run.
 *
 * No clock, no DOM, no I/O: the same events in the same order give the same model. The functions
 * change the model they are given and say what they touched, so that folding costs the same
 * whatever the model has grown to. Nothing here throws on what a server may send: unknown types are
 * counted, missing parents are made (the events before them may be gone), and what comes after a
 * run's end is counted and left out.
 *
 * Every step of a run (mark, thinking, tool, text, error, interrupt) has `rev`, which grows at each
 * change; a view that remembers it knows what to draw again.
 */

export const RUN_STATES = Object.freeze(['queued', 'running', 'waiting', 'completed', 'interrupted',
    'cancelled', 'failed', 'rejected', 'lost']);

const OPEN_STATES = new Set(['queued', 'running', 'waiting']);
const REJECT_CODES = new Set(['agent_not_found', 'queue_full']);
const ANSWERS = new Set(['resolved', 'cancelled', 'expired']);
const LOST_CODES = new Set(['worker_lost', 'worker_stalled']);
const OUTCOMES = new Map([['success', 'completed'], ['cancelled', 'cancelled'],
    ['interrupt', 'interrupted']]);

export function createModel() {
    return { threads: new Map(), runs: new Map(), lastSeq: 0, late: 0, unknown: 0 };
}

export function isOpen(run) {
    return OPEN_STATES.has(run.state);
}

/** The run of a thread that is at work or next in line, or null. */
export function activeRun(model, threadId) {
    const items = model.threads.get(threadId)?.items ?? [];
    const runs = items.filter((item) => item.kind === 'run' && isOpen(item));
    return runs.find((run) => run.state !== 'queued') ?? runs[0] ?? null;
}

/** The plain text of a message's content: a string, or parts of which those with text count. */
export function contentText(content) {
    if (typeof content === 'string') return content;
    if (!Array.isArray(content)) return content === undefined ? '' : JSON.stringify(content);
    return content.map((part) => {
        if (typeof part === 'string') return part;
        return typeof part?.text === 'string' ? part.text : `[${part?.type ?? 'part'}]`;
    }).join('\n');
}

function threadOf(model, id = '') {
    let thread = model.threads.get(id);
    if (!thread) {
        thread = { id, title: '', items: [], messages: new Map(), lastSeq: 0, lastAt: 0 };
        model.threads.set(id, thread);
    }
    return thread;
}

function runOf(model, { run_id: id, thread_id: threadId, seq = 0, agent, request_id: requestId }) {
    let run = model.runs.get(id);
    if (!run) {
        run = {
            kind: 'run', id, threadId: threadId ?? '', agent: agent ?? '', requestId,
            state: 'running', activity: '', status: '', position: null, parentRunId: undefined,
            retryOf: undefined,
            startedAt: null,
            endedAt: null, firstSeq: seq, lastSeq: 0, foldedTo: 0, items: [], steps: new Map(),
            error: null, result: undefined, usage: undefined, synthetic: false, rev: 0,
        };
        model.runs.set(id, run);
        threadOf(model, threadId).items.push(run);
    }
    if (agent) run.agent = agent;
    return run;
}

/** The step of this kind and id, made when it is not there. */
function step(run, kind, id, make) {
    const key = `${kind}:${id}`;
    let item = run.steps.get(key);
    if (!item) {
        item = { kind, id, rev: 0, ...make };
        run.steps.set(key, item);
        run.items.push(item);
    }
    item.rev += 1;
    return item;
}

function toolStep(run, event) {
    const { data } = event;
    return step(run, 'tool', event.tool_call_id ?? data.tool_call_id ?? '', {
        name: '', args: undefined, status: 'running', result: undefined, error: undefined,
        progress: undefined, partial: '', startedAt: event.timestamp, durationMs: undefined,
        synthetic: false,
    });
}

function textStep(run, id) {
    return step(run, 'text', id, { text: '', final: false, truncated: false });
}

/* ---- one function per event type: (run, event) ---- */

function runQueued(run, { data, timestamp }) {
    if (run.startedAt !== null) return;
    run.state = 'queued';
    run.position = data.position ?? null;
    if (data.retry_of) run.retryOf = data.retry_of;
    step(run, 'mark', 'queued', { at: timestamp }).position = run.position;
}

function agentStarted(run, { data, timestamp }) {
    run.state = 'running';
    run.activity = '';
    run.startedAt = timestamp;
    run.position = null;
    run.parentRunId = data.parent_run_id;
    run.input = data.input;
    if (data.agent) run.agent = data.agent;
    step(run, 'mark', 'started', { at: timestamp });
}

function agentThinking(run, { data, message_id: id = '', timestamp }) {
    run.activity = 'thinking';
    if (typeof data.status === 'string') run.status = data.status;
    const item = step(run, 'thinking', id, { text: '', status: '', startedAt: timestamp });
    item.endedAt = timestamp;
    if (typeof data.status === 'string') item.status = data.status;
    if (typeof data.delta === 'string') item.text += data.delta;
}

function toolExecuting(run, event) {
    const tool = toolStep(run, event);
    run.activity = 'tool';
    tool.name = event.data.tool_name ?? '';
    tool.args = event.data.args;
    tool.startedAt = event.timestamp;
}

function toolCompleted(run, event) {
    const { data } = event;
    const tool = toolStep(run, event);
    run.activity = '';
    if (data.tool_name) tool.name = data.tool_name;
    tool.status = data.status ?? 'ok';
    tool.result = data.result;
    tool.error = data.error;
    tool.durationMs = data.duration_ms;
    tool.synthetic = event.synthetic === true;
}

function partialResult(run, event) {
    const { data } = event;
    if (event.tool_call_id ?? data.tool_call_id) {
        const tool = toolStep(run, event);
        if (data.progress !== undefined) tool.progress = data.progress;
        if (typeof data.delta === 'string') tool.partial += data.delta;
        return;
    }
    run.activity = 'text';
    const text = textStep(run, event.message_id ?? '');
    if (typeof data.delta === 'string') text.text += data.delta;
    if (data.final === true) text.final = true;
    if (data.truncated === true) text.truncated = true;
}

function interruptRequested(run, { data, timestamp }) {
    run.state = 'waiting';
    step(run, 'interrupt', data.interrupt_id ?? '', {
        reason: data.reason, payload: data.payload, expiresAt: data.expires_at, status: 'open',
        startedAt: timestamp,
    });
}

/** Of a resolution `reason` says how it came about; the question keeps its own. */
function interruptResolved(run, { data }) {
    const item = step(run, 'interrupt', data.interrupt_id ?? '', {});
    item.status = ANSWERS.has(data.reason) ? data.reason : 'resolved';
    item.answer = data.payload;
    const asks = run.items.some((other) => other.kind === 'interrupt' && other.status === 'open');
    run.state = asks ? 'waiting' : 'running';
}

function endRun(run, state, event) {
    run.state = state;
    run.activity = '';
    run.endedAt = event.timestamp;
    run.synthetic = event.synthetic === true;
    for (const item of run.items) {
        /* Closed before the end, by contract; an end we did not see is not made up here. */
        if (item.kind === 'tool' && item.status === 'running') item.status = 'unknown';
        if (item.kind === 'interrupt' && item.status === 'open') item.status = 'cancelled';
        item.rev += 1;
    }
    step(run, 'mark', 'ended', { at: event.timestamp, state, synthetic: run.synthetic });
}

function agentCompleted(run, event) {
    run.result = event.data.result;
    run.usage = event.data.usage;
    endRun(run, OUTCOMES.get(event.data.outcome) ?? 'completed', event);
}

function errorEvent(run, event) {
    const { code = 'internal', message = '', fatal = false, retryable = false } = event.data;
    const error = { code, message, fatal, retryable, synthetic: event.synthetic === true };
    step(run, 'error', `${event.seq}`, error);
    if (!fatal) return;
    run.error = error;
    run.usage = event.data.usage;
    const rejected = run.startedAt === null && REJECT_CODES.has(code);
    endRun(run, LOST_CODES.has(code) ? 'lost' : rejected ? 'rejected' : 'failed', event);
}

const FOLDS = new Map(Object.entries({
    run_queued: runQueued, agent_started: agentStarted, agent_thinking: agentThinking,
    tool_executing: toolExecuting, tool_completed: toolCompleted, partial_result: partialResult,
    interrupt_requested: interruptRequested, interrupt_resolved: interruptResolved,
    agent_completed: agentCompleted, error_event: errorEvent,
}));

/**
 * A turn of the conversation. One that a run streamed under the same id is that text, not a second
 * one.
 */
function chatMessage(model, event) {
    const { data, message_id: id = `seq-${event.seq}` } = event;
    const text = contentText(data.content);
    const streamed = model.runs.get(event.run_id)?.steps.get(`text:${id}`);
    if (streamed) {
        streamed.text = text;
        streamed.final = true;
        streamed.rev += 1;
        return { run: model.runs.get(event.run_id) };
    }
    const thread = threadOf(model, event.thread_id);
    let message = thread.messages.get(id);
    if (!message) {
        message = { kind: 'message', id, threadId: thread.id, timestamp: event.timestamp, rev: 0 };
        thread.messages.set(id, message);
        thread.items.push(message);
    }
    Object.assign(message, { role: data.role ?? 'user', text, runId: event.run_id });
    message.rev += 1;
    if (thread.title === '' && message.role === 'user') thread.title = text;
    return { message };
}

function touchThread(model, event) {
    const thread = threadOf(model, event.thread_id);
    thread.lastSeq = event.seq;
    thread.lastAt = event.timestamp ?? thread.lastAt;
    return thread;
}

/**
 * Fold one event. Returns what it touched: {thread, run?, message?}; null when nothing is shown of
 * it.
 */
export function applyEvent(model, received) {
    const event = { ...received, data: received.data ?? {} };
    model.lastSeq = Math.max(model.lastSeq, event.seq);
    if (event.type === 'chat_message')
        return { ...chatMessage(model, event), thread: touchThread(model, event) };
    const fold = FOLDS.get(event.type);
    if (!fold || typeof event.run_id !== 'string') {
        model.unknown += 1;
        return null;
    }
    const run = runOf(model, event);
    if (event.seq <= run.foldedTo) return null;
    if (run.endedAt !== null) {
        model.late += 1;
        return null;
    }
    fold(run, event);
    run.lastSeq = event.seq;
    run.rev += 1;
    return { run, thread: touchThread(model, { ...event, thread_id: run.threadId }) };
}

/**
 * Runs that `welcome` names as open and of which no event was seen (a live view, or a trimmed one).
 */
export function applyOpenRuns(model, runs = []) {
    const made = [];
    for (const open of runs) {
        if (typeof open?.run_id !== 'string' || model.runs.has(open.run_id)) continue;
        const run = runOf(model, open);
        run.state = OPEN_STATES.has(open.state) ? open.state : 'running';
        made.push(run);
    }
    return made;
}

/** What a snapshot leaves out of a text's front may be known from before the gap. */
function joinText(known, { text = '', missing = 0 }) {
    if (missing === 0) return text;
    const before = Array.from(known);
    return before.length >= missing ? before.slice(0, missing).join('') + text : `\u2026${text}`;
}

/** What was open before the gap and is not in the snapshot has ended, nobody can say how. */
function closeUnseen(run) {
    for (const item of run.items) {
        if (item.kind === 'tool' && item.status === 'running') item.status = 'unknown';
        if (item.kind === 'interrupt' && item.status === 'open') item.status = 'unknown';
        item.rev += 1;
    }
}

function openTools(run, tools) {
    for (const open of tools) {
        const tool = toolStep(run, { ...open, data: open, timestamp: open.started_at });
        tool.status = 'running';
        tool.name = open.tool_name ?? tool.name;
        tool.args = open.args ?? tool.args;
        run.activity = 'tool';
    }
}

function openTexts(run, texts) {
    for (const said of texts) {
        if (said.text === '' && !said.missing) continue;
        const text = textStep(run, said.message_id ?? '');
        text.text = joinText(text.text, said);
        text.final ||= said.final === true;
        text.truncated ||= said.truncated === true;
    }
}

function openInterrupts(run, interrupts) {
    for (const asked of interrupts) {
        const item = step(run, 'interrupt', asked.interrupt_id ?? '', {
            reason: asked.reason, payload: asked.payload, expiresAt: asked.expires_at,
        });
        item.status = 'open';
    }
}

/**
 * A snapshot stands for a run's events up to its `seq`: it replaces what the gap left of them, and
 * those events change nothing when they come after it.
 */
export function applySnapshot(model, frame) {
    if (typeof frame.run_id !== 'string') return null;
    const known = model.runs.get(frame.run_id);
    if (known && (known.endedAt !== null || known.lastSeq > frame.seq)) return null;
    const run = runOf(model, frame);
    if (OPEN_STATES.has(frame.state)) run.state = frame.state;
    run.startedAt ??= frame.started_at ?? null;
    if (typeof frame.status === 'string') run.status = frame.status;
    closeUnseen(run);
    openTexts(run, frame.texts ?? []);
    openTools(run, frame.tools ?? []);
    openInterrupts(run, frame.interrupts ?? []);
    run.foldedTo = run.lastSeq = frame.seq ?? run.lastSeq;
    run.rev += 1;
    return run;
}
