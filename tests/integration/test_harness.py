# SPDX-License-Identifier: Apache-2.0
"""The checks themselves: what they must not let through."""
import json

import pytest

from harness import record
from harness.client import Client
from harness.stream import Broken, Stream, check_run, parse


def event(seq, kind="partial_result", prev=None, **more):
    frame = {"type": kind, "seq": seq, "prev": seq - 1 if prev is None else prev, "run_id": "r-1",
             "timestamp": 1, "message_id": "m-1", "data": {"delta": "x"}} | more
    return json.dumps(frame), frame


def stream_at(position):
    stream = Stream()
    stream.welcomed({"epoch": "e", "head": position}, None)
    return stream


def test_a_missing_event_is_noticed():
    stream = stream_at(4)
    stream.take(*event(5))
    with pytest.raises(Broken, match="gap"):
        stream.take(*event(7))


def test_a_missing_event_behind_a_resume_is_noticed():
    stream = stream_at(4)
    stream.take(*event(5))
    stream.welcomed({"epoch": "e", "head": 9}, stream.cursor)
    with pytest.raises(Broken, match="gap"):
        stream.take(*event(7))


def test_a_repeated_event_is_noticed():
    stream = stream_at(4)
    stream.take(*event(5))
    with pytest.raises(Broken):
        stream.take(*event(5))


def test_other_bytes_for_the_same_number_are_noticed():
    stream = stream_at(4)
    stream.take(*event(5))
    stream.welcomed({"epoch": "e", "head": 5}, "e.4")
    text, frame = event(5)
    with pytest.raises(Broken, match="two different"):
        stream.take(text + " ", frame)


def test_another_epoch_and_a_wrong_caught_up_are_noticed():
    stream = stream_at(4)
    with pytest.raises(Broken, match="epoch"):
        stream.welcomed({"epoch": "f", "head": 4}, "e.4")
    with pytest.raises(Broken, match="caught_up"):
        stream.caught_up(5)


def test_a_member_given_twice_is_noticed():
    with pytest.raises(Broken):
        parse('{"seq":1,"seq":2}')


STARTED = {"type": "agent_started"}
DONE = {"type": "agent_completed", "data": {"outcome": "success"}}
FATAL = {"type": "error_event", "data": {"code": "c", "message": "m", "fatal": True}}
BEGIN = {"type": "tool_executing", "tool_call_id": "c-1", "data": {"tool_name": "x"}}
END = {"type": "tool_completed", "tool_call_id": "c-1",
       "data": {"tool_name": "x", "status": "ok"}}
TEXT = {"type": "partial_result", "message_id": "m-1", "data": {"delta": "x"}}
LAST = {"type": "partial_result", "message_id": "m-1", "data": {"delta": "", "final": True}}


def run_of(*steps):
    return [{"run_id": "r-1", "timestamp": 1, "data": {}, "seq": 7 * seq, "prev": 7 * seq - 1} | step
            for seq, step in enumerate(steps, 1)]


@pytest.mark.parametrize("steps", [
    (STARTED, TEXT), (STARTED, DONE, DONE), (STARTED, DONE, FATAL), (STARTED, DONE, TEXT),
    (STARTED, STARTED, DONE), (TEXT, STARTED, DONE), (STARTED, BEGIN, DONE), (STARTED, END, DONE),
    (STARTED, BEGIN, END, END, DONE), (STARTED, BEGIN, END, BEGIN, END, DONE),
    (STARTED, BEGIN, BEGIN, END, DONE), (BEGIN, END, DONE),
])
def test_a_run_against_the_grammar_is_noticed(steps):
    with pytest.raises(Broken):
        check_run(run_of(*steps))


def test_a_proper_run_passes():
    check_run(run_of(STARTED, TEXT, BEGIN, TEXT, END, LAST, DONE))
    check_run(run_of(STARTED, BEGIN, END, FATAL))


def test_what_a_client_received_is_verified_when_the_test_is_over():
    stream = Stream()
    stream.record.connection(filtered=False)
    text, _ = event(5)
    stream.record.lines += [text, text]
    with pytest.raises(Broken, match="line 2: not_increasing"):
        record.verify_all()
    record.forget_all()


async def test_a_record_with_a_line_cut_out_is_broken(shared_node, user):
    async with Client(shared_node, user) as client:
        await client.until_ended(await client.chat("hello", agent="echo"))
    lines = client.stream.record.lines
    assert client.stream.record.verify("--complete")["runs"]["completed"] == 1
    events = [number for number, line in enumerate(lines) if '"prev":' in line]
    for number in events[:-1]:
        with pytest.raises(Broken):
            record.verify(lines[:number] + lines[number + 1:], "--complete")
    with pytest.raises(Broken, match="not_ended"):
        record.verify(lines[:events[-1]] + lines[events[-1] + 1:], "--complete")
