import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";

let server;
let url;

before(async () => {
  server = spawn("node", ["server.js"], { env: { ...process.env, PORT: "0" } });
  const [line] = await once(server.stdout, "data");
  url = `http://127.0.0.1:${String(line).match(/\d+/)[0]}`;
});

after(() => server.kill());

test("the server lists its shows", async () => {
  const response = await fetch(`${url}/api/shows`);
  assert.equal(response.status, 200);
  const { shows } = await response.json();
  assert.equal(shows[0].title, "Hamlet");
});
