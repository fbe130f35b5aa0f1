// The locks a hub has granted: who holds what, and whether the holder still answers.

import { KeyedList, element } from "./dom.js";
import "./lock-row.js";

class LockList extends HTMLElement {
  attach(board) {
    this.board = board;
    this.hidden = true;
    this.run = 0;
    this.list = element("div", { class: "locks", role: "list" });
    this.append(
      element("header", { class: "section-head" }, element("h3", { text: "Locks held" })),
      this.list,
    );
    this.rows = new KeyedList(
      this.list,
      () => {
        const row = element("lock-row", { role: "listitem" });
        row.attach(board, () => this.load());
        return row;
      },
      (row, lock) => row.show(lock),
    );
    // Locks have no topic of their own: they change when tasks do, as the counts do; and a device
    // that comes or goes makes its own suspect or not.
    board.store.watch("summary", () => this.load());
    board.store.watch("devices", () => this.followDevices());
    board.route.watch(() => this.load());
  }

  followDevices() {
    const devices = [...this.board.store.records.devices.values()];
    const here = devices.filter((device) => device.connected).map((device) => device.id);
    const isSame = here.sort().join() === this.here;
    this.here = here.join();
    if (!isSame) this.load();
  }

  async load() {
    const { node } = this.board.store;
    if (node?.role !== "hub" || this.isMissing || this.board.route.view !== "tasks") return;
    this.run += 1;
    const { run } = this;
    try {
      const { body } = await this.board.api.get("/api/locks");
      // An answer that a later one overtook would bring back what is free by now.
      if (run === this.run) this.show(body.items);
    } catch (problem) {
      this.isMissing = problem.status === 404;
    }
  }

  show(locks) {
    this.hidden = locks.length === 0;
    this.rows.show(locks.map((lock) => ({ id: `${lock.site}/${lock.name}`, ...lock })));
  }
}

customElements.define("lock-list", LockList);
