// Better Auth on node:http, its sessions in Redis, its users in SQLite.
import { createServer } from "node:http";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { redisStorage } from "@better-auth/redis-storage";
import bcrypt from "bcrypt";
import { betterAuth } from "better-auth";
import { isAPIError } from "better-auth/api";
import { getMigrations } from "better-auth/db/migration";
import { fromNodeHeaders } from "better-auth/node";
import Database from "better-sqlite3";
import { Redis } from "ioredis";

const [port, redisUrl, dataDir] = process.argv.slice(2);

const ada = {
  email: "ada@example.com",
  name: "Ada Lovelace",
  password: "correct horse battery staple",
};

const auth = betterAuth({
  baseURL: `http://127.0.0.1:${port}`,
  secret: process.env.SECRET,
  database: new Database(join(dataDir, "better-auth.sqlite")),
  secondaryStorage: redisStorage({ client: new Redis(redisUrl) }),
  emailAndPassword: {
    enabled: true,
    autoSignIn: false,
    password: {
      hash: (password) => bcrypt.hash(password, 12),
      verify: ({ hash, password }) => bcrypt.compare(password, hash),
    },
  },
});

const { runMigrations } = await getMigrations(auth.options);
await runMigrations();
const { internalAdapter } = await auth.$context;
if (!(await internalAdapter.findUserByEmail(ada.email))) {
  await auth.api.signUpEmail({ body: ada });
}

function answer(res, status, value, headers) {
  if (headers) res.setHeaders(headers);
  res.statusCode = status;
  if (value) res.setHeader("content-type", "application/json");
  res.end(value && JSON.stringify(value));
}

const body = ({ user: { id, email, name } }) => ({ user: { id, email, name } });

async function login(req, res) {
  const { headers, response } = await auth.api.signInEmail({
    body: await json(req),
    headers: fromNodeHeaders(req.headers),
    returnHeaders: true,
  });
  answer(res, 200, body(response), headers);
}

async function whoami(req, res) {
  const session = await auth.api.getSession({ headers: fromNodeHeaders(req.headers) });
  if (session) answer(res, 200, body(session));
  else answer(res, 401);
}

const routes = {
  "GET /health": async (_req, res) => answer(res, 200),
  "POST /login": login,
  "GET /whoami": whoami,
};

createServer(async (req, res) => {
  try {
    const route = routes[`${req.method} ${req.url}`];
    if (route) await route(req, res);
    else answer(res, 404);
  } catch (error) {
    if (!isAPIError(error)) console.error(error);
    answer(res, isAPIError(error) ? error.statusCode : 500);
  }
}).listen(Number(port), "127.0.0.1");
