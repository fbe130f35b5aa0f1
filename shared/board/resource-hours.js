// When a resource is open, as its rules say: local wall time in, instants out.

import {
  MINUTE_MS,
  clockText,
  firstAt,
  isZone,
  localOf,
  plusDays,
  timeText,
  weekday,
} from "./zone-clock.js";

export const WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const STEP_MIN = 15;

const CAUSES = { holiday: "holiday", leave: "on leave", extra: "extra hours" };

function exceptionOn(hours, day) {
  return hours.exceptions?.find(({ first, last }) => first <= day && day <= (last ?? first));
}

/** The hours on paper that begin on a day: ["09:00-17:00"]. */
function spansOn(resource, day) {
  const { hours } = resource;
  const exception = exceptionOn(hours, day);
  if (exception) return exception.hours ?? [];
  if (hours.holidays && resource.public_holidays?.[day]) return [];
  return hours.week?.[WEEK[weekday(day)]] ?? [];
}

/** What is told of a day: "09:00–17:00", or "closed: on leave, skiing". */
export function hoursText(resource, day) {
  const spans = spansOn(resource, day);
  const exception = exceptionOn(resource.hours, day);
  const holiday = resource.hours.holidays && resource.public_holidays?.[day];
  const why = exception
    ? [CAUSES[exception.cause], exception.note].filter(Boolean).join(", ")
    : holiday;
  if (spans.length === 0) return why ? `closed: ${why}` : "closed";
  const open = spans.map((span) => span.replace("-", "–")).join(", ");
  return exception && why ? `${open} (${why})` : open;
}

/** The open intervals of a resource within `[start, end)`, merged. */
export function openWithin(resource, start, end) {
  const zone = resource.timezone;
  const last = localOf(end, zone).day;
  const found = [];
  // From the day before: its night may not be over.
  for (let day = plusDays(localOf(start, zone).day, -1); day <= last; day = plusDays(day, 1)) {
    for (const span of spansOn(resource, day)) {
      const [opens, closes] = span.split("-").map(onPaper);
      const until = closes <= opens ? [plusDays(day, 1), closes] : [day, closes];
      const interval = { start: firstAt(day, opens, zone), end: firstAt(...until, zone) };
      if (interval.start < interval.end) found.push(interval);
    }
  }
  const merged = [];
  for (const interval of found.sort((one, other) => one.start - other.start)) {
    const before = merged.at(-1);
    if (before && interval.start <= before.end) before.end = Math.max(before.end, interval.end);
    else merged.push({ ...interval });
  }
  return merged
    .map((one) => ({
      start: Math.max(one.start, start),
      end: Math.min(one.end, end),
      opens: one.start,
    }))
    .filter((one) => one.start < one.end);
}

/** What is left of `[start, end)`: when it is closed. */
export function closedWithin(open, start, end) {
  const found = [];
  let from = start;
  for (const one of open) {
    if (one.start > from) found.push({ start: from, end: one.start });
    from = one.end;
  }
  if (from < end) found.push({ start: from, end });
  return found;
}

function onPaper(text) {
  const [hours, minutes] = text.trim().split(":").map(Number);
  return hours * 60 + minutes;
}

/** Minutes from one possible start to the next. */
export function stepOf(resource) {
  return resource.limits?.grid?.minutes ?? STEP_MIN;
}

/** The last possible start at or before an instant, by the grid of a resource. */
export function snap(resource, ms) {
  const step = stepOf(resource);
  const grid = resource.limits?.grid;
  if (grid?.anchor === "opening") {
    const opening = openWithin(resource, ms, ms + 1)[0];
    if (opening) return ms - ((ms - opening.opens) % (step * MINUTE_MS));
  }
  const { minutes } = localOf(ms, resource.timezone);
  const whole = ms - (ms % MINUTE_MS);
  return whole - (minutes % step) * MINUTE_MS;
}

/** For people: "Europe/Berlin, now 14:05". */
export function zoneText(zone, nowMs) {
  const name = isZone(zone) ? zone.replaceAll("_", " ") : `UTC (this browser knows no ${zone})`;
  return `${name}, now ${timeText(nowMs, zone)}`;
}

/** "23 h: the clock goes forward", or nothing on a plain day. */
export function changeText({ start, end }) {
  const minutes = Math.round((end - start) / MINUTE_MS);
  if (minutes === 1440) return "";
  const long = minutes % 60 === 0 ? `${minutes / 60} h` : `${clockText(minutes)} h`;
  return `${long} long: the clock goes ${minutes < 1440 ? "forward" : "back"}`;
}
