/* SPDX-License-Identifier: Apache-2.0 */

import assert from 'node:assert/strict';
import test from 'node:test';

import { CursorStore, Outbox } from '../../clients/js/storage.js';
import { memoryStorage } from './fakes.mjs';

const broken = {
    getItem() { throw new Error('forbidden'); },
    setItem() { throw new Error('full'); },
    removeItem() { throw new Error('forbidden'); },
};

test('a cursor is kept for each user by itself', () => {
    const storage = memoryStorage();
    new CursorStore(storage, 'a').save('7.1');
    new CursorStore(storage, 'b').save('7.2');
    assert.equal(new CursorStore(storage, 'a').load(), '7.1');
    new CursorStore(storage, 'a').clear();
    assert.equal(new CursorStore(storage, 'a').load(), undefined);
    assert.equal(new CursorStore(storage, 'b').load(), '7.2');
});

test('what is no cursor is not given to the server', () => {
    const storage = memoryStorage({ 'ringside:cursor:a': 'nonsense' });
    assert.equal(new CursorStore(storage, 'a').load(), undefined);
});

test('a message stays in the outbox over a reload until it is accepted', () => {
    const storage = memoryStorage();
    new Outbox(storage, 'a').put({ message_id: 'm-1', content: 'one' });
    const reloaded = new Outbox(storage, 'a');
    reloaded.put({ message_id: 'm-2', content: 'two' });
    assert.deepEqual(reloaded.list().map((m) => m.message_id), ['m-1', 'm-2']);
    reloaded.remove('m-1');
    assert.deepEqual(new Outbox(storage, 'a').list(), [{ message_id: 'm-2', content: 'two' }]);
    assert.deepEqual(new Outbox(storage, 'b').list(), []);
});

test('a storage that fails costs the resume and nothing else', () => {
    const cursors = new CursorStore(broken, 'a');
    assert.equal(cursors.load(), undefined);
    assert.equal(cursors.save('7.1'), false);
    cursors.clear();
    const outbox = new Outbox(broken, 'a');
    outbox.put({ message_id: 'm-1' });
    assert.equal(outbox.list().length, 1);
});

test('a damaged outbox is an empty one', () => {
    for (const text of ['{', '7', '[{"no":"id"}, null]'])
        assert.deepEqual(new Outbox(memoryStorage({ 'ringside:outbox:a': text }), 'a').list(), []);
});
