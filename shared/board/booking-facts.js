// The facts of a booking: when, by whose clock, who and what.

import { heldText, namesOf, whenOf } from "./booking-words.js";
import { element } from "./dom.js";
import { timeSince } from "./time.js";
import { MINUTE_MS, localOf, offsetOf, offsetText, timeText } from "./zone-clock.js";

/** A list of them. */
export function bookingFacts(board, booking) {
  const { start, end, timezone, resources, requester, series, source, id } = booking;
  const zone = timezone ?? "UTC";
  const minutes = start && Math.round((Date.parse(end) - Date.parse(start)) / MINUTE_MS);
  const facts = [
    ["When", start && withYear(booking)],
    ["Clock", start && `${zone} (${offsetText(Date.parse(start), zone)})${here(booking)}`],
    ["Length", minutes && `${minutes} min`],
    ["Takes", namesOf(board.store, resources)],
    ["Held", booking.status === "held" && heldText(booking)],
    ["For", !source && requester],
    ["Calendar", source && `${source}: change it there, then import it again`],
    ["Imported by", source && requester],
    ["Series", series && "one of several, each a booking of its own"],
    [source ? "Imported" : "Asked", timeSince(booking.created_at)],
    ["Id", element("span", { class: "code", text: id })],
  ];
  return element(
    "dl",
    { class: "facts" },
    facts
      .filter(([, value]) => value)
      .map(([name, value]) => [element("dt", { text: name }), element("dd", {}, value)]),
  );
}

function withYear(booking) {
  const { day } = localOf(Date.parse(booking.start), booking.timezone ?? "UTC");
  return whenOf(booking).replace(",", ` ${day.slice(0, 4)},`);
}

/** The same by the reader's own clock, where that is another. */
function here({ start, timezone }) {
  const ms = Date.parse(start);
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (offsetOf(ms, own) === offsetOf(ms, timezone ?? "UTC")) return "";
  return `, ${timeText(ms, own)} by your clock`;
}
