// Submit a task: one command line, or any type with its payload.

import { RepeatKey } from "./api.js";
import { element } from "./dom.js";
import { dialogHead, field, once, siteField } from "./forms.js";
import { moreFields, moreOf } from "./task-more.js";

class TaskForm extends HTMLElement {
  attach(board) {
    this.board = board;
    this.dialog = element("dialog", { class: "sheet small", "aria-labelledby": "task-form-title" });
    this.append(this.dialog);
  }

  /** @param {{after?: string}} given what to fill in */
  open(given = {}) {
    this.key = new RepeatKey();
    this.problem = element("problem-text");
    const form = element(
      "form",
      { class: "form" },
      this.kindFields(),
      siteField(this.board.store.node),
      moreFields(this.board, given),
      this.problem,
      element("div", { class: "buttons" }, element("button", { class: "primary", text: "Submit" })),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(form.querySelector("button.primary"), () => this.submit(form));
    });
    this.dialog.replaceChildren(dialogHead("task-form-title", "New task"), form);
    this.dialog.showModal();
    form.elements.command.focus();
  }

  kindFields() {
    const command = field(
      "Command",
      element("input", {
        name: "command",
        required: true,
        class: "code",
        autocomplete: "off",
        autocapitalize: "none",
        spellcheck: "false",
        placeholder: "echo hello",
      }),
    );
    const type = field(
      "Type",
      element("input", {
        name: "type",
        autocomplete: "off",
        autocapitalize: "none",
        value: "wait",
      }),
    );
    const payload = field(
      "Payload",
      element("textarea", { name: "payload", rows: 4, class: "code", spellcheck: "false" }),
      "JSON",
    );
    payload.querySelector("textarea").value = '{"seconds": 5}';
    const choices = { command: "A command", other: "Another type" };
    const radios = Object.entries(choices).map(([value, text]) =>
      element(
        "label",
        { class: "segment" },
        element("input", { type: "radio", name: "kind", value, checked: value === "command" }),
        element("span", { text }),
      ),
    );
    const other = element("div", { class: "form" }, type, payload);
    const group = element(
      "fieldset",
      { class: "segments" },
      element("legend", { text: "What to run" }),
      radios,
    );
    const choose = () => {
      const isCommand = group.querySelector(":checked").value === "command";
      command.hidden = !isCommand;
      command.querySelector("input").required = isCommand;
      other.hidden = isCommand;
      type.querySelector("input").required = !isCommand;
    };
    group.addEventListener("change", choose);
    choose();
    return [group, command, other];
  }

  async submit(form) {
    const given = Object.fromEntries(
      [...new FormData(form)].map(([key, value]) => [key, value.trim()]),
    );
    this.problem.clear();
    try {
      const body = taskBody(given);
      const { body: task } = await this.board.api.send("POST", "/api/tasks", body, {
        key: this.key.of(body),
      });
      if (task?.id) this.board.store.answer("tasks", task);
      this.board.announcer.say("Task submitted.");
      this.dialog.close();
    } catch (problem) {
      this.problem.show(problem);
    }
  }
}

function taskBody(given) {
  const body =
    given.kind === "command"
      ? { command: given.command }
      : { type: given.type, payload: parsedPayload(given.payload) };
  if (given.site) body.site = given.site;
  return { ...body, ...moreOf(given) };
}

function parsedPayload(text) {
  try {
    return JSON.parse(text || "{}");
  } catch (error) {
    throw new Error(`The payload is not JSON: ${error.message}`, { cause: error });
  }
}

customElements.define("task-form", TaskForm);
