import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import ts from "typescript";

const BAR = 4096;

test("all that a page loads is below 4 KiB, compressed", (context) => {
  const modules = readdirSync("dist").filter((file) => /(?<!schema)\.js$/.test(file));
  const compilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2022,
    removeComments: true,
  };
  const bare = (file) =>
    ts.transpileModule(readFileSync(`dist/${file}`, "utf8"), { compilerOptions }).outputText;
  const whole = modules.map(bare).join("");
  const size = gzipSync(whole).length;
  assert.ok(modules.length > 1);
  context.diagnostic(`${size} bytes of ${whole.length}, comments left out, not minified`);
  assert.ok(size <= BAR, `${size}`);
  assert.doesNotMatch(whole, /schema\.js/, "types weigh nothing");
});
