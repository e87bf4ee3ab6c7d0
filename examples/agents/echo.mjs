#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The smallest complete agent for Node: says back what it is told, word by word. Needs no package.
//
// An agent is a program that reads JSON-RPC 2.0 from stdin and writes it to stdout, one message a
// line. One process serves one run. `console.error` goes to the worker's log; `console.log` would
// garble the protocol.
import { createInterface } from "node:readline";
import { setImmediate as breath } from "node:timers/promises";

let cancelled = false;

function send(message) {
  process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
}

function textOf(content) { // a message may also be a list of parts
  return typeof content === "string" ? content : content.map((part) => part.text ?? "").join(" ");
}

async function run({ input }) {
  const words = textOf(input.content).split(" ");
  for (const [number, word] of words.entries()) {
    await breath(); // a cancel is seen while the agent is at work
    if (cancelled) return send({ method: "run/finished", params: { outcome: "cancelled" } });
    const delta = number ? " " + word : word;
    send({ method: "event", params: { type: "partial_result", data: { delta } } });
  }
  send({ method: "run/finished", params: { result: { words: words.filter(Boolean).length } } });
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const message = JSON.parse(line);
  if (message.method === "initialize") { // who are you?
    send({ id: message.id, result: { name: "echo", version: "1" } });
  } else if (message.method === "run/start") { // first say yes, then do it
    send({ id: message.id, result: {} });
    run(message.params);
  } else if (message.method === "run/cancel") {
    cancelled = true;
  } else if (message.method === "shutdown") { // nothing more will come
    lines.close();
  }
});
lines.on("close", () => { cancelled = true; }); // the worker has closed our stdin
