# SPDX-License-Identifier: Apache-2.0
"""What is open in a run, folded from its events or taken from a snapshot: the same either way."""


class Open:
    """The state of one run that a snapshot stands for."""

    def __init__(self):
        self.texts = {}       # message -> text
        self.tools = {}       # call -> (name, args)
        self.interrupts = {}  # identifier -> reason
        self.status = None

    def take(self, event):
        data = event["data"]
        if event["type"] == "partial_result" and "message_id" in event:
            known = self.texts.get(event["message_id"], "")
            self.texts[event["message_id"]] = known + data.get("delta", "")
        elif event["type"] == "tool_executing":
            self.tools[event["tool_call_id"]] = (data["tool_name"], data.get("args"))
        elif event["type"] == "tool_completed":
            self.tools.pop(event["tool_call_id"], None)
        elif event["type"] == "interrupt_requested":
            self.interrupts[data["interrupt_id"]] = data["reason"]
        elif event["type"] == "interrupt_resolved":
            self.interrupts.pop(data["interrupt_id"], None)
        elif event["type"] == "agent_thinking":
            self.status = data.get("status", self.status)

    def take_snapshot(self, frame):
        assert not any(text.get("missing") for text in frame["texts"])
        self.texts = {text["message_id"]: text["text"] for text in frame["texts"]}
        self.tools = {tool["tool_call_id"]: (tool["tool_name"], tool.get("args"))
                      for tool in frame["tools"]}
        self.interrupts = {asked["interrupt_id"]: asked["reason"] for asked in frame["interrupts"]}
        self.status = frame.get("status")

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return repr(vars(self))
