// A broadcaster on socket.io: what one client sends goes to all. node socketio.mjs PORT [recover]
// With "recover", what a client has missed is sent again when it returns (its connection state recovery).
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port, recover] = process.argv.slice(2);
const http = createServer();
const server = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  pingTimeout: 120_000, // it may be far behind when it is measured; nobody is to be dropped for that
  ...(recover ? { connectionStateRecovery: { maxDisconnectionDuration: 120_000 } } : {}),
});
server.on("connection", (socket) => {
  socket.on("m", (text) => server.emit("m", text));
});
http.listen(Number(port), "127.0.0.1", () => console.log("ready"));
