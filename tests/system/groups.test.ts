// Whoever sends to a group of sockets: a socket's handler, a request, a job. Each also asks who is online.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import WebSocket from "ws";
import { JobApp } from "../job_app.ts";
import { until } from "../server.ts";

let app: JobApp | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

test("a group hears sockets, requests and jobs, and all of them may ask who is online", async () => {
  app = new JobApp();
  const server = await app.serve();
  const heard: string[] = [];
  const socket = new WebSocket(`${server.url.replace(/^http/, "ws")}/ws/room/`);
  socket.on("message", (data) => heard.push(String(data)));
  socket.on("error", () => undefined); // what was heard says enough
  await until("to be in", () => heard.length === 1);
  socket.send("speak");
  await until("what the socket said", () => heard.length === 2);
  assert.equal((await fetch(`${server.url}/say/`, { method: "POST" })).status, 204);
  await until("what the request and its job said", () => heard.length === 4);
  assert.deepEqual(heard, ["welcome", "socket no 0", "request no 0", "job no 0"]);
  socket.close();
});
