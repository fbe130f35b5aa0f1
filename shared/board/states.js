// How states and statuses look: always a word, a shape and a colour together, never a colour alone.

import { element, shape } from "./dom.js";

/** Equipment states, worst first. `null` in the API is `none` here. */
export const STATES = {
  red: { word: "Stopped", shape: "square" },
  yellow: { word: "Attention", shape: "triangle" },
  none: { word: "No report", shape: "ring" },
  green: { word: "Running", shape: "circle" },
};

const STATUSES = {
  scheduled: { word: "Scheduled", shape: "ring", tone: "waiting" },
  blocked: { word: "Blocked", shape: "ring", tone: "waiting" },
  queued: { word: "Queued", shape: "ring", tone: "waiting" },
  running: { word: "Running", shape: "play", tone: "active" },
  cancelling: { word: "Cancelling", shape: "play", tone: "active" },
  succeeded: { word: "Succeeded", shape: "check", tone: "good" },
  dead: { word: "Failed", shape: "square", tone: "bad" },
  cancelled: { word: "Cancelled", shape: "cross", tone: "quiet" },
  expired: { word: "Expired", shape: "triangle", tone: "warn" },
  unknown: { word: "Outcome unknown", shape: "triangle", tone: "warn" },
};

const OUTCOMES = {
  succeeded: { word: "Succeeded", shape: "check", tone: "good" },
  failed: { word: "Failed", shape: "square", tone: "bad" },
  timed_out: { word: "Timed out", shape: "square", tone: "bad" },
  cancelled: { word: "Cancelled", shape: "cross", tone: "quiet" },
  lost: { word: "Lost", shape: "triangle", tone: "warn" },
  unknown: { word: "Outcome unknown", shape: "triangle", tone: "warn" },
};

/** The key of {@link STATES} for a state of the API. */
export function stateKey(state) {
  return state in STATES ? state : "none";
}

/** The word for an equipment state. */
export function stateWord(state) {
  return STATES[stateKey(state)].word;
}

/** A filled mark: shape and word on the state's colour. */
export function stateMark(state) {
  const key = stateKey(state);
  return element(
    "span",
    { class: "mark", data: { state: key } },
    shape(STATES[key].shape),
    STATES[key].word,
  );
}

/** The word for a task's status. */
export function statusWord(status) {
  return STATUSES[status]?.word ?? status;
}

/** A task's status: shape, word, tone. */
export function statusMark(status) {
  return toned(STATUSES[status] ?? { word: status, shape: "ring", tone: "quiet" });
}

/** An attempt's outcome; `null` is still running. */
export function outcomeMark(outcome) {
  if (outcome === null) return toned(STATUSES.running);
  return toned(OUTCOMES[outcome] ?? { word: outcome, shape: "ring", tone: "quiet" });
}

/** Shape and word in a tone: good, bad, warn, active, waiting, quiet. */
export function toned({ word, shape: name, tone }) {
  return element("span", { class: "badge", data: { tone } }, shape(name), word);
}
