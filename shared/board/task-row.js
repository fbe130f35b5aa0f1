// One task in a list: what it is, where, why it waits, how far it is or what went wrong.

import { element, rebuild, shape } from "./dom.js";
import { statusMark } from "./states.js";
import { settleButton, taskButtons } from "./task-buttons.js";
import { progressBar } from "./task-progress.js";
import { WAITING } from "./task-query.js";
import { waitLines } from "./task-wait.js";
import { lastWords, progressWords, taskTitle } from "./task-words.js";
import { timeSince } from "./time.js";

/**
 * Fill a row; the title opens the task, and so does the rest of the row but for its links.
 * @param {boolean} [isUnderPriority] its priority stands above it
 */
export function fillTaskRow(board, row, task, isUnderPriority = false) {
  row.dataset.id = task.id;
  row.dataset.status = task.status;
  const last = lastAttempt(task);
  const isRunning = task.status === "running" || task.status === "cancelling";
  const open = element(
    "button",
    { type: "button", class: "task-open", "aria-haspopup": "dialog", data: { action: "open" } },
    element("span", { class: "task-title", text: taskTitle(task) }),
  );
  open.addEventListener("click", () => board.openTask(task.id));
  const buttons = taskButtons(board, task, board.notices);
  buttons.append(settleButton(board, task) ?? "");
  rebuild(
    row,
    element(
      "div",
      { class: "task-lines" },
      element(
        "span",
        { class: "task-head" },
        statusMark(task.status),
        open,
        task.double_run && doubleFlag(),
      ),
      element("span", { class: "muted" }, facts(task, last, isUnderPriority), times(task, last)),
      isRunning && last && runningLine(last),
      waitLines(board, task),
      last?.error &&
        task.status !== "succeeded" &&
        element("span", {
          class: "task-error",
          text: `${WAITING.includes(task.status) ? "Last attempt: " : ""}${last.error.message}`,
        }),
      !isRunning &&
        lastWords(last?.output) &&
        element("span", { class: "task-output code", text: lastWords(last.output) }),
    ),
    buttons,
    isRunning && progressBar(last?.progress),
  );
}

/** Of a task that was moved, the former device may have been heard last: its run is another's. */
function lastAttempt({ allocation, attempts }) {
  const last = attempts?.at(-1);
  return allocation && last?.claim.n !== allocation.n ? undefined : last;
}

/** That something ran twice is never left to be found out. */
export function doubleFlag() {
  return element("span", { class: "flag conflict" }, shape("split"), "Ran twice");
}

function facts(task, last, isUnderPriority) {
  const parts = [
    task.type,
    task.priority !== "normal" && !isUnderPriority && `${task.priority} priority`,
    task.device ?? "no device yet",
    task.group && `group ${task.group}`,
    last?.claim?.attempt > 1 && `attempt ${last.claim.attempt}`,
  ];
  return parts.filter(Boolean).join(" · ");
}

function times(task, last) {
  const isOver = last?.ended_at && !WAITING.includes(task.status);
  return [
    isOver ? [" · ended ", timeSince(last.ended_at)] : [" · ", timeSince(task.created_at)],
    task.deadline && !isOver && [" · due ", timeSince(task.deadline)],
  ];
}

/** One line, whatever it says: news of a run must not push the rows below. */
function runningLine(last) {
  const words = progressWords(last.progress)?.text;
  return element(
    "span",
    { class: "task-output" },
    "started ",
    timeSince(last.started_at),
    words && ` · ${words}`,
  );
}
