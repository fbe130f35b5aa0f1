// Add a piece of equipment.

import { RepeatKey } from "./api.js";
import { element } from "./dom.js";
import { dialogHead, field, once, siteField } from "./forms.js";

class EquipmentForm extends HTMLElement {
  attach(board) {
    this.board = board;
    this.dialog = element("dialog", {
      class: "sheet small",
      "aria-labelledby": "equipment-form-title",
    });
    this.append(this.dialog);
  }

  open() {
    this.key = new RepeatKey();
    this.problem = element("problem-text");
    const form = element(
      "form",
      { class: "form" },
      siteField(this.board.store.node),
      field(
        "Id",
        element("input", {
          name: "id",
          required: true,
          pattern: "[a-z0-9][a-z0-9._\\-]{0,62}",
          title: "Small letters, digits, dot, dash, underscore; at most 63",
          autocapitalize: "none",
          autocomplete: "off",
        }),
        "such as press-1; it stays for ever",
      ),
      field(
        "Name",
        element("input", { name: "name", maxlength: 200, autocomplete: "off" }),
        "optional",
      ),
      field(
        "Area",
        element("input", { name: "area", maxlength: 200, autocomplete: "off" }),
        "optional",
      ),
      this.problem,
      element("div", { class: "buttons" }, element("button", { class: "primary", text: "Add" })),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(form.querySelector("button.primary"), () => this.save(form));
    });
    this.dialog.replaceChildren(dialogHead("equipment-form-title", "Add equipment"), form);
    this.dialog.showModal();
    form.elements.id.focus();
  }

  async save(form) {
    const given = Object.fromEntries(
      [...new FormData(form)].map(([key, value]) => [key, value.trim()]),
    );
    const body = { id: given.id };
    if (given.name) body.name = given.name;
    if (given.area) body.attributes = { area: given.area };
    if (given.site) body.site = given.site;
    this.problem.clear();
    try {
      const { body: saved } = await this.board.api.send("POST", "/api/equipment", body, {
        key: this.key.of(body),
      });
      if (saved?.id) this.board.store.answer("equipment", saved);
      this.board.announcer.say(`Added: ${given.name || given.id}.`);
      this.dialog.close();
    } catch (problem) {
      this.problem.show(problem.status === 409 ? taken(given.id) : problem);
    }
  }
}

/** The node's own words are for programs: they name the verb to use instead. */
function taken(id) {
  return {
    title: `There is a ${id} already`,
    detail: "Choose another id, or open its tile to report its state.",
  };
}

customElements.define("equipment-form", EquipmentForm);
