// What bookings are called, and how each status looks: word and shape always, colour besides.

import { toned } from "./states.js";
import { spanText, timeText } from "./zone-clock.js";

const STATUSES = {
  requested: { word: "Requested", shape: "ring", tone: "waiting" },
  held: { word: "Held", shape: "pause", tone: "warn" },
  confirmed: { word: "Confirmed", shape: "check", tone: "good" },
  refused: { word: "Refused", shape: "barred", tone: "bad" },
  cancelled: { word: "Cancelled", shape: "cross", tone: "quiet" },
  expired: { word: "Hold ran out", shape: "cross", tone: "quiet" },
  "no-show": { word: "Nobody came", shape: "away", tone: "quiet" },
};
const OVERBOOKED = { word: "Overbooked", shape: "layers", tone: "bad" };
const OUTSIDE = { word: "Outside rules", shape: "triangle", tone: "warn" };
const IMPORTED = { word: "Busy", shape: "square", tone: "quiet" };
const ASKED = { word: "Change requested", shape: "ring", tone: "waiting" };

/** Those that are still on, or ahead. */
export const ALIVE = new Set(["requested", "held", "confirmed"]);

/** Whether people can move or cancel it here; busy time of a calendar is changed in that calendar. */
export function isOurs(booking) {
  return ALIVE.has(booking.status) && !booking.source;
}

/** Which word a booking is shown under: what needs a person before what stands. */
export function lookOf(booking) {
  if (!ALIVE.has(booking.status)) return STATUSES[booking.status] ?? STATUSES.requested;
  if (booking.overbooked) return OVERBOOKED;
  if (booking.outside.length > 0) return OUTSIDE;
  if (booking.source) return IMPORTED;
  if (booking.tentative && booking.status !== "requested") return ASKED;
  return STATUSES[booking.status];
}

/** For style sheets: the same as one word. */
export function kindOf(booking) {
  if (!ALIVE.has(booking.status)) return booking.status;
  if (booking.overbooked) return "overbooked";
  if (booking.outside.length > 0) return "outside";
  if (booking.source) return "imported";
  return booking.tentative ? "requested" : booking.status;
}

/** All that is to be said of a booking, each with shape and word. */
export function bookingMarks(booking) {
  const isAlive = ALIVE.has(booking.status);
  const marks = [
    isAlive && booking.source ? IMPORTED : STATUSES[booking.status],
    isAlive && booking.overbooked && OVERBOOKED,
    isAlive && booking.outside.some(isRule) && OUTSIDE,
    booking.tentative && booking.status !== "requested" && ASKED,
  ];
  return marks.filter(Boolean).map(toned);
}

/** More bookings than places have a word of their own. */
function isRule({ rule }) {
  return rule !== "capacity";
}

export function statusWordOf(booking) {
  return lookOf(booking).word;
}

/** What a booking is called. */
export function bookingTitle(booking) {
  return booking.title || "Booking";
}

/** Resources by their names. */
export function namesOf(store, ids) {
  return ids.map((id) => store.records.resources.get(id)?.name || id).join(" + ");
}

/** When, by the clock of its resources. */
export function whenOf({ start, end, timezone }) {
  if (!start) return "";
  return spanText(Date.parse(start), Date.parse(end), timezone ?? "UTC");
}

/** "until 14:20" of a hold. */
export function heldText({ held_until: until, timezone }) {
  return until ? `until ${timeText(Date.parse(until), timezone ?? "UTC")}` : "";
}

/** A reason as a sentence: what it names by id, people know by name. */
export function reasonText(store, { text, resource, bookings }) {
  let told = text;
  for (const id of bookings ?? []) {
    const known = store.records.bookings.get(id);
    told = told.replaceAll(id, known ? `“${bookingTitle(known)}”` : "another booking");
  }
  const name = resource && store.records.resources.get(resource)?.name;
  if (name && told.startsWith(resource)) told = name + told.slice(resource.length);
  const whole = told[0].toUpperCase() + told.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
