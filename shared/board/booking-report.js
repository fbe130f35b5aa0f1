// What became of a series: each of its times, booked or why not, and what would do instead.

import { reasonList, slotButtons } from "./booking-answer.js";
import { whenOf } from "./booking-words.js";
import { element } from "./dom.js";
import { toned } from "./states.js";

const BOOKED = { word: "Booked", shape: "check", tone: "good" };
const WOULD_FIT = { word: "Would fit", shape: "ring", tone: "waiting" };
const NOT = { word: "Not booked", shape: "barred", tone: "bad" };

/** @param {(slot: object) => Promise<boolean>} take books an alternative; whether it could */
export function seriesReport(board, occurrences, take) {
  const booked = occurrences.filter((one) => one.accepted).length;
  return element(
    "section",
    { class: "series-report" },
    element("h3", { text: `${booked} of ${occurrences.length} booked` }),
    element(
      "ol",
      { class: "rows" },
      occurrences.map((one) => row(board, one, take)),
    ),
  );
}

function row(board, one, take) {
  const node = element("li");
  const instead = async (slot) => {
    if (await take(slot)) node.replaceChildren(line(BOOKED, slot));
  };
  node.append(...parts(board, one, instead).filter(Boolean));
  return node;
}

function line(mark, slot, more = "") {
  return element(
    "p",
    { class: "current-line" },
    toned(mark),
    element("b", { text: whenOf(slot) }),
    more,
  );
}

function parts(board, one, take) {
  // It fits by itself, and was withdrawn because others do not.
  const isHeldBack = !one.accepted && one.reasons.every(({ rule }) => rule === "series");
  const mark = one.accepted ? BOOKED : isHeldBack ? WOULD_FIT : NOT;
  const shifted = one.shifted ? " (moved: its time does not exist on that day)" : "";
  return [
    line(mark, one, shifted),
    !one.accepted && !isHeldBack && reasonList(board, one.reasons),
    !one.accepted &&
      !isHeldBack &&
      one.alternatives.length > 0 &&
      slotButtons(board, one.alternatives, take),
  ];
}
