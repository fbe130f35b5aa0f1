// What became of a task, the newest first: who, when, on which device, what.

import { KeyedList, element, rebuild } from "./dom.js";
import { statusMark } from "./states.js";
import { linkedText } from "./task-wait.js";
import { timeSince } from "./time.js";

class TaskTimeline extends HTMLElement {
  attach(board) {
    this.list = element("ol", { class: "timeline" });
    this.empty = element("p", { class: "muted", text: "Nothing recorded here yet." });
    this.append(element("h3", { text: "Timeline" }), this.empty, this.list);
    this.rows = new KeyedList(
      this.list,
      () => element("li"),
      (row, { entry, isFirst }, before) => before || rebuild(row, entryView(board, entry, isFirst)),
    );
  }

  show({ history = [] }) {
    this.empty.hidden = history.length > 0;
    const entries = history.map((entry, index) => ({
      id: `${entry.dot.origin} ${entry.dot.seq}`,
      entry,
      isFirst: index === 0,
    }));
    this.rows.show(entries.reverse());
  }
}

/** What the journal says never changes, so an entry is drawn once. */
function entryView(board, entry, isFirst) {
  const what = entry.reason ?? (isFirst ? "submitted" : null);
  const by = [
    entry.actor,
    entry.device !== entry.actor && `on ${entry.device}`,
    entry.attempt && `attempt ${entry.attempt}`,
  ];
  return [
    element(
      "p",
      { class: "timeline-what" },
      entry.status && statusMark(entry.status),
      what && element("span", {}, linkedText(board, what)),
    ),
    element("p", { class: "muted" }, `${by.filter(Boolean).join(" · ")} · `, timeSince(entry.at)),
  ];
}

customElements.define("task-timeline", TaskTimeline);
