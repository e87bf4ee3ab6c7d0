# SPDX-License-Identifier: Apache-2.0
"""The page, in a browser: what a person sees of a run, whatever happens to the line."""
import json

import pytest

from harness.browser import Browser, Tab
from harness.client import Client
from harness.node import kill
from harness.stream import Stream, check_all_runs, parse

QUESTION = "How do rings keep the order of events?"


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


def address(node, user):
    return f"http://{node.address}/#token={node.token(user)}"


async def open_page(browser, node, user):
    tab = await browser.open(address(node, user))
    await tab.until("document.querySelector('#state').dataset.state === 'live'", "live")
    return tab


async def ask(tab, text, agent=None):
    await tab.write("#agent", agent or "")
    await tab.write("#composer", text)
    await tab.click("#send")


def run_with(state):
    return f"document.querySelector('[data-run-id][data-state=\"{state}\"]')"


async def seen(tab):
    """The page's events as a stream, each checked, the whole chain."""
    stream = Stream()
    await tab.until("window.ringside.client.state === 'live'", "live")
    for event in await tab.evaluate("window.ringside.events"):
        stream.take(event["text"], parse(event["text"]))
    assert stream.repeats == 0
    check_all_runs(stream, complete=False)
    return stream


async def kept(node, user):
    async with Client(node, user, cursor="start") as client:
        await client.until_caught_up()
        return client.stream


async def check_counters(tab):
    for counter in ("#gaps", "#duplicates", "#lost"):
        assert await tab.text(counter) == "0", counter
    assert tab.errors == []


async def test_a_question_to_the_librarian_shows_every_step(browser, shared_node, user):
    tab = await open_page(browser, shared_node, user)
    await ask(tab, QUESTION, "librarian")
    await tab.until(run_with("running"), "a running run")
    await tab.until(run_with("completed"), "a completed run", 60)
    stream = await seen(tab)
    calls = {event["tool_call_id"]: event["data"]["status"] for event in stream.events
             if event["type"] == "tool_completed"}
    shown = dict(await tab.evaluate(
        "[...document.querySelectorAll('[data-tool-call-id]')]"
        ".map((node) => [node.dataset.toolCallId, node.dataset.status])"))
    assert calls and shown == calls
    conversation = await tab.evaluate("document.querySelector('#messages').textContent")
    assert QUESTION in conversation
    answer = stream.text_of(stream.run_ids()[0])
    first_words = " ".join(answer.split()[:3])
    assert first_words in " ".join(conversation.split())
    assert stream.raw == (await kept(shared_node, user)).raw
    await check_counters(tab)
    await tab.close()


async def test_a_reload_in_the_middle_shows_every_event_once(browser, shared_node, user):
    tab = await open_page(browser, shared_node, user)
    await ask(tab, json.dumps({"steps": 200, "pause_ms": 10}), "slow")
    for count in (10, 60, 120):
        await tab.until(f"window.ringside.events.length > {count}", f"{count} events")
        await tab.reload()
    await tab.until(run_with("completed"), "a completed run", 60)
    stream = await seen(tab)
    check_all_runs(stream)
    assert stream.raw == (await kept(shared_node, user)).raw
    assert [int(word) for word in stream.text_of(stream.run_ids()[0]).split()] == \
        list(range(1, 201))
    await check_counters(tab)
    await tab.close()


async def test_a_dropped_connection_comes_back_without_gap_or_duplicate(
        browser, shared_node, user):
    tab = await open_page(browser, shared_node, user)
    await ask(tab, json.dumps({"steps": 200, "pause_ms": 10}), "slow")
    for count in (10, 80):
        await tab.until(f"window.ringside.events.length > {count}", f"{count} events")
        await tab.click("#drop")
    await tab.until(run_with("completed"), "a completed run", 60)
    stream = await seen(tab)
    assert stream.raw == (await kept(shared_node, user)).raw
    assert int(await tab.text("#reconnects")) >= 2
    await check_counters(tab)
    await tab.close()


async def test_a_second_tab_shows_identical_bytes(browser, shared_node, user):
    tab = await open_page(browser, shared_node, user)
    before = {target["id"] for target in await browser.tabs()}
    await ask(tab, json.dumps({"steps": 100, "pause_ms": 10}), "slow")
    await tab.until("window.ringside.events.length > 10", "ten events")
    await tab.click("#second-tab")

    async def opened():
        return [target for target in await browser.tabs() if target["id"] not in before]

    await tab.until(run_with("completed"), "a completed run", 60)
    targets = await opened()
    assert len(targets) == 1, "no second tab"
    second = await Tab().attach(targets[0]["webSocketDebuggerUrl"])
    await second.until(run_with("completed"), "the run in the second tab", 60)
    assert (await seen(tab)).raw == (await seen(second)).raw
    await check_counters(second)
    await second.close()
    await tab.close()


