# SPDX-License-Identifier: Apache-2.0
"""What the soak calls growth, and what it puts down to a busy machine."""
import pathlib
import random
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "stress/soak"))

import samples  # noqa: E402

SECONDS = 900


def series(value, each=1):
    """`each` values a second; `value` is told when."""
    made = samples.Series()
    for number in range(SECONDS * each):
        made.add(number / each, value(number / each))
    return made


def held(memory=lambda when: 50 << 20, descriptors=lambda when: 100, cpu=lambda when: 0.2 * when):
    made = samples.Held()
    made.memory, made.descriptors, made.cpu = series(memory), series(descriptors), series(cpu)
    return made


def grown_of_process(**what):
    return [row.what for row in samples.judge_process("it", held(**what), 0, SECONDS) if row.grew]


def grown_of_latency(age, late=lambda when: 0.001):
    chance = random.Random(1)
    ages = series(lambda when: chance.uniform(0.5, 1.5) * age(when), each=20)
    return [row.what for row in samples.judge_latency(ages, series(late, each=20), 0, SECONDS) if row.grew]


def busy_for(begin, end, busy, usual):
    return lambda when: busy if begin <= when < end else usual


def test_what_stays_as_it_is_has_not_grown():
    assert not grown_of_process()
    assert not grown_of_latency(lambda when: 0.005)


def test_memory_that_leaks_is_seen():
    assert grown_of_process(memory=lambda when: (50 << 20) + int(when * 30000)) == ["it: memory"]


def test_descriptors_that_leak_are_seen():
    assert grown_of_process(descriptors=lambda when: 100 + int(when / 10)) == ["it: descriptors"]


def test_work_that_grows_is_seen():
    assert grown_of_process(cpu=lambda when: 0.2 * when + 0.0006 * when * when) == ["it: processor"]


def test_latency_that_grows_is_seen():
    assert grown_of_latency(lambda when: 0.005 + when / 2000) == ["emit to client, p50"]
    assert "emit to client, p99" in grown_of_latency(lambda when: 0.005 + when / 300)


def test_events_that_no_longer_come_are_seen():
    stopped, late = samples.Series(), series(lambda when: 0.001)
    for when in range(SECONDS // 2):
        stopped.add(when, 0.005)
    assert any(row.grew for row in samples.judge_latency(stopped, late, 0, SECONDS))


def test_other_work_for_a_while_is_no_growth():
    assert not grown_of_latency(busy_for(650, 750, 3.0, 0.005), busy_for(650, 750, 0.8, 0.001))


def test_a_machine_that_is_slower_for_good_is_no_growth_of_the_node():
    assert not grown_of_latency(busy_for(500, SECONDS, 0.5, 0.005), busy_for(500, SECONDS, 0.2, 0.001))


def test_what_is_slower_than_the_machine_is_growth():
    assert grown_of_latency(busy_for(500, SECONDS, 2.5, 0.005), busy_for(500, SECONDS, 0.2, 0.001))
