// The ratio of one asset over time.

import { Refused, get } from "./api.js";
import { RatioChart } from "./chart.js";
import { attribute, fields, make, text } from "./dom.js";
import { amount, moment, ratio, server } from "./format.js";
import { group } from "./state.js";
import { kind, plural } from "./words.js";

const SPANS = [[6, "6 h"], [24, "24 h"], [168, "7 d"]];
const EVERY = 30_000; // milliseconds

const section = document.getElementById("history");
const parts = fields(section);
let asset = new URLSearchParams(window.location.search).get("asset");
let hours = 24;
let asked = { what: "", at: -Infinity };
let summary = "";
let turn = 0;
const chart = new RatioChart(parts.chart, (index) => readOut(index));

const buttons = SPANS.map(([span, words]) => {
  const button = make("button", { type: "button", "aria-pressed": String(span === hours) }, words);
  button.addEventListener("click", () => {
    hours = span;
    for (const [index, other] of buttons.entries()) attribute(other, "aria-pressed", String(SPANS[index][0] === hours));
    void load();
  });
  parts.spans.append(button);
  return button;
});
parts.asset.addEventListener("change", () => {
  asset = parts.asset.value;
  void load();
});

/** Show one asset, and bring the chart into view. */
export function chooseAsset(symbol) {
  asset = symbol;
  parts.asset.value = symbol;
  section.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  void load();
}

/** Ask again after a new check, but not with every look at the overview. */
export async function showHistory(overview) {
  listAssets(overview.assets);
  if (asset === null) asset = worthSeeing(overview.assets);
  if (asset === null) {
    text(parts.caption, "There is nothing to draw before the first check.");
    return;
  }
  if (parts.asset.value !== asset) parts.asset.value = asset;
  const what = `${asset} ${hours}`;
  if (asked.what === what && performance.now() - asked.at < EVERY) return;
  await load();
}

function listAssets(assets) {
  const symbols = assets.map((one) => one.asset).sort();
  if (asset !== null && !symbols.includes(asset)) symbols.unshift(asset);
  const mark = symbols.join(" ");
  if (parts.asset.ballastMark === mark) return;
  parts.asset.ballastMark = mark;
  parts.asset.replaceChildren(...symbols.map((symbol) => make("option", { value: symbol }, symbol)));
}

/** Unless one is chosen: the first that is not in trim, else USDC, else the first. */
function worthSeeing(assets) {
  const order = ["out", "moving", "unjudged"];
  for (const state of order) {
    const found = assets.find((one) => group(one) === state && one.ratio !== null);
    if (found) return found.asset;
  }
  return (assets.find((one) => one.kind === "usdc") ?? assets[0])?.asset ?? null;
}

async function load() {
  const mine = ++turn;
  asked = { what: `${asset} ${hours}`, at: performance.now() };
  try {
    const history = await get("history", { asset, hours });
    if (mine !== turn) return; // something else was chosen meanwhile
    const to = server.now() / 1000;
    if (history.points.some(([, value]) => value !== null)) await chart.show(history, to - hours * 3600, to);
    parts.chart.hidden = !history.points.some(([, value]) => value !== null);
    summary = describe(history);
  } catch (error) {
    if (mine !== turn) return;
    summary = `The history of ${asset} is not known: ${error instanceof Refused ? error.message : error}.`;
  }
  text(parts.caption, summary);
}

function describe(history) {
  const seen = history.points.map(([, value]) => value).filter((value) => value !== null);
  const span = SPANS.find(([one]) => one === hours)[1];
  if (seen.length === 0) return `No ratio of ${history.asset} was recorded in the last ${span}.`;
  const sorted = [...seen].sort((a, b) => Number(a) - Number(b));
  const moved = plural(history.operations.length, "operation");
  return (
    `${history.asset}, last ${span}: from ${ratio(sorted[0])} to ${ratio(sorted.at(-1))}, now ${ratio(seen.at(-1))}; ` +
    `band ${ratio(history.lower)} to ${ratio(history.upper)}, target ${ratio(history.target)}; ${moved}, marked along the top.`
  );
}

/** What is under the pointer, in the line below the chart. */
function readOut(index) {
  if (index === null || !chart.history) {
    text(parts.caption, summary);
    return;
  }
  const [at, value] = chart.history.points[index];
  const open = chart.operationsAt(at).map((one) => `${kind(one.kind).name} of ${amount(one.amount).short}, ${one.status}`);
  const words = value === null ? "not known" : ratio(value);
  text(parts.caption, [`${moment(new Date(at * 1000).toISOString())}: ${words}`, ...open].join(" · "));
}
