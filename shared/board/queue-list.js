// The queues, one for each type of task: how much waits and runs, and a switch that pauses it.

import { KeyedList, element } from "./dom.js";
import "./queue-row.js";

class QueueList extends HTMLElement {
  attach(board) {
    this.board = board;
    this.hidden = true;
    this.list = element("div", { class: "queues", role: "list" });
    this.empty = element("p", {
      class: "empty",
      text: "No queues yet. Each type of task has one, once a task or a device of it is known.",
    });
    this.append(
      element("header", { class: "section-head" }, element("h3", { text: "Queues" })),
      this.empty,
      this.list,
    );
    this.rows = new KeyedList(
      this.list,
      () => {
        const row = element("queue-row", { role: "listitem" });
        row.attach(board);
        return row;
      },
      (row, queue) => row.show(queue),
    );
    board.store.watch("queues", () => this.show());
  }

  show() {
    const { loaded, records } = this.board.store;
    const queues = [...records.queues.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.hidden = !loaded.has("queues");
    this.list.hidden = queues.length === 0;
    this.empty.hidden = queues.length > 0;
    this.rows.show(queues);
  }
}

customElements.define("queue-list", QueueList);
