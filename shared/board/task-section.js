// A list of tasks with its heading: what one question to the node answers, as far as it was read.

import { KeyedList, element, rebuild } from "./dom.js";
import { waitingText } from "./notices.js";
import { PRIORITIES } from "./task-query.js";
import { fillTaskRow } from "./task-row.js";
import { TaskWindow } from "./task-window.js";

class TaskSection extends HTMLElement {
  /**
   * @param {object} board
   * @param {object} options
   * @param {string} [options.title] none: the list stands under a heading of its surroundings
   * @param {string} options.empty what to say when there is nothing
   * @param {number} options.size tasks to begin with
   * @param {boolean} [options.hidesEmpty] show nothing rather than say that there is nothing
   * @param {boolean} [options.byPriority] a heading for each priority
   */
  attach(board, options) {
    this.board = board;
    this.options = options;
    this.list = element("ul", { class: "tasks" });
    this.empty = element("p", { class: "empty" });
    this.problem = element("problem-text");
    this.more = element("button", {
      type: "button",
      class: "more",
      text: "Show more",
      on: { click: () => this.showMore() },
    });
    if (options.title) {
      this.count = element("b", { class: "section-count" });
      this.heading = element("h3", {}, options.title, this.count);
      this.append(element("header", { class: "section-head" }, this.heading));
    }
    this.append(this.problem, this.empty, this.list, this.more);
    this.rows = new KeyedList(
      this.list,
      () => element("li", { class: "task" }),
      (row, record) => this.fill(row, record),
    );
    this.window = new TaskWindow(board.store, options.size, () => this.show());
    for (const topic of ["connection", "node"]) board.store.watch(topic, () => this.showEmpty());
  }

  /** Show what the node has of these; see {@link TaskWindow}. */
  ask(filters, order, empty = this.options.empty) {
    this.emptyText = empty;
    this.window.ask(filters, order);
    this.showEmpty();
  }

  rest() {
    this.window.rest();
  }

  async showMore() {
    this.more.setAttribute("aria-disabled", "true");
    await this.window.more();
    this.more.removeAttribute("aria-disabled");
  }

  /** How many there are in all, where that is known: the node counts once in a while. */
  showCount(total) {
    this.total = total;
    this.drawCount();
  }

  /** A list that is whole says it itself: a count of before would contradict what stands below. */
  drawCount() {
    const { isLoaded, list, problem, hasMore } = this.window;
    const isWhole = isLoaded && !hasMore && problem === null;
    if (this.count) this.count.textContent = isWhole ? list.length : (this.total ?? "");
  }

  show() {
    const { list, problem, hasMore } = this.window;
    this.rows.show(this.options.byPriority ? withHeadings(list) : list);
    this.more.hidden = !hasMore;
    if (problem) this.problem.show(problem.status === 0 ? silent(problem) : problem);
    else this.problem.clear();
    this.drawCount();
    this.showEmpty();
  }

  showEmpty() {
    const { isLoaded, list, problem, hasMore } = this.window;
    const isEmpty = list.length === 0;
    if (this.options.hidesEmpty) this.hidden = isEmpty && !problem;
    this.empty.hidden = !isEmpty || problem !== null;
    if (!isLoaded) this.empty.textContent = waitingText(this.board.store.connection.phase);
    else if (hasMore) this.empty.textContent = "None among the tasks looked at so far.";
    else this.empty.textContent = this.emptyText;
  }

  fill(row, record) {
    row.classList.toggle("task-priority", record.isHeading === true);
    if (record.isHeading) rebuild(row, element("h4", { text: record.word }));
    else fillTaskRow(this.board, row, record, this.options.byPriority);
  }
}

/** Lists are read again without anybody asking. */
function silent({ title }) {
  return { title, detail: "This list comes by itself once the header says “Live”." };
}

// Made once: a list refreshes what is another object than before.
const HEADINGS = new Map(
  PRIORITIES.map((name) => [
    name,
    {
      id: `priority ${name}`,
      isHeading: true,
      word: `${name[0].toUpperCase()}${name.slice(1)} priority`,
    },
  ]),
);

function withHeadings(tasks) {
  return tasks.flatMap((task, index) =>
    task.priority === tasks[index - 1]?.priority ? [task] : [HEADINGS.get(task.priority), task],
  );
}

customElements.define("task-section", TaskSection);
