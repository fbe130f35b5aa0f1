// How many tasks there are of each status; pressing one shows these alone.

import { element, rebuild } from "./dom.js";
import { statusWord } from "./states.js";
import { STATUSES, WAITING } from "./task-query.js";

class TaskChips extends HTMLElement {
  attach(board) {
    this.board = board;
    this.className = "chips";
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "Show tasks by status");
    this.buttons = new Map(["", ...STATUSES].map((status) => [status, this.chip(status)]));
    this.append(...this.buttons.values());
    board.store.watch("summary", () => this.show());
    board.route.watch(() => this.show());
  }

  chip(status) {
    const chip = element("button", { type: "button", class: "chip", data: { status } });
    chip.addEventListener("click", () => {
      const { filters } = this.board.route;
      this.board.route.narrow({ ...filters, status });
      chip.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
    return chip;
  }

  show() {
    const { filters } = this.board.route;
    const { summary } = this.board.store;
    const isNarrowed = Object.keys(filters).some((name) => name !== "status");
    for (const [status, chip] of this.buttons) {
      chip.setAttribute("aria-pressed", String(status === (filters.status ?? "")));
      const count = status ? summary?.by_status[status] : summary?.total;
      const isCounted = count !== undefined && !isNarrowed;
      // Of very many that wait, the node looks at some and takes the rest for queued.
      const isRough = summary?.exact === false && WAITING.includes(status);
      chip.classList.toggle("none", isCounted && count === 0);
      rebuild(
        chip,
        status ? statusWord(status) : "All",
        isCounted && element("b", { text: isRough ? `~ ${count}` : count }),
      );
    }
  }
}

customElements.define("task-chips", TaskChips);
