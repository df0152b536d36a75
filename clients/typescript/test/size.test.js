import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import ts from "typescript";

const BAR = 4096;

test("all that a page loads is below 4 KiB, compressed", (context) => {
  const modules = readdirSync("dist").filter((file) => file.endsWith(".js") && file !== "schema.js");
  const bare = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, removeComments: true };
  const whole = modules.map((file) => {
    const { outputText } = ts.transpileModule(readFileSync(`dist/${file}`, "utf8"), { compilerOptions: bare });
    return outputText;
  });
  const size = gzipSync(whole.join("")).length;
  context.diagnostic(`${size} bytes of ${whole.join("").length}, comments left out, not minified`);
  assert.ok(size <= BAR, `${size}`);
  assert.doesNotMatch(whole.join(""), /schema\.js/, "types weigh nothing");
});
