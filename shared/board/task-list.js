// Tasks, newest or most urgent first, and what can be done about them.

import { KeyedList, element, rebuild } from "./dom.js";
import { waitingText } from "./notices.js";
import { statusWord } from "./states.js";
import { taskButtons } from "./task-buttons.js";
import { taskLines } from "./task-row.js";
import { taskTitle } from "./task-words.js";

const FILTERS = {
  all: { word: "All", statuses: null },
  waiting: { word: "Waiting", statuses: ["scheduled", "blocked", "queued"] },
  running: { word: "Running", statuses: ["running", "cancelling"] },
  trouble: { word: "Trouble", statuses: ["dead", "expired", "unknown"] },
  succeeded: { word: "Succeeded", statuses: ["succeeded"] },
  cancelled: { word: "Cancelled", statuses: ["cancelled"] },
};
const PRIORITIES = ["critical", "high", "normal", "low"];
const PAGE = 100;
// Said aloud: what a person may have to act upon.
const SPOKEN = new Set(["dead", "unknown", "expired"]);

class TaskList extends HTMLElement {
  attach(board) {
    this.board = board;
    this.filter = "all";
    this.order = "newest";
    this.shownMax = PAGE;
    this.cursor = null;
    this.chips = element("div", {
      class: "chips",
      role: "group",
      "aria-label": "Show tasks by status",
    });
    this.list = element("ul", { class: "tasks" });
    this.empty = element("p", { class: "empty" });
    this.more = element("button", {
      type: "button",
      class: "more",
      text: "Show more",
      on: { click: () => this.showMore() },
    });
    this.append(this.head(), this.chips, this.empty, this.list, this.more);
    this.chipButtons = new Map(Object.keys(FILTERS).map((key) => [key, this.chip(key)]));
    this.chips.append(...this.chipButtons.values());
    this.rows = new KeyedList(
      this.list,
      () => element("li", { class: "task" }),
      (row, task, before) => this.fill(row, task, before),
    );
    board.store.watch("tasks", () => this.show());
    board.store.watch("summary", () => this.showCounts());
    for (const topic of ["connection", "node"]) board.store.watch(topic, () => this.showEmpty());
  }

  head() {
    const order = element(
      "select",
      { "aria-label": "Order of tasks" },
      element("option", { value: "newest", text: "Newest first" }),
      element("option", { value: "urgent", text: "Most urgent first" }),
    );
    order.addEventListener("change", () => {
      this.order = order.value;
      this.look();
    });
    const add = element("button", { type: "button", class: "primary", text: "New task" });
    add.addEventListener("click", () => this.board.openTaskForm());
    return element(
      "header",
      { class: "section-head" },
      element("h2", { text: "Tasks" }),
      order,
      add,
    );
  }

  chip(key) {
    const chip = element("button", {
      type: "button",
      class: "chip",
      "aria-pressed": String(key === this.filter),
    });
    chip.addEventListener("click", () => {
      this.filter = key;
      for (const [other, button] of this.chipButtons)
        button.setAttribute("aria-pressed", String(other === key));
      this.look();
    });
    return chip;
  }

  showCounts() {
    const counts = this.board.store.summary?.by_status;
    for (const [key, chip] of this.chipButtons) {
      const { word, statuses } = FILTERS[key];
      const count =
        counts &&
        (statuses ?? Object.keys(counts)).reduce((sum, status) => sum + (counts[status] ?? 0), 0);
      rebuild(chip, word, counts && element("b", { text: count }));
    }
  }

  /** Another filter or order: show what is known at once, then what the node has of it. */
  async look() {
    this.shownMax = PAGE;
    this.cursor = null;
    this.show();
    await this.loadPage();
  }

  async showMore() {
    this.shownMax += PAGE;
    this.show();
    await this.loadPage();
  }

  async loadPage() {
    const { filter, order } = this;
    const query = { order, status: FILTERS[filter].statuses?.join(","), cursor: this.cursor };
    try {
      const next = await this.board.store.loadTaskPage(query);
      if (filter === this.filter && order === this.order) this.cursor = next;
      this.show();
    } catch (problem) {
      this.board.notices.show(problem);
    }
  }

  show() {
    const { statuses } = FILTERS[this.filter];
    const all = [...this.board.store.records.tasks.values()];
    const wanted = all.filter((task) => !statuses || statuses.includes(task.status));
    wanted.sort(this.order === "urgent" ? urgentFirst : newestFirst);
    this.rows.show(wanted.slice(0, this.shownMax));
    this.more.hidden =
      wanted.length < PAGE ||
      (wanted.length <= this.shownMax && this.cursor === null && this.shownMax > PAGE);
    this.showEmpty();
  }

  showEmpty() {
    const { loaded, connection, records, node } = this.board.store;
    this.empty.hidden = this.rows.rows.size > 0;
    if (!loaded.has("tasks")) this.empty.textContent = waitingText(connection.phase);
    else if (records.tasks.size > 0) this.empty.textContent = "No such task.";
    else if (node?.role === "agent")
      this.empty.textContent =
        "No tasks here. An agent lists those it was given and those submitted at it; " +
        "the hub lists all. Submit one with “New task”.";
    else this.empty.textContent = "No tasks yet. Submit the first with “New task”.";
  }

  fill(row, task, before) {
    if (before && before.status !== task.status && SPOKEN.has(task.status)) {
      this.board.announcer.say(
        `Task ${taskTitle(task)}: ${statusWord(task.status).toLowerCase()}.`,
      );
    }
    row.dataset.id = task.id;
    row.dataset.status = task.status;
    const open = element(
      "button",
      { type: "button", class: "task-open", "aria-haspopup": "dialog", data: { action: "open" } },
      taskLines(task, this.board.store.records.tasks),
    );
    open.addEventListener("click", () => this.board.openTask(task.id));
    rebuild(row, open, taskButtons(this.board, task, this.board.notices));
  }
}

function newestFirst(a, b) {
  if (a.created_at !== b.created_at) return a.created_at < b.created_at ? 1 : -1;
  return a.id < b.id ? 1 : -1;
}

function urgentFirst(a, b) {
  const byPriority = PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority);
  if (byPriority !== 0) return byPriority;
  const byDeadline =
    (Date.parse(a.deadline ?? "") || Infinity) - (Date.parse(b.deadline ?? "") || Infinity);
  return byDeadline || newestFirst(b, a);
}

customElements.define("task-list", TaskList);
