// Book: resources, a time, a title; once or again and again. A no shows what would do instead.

import { RepeatKey } from "./api.js";
import "./booking-answer.js";
import "./booking-repeat.js";
import { seriesReport } from "./booking-report.js";
import { chosenResources, resourceChoice } from "./booking-resources.js";
import "./booking-slot.js";
import { whenOf } from "./booking-words.js";
import { element } from "./dom.js";
import { dialogHead, field, once } from "./forms.js";
import { allMembers, zoneOf } from "./resource-groups.js";
import { snap, stepOf } from "./resource-hours.js";
import { MINUTE_MS } from "./zone-clock.js";

const MINUTES = 30;

class BookingForm extends HTMLElement {
  attach(board) {
    this.board = board;
    this.dialog = element("dialog", {
      class: "sheet small",
      "aria-labelledby": "booking-form-title",
    });
    this.append(this.dialog);
  }

  /** @param {{resources?: string[], start?: number, minutes?: number, title?: string}} given */
  open({ resources = [], start, minutes, title = "" } = {}) {
    const { store } = this.board;
    this.key = new RepeatKey();
    this.isAgent = store.node?.role === "agent";
    this.choice = resourceChoice(store, resources);
    this.when = element("booking-slot");
    this.when.attach(this.first(resources, start, minutes));
    this.repeat = element("booking-repeat");
    this.repeat.attach(this.when);
    this.choice.addEventListener("change", () => this.follow());
    this.answer = element("booking-answer");
    this.answer.attach(this.board, {
      take: (slot) => this.take(slot),
      anyway: () => this.send({ ...this.last, anyway: true }),
    });
    this.report = element("div");
    const form = element(
      "form",
      { class: "form" },
      field(
        "Title",
        element("input", { name: "title", maxlength: 200, autocomplete: "off", value: title }),
        "optional",
      ),
      this.when,
      this.choice,
      this.more(),
      this.isAgent &&
        element("p", { class: "muted", text: "The hub decides; here it is a request." }),
      this.answer,
      this.report,
      element(
        "div",
        { class: "buttons" },
        element("button", { class: "primary", text: this.isAgent ? "Ask for it" : "Book" }),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(form.querySelector("button.primary"), () => this.submit());
    });
    this.form = form;
    this.dialog.replaceChildren(dialogHead("booking-form-title", "New booking"), form);
    if (!this.dialog.open) this.dialog.showModal();
    form.elements.title.focus();
  }

  first(resources, start, minutes) {
    const { records } = this.board.store;
    const resource = records.resources.get(allMembers(this.board.store, resources)[0]);
    const zone = zoneOf(this.board.store, resources);
    if (!resource) return { start: start ?? Date.now(), minutes: minutes ?? MINUTES, zone };
    const step = stepOf(resource);
    const soon = snap(resource, Date.now() + step * MINUTE_MS);
    // Whole steps, half an hour or more.
    const length = minutes ?? Math.ceil(MINUTES / step) * step;
    return { start: start ?? soon, minutes: length, zone };
  }

  more() {
    const hold = element("input", {
      type: "number",
      name: "hold",
      min: 1,
      max: 1440,
      inputmode: "numeric",
      placeholder: "not: book it",
    });
    const more = element(
      "details",
      { class: "more-fields" },
      element("summary", { text: this.isAgent ? "Hold" : "Hold, repeat" }),
      element(
        "div",
        { class: "form" },
        field("Only hold it for minutes", hold, "to be confirmed by then"),
        !this.isAgent && this.repeat,
      ),
    );
    // A browser refuses to send the form for a field that it cannot show, and says nothing.
    more.addEventListener("invalid", () => (more.open = true), { capture: true });
    return more;
  }

  follow() {
    const chosen = chosenResources(this.choice);
    if (chosen.length > 0) this.when.setZone(zoneOf(this.board.store, chosen));
  }

  async submit() {
    this.answer.clear();
    this.report.replaceChildren();
    const resources = chosenResources(this.choice);
    try {
      if (resources.length === 0) throw new Error("Tick at least one resource.");
      const series = this.repeat.read();
      const when = series ? { series } : this.when.read();
      const hold = Number(this.form.elements.hold.value) * 60;
      if (series && hold > 0)
        throw new Error("A series cannot be held, only booked: empty the minutes, or book once.");
      await this.send(this.body(resources, when, hold));
    } catch (problem) {
      this.answer.show(problem);
    }
  }

  body(resources, when, hold) {
    const { store } = this.board;
    const site = store.records.resources.get(resources[0])?.site;
    const body = { resources, ...when, title: this.form.elements.title.value.trim() };
    if (hold > 0) body.hold_s = hold;
    if (store.node?.sites.length > 1) body.site = site;
    return body;
  }

  async take(slot) {
    await this.send(this.bodyOf(slot));
  }

  bodyOf({ resources, start, end }) {
    const minutes = Math.round((Date.parse(end) - Date.parse(start)) / MINUTE_MS);
    const hold = Number(this.form.elements.hold.value) * 60;
    return this.body(resources, { start, minutes }, hold);
  }

  /** In place of one of a series: the report of the others stays. */
  async takeInstead(slot) {
    const body = this.bodyOf(slot);
    try {
      const { body: booked } = await this.post(body);
      this.board.store.answer("bookings", booked);
      this.board.announcer.say(`Booked: ${whenOf(booked)}.`);
      return true;
    } catch (problem) {
      this.answer.show(problem);
      return false;
    }
  }

  post(body) {
    return this.board.api.send("POST", "/api/bookings", body, { key: this.key.of(body) });
  }

  async send(body) {
    this.last = body;
    try {
      const { body: booked } = await this.post(body);
      if (booked.occurrences) this.showReport(booked.occurrences);
      else this.finish(booked);
    } catch (problem) {
      const { occurrences } = problem.facts ?? {};
      if (occurrences) this.showReport(occurrences);
      else this.answer.show(problem);
    }
  }

  showReport(occurrences) {
    this.answer.clear();
    this.report.replaceChildren(
      seriesReport(this.board, occurrences, (slot) => this.takeInstead(slot)),
    );
    this.report.scrollIntoView({ block: "nearest" });
    const booked = occurrences.filter((one) => one.accepted).length;
    // What was booked is not asked for again by one press more.
    if (booked > 0) this.form.querySelector("button.primary").hidden = true;
    this.board.announcer.say(`${booked} of ${occurrences.length} booked.`);
  }

  finish(booked) {
    this.board.store.answer("bookings", booked);
    const verb = booked.status === "requested" ? "Asked for" : "Booked";
    this.board.announcer.say(`${verb}: ${whenOf(booked)}.`);
    this.dialog.close();
    this.board.showBooking(booked);
  }
}

customElements.define("booking-form", BookingForm);
