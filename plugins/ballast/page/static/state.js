// What the page calls the state of an asset. The verdict itself is the check's; this only groups it.

import { position } from "./band.js";
import { isZero } from "./format.js";
import { plainWords } from "./words.js";

const WORDS = {
  null: "not judged yet",
  balanced: "in trim",
  planned: "to be moved",
  claimed: "moving",
  unread: "not read",
  no_inventory: "holds nothing",
  held: "held back",
};

/** "moving", "out" (of its band), "unjudged", "empty" (holds nothing), "trim", or "unknown" before the first check. */
export function group(asset) {
  if (asset.operation_id) return "moving";
  if (asset.reason === null) return "unknown";
  if (asset.onchain.unread || asset.offchain.unread) return "unjudged";
  const where = position(asset);
  if (where === "low" || where === "high") return "out";
  if (where === "inside") return "trim";
  return asset.reason === "no_inventory" ? "empty" : "unjudged";
}

/** The reason in a word or three; the sentence with the figures is `detail`. */
export function verdict(asset) {
  if (asset.operation_id) return "moving";
  return WORDS[asset.reason] ?? plainWords(asset.reason);
}

/** The parts of one venue that are not free, in words: {held, in_flight} where they are not zero. */
export function notFree(side) {
  const found = {};
  if (!isZero(side.held)) found.held = side.held;
  if (!isZero(side.in_flight)) found.in_flight = side.in_flight;
  return found;
}
