// What was moved since midnight UTC, what it cost, and how much of the limits is used.

import { attribute, fields, fill, keyed, make, shown, text } from "./dom.js";
import { amount, amountNode, dollars } from "./format.js";

const parts = fields(document.getElementById("today"));

export function showToday({ today, limits }) {
  text(parts.since, `since ${today.since.slice(11, 16)} UTC`);
  fill(parts.sums, JSON.stringify(today), () => [
    sum("Settled", today.settled.toLocaleString("en")),
    sum("Cancelled", today.cancelled.toLocaleString("en")),
    sum("Cost", today.cost_dollars === null ? "not known" : dollars(today.cost_dollars) + (today.cost_is_partial ? " or more" : "")),
  ]);
  const rows = [
    ...today.together.map((one) => ({ ...one, asset: one.of, key: `all ${one.of}` })),
    ...today.moved.map((one) => ({ ...one, key: one.asset })),
  ];
  shown(parts.empty, rows.length === 0);
  text(parts.empty, "Nothing has been moved today.");
  keyed(parts.moved, rows, (one) => one.key, create, draw);
  text(parts.limits, limitWords(limits));
}

function limitWords(limits) {
  const known = [
    limits?.equity_cap ? `${amount(limits.equity_cap).short} shares` : "",
    limits?.usdc_cap ? `${amount(limits.usdc_cap).short} USDC` : "",
  ].filter(Boolean);
  return known.length ? `One operation moves at most ${known.join(" or ")}.` : "No cap on a single operation is set.";
}

const sum = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));

function create() {
  return make(
    "li",
    {},
    make("span", { class: "name", "data-f": "asset" }),
    make("span", { class: "number", "data-f": "amount" }),
    make("span", { class: "used", "data-f": "bar", "aria-hidden": "true" }, make("i")),
    make("span", { class: "note", "data-f": "limit" }),
  );
}

function draw(element, moved) {
  const into = fields(element);
  text(into.asset, moved.asset);
  fill(into.amount, moved.amount, () => [amountNode(moved.amount)]);
  const part = moved.limit === null ? 0 : Math.min(1, Number(moved.amount) / Number(moved.limit));
  into.bar.firstElementChild.style.width = `${part * 100}%`;
  attribute(into.bar, "data-without", moved.limit === null ? "" : null);
  attribute(element, "data-full", part >= 0.9 ? "" : null);
  text(into.limit, moved.limit === null ? "no limit" : `${Math.floor(part * 100)} % of ${amount(moved.limit).short}`);
}
