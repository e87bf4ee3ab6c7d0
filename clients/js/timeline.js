/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Threads, messages and runs on the page. The model only appends, so a view makes what is new and
 * updates what changed (`rev`); nothing is drawn twice. All threads are in the document, one is
 * shown.
 */

import { duration, h, icon, setText, timeOfDay } from './dom.js';
import { isOpen } from './run-model.js';
import { RUN_LABELS, createStep, syntheticTag } from './steps.js';

function usageText(usage) {
    if (!usage || typeof usage !== 'object') return '';
    return Object.entries(usage).filter(([, value]) => typeof value === 'number')
        .map(([name, value]) => `${value} ${name.replaceAll('_', ' ')}`).join(' · ');
}

class RunView {
    #actions;
    #steps = new Map();
    #drawn = -1;
    #cancelling = false;
    #run;

    constructor(run, actions) {
        this.#actions = actions;
        this.#run = run;
        this.avatar = h('span', { className: 'avatar', aria: { hidden: 'true' } });
        this.name = h('h3', { className: 'run-agent' });
        this.parent = h('span', { className: 'tag', hidden: true });
        this.badge = h('span', { className: 'badge' });
        this.tag = syntheticTag();
        this.time = h('span', { className: 'muted run-time' });
        this.cancel = h('button', {
            type: 'button', className: 'link-button danger', data: { action: 'cancel' },
            on: { click: () => this.#cancel() },
        }, 'Cancel');
        this.body = h('div', { className: 'steps' });
        this.foot = h('footer', { className: 'muted run-foot', hidden: true });
        const head = h('header', { className: 'run-head' }, this.avatar, this.name, this.parent,
            this.badge, this.tag, this.time, this.cancel);
        this.node = h('article', {
            className: 'run', data: { runId: run.id },
        }, head, this.body, this.foot);
        this.update();
    }

    update() {
        const run = this.#run;
        if (run.rev === this.#drawn) return;
        this.#drawn = run.rev;
        const open = isOpen(run);
        const agent = run.agent || 'agent';
        this.node.dataset.state = run.state;
        this.node.dataset.activity = run.activity;
        this.node.classList.toggle('child', run.parentRunId !== undefined);
        this.node.setAttribute('aria-label', `Run of ${agent}, ${RUN_LABELS[run.state]}`);
        this.node.setAttribute('aria-busy', String(open));
        setText(this.avatar, agent.slice(0, 1).toUpperCase());
        setText(this.name, agent);
        setText(this.badge, RUN_LABELS[run.state]);
        this.parent.hidden = run.parentRunId === undefined;
        setText(this.parent, `sub-run of ${run.parentRunId}`);
        this.tag.hidden = !run.synthetic;
        this.cancel.hidden = !open;
        this.#updateSteps(run);
        setText(this.foot, usageText(run.usage));
        this.foot.hidden = this.foot.textContent === '';
        if (!open && run.startedAt !== null)
            setText(this.time, duration(run.endedAt - run.startedAt));
    }

    /**
     * A step that was the last one looks different when others follow: it is drawn along with them.
     */
    #updateSteps(run) {
        const firstStale = this.#steps.size - 1;
        run.items.forEach((item, index) => {
            let step = this.#steps.get(item);
            if (!step) {
                step = { ...createStep(item, this.#actions), rev: -1 };
                this.#steps.set(item, step);
                this.body.append(step.node);
            }
            if (step.rev === item.rev && index < firstStale) return;
            step.rev = item.rev;
            step.update(item, run);
        });
    }

    tick(now) {
        const run = this.#run;
        if (!isOpen(run)) return;
        if (run.startedAt !== null) setText(this.time, duration(now - run.startedAt));
        for (const step of this.#steps.values()) step.tick?.(now);
    }

    async #cancel() {
        if (this.#cancelling) return;
        this.#cancelling = true;
        this.cancel.disabled = true;
        setText(this.cancel, 'Cancelling…');
        const accepted = await this.#actions.cancel(this.#run.id);
        this.#cancelling = false;
        if (accepted) return;
        this.cancel.disabled = false;
        setText(this.cancel, 'Cancel');
    }
}

class MessageView {
    #drawn = -1;

    constructor(message) {
        this.text = h('div', { className: 'prose' });
        this.foot = h('div', { className: 'message-foot muted' });
        this.node = h('article', {
            className: 'message', data: { messageId: message.id, role: message.role },
        }, this.text, this.foot);
        this.node.setAttribute('aria-label', message.role === 'user' ? 'You' : message.role);
        this.update(message);
    }

    update(message) {
        if (message.rev === this.#drawn) return;
        this.#drawn = message.rev;
        setText(this.text, message.text);
        this.foot.replaceChildren(timeOfDay(message.timestamp));
    }
}

const PENDING_LABELS = { sending: 'Sending…', accepted: 'Accepted', failed: 'Not sent' };

/** A message of this tab that has not come back as an event. */
class PendingView extends MessageView {
    constructor(pending, actions) {
        super({ id: pending.params.message_id, role: 'user', text: '' });
        this.node.dataset.pending = '';
        this.retry = h('button', {
            type: 'button', className: 'link-button', on: { click: () => actions.retry(pending) },
        }, 'Send again');
        this.discard = h('button', {
            type: 'button', className: 'link-button', on: { click: () => actions.discard(pending) },
        }, 'Discard');
        this.draw(pending);
    }

    draw(pending) {
        this.node.dataset.pending = pending.state;
        setText(this.text, pending.params.content);
        const label = PENDING_LABELS[pending.state];
        this.foot.replaceChildren(pending.error ? `${label}: ${pending.error}` : label);
        if (pending.state === 'failed') this.foot.append(this.retry, this.discard);
    }
}

class ThreadView {
    #actions;
    #views = new Map();
    #pending = new Map();

    constructor(id, actions) {
        this.#actions = actions;
        this.list = h('div', { className: 'thread-items' });
        this.tail = h('div', { className: 'thread-items' });
        this.node = h('section', {
            className: 'thread', hidden: true, data: { threadId: id },
        }, this.list, this.tail);
    }

    update(thread) {
        for (const item of thread.items) {
            const view = this.#views.get(item);
            if (view) view.update(item);
            else this.#add(item);
        }
    }

    #add(item) {
        const view = item.kind === 'run' ? new RunView(item, this.#actions) : new MessageView(item);
        this.#views.set(item, view);
        this.list.append(view.node);
    }

    updatePending(waiting) {
        for (const [pending, view] of this.#pending) {
            if (waiting.includes(pending)) continue;
            view.node.remove();
            this.#pending.delete(pending);
        }
        for (const pending of waiting) {
            const view = this.#pending.get(pending) ?? new PendingView(pending, this.#actions);
            if (!this.#pending.has(pending)) this.tail.append(view.node);
            this.#pending.set(pending, view);
            view.draw(pending);
        }
    }

    get isEmpty() {
        return this.#views.size === 0 && this.#pending.size === 0;
    }

    tick(now) {
        for (const view of this.#views.values()) view.tick?.(now);
    }
}

/** The conversation column: keeps the newest in sight unless the reader has scrolled away. */
export class Timeline {
    #root;
    #empty;
    #jump;
    #actions;
    #threads = new Map();
    #shown = null;
    #stick = true;
    #top = 0;
    #resized;

    /**
     * actions: cancel(runId), respond(params of interrupt.respond), retry(pending), discard(pending).
     */
    constructor({ root, empty, jump, actions }) {
        this.#root = root;
        this.#empty = empty;
        this.#jump = jump;
        this.#actions = actions;
        jump.addEventListener('click', () => this.toEnd());
        root.addEventListener('scroll', () => this.#scrolled(), { passive: true });
        this.#resized = new ResizeObserver(() => this.#stick && this.toEnd());
        this.#resized.observe(root);
    }

    /** Only the reader scrolls up; content that grows moves the end away, never the position. */
    #scrolled() {
        const { scrollTop, scrollHeight, clientHeight } = this.#root;
        const atEnd = scrollHeight - scrollTop - clientHeight < 40;
        if (atEnd) this.#stick = true;
        else if (scrollTop < this.#top) this.#stick = false;
        this.#top = scrollTop;
        this.#jump.hidden = this.#stick;
    }

    clear() {
        for (const view of this.#threads.values()) {
            this.#resized.unobserve(view.node);
            view.node.remove();
        }
        this.#threads.clear();
    }

    #view(id) {
        let view = this.#threads.get(id);
        if (!view) {
            view = new ThreadView(id, this.#actions);
            this.#threads.set(id, view);
            this.#root.append(view.node);
            this.#resized.observe(view.node);
        }
        return view;
    }

    /** threads: those of the model that changed; pending: this tab's messages by thread. */
    update(threads, pending) {
        for (const thread of threads) this.#view(thread.id).update(thread);
        for (const id of new Set([...this.#threads.keys(), ...pending.keys()]))
            this.#view(id).updatePending(pending.get(id) ?? []);
    }

    show(id) {
        if (id !== this.#shown) this.#stick = true;
        this.#shown = id;
        for (const [threadId, view] of this.#threads) view.node.hidden = threadId !== id;
        this.#empty.hidden = this.#threads.get(id)?.isEmpty === false;
        if (this.#stick) this.toEnd();
    }

    toEnd() {
        this.#root.scrollTop = this.#root.scrollHeight;
        this.#top = this.#root.scrollTop;
        this.#jump.hidden = true;
        this.#stick = true;
    }

    tick(now) {
        this.#threads.get(this.#shown)?.tick(now);
    }
}

/** The list of threads at the side, newest first. */
export class ThreadList {
    #list;
    #select;
    #drawn = '';

    constructor(list, select) {
        this.#list = list;
        this.#select = select;
    }

    draw(threads, current) {
        const rows = [...threads].sort((a, b) => b.lastSeq - a.lastSeq).map((thread) => {
            const state = thread.items.findLast((item) => item.kind === 'run')?.state ?? '';
            const title = (thread.title || thread.id || 'Untitled').slice(0, 120);
            return { id: thread.id, title, state, current: thread.id === current };
        });
        const looks = JSON.stringify(rows);
        if (looks === this.#drawn) return;
        this.#drawn = looks;
        const active = document.activeElement;
        const focused = this.#list.contains(active) ? active.dataset.thread : null;
        this.#list.replaceChildren(...rows.map((row) => this.#row(row)));
        if (focused !== null)
            this.#list.querySelector(`[data-thread="${CSS.escape(focused)}"]`)?.focus();
    }

    #row({ id, title, state, current }) {
        const button = h('button', {
            type: 'button', className: 'thread-row', title: id, data: { thread: id },
            on: { click: () => this.#select(id) },
        }, h('span', { className: 'dot', data: { state } }),
        h('span', { className: 'ellipsis' }, title),
        h('span', { className: 'muted thread-state' }, RUN_LABELS[state] ?? ''));
        if (current) button.setAttribute('aria-current', 'true');
        return h('li', {}, button);
    }
}

export function decorate(root) {
    for (const node of root.querySelectorAll('[data-icon]')) node.prepend(icon(node.dataset.icon));
}
