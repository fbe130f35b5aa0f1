// What a person can do about a task: the same buttons in the list and in the task's dialog.

import { element } from "./dom.js";
import { once } from "./forms.js";
import { ENDED } from "./store.js";
import { taskTitle } from "./task-words.js";

// Already asked for; or it acted, and cancelling would say nothing about how that ended.
const NOT_CANCELLABLE = new Set(["cancelling", "unknown"]);

/** Cancel and retry, as far as the status allows; `problems` shows what went wrong. */
export function taskButtons(board, task, problems) {
  const button = (verb, text) => {
    const node = element("button", {
      type: "button",
      data: { action: verb },
      "aria-label": `${text} ${taskTitle(task)}`,
      text,
    });
    const act = async () => {
      try {
        const path = `/api/tasks/${encodeURIComponent(task.id)}/${verb}`;
        const { body } = await board.api.send("POST", path);
        if (body?.id) board.store.answer("tasks", body);
      } catch (problem) {
        problems.show(problem);
      }
    };
    node.addEventListener("click", () => once(node, act));
    return node;
  };
  return element(
    "span",
    { class: "task-buttons" },
    !ENDED.has(task.status) && !NOT_CANCELLABLE.has(task.status) && button("cancel", "Cancel"),
    task.status === "dead" && button("retry", "Retry"),
  );
}

/** Only the hub settles, and only a node that tells allocations knows how. */
export function canSettle(board, task) {
  return board.store.node?.role === "hub" && "allocation" in task;
}

/** For a list: how it ended is asked where all that is known of it stands. */
export function settleButton(board, task) {
  if (task.status !== "unknown" || !canSettle(board, task)) return null;
  const settle = element("button", {
    type: "button",
    data: { action: "settle" },
    "aria-label": `Settle ${taskTitle(task)}`,
    text: "Settle",
  });
  settle.addEventListener("click", () => board.openTask(task.id));
  return settle;
}
