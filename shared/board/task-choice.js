// Why the hub gave a task to this device: the terms of its choice, the lowest cost wins.

import { element } from "./dom.js";

/** Each term as the table has it; what the hub does not weigh it does not tell. */
const TERMS = {
  load: { word: "Unfinished tasks it had", text: plain },
  zone: { word: "Zone", text: (isElsewhere) => (isElsewhere ? "another" : "the task’s") },
  distance_m: { word: "Way", text: (metres) => `${plain(metres)} m` },
  distance_assumed_m: { word: "Way", text: (metres) => `unknown, counted as ${plain(metres)} m` },
  battery_pct: { word: "Battery", text: (percent) => `${plain(percent)} %` },
};

/** The allocation and its terms; nothing where the node does not tell them. */
export function choiceView(task) {
  const { allocation } = task;
  if (!allocation) return null;
  const { device, epoch, n } = allocation;
  const { cost, fitting, ...terms } = allocation.terms ?? {};
  const by = epoch === null ? "gave it to itself" : "was given it by the hub";
  return element(
    "section",
    {},
    element("h3", { text: `Why ${device}` }),
    element("p", { class: "muted", text: `${device} ${by} · allocation ${n}${among(fitting)}` }),
    cost !== undefined && termTable(terms, cost),
  );
}

function among(fitting) {
  if (fitting === undefined) return "";
  return fitting === 1 ? " · no other could have had it" : ` · the best of ${fitting} that could`;
}

/** The terms are in units of their own; the cost, in tasks, is what the hub makes of them. */
function termTable(terms, cost) {
  const rows = Object.entries(terms).map(([name, value]) => {
    const { word, text } = TERMS[name] ?? { word: name.replaceAll("_", " "), text: plain };
    return termRow(word, text(value));
  });
  return element(
    "table",
    { class: "terms" },
    element("caption", { class: "visually-hidden", text: "Terms of the choice" }),
    element("tbody", {}, rows, termRow("Cost, in tasks", plain(cost), "sum")),
  );
}

function termRow(word, text, kind) {
  return element(
    "tr",
    { class: kind },
    element("th", { scope: "row", text: word }),
    element("td", { text }),
  );
}

function plain(value) {
  return value.toLocaleString("en", { maximumFractionDigits: 2 });
}
