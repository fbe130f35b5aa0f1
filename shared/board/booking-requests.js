// What was asked about a booking, newest first, and what the hub said to it.

import { reasonList } from "./booking-answer.js";
import { namesOf, whenOf } from "./booking-words.js";
import { element } from "./dom.js";
import { toned } from "./states.js";
import { timeSince } from "./time.js";

const ASKS = {
  create: "Book",
  confirm: "Confirm",
  move: "Move",
  cancel: "Cancel",
  "no-show": "Nobody came",
};
const SAID = {
  true: { word: "Yes", shape: "check", tone: "good" },
  false: { word: "No", shape: "barred", tone: "bad" },
  null: { word: "Not decided", shape: "ring", tone: "waiting" },
};

/** @param {object} booking with its requests */
export function requestList(board, booking) {
  return element(
    "section",
    { class: "history" },
    element("h3", { text: "What was asked" }),
    element(
      "ol",
      { class: "rows" },
      [...booking.requests].reverse().map((one) => row(board, booking, one)),
    ),
  );
}

function row(board, { timezone, source }, one) {
  // Nobody asked for the busy time of a calendar, so nobody was told yes.
  const isImport = source && one.ask === "create";
  const slot = one.start && whenOf({ ...one, timezone });
  const names = one.resources && namesOf(board.store, one.resources);
  return element(
    "li",
    {},
    element(
      "p",
      { class: "history-row" },
      element("b", { text: isImport ? "Import" : (ASKS[one.ask] ?? one.ask) }),
      !isImport && toned(SAID[String(one.accepted)]),
      element(
        "span",
        { class: "muted" },
        [one.actor, one.device].filter(Boolean).join(" at "),
        " · ",
        timeSince(one.at),
      ),
    ),
    slot && element("p", { class: "muted", text: [slot, names].filter(Boolean).join(" · ") }),
    one.reasons.length > 0 && reasonList(board, one.reasons),
  );
}
