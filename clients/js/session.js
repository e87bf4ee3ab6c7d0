/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The token of this tab. It arrives in the fragment, which no server and no log sees, is moved to
 * sessionStorage and taken out of the address bar, so that neither history nor a copied address has
 * it.
 */

const TOKEN_KEY = 'ringside:token';
const THREAD_KEY = 'ringside:thread';

/**
 * Read and remove `#token=…&thread=…`. Returns the token to use: that one, else the kept one, else
 * ''.
 */
export function takeToken({ location, history, storage }) {
    const fragment = new URLSearchParams(location.hash.slice(1));
    const token = cleanToken(fragment.get('token'));
    if (token) {
        storage.setItem(TOKEN_KEY, token);
        if (fragment.get('thread')) storage.setItem(THREAD_KEY, fragment.get('thread'));
        history.replaceState(null, '', location.pathname + location.search);
    }
    return token || storage.getItem(TOKEN_KEY) || '';
}

/** What people paste: with spaces around it, or with the word before it. */
export function cleanToken(text) {
    return (text ?? '').trim().replace(/^Bearer\s+/i, '');
}

export function keepToken(storage, token) {
    storage.setItem(TOKEN_KEY, token);
}

export function forgetToken(storage) {
    storage.removeItem(TOKEN_KEY);
    storage.removeItem(THREAD_KEY);
}

export function keptThread(storage) {
    return storage.getItem(THREAD_KEY);
}

export function keepThread(storage, thread) {
    storage.setItem(THREAD_KEY, thread);
}

/** The address of a second tab for the same user. */
export function tabAddress(location, { token, thread }) {
    const fragment = new URLSearchParams({ token });
    if (thread) fragment.set('thread', thread);
    return `${location.pathname}#${fragment}`;
}

/** The gateway this page came from. */
export function socketAddress(location) {
    return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/ws`;
}
