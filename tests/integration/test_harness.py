# SPDX-License-Identifier: Apache-2.0
"""The checks themselves: what they must not let through."""
import json

import pytest

from harness.stream import Broken, Stream, check_run, parse


def event(seq, kind="partial_result", prev=None, **more):
    frame = {"type": kind, "seq": seq, "prev": seq - 1 if prev is None else prev, "run_id": "r-1",
             "data": {}} | more
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
DONE = {"type": "agent_completed"}
FATAL = {"type": "error_event", "data": {"fatal": True}}
BEGIN = {"type": "tool_executing", "tool_call_id": "c-1", "data": {"tool_name": "x"}}
END = {"type": "tool_completed", "tool_call_id": "c-1", "data": {"tool_name": "x"}}
TEXT = {"type": "partial_result"}


def run_of(*steps):
    return [{"run_id": "r-1", "data": {}} | step for step in steps]


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
    check_run(run_of(STARTED, TEXT, BEGIN, TEXT, END, DONE))
    check_run(run_of(STARTED, BEGIN, END, FATAL))
