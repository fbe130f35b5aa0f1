// Move a booking: the old time is kept until the new one is had.

import { RepeatKey } from "./api.js";
import "./booking-answer.js";
import { chosenResources, resourceChoice } from "./booking-resources.js";
import "./booking-slot.js";
import { element } from "./dom.js";
import { once } from "./forms.js";
import { zoneOf } from "./resource-groups.js";
import { MINUTE_MS } from "./zone-clock.js";

class BookingMove extends HTMLElement {
  /** @param {{done: (booking: object) => void}} does */
  attach(board, does) {
    this.board = board;
    this.does = does;
  }

  /** @param {{start?: number, resources?: string[]}} given what is filled in, else as it is */
  open(booking, { start, resources = booking.resources }) {
    const { store } = this.board;
    this.bookingId = booking.id;
    this.seen = booking.etag;
    this.key = new RepeatKey();
    this.when = element("booking-slot");
    const from = Date.parse(booking.start);
    const minutes = Math.round((Date.parse(booking.end) - from) / MINUTE_MS);
    this.when.attach({ start: start ?? from, minutes, zone: zoneOf(store, resources) });
    this.choice = resourceChoice(store, resources, "Takes");
    this.choice.addEventListener("change", () =>
      this.when.setZone(zoneOf(store, chosenResources(this.choice))),
    );
    this.answer = element("booking-answer");
    this.answer.attach(this.board, {
      verb: "Move to",
      take: (slot) => this.send(bodyOf(slot)),
      anyway: () => this.send({ ...this.last, anyway: true }),
    });
    this.button = element("button", { class: "primary", text: "Move it" });
    const form = element(
      "form",
      { class: "form" },
      element("h3", { text: "Move to" }),
      this.when,
      this.choice,
      this.answer,
      element("div", { class: "buttons" }, this.button),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(this.button, () => this.submit());
    });
    this.replaceChildren(form);
    this.hidden = false;
    // Dropped where it shall be: one key says yes.
    if (start === undefined) this.when.day.focus();
    else this.button.focus();
    this.scrollIntoView({ block: "nearest" });
  }

  async submit() {
    this.answer.clear();
    try {
      const resources = chosenResources(this.choice);
      if (resources.length === 0) throw new Error("Tick at least one resource.");
      await this.send({ resources, ...this.when.read() });
    } catch (problem) {
      this.answer.show(problem);
    }
  }

  async send(body) {
    this.last = body;
    const path = `/api/bookings/${encodeURIComponent(this.bookingId)}`;
    const sent = { ...body, seen: this.seen };
    try {
      const { body: booking } = await this.board.api.send("PATCH", path, sent, {
        key: this.key.of(sent),
      });
      this.does.done(booking);
    } catch (problem) {
      this.answer.show(problem);
    }
  }
}

function bodyOf({ resources, start, end }) {
  return {
    resources,
    start,
    minutes: Math.round((Date.parse(end) - Date.parse(start)) / MINUTE_MS),
  };
}

customElements.define("booking-move", BookingMove);
