// SPDX-License-Identifier: Apache-2.0
// Our client changes its view while a run's events come, again and again, and prints what it heard
// and how: one JSON object. The far end of each view is the run's last event.
// node views.mjs URL TOKEN CONTENT VIEWS
import WebSocket from 'ws';

import { RingsideClient } from '../../clients/js/ringside.js';

const [url, token, content, views] = process.argv.slice(2);
let sockets = 0;

class Counted extends WebSocket {
  constructor(...options) {
    super(...options);
    sockets += 1;
  }
}

const client = new RingsideClient({ url, token, WebSocket: Counted, page: null, fetch: null });
let view = [];
const seen = [];

function ends({ type, data }) {
  return type === 'agent_completed' || (type === 'error_event' && data.fatal);
}

function report() {
  const { counters } = client;
  console.log(JSON.stringify({ sockets, counters, seen }));
  client.close();
}

client.on('error', (error) => { console.error(error); process.exit(1); });
client.on('event', (event) => {
  view.push(event);
  if (seen.length < Number(views) && view.length === 10) {
    seen.push(view);
    view = [];
    // Half of the time from the beginning, else from where this view stands.
    client.subscribe({ cursor: seen.length % 2 ? 'start' : client.cursor });
  } else if (seen.length === Number(views) && ends(event)) {
    seen.push(view);
    report();
  }
});
await new Promise((resolve) => {
  client.on('caughtup', resolve);
  client.connect();
});
await client.chatSend({ thread_id: 't-1', content, agent: 'slow' });
