/* SPDX-License-Identifier: Apache-2.0 */

/**
 * Exponential back-off with full jitter: attempt n waits a random time between 0 and
 * min(capMs, baseMs * 2^n). Full jitter, because after a gateway restart every client starts at the
 * same instant, and only the random part spreads them.
 */
export class Backoff {
    #baseMs;
    #capMs;
    #random;
    #attempt = 0;

    constructor({ baseMs = 250, capMs = 15_000, random = Math.random } = {}) {
        this.#baseMs = baseMs;
        this.#capMs = capMs;
        this.#random = random;
    }

    get attempt() {
        return this.#attempt;
    }

    /**
     * The next delay in whole milliseconds; never less than floorMs, whose spread is then added.
     */
    next(floorMs = 0) {
        const ceiling = Math.min(this.#capMs, this.#baseMs * 2 ** this.#attempt);
        this.#attempt += 1;
        return Math.round(floorMs + this.#random() * ceiling);
    }

    reset() {
        this.#attempt = 0;
    }
}
