// The tasks at a glance, beside everything else; the tasks' own page has them in full.

import { element, rebuild } from "./dom.js";
import { WAITING } from "./task-query.js";
import "./task-section.js";

const CHIPS = {
  all: { word: "All", statuses: null },
  waiting: { word: "Waiting", statuses: WAITING },
  running: { word: "Running", statuses: ["running", "cancelling"] },
  trouble: { word: "Trouble", statuses: ["dead", "expired", "unknown"] },
  succeeded: { word: "Succeeded", statuses: ["succeeded"] },
  cancelled: { word: "Cancelled", statuses: ["cancelled"] },
};
const PAGE = 100;
const NONE_HERE =
  "No tasks here. An agent lists those it was given and those submitted at it; " +
  "the hub lists all. Submit one with “New task”.";
const NONE = "No tasks yet. Submit the first with “New task”.";

class TaskList extends HTMLElement {
  attach(board) {
    this.board = board;
    this.filter = "all";
    this.chips = element("div", {
      class: "chips",
      role: "group",
      "aria-label": "Show tasks by status",
    });
    this.section = element("task-section");
    this.append(this.head(), this.chips, this.section);
    this.chipButtons = new Map(Object.keys(CHIPS).map((key) => [key, this.chip(key)]));
    this.chips.append(...this.chipButtons.values());
    this.section.attach(board, { size: PAGE });
    board.store.watch("summary", () => this.showCounts());
    board.store.watch("node", () => this.look());
    board.route.watch(() => this.look());
  }

  head() {
    this.order = element(
      "select",
      { "aria-label": "Order of tasks" },
      element("option", { value: "newest", text: "Newest first" }),
      element("option", { value: "urgent", text: "Most urgent first" }),
    );
    this.order.addEventListener("change", () => this.look());
    const add = element("button", { type: "button", class: "primary", text: "New task" });
    add.addEventListener("click", () => this.board.openTaskForm());
    return element(
      "header",
      { class: "section-head" },
      element("h2", {}, element("a", { href: "#tasks", text: "Tasks" })),
      this.order,
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
      const { word, statuses } = CHIPS[key];
      const count =
        counts &&
        (statuses ?? Object.keys(counts)).reduce((sum, status) => sum + (counts[status] ?? 0), 0);
      rebuild(chip, word, counts && element("b", { text: count }));
    }
  }

  look() {
    const { node } = this.board.store;
    if (this.board.route.view !== "board") return this.section.rest();
    const { statuses } = CHIPS[this.filter];
    const none = node?.role === "agent" ? NONE_HERE : NONE;
    const filters = statuses ? { status: statuses.join(",") } : {};
    return this.section.ask(filters, this.order.value, statuses ? "No such task." : none);
  }
}

customElements.define("task-list", TaskList);
