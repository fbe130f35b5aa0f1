// The list of what needs a person, with what can be done about it in one press.

import { needing } from "./booking-attention.js";
import { settleRefusal } from "./booking-refusals.js";
import { ALIVE, bookingMarks, bookingTitle, namesOf, reasonText, whenOf } from "./booking-words.js";
import { KeyedList, element, rebuild } from "./dom.js";

// There the calendar comes first, and the count says that there is something.
const PHONE = matchMedia("(max-width: 899px)");

class BookingNeeds extends HTMLElement {
  attach(board) {
    this.board = board;
    this.count = element("b", { class: "count" });
    this.list = element("ul", { class: "needs" });
    this.append(
      element(
        "details",
        { open: !PHONE.matches },
        element("summary", {}, element("h3", {}, "Needs somebody", this.count)),
        this.list,
      ),
    );
    this.rows = new KeyedList(
      this.list,
      () => element("li", { class: "card" }),
      (row, booking) => this.fill(row, booking),
    );
    for (const topic of ["bookings", "node", "resources"])
      board.store.watch(topic, () => this.show());
  }

  show() {
    const found = needing(this.board.store);
    this.hidden = found.length === 0;
    this.count.textContent = found.length || "";
    this.rows.show(found);
  }

  fill(row, booking) {
    const reasons = booking.reasons.length > 0 ? booking.reasons : booking.outside;
    const isRefusal = booking.reasons.length > 0;
    const open = element("button", {
      type: "button",
      class: "link",
      data: { action: "open" },
      text: bookingTitle(booking),
    });
    open.addEventListener("click", () => this.board.route.openBooking(booking.id));
    const done = element("button", { type: "button", class: "link small", text: "Done with it" });
    done.addEventListener("click", () =>
      settleRefusal(ALIVE.has(booking.status) ? booking.etag : booking.id),
    );
    rebuild(
      row,
      open,
      element("p", { class: "current-line" }, bookingMarks(booking)),
      element("p", {
        class: "muted",
        text: `${whenOf(booking)} · ${namesOf(this.board.store, booking.resources)}`,
      }),
      reasons.length > 0 &&
        element("p", { class: "needs-why", text: reasonText(this.board.store, reasons[0]) }),
      isRefusal && done,
    );
  }
}

customElements.define("booking-needs", BookingNeeds);
