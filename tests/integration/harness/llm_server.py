# SPDX-License-Identifier: Apache-2.0
"""A server of OpenAI's chat completions with streaming, on the standard library: it judges every
request as strictly as the real one does, answers what a test has told it to, in pieces as awkward
as a test wants them, and fails in every way.

What is answered is scripted by what the user asked: `server.on("what?", answer("yes"))`.
"""
import dataclasses
import http.server
import json
import re
import select
import socket
import sys
import threading

from .deadline import PATIENCE

KEY = "sk-test-0123456789"
STUCK_SECONDS = 0.5
OPEN = "/open/v1"  # below which no key is wanted
CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1767225600, "model": "test-1"}
PARAMETERS = {"temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stop", "tool_choice",
              "parallel_tool_calls", "response_format", "reasoning_effort"}
OWN = {"model", "messages", "stream", "stream_options", "tools"}
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclasses.dataclass
class Reply:
    """What is sent: a status, headers, the body in pieces, and how it ends."""
    pieces: list
    status: int = 200
    headers: dict = dataclasses.field(default_factory=lambda: {"Content-Type": "text/event-stream"})
    end: str = "whole"  # or "cut": the connection ends first; "hang": nothing more comes; "drip": for ever a little
    before: str = ""    # "hang": not even the status comes
    gate: threading.Event = None  # what comes behind the first piece waits for it

    def pieced(self, size):
        """The same bytes, `size` at a time."""
        data = b"".join(self.pieces)
        return dataclasses.replace(self, pieces=[data[at:at + size] for at in range(0, len(data), size)])

    def joined(self):
        return dataclasses.replace(self, pieces=[b"".join(self.pieces)])

    def ending(self, end):
        return dataclasses.replace(self, end=end)


# ---- Writing answers ----

def event(data, newline="\n"):
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"data: {text}{newline}{newline}".encode()


def delta(finish=None, **members):
    return CHUNK | {"choices": [{"index": 0, "delta": members, "finish_reason": finish}]}


def usage(prompt, completion):
    return CHUNK | {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion,
                                             "total_tokens": prompt + completion}}


def answer(*texts, finish="stop", used=(10, 5), newline="\n", thinking=(), member="content"):
    """A plain answer, each text a piece."""
    chunks = [delta(role="assistant", content="")]
    chunks += [delta(reasoning_content=text) for text in thinking]
    chunks += [delta(**{member: text}) for text in texts] + [delta(finish)]
    chunks += [usage(*used)] if used else []
    return Reply([event(chunk, newline) for chunk in [*chunks, "[DONE]"]])


def calls(*wanted, text=(), used=(20, 7), size=3):
    """Tool calls, (id, name, arguments) each, their fragments one after the other in turn."""
    chunks = [delta(role="assistant", content=None)] + [delta(content=piece) for piece in text]
    for index, (call_id, name, _) in enumerate(wanted):
        chunks.append(delta(tool_calls=[{"index": index, "id": call_id, "type": "function",
                                         "function": {"name": name, "arguments": ""}}]))
    texts = [arguments if isinstance(arguments, str) else json.dumps(arguments) for _, _, arguments in wanted]
    for at in range(0, max(map(len, texts)), size):
        fragments = [{"index": index, "function": {"arguments": text[at:at + size]}}
                     for index, text in enumerate(texts) if text[at:at + size]]
        chunks.append(delta(tool_calls=fragments))
    chunks += [delta("tool_calls"), usage(*used), "[DONE]"]
    return Reply([event(chunk) for chunk in chunks])


def problem(status, message="no", code=None, headers=None):
    body = json.dumps({"error": {"message": message, "type": "error", "code": code}}).encode()
    return Reply([body], status, {"Content-Type": "application/json"} | (headers or {}))


def page(status):
    """What a proxy in between says."""
    return Reply([b"<html><body><h1>Bad Gateway</h1></body></html>"], status, {"Content-Type": "text/html"})


# ---- Judging requests ----

class Invalid(Exception):
    pass


def demand(condition, message):
    if not condition:
        raise Invalid(message)


def judge_content(content):
    if isinstance(content, str):
        return
    demand(isinstance(content, list) and content, "content must be a string or a list of parts")
    for part in content:
        demand(isinstance(part, dict) and part.get("type") in ("text", "image_url"), "unknown type of part")
        demand(part["type"] in part, "a part without its content")


def judge_calls(found):
    demand(isinstance(found, list) and found, "tool_calls must be a list that is not empty")
    for call in found:
        demand(set(call) == {"id", "type", "function"} and call["type"] == "function", "a tool call is odd")
        demand(isinstance(call["id"], str) and call["id"], "a tool call has no id")
        demand(set(call["function"]) == {"name", "arguments"}, "the function of a tool call is odd")
        demand(isinstance(call["function"]["arguments"], str), "arguments must be a string")
    ids = [call["id"] for call in found]
    demand(len(ids) == len(set(ids)), "ids of tool calls repeat")
    return ids


