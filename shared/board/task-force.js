// At the hub: move a task to another device though the one that has it did not give it back.

import { element } from "./dom.js";
import { field, once } from "./forms.js";
import { ENDED } from "./store.js";

// What has ended stays where it ended; what nobody knows the end of is settled, not moved.
const FIXED = new Set([...ENDED, "unknown"]);

class TaskForce extends HTMLElement {
  attach(board, problems) {
    this.board = board;
    this.problems = problems;
    this.hidden = true;
    this.warning = element("p", { class: "warning" });
    this.hint = element("p", { class: "muted" });
    this.done = element("p", { role: "status" });
    this.devices = element("datalist", { id: "force-devices" });
    const button = element("button", { class: "danger", text: "Move it anyway" });
    this.form = element(
      "form",
      { class: "form" },
      this.warning,
      field(
        "To device",
        element("input", {
          name: "device",
          list: "force-devices",
          autocomplete: "off",
          autocapitalize: "none",
          pattern: "\\s*[a-z0-9][a-z0-9._\\-]{0,62}\\s*",
          title: "The id of a device, such as robot-1",
        }),
        "empty: whichever fits",
      ),
      this.devices,
      field(
        "Why",
        element("input", { name: "reason", required: true, maxlength: 200, autocomplete: "off" }),
        "it stays in the timeline",
      ),
      element("div", { class: "buttons" }, button),
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(button, () => this.force(this.form));
    });
    this.details = element(
      "details",
      { class: "more-fields" },
      element("summary", { text: "Force to another device" }),
      this.hint,
      this.form,
    );
    this.append(this.details, this.done);
  }

  /** Only the hub forces, and only a node that tells allocations knows how. */
  show(task) {
    this.task = task;
    const { node, records } = this.board.store;
    const isMovable = Boolean(task.allocation) && !FIXED.has(task.status);
    this.details.hidden = !isMovable;
    this.hidden = node?.role !== "hub" || !(isMovable || this.done.textContent);
    if (!isMovable || this.hidden) return;
    const { device } = task.allocation;
    // What answers is asked; the hub forces nothing from a device that it hears.
    const answers = records.devices.get(device)?.connected && task.status !== "cancelling";
    this.form.hidden = Boolean(answers);
    this.hint.hidden = !answers;
    this.hint.textContent =
      `${device} has this task and is connected. Cancel it instead; ` +
      "if it does not answer to that, or goes away, the task can be moved from here.";
    this.warning.textContent =
      `${device} has this task and may be running it, or may start it once it is back, without ` +
      "anybody hearing of it. It can then run twice. Both runs are kept and marked. " +
      `Make sure that ${device} stands still first.`;
    const others = [...records.devices.keys()].filter((id) => id !== device);
    this.devices.replaceChildren(...others.map((id) => element("option", { value: id })));
  }

  async force(form) {
    this.problems.clear();
    const from = this.task.allocation.device;
    const given = Object.fromEntries(new FormData(form));
    const body = { reason: given.reason.trim(), seen: this.task.etag };
    if (given.device.trim()) body.device = given.device.trim();
    try {
      const path = `/api/tasks/${encodeURIComponent(this.task.id)}/force`;
      const answer = await this.board.api.send("POST", path, body);
      if (answer.body?.id) this.board.store.answer("tasks", answer.body);
      form.reset();
      this.details.open = false;
      this.done.textContent = movedText(from, answer.body);
    } catch (problem) {
      this.problems.show(problem);
      this.problems.scrollIntoView({ block: "nearest" });
    }
  }
}

/** The hub knows whether the former device had leave to act; the person who forced must, too. */
function movedText(from, { allocation, double_run_possible: canRunTwice }) {
  const where = `It was moved to ${allocation?.device ?? "whichever device fits"}. `;
  return canRunTwice
    ? `${where}${from} may run it as well: once both runs are known, it is marked “Ran twice”.`
    : `${where}${from} had no leave to start it, so it does not run twice.`;
}

customElements.define("task-force", TaskForce);
