// A booking that comes again: every day or week, so many times.

import { element } from "./dom.js";
import { field } from "./forms.js";
import { WEEK } from "./resource-hours.js";
import { weekday } from "./zone-clock.js";

const RULES = {
  "": { word: "Once" },
  week: { word: "Every week", rule: (day) => `FREQ=WEEKLY;BYDAY=${day}` },
  fortnight: { word: "Every two weeks", rule: (day) => `FREQ=WEEKLY;INTERVAL=2;BYDAY=${day}` },
  workday: { word: "Monday to Friday", rule: () => "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR" },
  day: { word: "Every day", rule: () => "FREQ=DAILY" },
};

/** The fields; `repeatOf` reads them. */
export function repeatFields() {
  const options = (entries) =>
    Object.entries(entries).map(([value, text]) => element("option", { value, text }));
  const words = Object.fromEntries(Object.entries(RULES).map(([key, { word }]) => [key, word]));
  const often = element("select", { name: "repeat" }, options(words));
  const count = element("input", {
    type: "number",
    name: "count",
    min: 2,
    max: 500,
    value: 10,
    inputmode: "numeric",
  });
  const policy = element(
    "select",
    { name: "policy" },
    options({ all: "book none", skip: "book the others" }),
  );
  const more = element(
    "div",
    { class: "pair", hidden: true },
    field("How many times", count),
    field("If some do not fit", policy),
  );
  often.addEventListener("change", () => {
    more.hidden = often.value === "";
  });
  return element("div", { class: "form" }, field("Repeat", often), more);
}

/** What a series is asked for with; null: once. */
export function repeatOf(form, slot) {
  const { repeat, count, policy } = form.elements;
  const { rule } = RULES[repeat?.value ?? ""];
  if (!rule) return null;
  const day = WEEK[weekday(slot.day.value)].slice(0, 2).toUpperCase();
  return {
    start: slot.wall,
    minutes: Number(slot.length.value),
    rule: `${rule(day)};COUNT=${Number(count.value)}`,
    policy: policy.value,
  };
}
