// Asking for one operation by hand: kind, asset and amount. The check judges it as it judges any other.

import { openAct } from "./acts.js";
import { field, make, shown, text } from "./dom.js";
import { KINDS } from "./words.js";

const USDC = "USDC";

/** Ask for one operation. */
export function askStart(overview) {
  const assets = overview.assets.map((one) => one.asset);
  const asset = select("asset", "Asset", assets.map((name) => [name, name]));
  const kinds = select("kind", "Way", []);
  const amount = amountField();
  const there = make("p", { class: "note", "data-f": "there" });
  const follow = () => {
    const name = field(asset, "input").value;
    const box = field(kinds, "input");
    const chosen = box.value;
    const fitting = Object.entries(KINDS).filter(([code]) => code.startsWith("usdc") === (name === USDC));
    box.replaceChildren(...fitting.map(([code, { name: words, way }]) => make("option", { value: code }, `${words}, ${way}`)));
    if (fitting.some(([code]) => code === chosen)) box.value = chosen;
    text(field(amount, "unit"), name === USDC ? "USDC" : "shares");
    text(there, holdings(overview.assets.find((one) => one.asset === name)));
  };
  asset.addEventListener("change", follow);
  follow();
  const key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  openAct({
    title: "Move by hand",
    about: "Exactly this amount is moved, or nothing: every limit holds, and what is too much is refused with the most that would do.",
    button: "Start it",
    fields: [asset, kinds, amount, there, how(overview)],
    body: ({ mode, ...asked }) => ({ ...asked, dry_run: mode !== "live", key }),
    path: "start",
    needsReason: true,
    done: (answer) => `A run is started: ${answer.run_id}${answer.paused ? ", and waits until the DAG is unpaused" : ""}.`,
  });
}

function how(overview) {
  const live = make("span", { class: "note" }, "begins it if nothing forbids it");
  const cannot = make("p", { class: "note" }, "Nothing would begin as things stand: rebalancing is disabled, or the switch is not at run.");
  shown(cannot, !(overview.enabled && overview.switch === "run"));
  return make(
    "fieldset",
    {},
    make("legend", {}, "How"),
    option("dry", "dry run", make("span", { class: "note" }, "looks and decides, moves nothing"), true),
    option("live", "for real", live, false),
    cannot,
  );
}

function option(value, label, about, checked) {
  const box = make("input", { type: "radio", name: "mode", value, checked: checked ? "" : null });
  return make("label", { class: "option" }, box, make("span", {}, make("b", {}, label), " ", about));
}

function select(name, label, choices) {
  const options = choices.map(([value, words]) => make("option", { value }, words));
  return make("label", { class: "field" }, label, make("select", { name, "data-f": "input" }, ...options));
}

function amountField() {
  const box = make("input", { name: "amount", inputmode: "decimal", autocomplete: "off", spellcheck: "false", placeholder: "12.5", "data-f": "input" });
  return make("label", { class: "field" }, "Amount, in ", make("span", { "data-f": "unit" }, "shares"), box);
}

function holdings(asset) {
  const side = (venue) => (venue.unread ? "not read" : venue.available);
  return asset ? `Free by the last check: ${side(asset.offchain)} at Alpaca, ${side(asset.onchain)} on Base.` : "";
}
