// What the calendar shows: which resources, which day, a day or its week.

import { element, rebuild } from "./dom.js";
import { plainResources } from "./resource-groups.js";
import { dayText, longDayText, mondayOf, plusDays } from "./zone-clock.js";

class BookingBar extends HTMLElement {
  /** @param {() => {resources: string[], day: string, isWeek: boolean, today: string}} shown */
  attach(board, shown) {
    this.board = board;
    this.shown = shown;
    this.day = element("input", { type: "date", "aria-label": "Day", required: true });
    this.day.addEventListener("change", () => {
      if (this.day.value) this.turn({ day: this.day.value });
    });
    this.heading = element("h3", { class: "cal-title", "aria-live": "polite" });
    this.spans = element(
      "div",
      { class: "segments", role: "group", "aria-label": "How much to show" },
      this.span("Day", false),
      this.span("Week", true),
    );
    this.one = element("select", { "aria-label": "Resource" });
    this.one.addEventListener("change", () => this.turn({ resources: [this.one.value] }));
    this.many = element("div", { class: "chips", role: "group", "aria-label": "Resources" });
    this.append(
      element(
        "div",
        { class: "cal-bar" },
        element(
          "div",
          { class: "cal-turn" },
          this.arrow("‹", "Back", -1),
          element("button", {
            type: "button",
            text: "Today",
            on: { click: () => this.turn({ day: null }) },
          }),
          this.arrow("›", "On", 1),
        ),
        this.heading,
        this.day,
        this.spans,
        this.one,
      ),
      this.many,
    );
  }

  arrow(text, label, direction) {
    return element("button", {
      type: "button",
      class: "cal-arrow",
      "aria-label": label,
      text,
      on: { click: () => this.step(direction) },
    });
  }

  span(text, isWeek) {
    return element("button", {
      type: "button",
      class: "chip",
      data: { week: isWeek },
      text,
      on: { click: () => this.turn({ isWeek }) },
    });
  }

  /** A day or a week on or back. */
  step(direction) {
    const { day, isWeek } = this.shown();
    this.turn({ day: plusDays(day, direction * (isWeek ? 7 : 1)) });
  }

  turn(calendar) {
    this.board.route.turn(calendar);
  }

  show(isOne) {
    const { resources, day, isWeek } = this.shown();
    const monday = mondayOf(day);
    this.heading.textContent = isWeek
      ? `${dayText(monday)} – ${dayText(plusDays(monday, 6))} ${plusDays(monday, 6).slice(0, 4)}`
      : longDayText(day);
    this.day.value = day;
    for (const button of this.spans.children)
      button.setAttribute("aria-pressed", String((button.dataset.week === "true") === isWeek));
    const known = plainResources(this.board.store);
    this.one.hidden = !isOne || known.length < 2;
    this.many.hidden = isOne || known.length < 2;
    rebuild(
      this.one,
      known.map(({ id, name }) => element("option", { value: id, text: name || id })),
    );
    this.one.value = resources[0] ?? "";
    rebuild(
      this.many,
      known.map((resource) => this.chip(resource, resources)),
    );
  }

  chip({ id, name }, resources) {
    const isShown = resources.includes(id);
    const chip = element("button", {
      type: "button",
      class: "chip",
      data: { action: `show ${id}` },
      "aria-pressed": String(isShown),
      text: name || id,
    });
    chip.addEventListener("click", () => {
      const others = resources.filter((one) => one !== id);
      this.turn({ resources: isShown ? others : [...resources, id] });
    });
    return chip;
  }
}

customElements.define("booking-bar", BookingBar);
