/* SPDX-License-Identifier: Apache-2.0 */

import { LOCAL_CODES, RingsideError } from './protocol.js';

/**
 * The claims of a JWT, unverified: enough to name a storage key and to know when to refresh. Only
 * the server decides whose token it is. {} when the token is not a JWT.
 */
export function claims(token) {
    const body = String(token).split('.')[1];
    if (!body) return {};
    try {
        const bytes = Uint8Array.from(atob(body.replace(/-/g, '+').replace(/_/g, '/')), (c) =>
            c.charCodeAt(0));
        const value = JSON.parse(new TextDecoder().decode(bytes));
        return value && typeof value === 'object' ? value : {};
    } catch {
        return {};
    }
}

/** Where tokens come from: a string that never changes, or a function that is asked each time. */
export class TokenSource {
    #source;

    constructor(source) {
        if (typeof source !== 'string' && typeof source !== 'function')
            throw new TypeError('token must be a string or a function');
        this.#source = source;
    }

    get refreshable() {
        return typeof this.#source === 'function';
    }

    /** reason: 'connect', 'refused' (the last one was turned down) or 'expiring'. */
    async get(reason) {
        if (typeof this.#source === 'string') return this.#source;
        try {
            const token = await this.#source({ reason });
            if (typeof token === 'string' && token !== '') return token;
        } catch (cause) {
            throw new RingsideError(LOCAL_CODES.tokenUnavailable, 'the token function failed',
                { retryable: true, cause });
        }
        throw new RingsideError(LOCAL_CODES.tokenUnavailable, 'the token function gave no token',
            { retryable: true });
    }
}

const MIN_REFRESH_MS = 5_000;
const MAX_REFRESH_MS = 2 ** 31 - 1;

/** When to refresh in-band: after four fifths of what is left, so that a slow answer is in time. */
export function refreshDelay(expiresAtMs, nowMs) {
    return Math.min(MAX_REFRESH_MS, Math.max(MIN_REFRESH_MS, (expiresAtMs - nowMs) * 0.8));
}
