// The calendar: a column for each resource on a day, or for each day of a resource's week, with the
// hours by the clock of the place beside them.

import "./booking-column.js";
import { HOUR_PX, hourLabels, placed } from "./booking-column.js";
import { BookingCursor } from "./booking-cursor.js";
import { followPointer } from "./booking-drag.js";
import { element } from "./dom.js";
import { zoneText } from "./resource-hours.js";
import { HOUR_MS, dayOf } from "./zone-clock.js";

const NOW_MS = 20_000;
const NINE_PX = 9 * HOUR_PX; // where nothing opens
const AHEAD_PX = 28; // what is shown above the first opening

class BookingCalendar extends HTMLElement {
  /**
   * @param {object} does
   * @param {(column: object, start: number, minutes: number|null) => void} does.book
   * @param {(id: string, from: object, to: object, start: number) => void} does.move
   * @param {(days: number) => void} does.turn to another day or week
   */
  attach(board, does) {
    this.board = board;
    this.columns = [];
    this.key = null;
    this.isWeek = false;
    this.isPlaced = false;
    this.turn = does.turn;
    this.scroller = element("div", { class: "cal-scroll" });
    this.spoken = element("p", { class: "visually-hidden", "aria-live": "polite" });
    this.append(this.scroller, this.spoken);
    this.cursor = new BookingCursor(this, does.book);
    followPointer(this.scroller, {
      book: (column, start, minutes) => {
        this.cursor.goTo(column, start);
        does.book(column, start, minutes);
      },
      move: does.move,
    });
    this.scroller.addEventListener("click", (event) => {
      const block = event.target.closest(".booking");
      if (block) board.route.openBooking(block.dataset.id);
    });
    setInterval(() => this.showNow(), NOW_MS);
  }

  /** @param {{resource: object, day: string}[]} wanted */
  show(wanted, isWeek, bookings) {
    const key = JSON.stringify([wanted.map(({ resource, day }) => [resource.id, day]), isWeek]);
    this.isWeek = isWeek;
    if (key === this.key) this.refresh(wanted);
    else this.build(wanted, isWeek);
    this.key = key;
    this.alignHeads();
    for (const column of this.columns) column.showBookings(bookings);
    this.cursor.settle();
    if (!this.isPlaced && this.scroller.clientHeight > 0) this.toOpening();
  }

  refresh(wanted) {
    wanted.forEach(({ resource }, index) => {
      if (this.columns[index].resource !== resource) this.columns[index].showRules(resource);
    });
  }

  build(wanted, isWeek) {
    this.columns = wanted.map(({ resource, day }) => {
      const column = element("booking-column");
      column.attach(this.board, { resource, day, isWeek });
      return column;
    });
    const nodes = this.columns.flatMap((column, index) => {
      const isNewZone = column.zone !== this.columns[index - 1]?.zone;
      return isNewZone ? [axis(column, isWeek), column] : [column];
    });
    this.classList.toggle("week", isWeek);
    const keptTop = this.scroller.scrollTop;
    this.scroller.replaceChildren(...nodes);
    this.scroller.scrollTop = keptTop;
  }

  /** One head may have more to say than the others; the hours below stay in line. */
  alignHeads() {
    const heads = [...this.scroller.querySelectorAll(".cal-head")];
    this.scroller.style.removeProperty("--head");
    const highest = Math.max(...heads.map((head) => head.getBoundingClientRect().height));
    this.scroller.style.setProperty("--head", `${highest}px`);
  }

  /** The first opening stands at the top; the night before is a scroll away. */
  toOpening() {
    const tops = this.columns
      .filter((column) => column.open.length > 0)
      .map((column) => column.y(column.open[0].start));
    this.scroller.scrollTop = Math.max(0, Math.min(...tops, NINE_PX) - AHEAD_PX);
    this.isPlaced = true;
  }

  showNow() {
    for (const column of this.columns) column.showNow();
    for (const zone of this.querySelectorAll(".cal-zone"))
      zone.textContent = zoneLabel(zone.dataset.zone);
  }

  /** What the keyboard is at, for those who listen. */
  say(text) {
    if (this.spoken.textContent !== text) this.spoken.textContent = text;
  }
}

/** The hours; in a week they are those of a plain day, and a day that is none has its own. */
function axis(column, isWeek) {
  const plain = dayOf("2001-01-01", "UTC");
  const labels = isWeek
    ? hourLabels({ start: plain.start, end: plain.start + 24 * HOUR_MS }, "UTC")
    : hourLabels(column.interval, column.zone);
  const zone = element("p", {
    class: "cal-zone muted",
    data: { zone: column.zone },
    text: zoneLabel(column.zone),
  });
  const hours = element("div", { class: "cal-track", "aria-hidden": "true" }, labels);
  placed(hours, `height:${labels.length * HOUR_PX}px`);
  return element(
    "div",
    { class: "cal-axis" },
    element("header", { class: "cal-head" }, zone),
    hours,
  );
}

/** It may break after the slash: the axis is narrow. */
function zoneLabel(zone) {
  return zoneText(zone, Date.now()).replaceAll("/", "/\u200b");
}

customElements.define("booking-calendar", BookingCalendar);
