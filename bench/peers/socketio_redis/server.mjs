// SPDX-License-Identifier: Apache-2.0
// Socket.IO with its Redis streams adapter and connection state recovery; a user is a room.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [port, redisPort] = process.argv.slice(2).map(Number);
const redis = createClient({ socket: { host: "127.0.0.1", port: redisPort } });
await redis.connect();

const http = createServer();
const io = new Server(http, {
    transports: ["websocket"], perMessageDeflate: false, serveClient: false,
    connectionStateRecovery: { maxDisconnectionDuration: 120000 },
    adapter: createAdapter(redis, { maxLen: 100000, readCount: 1000 }) });
io.on("connection", (socket) => socket.join(socket.handshake.auth.user));
http.listen({ host: "127.0.0.1", port, backlog: 4096 });
