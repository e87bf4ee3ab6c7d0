// SPDX-License-Identifier: Apache-2.0
// Asks a question over the `ws` package and prints each frame as it came, until the run has ended.
// node golden-path.mjs URL TOKEN QUESTION
import WebSocket from 'ws';

const [url, token, question] = process.argv.slice(2);
const socket = new WebSocket(url, 'ringside.v1', { headers: { Authorization: `Bearer ${token}` } });
let asked = false;

function ends(frame) {
  return frame.type === 'agent_completed' || (frame.type === 'error_event' && frame.data.fatal);
}

socket.on('message', (data, isBinary) => {
  if (isBinary) throw new Error('a binary frame where text is due');
  const frame = JSON.parse(data.toString());
  console.log(data.toString());
  if (!asked) {
    asked = true;
    socket.send(JSON.stringify({
      id: 'c-1', method: 'chat.send',
      params: { thread_id: 't-1', message_id: 'm-1', content: question, agent: 'librarian' },
    }));
  }
  if (frame.error) throw new Error(JSON.stringify(frame.error));
  if (ends(frame)) socket.close(1000);
});
socket.on('close', (code) => process.exit(code === 1000 ? 0 : 1));
socket.on('error', (error) => { console.error(error); process.exit(1); });
