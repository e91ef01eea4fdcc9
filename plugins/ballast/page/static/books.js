// Which book the page is about, and links to the others, where one may look at more than one.

import { Refused, get } from "./api.js";
import { attribute, keyed, make, shown, text } from "./dom.js";

const EVERY = 60_000; // milliseconds between two looks

const nav = document.getElementById("books");
const name = document.getElementById("book");
let asked = -Infinity;
let label = "";

/** What the book is called where it has to be told from others; else nothing. */
export const bookLabel = () => label;

/** Ask which books there are, unless that was a moment ago. */
export async function showBooks() {
  if (performance.now() - asked < EVERY) return;
  asked = performance.now();
  let books;
  try {
    books = await get("books");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    asked = -Infinity; // the next look asks again
    return;
  }
  const own = books.find((book) => book.current);
  label = own && (own.name || books.length > 1) ? own.label : "";
  text(name, label ? ` ${label}` : "");
  document.title = label ? `${label} - Ballast` : "Ballast";
  shown(nav, books.length > 1);
  keyed(nav, books, (book) => book.name, () => make("a"), draw);
}

function draw(link, book) {
  text(link, book.label);
  attribute(link, "href", book.href);
  attribute(link, "aria-current", book.current ? "page" : null);
}
