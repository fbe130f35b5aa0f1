// The tasks in full: what waits, what runs, what failed, what ended; or one status of them.

import { element } from "./dom.js";
import "./lock-list.js";
import "./queue-list.js";
import { statusWord } from "./states.js";
import "./task-chips.js";
import "./task-filters.js";
import { WAITING } from "./task-query.js";
import "./task-section.js";

// Elsewhere each list would push the next out of sight.
const PHONE = matchMedia("(max-width: 899px)");

/** The lists at a glance, by where they stand on a wide screen. */
const SECTIONS = {
  waiting: {
    title: "Waiting",
    statuses: WAITING,
    order: "urgent",
    byPriority: true,
    size: [50, 10],
    empty: "Nothing waits: whatever was submitted has started.",
  },
  running: {
    title: "Running",
    statuses: ["running"],
    order: "newest",
    size: [25, 10],
    empty: "Nothing runs at present.",
  },
  cancelling: {
    title: "Being cancelled",
    statuses: ["cancelling"],
    order: "newest",
    hidesEmpty: true,
    size: [10, 5],
    empty: "",
  },
  unknown: {
    title: "Outcome unknown",
    statuses: ["unknown"],
    order: "newest",
    hidesEmpty: true,
    size: [25, 5],
    empty: "",
  },
  dead: {
    title: "Failed",
    statuses: ["dead"],
    order: "newest",
    size: [25, 5],
    empty: "Nothing failed for good. What fails after its last attempt waits here for a retry.",
  },
  ended: {
    title: "Ended",
    statuses: ["succeeded", "cancelled", "expired"],
    order: "newest",
    size: [25, 5],
    empty: "Nothing has ended yet.",
  },
};
const PARTS = ["task-chips", "task-filters", "queue-list", "lock-list"];
const COLUMNS = [["waiting"], ["running", "cancelling", "ended"], ["unknown", "dead"]];
const HERE =
  "Nothing waits here. An agent knows the tasks that it was given and those submitted at it; " +
  "the hub knows all.";
const ONE = { size: 100, empty: "No such task." };

class TaskPage extends HTMLElement {
  attach(board) {
    this.board = board;
    this.sections = new Map(Object.keys(SECTIONS).map((key) => [key, this.section(key)]));
    this.one = element("task-section", { class: "task-one" });
    const [chips, filters, queues, locks] = PARTS.map((name) => element(name));
    const columns = COLUMNS.map((keys) =>
      element(
        "div",
        { class: "task-column" },
        keys.map((key) => this.sections.get(key)),
      ),
    );
    columns.at(-1).append(queues, locks);
    this.columns = element("div", { class: "task-columns" }, columns);
    this.append(this.head(), chips, filters, this.columns, this.one);
    for (const [key, section] of this.sections) {
      const { size, ...options } = SECTIONS[key];
      const hidesEmpty = options.hidesEmpty || (key === "dead" && PHONE.matches);
      section.attach(board, { ...options, hidesEmpty, size: size[PHONE.matches ? 1 : 0] });
    }
    this.one.attach(board, ONE);
    for (const part of [chips, filters, queues, locks]) part.attach(board);
    board.store.watch("summary", () => this.showCounts());
    board.store.watch("node", () => this.look());
    board.route.watch(() => this.look());
  }

  head() {
    const add = element("button", { type: "button", class: "primary", text: "New task" });
    add.addEventListener("click", () => this.board.openTaskForm());
    return element("header", { class: "section-head" }, element("h2", { text: "Tasks" }), add);
  }

  section(key) {
    return element("task-section", { data: { section: key } });
  }

  look() {
    const { view, filters } = this.board.route;
    const isShown = view === "tasks";
    const { status, ...narrowed } = filters;
    this.columns.hidden = Boolean(status);
    this.one.hidden = !status;
    for (const [key, section] of this.sections) {
      const { statuses, order } = SECTIONS[key];
      if (isShown && !status)
        section.ask({ status: statuses.join(","), ...narrowed }, order, this.empty(key, narrowed));
      else section.rest();
    }
    if (isShown && status) {
      const isWaiting = status.split(",").every((word) => WAITING.includes(word));
      this.one.ask(filters, isWaiting ? "urgent" : "newest", emptyText(status, narrowed));
    } else this.one.rest();
    this.showCounts();
  }

  empty(key, narrowed) {
    if (Object.keys(narrowed).length > 0) return "None with these filters.";
    const isAgent = this.board.store.node?.role === "agent";
    return key === "waiting" && isAgent ? HERE : SECTIONS[key].empty;
  }

  /** The counts are of all tasks: of a narrowed list they would say something else. */
  showCounts() {
    const { status, ...narrowed } = this.board.route.filters;
    const counts = Object.keys(narrowed).length === 0 ? this.board.store.summary?.by_status : null;
    for (const [key, section] of this.sections) {
      const sum = SECTIONS[key].statuses.reduce((total, word) => total + (counts?.[word] ?? 0), 0);
      section.showCount(counts ? sum : null);
    }
  }
}

function emptyText(status, narrowed) {
  const words = status.split(",").map((word) => statusWord(word).toLowerCase());
  const where = Object.keys(narrowed).length > 0 ? " and these filters" : "";
  return `No task with the status “${words.join("” or “")}”${where} at present.`;
}

customElements.define("task-page", TaskPage);
