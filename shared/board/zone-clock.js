// The local clock of a time zone, as arithmetic: days of 23 or 25 hours come out right because
// positions are instants, and only their names are local.
//
// Instants are Unix ms, days are `2026-12-01`, times of a day are minutes since its midnight on
// paper.

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const formats = new Map();

function format(zone) {
  let found = formats.get(zone);
  if (!found) {
    found = new Intl.DateTimeFormat("en-US", {
      timeZone: isZone(zone) ? zone : "UTC",
      calendar: "gregory",
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set(zone, found);
  }
  return found;
}

/** Whether this browser knows the zone; of one that it does not know, UTC is shown and said. */
export function isZone(zone) {
  try {
    return Boolean(new Intl.DateTimeFormat("en-US", { timeZone: zone }));
  } catch {
    return false;
  }
}

/** What the local clock shows: its day, and its minutes since midnight. */
export function localOf(ms, zone) {
  const at = new Date(ms + offsetOf(ms, zone));
  return {
    day: at.toISOString().slice(0, 10),
    minutes: at.getUTCHours() * 60 + at.getUTCMinutes(),
  };
}

/** How far the local clock is ahead of UTC at an instant, ms. */
export function offsetOf(ms, zone) {
  const parts = Object.fromEntries(
    format(zone)
      .formatToParts(ms)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const { year, month, day, hour, minute, second } = parts;
  const whole = Math.floor(ms / 1000) * 1000;
  return Date.UTC(year, month - 1, day, hour, minute, second) - whole;
}

/** The first instant at which the local clock shows this time, or something later. */
export function firstAt(day, minutes, zone) {
  const wall = onPaper(day, minutes);
  const before = offsetOf(wall - DAY_MS, zone);
  const after = offsetOf(wall + DAY_MS, zone);
  const asBefore = wall - before;
  if (before === after || offsetOf(asBefore, zone) === before) return asBefore;
  // The clock was changed before it showed that: at the change, or later by the new clock.
  return Math.max(changeBetween(wall - DAY_MS, asBefore, zone), wall - after);
}

/** All instants at which the local clock shows exactly this: one, none, or two. */
export function instantsAt(day, minutes, zone) {
  const wall = onPaper(day, minutes);
  const found = [wall - DAY_MS, wall + DAY_MS].map((near) => wall - offsetOf(near, zone));
  return [...new Set(found)]
    .filter((ms) => ms + offsetOf(ms, zone) === wall)
    .sort((one, other) => one - other);
}

function onPaper(day, minutes) {
  return Date.parse(`${day}T00:00:00Z`) + minutes * MINUTE_MS;
}

function changeBetween(early, late, zone) {
  const before = offsetOf(early, zone);
  let [low, high] = [early, late];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetOf(middle, zone) === before) low = middle;
    else high = middle;
  }
  return high;
}

/** A local day as instants: `[start, end)`. */
export function dayOf(day, zone) {
  return { day, zone, start: firstAt(day, 0, zone), end: firstAt(plusDays(day, 1), 0, zone) };
}

export function plusDays(day, count) {
  return new Date(onPaper(day, 0) + count * DAY_MS).toISOString().slice(0, 10);
}

/** 0 is Monday. */
export function weekday(day) {
  return (new Date(onPaper(day, 0)).getUTCDay() + 6) % 7;
}

export function mondayOf(day) {
  return plusDays(day, -weekday(day));
}

/** "14:05" */
export function clockText(minutes) {
  const two = (number) => String(number).padStart(2, "0");
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** Minutes of "14:05"; null if it is none. */
export function minutesOf(text) {
  const match = /^(\d{1,2}):(\d{2})$/.exec(text.trim());
  if (!match) return null;
  const minutes = Number(match[1]) * 60 + Number(match[2]);
  return Number(match[2]) < 60 && minutes <= 1440 ? minutes : null;
}

/** "+01:00" */
export function offsetText(ms, zone) {
  const minutes = Math.round(offsetOf(ms, zone) / MINUTE_MS);
  return `${minutes < 0 ? "−" : "+"}${clockText(Math.abs(minutes))}`;
}

/** Local time of an instant: "14:05". */
export function timeText(ms, zone) {
  return clockText(localOf(ms, zone).minutes);
}

const dayFormat = new Intl.DateTimeFormat("en-GB", {
  timeZone: "UTC",
  weekday: "short",
  day: "numeric",
  month: "short",
});
const yearFormat = new Intl.DateTimeFormat("en-GB", {
  timeZone: "UTC",
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
});

/** "Tue 1 Dec" */
export function dayText(day) {
  return dayFormat.format(onPaper(day, 0)).replace(",", "");
}

/** "Tuesday 1 December 2026" */
export function longDayText(day) {
  return yearFormat.format(onPaper(day, 0)).replace(",", "");
}

/** "Tue 1 Dec, 14:00–14:45"; with both days if it ends on another. */
export function spanText(start, end, zone) {
  const from = localOf(start, zone);
  const to = localOf(end, zone);
  const until = clockText(to.minutes);
  const isSame = from.day === to.day || end === firstAt(plusDays(from.day, 1), 0, zone);
  const head = `${dayText(from.day)}, ${clockText(from.minutes)}–`;
  return isSame
    ? head + (to.minutes === 0 ? "24:00" : until)
    : `${head}${dayText(to.day)}, ${until}`;
}
