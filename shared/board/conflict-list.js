// Open conflicts: what was said by people or machines that did not know of each other.

import { conflictChoices, subjectName } from "./conflict-card.js";
import { KeyedList, element, rebuild } from "./dom.js";
import { waitingText } from "./notices.js";
import { timeSince } from "./time.js";

const REGISTERS = { "state.person": "reported by people", "state.machine": "reported by machines" };

class ConflictList extends HTMLElement {
  attach(board) {
    this.board = board;
    this.known = null;
    this.list = element("ul", { class: "conflicts" });
    this.empty = element("p", { class: "empty" });
    this.count = element("b", { class: "count" });
    this.heading = element("h2", { tabindex: -1 }, "Conflicts", this.count);
    this.append(element("header", { class: "section-head" }, this.heading), this.empty, this.list);
    this.cards = new KeyedList(
      this.list,
      () => element("li", { class: "card" }),
      (card, record) => this.fill(card, record),
    );
    board.store.watch("conflicts", () => this.show());
    for (const topic of ["connection", "uplink"]) board.store.watch(topic, () => this.showEmpty());
  }

  show() {
    const conflicts = [...this.board.store.records.conflicts.values()];
    conflicts.sort((a, b) => (a.since < b.since ? -1 : 1));
    this.announceNew(conflicts);
    const hadFocus = this.list.contains(document.activeElement);
    this.cards.show(conflicts);
    // The settled card took the focus with it: the keyboard goes on from here, not from the top.
    if (hadFocus && !this.list.contains(document.activeElement))
      this.heading.focus({ preventScroll: true });
    this.count.textContent = conflicts.length || "";
    this.dataset.open = String(conflicts.length);
    this.showEmpty();
  }

  announceNew(conflicts) {
    const ids = new Set(conflicts.map((conflict) => conflict.id));
    for (const conflict of this.known ? conflicts : []) {
      if (!this.known.has(conflict.id))
        this.board.announcer.say(`New conflict about ${subjectName(this.board, conflict)}.`);
    }
    if (this.board.store.loaded.has("conflicts")) this.known = ids;
  }

  showEmpty() {
    const { loaded, connection, records, uplink } = this.board.store;
    this.empty.hidden = records.conflicts.size > 0;
    if (!loaded.has("conflicts")) this.empty.textContent = waitingText(connection.phase);
    else if (uplink?.hub && !uplink.connected)
      this.empty.textContent = "None known here. What others say meanwhile comes with the link.";
    else this.empty.textContent = "None to settle.";
  }

  fill(card, conflict) {
    card.dataset.id = conflict.id;
    const name = subjectName(this.board, conflict);
    const title = element("button", {
      type: "button",
      class: "link",
      data: { action: "open" },
      text: name,
    });
    title.addEventListener("click", () => this.board.openEquipment(conflict.subject));
    rebuild(
      card,
      element(
        "p",
        { class: "card-title" },
        conflict.kind === "equipment" ? title : element("strong", { text: name }),
        element(
          "span",
          { class: "muted" },
          `${REGISTERS[conflict.register] ?? conflict.register} · open since `,
          timeSince(conflict.since),
        ),
      ),
      conflictChoices(this.board, conflict),
    );
  }
}

customElements.define("conflict-list", ConflictList);
