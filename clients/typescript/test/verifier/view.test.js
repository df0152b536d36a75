// What is kept of the log, held against the log itself.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createView } from "../../dist/verifier/view.js";

const pick = (some) => some[Math.floor(Math.random() * some.length)];

const position = (number, log = "a") => ({ number, mark: `${log}${number}`.padEnd(32, "0") });
const revOf = ({ number, mark }) => `${number}-${mark.slice(0, 8)}`;

/** Whether an entry is about a JWT: that was minted before it, unless it ends the session. */
const ends = ({ kind, subject, spared, number }, { sid, sub, rev }) =>
  kind === "session_ended"
    ? subject === sid
    : Number.parseInt(rev) < number && spared !== sid && (subject === "" || subject === sub);

test("the view refuses what the log has ended since a JWT was minted, and nothing else", () => {
  for (let round = 0; round < 300; round += 1) {
    const [view, log] = [createView(), []];
    view.begin(position(10), 0);
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
        ...position(number),
        kind: rare,
        subject: rare === "user_changed" ? "u1" : (subject[rare] ?? ""),
        spared: rare === "user_ended" ? pick([null, "s1", "s2"]) : null,
      };
      log.push(entry);
      view.record(entry);
      for (const sid of ["s1", "s2", "s3"]) {
        const from = 10 + Math.floor(Math.random() * (number - 9));
        const isOfAnother = Math.random() < 0.1;
        const rev = revOf(position(from, isOfAnother ? "b" : "a"));
        const claims = { sid, sub: pick(["u1", "u2"]), rev, iat: 1 };
        const entries = log.filter((one) => ends(one, claims));
        const reason = view.refusal(claims);
        const said = JSON.stringify({ claims, log });
        const reasons = new Set(entries.map(({ kind }) => kind));
        if (isOfAnother) {
          assert.equal(reason, reasons.has("session_ended") ? "session_ended" : "log_set_back");
        } else {
          assert.equal(reason !== undefined, reasons.size > 0, said);
          assert.ok(reason === undefined || reasons.has(reason), said);
        }
      }
    }
  }
});

const ended = (number) => ({
  ...position(number),
  kind: "session_ended",
  subject: `s${number}`,
  spared: null,
});
const minted = (number, sid = "another") => ({
  sid,
  sub: "u",
  rev: revOf(position(number)),
  iat: 1,
});

test("what is older than a JWT can live is forgotten, and what is not known is not believed", (context) => {
  const start = performance.now();
  let minutes = 0;
  context.mock.method(performance, "now", () => start + minutes * 60_000);
  const view = createView();
  view.begin(position(0), 0);
  for (; minutes < 10; minutes += 1) {
    view.record(ended(minutes + 1));
  }
  minutes = 16;
  view.vouch(0, 0);
  assert.equal(view.refusal(minted(0)), undefined);
  minutes = 20.5;
  view.vouch(0, 0);
  assert.equal(view.refusal(minted(4)), "out_of_view");
  assert.equal(view.refusal(minted(5)), undefined);
  assert.equal(view.refusal(minted(5, "s6")), "session_ended");
  minutes = 40;
  view.vouch(0, 0);
  assert.equal(view.refusal(minted(9, "s10")), "out_of_view");
  assert.equal(view.refusal(minted(10)), undefined);
});

test("there is room for so many entries, and what has none is not believed either", () => {
  const view = createView(3);
  view.begin(position(0), 0);
  for (let number = 1; number <= 1000; number += 1) {
    view.record(ended(number));
  }
  assert.equal(view.refusal(minted(996)), "out_of_view");
  assert.equal(view.refusal(minted(997)), undefined);
  assert.equal(view.refusal(minted(997, "s998")), "session_ended");
  assert.equal(view.refusal(minted(999, "s1000")), "session_ended");
});

test("the entries of one kind about one subject leave no gap where they are forgotten", () => {
  const view = createView(2);
  view.begin(position(0), 0);
  for (let number = 1; number <= 5; number += 1) {
    view.record({ ...position(number), kind: "user_changed", subject: "u", spared: null });
  }
  assert.equal(view.refusal(minted(2)), "out_of_view");
  assert.equal(view.refusal(minted(3)), "user_changed");
  assert.equal(view.refusal(minted(5)), undefined);
});

test("what is beyond the log five seconds later is of another", () => {
  const view = createView();
  const [beyond, at] = [{ ...minted(7), iat: 100 }, 100_000];
  assert.equal(view.refusal(beyond), undefined);
  view.begin(position(5), at);
  view.vouch(at + 4999, 0);
  assert.ok(view.isAhead(beyond));
  assert.equal(view.refusal(beyond), undefined);
  view.vouch(at + 5000, 0);
  assert.equal(view.refusal(beyond), "log_set_back");
  view.record(ended(6));
  view.record(ended(7));
  assert.ok(!view.isAhead(beyond));
  assert.equal(view.refusal(beyond), undefined);
});

test("a clock that is set, and one that has slept, end the lease", (context) => {
  const view = createView();
  view.begin(position(0), 0);
  assert.ok(!view.isCurrent());
  const [elapsed, clock] = [performance.now(), Date.now()];
  for (const [object, was] of [
    [performance, elapsed],
    [Date, clock],
  ]) {
    view.vouch(0, 0);
    assert.ok(view.isCurrent());
    const ahead = context.mock.method(object, "now", () => was + 5500);
    assert.ok(!view.isCurrent());
    ahead.mock.restore();
  }
  view.vouch(0, 4900);
  assert.ok(view.isCurrent());
  view.vouch(0, 5001);
  assert.ok(!view.isCurrent(), "it was under way for too long");
  view.vouch(0, 1000, 900);
  assert.ok(!view.isCurrent(), "whoever has said so could not rely on it for longer");
});
