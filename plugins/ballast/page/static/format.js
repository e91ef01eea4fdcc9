// Amounts, ratios, ages and times for people. Amounts are decimal text and are never turned into floats:
// they are cut, never rounded, and the whole value goes into a title.

import { attribute, make, text } from "./dom.js";

const SHOWN_DIGITS = 6;

/** Shorten an amount: {short, whole}. "1234.567891" is short "1,234.56…". */
export function amount(value) {
  const whole = String(value ?? "").trim();
  const parts = /^(-?)(\d+)(?:\.(\d+))?$/.exec(whole);
  if (!parts) return { short: whole || "–", whole };
  const [, sign, digits, fraction = ""] = parts;
  const grouped = digits.replace(/\B(?=(\d{3})+$)/g, ",");
  const full = fraction.replace(/0+$/, "");
  let room = Math.max(2, SHOWN_DIGITS - digits.length);
  if (digits === "0" && full) room = Math.max(room, full.search(/[1-9]/) + 2); // so that something is seen
  const cut = full.slice(0, room).replace(/0+$/, "");
  const exact = sign + grouped + (full ? `.${full}` : "");
  return { short: sign + grouped + (cut ? `.${cut}` : "") + (full.length > cut.length ? "…" : ""), whole: exact };
}

/** An amount as an element, its whole value in the title where it is cut. */
export function amountNode(value, unit = "") {
  const { short, whole } = amount(value);
  const tail = unit ? ` ${unit}` : "";
  return make("span", { class: "amount", title: short === whole ? null : whole + tail }, short + tail);
}

/** Whether a decimal text is zero. */
export function isZero(value) {
  return /^-?0*(\.0*)?$/.test(String(value ?? "0"));
}

/** A ratio with three digits, cut; the whole value belongs in a title. */
export function ratio(value) {
  if (value === null || value === undefined) return "–";
  const [digits, fraction = ""] = String(value).split(".");
  return `${digits}.${fraction.padEnd(3, "0").slice(0, 3)}`;
}

/** Dollars with cents. Small ones keep two digits that say something. */
export function dollars(value) {
  if (value === null || value === undefined) return "–";
  const { short } = amount(value);
  if (short === value && !short.includes(".")) return `$${short}`;
  const [digits, fraction = ""] = short.replace("…", "").split(".");
  return `$${digits}.${fraction.padEnd(2, "0").slice(0, digits === "0" ? 4 : 2)}`;
}

/** A duration in words: "42 s", "12 min", "3 h 05 min", "2 d 4 h". */
export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 90) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const EXACT = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** The time of day, with seconds. */
export const clock = (date) => EXACT.format(date);

/** "14:03" today, "21 Nov 14:03" before, in the reader's own time zone. */
export function moment(iso) {
  const date = new Date(iso);
  const time = CLOCK.format(date);
  return DAY.format(date) === DAY.format(new Date(server.now())) ? time : `${DAY.format(date)} ${time}`;
}

/** A <time> for a moment; the title has it exactly, in UTC. */
export function momentNode(iso) {
  return make("time", { datetime: iso, title: iso }, moment(iso));
}

/** The server's clock: the reader's may be wrong, and ages must not be. */
export const server = {
  offset: 0,
  now() {
    return Date.now() + this.offset;
  },
  set(asOf) {
    this.offset = Date.parse(asOf) - Date.now();
  },
};

/** A <time> that says how long ago a moment was, and goes on saying so. */
export function ageNode(iso, before = "", after = "") {
  const node = make("time", { datetime: iso, title: iso, "data-since": Date.parse(iso) });
  node.dataset.before = before;
  node.dataset.after = after;
  tickOne(node);
  return node;
}

/** Point an age at another moment, in place. */
export function setAge(node, iso) {
  attribute(node, "datetime", iso);
  attribute(node, "title", iso);
  attribute(node, "data-since", Date.parse(iso));
  tickOne(node);
}

function tickOne(node) {
  const seconds = (server.now() - Number(node.dataset.since)) / 1000;
  text(node, `${node.dataset.before ?? ""}${duration(Math.abs(seconds))}${node.dataset.after ?? ""}`);
  if (node.dataset.due !== undefined) {
    const late = seconds > 0;
    node.classList.toggle("late", late);
    text(node, late ? `overdue by ${duration(seconds)}` : `due in ${duration(-seconds)}`);
  }
}

/** A <time> for what is due: "due in 40 s", later "overdue by 3 min". */
export function dueNode(iso) {
  const node = make("time", { datetime: iso, title: iso, "data-since": Date.parse(iso), "data-due": "" });
  tickOne(node);
  return node;
}

/** Bring every age on the page up to date. */
export function tick() {
  for (const node of document.querySelectorAll("time[data-since]")) tickOne(node);
}
