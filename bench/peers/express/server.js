// Express with express-session and Passport, in Redis.
import bcrypt from "bcrypt";
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import passport from "passport";
import { Strategy as LocalStrategy } from "passport-local";
import { createClient } from "redis";

const [port, redisUrl] = process.argv.slice(2);

const ada = {
  id: 1,
  email: "ada@example.com",
  name: "Ada Lovelace",
  // bcrypt, cost 12, of "correct horse battery staple".
  passwordHash: "$2b$12$XwBhUUEpQQjvSGtDby0y1.RCKejkT6nNWU9x0almq6fTvZfR3Y8NG",
};
const usersById = new Map([[ada.id, ada]]);
const usersByEmail = new Map([[ada.email, ada]]);

passport.use(
  new LocalStrategy({ usernameField: "email" }, async (email, password, done) => {
    try {
      const user = usersByEmail.get(email);
      const verified = user && (await bcrypt.compare(password, user.passwordHash));
      done(null, verified ? user : false);
    } catch (error) {
      done(error);
    }
  }),
);
passport.serializeUser((user, done) => done(null, user.id));
passport.deserializeUser((id, done) => done(null, usersById.get(id) ?? false));

const redis = createClient({ url: redisUrl });
redis.on("error", (error) => console.error(error));
await redis.connect();

const body = ({ user: { id, email, name } }) => ({ user: { id, email, name } });

const app = express();
app.disable("x-powered-by");
app.get("/health", (_req, res) => res.sendStatus(200));
app.use(
  session({
    store: new RedisStore({ client: redis }),
    secret: process.env.SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { secure: false, sameSite: "lax" },
  }),
);
app.use(passport.session());
app.post("/login", express.json(), passport.authenticate("local"), (req, res) =>
  res.json(body(req)),
);
app.get("/whoami", (req, res) =>
  req.isAuthenticated() ? res.json(body(req)) : res.sendStatus(401),
);
app.listen(Number(port), "127.0.0.1");
