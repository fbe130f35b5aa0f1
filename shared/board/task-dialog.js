// One task: what it is, why it waits, what can be done, every attempt, its history.

import { element, rebuild } from "./dom.js";
import { dialogHead } from "./forms.js";
import { statusMark } from "./states.js";
import "./task-attempts.js";
import { taskButtons } from "./task-buttons.js";
import { choiceView } from "./task-choice.js";
import { taskFacts } from "./task-facts.js";
import "./task-force.js";
import "./task-over.js";
import "./task-priority.js";
import { doubleFlag } from "./task-row.js";
import "./task-settle.js";
import "./task-timeline.js";
import { waitLines } from "./task-wait.js";
import { taskTitle } from "./task-words.js";

// What a person types into, or scrolls, is made once per task and only told of changes.
const PARTS = [
  "task-settle",
  "task-priority",
  "task-force",
  "task-over",
  "task-attempts",
  "task-timeline",
];

class TaskDialog extends HTMLElement {
  attach(board) {
    this.board = board;
    this.taskId = null;
    this.task = null;
    this.shown = null;
    this.loading = null;
    this.dialog = element("dialog", { class: "sheet task-sheet", "aria-labelledby": "task-title" });
    this.problem = element("problem-text");
    this.append(this.dialog);
    this.dialog.addEventListener("close", () => {
      this.refocus();
      this.taskId = null;
      this.task = null;
      // Behind the sign-in form the place is kept, to come back to.
      if (!document.body.classList.contains("signed-out")) board.route.closeTask();
    });
    board.store.watch("tasks", () => this.follow());
    // What could not be read while the node was silent.
    board.store.watch("connection", () => {
      if (this.taskId && board.store.connection.phase === "live") this.load();
    });
    board.store.watch("reloaded", () => this.taskId && this.load());
    // Whether a task may be forced away hangs on whether its device is here.
    board.store.watch("devices", () => this.task && this.parts["task-force"].show(this.task));
    board.route.watch(() => this.go(board.route.task));
  }

  /** Where the address leads: to a task, or to none. */
  go(id) {
    if (id === this.taskId) return;
    if (id) this.open(id);
    else this.dialog.close();
  }

  open(id) {
    if (document.body.classList.contains("signed-out")) return;
    this.taskId = id;
    this.task = null;
    this.shown = null;
    this.problem.clear();
    this.waiting = element("p", { class: "empty", text: "Loading …" });
    this.top = element("div", { class: "task-view" });
    this.facts = element("div", { class: "task-view" });
    this.parts = Object.fromEntries(PARTS.map((name) => [name, element(name)]));
    for (const part of Object.values(this.parts)) part.attach(this.board, this.problem);
    this.body = element(
      "div",
      { class: "task-view", hidden: true },
      this.top,
      this.parts["task-settle"],
      this.parts["task-priority"],
      this.parts["task-attempts"],
      this.facts,
      this.parts["task-timeline"],
      this.parts["task-over"],
      this.parts["task-force"],
    );
    this.dialog.replaceChildren(
      dialogHead("task-title", "Task", id),
      this.problem,
      this.waiting,
      this.body,
    );
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
    this.load();
  }

  /** Lists carry the last attempt only: a change means reading the task again, once at a time. */
  follow() {
    const listed = this.taskId && this.board.store.records.tasks.get(this.taskId);
    if (listed && this.shown && listed !== this.shown.listed) this.load();
  }

  /** The row that the keyboard came from may have been drawn anew, or in another list, meanwhile. */
  refocus() {
    const { activeElement } = document;
    if (activeElement !== document.body && !this.contains(activeElement)) return;
    const rows = document.querySelectorAll(`.task[data-id="${CSS.escape(this.taskId)}"]`);
    const row = [...rows].find((node) => node.checkVisibility());
    row?.querySelector(".task-open").focus({ preventScroll: true });
  }

  async load() {
    const id = this.taskId;
    if (this.loading === id) return;
    this.loading = id;
    const listed = this.board.store.records.tasks.get(id);
    try {
      const { body: task } = await this.board.api.get(`/api/tasks/${encodeURIComponent(id)}`);
      if (this.taskId === id) this.show(task);
    } catch (problem) {
      if (this.taskId === id) this.fail(problem);
    }
    this.loading = null;
    this.shown = { listed };
    this.follow();
  }

  fail(problem) {
    this.waiting.hidden = true;
    if (problem.status !== 404) return this.problem.show(problem);
    const isAgent = this.board.store.node?.role === "agent";
    const next = isAgent
      ? "An agent knows the tasks that it was given and those submitted at it. Look at the hub."
      : "Its link may be of another hub, or it has not arrived yet from where it was submitted.";
    return this.problem.show({ title: "This task is not known here", detail: next });
  }

  show(task) {
    this.task = task;
    this.problem.clear();
    this.waiting.hidden = true;
    this.body.hidden = false;
    this.dialog.querySelector("h2").textContent = taskTitle(task);
    const buttons = taskButtons(this.board, task, this.problem);
    buttons.append(this.afterButton(task));
    rebuild(
      this.top,
      element(
        "p",
        { class: "current-line" },
        statusMark(task.status),
        task.double_run && doubleFlag(),
        buttons,
      ),
      task.double_run &&
        element("p", {
          class: "task-error",
          text: "It was moved while a device had it, and ran there as well. Both runs are below.",
        }),
      whyView(waitLines(this.board, task)),
    );
    rebuild(this.facts, taskFacts(this.board, task), choiceView(task));
    for (const part of Object.values(this.parts)) part.show(task);
  }

  afterButton(task) {
    const after = element("button", {
      type: "button",
      data: { action: "after" },
      text: "New task after this",
    });
    after.addEventListener("click", () => {
      this.dialog.close();
      this.board.openTaskForm({ after: task.id });
    });
    return after;
  }
}

function whyView(lines) {
  return lines.length > 0 && element("div", { class: "task-whys" }, lines);
}

customElements.define("task-dialog", TaskDialog);
