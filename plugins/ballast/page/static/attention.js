// First on the page: what does not go on without a person, and what they can do about it.

import { actOn } from "./acts.js";
import { dagName, dagUrl } from "./api.js";
import { fields, fill, keyed, link, make, shown, stamp, text } from "./dom.js";
import { ageNode } from "./format.js";
import { VERBS, kind, leg, plainWords } from "./words.js";

const parts = fields(document.getElementById("needs"));

/** What the overview says that a person has to look at: what holds everything up, then single operations. */
export function needs(overview) {
  const found = [];
  if (overview.paused) {
    found.push({
      key: "paused",
      title: `The DAG ${dagName()} is paused in Airflow`,
      text: "Nothing runs: no check, and not even what is open. To stop only what is new, unpause it and turn the switch to drain.",
      dag: true,
    });
  }
  if (overview.hold_all) {
    found.push({ key: "hold", title: "Every asset is held back", text: `${overview.hold_all}.`.replace("..", ".") });
  }
  const stuck = overview.attention.map((need) => ({ ...need, key: `${need.operation_id} ${need.leg}` }));
  return [...found, ...stuck].map((need) => ({ ...need, may_act: overview.may_act }));
}

export function showAttention(overview) {
  const items = needs(overview);
  text(parts.count, items.length ? String(items.length) : "");
  shown(parts.list, items.length > 0);
  shown(parts.empty, items.length === 0);
  text(parts.empty, overview.operations.length ? "Nothing. Every open operation goes on by itself." : "Nothing.");
  keyed(parts.list, items, (need) => need.key, () => stamp("t-need"), draw);
}

function draw(element, need) {
  const into = fields(element);
  text(into.asset, need.asset ?? need.title);
  text(into.kind, need.kind ? `${kind(need.kind).name}, ${stage(need)}` : "");
  fill(into.since, need.since, () => (need.since ? [ageNode(need.since, "for ")] : []));
  text(into.text, need.text);
  fill(into.acts, JSON.stringify([need.may_act, need.verbs, need.runbook]), () => acts(need));
}

/** Where it stands: one that waits for approval has not begun. */
function stage(need) {
  return need.verbs?.includes("approve") ? "before it begins" : `at the leg “${leg(need.leg).toLowerCase()}”`;
}

function acts(need) {
  if (need.dag) return [link("To the DAG", dagUrl())];
  const guide = need.runbook ? [link("What to do", `runbook#${need.runbook}`)] : [];
  return need.may_act ? [...(need.verbs ?? []).map((verb) => button(verb, need)), ...guide] : guide;
}

function button(verb, need) {
  const name = VERBS[verb]?.name ?? plainWords(verb);
  const label = `${name} the ${kind(need.kind).name} of ${need.asset}`;
  const made = make("button", { type: "button", "aria-label": label }, `${name}…`);
  made.addEventListener("click", () => actOn(verb, { ...need, id: need.operation_id }));
  return made;
}
