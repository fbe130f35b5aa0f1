// One lock: who holds it for what, whether the holder still answers, and a person's word that it is
// free.

import { element, rebuild } from "./dom.js";
import { field, once } from "./forms.js";
import { toned } from "./states.js";
import { taskLink } from "./task-wait.js";
import { timeSince } from "./time.js";

const SUSPECT = { word: "Holder silent", shape: "triangle", tone: "warn" };

class LockRow extends HTMLElement {
  /**
   * Parts are made once: a reason half written must not vanish when the list is read again.
   * @param {() => void} onRelease called once it is free
   */
  attach(board, onRelease) {
    this.board = board;
    this.onRelease = onRelease;
    this.text = element("span", { class: "lock-text" });
    this.open = element("button", {
      type: "button",
      "aria-expanded": "false",
      text: "Release",
      on: { click: () => this.ask(this.form.hidden) },
    });
    this.problem = element("problem-text");
    this.form = this.releaseForm();
    this.append(
      element("div", { class: "lock-line" }, this.text, this.open),
      this.form,
      this.problem,
    );
  }

  releaseForm() {
    this.warning = element("p", { class: "warning" });
    const reason = element("input", {
      name: "reason",
      required: true,
      maxlength: 200,
      autocomplete: "off",
    });
    const button = element("button", { class: "danger", text: "Release it" });
    const form = element(
      "form",
      { class: "form", hidden: true },
      this.warning,
      field("How do you know that nobody uses it?", reason, "it stays in the timeline"),
      element("div", { class: "buttons" }, button),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(button, () => this.release(reason.value.trim()));
    });
    return form;
  }

  show(lock) {
    this.lock = lock;
    const { name, device, task, since, site, suspect } = lock;
    this.open.setAttribute("aria-label", `Release ${name}`);
    this.warning.textContent =
      `Whoever waits for ${name} gets it at once. A run on ${device} that uses it goes on without ` +
      "knowing. Make sure that it stands still.";
    rebuild(
      this.text,
      element("strong", { text: name }),
      suspect && toned(SUSPECT),
      element(
        "span",
        { class: "muted" },
        `${device} for `,
        taskLink(this.board, task),
        " · since ",
        timeSince(since),
        this.board.store.node.sites?.length > 1 && ` · ${site}`,
      ),
    );
  }

  ask(isAsked) {
    this.form.hidden = !isAsked;
    this.open.setAttribute("aria-expanded", String(isAsked));
    if (isAsked) this.form.elements.reason.focus();
  }

  async release(reason) {
    this.problem.clear();
    const { name, site } = this.lock;
    try {
      const path = `/api/locks/${encodeURIComponent(name)}/release`;
      await this.board.api.send("POST", path, { reason, site });
      this.form.reset();
      this.ask(false);
      this.onRelease();
    } catch (problem) {
      this.problem.show(problem);
    }
  }
}

customElements.define("lock-row", LockRow);
