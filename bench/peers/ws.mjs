// A broadcaster on ws: what one client sends goes to all. node ws.mjs PORT
import { WebSocketServer } from "ws";

const server = new WebSocketServer({
  port: Number(process.argv[2]),
  host: "127.0.0.1",
  perMessageDeflate: false,
});
server.on("connection", (socket) => {
  socket.on("message", (data) => {
    for (const other of server.clients) other.send(data, { binary: false });
  });
});
server.on("listening", () => console.log("ready"));
