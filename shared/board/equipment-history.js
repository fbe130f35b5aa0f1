// Every report about one piece of equipment, the ones that lost too.

import { element } from "./dom.js";
import { stateMark } from "./states.js";
import { absolute, timeSince } from "./time.js";

const SHOWN_MAX = 200;

/** Newest first. `history` is what `Api.list` gives of the history. */
export function historyList({ items, carried, isWhole }) {
  const entries = [...items].reverse();
  const rows = entries.slice(0, SHOWN_MAX).map((entry) => historyRow(entry));
  if (carried) rows.push(historyRow(carried, "Before that"));
  if (rows.length === 0) return element("p", { class: "empty", text: "No changes in this time." });
  const left = entries.length - SHOWN_MAX;
  return element(
    "div",
    {},
    !isWhole &&
      element("p", {
        class: "muted",
        text: "There is more than can be shown here: choose a shorter time.",
      }),
    element("ol", { class: "history-list" }, rows),
    left > 0 && element("p", { class: "muted", text: `${left} earlier changes are not shown.` }),
  );
}

function historyRow(entry, prefix) {
  const by = [
    entry.actor,
    entry.device && `on ${entry.device}`,
    entry.source === "machine" && "machine",
  ];
  return element(
    "li",
    { class: entry.lost_to ? "lost" : null },
    stateMark(entry.state),
    element(
      "div",
      {},
      element(
        "p",
        {},
        prefix && `${prefix}: `,
        entry.reason ?? element("span", { class: "muted", text: "no reason given" }),
      ),
      entry.note && element("p", { class: "note", text: entry.note }),
      element("p", { class: "muted" }, `${by.filter(Boolean).join(" · ")} · `, timeSince(entry.at)),
      lateness(entry),
      entry.lost_to &&
        element("p", {
          class: "muted",
          text: "Kept, not shown: a report made without knowing of this one was shown instead.",
        }),
    ),
  );
}

function lateness(entry) {
  const lateMs = entry.received_at ? Date.parse(entry.received_at) - Date.parse(entry.at) : 0;
  const parts = [];
  // Below a minute it is the ordinary way from a device to the hub.
  if (lateMs > 60_000) parts.push(`arrived ${absolute(entry.received_at)}`);
  if (entry.clock && entry.clock !== "synced") parts.push(`the device's clock was ${entry.clock}`);
  return parts.length > 0 && element("p", { class: "muted", text: parts.join("; ") });
}
