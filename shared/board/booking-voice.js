// Says aloud what the hub decided about what was asked for here.

import { bookingTitle, statusWordOf, whenOf } from "./booking-words.js";

const SPOKEN = new Set(["confirmed", "refused", "held"]);
const REMEMBERED_MAX = 2_000;

/** Follow the bookings of a board for its announcer. */
export function giveBookingsVoice({ store, announcer }) {
  const waiting = new Set();
  store.watch("bookings", () => {
    for (const { id, tentative } of store.records.bookings.values())
      if (tentative && waiting.size < REMEMBERED_MAX) waiting.add(id);
    for (const id of waiting) {
      const booking = store.records.bookings.get(id);
      if (booking?.tentative) continue;
      waiting.delete(id);
      if (!booking || !SPOKEN.has(booking.status)) continue;
      const word = booking.reasons.length > 0 ? "Refused" : statusWordOf(booking);
      announcer.say(`${bookingTitle(booking)}, ${whenOf(booking)}: ${word.toLowerCase()}.`);
    }
  });
}
