// Where the reader is, kept in the address: `#tasks&status=dead&device=robot-1&task=ID`, or
// `#bookings=strange,who&day=2026-12-01&booking=ID`. So a link leads a colleague to the same place,
// and a phone's Back closes the dialog instead of the board.

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

  /** `tasks`, `bookings`, or `board`: everything at a glance. */
  get view() {
    const given = this.parameters;
    if (given.has("tasks")) return "tasks";
    return given.has("bookings") || given.has("booking") ? "bookings" : "board";
  }

  /** The id of the task that is open, or null. */
  get task() {
    return this.parameters.get("task");
  }

  /** The id of the booking that is open, or null. */
  get booking() {
    return this.parameters.get("booking");
  }

  /** @returns {Record<string, string>} the filters that are set */
  get filters() {
    const given = this.parameters;
    return Object.fromEntries(
      NARROWING.filter((name) => given.get(name)).map((name) => [name, given.get(name)]),
    );
  }

  /** @returns {{resources: string[], day: string|null, isWeek: boolean}} of the calendar */
  get calendar() {
    const given = this.parameters;
    return {
      resources: (given.get("bookings") ?? "").split(",").filter(Boolean),
      day: /^\d{4}-\d{2}-\d{2}$/.test(given.get("day") ?? "") ? given.get("day") : null,
      isWeek: given.has("week"),
    };
  }

  /** The address of the tasks, narrowed. */
  static toTasks(filters = {}) {
    const set = Object.entries(filters).filter(
      ([name, value]) => NARROWING.includes(name) && value,
    );
    return ["#tasks", new URLSearchParams(set).toString()].filter(Boolean).join("&");
  }

  /** The address of the bookings of some resources, on a day or in its week. */
  static toBookings({ resources = [], day = null, isWeek = false } = {}) {
    const names = resources.map(encodeURIComponent).join(",");
    const parts = [
      names ? `#bookings=${names}` : "#bookings",
      day && `day=${day}`,
      isWeek && "week",
    ];
    return parts.filter(Boolean).join("&");
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

  /** Turn the calendar to something else; likewise. */
  turn(calendar) {
    history.replaceState(history.state, "", Route.toBookings({ ...this.calendar, ...calendar }));
    this.tell();
  }

  openTask(id) {
    this.openOver("task", id);
  }

  closeTask() {
    this.closeOver("task");
  }

  openBooking(id) {
    this.openOver("booking", id);
  }

  closeBooking() {
    this.closeOver("booking");
  }

  /** The page beneath a dialog. */
  get page() {
    if (this.view === "tasks") return Route.toTasks(this.filters);
    return this.view === "bookings" ? Route.toBookings(this.calendar) : "";
  }

  openOver(name, id) {
    const isOpen = this.parameters.get(name) !== null;
    const hash = `${this.page ? `${this.page}&` : "#"}${name}=${encodeURIComponent(id)}`;
    // From one to the next: closing leads back to the page, not through all of them.
    if (isOpen) history.replaceState(history.state, "", hash);
    else history.pushState({ isOverList: true }, "", hash);
    this.tell();
  }

  closeOver(name) {
    if (this.parameters.get(name) === null) return;
    if (history.state?.isOverList) {
      history.back();
      return;
    }
    history.replaceState(null, "", this.page || location.pathname);
    this.tell();
  }
}
