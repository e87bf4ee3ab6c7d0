/* SPDX-License-Identifier: Apache-2.0 */

/* A clock that moves when told to, and a WebSocket whose far end is the test. Unit tests only. */

import { RingsideClient } from '../../clients/js/ringside.js';

export class FakeClock {
    #now = 1_000_000;
    #timers = new Map();
    #nextId = 1;
    randomValue = 0.5;

    now = () => this.#now;
    random = () => this.randomValue;

    setTimeout = (action, ms) => {
        const id = this.#nextId;
        this.#nextId += 1;
        this.#timers.set(id, { at: this.#now + Math.max(0, ms), action });
        return id;
    };

    clearTimeout = (id) => {
        this.#timers.delete(id);
    };

    get pending() {
        return this.#timers.size;
    }

    /** Move on, running what falls due in its order; promises settle in between. */
    async advance(ms) {
        const end = this.#now + ms;
        for (;;) {
            await settle();
            const due = [...this.#timers].filter(([, timer]) => timer.at <= end)
                .sort((a, b) => a[1].at - b[1].at);
            if (due.length === 0) break;
            const [id, timer] = due[0];
            this.#timers.delete(id);
            this.#now = timer.at;
            timer.action();
        }
        this.#now = end;
        await settle();
    }
}

/** Let every promise that is already decided run its continuation. */
export function settle() {
    return new Promise((resolve) => setImmediate(resolve));
}

export class FakeSocket {
    static all = [];

    constructor(url, protocols) {
        this.url = url;
        this.protocols = protocols;
        this.readyState = 0;
        this.sent = [];
        FakeSocket.all.push(this);
    }

    get query() {
        return new URL(this.url).searchParams;
    }

    get cursor() {
        return this.query.get('cursor');
    }

    send(text) {
        this.sent.push(JSON.parse(text));
    }

    close(code) {
        this.readyState = 3;
        this.closedWith = code;
    }

    /* the server's side */

    open() {
        this.readyState = 1;
        this.onopen({});
    }

    push(frame) {
        this.onmessage({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
    }

    welcome(fields = {}) {
        this.open();
        this.push({
            type: 'welcome', protocol: 'ringside.v1', connection_id: 'k-1', user_id: 'u-1',
            epoch: '7', head: 0, oldest: 0, runs: [], heartbeat_ms: 30_000, limits: {},
            resume: 'replay', ...fields,
        });
    }

    event(seq, fields = {}) {
        this.push({
            type: 'agent_thinking', seq, prev: seq - 1, timestamp: 1, thread_id: 't-1',
            run_id: 'r-1', data: { status: 'at work' }, ...fields,
        });
    }

    fail(code, reason = '') {
        this.readyState = 3;
        this.onclose({ code, reason });
    }

    requests(method) {
        return this.sent.filter((frame) => frame.method === method);
    }
}

export function memoryStorage(entries = {}) {
    const map = new Map(Object.entries(entries));
    return {
        map,
        getItem: (key) => map.get(key) ?? null,
        setItem: (key, value) => void map.set(key, String(value)),
        removeItem: (key) => void map.delete(key),
    };
}

/** A token of the right shape; nothing verifies it here. */
export function jwt(payload) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${part({ alg: 'none' })}.${part(payload)}.x`;
}

/** A client over fakes, with everything it says recorded in `heard`. */
export function harness(options = {}) {
    FakeSocket.all = [];
    const clock = new FakeClock();
    const client = new RingsideClient({
        url: 'ws://host/v1/ws', token: jwt({ sub: 'u-1' }), env: clock, WebSocket: FakeSocket,
        fetch: null, page: null, ...options,
    });
    const heard = {};
    for (const name of ['event', 'state', 'gap', 'reset', 'caughtup', 'control', 'error']) {
        heard[name] = [];
        client.on(name, (value) => heard[name].push(value));
    }
    const socket = () => FakeSocket.all.at(-1);
    const connect = async (welcome) => {
        client.connect();
        await settle();
        if (welcome) socket().welcome(welcome);
        return socket();
    };
    return { client, clock, heard, socket, sockets: () => FakeSocket.all, connect };
}
