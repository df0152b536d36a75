// Writes what is TypeScript in the README into files of their own, to be type-checked.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const HEAD = `import type { Gatelodge } from "gatelodge-client";
declare const gatelodge: Gatelodge;
`;

const readme = readFileSync("README.md", "utf8");
const snippets = [...readme.matchAll(/^```tsx?\n(.*?)^```$/gms)].map(([, snippet]) => snippet);
if (snippets.length === 0) {
  throw new Error("the README has no snippets");
}
rmSync("snippets", { recursive: true, force: true });
mkdirSync("snippets");
snippets.forEach((snippet, number) => {
  const isWhole = snippet.includes("const gatelodge =");
  writeFileSync(`snippets/${number}.ts`, `${isWhole ? "" : HEAD}${snippet}export {};\n`);
});
