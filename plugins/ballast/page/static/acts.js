// What a person can do, each through one dialog with a reason. The server decides; a refusal's text is shown as it is.

import { Refused, dagName, get, post } from "./api.js";
import { bookLabel } from "./books.js";
import { attribute, field, fields, make, say, shown, text } from "./dom.js";
import { SWITCH, VERBS, kind, plainWords } from "./words.js";

const dialog = document.getElementById("act");
const title = document.getElementById("act-title");
const form = dialog.querySelector("form");
const parts = fields(dialog);
let pending = null; // what openAct was given
let afterwards = () => {};
const GRAVE = new Set(["cancel", "reconcile", "reject"]);
const ANSWERS = new Set(["approve", "reject"]); // Airflow takes them, and its task writes them down

/** :param call: what is called after something was done, to look at once. */
export function afterAct(call) {
  afterwards = call;
}

parts.leave.addEventListener("click", () => dialog.close());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void perform();
});

/** Open the dialog for one act: {title, about, button, grave, fields, path, body, needsReason, done}. */
export function openAct(act) {
  pending = act;
  text(title, [act.title, bookLabel()].filter(Boolean).join(" · "));
  text(parts.about, act.about);
  attribute(parts.do, "data-grave", act.grave ? "" : null);
  parts.fields.replaceChildren(...(act.fields ?? []));
  parts.reason.value = "";
  shown(parts["reason-field"], act.needsReason);
  refuse("");
  busy(false);
  dialog.showModal();
  const first = parts.fields.querySelector("input:checked, input, select") ?? (act.needsReason ? parts.reason : parts.do);
  first.focus();
}

async function perform() {
  const act = pending;
  const reason = parts.reason.value.trim();
  if (act.needsReason && !reason) {
    refuse("A reason is needed: it is what the next person reads.");
    parts.reason.focus();
    return;
  }
  const body = act.body ? act.body(values()) : values();
  if (act.needsReason) body.reason = reason;
  refuse("");
  busy(true);
  try {
    const answer = await post(act.path, body);
    const words = typeof act.done === "function" ? act.done(answer) : act.done;
    if (pending === act) dialog.close();
    say(words);
    afterwards(words);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const unsure = error.status === 0 ? " It is not known whether it was done: look before you try again." : "";
    if (pending === act) refuse(`Not done: ${error.message}.${unsure}`.replace("..", "."), unsure);
  } finally {
    busy(false);
  }
}

function refuse(words, unsure = "") {
  text(parts.refusal, unsure ? words.replace("Not done: ", "No answer: ") : words);
  shown(parts.refusal, words !== "");
}

function busy(yes) {
  parts.do.disabled = yes;
  text(parts.do, yes ? "Asking…" : pending.button);
  attribute(form, "aria-busy", yes ? "true" : null);
}

/** What the dialog's own fields say, without those that are empty. */
function values() {
  const found = {};
  for (const [name, value] of new FormData(form)) {
    if (name !== "reason" && value.trim() !== "") found[name] = value.trim();
  }
  return found;
}

/** Turn the switch. */
export function askSwitch(overview) {
  const options = Object.entries(SWITCH).map(([value, about]) =>
    radio("to", value, value, about, value === overview.switch),
  );
  openAct({
    title: "Turn the switch",
    about: `It is at ${overview.switch}. Pausing the DAG in Airflow instead would freeze what is in flight.`,
    button: "Turn it",
    fields: [make("fieldset", {}, make("legend", {}, "To"), ...options)],
    path: "switch",
    needsReason: true,
    done: "The switch is turned.",
  });
}

/** Hold an asset back, or release it. */
export function askHold(asset, hold) {
  openAct({
    title: hold ? `Hold ${asset} back` : `Release ${asset}`,
    about: hold
      ? "No operation is begun for it until it is released. One that is open goes on."
      : "From the next check on it is moved again where it is out of its band.",
    button: hold ? "Hold it back" : "Release it",
    path: "hold",
    body: () => ({ asset, hold }),
    needsReason: true,
    done: hold ? `${asset} is held back.` : `${asset} is released.`,
  });
}

