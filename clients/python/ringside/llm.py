# SPDX-License-Identifier: Apache-2.0
"""Text from a language model, as it comes: any server that speaks OpenAI's chat completions.

Small on purpose: one request, one answer. An agent that calls tools, tries again and falls back to
another server without a line of code is `kind: llm` (docs/llm.md).
"""
import http.client
import json
import os
import re
import urllib.error
import urllib.request

LINE_END = re.compile(rb"\r\n|\n|\r(?!$)")
EVENT_MAX = 1 << 20
MESSAGE_MAX = 500


class LLMError(Exception):
    """No answer, or not all of it. `status` is the server's, None when there was none; `retryable`
    says whether the same request may be answered later."""

    def __init__(self, message, status=None):
        super().__init__(f"{status}: {message}" if status else message)
        self.message, self.status = message, status
        self.retryable = status is None or status == 429 or status >= 500


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The key goes to the server that was named, and to no other."""

    def redirect_request(self, *_):
        return None


class Stream:
    """An answer. Iterate over its pieces of text, once, or take all of it with `text()`.

    text_so_far     what has come
    finish_reason   why the model stopped, once it has: "stop", "length", …
    usage           the server's count of tokens, or None
    """

    def __init__(self, response, take):
        self._response = response
        self._take = take
        self._pieces = self._read()
        self.text_so_far, self.finish_reason, self.usage = "", None, None

    def __iter__(self):
        return self._pieces

    def text(self):
        for _ in self._pieces:
            pass
        return self.text_so_far

    def close(self):
        """The rest is not wanted."""
        self._pieces.close()
        self._response.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self):
        with self._response:
            for data in _events(self._response):
                if data == b"[DONE]":
                    return
                piece = self._piece_of(data)
                if piece:
                    self.text_so_far += piece
                    self._take(piece)
                    yield piece
        if self.finish_reason is None:
            raise LLMError("the answer ended before it was complete")

    def _piece_of(self, data):
        try:
            chunk = json.loads(data)
            if chunk.get("error"):
                raise LLMError(_said(data, "an error without a message"))
            self.usage = chunk.get("usage") or self.usage
            choice = (chunk.get("choices") or [{}])[0]
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            return (choice.get("delta") or {}).get("content") or ""
        except (ValueError, AttributeError, IndexError, TypeError) as error:
            raise LLMError(f"the server sent what is no chunk of an answer: {data[:80]!r}") from error


def _bytes_of(response):
    """As they come; what breaks on the way is an LLMError."""
    while True:
        try:
            data = response.read1(65536)
        except (OSError, http.client.HTTPException) as error:
            raise LLMError(f"the answer broke off: {error}") from error
        if not data:
            return
        yield data


def _lines(response):
    rest = b""
    for data in _bytes_of(response):
        *lines, rest = LINE_END.split(rest + data)
        yield from lines
        if len(rest) > EVENT_MAX:
            raise LLMError("the server sent a line without an end")
    if rest.rstrip(b"\r"):
        yield rest.rstrip(b"\r")


def _events(response):
    """The data of each server-sent event."""
    data = []
    for line in _lines(response):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


def _said(body, fallback):
    """What a server says is wrong, in any of the usual shapes."""
    try:
        error = json.loads(body)["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        message = None
    return message[:MESSAGE_MAX] if isinstance(message, str) and message else fallback


def _key(key, key_file, key_env):
    if key_file:
        with open(key_file, encoding="utf-8") as file:
            return file.readline().strip()
    if key_env:
        if key_env not in os.environ:
            raise LLMError(f"the environment has no {key_env}")
        return os.environ[key_env]
    return key


def open_stream(messages, *, base_url, model, api_key=None, api_key_file=None, api_key_env=None,
                timeout=60, take=lambda piece: None, **parameters):
    """Asks, and returns the Stream of the answer. `messages` may be a text: one message of the
    user's. `take` is called with each piece before it is given out. `timeout`: seconds for the
    connection, and for each wait for more."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    body = {"model": model, "messages": messages, "stream": True,
            "stream_options": {"include_usage": True}} | parameters
    body = {name: value for name, value in body.items() if value is not None}
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    secret = _key(api_key, api_key_file, api_key_env)
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    request = urllib.request.Request(base_url.rstrip("/") + "/chat/completions", method="POST",
                                     data=json.dumps(body).encode(), headers=headers)
    try:
        response = urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise LLMError(_said(error.read(EVENT_MAX), error.reason), error.code) from None
    except (OSError, http.client.HTTPException) as error:
        raise LLMError(f"no answer from {base_url}: {error}") from error
    return Stream(response, take)
