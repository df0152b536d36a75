import { randomUUID } from "node:crypto";
import bcrypt from "bcryptjs";
import express from "express";
import jwt from "jsonwebtoken";
import { change, read, userBy } from "./database.js";

const { ACCESS_SECRET, REFRESH_SECRET } = process.env;

const app = express();
app.use(express.json());

const accessToken = ({ id }) => jwt.sign({ sub: id }, ACCESS_SECRET, { expiresIn: "15m" });

// Whose token it is; nobody's if it is none, or has expired.
function userOfToken(token, secret) {
  try {
    return userBy("id", jwt.verify(token, secret, { algorithms: ["HS256"] }).sub);
  } catch {
    return undefined;
  }
}

app.post("/auth/register", async ({ body: { email, name, password } }, response) => {
  if (userBy("email", email)) return response.sendStatus(409);
  const hash = await bcrypt.hash(password, 10);
  change(({ users }) => users.push({ id: randomUUID(), email, name, hash, notes: [] }));
  response.sendStatus(201);
});

app.post("/auth/login", async ({ body: { email, password } }, response) => {
  const user = userBy("email", email);
  if (!user || !(await bcrypt.compare(password, user.hash))) return response.sendStatus(401);
  const [claims, options] = [{ sub: user.id }, { expiresIn: "7d", jwtid: randomUUID() }];
  const refreshToken = jwt.sign(claims, REFRESH_SECRET, options);
  change(({ refreshTokens }) => refreshTokens.push(refreshToken));
  response.json({ accessToken: accessToken(user), refreshToken });
});

app.post("/auth/refresh", ({ body: { refreshToken } }, response) => {
  const user = userOfToken(refreshToken, REFRESH_SECRET);
  if (!user || !read().refreshTokens.includes(refreshToken)) return response.sendStatus(401);
  response.json({ accessToken: accessToken(user) });
});

app.post("/auth/logout", ({ body: { refreshToken } }, response) => {
  change((data) => {
    data.refreshTokens = data.refreshTokens.filter((token) => token !== refreshToken);
  });
  response.sendStatus(204);
});

async function authenticate(request, response, next) {
  const token = request.get("Authorization")?.replace("Bearer ", "");
  request.user = userOfToken(token, ACCESS_SECRET);
  if (!request.user) return response.sendStatus(401);
  next();
}

app.get("/notes", authenticate, ({ user: { name, notes } }, response) => {
  response.json({ name, notes });
});

app.post("/notes", authenticate, ({ user: { id }, body: { note } }, response) => {
  change(({ users }) => users.find((user) => user.id === id).notes.push(note));
  response.sendStatus(201);
});

app.use(express.static("public"));
app.listen(process.env.PORT ?? 3000, "127.0.0.1");
