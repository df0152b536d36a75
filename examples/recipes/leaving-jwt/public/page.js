import { call, logIn, logOut } from "./auth.js";

const get = (selector) => document.querySelector(selector);

async function show() {
  const answer = await call("/notes");
  get("#log-in").hidden = answer.status !== 401;
  get("#notes").hidden = !answer.ok;
  if (!answer.ok) return;
  const { name, notes } = await answer.json();
  get("h1").textContent = `Hello, ${name}`;
  get("ul").replaceChildren(
    ...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })),
  );
}

get("#log-in").onsubmit = async (event) => {
  event.preventDefault();
  await logIn(get("#email").value, get("#password").value);
  await show();
};

get("#add").onsubmit = async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ note: get("#note").value });
  await call("/notes", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  await show();
};

get("#log-out").onclick = async () => {
  await logOut();
  await show();
};

await show();
