// The few things needed to change a page in place. Nothing is written that is already there, so that what
// does not change neither flickers, nor loses the focus, nor is read out again.

/** The element named `name` (data-f) inside `root`. */
export function field(root, name) {
  return root.querySelector(`[data-f="${name}"]`);
}

/** Every element named by data-f inside `root`, by its name. */
export function fields(root) {
  const found = {};
  for (const element of root.querySelectorAll("[data-f]")) found[element.dataset.f] = element;
  return found;
}

/** A copy of what a template holds. */
export function stamp(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** A new element. `attributes` whose value is null or false are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) attribute(element, name, value);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export function attribute(element, name, value) {
  if (value === null || value === false || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

export function shown(element, yes) {
  if (element.hidden === yes) element.hidden = !yes;
}

/** Put `parts` (elements and text) into `element`, unless `mark` says that they are there already. */
export function fill(element, mark, parts) {
  if (element.ballastMark === mark) return;
  element.ballastMark = mark;
  element.replaceChildren(...parts().filter((part) => part !== null && part !== ""));
}

/**
 * Make the children of `parent` those of `items`, in their order, keeping the elements that are there.
 *
 * `update` is called for new items and for those whose data differ from the last time.
 */
export function keyed(parent, items, key, create, update) {
  const known = (parent.ballastChildren ??= new Map());
  const wanted = new Set();
  let next = parent.firstElementChild;
  for (const item of items) {
    const id = key(item);
    wanted.add(id);
    let child = known.get(id);
    if (!child) {
      child = { element: create(item), mark: "" };
      known.set(id, child);
    }
    const mark = JSON.stringify(item);
    if (child.mark !== mark) {
      child.mark = mark;
      update(child.element, item);
    }
    if (child.element === next) next = next.nextElementSibling;
    else place(parent, child.element, next);
  }
  for (const [id, child] of known) {
    if (wanted.has(id)) continue;
    child.element.remove();
    known.delete(id);
  }
}

function place(parent, element, before) {
  // moveBefore keeps the focus of what it moves; where it is missing, the focus is given back.
  if (element.isConnected && "moveBefore" in parent) {
    parent.moveBefore(element, before);
    return;
  }
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  parent.insertBefore(element, before);
  focused?.focus({ preventScroll: true });
}

/** Say something to those who listen to the page instead of looking at it. */
export function say(words) {
  text(document.getElementById("said"), words);
}

/** A link that opens beside the page. */
export function link(words, url) {
  const anchor = make("a", { href: safe(url), target: "_blank", rel: "noopener noreferrer" }, words);
  anchor.append(make("span", { class: "unseen" }, " (opens a new tab)"));
  return anchor;
}

function safe(url) {
  const { protocol } = new URL(url, document.baseURI);
  return protocol === "https:" || protocol === "http:" ? url : "#";
}

/** Airflow shows the page in a frame that may open no window of its own; the window around it may. */
export function openLinksOutside() {
  if (window.parent === window) return;
  document.addEventListener("click", (event) => {
    const anchor = event.target.closest?.('a[target="_blank"]');
    if (!anchor) return;
    try {
      window.parent.open(anchor.href, "_blank", "noopener,noreferrer");
      event.preventDefault();
    } catch {
      // Another origin: the browser does what it can with the link itself.
    }
  });
}
