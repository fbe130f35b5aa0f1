// Where the reader is, kept in the address: `#tasks&status=dead&device=robot-1&task=ID`. So a link
// leads a colleague to the same place, and a phone's Back closes the dialog instead of the board.

/** What the list of tasks can be narrowed by, named as the API names it. */
export const FILTERS = ["type", "device", "priority", "requester", "group"];

const NARROWING = ["status", ...FILTERS];

export class Route {
  constructor() {
    this.callbacks = [];
    addEventListener("hashchange", () => this.tell());
    addEventListener("popstate", () => this.tell());
  }

  /** Call `callback` now and whenever the reader goes elsewhere. */
  watch(callback) {
    this.callbacks.push(callback);
    callback();
  }

  tell() {
    for (const callback of this.callbacks) callback();
  }

  get parameters() {
    return new URLSearchParams(location.hash.slice(1));
  }

  /** `tasks`, or `board`: everything at a glance. */
  get view() {
    return this.parameters.has("tasks") ? "tasks" : "board";
  }

  /** The id of the task that is open, or null. */
  get task() {
    return this.parameters.get("task");
  }

  /** @returns {Record<string, string>} the filters that are set */
  get filters() {
    const given = this.parameters;
    return Object.fromEntries(
      NARROWING.filter((name) => given.get(name)).map((name) => [name, given.get(name)]),
    );
  }

  /** The address of the tasks, narrowed. */
  static toTasks(filters = {}) {
    const set = Object.entries(filters).filter(([name, value]) => NARROWING.includes(name) && value);
    return ["#tasks", new URLSearchParams(set).toString()].filter(Boolean).join("&");
  }

  go(hash) {
    if (hash !== location.hash) history.pushState(null, "", hash || location.pathname);
    this.tell();
  }

  /** Narrow the list; that is no step to come back from. */
  narrow(filters) {
    history.replaceState(history.state, "", Route.toTasks(filters));
    this.tell();
  }

  openTask(id) {
    const base = this.view === "tasks" ? `${Route.toTasks(this.filters)}&` : "#";
    const isOpen = this.task !== null;
    const hash = `${base}task=${encodeURIComponent(id)}`;
    // From one task to the next: closing leads back to the list, not through all of them.
    if (isOpen) history.replaceState(history.state, "", hash);
    else history.pushState({ isOverList: true }, "", hash);
    this.tell();
  }

  closeTask() {
    if (this.task === null) return;
    if (history.state?.isOverList) {
      history.back();
      return;
    }
    const hash = this.view === "tasks" ? Route.toTasks(this.filters) : location.pathname;
    history.replaceState(null, "", hash);
    this.tell();
  }
}
