// At the hub: say that what ran where a task was taken from has ended.
//
// A device that a task was moved away from may still act. Until its report comes, or somebody says
// this, whatever comes after the task waits.

import { element } from "./dom.js";
import { field, once } from "./forms.js";

class TaskOver extends HTMLElement {
  attach(board, problems) {
    this.board = board;
    this.problems = problems;
    this.hidden = true;
    const button = element("button", { text: "It is over" });
    const form = element(
      "form",
      { class: "form" },
      element("p", {
        text:
          "What comes after this task waits until every device that had it has said how its run " +
          "ended. If one cannot say it any more, look at the place and say it here.",
      }),
      field(
        "What you saw",
        element("input", { name: "reason", required: true, maxlength: 200, autocomplete: "off" }),
        "it stays in the timeline",
      ),
      element("div", { class: "buttons" }, button),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(button, () => this.declare(form));
    });
    this.details = element(
      "details",
      { class: "more-fields" },
      element("summary", { text: "Declare over what ran before" }),
      form,
    );
    this.append(this.details);
  }

  show(task) {
    this.task = task;
    this.hidden = !(this.board.store.node?.role === "hub" && task.in_doubt?.length > 0);
  }

  async declare(form) {
    this.problems.clear();
    const body = { outcome: "over", reason: form.elements.reason.value.trim() };
    try {
      const path = `/api/tasks/${encodeURIComponent(this.task.id)}/settle`;
      const answer = await this.board.api.send("POST", path, body);
      if (answer.body?.id) this.board.store.answer("tasks", answer.body);
      form.reset();
      this.details.open = false;
    } catch (problem) {
      this.problems.show(problem);
      this.problems.scrollIntoView({ block: "nearest" });
    }
  }
}

customElements.define("task-over", TaskOver);
