// On a phone one section shows at a time; these tabs choose it. Wide screens show all, no tabs, but
// for tasks and bookings, which have pages of their own on both.

import { attentionCount } from "./booking-attention.js";
import { element, rebuild } from "./dom.js";

const SECTIONS = {
  equipment: { word: "Equipment", view: "equipment-tiles", counted: "stopped" },
  conflicts: { word: "Conflicts", view: "conflict-list", counted: "open" },
  tasks: { word: "Tasks", view: "task-page", page: "#tasks" },
  bookings: { word: "Bookings", view: "booking-page", page: "#bookings" },
  devices: { word: "Devices", view: "device-list" },
};

class SectionTabs extends HTMLElement {
  attach(board) {
    this.store = board.store;
    this.route = board.route;
    this.section = "equipment";
    this.attention = attentionCount(board.store);
    const nav = element("nav", { "aria-label": "Sections" });
    this.buttons = new Map(Object.keys(SECTIONS).map((key) => [key, this.tab(key)]));
    nav.append(...this.buttons.values());
    this.append(nav);
    this.route.watch(() => this.show());
    for (const topic of ["equipment", "conflicts", "node"])
      this.store.watch(topic, () => this.showCounts());
  }

  tab(key) {
    const button = element("button", { type: "button" });
    button.addEventListener("click", () => {
      this.choose(key);
      scrollTo({ top: 0 });
    });
    return button;
  }

  choose(key) {
    const { page } = SECTIONS[key];
    if (!page) this.section = key;
    const { view } = this.route;
    if (page && view !== key) this.route.go(page);
    else if (!page && view !== "board") this.route.go("");
    else this.show();
  }

  show() {
    const { view } = this.route;
    const key = view === "board" ? this.section : view;
    for (const [other, button] of this.buttons) {
      button.setAttribute("aria-current", String(other === key));
      document.querySelector(SECTIONS[other].view).classList.toggle("chosen", other === key);
    }
  }

  showCounts() {
    const { records, node } = this.store;
    const stopped = [...records.equipment.values()].filter(
      (record) => record.state === "red",
    ).length;
    const counts = { equipment: stopped, conflicts: records.conflicts.size };
    for (const [key, button] of this.buttons) {
      rebuild(
        button,
        SECTIONS[key].word,
        key === "bookings" && this.attention,
        counts[key] > 0 && element("b", { class: "count", text: counts[key] }),
        counts[key] > 0 &&
          element("span", { class: "visually-hidden", text: ` ${SECTIONS[key].counted}` }),
      );
    }
    this.buttons.get("devices").hidden = node?.role === "agent";
  }
}

customElements.define("section-tabs", SectionTabs);
