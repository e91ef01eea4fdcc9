// Operations of the last days, newest first, a page at a time.

import { Refused, get, runUrl } from "./api.js";
import { showDetail } from "./detail.js";
import { attribute, fields, fill, keyed, link, shown, stamp, text } from "./dom.js";
import { amountNode, dollars, duration, momentNode } from "./format.js";
import { kind, plainWords } from "./words.js";

const EVERY = 30_000; // milliseconds
const PAGE = 30;
const STATUS = { open: "open", settled: "✓ settled", cancelled: "– cancelled", reconciled: "✎ reconciled" };

const parts = fields(document.getElementById("recent"));
const known = new Map();
let next = null; // what to ask the next older page by
let paged = false; // then the end of the newest page is no longer where to go on
let asked = { at: -Infinity, open: "" };

parts.more.addEventListener("click", async () => {
  parts.more.disabled = true;
  await load({ before: next }).finally(() => (parts.more.disabled = false));
});

/** Ask again when what is open has changed, or the answer is old. */
export async function showRecent(overview, now = performance.now()) {
  const open = overview.operations.map((operation) => operation.id).join(" ");
  if (open === asked.open && now - asked.at < EVERY) return;
  asked = { at: now, open };
  await load({});
}

async function load({ before = null }) {
  try {
    const answer = await get("operations", { limit: PAGE, before });
    for (const operation of answer.operations) known.set(operation.id, operation);
    if (before !== null) paged = true;
    if (before !== null || !paged) next = answer.next;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (known.size === 0) text(parts.empty, `Not known: ${error.message}.`);
    return;
  }
  const rows = [...known.values()].sort((a, b) => b.opened_at.localeCompare(a.opened_at));
  keyed(parts.rows, rows, (operation) => operation.id, () => stamp("t-past"), draw);
  shown(parts.table, rows.length > 0);
  shown(parts.empty, rows.length === 0);
  text(parts.empty, "There has been no operation yet.");
  shown(parts.more, next !== null);
}

function draw(element, operation) {
  const into = fields(element);
  attribute(element, "data-status", operation.status);
  fill(into.opened, operation.opened_at, () => [momentNode(operation.opened_at)]);
  text(into.asset, operation.asset);
  text(into.kind, kind(operation.kind).name);
  into.kind.onclick = () => showDetail(operation);
  fill(into.amount, operation.amount, () => [amountNode(operation.amount)]);
  fill(into.delivered, String(operation.delivered), () => (operation.delivered === null ? ["–"] : [amountNode(operation.delivered)]));
  text(into.status, STATUS[operation.status] ?? plainWords(operation.status));
  fill(into.outcome, JSON.stringify([operation.outcome, operation.run_id]), () => [
    operation.outcome ? `${operation.outcome} ` : "",
    operation.run_id ? link("run", runUrl(operation.run_id)) : "",
  ]);
  attribute(into.outcome, "title", operation.outcome);
  text(into.took, operation.closed_at ? duration((Date.parse(operation.closed_at) - Date.parse(operation.opened_at)) / 1000) : "–");
  text(into.estimated, dollars(operation.estimated_cost));
  text(into.paid, dollars(operation.paid_cost));
}
