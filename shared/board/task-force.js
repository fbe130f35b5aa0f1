// At the hub: move a task to another device though the one that has it did not give it back.

import { element } from "./dom.js";
import { field, once } from "./forms.js";
import { ENDED } from "./store.js";

class TaskForce extends HTMLElement {
  attach(board, problems) {
    this.board = board;
    this.problems = problems;
    this.hidden = true;
    this.warning = element("p", { class: "warning" });
    this.devices = element("datalist", { id: "force-devices" });
    const button = element("button", { class: "danger", text: "Move it anyway" });
    const form = element(
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
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(button, () => this.force(form));
    });
    this.details = element(
      "details",
      { class: "more-fields" },
      element("summary", { text: "Force to another device" }),
      form,
    );
    this.append(this.details);
  }

  /** Only the hub forces, and only a node that tells allocations knows how. */
  show(task) {
    this.task = task;
    const { node, records } = this.board.store;
    const isHeld = Boolean(task.allocation) && !ENDED.has(task.status);
    this.hidden = !(node?.role === "hub" && isHeld);
    if (this.hidden) return;
    const { device } = task.allocation;
    this.warning.textContent =
      `${device} has this task and may be running it, or may start it once it is back, without ` +
      "anybody hearing of it. It can then run twice. Both runs are kept and marked. " +
      `Make sure that ${device} stands still first.`;
    const others = [...records.devices.keys()].filter((id) => id !== device);
    this.devices.replaceChildren(...others.map((id) => element("option", { value: id })));
  }

  async force(form) {
    this.problems.clear();
    const given = Object.fromEntries(new FormData(form));
    const body = { reason: given.reason.trim(), seen: this.task.etag };
    if (given.device.trim()) body.device = given.device.trim();
    try {
      const path = `/api/tasks/${encodeURIComponent(this.task.id)}/force`;
      const answer = await this.board.api.send("POST", path, body);
      if (answer.body?.id) this.board.store.put("tasks", answer.body);
      form.reset();
      this.details.open = false;
    } catch (problem) {
      this.problems.show(problem);
      this.problems.scrollIntoView({ block: "nearest" });
    }
  }
}

customElements.define("task-force", TaskForce);
