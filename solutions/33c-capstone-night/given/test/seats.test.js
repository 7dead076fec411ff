import assert from "node:assert/strict";
import { test } from "node:test";

import { isSeat } from "../seats.js";

test("a seat is a row and a number", () => {
  assert.ok(isSeat("C4"));
  assert.ok(!isSeat("G1"));
  assert.ok(!isSeat("A11"));
});
