// Replays: the past decided again under other settings, and compared with what was done.

import { openAct } from "./acts.js";
import { Refused, dagName, get } from "./api.js";
import { attribute, fields, fill, keyed, make, shown, text } from "./dom.js";
import { amount, dollars, duration, moment, momentNode, ratio } from "./format.js";
import { ReplayChart } from "./replay-chart.js";
import { kind, plainWords, plural } from "./words.js";

const EVERY = 30_000; // milliseconds
const MOST = 2; // side by side
const SKIPPED = { nothing_recorded: "nothing was recorded by then", outside_tolerance: "the newest balances were too old" };
const LETTERS = ["A", "B"];

const parts = fields(document.getElementById("replays"));
const chart = new ReplayChart(parts.chart, (at) => readOut(at));
let known = [];
let chosen = []; // ids, in the order they were chosen
let reports = [];
let of = null; // "everything", "all equities" or an asset
let histories = [];
let summary = "";
let asked = -Infinity;
let turn = 0;

parts.begin.addEventListener("click", askReplay);
parts.of.addEventListener("change", () => {
  of = parts.of.value;
  void compare(false);
});

/** Ask for the list again, but not with every look at the overview. */
export async function showReplays(overview, now = performance.now()) {
  shown(parts.begin, overview.may_act);
  if (now - asked < EVERY) return;
  asked = now;
  try {
    known = (await get("replays")).replays;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (known.length === 0) text(parts.empty, `Not known: ${error.message}.`);
    return;
  }
  text(parts.count, known.length ? String(known.length) : "");
  text(parts.empty, `There is none yet. Start one here, or with a backfill of the DAG ${dagName()} in Airflow.`);
  shown(parts.empty, known.length === 0);
  shown(parts.list, known.length > 0);
  list();
  if (chosen.length) await compare(true);
}

function list() {
  keyed(parts.list, known.map((one) => ({ ...one, letter: LETTERS[chosen.indexOf(one.id)] ?? "" })), (one) => one.id, create, draw);
}

function create() {
  return make(
    "li",
    {},
    make("button", { type: "button", class: "choose", "data-f": "choose" }),
    make("span", { "data-f": "range" }),
    make("span", { class: "set", "data-f": "set" }),
    make("span", { class: "note", "data-f": "runs" }),
  );
}

function draw(element, replay) {
  const into = fields(element);
  text(into.choose, `${replay.letter ? `${replay.letter}  ` : ""}${name(replay)}`);
  attribute(into.choose, "aria-pressed", String(replay.letter !== ""));
  into.choose.onclick = () => choose(replay.id);
  fill(into.range, `${replay.first} ${replay.last}`, () => [momentNode(replay.first), " to ", momentNode(replay.last)]);
  text(into.set, overrideWords(replay.overrides));
  const skipped = Object.entries(replay.skipped).map(([why, count]) => `${count} skipped: ${SKIPPED[why] ?? plainWords(why)}`);
  text(into.runs, [plural(replay.done, "run"), ...skipped].join(" · "));
}

const name = (replay) => replay.name ?? `replay ${replay.id.slice(0, 6)}`;

/** {deviation: "0.1", per_asset: {AAPL: {target: "0.6"}}} is "deviation 0.1, AAPL target 0.6". */
function overrideWords(overrides) {
  const words = [];
  for (const [field, value] of Object.entries(overrides)) {
    if (field === "per_asset") {
      for (const [asset, own] of Object.entries(value)) words.push(`${asset} ${overrideWords(own)}`);
    } else if (field !== "replay_tolerance") words.push(`${plainWords(field)} ${value}`);
  }
  return words.join(", ") || "nothing set otherwise";
}

function choose(id) {
  chosen = chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id].slice(-MOST);
  list();
  void compare(true);
}

async function compare(anew) {
  const mine = ++turn;
  shown(parts.report, chosen.length > 0);
  if (chosen.length === 0) return;
  try {
    if (anew) {
      const found = await Promise.all(chosen.map((id) => get(`replays/${encodeURIComponent(id)}`)));
      if (mine !== turn) return;
      reports = found;
    }
    listOf();
    showFigures();
    await showChart(mine);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (mine === turn) text(parts.title, `Not known: ${error.message}.`);
  }
}

const column = (report, which) => [...report.together, ...report.assets].find((one) => one.of === which);

function listOf() {
  const names = [...reports[0].together.map((one) => one.of).reverse(), ...reports[0].assets.map((one) => one.of)];
  if (!names.includes(of)) of = names[0] ?? null;
  if (parts.of.ballastMark !== names.join(" ")) {
    parts.of.ballastMark = names.join(" ");
    parts.of.replaceChildren(...names.map((one) => make("option", { value: one }, one)));
  }
  parts.of.value = of;
  text(parts.title, reports.map((one, index) => `${LETTERS[index]}  ${name(one.replay)}`).join("   "));
}

