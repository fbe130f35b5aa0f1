// All that can be booked, groups too, each leading to its hours and rules; at the hub.

import { element, rebuild } from "./dom.js";
import { dialogHead } from "./forms.js";
import { bookable } from "./resource-groups.js";

class ResourceList extends HTMLElement {
  attach(board) {
    this.board = board;
    this.list = element("ul", { class: "rows" });
    this.dialog = element("dialog", { class: "sheet small", "aria-labelledby": "resources-title" });
    this.append(this.dialog);
    board.store.watch("resources", () => this.show());
  }

  open() {
    this.dialog.replaceChildren(
      dialogHead("resources-title", "What can be booked"),
      element(
        "div",
        { class: "form" },
        this.list,
        element(
          "div",
          { class: "booking-actions" },
          this.add("New resource", false),
          this.add("New group", true),
        ),
      ),
    );
    this.show();
    this.dialog.showModal();
  }

  add(text, isGroup) {
    const button = element("button", { type: "button", text });
    button.addEventListener("click", () => {
      this.dialog.close();
      this.board.openResourceForm(null, { isGroup });
    });
    return button;
  }

  show() {
    rebuild(
      this.list,
      bookable(this.board.store).map(({ id, name, members, timezone }) => {
        const open = element("button", {
          type: "button",
          class: "link",
          data: { action: id },
          text: name || id,
        });
        open.addEventListener("click", () => {
          this.dialog.close();
          this.board.openResourceForm(id);
        });
        const told = members ? `group: ${members.join(" + ")}` : timezone;
        return element("li", {}, open, element("p", { class: "muted", text: told }));
      }),
    );
  }
}

customElements.define("resource-list", ResourceList);
