// The days on which a series is otherwise than its rule says: left out, or at another time.

import { element } from "./dom.js";
import { field } from "./forms.js";

/** The fields; `exceptionsOf` reads them. */
export function exceptionFields() {
  const rows = element("div", { class: "day-rows" });
  const add = element("button", { type: "button", text: "Add a day" });
  add.addEventListener("click", () => {
    const added = row(add);
    rows.append(added);
    added.querySelector("input").focus();
  });
  return element(
    "fieldset",
    { class: "exceptions" },
    element("legend", { text: "Days left out or moved" }),
    rows,
    add,
  );
}

function row(add) {
  const day = element("input", { type: "date", required: true, data: { part: "day" } });
  const instead = element("input", { type: "datetime-local", data: { part: "instead" } });
  const remove = element("button", { type: "button", class: "quiet", text: "Remove" });
  const node = element(
    "div",
    { class: "day-row" },
    field("Not on", day),
    field("Instead at", instead, "empty: left out"),
    remove,
  );
  remove.addEventListener("click", () => {
    const next = node.nextElementSibling?.querySelector("input") ?? add;
    node.remove();
    next.focus();
  });
  return node;
}

/** As the API has them: occurrences are named by their local start, `time` on their day. */
export function exceptionsOf(fields, time) {
  const value = (node, part) => node.querySelector(`[data-part="${part}"]`).value;
  const all = [...fields.querySelectorAll(".day-row")].map((node) => ({
    original: `${value(node, "day")}T${time}`,
    start: value(node, "instead"),
  }));
  return {
    without: all.filter(({ start }) => !start).map(({ original }) => original),
    moved: all.filter(({ start }) => start),
  };
}
