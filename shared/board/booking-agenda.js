// A week on a phone: seven columns would be too narrow to read or to hit, so it is a list of days.

import { bookingMarks, bookingTitle } from "./booking-words.js";
import { element, rebuild } from "./dom.js";
import { changeText, hoursText } from "./resource-hours.js";
import { dayOf, dayText, timeText } from "./zone-clock.js";

class BookingAgenda extends HTMLElement {
  attach(board) {
    this.board = board;
  }

  /** @param {{resource: object, day: string}[]} wanted */
  show(wanted, bookings) {
    rebuild(
      this,
      wanted.map(({ resource, day }) => this.day(resource, day, bookings)),
    );
  }

  day(resource, day, bookings) {
    const interval = dayOf(day, resource.timezone);
    const { start, end } = interval;
    const here = bookings.filter(
      (one) =>
        one.resources.includes(resource.id) &&
        Date.parse(one.start) < end &&
        Date.parse(one.end) > start,
    );
    const href = this.board.route.constructor.toBookings({ resources: [resource.id], day });
    const told = [hoursText(resource, day), changeText(interval)].filter(Boolean).join(" · ");
    return element(
      "section",
      { class: "agenda-day", "aria-label": dayText(day) },
      element(
        "header",
        { class: "section-head" },
        element("h3", {}, element("a", { href, data: { action: day }, text: dayText(day) })),
        element("span", { class: "muted", text: told }),
      ),
      here.length > 0 &&
        element(
          "ul",
          { class: "tasks" },
          here.map((one) => this.row(one, resource.timezone)),
        ),
    );
  }

  row(booking, zone) {
    const [from, to] = [booking.start, booking.end].map((iso) => timeText(Date.parse(iso), zone));
    const open = element("button", {
      type: "button",
      class: "link",
      data: { action: booking.id },
      text: `${from}–${to} ${bookingTitle(booking)}`,
    });
    open.addEventListener("click", () => this.board.route.openBooking(booking.id));
    return element(
      "li",
      { class: "task" },
      element(
        "div",
        { class: "task-lines" },
        open,
        element("span", { class: "current-line" }, bookingMarks(booking)),
      ),
    );
  }
}

customElements.define("booking-agenda", BookingAgenda);
