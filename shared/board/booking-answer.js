// What the node says when something cannot be booked: why, what is in the way, and what would do,
// each a button that takes it.

import { bookingTitle, namesOf, reasonText, whenOf } from "./booking-words.js";
import { element, shape } from "./dom.js";
import { once } from "./forms.js";

/** A time that would do, as a button. */
export function slotButton(board, slot, take, verb = "Book") {
  const text = whenOf(slot);
  const names = namesOf(board.store, slot.resources);
  const button = element(
    "button",
    { type: "button", class: "slot", "aria-label": `${verb} ${text}, ${names}` },
    element("b", { text }),
    element("span", { class: "muted", text: names }),
  );
  button.addEventListener("click", () => once(button, () => take(slot)));
  return button;
}

/** Times that would do, as buttons; `take` gets the one that is pressed. */
export function slotButtons(board, slots, take, verb) {
  return element(
    "ul",
    { class: "slots" },
    slots.map((slot) => element("li", {}, slotButton(board, slot, take, verb))),
  );
}

/** Why not, in sentences. */
export function reasonList(board, reasons) {
  return element(
    "ul",
    { class: "reasons" },
    reasons.map((one) =>
      element("li", {}, shape("barred"), element("span", { text: reasonText(board.store, one) })),
    ),
  );
}

class BookingAnswer extends HTMLElement {
  /**
   * @param {object} does
   * @param {(slot: object) => Promise<void>} does.take books an alternative
   * @param {() => Promise<void>} [does.anyway] asks the hub though this node thinks not
   * @param {string} [does.verb] what the buttons of the alternatives do
   */
  attach(board, does) {
    this.board = board;
    this.does = does;
    this.setAttribute("role", "alert");
  }

  clear() {
    this.replaceChildren();
  }

  /** @param {Error} problem as the API threw it; any other is shown as it is */
  show(problem) {
    const { reasons, conflicts = [], alternatives = [] } = problem.facts ?? {};
    if (problem.status !== 409 || !reasons) {
      const text = element("problem-text");
      this.replaceChildren(text);
      text.show(problem);
      return;
    }
    const isAgent = this.board.store.node?.role === "agent";
    this.replaceChildren(
      element("h3", { text: isAgent ? "As far as is known here, it cannot be" : "It cannot be" }),
      reasonList(this.board, reasons),
      ...this.conflicts(conflicts),
      ...this.alternatives(alternatives),
      ...this.anyway(isAgent),
    );
    this.scrollIntoView({ block: "nearest" });
  }

  conflicts(conflicts) {
    if (conflicts.length === 0) return [];
    const { bookings } = this.board.store.records;
    const page = this.board.route.page || "#bookings";
    const line = (one) => {
      const known = bookings.get(one.booking);
      const href = `${page}&booking=${encodeURIComponent(one.booking)}`;
      const text = known ? bookingTitle(known) : "A booking";
      return element(
        "li",
        {},
        element("a", { href, text }),
        ` ${whenOf(one)} · ${namesOf(this.board.store, [one.resource])}`,
      );
    };
    return [
      element("h4", { text: "In the way" }),
      element("ul", { class: "conflicts" }, conflicts.map(line)),
    ];
  }

  alternatives(alternatives) {
    if (alternatives.length === 0)
      return [element("p", { class: "muted", text: "No other time was found near it." })];
    const { take, verb = "Book" } = this.does;
    return [
      element("h4", { text: "These would do" }),
      slotButtons(this.board, alternatives, take, verb),
    ];
  }

  anyway(isAgent) {
    if (!isAgent || !this.does.anyway) return [];
    const button = element("button", { type: "button", text: "Ask the hub all the same" });
    button.addEventListener("click", () => once(button, this.does.anyway));
    return [button];
  }
}

customElements.define("booking-answer", BookingAnswer);