/** Start a check. */
export function askCheck(overview) {
  const moves = overview.enabled && overview.switch === "run";
  const live = moves ? "begins what is due" : "looks and records; nothing would begin as things stand";
  openAct({
    title: "Check now",
    about: `Starts a run of the DAG ${dagName()} beside the scheduled ones.`,
    button: "Check",
    fields: [
      make(
        "fieldset",
        {},
        make("legend", {}, "How"),
        radio("mode", "dry", "dry run", "looks and decides, moves nothing", true),
        radio("mode", "live", "as scheduled", live, false),
      ),
    ],
    body: ({ mode }) => ({ dry_run: mode !== "live" }),
    path: "check",
    needsReason: false,
    done: (answer) => `A check is started: ${answer.run_id}${answer.paused ? ", and waits until the DAG is unpaused" : ""}.`,
  });
}

/** Do one of the verbs on an open operation: {id, asset, kind}. */
export function actOn(verb, operation) {
  const name = VERBS[verb]?.name ?? plainWords(verb);
  openAct({
    title: `${name} the ${kind(operation.kind).name} of ${operation.asset}`,
    about: VERBS[verb]?.about ?? "",
    button: name,
    grave: GRAVE.has(verb),
    fields: verbFields(verb, operation),
    path: `operations/${encodeURIComponent(operation.id)}/${verb}`,
    needsReason: true,
    done: ANSWERS.has(verb)
      ? `${name}: Airflow has the answer for the ${kind(operation.kind).name} of ${operation.asset}.`
      : `${name}: done for the ${kind(operation.kind).name} of ${operation.asset}.`,
  });
}

function verbFields(verb, operation) {
  if (verb === "adopt") {
    return [input("reference", "Reference", "id at Alpaca, or 0x…"), effects(operation)];
  }
  if (verb !== "reconcile") return [];
  const delivered = input("delivered", "Delivered", "what arrived, 0 for nothing", "decimal");
  const which = effects(operation);
  const outcome = make(
    "fieldset",
    {},
    make("legend", {}, "What is the case"),
    radio("outcome", "not_done", "not done", "a request never happened; the operation goes on", true),
    radio("outcome", "closed", "closed", "the operation is over", false),
  );
  const follow = () => {
    const closed = outcome.querySelector("input:checked").value === "closed";
    shown(delivered, closed);
    shown(which, !closed);
    field(delivered, "input").disabled = !closed;
    field(which, "input").disabled = closed;
  };
  outcome.addEventListener("change", follow);
  follow();
  return [outcome, delivered, which];
}

/** A choice among the operation's effects, read when the dialog opens. Left alone, the server chooses. */
function effects(operation) {
  const select = make("select", { name: "effect", "data-f": "input" }, make("option", { value: "" }, "the one that is not resolved"));
  get(`operations/${encodeURIComponent(operation.id)}`)
    .then((found) => {
      for (const effect of found.legs.flatMap((one) => one.effects)) {
        select.append(make("option", { value: effect.id }, `${plainWords(effect.name)} (${plainWords(effect.status)})`));
      }
    })
    .catch(() => {}); // it can be left alone
  return make("label", { class: "field" }, "Which effect", select);
}

function input(name, label, hint, mode = "text") {
  const box = make("input", { name, placeholder: hint, inputmode: mode, autocomplete: "off", spellcheck: "false", "data-f": "input" });
  return make("label", { class: "field" }, label, box);
}

function radio(name, value, label, about, checked) {
  const box = make("input", { type: "radio", name, value, checked: checked ? "" : null });
  return make("label", { class: "option" }, box, make("span", {}, make("b", {}, label), " ", make("span", { class: "note" }, about)));
}
