// Days that differ from the week: leave, holidays, extra hours; a row each.

import { element } from "./dom.js";
import { field } from "./forms.js";
import { spansOf } from "./resource-week.js";

const CAUSES = { leave: "Leave", holiday: "Holiday", extra: "Extra hours" };

/** @param {object[]} exceptions as the API has them */
export function dayFields(exceptions) {
  const rows = element("div", { class: "day-rows" }, exceptions.map(row));
  const add = element("button", { type: "button", text: "Add days" });
  add.addEventListener("click", () => {
    const added = row({ first: "", hours: [], cause: "leave" });
    rows.append(added);
    added.querySelector("input").focus();
  });
  return element(
    "fieldset",
    { class: "day-fields" },
    element("legend", { text: "Days that differ" }),
    rows,
    add,
  );
}

function row({ first, last, hours, cause, note }) {
  const remove = element("button", { type: "button", class: "quiet", text: "Remove" });
  const node = element(
    "div",
    { class: "day-row" },
    field("First day", element("input", { type: "date", value: first, data: { part: "first" } })),
    field(
      "Last day",
      element("input", { type: "date", value: last ?? "", data: { part: "last" } }),
    ),
    field(
      "Hours",
      element("input", {
        value: (hours ?? []).join(", "),
        placeholder: "closed",
        data: { part: "hours" },
      }),
    ),
    field(
      "Why",
      element(
        "select",
        { data: { part: "cause" } },
        Object.entries(CAUSES).map(([value, text]) =>
          element("option", { value, text, selected: value === cause }),
        ),
      ),
    ),
    field("Note", element("input", { value: note ?? "", maxlength: 200, data: { part: "note" } })),
    remove,
  );
  remove.addEventListener("click", () => {
    const next = node.nextElementSibling ?? node.parentElement.nextElementSibling;
    node.remove();
    (next.querySelector?.("input") ?? next).focus();
  });
  return node;
}

/** @returns {object[]} the exceptions that were written; rows without a day are none */
export function daysOf(form) {
  return [...form.querySelectorAll(".day-row")].map(exceptionOf).filter(({ first }) => first);
}

function exceptionOf(node) {
  const part = (name) => node.querySelector(`[data-part="${name}"]`).value.trim();
  const first = part("first");
  return {
    first,
    last: part("last") || null,
    hours: spansOf(part("hours"), first),
    cause: part("cause"),
    note: part("note"),
  };
}
