/* SPDX-License-Identifier: Apache-2.0 */

/* The state of the connection, its counters, the latest events and the notices. */

import { duration, h, icon, setText } from './dom.js';

const STATE_LABELS = {
    idle: 'Not connected', connecting: 'Connecting…', replaying: 'Catching up…', live: 'Live',
    waiting: 'Reconnecting…', stopped: 'Stopped',
};
const FEED_ROWS = 60;

export function showState(node, state) {
    node.dataset.state = state;
    setText(node, STATE_LABELS[state]);
}

export class Figures {
    #byId;

    constructor(byId) {
        this.#byId = byId;
    }

    show(client, latency) {
        const { counters } = client;
        for (const name of ['events', 'gaps', 'duplicates', 'lost', 'reconnects']) {
            const node = this.#byId(name);
            setText(node, String(counters[name]));
            node.parentElement.classList.toggle('nonzero', counters[name] > 0);
        }
        setText(this.#byId('latency'), latency === null ? '–' : duration(latency));
        setText(this.#byId('last-seq'), String(client.lastSeq ?? '–'));
        setText(this.#byId('cursor'), client.cursor ?? '–');
        if (client.welcome)
            setText(this.#byId('connection-id'), String(client.welcome.connection_id));
    }
}

/** The latest events, newest first. */
export class Feed {
    #list;
    #waiting = [];

    constructor(list) {
        this.#list = list;
    }

    add(event) {
        this.#waiting.push(event);
        if (this.#waiting.length > FEED_ROWS) this.#waiting.shift();
    }

    clear() {
        this.#waiting = [];
        this.#list.replaceChildren();
    }

    draw() {
        const rows = this.#waiting.map(({ seq, type, synthetic }) => {
            const row = h('li', { data: { type } },
                h('span', { className: 'muted' }, String(seq)),
                h('span', { className: 'ellipsis' }, type));
            if (synthetic) row.append(h('span', { className: 'tag synthetic' }, 'synthetic'));
            return row;
        });
        this.#waiting = [];
        this.#list.prepend(...rows.reverse());
        while (this.#list.children.length > FEED_ROWS) this.#list.lastElementChild.remove();
    }
}

export function drawNotices(list, notices, dismiss) {
    const shown = new Map([...list.children].map((node) => [node.notice, node]));
    for (const [notice, node] of shown) if (!notices.includes(notice)) node.remove();
    for (const notice of notices) {
        if (shown.has(notice)) continue;
        const close = h('button', {
            type: 'button', className: 'icon-button small', aria: { label: 'Dismiss' },
            on: { click: () => dismiss(notice) },
        }, icon('close'));
        const node = h('li', { className: 'notice', data: { kind: notice.kind }, notice },
            h('span', {}, notice.text));
        if (notice.action) {
            const act = () => {
                dismiss(notice);
                notice.action.act();
            };
            node.append(h('button', { type: 'button', className: 'button', on: { click: act } },
                notice.action.label));
        }
        node.append(close);
        list.append(node);
    }
}
