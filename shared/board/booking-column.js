// One resource on one day: what is closed, what is booked and kept free around it, where now is.
// Heights are elapsed time, so a day of 23 or 25 hours is that much shorter or longer.

import { emptyBlock, fillBlock } from "./booking-block.js";
import { lanesOf, mostAtOnce } from "./booking-lanes.js";
import { bookingTitle, kindOf, namesOf } from "./booking-words.js";
import { KeyedList, element, rebuild } from "./dom.js";
import { changeText, closedWithin, hoursText, openWithin } from "./resource-hours.js";
import { HOUR_MS, MINUTE_MS, dayOf, dayText, localOf, longDayText, timeText } from "./zone-clock.js";

export const HOUR_PX = 72; // as --hour in bookings.css
const LEAST_PX = 17; // a quarter of an hour, one line of text
const LOW_PX = 36; // below it there is room for one line only
const PLAIN_HOURS = 24;
const LABEL_PX = 60; // a closed time that is lower has no room for its word
const WHOLE = { lane: 0, lanes: 1 };

class BookingColumn extends HTMLElement {
  /** @param {{resource: object, day: string, isWeek: boolean}} what */
  attach(board, { resource, day, isWeek }) {
    this.board = board;
    this.resource = resource;
    this.day = day;
    this.isWeek = isWeek;
    this.interval = dayOf(day, resource.timezone);
    this.shades = element("div", { class: "cal-shades" });
    this.kept = element("div", { class: "cal-kept-free", "aria-hidden": "true" });
    this.list = element("ul", { class: "cal-blocks" });
    this.now = element("div", { class: "cal-now", hidden: true });
    this.track = element("div", { class: "cal-track" }, this.shades, this.kept, this.list, this.now);
    this.head = element("header", { class: "cal-head" });
    this.append(this.head, this.track);
    this.blocks = new KeyedList(this.list, emptyBlock, (place, booking) =>
      fillBlock(board, place, booking),
    );
    this.showRules(resource);
    this.showNow();
  }

  get zone() {
    return this.resource.timezone;
  }

  get buffers() {
    return buffersOf(this.resource);
  }

  get capacity() {
    return this.resource.limits?.capacity ?? 1;
  }

  /** Whether hours must be written into the column, as those of its axis are not its own. */
  get isChanged() {
    return this.interval.end - this.interval.start !== PLAIN_HOURS * HOUR_MS;
  }

  get label() {
    const name = namesOf(this.board.store, [this.resource.id]);
    return `${name}, ${longDayText(this.day)}`;
  }

  showRules(resource) {
    this.resource = resource;
    const { start, end } = this.interval;
    this.open = openWithin(resource, start, end);
    this.dataset.resource = resource.id;
    this.dataset.day = this.day;
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", `${this.label}, ${hoursText(resource, this.day)}`);
    this.track.style.height = `${this.y(end)}px`;
    this.showHead();
    rebuild(
      this.shades,
      closedWithin(this.open, start, end).map((one) => this.shade(one)),
      this.isWeek && this.isChanged && hourLabels(this.interval, this.zone),
    );
  }

  showHead() {
    const { resource, day, capacity } = this;
    const change = changeText(this.interval);
    const name = element("h3", { text: this.isWeek ? dayText(day) : resource.name || resource.id });
    const edit = !this.isWeek && this.board.canEditResources() && this.editButton();
    this.head.classList.toggle("today", localOf(Date.now(), this.zone).day === day);
    rebuild(
      this.head,
      element("div", { class: "cal-name" }, this.isWeek ? this.dayLink(name) : name, edit),
      element("p", { class: "muted", text: capital(hoursText(resource, day)) }),
      capacity > 1 && element("p", { class: "muted", text: `${capacity} at once` }),
      this.legend(),
      change && element("p", { class: "cal-change", text: change }),
    );
  }

  /** What is kept free around each booking, in words beside its pattern; null: nothing. */
  legend() {
    const { before, after } = this.buffers;
    const sides = [before && `${minutes(before)} before`, after && `${minutes(after)} after`];
    const told = sides.filter(Boolean).join(", ");
    if (!told) return null;
    const pattern = element("span", { class: "cal-pattern", "aria-hidden": "true" });
    return element("p", { class: "muted" }, pattern, `Kept free: ${told}`);
  }

  dayLink(name) {
    const { day } = this;
    return element(
      "a",
      { href: this.board.route.constructor.toBookings({ resources: [this.resource.id], day }) },
      name,
    );
  }

  editButton() {
    const edit = element("button", {
      type: "button",
      class: "link small",
      data: { action: "edit" },
      "aria-label": `Hours and rules of ${this.resource.name || this.resource.id}`,
      text: "Hours",
    });
    edit.addEventListener("click", () => this.board.openResourceForm(this.resource.id));
    return edit;
  }

  shade({ start, end }) {
    const height = this.y(end) - this.y(start);
    const word = height >= LABEL_PX && element("span", { text: "Closed" });
    const style = `top:${this.y(start)}px;height:${height}px`;
    return placed(element("div", { class: "cal-closed", "aria-hidden": "true" }, word), style);
  }

