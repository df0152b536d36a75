import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import ts from "typescript";

const modulesIn = (folder) =>
  readdirSync(`dist/${folder}`)
    .filter((file) => /(?<!schema)\.js$/.test(file))
    .map((file) => `dist/${folder}${file}`);

function isBelow(bar, modules, context) {
  const compilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2022,
    removeComments: true,
  };
  const bare = (file) =>
    ts.transpileModule(readFileSync(file, "utf8"), { compilerOptions }).outputText;
  const whole = modules.map(bare).join("");
  const size = gzipSync(whole).length;
  assert.ok(modules.length > 1);
  context.diagnostic(`${size} bytes of ${whole.length}, comments left out, not minified`);
  assert.ok(size <= bar, `${size}`);
  assert.doesNotMatch(whole, /schema\.js/, "types weigh nothing");
  assert.doesNotMatch(whole, /from "(?!\.|node:)/, "nothing else is loaded");
}

test("all that a page loads is below 4 KiB, compressed", (context) => {
  isBelow(4096, modulesIn(""), context);
});

test("all that a server loads to verify is below 8 KiB, compressed", (context) => {
  isBelow(8192, [...modulesIn("verifier/"), "dist/problem.js"], context);
});
