// Why the hub gave a task to this device: the terms of its choice, the smaller sum wins.

import { element } from "./dom.js";

/** The allocation and its terms; nothing where the node does not tell them. */
export function choiceView(task) {
  const { allocation } = task;
  if (!allocation) return null;
  const terms = Object.entries(allocation.terms ?? {});
  const by = allocation.epoch === null ? "gave it to itself" : "was given it by the hub";
  return element(
    "section",
    {},
    element("h3", { text: `Why ${allocation.device}` }),
    element("p", { class: "muted", text: `${allocation.device} ${by} · allocation ${allocation.n}` }),
    terms.length > 0 && termTable(terms),
  );
}

function termTable(terms) {
  const sum = terms.reduce((total, [, cost]) => total + cost, 0);
  const rows = [...terms, ["sum", sum]].map(([name, cost], index) =>
    element(
      "tr",
      { class: index === terms.length && "sum" },
      element("th", { scope: "row", text: name.replaceAll("_", " ") }),
      element("td", { text: cost.toLocaleString("en", { maximumFractionDigits: 2 }) }),
    ),
  );
  return element(
    "table",
    { class: "terms" },
    element("caption", { class: "visually-hidden", text: "Cost terms of the choice" }),
    element("tbody", {}, rows),
  );
}
