# SPDX-License-Identifier: Apache-2.0
"""Agents for Ringside, and an emitter for programs of your own. See docs/client-python.md."""
from .agent import Agent, agent
from .context import AgentFailure, AskError, Cancelled, Context, PendingTool, Reply, ToolError
from .emitter import EmitError, Emitter, Run, Tool
from .llm import LLMError

__all__ = ["Agent", "AgentFailure", "AskError", "Cancelled", "Context", "EmitError", "Emitter",
           "LLMError", "PendingTool", "Reply", "Run", "Tool", "ToolError", "agent"]