def judge_messages(messages):
    """Roles, and each tool call answered by just one message, right behind it."""
    demand(isinstance(messages, list) and messages, "messages must not be empty")
    open_calls = set()
    for message in messages:
        role = message.get("role")
        demand(role in ("system", "user", "assistant", "tool"), f"unknown role {role}")
        if role == "tool":
            demand(message.get("tool_call_id") in open_calls, "a tool message answers no tool call before it")
            open_calls.remove(message["tool_call_id"])
            demand(isinstance(message.get("content"), str), "a tool message needs its content")
            continue
        demand(not open_calls, "a tool call was not answered")
        if role == "assistant" and "tool_calls" in message:
            open_calls = set(judge_calls(message["tool_calls"]))
            demand(message.get("content") is None or isinstance(message["content"], str), "odd content")
        else:
            judge_content(message.get("content"))
    demand(not open_calls, "a tool call was not answered")


def judge_tools(tools):
    demand(isinstance(tools, list) and tools, "tools must not be empty")
    names = []
    for tool in tools:
        demand(set(tool) == {"type", "function"} and tool["type"] == "function", "a tool is odd")
        function = tool["function"]
        demand(set(function) <= {"name", "description", "parameters"}, "a function is odd")
        demand(TOOL_NAME.fullmatch(function["name"]), f"a tool's name is {function['name']!r}")
        demand(isinstance(function["parameters"], dict), "parameters must be a schema")
        names.append(function["name"])
    demand(len(names) == len(set(names)), "names of tools repeat")


def judge(request):
    demand(isinstance(request, dict), "the body must be an object")
    for name in request:
        demand(name in OWN | PARAMETERS, f"Unrecognized request argument supplied: {name}")
    demand(isinstance(request.get("model"), str), "you must provide a model")
    judge_messages(request.get("messages"))
    demand(request.get("stream") is True, "this server streams")
    demand(request.get("stream_options", {"include_usage": True}) == {"include_usage": True}, "odd options")
    if "tools" in request:
        judge_tools(request["tools"])


def question_of(request):
    """The text of the newest message of the user's."""
    content = [message["content"] for message in request["messages"] if message["role"] == "user"][-1]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


# ---- Serving ----

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.send(self.server.owner.reply_to(self.path, self.headers, body, self.client_address))
        except (BrokenPipeError, ConnectionResetError):
            self.server.owner.note_drop()
            self.close_connection = True

    def send(self, reply):
        if reply.before == "hang":
            return self.hang()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if reply.gate:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in reply.pieces]
        if reply.end == "whole":  # the last piece and the end in one, as servers do
            chunks[-1:] = [b"".join(chunks[-1:]) + b"0\r\n\r\n"]
        for number, chunk in enumerate(chunks):
            if number == 1 and reply.gate:
                reply.gate.wait(PATIENCE)
            self.until_writable(reply)
            self.wfile.write(chunk)
        if reply.end == "hang":
            return self.hang()
        if reply.end == "drip":
            return self.drip()
        if reply.end == "cut":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        return None

    def until_writable(self, reply):
        """Notes each time that the other side has read nothing for as long as STUCK_SECONDS."""
        while reply.gate and not select.select([], [self.connection], [], STUCK_SECONDS)[1]:
            self.server.owner.stuck += 1

    def drip(self):
        """A server that only says that it is there."""
        while not select.select([self.connection], [], [], 0.02)[0]:
            self.wfile.write(b"d\r\n: keep-alive\n\r\n")
        self.server.owner.note_drop()
        self.close_connection = True

    def hang(self):
        """Until the other side goes away."""
        self.wfile.flush()
        self.close_connection = True
        select.select([self.connection], [], [], PATIENCE)
        self.server.owner.note_drop()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that is gone is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class LlmServer:
    """One server; `requests` are those it was sent, parsed, with their path, headers and sender."""

    def __init__(self):
        self.key = KEY
        self.requests = []
        self.complaints = []  # what was wrong with requests
        self.drops = 0        # answers that the other side did not wait for
        self.stuck = 0        # times that an answer with a gate was not read
        self._scripts = {}
        self._changed = threading.Condition()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.owner = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def on(self, question, *replies, path="/v1"):
        """Requests below this path with this question get these replies, one after the other."""
        self._scripts[(path, question)] = list(replies)

    def asked(self, question, path=None):
        return [request for request in self.requests
                if request["question"] == question and path in (None, request["path"])]

    def note_drop(self):
        with self._changed:
            self.drops += 1
            self._changed.notify_all()

    def reply_to(self, path, headers, body, sender):
        base, _, rest = path.rpartition("/chat/completions")
        try:
            demand(not rest and base, "Unknown request URL")
            demand(headers.get("Content-Type") == "application/json", "the body must be JSON")
            request = json.loads(body)
            judge(request)
        except (Invalid, ValueError, KeyError, TypeError, AttributeError) as wrong:
            self.complaints.append(f"{wrong}: {body[:2000]!r}")
            return problem(400, str(wrong))
        question = question_of(request)
        with self._changed:
            self.requests.append({"question": question, "path": base, "headers": dict(headers),
                                  "body": request, "sender": sender})
            script = self._scripts.get((base, question))
            if base != OPEN and headers.get("Authorization") != f"Bearer {self.key}":
                return problem(401, "Incorrect API key provided")
            return script.pop(0) if script else problem(404, "nothing is scripted for this")
