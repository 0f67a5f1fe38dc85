import { expect, test } from "vitest";
import { parseDuration } from "../../src/cli/duration.ts";
import { durationText } from "../../src/engine/duration-text.ts";

test.each([
  [0, "0ms"],
  [999.9, "999ms"],
  [1_000, "1s"],
  [12_349, "12.3s"],
  [59_999, "59.9s"],
  [60_000, "1m"],
  [245_000, "4m5s"],
  [7_199_000, "1h59m"],
  [7_200_000, "2h"],
  [273_600_000, "3d4h"],
  [100_000_000_000_000, "1157407d9h"],
])("%d ms are %s, and flags take it", (ms, text) => {
  expect(durationText(ms)).toBe(text);
  expect(parseDuration(text)).toBeLessThanOrEqual(ms);
});
