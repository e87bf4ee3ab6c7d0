/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tools that this client does for agents: calls come as interrupts whose payload has the kind
 * `tool`, and the answer is the result. While the past is replayed, calls are only collected, as
 * most of them were answered long ago; those that are still open are done once it is caught up.
 *
 * Each call is begun once by this client. Several clients of a user may do the same call, and the
 * first answer counts: a function should not mind to be called for nothing.
 */

function toolCall(data) {
    const { payload } = data ?? {};
    if (payload === null || typeof payload !== 'object' || payload.kind !== 'tool') return null;
    return typeof data.interrupt_id === 'string' ? payload : null;
}

export class ToolHost {
    #functions = new Map();
    #open = new Map();
    #begun = new Set();
    #caughtUp = false;
    #respond;

    /** respond(params) sends interrupt.respond; it may reject. */
    constructor(respond) {
        this.#respond = respond;
    }

    /** Do calls of this name with fn(args, {run_id, tool_call_id}); returns what undoes it. */
    offer(name, fn) {
        if (typeof fn !== 'function') throw new TypeError('a tool is a function');
        if (this.#functions.has(name)) throw new TypeError(`the tool ${name} is there already`);
        this.#functions.set(name, fn);
        this.#beginOpen();
        return () => this.#functions.delete(name);
    }

    event({ type, run_id: runId, data }) {
        if (type === 'interrupt_requested') this.#ask(runId, data);
        else if (type === 'interrupt_resolved') this.#open.delete(data?.interrupt_id);
        else if (type === 'agent_completed' || (type === 'error_event' && data?.fatal))
            this.#endRun(runId);
    }

    snapshot({ run_id: runId, interrupts = [] }) {
        for (const data of interrupts) this.#ask(runId, data);
    }

    connecting() {
        this.#caughtUp = false;
    }

    caughtUp() {
        this.#caughtUp = true;
        this.#beginOpen();
    }

    reset() {
        this.#open.clear();
        this.#begun.clear();
    }

    #ask(runId, data) {
        const call = toolCall(data);
        if (call === null) return;
        this.#open.set(data.interrupt_id, { runId, call });
        if (this.#caughtUp) this.#beginOpen();
    }

    #endRun(runId) {
        for (const [id, asked] of this.#open) if (asked.runId === runId) this.#open.delete(id);
    }

    #beginOpen() {
        if (!this.#caughtUp) return;
        for (const [id, { runId, call }] of this.#open) {
            const fn = this.#functions.get(call.tool_name);
            if (!fn || this.#begun.has(id)) continue;
            this.#begun.add(id);
            this.#do(id, runId, call, fn);
        }
    }

    async #do(id, runId, call, fn) {
        const answer = { run_id: runId, interrupt_id: id, status: 'resolved' };
        try {
            answer.payload = await fn(call.args, { run_id: runId, tool_call_id: call.tool_call_id });
            answer.payload ??= null;
        } catch (error) {
            answer.status = 'cancelled';
            answer.payload = {
                code: typeof error?.code === 'string' ? error.code : 'tool_failed',
                message: String(error?.message ?? error),
            };
        }
        await this.#respond(answer);
    }
}
