// Why a task does not go on, in words, with links to the tasks it waits for.

import { element } from "./dom.js";
import { linkText } from "./task-names.js";
import { moment } from "./time.js";

const REASONS = {
  not_before: "Time",
  retry: "Retry",
  after: "After",
  group: "Group",
  lock: "Lock",
  check: "Check",
  device: "Device",
  busy: "Busy",
  paused: "Paused",
  recall: "Called back",
};
const ACTED = new Set(["running", "cancelling", "unknown"]);
const TASK_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ID_OR_TIME =
  /([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;

/** A line for each reason, and for what makes it doubtful that what is shown still holds. */
export function waitLines(board, task) {
  return [...reasonLines(board, task), ...doubtLines(task)];
}

function reasonLines(board, task) {
  if (task.status === "cancelling") {
    const who = task.device ?? "its device";
    return [line("Cancel", [`Asked to stop: ${who} has not answered yet`])];
  }
  return (task.waits_for ?? []).map((reason) =>
    line(REASONS[reason.reason] ?? reason.reason, reasonParts(board, reason)),
  );
}

/** Why one waits whose device is away, its reasons say; of one that runs nothing else does. */
function doubtLines({ away, in_doubt: inDoubt = [], status }) {
  const lines = [];
  if (away && ACTED.has(status)) lines.push(line("Device", awayParts(away)));
  if (inDoubt.length > 0)
    lines.push(line("Doubt", ["it was moved, and may still run where it was before"]));
  return lines;
}

function awayParts({ device, since }) {
  if (!since) return [`${device} has never been heard`];
  return [`${device} has not been heard since `, moment(since), "; this is what it said last"];
}

function line(word, parts) {
  return element("span", { class: "task-why" }, element("b", { text: `${word}: ` }), parts);
}

function reasonParts(board, { message, reason, ref }) {
  const text = message ?? reason;
  const isNamed = !ref || text.includes(ref);
  const parts = linkedText(board, text);
  if (!isNamed && TASK_ID.test(ref)) parts.push(" · ", taskLink(board, ref));
  return parts;
}

/** A sentence of the node: tasks become links with their titles, times are the reader's own. */
export function linkedText(board, text) {
  return text.split(ID_OR_TIME).map((part) => {
    if (TASK_ID.test(part)) return taskLink(board, part);
    return ID_OR_TIME.test(part) ? moment(part) : part;
  });
}

/** Nobody knows a task by its id: see task-names.js for when its title is not known yet. */
export function taskLink(board, id) {
  const known = board.store.records.tasks.get(id);
  const link = element("a", {
    class: "task-link",
    href: `#task=${id}`,
    data: { action: `to-${id}`, ...(known ? {} : { unnamed: id }) },
    text: linkText(known, id),
  });
  link.addEventListener("click", (event) => {
    event.preventDefault();
    board.openTask(id);
  });
  return link;
}
