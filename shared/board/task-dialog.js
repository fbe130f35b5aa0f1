// One task: what it is, why it waits, every attempt, its history.

import { element, rebuild } from "./dom.js";
import { dialogHead } from "./forms.js";
import { outcomeMark, statusMark } from "./states.js";
import { taskButtons } from "./task-buttons.js";
import { taskTitle, waitLines } from "./task-words.js";
import { absolute, duration, timeSince } from "./time.js";

class TaskDialog extends HTMLElement {
  attach(board) {
    this.board = board;
    this.taskId = null;
    this.shown = null;
    this.loading = null;
    this.dialog = element("dialog", { class: "sheet", "aria-labelledby": "task-title" });
    this.problem = element("problem-text");
    this.body = element("div", { class: "task-view" });
    this.append(this.dialog);
    this.dialog.addEventListener("close", () => {
      this.taskId = null;
    });
    board.store.watch("tasks", () => this.follow());
    // What could not be read while the node was silent.
    board.store.watch("connection", () => {
      if (this.taskId && board.store.connection.phase === "live") this.load();
    });
  }

  open(id) {
    this.taskId = id;
    this.shown = null;
    this.problem.clear();
    this.body.replaceChildren(element("p", { class: "empty", text: "Loading …" }));
    this.dialog.replaceChildren(dialogHead("task-title", "Task", id), this.problem, this.body);
    if (!this.dialog.open) this.dialog.showModal();
    this.load();
  }

  /** Lists carry the last attempt only: a change means reading the task again, once at a time. */
  follow() {
    const listed = this.taskId && this.board.store.records.tasks.get(this.taskId);
    if (listed && this.shown && listed !== this.shown.listed) this.load();
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
      if (this.taskId === id) {
        this.body.replaceChildren();
        this.problem.show(problem);
      }
    }
    this.loading = null;
    this.shown = { listed };
    this.follow();
  }

  show(task) {
    this.problem.clear();
    this.dialog.querySelector("h2").textContent = taskTitle(task);
    const after = element("button", { type: "button", text: "New task after this" });
    after.addEventListener("click", () => {
      this.dialog.close();
      this.board.openTaskForm({ after: task.id });
    });
    const buttons = taskButtons(this.board, task, this.problem);
    buttons.append(after);
    const known = this.board.store.records.tasks;
    const attempts = (task.attempts ?? []).map(attemptView).reverse();
    const history = [...(task.history ?? [])].reverse();
    rebuild(
      this.body,
      element("p", { class: "current-line" }, statusMark(task.status), buttons),
      waitLines(task, known).map((text) => element("p", { class: "task-why", text })),
      facts(this.board, task),
      section("Attempts", attempts, "Not started yet."),
      section("History", history.map(historyRow), "Nothing recorded yet."),
    );
  }
}

function section(title, rows, empty) {
  return element(
    "section",
    {},
    element("h3", { text: title }),
    rows.length === 0
      ? element("p", { class: "muted", text: empty })
      : element("ol", { class: "rows" }, rows),
  );
}

function facts(board, task) {
  const rows = {
    Type: task.type,
    Payload: element("code", { text: JSON.stringify(task.payload) }),
    Priority: task.priority,
    Device: task.device ?? "not allocated yet",
    Needs: task.requires?.join(", "),
    After: task.after?.length > 0 && task.after.map((edge) => edgeView(board, edge)),
    "Not before": task.not_before && absolute(task.not_before),
    "Time limit": task.start_to_close_s && duration(task.start_to_close_s),
    "Attempts at most": task.max_attempts,
    "If interrupted": task.on_orphan,
    Requester: task.requester,
    Submitted: timeSince(task.created_at),
    Updated: timeSince(task.updated_at),
  };
  const shown = Object.entries(rows).filter(
    ([, value]) => value !== null && value !== undefined && value !== false && value !== "",
  );
  return element(
    "dl",
    { class: "facts" },
    shown.map(([key, value]) => [
      element("dt", { text: key }),
      element("dd", {}, typeof value === "number" ? String(value) : value),
    ]),
  );
}

/** Another task that must end first; it opens in this dialog. */
function edgeView(board, edge) {
  const other = board.store.records.tasks.get(edge.task);
  const open = element("button", {
    type: "button",
    class: "link small",
    text: other ? taskTitle(other) : edge.task,
  });
  open.addEventListener("click", () => board.openTask(edge.task));
  return element("div", {}, open, edge.on === "end" && " however it ends");
}

/** The claim counts anew after each allocation, so a retried task would have two first attempts. */
function attemptView(attempt, index) {
  const tookS = attempt.ended_at
    ? (Date.parse(attempt.ended_at) - Date.parse(attempt.started_at)) / 1000
    : null;
  return element(
    "li",
    { class: "attempt" },
    element(
      "p",
      { class: "current-line" },
      outcomeMark(attempt.outcome),
      element(
        "span",
        { class: "muted" },
        `attempt ${index + 1} on ${attempt.device} · started `,
        timeSince(attempt.started_at),
        tookS !== null && ` · took ${duration(tookS)}`,
      ),
    ),
    attempt.error && element("p", { class: "task-error", text: attempt.error.message }),
    outputView(attempt.output),
  );
}

function outputView(output) {
  if (!output) return null;
  const { stdout, stderr, ...rest } = output;
  const facts = Object.entries(rest).filter(
    ([key, value]) => !(key === "truncated" && value === false),
  );
  return [
    stdout && element("pre", { tabindex: 0, "aria-label": "Output", text: stdout }),
    stderr &&
      element("pre", { class: "stderr", tabindex: 0, "aria-label": "Error output", text: stderr }),
    facts.length > 0 &&
      element("p", {
        class: "muted code",
        text: facts.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join("  "),
      }),
  ];
}

function historyRow(entry) {
  const by = [
    entry.actor,
    entry.device && entry.device !== entry.actor && `on ${entry.device}`,
  ].filter(Boolean);
  return element(
    "li",
    { class: "history-row" },
    entry.status && statusMark(entry.status),
    element("span", { class: "muted" }, `${by.join(" · ")} · `, timeSince(entry.at)),
    entry.reason && element("span", { text: entry.reason }),
  );
}

customElements.define("task-dialog", TaskDialog);