async def test_a_question_is_answered_with_a_button_and_every_tab_sees_it(
        browser, shared_node, user):
    tab = await open_page(browser, shared_node, user)
    other = await open_page(browser, shared_node, user)
    await ask(tab, "a book about rings", agent="clerk")
    await other.until(run_with("waiting"), "the question in the other tab")
    await tab.until(run_with("waiting"), "the question")
    assert "Order a book about rings?" in await tab.text(".interrupt-reason")
    await tab.write(".interrupt-form input", "in blue")
    await tab.click(".interrupt-form .primary")
    for each in (tab, other):
        await each.until(run_with("completed"), "the end of the run")
        assert "Approved: in blue" in await each.text(".callout.ask")
        assert await each.evaluate("document.querySelector('.interrupt-form').hidden")
    assert "Ordered. You said: in blue" in await tab.text("[data-run-id]")
    assert tab.errors == [] and other.errors == []
    await tab.close()
    await other.close()


async def call_tool(tab, name):
    await ask(tab, json.dumps([{"name": name, "args": {"ms": 1}}]), agent="caller")
    await tab.until("document.querySelector('.interrupt-form:not([hidden])')", "the question")


@pytest.mark.parametrize("button, status, said", [
    (".primary", "ok", "Approved: go on"), (".button:not(.primary)", "denied", "Declined: go on")])
async def test_a_tool_runs_only_if_the_person_says_so_even_after_a_reload(
        browser, shared_node, user, button, status, said):
    tab = await open_page(browser, shared_node, user)
    await call_tool(tab, "guarded")
    await tab.reload()
    await tab.until("document.querySelector('.interrupt-form:not([hidden])')", "the question again")
    assert "wants to run guarded" in await tab.text(".interrupt-reason")
    assert '"ms": 1' in await tab.text(".callout.ask pre")
    await tab.write(".interrupt-form input", "go on")
    await tab.click(f".interrupt-form {button}")
    await tab.until(run_with("completed"), "the end of the run")
    assert await tab.evaluate(
        "document.querySelector('[data-tool-call-id]').dataset.status") == status
    assert said in await tab.text(".callout.ask")
    assert tab.errors == []
    await tab.close()


async def test_an_application_of_the_person_does_a_tool_and_the_page_says_so(
        browser, shared_node, user):
    tab = await open_page(browser, shared_node, user)
    await call_tool(tab, "page")
    assert "waits for an application of yours to do page" in await tab.text(".interrupt-reason")
    assert await tab.evaluate("document.querySelector('.interrupt-form .primary').hidden")
    await tab.evaluate("void window.ringside.client.onTool('page', ({ ms }) => ({ took: ms }))")
    await tab.until(run_with("completed"), "the end of the run")
    result = (await seen(tab)).events[-1]["data"]["result"]
    assert result == [{"status": "ok", "result": {"took": 1}}]
    assert tab.errors == []
    await tab.close()


READ_STREAM = """(async (token) => {
    const answer = await fetch('/v1/events?cursor=start',
        { headers: { Authorization: `Bearer ${token}` } });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const texts = [];
    let rest = '';
    for (;;) {
        const part = await reader.read();
        if (part.done) throw new Error('the stream ended');
        const blocks = (rest + part.value).split('\\n\\n');
        rest = blocks.pop();
        for (const block of blocks) {
            const lines = block.split('\\n');
            if (lines[0].startsWith('id: ')) texts.push(lines.at(-1).slice('data: '.length));
            if (lines[0] === 'event: caught_up') {
                reader.cancel();
                return texts;
            }
        }
    }
})"""


async def test_the_event_stream_is_read_by_a_script(browser, shared_node, user):
    tab = await open_page(browser, shared_node, user)
    await ask(tab, "for the stream", agent="echo")
    await tab.until(run_with("completed"), "the end of the run")
    texts = await tab.evaluate(f"{READ_STREAM}({json.dumps(shared_node.token(user))})")
    assert texts == list((await kept(shared_node, user)).raw.values())
    await tab.close()


async def test_a_killed_worker_shows_a_lost_run(browser, node, user):
    tab = await open_page(browser, node, user)
    await ask(tab, json.dumps({"steps": 100000, "pause_ms": 20}), "slow")
    await tab.until("window.ringside.events.length > 5", "some events")
    kill(node.worker_of("slow.py"))
    await tab.until(run_with("lost"), "a lost run")
    await ask(tab, "and you?", "echo")
    await tab.until(run_with("completed"), "the next run", 60)
    await check_counters(tab)
    await tab.close()


async def test_a_killed_gateway_is_a_pause(browser, node, user):
    tab = await open_page(browser, node, user)
    await ask(tab, json.dumps({"steps": 200, "pause_ms": 10}), "slow")
    await tab.until("window.ringside.events.length > 10", "some events")
    node.kill("ringside-gateway")
    await tab.until(run_with("completed"), "a completed run", 120)
    stream = await seen(tab)
    check_all_runs(stream)
    assert stream.raw == (await kept(node, user)).raw
    await check_counters(tab)
    await tab.close()


async def test_a_bad_token_is_asked_for_again(browser, shared_node):
    tab = await browser.open(f"http://{shared_node.address}/#token=a.b.c")
    await tab.until("document.querySelector('#login').open", "the question for a token")
    await tab.close()
