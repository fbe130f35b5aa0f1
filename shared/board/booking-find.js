// The first free time: by resources and length, or by a question in words whose reading is shown.

import { reasonList, slotButtons } from "./booking-answer.js";
import { chosenResources, resourceChoice } from "./booking-resources.js";
import { bookingMarks, bookingTitle, whenOf } from "./booking-words.js";
import { element, rebuild } from "./dom.js";
import { field, once } from "./forms.js";
import { MINUTE_MS } from "./zone-clock.js";

const PHONE = matchMedia("(max-width: 899px)");
const SLOTS = 5;
const FREE_MAX = 12;

class BookingFind extends HTMLElement {
  attach(board) {
    this.board = board;
    this.problem = element("problem-text");
    this.result = element("div", { class: "find-result", "aria-live": "polite" });
    this.ids = "";
    this.choices = element("div");
    this.append(
      element(
        "details",
        { class: "card find", open: !PHONE.matches },
        element("summary", {}, element("h3", { text: "First free" })),
        this.words(),
        this.form(),
        this.problem,
        this.result,
      ),
    );
    for (const topic of ["resources", "node"]) board.store.watch(topic, () => this.look());
  }

  /** The question in words; only the hub reads it. */
  words() {
    this.ask = element("input", {
      name: "ask",
      maxlength: 300,
      autocomplete: "off",
      required: true,
      placeholder: "first 45 minutes with Who next Tuesday",
    });
    const button = element("button", { text: "Ask" });
    this.question = element(
      "form",
      { class: "form" },
      field("Ask in words", element("div", { class: "ask-line" }, this.ask, button)),
    );
    this.ask.setAttribute("aria-label", "Ask in words");
    this.question.addEventListener("submit", (event) => {
      event.preventDefault();
      once(button, () => this.find(this.question, { ask: this.ask.value.trim() }));
    });
    return this.question;
  }

  form() {
    const minutes = element("input", {
      type: "number",
      name: "minutes",
      min: 1,
      value: 45,
      required: true,
      inputmode: "numeric",
    });
    const together = element(
      "select",
      { name: "together" },
      element("option", { value: "false", text: "any of them" }),
      element("option", { value: "true", text: "all together" }),
    );
    const after = element("input", { type: "datetime-local", name: "after" });
    const button = element("button", { class: "primary", text: "Find" });
    const form = element(
      "form",
      { class: "form" },
      this.choices,
      element("div", { class: "pair" }, field("Minutes", minutes), field("With", together)),
      field("After", after, "now, if empty"),
      element("div", { class: "buttons" }, button),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const chosen = chosenResources(this.choices);
      const resource = (chosen.length > 0 ? chosen : this.everyone).join(",");
      const query = { resource, minutes: minutes.value, together: together.value };
      once(button, () => this.find(form, { ...query, after: after.value, limit: SLOTS }));
    });
    return form;
  }

  get everyone() {
    const { records } = this.board.store;
    return [...records.resources.values()].filter((one) => one.hours).map((one) => one.id);
  }

  look() {
    const { store } = this.board;
    this.question.hidden = store.node?.role === "agent";
    const ids = JSON.stringify([...store.records.resources.values()].map((o) => [o.id, o.name]));
    if (ids === this.ids) return;
    this.ids = ids;
    const kept = chosenResources(this.choices);
    rebuild(this.choices, resourceChoice(store, kept, "With whom or what"));
  }

  /** The answer stands below the form that asked. */
  async find(form, query) {
    const { store, api } = this.board;
    if (this.problem.previousElementSibling !== form) form.after(this.problem, this.result);
    this.problem.clear();
    const first = store.records.resources.get(query.resource?.split(",")[0]);
    const site = store.node?.sites.length > 1 ? (first?.site ?? store.node.sites[0]) : null;
    try {
      const { body } = await api.get("/api/availability", { query: { ...query, site } });
      this.show(body);
    } catch (problem) {
      rebuild(this.result);
      this.problem.show(problem);
    }
  }

  show({ asked, slots, free, reasons, certain, bookings }) {
    const take = async (slot) => this.book(slot);
    const times = slots.length > 0 ? slots : free;
    const isEmpty = times.length === 0 && bookings.length === 0 && (!asked || asked.understood);
    rebuild(
      this.result,
      asked && reading(asked),
      !certain &&
        times.length > 0 &&
        element("p", { class: "muted", text: "As far as is known here; the hub decides." }),
      times.length > 0 && slotButtons(this.board, times.slice(0, FREE_MAX), take),
      times.length > FREE_MAX &&
        element("p", { class: "muted", text: `And ${times.length - FREE_MAX} more.` }),
      bookings.length > 0 && this.appointments(bookings),
      isEmpty && element("p", {}, element("b", { text: nothing(asked) })),
      reasons.length > 0 && reasonList(this.board, reasons),
    );
  }

  /** Free times may be long: then the booking begins with them. */
  book({ resources, start, end }) {
    const minutes = Math.round((Date.parse(end) - Date.parse(start)) / MINUTE_MS);
    const length = minutes > 240 ? undefined : minutes;
    this.board.openBookingForm({ resources, start: Date.parse(start), minutes: length });
  }

  appointments(bookings) {
    const row = (one) => {
      const open = element("button", { type: "button", class: "slot" });
      open.append(
        element("b", { text: whenOf(one) }),
        element("span", {}, bookingTitle(one), " ", bookingMarks(one)),
      );
      open.addEventListener("click", () => this.board.route.openBooking(one.id));
      return element("li", {}, open);
    };
    return element("ul", { class: "slots" }, bookings.slice(0, FREE_MAX).map(row));
  }
}

/** What the node made of the words; a no says what to write instead. */
function reading({ understood, reading: text }) {
  return element(
    "p",
    { class: "reading", data: { understood } },
    element("b", { text: understood ? "Understood as: " : "Not understood: " }),
    text,
  );
}

function nothing(asked) {
  return asked?.asks === "appointments" ? "No appointments." : "Nothing is free.";
}

customElements.define("booking-find", BookingFind);
