// The API under api/, relative to the page, so that it works wherever Airflow is mounted.

const BASE = new URL("api/", document.baseURI);
const PATIENCE = { GET: 15_000, POST: 90_000 }; // milliseconds; an act may ask venues and chains first

/** What the server answered instead of doing what was asked. `status` is 0 where there was no answer. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Read one resource. */
export function get(path, query = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return ask(url, { method: "GET", cache: "no-cache" });
}

/** Do one act. The header is what another site's form cannot send. */
export function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-Ballast": "1" };
  return ask(new URL(path, BASE), { method: "POST", headers, body: JSON.stringify(body) });
}

async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, { ...options, credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE[options.method]) });
  } catch (error) {
    throw new Refused(0, error.name === "TimeoutError" ? "the server takes too long" : "the server does not answer");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok || response.redirected) throw new Refused(response.status, refusal(response, answer));
  if (answer === null && options.method !== "POST") throw new Refused(response.status, "the answer was not understood");
  return answer;
}

function refusal(response, answer) {
  const detail = answer?.detail;
  if (typeof detail === "string" && detail) return detail;
  if (Array.isArray(detail)) return detail.map((one) => `${one.loc?.at(-1) ?? ""}: ${one.msg}`).join("; ");
  if (response.status === 401 || response.redirected) return "the login has ended: reload Airflow and log in";
  if (response.status === 403) return "you may look, but not do this";
  return `the server answered ${response.status}`;
}

// Airflow is one above the page; the page of a book with a name is two further below.
const PAGE = new URL(".", document.baseURI);
const AIRFLOW = new URL(/\/ballast\/books\/[^/]+\/$/.test(PAGE.pathname) ? "../../../" : "../", PAGE);
let dag = ""; // what is opened in Airflow; every overview says it

/** Say which DAG the page is about: that of the newest overview. */
export function about(overview) {
  dag = overview.dag;
}

/** What the DAG is called. */
export const dagName = () => dag;

/** Where Airflow shows the DAG. */
export const dagUrl = () => new URL(`dags/${dag}`, AIRFLOW).href;

/** Where Airflow shows one run of the DAG. */
export const runUrl = (runId) => `${dagUrl()}/runs/${encodeURIComponent(runId)}`;
