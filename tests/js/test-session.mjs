/* SPDX-License-Identifier: Apache-2.0 */

import assert from 'node:assert/strict';
import test from 'node:test';

import * as session from '../../clients/js/session.js';
import { memoryStorage } from './fakes.mjs';

function tab(hash, storage = memoryStorage()) {
    const replaced = [];
    return {
        location: { hash, pathname: '/', search: '?x=1', protocol: 'https:', host: 'example.org' },
        history: { replaceState: (state, title, address) => replaced.push(address) },
        storage, replaced,
    };
}

test('a token in the fragment is kept and taken out of the address', () => {
    const first = tab('#token=a.b.c&thread=t-1');
    assert.equal(session.takeToken(first), 'a.b.c');
    assert.deepEqual(first.replaced, ['/?x=1']);
    assert.equal(session.keptThread(first.storage), 't-1');
    const reloaded = tab('', first.storage);
    assert.equal(session.takeToken(reloaded), 'a.b.c');
    assert.deepEqual(reloaded.replaced, []);
});

test('without a token there is none', () => {
    assert.equal(session.takeToken(tab('')), '');
    assert.equal(session.takeToken(tab('#token=')), '');
});

test('signing out forgets token and thread', () => {
    const first = tab('#token=a.b.c&thread=t-1');
    session.takeToken(first);
    session.forgetToken(first.storage);
    assert.equal(first.storage.map.size, 0);
});

test('a pasted token is cleaned', () => {
    assert.equal(session.cleanToken('  Bearer a.b.c\n'), 'a.b.c');
    assert.equal(session.cleanToken(null), '');
});

test('a second tab gets the token in the fragment, never in the query', () => {
    const { location } = tab('');
    const address = session.tabAddress(location, { token: 'a.b.c', thread: 't 1&x' });
    assert.ok(address.startsWith('/#'));
    const second = tab(address.slice(1));
    assert.equal(session.takeToken(second), 'a.b.c');
    assert.equal(session.keptThread(second.storage), 't 1&x');
});

test('the socket is where the page came from', () => {
    assert.equal(session.socketAddress(tab('').location), 'wss://example.org/v1/ws');
});
