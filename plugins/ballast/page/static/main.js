// Asks for the overview every five seconds while the page is seen, and hands it to the parts of the page.

import { afterAct } from "./acts.js";
import { Refused, about, get } from "./api.js";
import { onAssetChosen, showAssets } from "./assets.js";
import { needs, showAttention } from "./attention.js";
import { showBooks } from "./books.js";
import { allowActs } from "./detail.js";
import { attribute, field, fields, openLinksOutside, say, shown, text } from "./dom.js";
import { clock, duration, server, tick } from "./format.js";
import { chooseAsset, showHistory } from "./history.js";
import { showOperations } from "./operations.js";
import { showRecent } from "./recent.js";
import { showReplays } from "./replay.js";
import { group } from "./state.js";
import { showStatus } from "./status.js";
import { showToday } from "./today.js";
import { number, plural } from "./words.js";

const EVERY = 5_000; // milliseconds between two looks
const OLD = 20; // seconds after which what is shown is called old

const summary = document.getElementById("summary");
const freshness = document.getElementById("freshness");
const outage = document.getElementById("outage");
const foot = field(document.querySelector("footer"), "foot");

let timer = null;
let asking = false;
let again = false;
let seen = null; // {overview, at} of the newest answer; `at` is performance.now()
let trouble = null; // why the newest look failed
let said = "";

async function look() {
  if (asking) {
    again = true;
    return;
  }
  clearTimeout(timer);
  asking = true;
  again = false;
  void showBooks();
  try {
    const overview = await get("overview");
    server.set(overview.as_of);
    seen = { overview, at: performance.now() };
    trouble = null;
    show(overview);
  } catch (error) {
    if (!(error instanceof Refused)) console.error(error);
    trouble = error instanceof Refused ? error.message : "the page could not show the answer";
  } finally {
    asking = false;
  }
  showFreshness();
  if (again) void look();
  else if (!document.hidden) timer = setTimeout(look, EVERY);
}

function show(overview) {
  about(overview);
  const words = summaryWords(overview);
  text(summary, words);
  allowActs(overview.may_act);
  showAttention(overview);
  showStatus(overview);
  showAssets(overview);
  showOperations(overview);
  showToday(overview);
  text(foot, [overview.user ? `Logged in as ${overview.user}.` : "", rights(overview)].filter(Boolean).join(" "));
  void showHistory(overview);
  void showRecent(overview);
  void showReplays(overview);
  if (said && words !== said) say(words);
  said = words;
  tick();
}

/** What is missing to whom, so that nobody looks for a button in vain. */
function rights(overview) {
  if (!overview.may_act) return "You may look; acts need the right to run the DAG.";
  return overview.may_steer ? "" : "The switch and the hold list need the right to edit Variables.";
}

/** The state of the book in one line: what ten seconds are for. */
function summaryWords(overview) {
  if (!overview.check) return overview.paused ? "No check has been recorded yet, and the DAG is paused." : "No check has been recorded yet.";
  const groups = overview.assets.map((asset) => group(asset));
  const count = (name) => groups.filter((one) => one === name).length;
  const words = [];
  if (groups.length === 0) words.push("no asset is configured");
  else if (count("trim") + count("empty") === groups.length) words.push(`all of ${plural(groups.length, "asset")} in trim`);
  else words.push(`${number(count("trim"))} of ${plural(groups.length, "asset")} in trim`);
  if (count("out")) words.push(`${number(count("out"))} out of the band`);
  if (count("unjudged")) words.push(`${number(count("unjudged"))} not judged`);
  if (overview.operations.length) words.push(`${overview.operations.length} moving`);
  const wanted = needs(overview).length;
  words.push(wanted ? `${plural(wanted, "thing")} ${wanted === 1 ? "needs" : "need"} you` : "nothing needs you");
  const sentence = words.join(", ");
  return `${sentence[0].toUpperCase()}${sentence.slice(1)}.`;
}

function showFreshness() {
  const age = seen ? (performance.now() - seen.at) / 1000 : null;
  const state = trouble ? "down" : age === null ? "asking" : age > OLD ? "old" : "live";
  attribute(freshness, "data-state", state);
  const words = {
    down: seen ? `no answer, data ${duration(age)} old` : "no answer",
    old: `data ${duration(age ?? 0)} old`,
    asking: "asking",
    live: seen ? `live, ${clock(new Date(seen.overview.as_of))}` : "",
  };
  text(fields(freshness).text, words[state]);
  shown(outage, trouble !== null);
  if (trouble !== null) {
    const since = seen ? ` What you see is of ${clock(new Date(seen.overview.as_of))}.` : "";
    text(outage, `No news from Ballast: ${trouble}.${since} It is asked again every ${EVERY / 1000} s.`);
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else void look();
});
setInterval(() => {
  if (document.hidden) return;
  tick();
  showFreshness();
}, 1000);
afterAct((words) => {
  text(foot, words);
  void look();
});
onAssetChosen(chooseAsset);
openLinksOutside();
void look();
