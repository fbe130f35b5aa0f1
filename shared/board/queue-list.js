// The queues, one for each type of task: how much waits and runs, and a switch that pauses it.

import { KeyedList, element, rebuild } from "./dom.js";
import { field, once } from "./forms.js";
import { timeSince } from "./time.js";

class QueueList extends HTMLElement {
  attach(board) {
    this.board = board;
    this.hidden = true;
    this.list = element("ul", { class: "queues" });
    this.empty = element("p", {
      class: "empty",
      text: "No queues yet. Each type of task has one, from its first task on.",
    });
    this.append(
      element("header", { class: "section-head" }, element("h3", { text: "Queues" })),
      this.empty,
      this.list,
    );
    this.rows = new KeyedList(
      this.list,
      () => element("li", { class: "queue" }),
      (row, queue) => this.fill(row, queue),
    );
    board.store.watch("queues", () => this.show());
  }

  show() {
    const { loaded, records } = this.board.store;
    this.hidden = !loaded.has("queues");
    const queues = [...records.queues.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.empty.hidden = queues.length > 0;
    this.rows.show(queues);
  }

  /** Parts are made once: a question half answered must not vanish when a count changes. */
  fill(row, queue) {
    row.parts ??= this.parts(row);
    row.queue = queue;
    row.dataset.paused = String(queue.paused);
    const { toggle, facts, why } = row.parts;
    const isNew = toggle.getAttribute("aria-checked") !== String(!queue.paused);
    toggle.setAttribute("aria-checked", String(!queue.paused));
    toggle.querySelector(".switch-label").textContent = queue.type;
    toggle.setAttribute("aria-label", `Queue ${queue.type} goes on`);
    facts.textContent = `${queue.waiting} waiting · ${queue.running} running`;
    rebuild(why, queue.paused && pausedText(queue));
    if (isNew) row.parts.form.hidden = true;
  }

  parts(row) {
    const toggle = element(
      "button",
      { type: "button", role: "switch", class: "switch" },
      element("span", { class: "switch-track" }),
      element("span", { class: "switch-label" }),
    );
    const parts = {
      toggle,
      facts: element("span", { class: "muted" }),
      why: element("span", { class: "task-why" }),
      problem: element("problem-text"),
      form: this.pauseForm(row),
    };
    // Going on is one tap; pausing stops other people's work and asks why.
    toggle.addEventListener("click", () => {
      if (row.queue.paused) once(toggle, () => this.turn(row, "resume", {}));
      else this.askWhy(row);
    });
    row.append(
      element("div", { class: "queue-line" }, toggle, parts.facts),
      parts.why,
      parts.form,
      parts.problem,
    );
    return parts;
  }

  pauseForm(row) {
    const reason = element("input", { name: "reason", maxlength: 200, autocomplete: "off" });
    const button = element("button", { class: "primary", text: "Pause" });
    const form = element(
      "form",
      { class: "form queue-pause", hidden: true },
      field("Why?", reason, "optional; running tasks go on"),
      element("div", { class: "buttons" }, button),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const given = reason.value.trim();
      once(button, () => this.turn(row, "pause", given ? { reason: given } : {}));
    });
    return form;
  }

  askWhy(row) {
    const { form } = row.parts;
    form.hidden = !form.hidden;
    if (!form.hidden) form.elements.reason.focus();
  }

  async turn(row, verb, body) {
    const { problem, form, toggle } = row.parts;
    problem.clear();
    try {
      const path = `/api/queues/${encodeURIComponent(row.queue.type)}/${verb}`;
      const answer = await this.board.api.send("POST", path, body);
      if (answer.body?.type) this.board.store.put("queues", answer.body);
      form.reset();
      form.hidden = true;
      toggle.focus({ preventScroll: true });
    } catch (error) {
      problem.show(error);
    }
  }
}

function pausedText(queue) {
  const by = queue.actor ? ` by ${queue.actor}` : "";
  return [
    `Paused${by}`,
    queue.at && [" ", timeSince(queue.at)],
    queue.reason && `: ${queue.reason}`,
  ].flat();
}

customElements.define("queue-list", QueueList);
