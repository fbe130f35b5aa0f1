// The mouse in the calendar: press and draw a slot to book it, take a booking and drop it to move
// it. A finger scrolls there, so it taps instead.

import { element } from "./dom.js";
import { HOUR_PX } from "./booking-column.js";
import { snap, stepOf } from "./resource-hours.js";
import { HOUR_MS, MINUTE_MS, timeText } from "./zone-clock.js";

const STILL_PX = 4;

/**
 * @param {HTMLElement} calendar what holds the columns
 * @param {object} does
 * @param {(column: object, start: number, minutes: number|null) => void} does.book
 * @param {(booking: string, from: object, to: object, start: number) => void} does.move
 */
export function followPointer(calendar, { book, move }) {
  let drag = null;
  let isTouch = false;
  const mark = element("div", { class: "cal-selection" });

  calendar.addEventListener("pointerdown", (event) => {
    isTouch = event.pointerType === "touch";
    const column = event.target.closest("booking-column");
    if (isTouch || event.button !== 0 || !column || !event.target.closest(".cal-track")) return;
    if (event.target.closest(".cal-cursor")) return;
    const block = event.target.closest(".booking");
    if (block && !block.classList.contains("movable")) return;
    drag = { column, block, x: event.clientX, y: event.clientY, hasMoved: false };
    drag.from = column.msAt(event.clientY);
    drag.to = column;
  });

  addEventListener("pointermove", (event) => {
    if (!drag) return;
    // The button was let go outside the window.
    if (event.buttons === 0) return void end();
    const far = Math.hypot(event.clientX - drag.x, event.clientY - drag.y);
    if (!drag.hasMoved && far < STILL_PX) return;
    if (!drag.hasMoved) begin();
    drag.hasMoved = true;
    if (drag.block) drop(event);
    else draw(event);
  });

  addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { column, block, hasMoved, start, minutes, to } = drag;
    const id = block?.dataset.id;
    end();
    if (hasMoved && block) move(id, column, to, start);
    else if (hasMoved) book(column, start, minutes);
    // What follows a drag is no click on what lies there.
    if (hasMoved) addEventListener("click", swallow, { capture: true, once: true });
    if (hasMoved) setTimeout(() => removeEventListener("click", swallow, { capture: true }), 0);
    event.preventDefault();
  });

  addEventListener("pointercancel", end);
  addEventListener("keydown", (event) => event.key === "Escape" && end());

  calendar.addEventListener("click", (event) => {
    const column = event.target.closest("booking-column");
    if (!column || !event.target.closest(".cal-track")) return;
    if (event.target.closest("button")) return;
    book(column, snap(column.resource, column.msAt(event.clientY)), null);
  });

  function begin() {
    calendar.classList.add("dragging");
    drag.block?.classList.add("taken-up");
  }

  function end() {
    calendar.classList.remove("dragging");
    drag?.block?.classList.remove("taken-up");
    mark.remove();
    drag = null;
  }

  function draw({ clientY }) {
    const { column, from } = drag;
    const now = column.msAt(clientY);
    const step = stepOf(column.resource) * MINUTE_MS;
    drag.start = snap(column.resource, Math.min(from, now));
    const last = snap(column.resource, Math.max(from, now)) + step;
    drag.minutes = Math.max(1, Math.round((last - drag.start) / MINUTE_MS));
    show(column, drag.start, drag.minutes);
  }

  function drop({ clientX, clientY }) {
    const under = document.elementFromPoint(clientX, clientY)?.closest("booking-column");
    drag.to = under ?? drag.to;
    const { block, y, to } = drag;
    const booking = to.board.store.records.bookings.get(block.dataset.id);
    if (!booking) return end();
    const length = Date.parse(booking.end) - Date.parse(booking.start);
    const since = Date.parse(booking.start) - drag.column.interval.start;
    const by = ((clientY - y) / HOUR_PX) * HOUR_MS;
    // To the nearest start, not the one before: the hand aims at the edge that it sees.
    const half = (stepOf(to.resource) * MINUTE_MS) / 2;
    drag.start = snap(to.resource, to.interval.start + since + by + half);
    return show(to, drag.start, length / MINUTE_MS);
  }

  function show(column, start, minutes) {
    const end = start + minutes * MINUTE_MS;
    mark.textContent = `${timeText(start, column.zone)}–${timeText(end, column.zone)}`;
    mark.style.top = `${column.y(start)}px`;
    mark.style.height = `${(minutes / 60) * HOUR_PX}px`;
    if (mark.parentElement !== column.track) column.track.append(mark);
  }
}

function swallow(event) {
  event.stopPropagation();
  event.preventDefault();
}
