// Tasks, newest or most urgent first, and what can be done about them.

import { KeyedList, element, rebuild } from "./dom.js";
import { once } from "./forms.js";
import { waitingText } from "./notices.js";
import { statusMark, statusWord } from "./states.js";
import { ENDED } from "./store.js";
import { timeSince } from "./time.js";

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
// Already asked for; or it acted, and cancelling would say nothing about how that ended.
const NOT_CANCELLABLE = new Set(["cancelling", "unknown"]);
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
      taskLines(task),
    );
    open.addEventListener("click", () => this.board.openTask(task.id));
    rebuild(row, open, taskButtons(this.board, task, this.board.notices));
  }
}

function taskLines(task) {
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
    (task.waits_for ?? []).map((reason) =>
      element("span", { class: "task-why", text: `Waits: ${reason.message ?? reason.reason}` }),
    ),
    last?.error &&
      task.status !== "succeeded" &&
      element("span", { class: "task-error", text: last.error.message }),
    lastWords(last?.output) &&
      element("span", { class: "task-output code", text: lastWords(last.output) }),
  ];
}

/** The last line a run printed. */
function lastWords(output) {
  const text = [output?.stderr, output?.stdout].find(
    (part) => typeof part === "string" && part.trim() !== "",
  );
  return text?.trim().split("\n").at(-1).slice(0, 200);
}

/** What a task is about, in one line. */
export function taskTitle(task) {
  const { argv, seconds } = task.payload ?? {};
  if (Array.isArray(argv)) return argv.map(quoted).join(" ");
  if (task.type === "wait" && seconds !== undefined) return `wait ${seconds} s`;
  const payload = JSON.stringify(task.payload ?? {});
  return payload === "{}" ? task.type : `${task.type} ${payload.slice(0, 120)}`;
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${String(word).replaceAll("'", "'\\''")}'`;
}

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
        if (body?.id) board.store.put("tasks", body);
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
