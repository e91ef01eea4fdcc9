// What is open: each operation with its legs as steps.

import { runUrl } from "./api.js";
import { showDetail } from "./detail.js";
import { attribute, fields, fill, keyed, link, make, shown, stamp, text } from "./dom.js";
import { ageNode, amountNode, dollars, dueNode } from "./format.js";
import { STATES, kind, leg, plainWords } from "./words.js";

const parts = fields(document.getElementById("open"));
const runId = new URLSearchParams(window.location.search).get("run_id");
let onlyRun = runId !== null;

export function showOperations(overview) {
  const ofRun = overview.operations.filter((operation) => !onlyRun || operation.run_id === runId);
  showRunChoice(overview);
  text(parts.count, ofRun.length ? String(ofRun.length) : "");
  shown(parts.empty, ofRun.length === 0);
  text(parts.empty, emptyWords(overview));
  const items = ofRun.map(({ age_seconds: _, ...operation }) => operation); // its age ticks by itself
  keyed(parts.list, items, (operation) => operation.id, () => stamp("t-operation"), draw);
}

function showRunChoice(overview) {
  if (runId === null) return;
  shown(parts.run, true);
  fill(parts.run, String(onlyRun), () => {
    const words = onlyRun ? "Show those of every run" : "Only those of this run";
    const button = make("button", { type: "button", class: "quiet" }, words);
    button.addEventListener("click", () => {
      onlyRun = !onlyRun;
      showOperations(overview);
    });
    return [`Of run ${runId}. `, button];
  });
}

function emptyWords(overview) {
  if (onlyRun && overview.operations.length) return "This run has no open operation.";
  if (!overview.enabled) return "Nothing moves: rebalancing is disabled, so checks only observe.";
  if (overview.switch === "halt") return "Nothing moves, and nothing begins while the switch is at halt.";
  if (overview.switch === "drain") return "Nothing moves, and nothing begins while the switch is at drain.";
  return "Nothing moves. The next check that finds an asset out of its band begins an operation.";
}

function draw(element, operation) {
  const into = fields(element);
  element.id = `operation-${operation.id}`;
  const { name, way } = kind(operation.kind);
  attribute(element, "data-overdue", operation.overdue ? "" : null);
  const named = name.startsWith(operation.asset); // "USDC to Base"
  text(into.asset, named ? "" : operation.asset);
  fill(into.title, JSON.stringify([operation.kind, operation.amount, operation.unit]), () => [
    make("span", { class: named ? null : "light" }, `${name} `),
    amountNode(operation.amount, operation.unit),
    make("span", { class: "light" }, way ? ` ${way}` : ""),
  ]);
  fill(into.facts, JSON.stringify([operation.opened_at, operation.overdue, operation.estimate, operation.run_id]), () => {
    const facts = [
      operation.overdue ? make("span", { class: "late" }, "overdue") : null,
      ageNode(operation.opened_at, "open for "),
      operation.estimate ? make("span", {}, `costs about ${dollars(operation.estimate)}`) : null,
      operation.run_id ? link("run", runUrl(operation.run_id)) : null,
    ].filter(Boolean);
    return facts.flatMap((fact, index) => (index ? [" · ", fact] : [fact]));
  });
  fill(into.acts, "", () => [detailButton(operation)]);
  keyed(into.legs, operation.legs, (one) => one.name, () => stamp("t-leg"), drawLeg);
}

function drawLeg(element, one) {
  const into = fields(element);
  attribute(element, "data-state", one.attention ? "attention" : one.state);
  attribute(element, "aria-current", one.state === "now" || one.state === "waiting" ? "step" : null);
  text(into.name, leg(one.name));
  text(into.state, one.attention ? "needs you" : (STATES[one.state] ?? plainWords(one.state)));
  fill(into.amount, JSON.stringify([one.amount_in, one.amount_out]), () => amounts(one));
  text(into.waits, one.waiting_for && one.state !== "done" ? `for ${one.waiting_for}` : "");
  text(into.attention, one.attention ?? "");
  const current = one.state === "now" || one.state === "waiting";
  fill(into.times, JSON.stringify([one.state, one.since, one.due_at]), () => {
    if (!current) return [];
    const since = one.since ? ageNode(one.since, "since ") : null;
    return [since, since && one.due_at ? " · " : null, one.due_at ? dueNode(one.due_at) : null];
  });
  fill(into.links, JSON.stringify(one.links), () => one.links.flatMap(({ text: words, url }, index) => [index ? " · " : null, link(words, url)]));
}

function amounts({ amount_in: before, amount_out: after }) {
  if (before === null && after === null) return [];
  if (after === null) return [amountNode(before), " in"];
  if (before === null || before === after) return [amountNode(after)];
  return [amountNode(before), " → ", amountNode(after)];
}

function detailButton(operation) {
  const label = `Details of the ${kind(operation.kind).name} of ${operation.asset}`;
  const button = make("button", { type: "button", class: "quiet", "aria-label": label }, "Details");
  button.addEventListener("click", () => showDetail(operation));
  return button;
}
