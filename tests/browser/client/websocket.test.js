// Who is connected to the app of examples/recipes/websocket, and for how long.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";

import { WebSocket } from "ws";

import { ADMIN, loggedIn, registered, SERVICE } from "../../../clients/typescript/test/support.js";

const { APP } = process.env;

async function minted({ fetch }, template = "notes") {
  const address = `${SERVICE}/api/sessions/whoami?tokenize_as=${template}`;
  return (await (await fetch(address, { method: "GET" })).json()).tokenized;
}

async function conversing(jwt) {
  const socket = new WebSocket(`ws://${APP}/`, ["bearer", jwt]);
  await once(socket, "open");
  assert.equal(socket.protocol, "bearer");
  return socket;
}

async function said(socket, text) {
  socket.send(text);
  const [answer] = await once(socket, "message");
  return String(answer);
}

/** Ends it, and says what the connection is closed with, within a second. */
async function closedBy(socket, end) {
  const closed = once(socket, "close");
  await end();
  const answered = performance.now();
  const [code, reason] = await closed;
  assert.ok(performance.now() - answered < 1000);
  return [code, String(reason)];
}

test("a WebSocket is closed with 4001 within a second of its session's end", async () => {
  const [ada, eve] = [await registered(), await registered()];
  const [laptop, others] = [
    await conversing(await minted(ada)),
    await conversing(await minted(eve)),
  ];
  const phone = await loggedIn(ada.email);
  const jwt = await minted(phone);
  const onPhone = await conversing(jwt);
  assert.equal(await said(laptop, "hello"), `${ada.user.id} says hello`);
  assert.equal(await said(onPhone, "hello"), `${ada.user.id} says hello`);

  const ended = await closedBy(onPhone, () => ada.gatelodge.sessions.endOthers());
  assert.deepEqual(ended, [4001, "user_ended"]);
  assert.equal(await said(laptop, "still here"), `${ada.user.id} says still here`);
  assert.deepEqual(await closedBy(laptop, () => ada.gatelodge.logout()), [4001, "session_ended"]);
  assert.equal(await said(others, "hello"), `${eve.user.id} says hello`);

  const again = new WebSocket(`ws://${APP}/`, ["bearer", jwt]);
  const [error] = await once(again, "error");
  assert.match(error.message, /401/);

  const { admin } = (await loggedIn(ADMIN)).gatelodge;
  assert.deepEqual(await closedBy(others, () => admin.users.lock(eve.user.id)), [
    4001,
    "user_ended",
  ]);
});

test("without a JWT for the app there is no connection", async () => {
  const ada = await registered();
  for (const jwt of [undefined, "nonsense", await minted(ada, "others")]) {
    const socket = new WebSocket(`ws://${APP}/`, jwt ? ["bearer", jwt] : []);
    const [error] = await once(socket, "error");
    assert.match(error.message, /401/);
    const headers = jwt && { authorization: `Bearer ${jwt}` };
    const answer = await fetch(`http://${APP}/`, { headers });
    assert.deepEqual([answer.status, answer.headers.get("www-authenticate")], [401, "Bearer"]);
  }
});

test("a client that does not hang up is cut off", async () => {
  const ada = await registered();
  const [host, port] = APP.split(":");
  const socket = connect(port, host);
  const head = [
    "GET / HTTP/1.1",
    `Host: ${APP}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    `Sec-WebSocket-Protocol: bearer, ${await minted(ada)}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  const heard = [];
  socket.on("data", (data) => heard.push(data));
  await once(socket, "data");
  const closed = once(socket, "close");
  await ada.gatelodge.logout();
  await closed;
  const all = Buffer.concat(heard).toString("latin1");
  assert.match(all, /101 Switching/);
  assert.match(all, /\x0f\xa1session_ended$/, "4001, and nothing after it");
});

test("an answer that goes on ends with its session", async () => {
  const ada = await registered();
  const headers = { authorization: `Bearer ${await minted(ada)}` };
  const answer = await fetch(`http://${APP}/`, { headers });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal((await reader.read()).value, `data: Hello, ${ada.user.id}.\n\n`);
  const over = reader.read();
  await ada.gatelodge.logout();
  const answered = performance.now();
  assert.equal((await over).done, true);
  assert.ok(performance.now() - answered < 1000);
});
