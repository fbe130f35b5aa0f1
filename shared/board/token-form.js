// Asks for a token when there is none, or when the node does not accept the one there is.

import { element } from "./dom.js";
import { field } from "./forms.js";

const HINT =
  "The program that serves this page prints it when it starts, or has it in the file “token” " +
  "of its data folder. This tab keeps it until it is closed.";

class TokenForm extends HTMLElement {
  /** @param {(token: string) => void} onToken */
  attach(onToken) {
    this.reason = element("p", { class: "muted" });
    const form = element(
      "form",
      { class: "form card" },
      element("h2", { text: "Who is there?" }),
      this.reason,
      field(
        "Token",
        element("input", {
          name: "token",
          type: "password",
          required: true,
          autocomplete: "current-password",
        }),
      ),
      element("p", {
        class: "muted",
        text: HINT,
      }),
      element(
        "div",
        { class: "buttons" },
        element("button", { class: "primary", text: "Open the board" }),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.hidden = true;
      onToken(form.elements.token.value.trim());
      form.reset();
    });
    this.append(form);
    this.hidden = true;
  }

  /** @param {string} reason why the page asks */
  ask(reason) {
    this.reason.textContent = reason;
    if (!this.hidden) return;
    this.hidden = false;
    this.querySelector("input").focus();
  }
}

customElements.define("token-form", TokenForm);
