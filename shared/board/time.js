// Times as people read them: relative on the board, absolute in the tooltip.

import { element } from "./dom.js";

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
// A number at the end of a line and its unit on the next read as two things.
const NO_BREAK = "\u00a0";
const relativeFormat = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const clockFormat = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const absoluteFormat = new Intl.DateTimeFormat("en-GB", {
  dateStyle: "medium",
  timeStyle: "medium",
});

/** "3 min ago"; a stamp from a clock that runs ahead reads "in 3 min". */
function relative(iso, nowMs = Date.now()) {
  const seconds = Math.round((Date.parse(iso) - nowMs) / 1000);
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return inWords(Math.trunc(seconds / size), unit);
  }
  // A few seconds of difference between two clocks are not news.
  return seconds > 5 || seconds < -10 ? inWords(seconds, "second") : "just now";
}

function inWords(count, unit) {
  return relativeFormat.format(count, unit).replace(".", "");
}

/** Date and time in the reader's zone, to the second. */
export function absolute(iso) {
  return absoluteFormat.format(new Date(iso));
}

/** A `<time>` that {@link refreshTimes} keeps up to date. */
export function timeSince(iso) {
  if (!iso) return element("span", { text: "never" });
  return element("time", {
    datetime: iso,
    title: absolute(iso),
    text: relative(iso),
    data: { relative: "" },
  });
}

/** When, by the clock, and how far that is: what is still to come is planned by the clock. */
export function moment(iso) {
  const at = new Date(iso);
  const isToday = at.toDateString() === new Date().toDateString();
  return element("span", {}, (isToday ? clockFormat : dayFormat).format(at), " (", timeSince(iso), ")");
}

/** A duration in words: "45 s", "12 min", "3 h 20 min". */
export function duration(seconds) {
  return inUnits(seconds).replaceAll(" ", NO_BREAK);
}

function inUnits(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60)
    return `${seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Let every relative time in the page age. */
export function refreshTimes() {
  const nowMs = Date.now();
  for (const node of document.querySelectorAll("time[data-relative]")) {
    const text = relative(node.dateTime, nowMs);
    if (node.textContent !== text) node.textContent = text;
  }
}
