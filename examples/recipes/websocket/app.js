import { createServer, STATUS_CODES } from "node:http";

import { createVerifier } from "gatelodge-client/verifier";
import { WebSocketServer } from "ws";

/** Come back with a new JWT, if there is still a session to ask for one. */
const ENDED = 4001;

const verifier = createVerifier({
  issuer: process.env.GATELODGE_ISSUER ?? "http://localhost:8080",
  audience: "notes",
  baseUrl: process.env.GATELODGE_URL ?? "http://localhost:8080",
  credential: process.env.GATELODGE_CREDENTIAL,
  onTrouble: (trouble) => console.warn(trouble),
});

// Server-sent events: the JWT comes as `Authorization: Bearer …`.
const server = createServer(async (request, response) => {
  try {
    const jwt = request.headers.authorization?.replace(/^Bearer /, "");
    const { claims } = await verifier.verify(jwt);
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(`data: Hello, ${claims.sub}.\n\n`);
    const stop = verifier.onEnded(claims, () => {
      response.end();
      setTimeout(() => response.destroy(), 1000).unref();
    });
    response.on("close", stop);
  } catch ({ status = 500, reason }) {
    console.warn("refused:", reason);
    response.writeHead(status, { "www-authenticate": "Bearer" }).end();
  }
});

// A WebSocket: pages cannot set that header, so the JWT comes as a protocol after `bearer`.
const sockets = new WebSocketServer({ noServer: true });

server.on("upgrade", async (request, socket, head) => {
  socket.on("error", () => socket.destroy());
  try {
    const [, jwt] = request.headers["sec-websocket-protocol"]?.split(/, */) ?? [];
    const { claims } = await verifier.verify(jwt);
    sockets.handleUpgrade(request, socket, head, (connection) => converse(connection, claims));
  } catch ({ status = 500, reason }) {
    console.warn("refused:", reason);
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n\r\n`);
  }
});

function converse(connection, claims) {
  const stop = verifier.onEnded(claims, (ending) => {
    // What still comes is not listened to, and whoever does not hang up is cut off.
    connection.removeAllListeners("message");
    connection.close(ENDED, ending);
    setTimeout(() => connection.terminate(), 1000).unref();
  });
  connection.on("close", stop);
  connection.on("error", () => connection.terminate());
  connection.on("message", (text) => connection.send(`${claims.sub} says ${text}`));
}

// Not before it hears of revocations.
await verifier.ready();
const port = process.env.PORT ?? 3000;
server.listen(port, "127.0.0.1", () => console.log(`the app listens on http://localhost:${port}`));
