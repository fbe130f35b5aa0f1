// One queue: its counts, who paused it and why, and the switch.

import { element, rebuild } from "./dom.js";
import { field, once } from "./forms.js";
import { timeSince } from "./time.js";

class QueueRow extends HTMLElement {
  /** Parts are made once: a question half answered must not vanish when a count changes. */
  attach(board) {
    this.board = board;
    this.label = element("span", { class: "switch-label" });
    this.toggle = element(
      "button",
      { type: "button", role: "switch", class: "switch" },
      element("span", { class: "switch-track" }),
      this.label,
    );
    // Going on is one tap; pausing stops other people's work and asks why.
    this.toggle.addEventListener("click", () => {
      if (this.queue.paused) once(this.toggle, () => this.turn("resume"));
      else this.askWhy();
    });
    this.counts = element("span", { class: "muted" });
    this.why = element("span", { class: "task-why" });
    this.problem = element("problem-text");
    this.form = this.pauseForm();
    this.append(
      element("div", { class: "queue-line" }, this.toggle, this.counts),
      this.why,
      this.form,
      this.problem,
    );
  }

  pauseForm() {
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
      once(button, () => this.turn("pause", reason.value.trim()));
    });
    return form;
  }

  show(queue) {
    if (this.queue?.paused !== queue.paused) this.form.hidden = true;
    this.queue = queue;
    this.toggle.setAttribute("aria-checked", String(!queue.paused));
    this.toggle.setAttribute("aria-label", `Queue ${queue.type} goes on`);
    const isOneOfSites = this.board.store.node.sites?.length > 1;
    this.label.textContent = isOneOfSites ? `${queue.type} · ${queue.site}` : queue.type;
    this.counts.textContent = `${queue.waiting} waiting · ${queue.running} running`;
    rebuild(this.why, queue.paused ? pausedText(queue) : []);
  }

  askWhy() {
    this.form.hidden = !this.form.hidden;
    if (!this.form.hidden) this.form.elements.reason.focus();
  }

  async turn(verb, reason) {
    this.problem.clear();
    const { type, site } = this.queue;
    try {
      const path = `/api/queues/${encodeURIComponent(type)}/${verb}`;
      const body = reason ? { reason, site } : { site };
      const answer = await this.board.api.send("POST", path, body);
      if (answer.body?.type) this.board.store.answer("queues", answer.body);
      this.form.reset();
      this.form.hidden = true;
      this.toggle.focus({ preventScroll: true });
    } catch (problem) {
      this.problem.show(problem);
    }
  }
}

function pausedText(queue) {
  return [
    queue.actor ? `Paused by ${queue.actor}` : "Paused",
    queue.at && [" ", timeSince(queue.at)],
    queue.reason && `: ${queue.reason}`,
  ];
}

customElements.define("queue-row", QueueRow);
