// What is kept of the log, held against the log itself.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createView } from "../../dist/verifier/view.js";

const pick = (some) => some[Math.floor(Math.random() * some.length)];

/** Whether an entry is about a JWT that was minted before it. */
const ends = ({ kind, subject, spared, number }, { sid, sub, rev }) =>
  rev < number &&
  spared !== sid &&
  (kind === "session_ended" ? subject === sid : subject === "" || subject === sub);

test("the view refuses what the log has ended since a JWT was minted, and nothing else", () => {
  for (let round = 0; round < 300; round += 1) {
    const [view, log] = [createView(), []];
    view.begin({ number: 10, mark: undefined }, 0);
    for (let number = 11; number <= 30; number += 1) {
      const kind = pick([
        "session_ended",
        "session_ended",
        "user_ended",
        "user_ended",
        "user_changed",
      ]);
      const rare = Math.random() < 0.05 ? pick(["everyone_ended", "unknown_entry"]) : kind;
      const subject = { session_ended: pick(["s1", "s2", "s3"]), user_ended: pick(["u1", "u2"]) };
      const entry = {
        number,
        mark: `${number}`,
        kind: rare,
        subject: rare === "user_changed" ? "u1" : (subject[rare] ?? ""),
        spared: rare === "user_ended" ? pick([null, "s1", "s2"]) : null,
      };
      log.push(entry);
      view.record(entry);
      for (const sid of ["s1", "s2", "s3"]) {
        const rev = 10 + Math.floor(Math.random() * (number - 9));
        const claims = { sid, sub: pick(["u1", "u2"]), rev, iat: 1 };
        const entries = log.filter((one) => ends(one, claims));
        const reason = view.refusal(claims);
        const said = JSON.stringify({ claims, log });
        assert.equal(reason !== undefined, entries.length > 0, said);
        assert.ok(reason === undefined || entries.some(({ kind }) => kind === reason), said);
      }
    }
  }
});

const ended = (number) => ({
  number,
  mark: "aa",
  kind: "session_ended",
  subject: `s${number}`,
  spared: null,
});
const minted = (rev, sid = "another") => ({ sid, sub: "u", rev, iat: 1 });

test("what is older than a JWT can live is forgotten, and what is not known is not believed", (context) => {
  const start = performance.now();
  let minutes = 0;
  context.mock.method(performance, "now", () => start + minutes * 60_000);
  const view = createView();
  view.begin({ number: 0, mark: undefined }, 0);
  for (; minutes < 10; minutes += 1) {
    view.record(ended(minutes + 1));
  }
  minutes = 16;
  view.vouch({ number: 10, mark: "aa" }, 0);
  assert.equal(view.refusal(minted(0)), undefined);
  minutes = 20.5;
  view.vouch({ number: 10, mark: "aa" }, 0);
  assert.equal(view.refusal(minted(4)), "out_of_view");
  assert.equal(view.refusal(minted(5)), undefined);
  assert.equal(view.refusal(minted(5, "s6")), "session_ended");
  minutes = 40;
  view.vouch({ number: 10, mark: "aa" }, 0);
  assert.equal(view.refusal(minted(9, "s10")), "out_of_view");
  assert.equal(view.refusal(minted(10)), undefined);
});

test("there is room for so many entries, and what has none is not believed either", () => {
  const view = createView(3);
  view.begin({ number: 0, mark: undefined }, 0);
  for (let number = 1; number <= 1000; number += 1) {
    view.record(ended(number));
  }
  assert.equal(view.refusal(minted(996)), "out_of_view");
  assert.equal(view.refusal(minted(997)), undefined);
  assert.equal(view.refusal(minted(997, "s998")), "session_ended");
  assert.equal(view.refusal(minted(999, "s1000")), "session_ended");
});

test("a clock that is set, and one that has slept, end the lease", (context) => {
  const view = createView();
  const position = { number: 0, mark: "aa" };
  view.begin(position, 0);
  assert.ok(!view.isCurrent());
  const [elapsed, clock] = [performance.now(), Date.now()];
  for (const [object, was] of [
    [performance, elapsed],
    [Date, clock],
  ]) {
    view.vouch(position, 0);
    assert.ok(view.isCurrent());
    const ahead = context.mock.method(object, "now", () => was + 5500);
    assert.ok(!view.isCurrent());
    ahead.mock.restore();
  }
  view.vouch(position, 4900);
  assert.ok(view.isCurrent());
  view.vouch(position, 5001);
  assert.ok(!view.isCurrent(), "it was under way for too long");
  view.vouch(position, 1000, 900);
  assert.ok(!view.isCurrent(), "whoever has said so could not rely on it for longer");
});
