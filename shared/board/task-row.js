// One task in a list: what it is, where, why it waits or what went wrong.

import { element } from "./dom.js";
import { statusMark } from "./states.js";
import { lastWords, taskTitle, waitLines } from "./task-words.js";
import { timeSince } from "./time.js";

/** @param {Map<string, object>} known tasks by id, to name those that are waited for */
export function taskLines(task, known) {
  const last = task.attempts?.at(-1);
  const facts = [
    task.type,
    task.priority !== "normal" && `${task.priority} priority`,
    task.device ?? "no device yet",
    (task.attempts?.length ?? 0) > 0 && last.claim?.attempt > 1 && `attempt ${last.claim.attempt}`,
  ];
  return [
    element(
      "span",
      { class: "task-head" },
      statusMark(task.status),
      element("span", { class: "task-title", text: taskTitle(task) }),
    ),
    element(
      "span",
      { class: "muted" },
      `${facts.filter(Boolean).join(" · ")} · `,
      timeSince(task.created_at),
    ),
    waitLines(task, known).map((text) => element("span", { class: "task-why", text })),
    last?.error &&
      task.status !== "succeeded" &&
      element("span", { class: "task-error", text: last.error.message }),
    lastWords(last?.output) &&
      element("span", { class: "task-output code", text: lastWords(last.output) }),
  ];
}
