// Everything the ledger has of one operation, in a dialog.

import { actOn } from "./acts.js";
import { Refused, get, runUrl } from "./api.js";
import { field, link, make, text } from "./dom.js";
import { dollars, moment, momentNode } from "./format.js";
import { STATES, VERBS, kind, leg, plainWords } from "./words.js";

const dialog = document.getElementById("detail");
const title = document.getElementById("detail-title");
const body = field(dialog, "body");
let mine = ""; // the id of the operation that is shown
let mayAct = false;

field(dialog, "close").addEventListener("click", () => dialog.close());

/** Whether the reader may act: without it no act is offered. */
export function allowActs(yes) {
  mayAct = yes;
}

export async function showDetail(operation) {
  const { name } = kind(operation.kind);
  text(title, name.startsWith(operation.asset) ? name : `${operation.asset} ${name}`);
  body.replaceChildren(make("p", { class: "note" }, "Asking the ledger."));
  mine = operation.id;
  dialog.showModal();
  try {
    const found = await get(`operations/${encodeURIComponent(operation.id)}`);
    if (mine === operation.id) body.replaceChildren(...parts(found));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (mine === operation.id) body.replaceChildren(make("p", { class: "refusal" }, `Not known: ${error.message}.`));
  }
}

function parts(operation) {
  return [
    make(
      "dl",
      { class: "facts" },
      ...fact("Operation", make("code", {}, operation.id)),
      ...fact("Amount", `${operation.amount} ${operation.unit}`),
      ...fact("Delivered", operation.delivered && `${operation.delivered} ${operation.unit}`),
      ...fact("Opened", momentNode(operation.opened_at)),
      ...fact("Closed", operation.closed_at && momentNode(operation.closed_at)),
      ...fact("Status", [operation.status, operation.outcome].filter(Boolean).join(": ")),
      ...fact("Cost", [operation.cost_words, operation.estimated_cost && `estimated ${dollars(operation.estimated_cost)}`].filter(Boolean).join("; ")),
      ...fact("Run", operation.run_id && link(operation.run_id, runUrl(operation.run_id))),
    ),
    ...verbs(operation),
    ...operation.legs.flatMap(legParts),
    make("h3", {}, "What people did"),
    ...listed(operation.interventions, (one) => [
      momentNode(one.at),
      " ",
      make("b", {}, one.actor),
      `, ${plainWords(one.verb)}: ${one.reason}`,
    ]),
  ];
}

function fact(name, value) {
  return value ? [make("dt", {}, name), make("dd", {}, value)] : [];
}

function legParts(one) {
  const amounts = [one.amount_in, one.amount_out].filter((amount) => amount !== null).join(" → ");
  const state = STATES[one.state] ?? plainWords(one.state);
  const words = [state, amounts, one.done_at && moment(one.done_at), one.waiting_for && one.state !== "done" && `for ${one.waiting_for}`];
  return [
    make("h3", {}, leg(one.name), " ", make("span", { class: "note" }, words.filter(Boolean).join(", "))),
    ...(one.attention ? [make("p", { class: "urgent" }, one.attention)] : []),
    ...(one.effects.length ? listed(one.effects, effectParts) : []),
  ];
}

function effectParts(effect) {
  return [
    make("b", {}, plainWords(effect.name)),
    effect.attempt > 1 ? ` (attempt ${effect.attempt})` : "",
    ` ${plainWords(effect.status)} `,
    effect.link ? link(effect.link.text, effect.link.url) : make("code", {}, effect.reference ?? ""),
    effect.detail ? ` ${effect.detail}` : "",
  ];
}

/** What a person can do with it, if this one may. */
function verbs(operation) {
  const offered = Object.entries(operation.verbs ?? {});
  if (!mayAct || operation.closed_at || offered.length === 0) return [];
  return [
    make("h3", {}, "What can be done"),
    ...listed(offered, ([verb, sentence]) => {
      const button = make("button", { type: "button" }, `${VERBS[verb]?.name ?? plainWords(verb)}…`);
      button.addEventListener("click", () => {
        dialog.close();
        actOn(verb, operation);
      });
      return [button, " ", make("span", { class: "note" }, sentence)];
    }),
  ];
}

function listed(items, words) {
  if (!items.length) return [make("p", { class: "note" }, "Nothing.")];
  return [make("ul", {}, ...items.map((item) => make("li", {}, ...words(item))))];
}