function showFigures() {
  const found = reports.map((report) => column(report, of));
  const first = found[0]?.was;
  if (!first) return;
  const heads = ["", "as it was", ...reports.map((_, index) => `would be, ${LETTERS[index]}`)];
  const columns = [first, ...found.map((one) => one?.would ?? null)];
  const short = ["–", ...found.map((one) => (one?.short_seconds ? duration(one.short_seconds) : "–"))];
  const rows = [
    ["operations", ...columns.map((one) => one && operationWords(one))],
    ["moved", ...columns.map((one) => (one?.moved ? amount(one.moved).short : "–"))],
    ["fees", ...columns.map((one) => one && feeWords(one))],
    ["out of its own band", ...columns.map((one) => one && timeWords(one.outside_own_seconds, one.known_seconds))],
    ["out of the band set", ...columns.map((one) => one && timeWords(one.outside_base_seconds, one.known_seconds))],
    ["largest excess", ...columns.map((one) => (one?.largest_excess ? amount(one.largest_excess).short : "–"))],
    ["farthest from target", ...columns.map((one) => (one?.furthest ? ratio(one.furthest) : "–"))],
    ["not enough to trade as it was", ...short],
  ];
  const mark = JSON.stringify([heads, rows]);
  fill(parts.heads, mark, () => [make("tr", {}, ...heads.map((words, index) => make(index ? "th" : "td", index ? { scope: "col" } : {}, words)))]);
  fill(parts.figures, mark, () => rows.map(([words, ...cells]) => make("tr", {}, make("th", { scope: "row" }, words), ...cells.map((one) => make("td", {}, one ?? "–")))));
  text(parts.assumed, assumedWords(reports[0]));
}

function operationWords(one) {
  const found = Object.entries(one.operations).map(([code, count]) => `${count} ${kind(code).name}`);
  if (one.cancelled) found.push(`${one.cancelled} cancelled`);
  return found.join(", ") || "none";
}

const feeWords = ({ fees }) => (fees.dollars === null ? "not known" : `${dollars(fees.dollars)}${fees.partial ? " or more" : ""}`);

const timeWords = (seconds, all) => (all ? `${duration(seconds)} (${Math.round((100 * seconds) / all)} %)` : "not known");

function assumedWords(report) {
  const used = new Set([...report.together, ...report.assets].flatMap((one) => Object.keys(one.would.operations)));
  const words = Object.entries(report.assumed)
    .filter(([code]) => used.has(code))
    .map(([code, one]) => {
      const from = one.takes_from ? `the median of ${one.takes_from}` : "a default, as none has settled yet";
      const cost = one.costs_from ? `costs as ${one.costs_from} did` : "cost not known";
      return `${kind(code).name} takes ${duration(one.takes_seconds)} (${from}), ${cost}`;
    });
  return words.length ? `Taken for what was never made: ${words.join("; ")}. Trading stays what it was.` : "Trading stays what it was.";
}

async function showChart(mine) {
  const single = reports[0].assets.some((one) => one.of === of);
  shown(parts.figure, single);
  if (!single) return;
  const found = await Promise.all(chosen.map((id) => get(`replays/${encodeURIComponent(id)}/history`, { asset: of })));
  if (mine !== turn) return;
  histories = found;
  const drawn = found.some((one) => one.points.some(([, was]) => was !== null));
  shown(parts.chart, drawn);
  if (drawn) await chart.show(found);
  const lines = found.map((_, index) => `${index ? "dotted" : "dashed"} as in ${LETTERS[index]}`).join(", ");
  summary = drawn
    ? `${of}: solid as it was, ${lines}. The field is the band set, the thin lines are the bands of the replays; what was moved is ticked along the top, what would have been along the bottom.`
    : `No balances of ${of} are known for that time.`;
  text(parts.caption, summary);
}

function readOut(at) {
  if (at === null || !histories.length) {
    text(parts.caption, summary);
    return;
  }
  const words = histories.map((one, index) => {
    const point = one.points.findLast(([time]) => time <= at);
    return `${index ? "" : `was ${ratio(point?.[1])}, `}${LETTERS[index]} ${ratio(point?.[2])}`;
  });
  text(parts.caption, `${moment(new Date(at * 1000).toISOString())}: ${words.join(", ")}`);
}

/** Ask for what is to be set otherwise, and over which time. */
function askReplay() {
  const local = (date) => new Date(date - new Date(date).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  const box = (field, label, attributes) => make("label", { class: "field" }, label, make("input", { name: field, autocomplete: "off", ...attributes }));
  const decimal = { inputmode: "decimal", placeholder: "as set" };
  openAct({
    title: "Decide the past again",
    about: `Creates a backfill of the DAG ${dagName()}, one run for each check of that time. It decides on recorded balances and moves nothing. Other fields are in Airflow's own form.`,
    button: "Start it",
    fields: [
      box("since", "From", { type: "datetime-local", value: local(Date.now() - 86_400_000) }),
      box("until", "To", { type: "datetime-local", value: local(Date.now()) }),
      box("deviation", "Deviation of all assets", decimal),
      box("stop_deviation", "Where a move stops, from the target", decimal),
      box("target", "Target of all assets", decimal),
      box("replay_name", "Name", { placeholder: "its time", maxlength: "100" }),
    ],
    body: ({ since, until, ...overrides }) => ({ since: iso(since), until: iso(until), overrides }),
    path: "replay",
    needsReason: false,
    done: (answer) => {
      asked = -Infinity;
      return `A replay of about ${plural(answer.runs, "run")} is started: ${answer.name}${answer.paused ? "; it waits until the DAG is unpaused" : ""}.`;
    },
  });
}

const iso = (local) => (local ? new Date(local).toISOString() : null);
