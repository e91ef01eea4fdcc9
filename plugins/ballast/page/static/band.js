// The scale of one asset: the whole width is the ratio from 0 (all at Alpaca) to 1 (all on Base). Drawn on it:
// the band, inside it where a move stops, the target as a tick, and the ratio as the hand.
// Numbers are floats here, and only here and in the chart: they place ink, they judge nothing.

import { attribute } from "./dom.js";
import { ratio } from "./format.js";

/** Where the ratio lies: "low", "high", "inside", or "" where it is not known. */
export function position(asset) {
  if (asset.ratio === null || asset.ratio === undefined) return "";
  const now = Number(asset.ratio);
  if (now < Number(asset.lower)) return "low";
  return now > Number(asset.upper) ? "high" : "inside";
}

/** Draw one asset's scale. */
export function drawBand(band, asset) {
  const where = position(asset);
  const [allowed, inner, target, now] = band.children;
  stretch(allowed, asset.lower, asset.upper);
  stretch(inner, asset.stop_lower ?? asset.target, asset.stop_upper ?? asset.target);
  target.style.left = percent(asset.target);
  now.hidden = where === "";
  if (where) now.style.left = percent(asset.ratio);
  attribute(band, "data-where", where);
  const limits = `band ${ratio(asset.lower)} to ${ratio(asset.upper)}, target ${ratio(asset.target)}`;
  const words = where ? `Ratio ${asset.ratio}: ${limits}` : `Ratio not known: ${limits}`;
  attribute(band, "aria-label", words);
  attribute(band, "title", words);
}

function stretch(element, from, to) {
  const [left, right] = [clamp(Number(from)), clamp(Number(to))]; // a band may reach beyond 0 and 1
  element.style.left = `${left * 100}%`;
  element.style.width = `${(right - left) * 100}%`;
}

const percent = (value) => `${clamp(Number(value)) * 100}%`;

const clamp = (value) => Math.min(1, Math.max(0, value));
