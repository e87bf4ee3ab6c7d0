/* SPDX-License-Identifier: Apache-2.0 */

import assert from 'node:assert/strict';
import test from 'node:test';

import { Backoff } from '../../clients/js/backoff.js';

test('the ceiling doubles with each attempt up to the cap', () => {
    const backoff = new Backoff({ baseMs: 100, capMs: 1_000, random: () => 1 });
    const delays = Array.from({ length: 6 }, () => backoff.next());
    assert.deepEqual(delays, [100, 200, 400, 800, 1000, 1000]);
});

test('the jitter is full: the delay reaches down to nothing', () => {
    const backoff = new Backoff({ baseMs: 100, random: () => 0 });
    assert.equal(backoff.next(), 0);
});

test('a floor is kept and the jitter comes on top of it', () => {
    const backoff = new Backoff({ baseMs: 100, random: () => 0.5 });
    assert.equal(backoff.next(10_000), 10_050);
});

test('after a reset it begins anew', () => {
    const backoff = new Backoff({ baseMs: 100, random: () => 1 });
    backoff.next();
    backoff.next();
    backoff.reset();
    assert.equal(backoff.attempt, 0);
    assert.equal(backoff.next(), 100);
});

test('thousands of attempts stay at the cap', () => {
    const backoff = new Backoff({ baseMs: 100, capMs: 5_000, random: () => 1 });
    for (let i = 0; i < 5_000; i += 1) backoff.next();
    assert.equal(backoff.next(), 5_000);
});
