// A task's priority, which may be changed while it waits.

import { element } from "./dom.js";
import { WAITING, PRIORITIES } from "./task-query.js";
import { field } from "./forms.js";

class TaskPriority extends HTMLElement {
  attach(board, problems) {
    this.board = board;
    this.problems = problems;
    this.select = element(
      "select",
      { name: "task-priority" },
      PRIORITIES.map((name) => element("option", { value: name, text: name })),
    );
    this.select.addEventListener("change", () => this.change());
    this.hidden = true;
    this.append(field("Priority", this.select, "may be changed while it waits"));
  }

  show(task) {
    this.task = task;
    this.hidden = !WAITING.includes(task.status);
    if (!this.isChanging) this.select.value = task.priority;
  }

  async change() {
    this.isChanging = true;
    this.problems.clear();
    try {
      const path = `/api/tasks/${encodeURIComponent(this.task.id)}/priority`;
      const body = { priority: this.select.value };
      const answer = await this.board.api.send("POST", path, body);
      if (answer.body?.id) this.board.store.answer("tasks", answer.body);
    } catch (problem) {
      this.problems.show(problem);
      this.select.value = this.task.priority;
    }
    this.isChanging = false;
  }
}

customElements.define("task-priority", TaskPriority);
