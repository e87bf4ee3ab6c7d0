/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One view for each kind of step. A view has `node` and `update(item, run)`; tools also have
 * `tick(now)`. What agents and tools wrote is only ever set as text.
 */

import { duration, h, icon, inline, pretty, setText, timeOfDay } from './dom.js';

export const RUN_LABELS = {
    queued: 'Queued', running: 'Running', waiting: 'Waiting for you', completed: 'Done',
    interrupted: 'Interrupted', cancelled: 'Cancelled', failed: 'Failed', rejected: 'Rejected',
    lost: 'Lost',
};

const TOOL_ICONS = {
    ok: 'check', error: 'cross', denied: 'minus', cancelled: 'minus', lost: 'alert',
};
const MARK_ICONS = {
    queued: 'clock', started: 'play', completed: 'check', cancelled: 'minus', interrupted: 'hand',
};

export function syntheticTag() {
    return h('span', {
        className: 'tag synthetic', title: 'The broker wrote this event, not the agent',
    }, 'synthetic');
}

function shell(kind, iconName, ...children) {
    const bullet = h('span', { className: 'bullet' }, icon(iconName));
    return h('div', { className: `step ${kind}` }, bullet, ...children);
}

/** Text that grows: only what is new is added to the page. */
class GrowingText {
    #shown = '';
    #node = document.createTextNode('');

