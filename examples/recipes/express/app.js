import express from "express";

const app = express();

// Who the proxy says it is; null where a rule lets strangers pass.
app.use((request, response, next) => {
  const id = request.get("Remote-User");
  request.user = id
    ? {
        id,
        name: decodeURIComponent(request.get("Remote-Name")),
        isAdmin: request.get("Remote-Groups") === "admin",
      }
    : null;
  next();
});

app.get("/", ({ user }, response) => {
  response.type("text").send(`Hello, ${user.name}, who is ${user.id}.\n`);
});

app.get("/public/", ({ user }, response) => {
  response.type("text").send(`Hello, ${user ? user.name : "stranger"}.\n`);
});

// Loopback: whoever could connect past the proxy could say to be anybody.
app.listen(process.env.PORT ?? 3000, "127.0.0.1");
