// SPDX-License-Identifier: Apache-2.0
// As one writes it by hand: `ws`, and one Redis stream of all users' events, which is the history. An entry has the
// user and the event; the event goes to the user's sockets as it is.
import { WebSocketServer } from "ws";
import { createClient } from "redis";

const [port, redisPort] = process.argv.slice(2).map(Number);
const redis = createClient({ socket: { host: "127.0.0.1", port: redisPort } });
const sockets = new Map(); // user -> set of sockets

const server = new WebSocketServer({
    host: "127.0.0.1", port, backlog: 4096, perMessageDeflate: false, skipUTF8Validation: true });
server.on("connection", (socket, request) => {
    const user = request.url.slice(1).split(".")[0];
    if (!sockets.has(user)) sockets.set(user, new Set());
    sockets.get(user).add(socket);
    socket.on("close", () => sockets.get(user).delete(socket));
});

await redis.connect();
let last = "$";
for (;;) {
    const streams = await redis.xRead({ key: "events", id: last }, { COUNT: 1000, BLOCK: 5000 });
    for (const { id, message } of streams?.[0].messages ?? []) {
        last = id;
        for (const socket of sockets.get(message.user) ?? []) socket.send(message.event);
    }
}
