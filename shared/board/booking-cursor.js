// The keyboard's place in the calendar: arrows go over the slots, Enter books. It is one stop of
// the tab key, whatever the number of slots.

import { stepOf, snap } from "./resource-hours.js";
import { element } from "./dom.js";
import { HOUR_PX } from "./booking-column.js";
import { HOUR_MS, MINUTE_MS, timeText } from "./zone-clock.js";

const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const LEAST_PX = 20;

export class BookingCursor {
  /**
   * @param {object} calendar with `columns`, and `turn(days)`
   * @param {(column: object, start: number, minutes: number) => void} book
   */
  constructor(calendar, book) {
    this.calendar = calendar;
    this.book = book;
    this.index = 0;
    this.start = null;
    this.steps = 1;
    this.node = element("button", { type: "button", class: "cal-cursor" });
    this.node.addEventListener("keydown", (event) => this.press(event));
    this.node.addEventListener("focus", () => this.show());
    this.node.addEventListener("click", () => this.enter());
  }

  get column() {
    return this.calendar.columns[this.index];
  }

  /** The columns are others now: stay at the same time of the day, where there is one. */
  settle() {
    if (this.calendar.columns.length === 0) return;
    this.index = Math.min(this.index, this.calendar.columns.length - 1);
    const { interval, open, resource } = this.column;
    const isHere = this.start >= interval.start && this.start < interval.end;
    const opening = open[0]?.start ?? interval.start + 9 * HOUR_MS;
    if (!isHere) this.start = snap(resource, opening);
    const hadFocus = document.activeElement === this.node;
    this.column.track.append(this.node);
    this.show();
    if (hadFocus) this.node.focus({ preventScroll: true });
  }

  goTo(column, start) {
    this.index = this.calendar.columns.indexOf(column);
    this.start = start;
    this.steps = 1;
    this.settle();
  }

  press(event) {
    const move = KEYS[event.key];
    if (!move && !["PageUp", "PageDown", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "PageUp") this.calendar.turn(-1);
    else if (event.key === "PageDown") this.calendar.turn(1);
    else if (event.key === "Home") this.jump(this.column.open[0]?.start);
    else if (event.key === "End") this.jump(this.column.open.at(-1)?.end, -1);
    else if (event.shiftKey && move[0]) this.steps = Math.max(1, this.steps + move[0]);
    else if (move[0]) this.step(move[0]);
    else this.across(move[1]);
    this.show();
    this.node.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  jump(ms, steps = 0) {
    if (ms === undefined) return;
    this.start = snap(this.column.resource, ms + steps * stepOf(this.column.resource) * MINUTE_MS);
  }

  step(count) {
    const { resource, interval } = this.column;
    const step = stepOf(resource) * MINUTE_MS;
    const next = count > 0 ? snap(resource, this.start + step) : snap(resource, this.start - 1);
    // Where the clock is changed, the grid may point back at where it came from.
    const ms = next === this.start ? this.start + count * step : next;
    if (ms >= interval.start && ms < interval.end) this.start = ms;
  }

  across(count) {
    const next = this.calendar.columns[this.index + count];
    if (!next) {
      if (this.calendar.isWeek) this.calendar.turn(count);
      return;
    }
    const sinceMidnight = this.start - this.column.interval.start;
    this.index += count;
    const { interval, resource } = next;
    this.start = snap(resource, Math.min(interval.start + sinceMidnight, interval.end - 1));
    this.settle();
  }

  get minutes() {
    return this.steps * stepOf(this.column.resource);
  }

  show() {
    const { column, start, minutes } = this;
    if (!column) return;
    this.node.style.top = `${column.y(start)}px`;
    this.node.style.height = `${Math.max(LEAST_PX, (minutes / 60) * HOUR_PX)}px`;
    const end = start + minutes * MINUTE_MS;
    const isOpen = column.open.some((one) => one.start <= start && end <= one.end);
    const at = `${timeText(start, column.zone)}–${timeText(end, column.zone)}`;
    const taken = column.bookedAt(start, end);
    const state = taken ?? (isOpen ? column.freeAt(start, end) : "closed");
    const text = `${at} ${state}`;
    if (this.node.textContent !== text) this.node.textContent = text;
    this.node.setAttribute("aria-label", `${column.label}, ${at}, ${state}. Enter books.`);
    this.calendar.say(document.activeElement === this.node ? `${column.label}, ${text}` : "");
  }

  enter() {
    const isLonger = this.steps > 1;
    this.book(this.column, this.start, isLonger ? this.minutes : null);
  }
}
