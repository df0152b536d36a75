import { createServer } from "node:http";

const SELF = "http://localhost:3000";
const GATELODGE = "http://localhost:8080";
const LOGIN = `${GATELODGE}/login?return_to=${encodeURIComponent(`${SELF}/`)}`;

// Asks Gatelodge in the name of whoever has sent us this request.
function ask(request, method, path) {
  const headers = {
    cookie: request.headers.cookie ?? "",
    "user-agent": request.headers["user-agent"] ?? "",
  };
  return fetch(GATELODGE + path, { method, headers });
}

const escaped = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function page(user, sessions) {
  const items = sessions.map(({ id, device, current }) => {
    const end = `<form method="post" action="/end/${id}"><button>End</button></form>`;
    return `<li>${escaped(device)}${current ? ", this one" : end}</li>`;
  });
  return `<!doctype html><title>My app</title>
<h1>Hello, ${escaped(user.name)}</h1>
<p>You are logged in here:</p>
<ul>
${items.join("\n")}
</ul>
<form method="post" action="/logout"><button>Log out</button></form>
`;
}

async function answer(request, response) {
  const back = { location: "/", "cache-control": "no-store" };
  // A browser says whether a form was on a page of ours.
  const isOurs = (request.headers["sec-fetch-site"] ?? "same-origin") === "same-origin";
  if (request.method === "POST" && !isOurs) return response.writeHead(403).end();

  if (request.method === "POST" && request.url === "/logout") {
    const done = await ask(request, "POST", "/api/logout");
    response.setHeader("set-cookie", done.headers.getSetCookie());
    return response.writeHead(303, back).end();
  }
  if (request.method === "POST" && request.url.startsWith("/end/")) {
    const id = encodeURIComponent(request.url.slice("/end/".length));
    await ask(request, "DELETE", `/api/sessions/${id}?wait=effective`);
    return response.writeHead(303, back).end();
  }

  const list = await ask(request, "GET", "/api/sessions");
  if (list.status === 401) return response.writeHead(302, { location: LOGIN }).end();
  if (!list.ok) return response.writeHead(503, { "retry-after": "2" }).end("In a moment.\n");
  const { sessions } = await list.json();
  const { user } = await (await ask(request, "GET", "/api/sessions/whoami")).json();
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.setHeader("cache-control", "no-store");
  response.end(page(user, sessions));
}

createServer((request, response) => {
  answer(request, response).catch(() => response.writeHead(503).end("In a moment.\n"));
}).listen(new URL(SELF).port, "127.0.0.1", () => console.log(`the app listens on ${SELF}`));
