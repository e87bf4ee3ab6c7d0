/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Why was the handshake refused? A browser hides the HTTP answer to a WebSocket handshake and says
 * 1006 for everything, so a client with a bad token would knock for ever. The health check of the
 * WebSocket takes the same token and answers the same refusals where fetch can read them.
 */

import { RingsideError } from './protocol.js';

/** HTTP status → the close code that means the same, so that one table decides what follows. */
const CLOSE_CODES = new Map([[400, 4400], [401, 4401], [403, 4403], [429, 4429], [503, 1013]]);

export function checkUrl(url) {
    const target = new URL('../health/websocket', url);
    target.protocol = target.protocol === 'wss:' ? 'https:' : 'http:';
    return target.href;
}

function retryAfterMs(header, nowMs) {
    if (!header) return 0;
    const seconds = Number(header);
    const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - nowMs;
    return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

async function refusalError(response) {
    let body = {};
    try {
        body = await response.json();
    } catch {
        /* a proxy's page, not ours: the status has to do */
    }
    const message = body.error?.message ?? `the handshake was refused with ${response.status}`;
    return RingsideError.fromReply({ code: 'unavailable', ...body.error, message });
}

/** {code, floorMs, error} of a refusal; null when the server would accept or cannot be reached. */
export async function refusal({ fetch, url, token, env }) {
    const abort = new AbortController();
    const timer = env.setTimeout(() => abort.abort(), 5_000);
    try {
        const response = await fetch(checkUrl(url), {
            headers: { Authorization: `Bearer ${token}` },
            cache: 'no-store', credentials: 'omit', signal: abort.signal,
        });
        const code = CLOSE_CODES.get(response.status);
        if (code === undefined) return null;
        const floorMs = retryAfterMs(response.headers.get('Retry-After'), env.now());
        return { code, floorMs, error: await refusalError(response) };
    } catch {
        return null;
    } finally {
        env.clearTimeout(timer);
        abort.abort();
    }
}
