// What the codes of the API are called on the page.

export const KINDS = {
  mint: { name: "mint", way: "Alpaca → Base" },
  redemption: { name: "redemption", way: "Base → Alpaca" },
  usdc_alpaca_to_base: { name: "USDC to Base", way: "Alpaca → Base" },
  usdc_base_to_alpaca: { name: "USDC to Alpaca", way: "Base → Alpaca" },
};

export const LEGS = {
  mint: "Mint",
  redeem: "Redeem",
  withdraw: "Withdraw from Alpaca",
  bridge: "Bridge",
  deposit: "Deposit at Alpaca",
  vault_deposit: "Into the vault",
  vault_withdraw: "Out of the vault",
  wrap: "Wrap",
  unwrap: "Unwrap",
  convert: "Convert dollars",
};

export const STATES = { done: "done", now: "working", waiting: "waiting", later: "to come", closed: "not begun" };

export const VERBS = {
  approve: { name: "Approve", about: "Let it begin. Exactly its amount is moved. Airflow's task writes your answer down." },
  reject: { name: "Reject", about: "Cancel it before anything of it begins. Its asset is left alone for a while." },
  resume: { name: "Resume", about: "Forget what it waits for, so that its next push looks at the world again. Nothing is sent twice." },
  cancel: { name: "Cancel", about: "Close an operation that has moved nothing, and free its asset. Refused once money may have left." },
  adopt: { name: "Adopt", about: "Give the reference of what happened: an id at Alpaca, or a transaction's hash. It is verified first." },
  reconcile: { name: "Reconcile", about: "State how it ended. It is checked against both venues, as far as they can say." },
};

export const SWITCH = {
  run: "what is due begins, what is open goes on",
  drain: "nothing new begins, what is open goes on",
  halt: "nothing begins and nothing goes on",
};

export const MODES = { live: "live", dry_run: "dry run", observe: "observe only", replay: "replay" };

export const kind = (code) => KINDS[code] ?? { name: plainWords(code), way: "" };

export const leg = (code) => LEGS[code] ?? plainWords(code);

/** "below_minimum" is "below minimum". */
export const plainWords = (code) => String(code ?? "").replaceAll("_", " ");

export const number = (count) => count.toLocaleString("en");

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
