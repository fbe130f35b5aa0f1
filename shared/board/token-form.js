// Asks for a token when there is none, or when the node does not accept the one there is.

import { element } from "./dom.js";
import { field } from "./forms.js";
import "./notices.js";

const HINT =
  "It stands in the settings of the program that serves this page ([api] tokens) or, if they have " +
  "none, in the file “token” of its data folder. This tab keeps it until it is closed.";

const REFUSED = {
  title: "This node does not accept the token",
  detail: "Enter one of this node's: other nodes may have others.",
};

class TokenForm extends HTMLElement {
  /** @param {(token: string) => void} onToken */
  attach(onToken) {
    this.reason = element("p", { class: "muted" });
    this.problem = element("problem-text");
    const form = element(
      "form",
      { class: "form card" },
      element("h2", { text: "Who is there?" }),
      this.reason,
      this.problem,
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

  /** @param {boolean} isRefused whether the node did not accept the token there was */
  ask(isRefused) {
    this.reason.textContent = "This node shows its board to those who have a token.";
    if (isRefused) this.problem.show(REFUSED);
    else this.problem.clear();
    if (!this.hidden) return;
    this.hidden = false;
    this.querySelector("input").focus();
  }
}

customElements.define("token-form", TokenForm);
