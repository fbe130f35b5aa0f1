// How a resource can be booked: how many at once, what is kept free, from when to when.

import { element } from "./dom.js";
import { field } from "./forms.js";

const MINUTE_S = 60;
const HOUR_S = 3_600;
const DAY_S = 86_400;

/** Each limit as people give it, and how many seconds that is. */
const LIMITS = {
  before_s: { label: "Kept free before", hint: "minutes", unit: MINUTE_S, first: 0 },
  after_s: { label: "Kept free after", hint: "minutes", unit: MINUTE_S, first: 0 },
  notice_s: { label: "At least ahead", hint: "hours", unit: HOUR_S, first: 0 },
  horizon_s: { label: "At most ahead", hint: "days", unit: DAY_S, first: 366 },
};

/** @param {object|null} limits null: of a new resource */
export function limitFields(limits) {
  const number = (name, value, least = 0) =>
    element("input", {
      type: "number",
      name,
      min: least,
      step: "any",
      value,
      inputmode: "decimal",
    });
  return element(
    "fieldset",
    { class: "form" },
    element("legend", { text: "Rules" }),
    element(
      "div",
      { class: "pair" },
      field("At the same time", number("capacity", limits?.capacity ?? 1, 1), "bookings"),
      field(
        "Starts every",
        number("grid", limits?.grid?.minutes ?? ""),
        "minutes; empty: any time",
      ),
      Object.entries(LIMITS).map(([name, { label, hint, unit, first }]) =>
        field(label, number(name, limits ? limits[name] / unit : first), hint),
      ),
    ),
    field(
      "Starts counted from",
      element(
        "select",
        { name: "anchor" },
        Object.entries({ midnight: "midnight", opening: "the opening" }).map(([value, text]) =>
          element("option", { value, text, selected: value === limits?.grid?.anchor }),
        ),
      ),
    ),
  );
}

/** @returns {object} as the API has them */
export function limitsOf(form) {
  const { capacity, grid, anchor } = form.elements;
  const seconds = Object.entries(LIMITS).map(([name, { unit }]) => [
    name,
    Math.round(Number(form.elements[name].value) * unit),
  ]);
  const minutes = Number(grid.value);
  return {
    capacity: Number(capacity.value),
    ...Object.fromEntries(seconds),
    grid: minutes > 0 ? { minutes, anchor: anchor.value } : null,
  };
}
