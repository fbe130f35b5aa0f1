// Every attempt of a task, the newest first: where, under which claim, how far, how it ended.

import { KeyedList, element, rebuild } from "./dom.js";
import { outcomeMark } from "./states.js";
import { progressView } from "./task-progress.js";
import { duration, timeSince } from "./time.js";

class TaskAttempts extends HTMLElement {
  attach() {
    this.list = element("ol", { class: "rows" });
    this.empty = element("p", { class: "muted", text: "Not started yet." });
    this.append(element("h3", { text: "Attempts" }), this.empty, this.list);
    this.rows = new KeyedList(this.list, () => element("li", { class: "attempt" }), refresh);
  }

  show({ attempts = [] }) {
    this.empty.hidden = attempts.length > 0;
    // The claim counts anew after each allocation: a retried task would have two first attempts.
    const numbered = attempts.map((attempt, index) => ({
      id: JSON.stringify(attempt.claim),
      number: index + 1,
      attempt,
    }));
    this.rows.show(numbered.reverse());
  }
}

/** An attempt that did not change is left alone: somebody may be scrolled far into its output. */
function refresh(row, record, before) {
  if (before && JSON.stringify(before) === JSON.stringify(record)) return;
  const { attempt, number } = record;
  const { claim } = attempt;
  const tookS = attempt.ended_at
    ? (Date.parse(attempt.ended_at) - Date.parse(attempt.started_at)) / 1000
    : null;
  rebuild(
    row,
    element(
      "p",
      { class: "current-line" },
      outcomeMark(attempt.outcome),
      element(
        "span",
        { class: "muted" },
        `attempt ${number} on ${attempt.device} · started `,
        timeSince(attempt.started_at),
        tookS !== null && ` · took ${duration(tookS)}`,
      ),
      element("span", {
        class: "muted code",
        title: "Allocation, and attempt under it",
        text: `claim ${claim.n}/${claim.attempt}`,
      }),
    ),
    // The last that a run told of its way may be long before its end; a success went all of it.
    attempt.outcome !== "succeeded" && progressView(attempt.progress),
    attempt.error && errorLine(attempt.error),
    outputView(attempt.output),
  );
}

function errorLine({ message, permanent }) {
  return element("p", {
    class: "task-error",
    text: permanent ? `${message} (not tried again: it would end the same)` : message,
  });
}

function outputView(output) {
  if (!output) return null;
  const { stdout, stderr, truncated, ...rest } = output;
  const facts = Object.entries(rest);
  return [
    stdout && element("pre", { tabindex: 0, "aria-label": "Output", text: stdout }),
    stderr &&
      element("pre", { class: "stderr", tabindex: 0, "aria-label": "Error output", text: stderr }),
    truncated && element("p", { class: "muted", text: "It wrote more than is kept." }),
    facts.length > 0 &&
      element("p", {
        class: "muted code",
        text: facts.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join("  "),
      }),
  ];
}

customElements.define("task-attempts", TaskAttempts);
