/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The chain check: is this event the one that follows what we have?
 *
 * `last` is the position up to which everything was seen or was announced as gone; the cursor is
 * made of it. The server names in `prev` what it sent before. An event is accepted when `prev` lies
 * within [low, high], the positions that leave nothing out:
 *
 *   in mid-stream          low = high = last
 *   live without a cursor  low = high = welcome.head
 *   from the start         low = 0, high = just before the oldest retained event
 *   after a `gap` frame    low = what we had, high = the end of the announced gap
 *
 * `last` moves only forward within an epoch, and a new epoch starts from nothing.
 */

import { START, formatCursor, parseCursor } from './protocol.js';

export class Chain {
    #first;
    #epoch = null;
    #last = null;
    #low = 0;
    #high = 0;

    /** cursor: "<epoch>.<seq>", "start", or undefined for live from now. */
    constructor(cursor) {
        this.#setFirst(cursor);
    }

    #setFirst(cursor) {
        const parsed = parseCursor(cursor);
        if (cursor !== undefined && cursor !== START && !parsed)
            throw new TypeError(`not a cursor: ${cursor}`);
        this.#first = cursor === undefined ? undefined : START;
        this.#epoch = parsed ? parsed.epoch : null;
        this.#last = parsed ? parsed.seq : null;
    }

    get epoch() {
        return this.#epoch;
    }

    get last() {
        return this.#last;
    }

    /** What to ask for at the next connect: "<epoch>.<seq>", "start" or undefined. */
    get cursor() {
        return this.#last === null ? this.#first : formatCursor(this.#epoch, this.#last);
    }

    /** Forget everything: the next view begins at the oldest retained event. */
    restart() {
        this.#setFirst(START);
    }

    /** Take the position of a new view. Returns true when the stream is not the one we had. */
    begin({ epoch, head = 0, oldest = 0, resume }) {
        const name = String(epoch);
        const changed = (this.#epoch !== null && this.#epoch !== name) || resume === 'reset';
        if (changed) this.restart();
        this.#epoch = name;
        if (this.#last === null && this.#first === undefined) this.#last = head;
        if (this.#last !== null) {
            this.#low = this.#high = this.#last;
        } else {
            this.#low = 0;
            this.#high = oldest >= 1 && oldest <= head ? oldest - 1 : head;
        }
        return changed;
    }

    /** 'next' (and the position moves), 'duplicate' or 'gap' (and it does not). */
    accept({ seq, prev }) {
        if (this.#last !== null && seq <= this.#last) return 'duplicate';
        if (prev !== undefined && (prev < this.#low || prev > this.#high)) return 'gap';
        this.#last = this.#low = this.#high = seq;
        return 'next';
    }

    /** The server said that events up to `to` are gone: they are no longer waited for. */
    skip(to) {
        if (this.#last !== null && to <= this.#last) return;
        this.#high = Math.max(this.#high, to);
        this.#last = to;
    }

    /** Replay ended at `seq`; on a filtered view nothing of ours lies between there and `last`. */
    caughtUp(seq, filtered) {
        if (this.#last === null || (filtered && seq > this.#last)) this.skip(seq);
    }

    /** The positions an event may name in `prev`, for the report of a gap. */
    get expected() {
        return { low: this.#low, high: this.#high };
    }
}
