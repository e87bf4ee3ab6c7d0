/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What outlives a reload: the cursor, and the chat messages whose acceptance was not seen yet. Both
 * take any object with getItem, setItem and removeItem. In a browser that is sessionStorage, which
 * belongs to one tab; the user's id in the key keeps two users of one tab apart. A storage that is
 * full or forbidden costs the resume, never the connection: its exceptions end here.
 */

import { parseCursor } from './protocol.js';

function attempt(action, otherwise) {
    try {
        return action();
    } catch {
        return otherwise;
    }
}

export class CursorStore {
    #storage;
    #key;

    constructor(storage, user) {
        this.#storage = storage;
        this.#key = `ringside:cursor:${user}`;
    }

    /** "<epoch>.<seq>" or undefined; anything else found there is ignored. */
    load() {
        const text = attempt(() => this.#storage.getItem(this.#key), null);
        return parseCursor(text) ? text : undefined;
    }

    save(cursor) {
        return attempt(() => {
            this.#storage.setItem(this.#key, cursor);
            return true;
        }, false);
    }

    clear() {
        attempt(() => this.#storage.removeItem(this.#key));
    }
}

/**
 * chat.send parameters by message_id, oldest first. The same message_id starts one run however
 * often it is sent, so sending what is left here after a reload can only repair.
 */
export class Outbox {
    #storage;
    #key;
    #messages = new Map();

    constructor(storage, user) {
        this.#storage = storage;
        this.#key = `ringside:outbox:${user}`;
        const saved = attempt(() => JSON.parse(storage.getItem(this.#key)), null);
        for (const params of Array.isArray(saved) ? saved : [])
            if (typeof params?.message_id === 'string')
                this.#messages.set(params.message_id, params);
    }

    list() {
        return [...this.#messages.values()];
    }

    put(params) {
        this.#messages.set(params.message_id, params);
        this.#save();
    }

    remove(messageId) {
        if (this.#messages.delete(messageId)) this.#save();
    }

    #save() {
        attempt(() => this.#storage.setItem(this.#key, JSON.stringify(this.list())));
    }
}
