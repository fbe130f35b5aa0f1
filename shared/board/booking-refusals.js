// Refused requests that a person has dealt with: remembered by this browser, since a refused
// booking itself stays as it is.

const STORED = "skerry-refusals-done";
const KEPT_MAX = 200;

const listeners = [];

function read() {
  try {
    return JSON.parse(localStorage.getItem(STORED)) ?? [];
  } catch {
    return [];
  }
}

/** Whether it need not be shown to this person any more. */
export function isSettled(id) {
  return read().includes(id);
}

/** Do not show it any more. */
export function settleRefusal(id) {
  const kept = [...read().filter((one) => one !== id), id].slice(-KEPT_MAX);
  try {
    localStorage.setItem(STORED, JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing shows it again; no harm done.
  }
  for (const listener of listeners) listener();
}

/** Call `callback` when one was settled. */
export function watchRefusals(callback) {
  listeners.push(callback);
}
