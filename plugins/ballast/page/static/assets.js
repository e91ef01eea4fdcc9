// Every asset in a row. Rows are made a few at a time and drawn by the browser only where they are seen, so
// that a thousand of them cost little; each is changed only when its own data change.

import { askHold } from "./acts.js";
import { dagName } from "./api.js";
import { drawBand, position } from "./band.js";
import { attribute, fields, fill, keyed, make, shown, stamp, text } from "./dom.js";
import { amount, amountNode, ratio } from "./format.js";
import { group, notFree, verdict } from "./state.js";
import { kind, leg, number, plural } from "./words.js";

const FIRST = matchMedia("(max-width: 860px)").matches ? 12 : 40;
const FILTERS = [
  ["all", "All", () => true],
  ["out", "Out of band", (asset) => group(asset) === "out"],
  ["moving", "Moving", (asset) => group(asset) === "moving"],
  ["unjudged", "Not judged", (asset) => group(asset) === "unjudged"],
  ["held", "Held back", (asset) => asset.held],
];
const OUTSIDE = { low: "◂", high: "▸", inside: "", "": "" }; // which way it is out of its band, without colour
const RANK = { out: 0, unjudged: 1, moving: 2, unknown: 3, trim: 3, empty: 4 };

const parts = fields(document.getElementById("assets"));
let overview = null;
let filter = "all";
let most = FIRST;
let choose = () => {};

const buttons = FILTERS.map(([name, words]) => {
  const count = make("span", { class: "count" });
  const button = make("button", { type: "button", "aria-pressed": String(name === filter) }, `${words} `, count);
  button.addEventListener("click", () => {
    filter = name;
    draw();
  });
  parts.filters.append(button);
  return { name, button, count };
});
parts.find.addEventListener("input", draw);
parts.more.addEventListener("click", () => {
  most = Infinity;
  draw();
});

/** :param onChoose: called with the symbol whose name is pressed. */
export function onAssetChosen(onChoose) {
  choose = onChoose;
}

export function showAssets(newest) {
  overview = newest;
  draw();
}

function draw() {
  if (!overview) return;
  const sought = parts.find.value.trim().toUpperCase();
  const all = overview.assets;
  for (const { name, button, count } of buttons) {
    const matches = all.filter(FILTERS.find(([known]) => known === name)[2]).length;
    text(count, number(matches));
    attribute(button, "aria-pressed", String(name === filter));
    shown(button, name === "all" || name === filter || matches > 0);
  }
  const passes = FILTERS.find(([known]) => known === filter)[2];
  const found = all
    .filter((asset) => passes(asset) && asset.asset.toUpperCase().includes(sought))
    .sort((a, b) => RANK[group(a)] - RANK[group(b)] || a.asset.localeCompare(b.asset));
  const operations = new Map(overview.operations.map((operation) => [operation.id, operation]));
  const rows = found.slice(0, most).map((asset) => ({
    ...asset,
    may_steer: overview.may_steer,
    doing: doing(operations.get(asset.operation_id)),
  }));
  keyed(parts.rows, rows, (asset) => asset.asset, () => stamp("t-asset"), row);

  shown(parts.table, rows.length > 0);
  shown(parts.empty, rows.length === 0);
  text(parts.empty, emptyWords(all.length, sought));
  shown(parts.more, found.length > rows.length);
  text(parts.more, `Show all ${plural(found.length, "asset")}`);
}

function emptyWords(total, sought) {
  if (!overview.check) return `No check has been recorded yet. The first run of the DAG ${dagName()} shows the book here.`;
  if (total === 0) return "The newest check looked at no asset: none is configured.";
  return sought ? `No asset here is called ${sought}.` : "No asset is in this state.";
}

function row(element, asset) {
  const into = fields(element);
  const state = group(asset);
  attribute(element, "data-state", state);
  text(into.symbol, asset.asset);
  attribute(into.symbol, "title", `Show the ratio of ${asset.asset} over time`);
  into.symbol.onclick = () => choose(asset.asset);
  attribute(element, "data-held", asset.held ? "" : null);
  shown(into.held, asset.held);
  drawBand(into.band, asset);
  text(into.ratio, ratio(asset.ratio));
  attribute(into.ratio, "data-outside", OUTSIDE[position(asset)] || null);
  attribute(into.ratio, "title", asset.ratio);
  side(into.offchain, asset.offchain, state);
  side(into.onchain, asset.onchain, state);
  why(into, asset);
  fill(into.acts, `${asset.may_steer} ${asset.held}`, () => (asset.may_steer ? [holdButton(asset)] : []));
}

/** What an open operation is at, in words. */
function doing(operation) {
  if (!operation) return null;
  const at = operation.legs.find((one) => one.state === "now" || one.state === "waiting");
  const what = `${kind(operation.kind).name} of ${amount(operation.amount).short}`;
  if (!at) return what;
  const step = operation.legs.length > 1 ? `, ${leg(at.name).toLowerCase()}` : "";
  return `${what}${step}${at.waiting_for ? `: waits for ${at.waiting_for}` : ""}`;
}

/** The verdict in a word; what is moved or would be; and, where it is not as it should be, the whole sentence. */
function why(into, asset) {
  const said = [asset.detail, asset.description].filter(Boolean).join("\n");
  attribute(into.verdict.parentElement, "title", said || null);
  fill(into.verdict, JSON.stringify([verdict(asset), asset.operation_id]), () => {
    if (!asset.operation_id) return [verdict(asset)];
    return [make("a", { href: `#operation-${asset.operation_id}` }, verdict(asset))];
  });
  const due = asset.amount && asset.direction ? `${kind(asset.direction).name} of ${amount(asset.amount).short}` : "";
  const wanted = due && (asset.reason === "planned" ? due : `otherwise ${due}`);
  const sentence = asset.reason === "balanced" ? "" : (asset.detail ?? "");
  text(into.detail, asset.doing ?? [wanted, sentence].filter(Boolean).join(" · "));
}

function side(cell, balance, state) {
  fill(cell, JSON.stringify([balance, state]), () => {
    if (state === "unknown") return ["–"];
    if (balance.unread) return [make("span", { class: "unread", title: balance.unread }, "not read")];
    const { held, in_flight } = notFree(balance);
    return [
      amountNode(balance.available),
      held ? make("small", {}, "+ ", amountNode(held), " held") : null,
      in_flight ? make("small", { class: "moving" }, "→ ", amountNode(in_flight), " in flight") : null,
    ];
  });
}

function holdButton(asset) {
  const label = asset.held ? `Release ${asset.asset}` : `Hold ${asset.asset} back`;
  const button = make("button", { type: "button", class: "quiet", "aria-label": label }, asset.held ? "Release…" : "Hold…");
  button.addEventListener("click", () => askHold(asset.asset, !asset.held));
  return button;
}