    constructor(parent) {
        parent.append(this.#node);
    }

    set(text) {
        if (text === this.#shown) return;
        if (text.startsWith(this.#shown)) this.#node.appendData(text.slice(this.#shown.length));
        else this.#node.data = text;
        this.#shown = text;
    }
}

/** A <details> that follows the run (open while it streams) until somebody opens or closes it. */
function follow(details) {
    let touched = false;
    details.firstElementChild.addEventListener('click', () => {
        touched = true;
    });
    return (open) => {
        if (!touched && details.open !== open) details.open = open;
    };
}

function markView(item) {
    const label = h('span', { className: 'mark-label' });
    const time = h('time', { className: 'muted' });
    const iconName = MARK_ICONS[item.state ?? item.id] ?? 'cross';
    const node = shell('mark', iconName, h('div', { className: 'line' }, label, time));
    node.dataset.mark = item.id;
    const update = (mark, run) => {
        const texts = {
            queued: mark.position === null || mark.position === undefined ? 'Queued'
                : `Queued, position ${mark.position}`,
            started: 'Started', ended: RUN_LABELS[mark.state],
        };
        setText(label, texts[mark.id]);
        setText(time, timeOfDay(mark.at));
        if (mark.id !== 'ended') return;
        node.dataset.state = mark.state;
        if (mark.synthetic && node.querySelector('.synthetic') === null)
            label.after(syntheticTag());
        if (Number.isFinite(run.endedAt - run.startedAt) && run.startedAt !== null)
            setText(label, `${texts.ended} after ${duration(run.endedAt - run.startedAt)}`);
    };
    return { node, update };
}

function thinkingView() {
    const label = h('span', { className: 'thinking-label' });
    const status = h('span', { className: 'muted ellipsis' });
    const body = h('div', { className: 'prose thought' });
    const details = h('details', {}, h('summary', {}, label, status), body);
    const line = h('div', { className: 'line' });
    const node = shell('thinking', 'spark', details, line);
    const text = new GrowingText(body);
    const setOpen = follow(details);
    const lineStatus = h('span', { className: 'thinking-label' });
    line.append(lineStatus);
    const update = (item, run) => {
        const active = run.items.at(-1) === item && run.endedAt === null;
        const spent = duration(item.endedAt - item.startedAt);
        node.classList.toggle('active', active);
        details.hidden = item.text === '';
        line.hidden = !details.hidden;
        setText(lineStatus, item.status || 'Thinking');
        setText(label, active ? 'Thinking' : `Thought for ${spent}`);
        setText(status, item.status);
        text.set(item.text);
        setOpen(active);
    };
    return { node, update };
}

function block(title, className) {
    const content = h('pre', { className, tabIndex: 0 });
    const node = h('div', { className: 'block', hidden: true }, h('h4', {}, title), content);
    return {
        node,
        show(value) {
            node.hidden = value === undefined || value === '';
            if (!node.hidden) setText(content, pretty(value));
        },
    };
}

function progressBar() {
    const bar = h('progress', { max: 1 });
    const note = h('span', { className: 'muted' });
    const node = h('div', { className: 'progress', hidden: true }, bar, note);
    return {
        node,
        show(progress, running) {
            node.hidden = progress === undefined || !running;
            if (node.hidden) return;
            const share = typeof progress === 'number' ? progress : progress?.fraction;
            bar.hidden = typeof share !== 'number';
            if (!bar.hidden) bar.value = share > 1 ? share / 100 : share;
            setText(note, bar.hidden ? inline(progress) : `${Math.round(bar.value * 100)} %`);
        },
    };
}

function errorText(error) {
    if (error === null || typeof error !== 'object') return error;
    return `${error.code ?? 'error'}: ${error.message ?? ''}`;
}

function toolView(first) {
    const name = h('code', { className: 'tool-name' });
    const args = h('span', { className: 'muted ellipsis tool-args' });
    const status = h('span', { className: 'badge' });
    const time = h('span', { className: 'muted tool-time' });
    const tag = syntheticTag();
    const blocks = {
        args: block('Arguments', 'code'), partial: block('Output', 'code'),
        result: block('Result', 'code'), error: block('Error', 'code bad'),
    };
    const progress = progressBar();
    const details = h('details', {
        className: 'tool', data: { toolCallId: first.id },
    }, h('summary', {}, name, args, tag, time, status), progress.node,
    ...Object.values(blocks).map((b) => b.node));
    const node = shell('tool-step', 'tool', details);
    const bullet = node.firstElementChild;
    const setOpen = follow(details);
    let tool = first;
    const update = (item) => {
        tool = item;
        const running = item.status === 'running';
        details.dataset.status = item.status;
        node.classList.toggle('active', running);
        bullet.replaceChildren(icon(TOOL_ICONS[item.status] ?? 'tool'));
        setText(name, item.name || 'tool');
        setText(args, inline(item.args));
        setText(status, item.status);
        tag.hidden = !item.synthetic;
        progress.show(item.progress, running);
        blocks.args.show(item.args);
        blocks.partial.show(item.partial);
        blocks.result.show(item.result);
        blocks.error.show(errorText(item.error));
        if (!running) setText(time, duration(item.durationMs));
        setOpen(item.error !== undefined);
    };
    const tick = (now) => {
        if (tool.status === 'running') setText(time, duration(now - tool.startedAt));
    };
    return { node, update, tick };
}

function textView() {
    const body = h('div', { className: 'prose answer' });
    const note = h('span', { className: 'tag', hidden: true }, 'cut off');
    const node = shell('text-step', 'text', h('div', { className: 'answer-box' }, body, note));
    const text = new GrowingText(body);
    const update = (item, run) => {
        text.set(item.text);
        note.hidden = !item.truncated;
        node.classList.toggle('streaming', !item.final && run.endedAt === null);
    };
    return { node, update };
}

function errorView() {
    const code = h('code', {});
    const message = h('p', {});
    const retry = h('span', { className: 'tag', hidden: true }, 'can be tried again');
    const tag = syntheticTag();
    const line = h('div', { className: 'line' }, code, tag, retry);
    const box = h('div', { className: 'callout' }, line, message);
    const node = shell('error-step', 'alert', box);
    const update = (item) => {
        node.classList.toggle('fatal', item.fatal);
        setText(code, item.code);
        setText(message, item.message);
        retry.hidden = !item.retryable;
        tag.hidden = !item.synthetic;
    };
    return { node, update };
}

const OUTCOMES = {
    resolved: 'Approved', cancelled: 'Declined', expired: 'Nobody answered in time',
};
const CALL_OUTCOMES = { ...OUTCOMES, resolved: 'Done by an application of yours' };

/** What a question is about: a tool that wants to run, a tool that a client does, anything. */
function kindOf({ payload }) {
    const kind = payload !== null && typeof payload === 'object' ? payload.kind : undefined;
    return kind === 'approval' || kind === 'tool' ? kind : 'question';
}

function outcomeText(item) {
    const { status, answer } = item;
    const kind = kindOf(item);
    const names = kind === 'tool' ? CALL_OUTCOMES : OUTCOMES;
    const refused = kind === 'approval' && status === 'resolved' && answer?.approved !== true;
    const outcome = refused ? 'Declined' : names[status] ?? 'Not answered';
    return kind !== 'tool' && typeof answer?.text === 'string' ? `${outcome}: ${answer.text}` : outcome;
}

/** The answer that a button stands for, as each kind of question wants it. */
function answerOf(kind, yes, text) {
    const said = text === '' ? {} : { text };
    if (kind === 'approval') return { status: 'resolved', payload: { approved: yes, ...said } };
    const status = yes ? 'resolved' : 'cancelled';
    return text === '' ? { status } : { status, payload: said };
}

function showQuestion(item, { reason, payload, approve }) {
    const kind = kindOf(item);
    approve.hidden = kind === 'tool';
    if (kind === 'question') {
        setText(reason, pretty(item.reason ?? 'The agent is waiting for you'));
        payload.show(item.payload);
        return;
    }
    const name = item.payload.tool_name;
    setText(reason, kind === 'approval' ? `The agent wants to run ${name}`
        : `The agent waits for an application of yours to do ${name}`);
    payload.show(item.payload.args);
}

function interruptView(first, actions) {
    const reason = h('p', { className: 'interrupt-reason' });
    const payload = block('Details', 'code');
    const answer = h('input', { placeholder: 'Reply (optional)', aria: { label: 'Reply' } });
    const outcome = h('p', { className: 'muted' });
    const approve = h('button', { type: 'submit', className: 'button primary' }, 'Approve');
    let run;
    let item = first;
    const reply = (yes) => () => actions.respond({
        run_id: run.id, interrupt_id: first.id, ...answerOf(kindOf(item), yes, answer.value.trim()),
    });
    const decline = { type: 'button', className: 'button', on: { click: reply(false) } };
    const form = h('form', { className: 'interrupt-form' }, answer, approve,
        h('button', decline, 'Decline'));
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        if (!approve.hidden) reply(true)();
    });
    const box = h('div', { className: 'callout ask', data: { interruptId: first.id } },
        reason, payload.node, form, outcome);
    const update = (changed, of) => {
        run = of;
        item = changed;
        box.dataset.kind = kindOf(item);
        showQuestion(item, { reason, payload, approve });
        answer.hidden = approve.hidden;
        form.hidden = item.status !== 'open';
        outcome.hidden = !form.hidden;
        setText(outcome, outcomeText(item));
    };
    return { node: shell('interrupt-step', 'hand', box), update };
}

const VIEWS = {
    mark: markView, thinking: thinkingView, tool: toolView, text: textView, error: errorView,
    interrupt: interruptView,
};

/** actions: respond(params of interrupt.respond). */
export function createStep(item, actions) {
    return VIEWS[item.kind](item, actions);
}
