// At the hub: say how a task ended that acted and was not heard of since.

import { element } from "./dom.js";
import { field, once } from "./forms.js";
import { canSettle } from "./task-buttons.js";

const OUTCOMES = {
  succeeded: "It succeeded",
  dead: "It failed",
  cancelled: "It was stopped",
  retry: "Run it again",
};

class TaskSettle extends HTMLElement {
  attach(board, problems) {
    this.board = board;
    this.problems = problems;
    this.hidden = true;
    const choices = Object.entries(OUTCOMES).map(([value, text]) =>
      element(
        "label",
        { class: "segment" },
        element("input", { type: "radio", name: "outcome", value, required: true }),
        element("span", { text }),
      ),
    );
    const reason = element("input", { name: "reason", maxlength: 200, autocomplete: "off" });
    const button = element("button", { class: "primary", text: "Settle" });
    const form = element(
      "form",
      { class: "form settle" },
      element(
        "fieldset",
        { class: "segments" },
        element("legend", { text: "How did it end?" }),
        choices,
      ),
      element("p", {
        class: "muted",
        text: "It acted, and nobody heard how that ended. Look at the place, then say it here.",
      }),
      field("What you saw", reason, "optional; it stays in the timeline"),
      element("div", { class: "buttons" }, button),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(button, () => this.settle(form));
    });
    this.append(form);
  }

  show(task) {
    this.task = task;
    this.hidden = task.status !== "unknown" || !canSettle(this.board, task);
  }

  async settle(form) {
    this.problems.clear();
    const { outcome, reason } = Object.fromEntries(new FormData(form));
    const body = { outcome };
    const attempt = inQuestion(this.task);
    if (attempt) body.attempt = attempt.id;
    if (reason.trim()) body.reason = reason.trim();
    try {
      const path = `/api/tasks/${encodeURIComponent(this.task.id)}/settle`;
      const answer = await this.board.api.send("POST", path, body);
      if (answer.body?.id) this.board.store.answer("tasks", answer.body);
    } catch (problem) {
      this.problems.show(problem);
      this.problems.scrollIntoView({ block: "nearest" });
    }
  }
}

/** The run that the person looked at: if another is in question by now, the hub refuses. */
function inQuestion({ allocation, attempts }) {
  return attempts.findLast((attempt) => attempt.claim.n === allocation?.n);
}

customElements.define("task-settle", TaskSettle);
