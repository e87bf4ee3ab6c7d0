/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What ringside.v1 says in plain values: names, cursors, close codes, errors. No socket, no clock.
 */

export const SUBPROTOCOL = 'ringside.v1';
export const START = 'start';

/**
 * Every failure the client reports. `code` is the server's stable string, or one of LOCAL_CODES.
 */
export class RingsideError extends Error {
    constructor(code, message, { retryable = false, data, cause } = {}) {
        super(message, cause === undefined ? undefined : { cause });
        this.name = 'RingsideError';
        this.code = code;
        this.retryable = retryable;
        if (data !== undefined) this.data = data;
    }

    static fromReply(error) {
        return new RingsideError(String(error.code ?? 'internal'), String(error.message ?? ''), {
            retryable: error.retryable === true,
            data: error.data,
        });
    }
}

/** Codes that come from this side of the socket, never from the server. */
export const LOCAL_CODES = Object.freeze({
    timeout: 'timeout',
    connectionLost: 'connection_lost',
    closed: 'closed',
    badFrame: 'bad_frame',
    tokenUnavailable: 'token_unavailable',
    handlerFailed: 'handler_failed',
});

export function formatCursor(epoch, seq) {
    return `${epoch}.${seq}`;
}

/** {epoch, seq} of "<epoch>.<seq>", or null when the text is no such thing ("start" included). */
export function parseCursor(text) {
    const match = /^([^\s.&?#]+)\.(\d+)$/.exec(typeof text === 'string' ? text : '');
    if (!match) return null;
    const seq = Number(match[2]);
    return Number.isSafeInteger(seq) ? { epoch: match[1], seq } : null;
}

/** The WebSocket address with cursor and filter; the token is never part of it. */
export function connectionUrl(url, { cursor, threads = [], snapshots = false } = {}) {
    const target = new URL(url);
    if (cursor !== undefined) target.searchParams.set('cursor', cursor);
    for (const thread of threads) target.searchParams.append('thread', thread);
    if (snapshots) target.searchParams.set('snapshot', '1');
    return target.href;
}

const TOO_MANY_FLOOR_MS = 10_000;

/**
 * What to do after a close: 'reconnect', 'restart' (reconnect with cursor=start), 'token' (ask for
 * a new token once, else stop) or 'stop'. The rows that the contract names go before the ranges:
 * 4408 and 4429 lie in the range that stops, yet their rows say reconnect and back off.
 */
export function closeAction(code) {
    switch (code) {
    case 1000:
    case 1009:
        return { action: 'stop' };
    case 4004:
        return { action: 'restart' };
    case 4401:
        return { action: 'token' };
    case 4408:
        return { action: 'reconnect' };
    case 4429:
        return { action: 'reconnect', floorMs: TOO_MANY_FLOOR_MS };
    default:
        return { action: code >= 4400 && code <= 4999 ? 'stop' : 'reconnect' };
    }
}

const STOP_CODES = new Map([
    [1009, 'payload_too_large'],
    [4400, 'invalid_argument'],
    [4401, 'unauthenticated'],
    [4403, 'permission_denied'],
]);

/** The error that pending requests get when a close code stopped the client. */
export function stopError(code, reason) {
    const text = reason || `the connection was closed with ${code}`;
    return new RingsideError(STOP_CODES.get(code) ?? LOCAL_CODES.closed, text);
}

/**
 * A fresh identifier: 96 random bits, also where crypto.randomUUID is missing (plain http, Node
 * 18).
 */
export function newId(prefix, random = Math.random) {
    const bytes = new Uint8Array(12);
    if (globalThis.crypto?.getRandomValues) globalThis.crypto.getRandomValues(bytes);
    else for (let i = 0; i < bytes.length; i += 1) bytes[i] = Math.floor(random() * 256);
    return `${prefix}-${Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')}`;
}
