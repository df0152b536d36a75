// Writes down who everyone is at Gatelodge, from what `gatelodge users list --json` says.
import { readFileSync } from "node:fs";
import { change } from "./database.js";

const { users } = JSON.parse(readFileSync(0));
const ids = new Map(users.map(({ email, id }) => [email, id]));

change((data) => {
  const linked = new Set(data.users.map(({ gatelodgeId }) => gatelodgeId));
  for (const user of data.users.filter(({ gatelodgeId }) => !gatelodgeId)) {
    const id = ids.get(user.email.toLowerCase());
    // Never the same to two, who may be Ada@example.com and ada@example.com.
    if (!id || linked.has(id)) {
      console.error(`${user.email} is nobody at Gatelodge`);
      continue;
    }
    user.gatelodgeId = id;
    linked.add(id);
  }
});
