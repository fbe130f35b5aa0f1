// A booking that comes again: how often, on which days, until when, and when not. The first of them
// is the time in the form, so what can be chosen follows its day.

import { exceptionFields, exceptionsOf } from "./booking-exceptions.js";
import { element, rebuild } from "./dom.js";
import { field } from "./forms.js";
import { longDayText, plusDays, weekday } from "./zone-clock.js";

const FREQUENCIES = { "": "Once", DAILY: "Daily", WEEKLY: "Weekly", MONTHLY: "Monthly" };
const UNITS = { DAILY: "days", WEEKLY: "weeks", MONTHLY: "months" };
const DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
const NAMES = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const NTH = ["first", "second", "third", "fourth", "fifth"];

class BookingRepeat extends HTMLElement {
  /** @param {HTMLElement} first the time of the first one */
  attach(first) {
    this.first = first;
    this.chosen = new Set(); // weekdays beside that of the first
    this.often = select("repeat", FREQUENCIES);
    this.every = number("interval", 1, 999, 1);
    this.unit = element("span", { class: "muted" });
    this.days = element("fieldset", {}, element("legend", { text: "On" }), this.ticks());
    this.monthly = select("monthly", {});
    this.end = select("end", { count: "After so many times", until: "On a day" });
    this.count = number("count", 2, 500, 10);
    this.until = element("input", { type: "date", name: "until" });
    this.policy = select("policy", { all: "book none", skip: "book the others" });
    this.exceptions = exceptionFields();
    this.parts = element("fieldset", { class: "form" });
    this.replaceChildren(field("Repeat", this.often), this.parts);
    this.addEventListener("change", () => this.show());
    first.addEventListener("input", () => this.show());
    this.show();
  }

  ticks() {
    return element(
      "div",
      { class: "ticks" },
      DAYS.map((value, index) => {
        const input = element("input", { type: "checkbox", name: "weekday", value });
        input.addEventListener("change", () =>
          input.checked ? this.chosen.add(index) : this.chosen.delete(index),
        );
        return element("label", { class: "tick" }, input, element("span", { text: NAMES[index] }));
      }),
    );
  }

  get day() {
    return this.first.day.value;
  }

  get isLastOfMonth() {
    return this.day.slice(0, 7) !== plusDays(this.day, 1).slice(0, 7);
  }

  show() {
    const frequency = this.often.value;
    this.parts.hidden = frequency === "" || !this.day;
    // What nobody sees must not keep the form from being sent.
    this.parts.disabled = this.parts.hidden;
    if (this.parts.hidden) return;
    this.unit.textContent = UNITS[frequency];
    // The first is one of them, so its day is ticked, and stays so.
    for (const [index, input] of [...this.days.querySelectorAll("input")].entries()) {
      const isFirst = index === weekday(this.day);
      input.disabled = isFirst;
      input.checked = isFirst || this.chosen.has(index);
    }
    fillSelect(this.monthly, this.monthlyRules());
    const isUntil = this.end.value === "until";
    this.until.required = isUntil;
    this.until.min = this.day;
    const shown = [frequency, isUntil].join();
    if (shown !== this.shown) rebuild(this.parts, this.fields(frequency, isUntil));
    this.shown = shown;
  }

  fields(frequency, isUntil) {
    return [
      field("Every", element("span", { class: "with-unit" }, this.every, this.unit)),
      frequency === "WEEKLY" && this.days,
      frequency === "MONTHLY" && field("On", this.monthly),
      element(
        "div",
        { class: "pair" },
        field("Ends", this.end),
        isUntil ? field("Last day", this.until) : field("How many times", this.count),
      ),
      field("If some do not fit", this.policy),
      this.exceptions,
    ];
  }

  /** By rule, in words: the ways in which a month may name the day of the first. */
  monthlyRules() {
    const day = Number(this.day.slice(8));
    const name = longDayText(this.day).split(" ")[0];
    const nth = Math.ceil(day / 7);
    const isLastOfItsName = this.day.slice(0, 7) !== plusDays(this.day, 7).slice(0, 7);
    const two = DAYS[weekday(this.day)];
    return {
      [`BYMONTHDAY=${day}`]: `day ${day}${day > 28 ? ", not in shorter months" : ""}`,
      ...(this.isLastOfMonth && { "BYMONTHDAY=-1": "the last day" }),
      [`BYDAY=${nth}${two}`]: `the ${NTH[nth - 1]} ${name}${nth > 4 ? ", where there is one" : ""}`,
      ...(isLastOfItsName && { [`BYDAY=-1${two}`]: `the last ${name}` }),
    };
  }

  get rule() {
    const frequency = this.often.value;
    const ticked = [...this.days.querySelectorAll(":checked")].map((input) => input.value);
    return [
      `FREQ=${frequency}`,
      `INTERVAL=${this.every.value}`,
      frequency === "WEEKLY" && `BYDAY=${ticked.join(",")}`,
      frequency === "MONTHLY" && this.monthly.value,
      this.end.value === "until"
        ? `UNTIL=${this.until.value.replaceAll("-", "")}`
        : `COUNT=${this.count.value}`,
    ]
      .filter(Boolean)
      .join(";");
  }

  /** What a series is asked for with; null: once. */
  read() {
    if (this.often.value === "") return null;
    const { wall, length, time } = this.first;
    return {
      start: wall,
      minutes: Number(length.value),
      rule: this.rule,
      policy: this.policy.value,
      ...exceptionsOf(this.exceptions, time.value),
    };
  }
}

function number(name, min, max, value) {
  return element("input", {
    type: "number",
    name,
    min,
    max,
    value,
    inputmode: "numeric",
    required: true,
  });
}

function select(name, options) {
  const node = element("select", { name, data: { action: name } });
  fillSelect(node, options);
  return node;
}

/** What was chosen stays so, where it is still there. */
function fillSelect(node, options) {
  const entries = Object.entries(options);
  const shown = entries.flat().join();
  if (node.dataset.shown === shown) return;
  node.dataset.shown = shown;
  const before = node.value;
  node.replaceChildren(...entries.map(([value, text]) => element("option", { value, text })));
  if (before in options) node.value = before;
}

customElements.define("booking-repeat", BookingRepeat);
