/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One WebSocket from its birth to its end, which is reported exactly once through onClose.
 *
 * After end() or drop() nothing of this socket is heard any more, however late its own events come:
 * the death of an old connection can never disturb the one that replaced it. A socket that is
 * silent beyond the heartbeat is asked with a ping; if that is silent too it is half open, and
 * given up without waiting for its closing handshake, which may never come.
 */

const OPEN = 1;
const MAX_PING_WAIT_MS = 10_000;
const CLOSE_BY_CLIENT = 1000;
const CLOSE_ABRUPT = 3000;
const LOST = 1006;

export const SILENT = 4003;

export class Link {
    #env;
    #socket;
    #handlers;
    #timer = null;
    #heartbeatMs = 0;
    #heardAt = 0;
    #pingAt = null;
    #pings = 0;
    #ended = false;
    opened = false;

    /**
     * handlers: onFrame(text), onClose({code, reason, opened}). Throws what the constructor throws.
     */
    constructor({ env, WebSocket, url, protocols, welcomeTimeoutMs, handlers }) {
        this.#env = env;
        this.#handlers = handlers;
        this.#socket = new WebSocket(url, protocols);
        this.#socket.onopen = () => {
            this.opened = true;
        };
        this.#socket.onmessage = (message) => this.#heard(message.data);
        this.#socket.onerror = () => {};
        this.#socket.onclose = (close) => this.#close(close.code ?? LOST, close.reason ?? '');
        this.#timer = env.setTimeout(() => this.#giveUp(LOST, 'no welcome in time'),
            welcomeTimeoutMs);
    }

    /** The welcome has come: from now on silence is measured. */
    established(heartbeatMs) {
        this.#heartbeatMs = heartbeatMs;
        this.#arm(heartbeatMs);
    }

    send(frame) {
        if (this.#ended || this.#socket.readyState !== OPEN) return false;
        this.#socket.send(JSON.stringify(frame));
        return true;
    }

    /** Close politely, and hear nothing more of it. */
    end() {
        this.#detach();
        this.#shut(CLOSE_BY_CLIENT);
    }

    /** Lose the connection at once, as a network would. */
    drop(reason) {
        this.#giveUp(LOST, reason);
    }

    #heard(data) {
        this.#heardAt = this.#env.now();
        this.#pingAt = null;
        this.#handlers.onFrame(data);
    }

    #arm(delayMs) {
        this.#env.clearTimeout(this.#timer);
        this.#timer = this.#env.setTimeout(() => this.#beat(), delayMs);
    }

    #beat() {
        const now = this.#env.now();
        const wait = Math.min(this.#heartbeatMs, MAX_PING_WAIT_MS);
        const idle = now - this.#heardAt;
        if (this.#pingAt !== null && now - this.#pingAt >= wait) {
            this.#giveUp(SILENT, 'the server is silent');
        } else if (idle < this.#heartbeatMs) {
            this.#arm(this.#heartbeatMs - idle);
        } else {
            this.#pingAt ??= now;
            this.#pings += 1;
            this.send({ id: `ping-${this.#pings}`, method: 'ping', params: {} });
            this.#arm(wait);
        }
    }

    #giveUp(code, reason) {
        if (this.#ended) return;
        const { opened } = this;
        this.#detach();
        this.#shut(CLOSE_ABRUPT);
        this.#handlers.onClose({ code, reason, opened });
    }

    #close(code, reason) {
        if (this.#ended) return;
        this.#detach();
        this.#handlers.onClose({ code, reason, opened: this.opened });
    }

    #detach() {
        this.#ended = true;
        this.#env.clearTimeout(this.#timer);
        for (const name of ['onopen', 'onmessage', 'onerror', 'onclose'])
            this.#socket[name] = () => {};
    }

    #shut(code) {
        try {
            this.#socket.close(code);
        } catch {
            /* it was closed already; that is what was wanted */
        }
    }
}
