// The row of readings: switch, mode, last check, how much of the book is in trim, what moves.

import { askCheck, askSwitch } from "./acts.js";
import { dagName, runUrl } from "./api.js";
import { attribute, fields, fill, link, shown, text } from "./dom.js";
import { ageNode, duration, moment, setAge } from "./format.js";
import { askStart } from "./start.js";
import { group } from "./state.js";
import { MODES, SWITCH, number, plainWords, plural } from "./words.js";

const LATE = 3; // intervals without a check

const root = document.getElementById("status");
const parts = fields(root);
const MODE_NOTES = {
  paused: "the DAG is paused in Airflow: nothing runs",
  enabled: "money is moved where it is due",
  "observe only": "rebalancing is disabled: it looks and decides, nothing moves",
};
const button = (name) => root.querySelector(`[data-act=${name}]`);
const buttons = { switch: button("switch"), check: button("check"), start: button("start") };
let newest = null;

buttons.switch.addEventListener("click", () => askSwitch(newest));
buttons.check.addEventListener("click", () => askCheck(newest));
buttons.start.addEventListener("click", () => askStart(newest));

export function showStatus(overview) {
  newest = overview;
  shown(buttons.switch, overview.may_steer);
  shown(buttons.check, overview.may_act);
  shown(buttons.start, overview.may_act && overview.assets.length > 0);
  reading("switch", overview.switch, SWITCH[overview.switch] ?? "", overview.switch !== "run");
  const mode = overview.paused ? "paused" : overview.enabled ? "enabled" : "observe only";
  reading("mode", mode, MODE_NOTES[mode], mode !== "enabled");
  showCheck(overview);

  const groups = overview.assets.map((asset) => group(asset));
  const count = (name) => groups.filter((one) => one === name).length;
  const [out, unjudged] = [count("out"), count("unjudged")];
  const rest = [out ? `${number(out)} out of the band` : "", unjudged ? `${number(unjudged)} not judged` : ""].filter(Boolean);
  const held = overview.assets.filter((asset) => asset.held).length;
  if (count("empty")) rest.push(`${count("empty")} without holdings`);
  if (held) rest.push(`${held} held`);
  reading("trim", overview.check && overview.assets.length ? `${number(count("trim"))} of ${number(overview.assets.length)}` : "–", rest.join(", "), out + unjudged > 0);

  const overdue = overview.operations.filter((operation) => operation.overdue).length;
  const late = overdue ? `${overdue} overdue` : "";
  reading("moving", plural(overview.operations.length, "operation"), late, overdue > 0);
}

function reading(name, value, note, notable) {
  text(parts[name], value);
  text(parts[`${name}-note`], note);
  attribute(parts[name].closest("[data-reading]"), "data-notable", notable ? "" : null);
}

function showCheck({ check, check_interval_seconds: interval }) {
  const box = parts.check.closest("[data-reading]");
  if (!check) {
    text(parts.check, "none yet");
    parts.check.ballastMark = "";
    parts["check-note"].ballastMark = "";
    text(parts["check-note"], `the DAG ${dagName()} has recorded no check`);
    attribute(box, "data-notable", "");
    return;
  }
  const age = parts.check.querySelector("time");
  if (age) setAge(age, check.at);
  else parts.check.replaceChildren(ageNode(check.at, "", " ago"));
  const late = check.age_seconds > LATE * interval;
  attribute(box, "data-notable", late ? "" : null);
  fill(parts["check-note"], JSON.stringify([check.id, late]), () => [
    late ? `late: one is due every ${duration(interval)} · ` : "",
    `${MODES[check.mode] ?? plainWords(check.mode)}, ${moment(check.at)} · `,
    check.run_id ? link("run", runUrl(check.run_id)) : "",
  ]);
}
