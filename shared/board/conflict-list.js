// Open conflicts: what was said without knowing of each other, and one tap to settle it.

import { KeyedList, element, rebuild } from "./dom.js";
import { waitingText } from "./notices.js";
import { STATES, stateMark, stateWord } from "./states.js";
import { duration, timeSince } from "./time.js";

const REGISTERS = { "state.person": "reported by people", "state.machine": "reported by machines" };
const POLICIES = { "most-severe": "the most severe", latest: "the latest" };

class ConflictList extends HTMLElement {
  attach(board) {
    this.board = board;
    this.known = null;
    this.list = element("ul", { class: "conflicts" });
    this.empty = element("p", { class: "empty" });
    this.count = element("b", { class: "count" });
    this.append(
      element("header", { class: "section-head" }, element("h2", {}, "Conflicts ", this.count)),
      this.empty,
      this.list,
    );
    this.cards = new KeyedList(
      this.list,
      () => element("li", { class: "card" }),
      (card, record) => this.fill(card, record),
    );
    board.store.watch("conflicts", () => this.show());
    board.store.watch("connection", () => this.showEmpty());
  }

  show() {
    const conflicts = [...this.board.store.records.conflicts.values()];
    conflicts.sort((a, b) => (a.since < b.since ? -1 : 1));
    this.announceNew(conflicts);
    this.cards.show(conflicts);
    this.count.textContent = conflicts.length || "";
    this.dataset.open = String(conflicts.length);
    this.showEmpty();
  }

  announceNew(conflicts) {
    const ids = new Set(conflicts.map((conflict) => conflict.id));
    for (const conflict of this.known ? conflicts : []) {
      if (!this.known.has(conflict.id))
        this.board.announcer.say(`New conflict about ${this.nameOf(conflict)}.`);
    }
    if (this.board.store.loaded.has("conflicts")) this.known = ids;
  }

  showEmpty() {
    const { loaded, connection, records } = this.board.store;
    this.empty.hidden = records.conflicts.size > 0;
    this.empty.textContent = loaded.has("conflicts")
      ? "None. All reports agree."
      : waitingText(connection.phase);
  }

  nameOf(conflict) {
    return this.board.store.records.equipment.get(conflict.subject)?.name ?? conflict.subject;
  }

  fill(card, conflict) {
    card.dataset.id = conflict.id;
    const title = element("button", {
      type: "button",
      class: "link",
      data: { action: "open" },
      text: this.nameOf(conflict),
    });
    title.addEventListener("click", () => this.board.openEquipment(conflict.subject));
    const isEquipment = conflict.kind === "equipment";
    rebuild(
      card,
      element(
        "p",
        { class: "card-title" },
        isEquipment ? title : element("strong", { text: conflict.subject }),
        element(
          "span",
          { class: "muted" },
          `${REGISTERS[conflict.register] ?? conflict.register} · open since `,
          timeSince(conflict.since),
        ),
      ),
      element(
        "p",
        { class: "muted" },
        `Until someone decides, ${POLICIES[conflict.policy] ?? conflict.policy} is shown: `,
        element("strong", { text: valueWord(conflict.shown) }),
        ".",
      ),
      element(
        "ul",
        { class: "siblings" },
        conflict.siblings.map((sibling) => this.sibling(conflict, sibling)),
      ),
    );
  }

  sibling(conflict, sibling) {
    const word = valueWord(sibling.value);
    const where = sibling.device ? ` on ${sibling.device}` : "";
    const keep = element("button", {
      type: "button",
      class: "keep",
      "aria-label": `Keep ${word}, said by ${sibling.actor}${where}`,
      data: { action: `keep-${sibling.dot.origin}-${sibling.dot.seq}` },
      text: "Keep this",
    });
    keep.addEventListener("click", () => this.resolve(conflict, sibling, keep));
    return element(
      "li",
      { data: { state: sibling.value?.state ?? "" } },
      sibling.value?.state in STATES
        ? stateMark(sibling.value.state)
        : element("code", { text: word }),
      element(
        "div",
        {},
        element(
          "p",
          {},
          element("strong", { text: sibling.value?.reason ?? "" }),
          sibling.value?.note && ` ${sibling.value.note}`,
        ),
        element("p", { class: "muted" }, `${sibling.actor}${where} · `, timeSince(sibling.at)),
        sibling.offline_s >= 1 &&
          element("p", {
            class: "muted",
            text: `arrived after ${duration(sibling.offline_s)} offline`,
          }),
      ),
      keep,
    );
  }

  async resolve(conflict, sibling, button) {
    // Absent and null mean the same; the short form is what the contract shows.
    const value = Object.fromEntries(
      Object.entries(sibling.value).filter(([, part]) => part !== null),
    );
    button.disabled = true;
    try {
      const path = `/api/conflicts/${encodeURIComponent(conflict.id)}/resolve`;
      const { body } = await this.board.api.send("POST", path, { value, seen: conflict.etag });
      if (body?.status === "resolved") this.board.store.remove("conflicts", conflict.id);
      this.board.announcer.say(
        `Conflict about ${this.nameOf(conflict)} settled: ${valueWord(sibling.value)}.`,
      );
    } catch (problem) {
      this.board.notices.show(problem);
      button.disabled = false;
    }
  }
}

function valueWord(value) {
  if (value === null || value === undefined) return "nothing";
  return value.state in STATES ? stateWord(value.state) : JSON.stringify(value);
}

customElements.define("conflict-list", ConflictList);