  /** @param {object[]} bookings any; those of this column are picked, by start */
  showBookings(bookings) {
    const { start, end } = this.interval;
    const own = bookings.filter((one) => one.resources.includes(this.resource.id));
    const mine = own
      .map((booking) => ({
        booking,
        start: Math.max(Date.parse(booking.start), start),
        end: Math.min(Date.parse(booking.end), end),
      }))
      .filter((one) => one.start < one.end)
      .sort((one, other) => one.start - other.start || one.end - other.end);
    this.blocks.show(mine.map(({ booking }) => booking));
    const lanes = lanesOf(mine);
    for (const item of mine) this.place(item, lanes.get(item));
    this.standing = own
      .filter((one) => !["refused", "no-show"].includes(kindOf(one)))
      .map((booking) => ({
        booking,
        start: Date.parse(booking.start),
        end: Date.parse(booking.end),
      }));
    // Also of those of the day before or after: what is kept free beside them may be of this one.
    const laneOf = new Map(mine.map((item) => [item.booking, lanes.get(item)]));
    rebuild(
      this.kept,
      this.standing.flatMap((item) => this.bands(item, laneOf.get(item.booking) ?? WHOLE)),
    );
    const booked = this.standing.filter((one) => laneOf.has(one.booking)).length;
    this.list.setAttribute("aria-label", `${this.label}: ${booked} booked`);
  }

  place({ booking, start, end }, { lane, lanes }) {
    const { node } = this.blocks.rows.get(booking.id);
    const height = Math.max(LEAST_PX, this.y(end) - this.y(start) - 2);
    node.classList.toggle("low", height < LOW_PX);
    node.style.cssText =
      `top:${this.y(start) + 1}px;height:${height}px;` +
      `left:${(100 * lane) / lanes}%;width:${100 / lanes}%`;
  }

  /** What is kept free around a booking, as far as it is of this day. */
  bands(item, { lane, lanes }) {
    const { start, end } = this.interval;
    const { before, after } = this.buffers;
    return [
      [item.start - before, item.start],
      [item.end, item.end + after],
    ]
      .map(([first, last]) => [Math.max(first, start), Math.min(last, end)])
      .filter(([first, last]) => first < last)
      .map(([first, last]) => {
        const style =
          `top:${this.y(first)}px;height:${this.y(last) - this.y(first)}px;` +
          `left:${(100 * lane) / lanes}%;width:${100 / lanes}%`;
        return placed(element("div", { class: "cal-band" }), style);
      });
  }

  showNow() {
    const nowMs = Date.now();
    const { start, end } = this.interval;
    this.now.hidden = nowMs < start || nowMs >= end;
    if (this.now.hidden) return;
    this.now.style.top = `${this.y(nowMs)}px`;
    this.now.textContent = timeText(nowMs, this.zone);
  }

  y(ms) {
    return ((ms - this.interval.start) / HOUR_MS) * HOUR_PX;
  }

  /** Why `[start, end)` has no place left, in words; null: it has one. */
  bookedAt(start, end) {
    const near = this.near(start, end);
    if (this.most(near) < this.capacity) return null;
    const within = near.find((one) => one.start < end && one.end > start);
    return within
      ? `taken: ${bookingTitle(within.booking)}`
      : `kept free beside ${bookingTitle(near[0].booking)}`;
  }

  /** That `[start, end)` has a place, in words. */
  freeAt(start, end) {
    const most = this.most(this.near(start, end));
    return most > 0 ? `free, ${most} of ${this.capacity} taken` : "free";
  }

  /** What stands in `[start, end)` or too near to it. */
  near(start, end) {
    const { before, after } = this.buffers;
    // Between two bookings both are kept free, what is after the one and before the other.
    const far = before + after;
    return (this.standing ?? []).filter((one) => one.start < end + far && one.end > start - far);
  }

  /** How many places these take at once, with what is kept free around them. */
  most(items) {
    const { before, after } = this.buffers;
    return mostAtOnce(items.map(({ start, end }) => ({ start: start - before, end: end + after })));
  }

  /** The instant at a height of the screen, within the day. */
  msAt(clientY) {
    const { start, end } = this.interval;
    const ms = start + ((clientY - this.track.getBoundingClientRect().top) / HOUR_PX) * HOUR_MS;
    return Math.min(Math.max(ms, start), end - 1);
  }
}

/** Names of the hours of a day, each where its instant is. */
export function hourLabels({ start, end }, zone) {
  const labels = [];
  for (let ms = start; ms < end; ms += HOUR_MS) {
    const style = `top:${((ms - start) / HOUR_MS) * HOUR_PX}px`;
    labels.push(placed(element("span", { class: "cal-hour", text: timeText(ms, zone) }), style));
  }
  return labels;
}

/** Milliseconds that a resource keeps free before and after a booking. */
export function buffersOf({ limits }) {
  const { before_s: before = 0, after_s: after = 0 } = limits ?? {};
  return { before: before * 1000, after: after * 1000 };
}

/** The CSP allows no `style` attributes; the CSSOM it does. */
export function placed(node, style) {
  node.style.cssText = style;
  return node;
}

function minutes(ms) {
  return `${Math.round(ms / MINUTE_MS)} min`;
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

customElements.define("booking-column", BookingColumn);
