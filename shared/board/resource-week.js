// The weekly hours of a resource as fields: a line a day, "09:00-12:00, 13:00-17:00".

import { element } from "./dom.js";
import { WEEK } from "./resource-hours.js";
import { minutesOf } from "./zone-clock.js";

const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const NEW = "09:00-17:00";

/** @param {object|null} week null: of a new resource */
export function weekFields(week) {
  return element(
    "fieldset",
    { class: "week-fields" },
    element("legend", { text: "Weekly hours" }),
    element("p", {
      class: "muted",
      text: "Such as 09:00-12:00, 13:00-17:00; 22:00-06:00 goes over midnight; empty is closed.",
    }),
    WEEK.map((day, index) =>
      element(
        "label",
        { class: "week-day" },
        element("span", { text: DAYS[index] }),
        element("input", {
          name: day,
          autocomplete: "off",
          placeholder: "closed",
          value: week ? (week[day] ?? []).join(", ") : index < 5 ? NEW : "",
        }),
      ),
    ),
  );
}

/** @returns {Record<string, string[]>} what was written */
export function weekOf(form) {
  return Object.fromEntries(
    WEEK.map((day, n) => [day, spansOf(form.elements[day].value, DAYS[n])]),
  );
}

/**
 * The intervals of a line of text.
 * @throws {Error} one that is none
 */
export function spansOf(text, where) {
  const spans = text.split(/[,;]/).map((span) => span.trim().replaceAll(/\s*[-–]\s*/g, "-"));
  return spans.filter(Boolean).map((span) => {
    const [from, to, more] = span.split("-").map(minutesOf);
    if (from === null || to === null || to === undefined || more !== undefined)
      throw new Error(`${where}: “${span}” are no hours. Write 09:00-17:00.`);
    return span
      .split("-")
      .map((one) => one.padStart(5, "0"))
      .join("-");
  });
}
