// The bookings that a page shows: read once for a window of time, and kept current by the live
// connection.

export const SHOWN = ["requested", "held", "confirmed", "refused", "no-show"];

export class BookingWindow {
  /** @param {() => void} changed called whenever what it holds is another */
  constructor(board, changed) {
    this.board = board;
    this.changed = changed;
    this.asked = null;
    this.isLoaded = false;
    this.isComplete = true;
    this.problem = null;
    board.store.watch("reloaded", () => this.asked && this.load());
    board.store.watch("bookings", () => this.asked && this.changed());
  }

  /** Show what overlaps `[from, to)` of these resources, by id. */
  ask(resources, from, to) {
    const asked = { resources, from, to };
    if (JSON.stringify(asked) === JSON.stringify(this.asked)) return;
    this.asked = asked;
    this.isLoaded = false;
    this.load();
  }

  rest() {
    this.asked = null;
  }

  async load() {
    const { asked } = this;
    const { store, api } = this.board;
    const since = store.counter;
    const query = {
      resource: asked.resources.join(","),
      from: new Date(asked.from).toISOString(),
      to: new Date(asked.to).toISOString(),
      status: SHOWN.join(","),
    };
    let problem = null;
    try {
      const { items } = await api.list("/api/bookings", { query });
      store.learnBookings(items, since);
    } catch (error) {
      problem = error;
    }
    if (this.asked !== asked) return;
    this.problem = problem;
    this.isLoaded ||= problem === null;
    this.changed();
  }

  /** @returns {object[]} those that overlap the window, by start */
  get list() {
    const { resources, from, to } = this.asked;
    const wanted = new Set(resources);
    const { store } = this.board;
    const known = [...store.records.bookings.values()];
    return known
      .filter((one) => one.start && SHOWN.includes(one.status))
      .filter((one) => one.resources.some((id) => wanted.has(id)))
      .filter((one) => Date.parse(one.start) < to && Date.parse(one.end) > from)
      .sort((one, other) => (one.start < other.start ? -1 : 1));
  }
}
