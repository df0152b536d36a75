// Every user with their hash, as `gatelodge users import` reads them.
import { read } from "./database.js";

for (const { email, name, hash } of read().users) {
  console.log(JSON.stringify({ email, name, password_hash: hash }));
}
