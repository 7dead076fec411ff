import assert from "node:assert/strict";
import { test } from "node:test";

import { isSeat, priceOf } from "../seats.js";

test("a seat is a row and a number", () => {
  assert.ok(isSeat("C4"));
  assert.ok(!isSeat("G1"));
  assert.ok(!isSeat("A11"));
});

test("the first row costs a fifth more", () => {
  assert.equal(priceOf("A1", 2500), 3000);
  assert.equal(priceOf("B1", 2500), 2500);
});
