// The locks a hub has granted: who holds what, and whether the holder still answers.

import { element, rebuild } from "./dom.js";
import { toned } from "./states.js";
import { taskLink } from "./task-wait.js";
import { timeSince } from "./time.js";

class LockList extends HTMLElement {
  attach(board) {
    this.board = board;
    this.hidden = true;
    this.list = element("ul", { class: "locks" });
    this.append(
      element("header", { class: "section-head" }, element("h3", { text: "Locks held" })),
      this.list,
    );
    // Locks have no topic of their own: they change when tasks do, as the counts do.
    board.store.watch("summary", () => this.load());
    board.route.watch(() => this.load());
  }

  async load() {
    const { node } = this.board.store;
    if (node?.role !== "hub" || this.isMissing || this.board.route.view !== "tasks") return;
    try {
      const { body } = await this.board.api.get("/api/locks");
      this.show(body.items);
    } catch (problem) {
      this.isMissing = problem.status === 404;
    }
  }

  show(locks) {
    this.hidden = locks.length === 0;
    const suspect = { word: "Holder silent", shape: "triangle", tone: "warn" };
    rebuild(
      this.list,
      locks.map((lock) =>
        element(
          "li",
          { class: "lock" },
          element("strong", { text: lock.name }),
          lock.suspect && toned(suspect),
          element(
            "span",
            { class: "muted" },
            `${lock.device} for `,
            taskLink(this.board, lock.task),
            " · since ",
            timeSince(lock.granted_at),
          ),
        ),
      ),
    );
  }
}

customElements.define("lock-list", LockList);
