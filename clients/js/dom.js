/* SPDX-License-Identifier: Apache-2.0 */

/* Small helpers to build the page. Text becomes text nodes only; no markup is ever parsed. */

const SVG = 'http://www.w3.org/2000/svg';

const ICONS = {
    menu: 'M4 7h16M4 12h16M4 17h16',
    activity: 'M3 12h4l3-8 4 16 3-8h4',
    plus: 'M12 5v14M5 12h14',
    send: 'M5 12h14M13 6l6 6-6 6',
    stop: 'M7 7h10v10H7z',
    down: 'M12 5v14M6 13l6 6 6-6',
    unplug: 'M9 7V3M15 7V3M7 7h10v4a5 5 0 0 1-10 0zM12 16v5',
    tab: 'M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5',
    close: 'M6 6l12 12M18 6L6 18',
    check: 'M5 12.5l4.5 4.5L19 7.5',
    cross: 'M7 7l10 10M17 7L7 17',
    minus: 'M6 12h12',
    clock: 'M12 7v5l3 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z',
    play: 'M8 5.5v13l10.5-6.5z',
    spark: 'M12 3v5M12 16v5M3 12h5M16 12h5M6 6l3 3M15 15l3 3M18 6l-3 3M9 15l-3 3',
    tool: 'M14.5 6.5a4 4 0 0 0-5.4 5L4 16.6V20h3.4l5.1-5.1a4 4 0 0 0 5-5.4L15 12l-3-3z',
    alert: 'M12 4l9 16H3zM12 10v4M12 17v.5',
    hand: 'M12 8v5M12 16.5v.5M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z',
    text: 'M5 6h14M5 11h14M5 16h9',
};

export function icon(name) {
    const svg = document.createElementNS(SVG, 'svg');
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', ICONS[name]);
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('class', 'icon');
    svg.setAttribute('aria-hidden', 'true');
    svg.append(path);
    return svg;
}

/** An element: properties by name, `data` for data-*, `aria` for aria-*, `on` for listeners. */
export function h(tag, { data = {}, aria = {}, on = {}, ...properties } = {}, ...children) {
    const node = Object.assign(document.createElement(tag), properties);
    Object.assign(node.dataset, data);
    for (const [name, value] of Object.entries(aria)) node.setAttribute(`aria-${name}`, value);
    for (const [name, action] of Object.entries(on)) node.addEventListener(name, action);
    node.append(...children);
    return node;
}

/** Set text only where it changed: an untouched node costs no layout and no announcement. */
export function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

export function duration(ms) {
    if (!Number.isFinite(ms)) return '';
    if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
    if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
    return `${Math.floor(ms / 60_000)} m ${Math.round((ms % 60_000) / 1_000)} s`;
}

export function timeOfDay(ms) {
    return Number.isFinite(ms) ? new Date(ms).toLocaleTimeString([], { hour12: false }) : '';
}

/** A value as a person reads it: strings as they are, the rest as indented JSON. */
export function pretty(value) {
    return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

/** Arguments in one line: `q: "rings", limit: 3`. */
export function inline(value) {
    if (value === undefined) return '';
    if (value === null || typeof value !== 'object' || Array.isArray(value))
        return JSON.stringify(value);
    return Object.entries(value).map(([k, v]) => `${k}: ${JSON.stringify(v)}`).join(', ');
}
