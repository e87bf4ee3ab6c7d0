/* SPDX-License-Identifier: Apache-2.0 */

import assert from 'node:assert/strict';
import test from 'node:test';

import { Chain } from '../../clients/js/chain.js';

function begun(cursor, welcome) {
    const chain = new Chain(cursor);
    chain.begin({ epoch: '7', head: 0, oldest: 0, ...welcome });
    return chain;
}

test('a live view begins at the head and resumes from there before its first event', () => {
    const chain = begun(undefined, { head: 41, oldest: 1, resume: 'live' });
    assert.equal(chain.cursor, '7.41');
    assert.equal(chain.accept({ seq: 42, prev: 41 }), 'next');
    assert.equal(chain.cursor, '7.42');
});

test('a live view whose first event does not follow the head has a gap', () => {
    const chain = begun(undefined, { head: 41, oldest: 1, resume: 'live' });
    assert.equal(chain.accept({ seq: 44, prev: 43 }), 'gap');
    assert.equal(chain.cursor, '7.41');
});

test('a resumed view continues the cursor exactly', () => {
    const chain = begun('7.10', { head: 20, oldest: 1 });
    assert.equal(chain.accept({ seq: 12, prev: 11 }), 'gap');
    assert.equal(chain.accept({ seq: 11, prev: 10 }), 'next');
    assert.equal(chain.accept({ seq: 11, prev: 10 }), 'duplicate');
});

test('numbering with holes is no gap while prev is what came before', () => {
    const chain = begun('7.10', { head: 30, oldest: 1 });
    assert.equal(chain.accept({ seq: 17, prev: 10 }), 'next');
    assert.equal(chain.accept({ seq: 30, prev: 17 }), 'next');
});

test('a view from the start must begin at the oldest retained event', () => {
    assert.equal(begun('start', { head: 20, oldest: 5 }).accept({ seq: 5, prev: 4 }), 'next');
    assert.equal(begun('start', { head: 20, oldest: 5 }).accept({ seq: 5, prev: 0 }), 'next');
    assert.equal(begun('start', { head: 20, oldest: 5 }).accept({ seq: 6, prev: 5 }), 'gap');
});

test('an empty history takes its first event whether it names nothing or the head', () => {
    assert.equal(begun('start', { head: 0, oldest: 0 }).accept({ seq: 1, prev: 0 }), 'next');
    assert.equal(begun('start', { head: 9, oldest: 10 }).accept({ seq: 10, prev: 9 }), 'next');
});

test('a folded event stands for its range, and one that overlaps what we have is a gap', () => {
    const chain = begun('7.10', { head: 20, oldest: 1 });
    assert.equal(chain.accept({ seq: 15, prev: 10, first_seq: 11 }), 'next');
    assert.equal(chain.accept({ seq: 18, prev: 13, first_seq: 14 }), 'gap');
});

test('what was announced as gone is not waited for, and nothing more than that', () => {
    const chain = begun('7.10', { head: 60, oldest: 50, resume: 'gap' });
    chain.skip(49);
    assert.equal(chain.cursor, '7.49');
    assert.equal(chain.accept({ seq: 51, prev: 50 }), 'gap');
    assert.equal(chain.accept({ seq: 50, prev: 49 }), 'next');
    const other = begun('7.10', { head: 60, oldest: 50, resume: 'gap' });
    other.skip(49);
    assert.equal(other.accept({ seq: 50, prev: 10 }), 'next');
});

test('a new epoch starts from nothing', () => {
    const chain = new Chain('7.10');
    assert.equal(chain.begin({ epoch: '8', head: 3, oldest: 1, resume: 'reset' }), true);
    assert.equal(chain.cursor, 'start');
    assert.equal(chain.accept({ seq: 1, prev: 0 }), 'next');
    assert.equal(chain.cursor, '8.1');
});

test('the end of a replay moves a filtered cursor, another only when it had none', () => {
    const filtered = begun('7.10', { head: 60, oldest: 1 });
    filtered.caughtUp(60, true);
    assert.equal(filtered.cursor, '7.60');
    assert.equal(filtered.accept({ seq: 61, prev: 10 }), 'next');
    const whole = begun('7.10', { head: 60, oldest: 1 });
    whole.caughtUp(60, false);
    assert.equal(whole.cursor, '7.10');
    const empty = begun('start', { head: 0, oldest: 0 });
    empty.caughtUp(0, false);
    assert.equal(empty.cursor, '7.0');
});

test('text that is no cursor is refused', () => {
    for (const text of ['', '7', '7.', '.7', '7.x', '7.-1', 'latest'])
        assert.throws(() => new Chain(text), TypeError, text);
});
