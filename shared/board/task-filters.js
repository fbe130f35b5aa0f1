// Narrows all lists of tasks: by type, device, priority, requester, group.

import { element } from "./dom.js";
import { field } from "./forms.js";
import { PRIORITIES } from "./task-query.js";
import { FILTERS } from "./route.js";

const NAME = { pattern: "\\s*[a-z0-9][a-z0-9._\\-]{0,62}\\s*", title: "Such as robot-1" };
const LABELS = {
  type: "Type",
  device: "Device",
  priority: "Priority",
  requester: "Requester",
  group: "Group",
};

class TaskFilters extends HTMLElement {
  attach(board) {
    this.board = board;
    this.inputs = {
      type: choice("Any type"),
      device: named("Any device", NAME),
      priority: choice("Any priority"),
      requester: named("Anyone"),
      group: named("Any group", NAME),
    };
    this.known = { type: "", device: "", priority: "" };
    this.clear = element("button", { type: "button", class: "quiet", text: "Clear filters" });
    this.clear.addEventListener("click", () => this.apply({}));
    this.toggle = element("button", { type: "button", class: "filter-toggle" });
    this.toggle.addEventListener("click", () => this.unfold());
    this.fields = element(
      "form",
      { class: "filters", "aria-label": "Narrow the lists" },
      FILTERS.map((name) => field(LABELS[name], this.inputs[name])),
      this.clear,
    );
    this.fields.addEventListener("change", () => this.submit());
    this.fields.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.append(this.toggle, this.fields);
    offer(this.inputs.priority, PRIORITIES);
    for (const topic of ["summary", "devices", "node"]) board.store.watch(topic, () => this.offer());
    board.store.watch("reloaded", () => this.findOutGroups());
    board.route.watch(() => this.show());
  }

  /** A node that cannot filter by group refuses the question. */
  async findOutGroups() {
    if (!this.board.store.node || this.knowsGroups !== undefined) return;
    try {
      await this.board.api.get("/api/tasks", { query: { group: "none", limit: 1 } });
      this.knowsGroups = true;
    } catch (problem) {
      if (problem.status === 400) this.knowsGroups = false;
    }
    this.inputs.group.closest("label").hidden = this.knowsGroups === false;
  }

  unfold() {
    const isOpen = this.classList.toggle("open");
    this.toggle.setAttribute("aria-expanded", String(isOpen));
  }

  submit() {
    if (!this.fields.reportValidity()) return;
    const given = FILTERS.map((name) => [name, this.inputs[name].value.trim()]);
    this.apply(Object.fromEntries(given));
  }

  apply(filters) {
    const { status } = this.board.route.filters;
    this.board.route.narrow({ status, ...filters });
  }

  show() {
    const { filters } = this.board.route;
    this.offer();
    for (const name of FILTERS) this.inputs[name].value = filters[name] ?? "";
    const count = FILTERS.filter((name) => filters[name]).length;
    this.clear.hidden = count === 0;
    this.toggle.textContent = count > 0 ? `Filters · ${count} set` : "Filters";
    this.toggle.setAttribute("aria-expanded", String(this.classList.contains("open")));
  }

  /** What there is to choose; rebuilt only when that changed, else an open list would close. */
  offer() {
    const { summary, records, node } = this.board.store;
    const { filters } = this.board.route;
    const devices = node?.role === "hub" ? [...records.devices.keys()] : [node?.id];
    const types = [...Object.keys(summary?.by_type ?? {}), filters.type].filter(Boolean);
    const offers = { type: [...new Set(types)].sort(), device: devices.filter(Boolean).sort() };
    for (const [name, values] of Object.entries(offers)) {
      if (this.known[name] === values.join()) continue;
      this.known[name] = values.join();
      offer(this.inputs[name], values);
      if (name === "type") this.inputs.type.value = filters.type ?? "";
    }
  }
}

function choice(any) {
  return element("select", {}, element("option", { value: "", text: any }));
}

function named(any, rules = {}) {
  return element("input", {
    placeholder: any,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: 200,
    ...rules,
  });
}

function offer(input, values) {
  const options = values.map((value) => element("option", { value, text: value }));
  if (input.tagName === "SELECT") {
    input.replaceChildren(input.firstElementChild, ...options);
    return;
  }
  const id = "filter-devices";
  document.getElementById(id)?.remove();
  input.setAttribute("list", id);
  input.after(element("datalist", { id }, options));
}

customElements.define("task-filters", TaskFilters);
