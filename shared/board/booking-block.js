// One booking in a column of the calendar: as long as it lasts, with its shape and its word.

import { element, rebuild, shape } from "./dom.js";
import { bookingTitle, heldText, isOurs, kindOf, lookOf, namesOf, whenOf } from "./booking-words.js";
import { timeText } from "./zone-clock.js";

/** An empty place in a column; `fillBlock` says which booking. */
export function emptyBlock() {
  return element("li", { class: "cal-place" }, element("button", { type: "button" }));
}

/** Say what a booking is; where it stands is the column's matter. */
export function fillBlock(board, place, booking) {
  const button = place.firstElementChild;
  const zone = booking.timezone ?? "UTC";
  const look = lookOf(booking);
  const [from, to] = [booking.start, booking.end].map((iso) => timeText(Date.parse(iso), zone));
  const title = bookingTitle(booking);
  const until = booking.status === "held" ? ` ${heldText(booking)}` : "";
  const names = namesOf(board.store, booking.resources);
  button.className = "booking";
  button.dataset.id = booking.id;
  button.dataset.kind = kindOf(booking);
  button.classList.toggle("movable", isOurs(booking));
  button.title = `${look.word}${until}: ${title}, ${from}–${to}`;
  button.setAttribute(
    "aria-label",
    [look.word + until, title, whenOf(booking), names, booking.requester]
      .filter(Boolean)
      .join(", "),
  );
  rebuild(
    button,
    element(
      "span",
      { class: "booking-line" },
      shape(look.shape),
      element("b", { text: look.word }),
      element("span", { text: ` ${from}–${to}` }),
    ),
    element(
      "span",
      { class: "booking-line" },
      element("span", { class: "booking-title", text: title }),
      booking.requester && element("span", { class: "muted", text: ` · ${booking.requester}` }),
    ),
  );
}
