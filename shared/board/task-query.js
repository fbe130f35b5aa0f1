// What a list of tasks asks of the node, and the same question put to one task: so that a change
// that arrives by itself finds its place in the list without reading the list again.

/** Statuses in the order in which a task goes through them. */
export const STATUSES = [
  "queued",
  "blocked",
  "scheduled",
  "running",
  "cancelling",
  "unknown",
  "dead",
  "expired",
  "succeeded",
  "cancelled",
];
export const WAITING = ["scheduled", "blocked", "queued"];
export const PRIORITIES = ["critical", "high", "normal", "low"];

/** @param {Record<string, string>} filters values separated by commas, as in the address */
export function matches(task, filters) {
  return Object.entries(filters).every(
    ([name, wanted]) => !wanted || wanted.split(",").includes(task[name]),
  );
}

/** How the node orders tasks; the API's words for it. */
export const ORDERS = {
  newest: (a, b) => byCreation(b, a),
  urgent: (a, b) =>
    PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority) ||
    compare(deadlineMs(a), deadlineMs(b)) ||
    byCreation(a, b),
};

/** Not by the id: a client may choose any. */
function byCreation(a, b) {
  return Date.parse(a.created_at) - Date.parse(b.created_at) || compare(a.id, b.id);
}

function deadlineMs(task) {
  return task.deadline ? Date.parse(task.deadline) : Infinity;
}

function compare(a, b) {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
