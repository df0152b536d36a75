// Stands for your database: a file, read at every question.
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const file = "database.json";

export const read = () =>
  existsSync(file) ? JSON.parse(readFileSync(file)) : { users: [], refreshTokens: [] };

export function change(edit) {
  const data = read();
  edit(data);
  writeFileSync(file, JSON.stringify(data));
}

export const userBy = (field, value) => read().users.find((user) => user[field] === value);
