/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Requests that wait for their reply.
 *
 * A request is made at any time and goes out as soon as the connection is ready. When the
 * connection is lost, one whose repetition changes nothing (`repeatable`) is kept and sent again on
 * the next one, with the same parameters; any other that was already sent fails with
 * `connection_lost`, because nobody can know whether it was carried out. A repeatable request that
 * the server answers with `unavailable` is sent again after a pause. The time limit counts from the
 * call and covers all of it.
 */

import { Backoff } from './backoff.js';
import { LOCAL_CODES, RingsideError } from './protocol.js';

const REPEATABLE = new Set(['chat.send', 'run.cancel', 'runs.list', 'run.get', 'ping']);

export class Requests {
    #env;
    #send;
    #refuse;
    #limit;
    #pending = new Map();
    #ready = false;
    #next = 1;

    /**
     * send(frame) hands one frame to the socket; refuse(frame) gives the error why this server
     * would not take it, or null; limit: most requests that may wait.
     */
    constructor({ env, send, refuse, limit = 256 }) {
        this.#env = env;
        this.#send = send;
        this.#refuse = refuse;
        this.#limit = limit;
    }

    get size() {
        return this.#pending.size;
    }

    call(method, params, timeoutMs) {
        if (this.#pending.size >= this.#limit) {
            return Promise.reject(new RingsideError('queue_full', 'too many requests are waiting',
                { retryable: true }));
        }
        return new Promise((resolve, reject) => {
            const id = `c-${this.#next}`;
            this.#next += 1;
            const entry = {
                frame: { id, method, params }, resolve, reject, sent: false, retryTimer: null,
                backoff: new Backoff({ capMs: 5_000, random: this.#env.random }),
            };
            entry.deadline = this.#env.setTimeout(() => this.#expire(id), timeoutMs);
            this.#pending.set(id, entry);
            this.#dispatch(entry);
        });
    }

    /** Settle the request a reply belongs to. A reply to nothing we know is ignored. */
    reply(frame) {
        const entry = this.#pending.get(frame.id);
        if (!entry) return;
        if (!frame.error) {
            this.#take(frame.id).resolve(frame.result ?? {});
            return;
        }
        const error = RingsideError.fromReply(frame.error);
        if (error.code === 'unavailable' && error.retryable && this.#repeatable(entry))
            this.#retryLater(entry);
        else
            this.#take(frame.id).reject(error);
    }

    connected() {
        this.#ready = true;
        for (const entry of this.#pending.values()) this.#dispatch(entry);
    }

    disconnected() {
        this.#ready = false;
        for (const [id, entry] of this.#pending) {
            if (entry.sent && !this.#repeatable(entry)) {
                this.#take(id).reject(new RingsideError(LOCAL_CODES.connectionLost,
                    'the connection was lost before the reply', { retryable: true }));
            }
            entry.sent = false;
        }
    }

    rejectAll(error) {
        this.#ready = false;
        for (const id of [...this.#pending.keys()]) this.#take(id).reject(error);
    }

    #repeatable(entry) {
        return REPEATABLE.has(entry.frame.method);
    }

    #dispatch(entry) {
        if (!this.#ready || entry.sent || entry.retryTimer !== null) return;
        const refusal = this.#refuse(entry.frame);
        if (refusal) {
            this.#take(entry.frame.id).reject(refusal);
            return;
        }
        entry.sent = true;
        this.#send(entry.frame);
    }

    #retryLater(entry) {
        entry.sent = false;
        entry.retryTimer = this.#env.setTimeout(() => {
            entry.retryTimer = null;
            this.#dispatch(entry);
        }, entry.backoff.next());
    }

    #expire(id) {
        this.#take(id).reject(new RingsideError(LOCAL_CODES.timeout, 'no reply in time',
            { retryable: true }));
    }

    #take(id) {
        const entry = this.#pending.get(id);
        this.#pending.delete(id);
        this.#env.clearTimeout(entry.deadline);
        if (entry.retryTimer !== null) this.#env.clearTimeout(entry.retryTimer);
        return entry;
    }
}
