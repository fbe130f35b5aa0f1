// The part of the submit form that most tasks do not need: urgency, place, order, times, locks.

import { element } from "./dom.js";
import { field } from "./forms.js";

const IDS = "\\s*[0-9a-f\\-]{36}(?:[\\s,]+[0-9a-f\\-]{36})*\\s*";
const NAME = "[a-z0-9][a-z0-9._\\-]{0,62}";
const LOCKS = `\\s*(local:)?${NAME}(?:[\\s,]+(local:)?${NAME})*\\s*`;
const PRIORITIES = ["normal", "critical", "high", "low"];

/** @param {{after?: string}} given what to fill in; then the fields are open */
export function moreFields(board, given) {
  const priority = element(
    "select",
    { name: "priority" },
    PRIORITIES.map((name) => element("option", { text: name })),
  );
  const after = text("after", IDS, "Ids as they stand below the tasks' titles, spaces between");
  after.value = given.after ?? "";
  const group = text("group", `\\s*${NAME}\\s*`, "A name such as ward-3");
  const locks = text("locks", LOCKS, "Names such as lift-1 or local:arm, spaces between");
  return element(
    "details",
    { class: "more-fields", open: Boolean(given.after) },
    element("summary", { text: "More" }),
    element(
      "div",
      { class: "form" },
      field(
        "Title",
        element("input", { name: "title", maxlength: 200, autocomplete: "off" }),
        "what lists call it; empty: what it does",
      ),
      pair(
        field("Priority", priority),
        field("Device", deviceInput(board), "empty: any that fits"),
      ),
      field("After", after, "ids of tasks that must succeed first"),
      field("Not before", element("input", { name: "not_before", type: "datetime-local" })),
      field("Deadline", element("input", { name: "deadline", type: "datetime-local" })),
      pair(field("Group", group, "one at a time, in order"), field("Locks", locks, "needed alone")),
    ),
  );
}

/** What was filled in, in the API's words. */
export function moreOf(given) {
  const body = { priority: given.priority };
  if (given.title) body.title = given.title;
  if (given.device) body.device = given.device;
  if (given.group) body.group = given.group;
  for (const name of ["after", "locks"]) {
    const values = given[name].split(/[\s,]+/).filter(Boolean);
    if (values.length > 0) body[name] = values;
  }
  for (const name of ["not_before", "deadline"]) {
    // The field is in the reader's own zone; the node wants to be told which one that is.
    if (given[name]) body[name] = new Date(given[name]).toISOString();
  }
  return body;
}

function pair(...fields) {
  return element("div", { class: "pair" }, fields);
}

function text(name, pattern, title) {
  return element("input", {
    name,
    pattern,
    title,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
  });
}

function deviceInput(board) {
  const { node, records } = board.store;
  const known = node?.role === "hub" ? [...records.devices.keys()] : [node?.id].filter(Boolean);
  const input = text("device", `\\s*${NAME}\\s*`, "The id of a device, such as robot-1");
  input.setAttribute("list", "device-ids");
  return element(
    "span",
    {},
    input,
    element(
      "datalist",
      { id: "device-ids" },
      known.map((id) => element("option", { value: id })),
    ),
  );
}
