// A window on the node's tasks: the first so many of a question, kept current by live changes.
//
// The node may hold 100,000 tasks; a page holds those it shows. `reach` is the last task read: a
// change beyond it belongs to what was not read yet and is left there, so that the window never
// shows a list with holes.

import { ORDERS, WAITING, matches } from "./task-query.js";

const PAGE_MAX = 500; // the API's own bound
// A filter that hardly anything matches: the node looks at so many rows at a time, and says where
// to go on. The reader decides whether to search further.
const PAGES_MAX = 5;
const RECHECK_MS = 15_000;
const SOON_MS = 2_000;

export class TaskWindow {
  /**
   * @param {object} store
   * @param {number} size tasks to begin with, and to add each time more are wanted
   * @param {() => void} onChange called when there is something else to show
   */
  constructor(store, size, onChange) {
    this.store = store;
    this.size = size;
    this.onChange = onChange;
    this.isOn = false;
    this.run = 0;
    this.soon = null;
    this.clear({}, "newest");
    store.watch("tasks", (ids) => this.isOn && ids?.size > 0 && this.hear(ids));
    store.watch("reloaded", () => this.isOn && this.read());
    store.watch("connection", () => {
      const isLive = store.connection.phase === "live";
      if (this.isOn && isLive && this.problem) this.read();
    });
    setInterval(() => this.recheck(), RECHECK_MS);
  }

  clear(filters, order) {
    this.filters = filters;
    this.order = order;
    this.tasks = new Map();
    this.wanted = this.size;
    this.cursor = null;
    this.reach = null;
    this.filled = 0;
    this.isCut = false;
    this.isLoaded = false;
    this.isReading = false;
    this.problem = null;
  }

  /** Ask something; the same again changes nothing. */
  ask(filters, order) {
    const isSame =
      order === this.order && JSON.stringify(filters) === JSON.stringify(this.filters);
    if (this.isOn && isSame) return;
    this.isOn = true;
    if (!isSame) this.clear(filters, order);
    this.onChange();
    this.read();
  }

  /** Nobody looks: follow nothing. */
  rest() {
    this.isOn = false;
    this.isReading = false;
    this.run += 1;
  }

  get hasMore() {
    return this.cursor !== null || this.isCut;
  }

  /** What to show, in order. */
  get list() {
    return [...this.tasks.values()].sort(ORDERS[this.order]).slice(0, this.wanted);
  }

  more() {
    this.wanted += this.size;
    // What was cut off lies between here and the cursor.
    return this.isCut ? this.read() : this.read(this.cursor);
  }

  /** Read from the start, or go on from a cursor. */
  async read(from = null) {
    // Before the first lists came, whoever reads may not be signed in; "reloaded" follows.
    if (!this.store.loaded.has("equipment")) return;
    this.run += 1;
    const run = this.run;
    this.isReading = true;
    this.heard = new Map();
    const since = this.store.counter;
    const wanted = this.wanted - (from === null ? 0 : this.tasks.size);
    let answer;
    try {
      answer = await this.fetch(from, Math.max(wanted, 1), run);
    } catch (problem) {
      if (run === this.run) this.fail(problem);
      return;
    }
    if (run === this.run) this.take(answer, from, since);
  }

  async fetch(from, wanted, run) {
    const items = [];
    let cursor = from;
    for (let page = 0; page < PAGES_MAX && run === this.run; page += 1) {
      const limit = Math.min(wanted - items.length, PAGE_MAX);
      const query = { ...this.filters, order: this.order, limit, cursor };
      const { body } = await this.store.api.get("/api/tasks", { query });
      items.push(...body.items);
      cursor = body.next ?? null;
      if (cursor === null || items.length >= wanted) break;
    }
    return { items, cursor };
  }

  fail(problem) {
    this.isReading = false;
    this.problem = problem;
    this.onChange();
  }

  take({ items, cursor }, from, since) {
    const known = this.store.learnTasks(items, since);
    if (from === null) this.tasks = new Map();
    for (const task of known) {
      if (matches(task, this.filters)) this.tasks.set(task.id, task);
    }
    this.cursor = cursor;
    this.isCut = false;
    this.reach = cursor === null ? null : (items.at(-1) ?? (from && this.reach));
    this.isReading = false;
    this.isLoaded = true;
    this.problem = null;
    this.place(this.heard);
    this.filled = this.tasks.size;
    this.onChange();
  }

  /** Changes that arrived by themselves. */
  hear(ids) {
    const { tasks } = this.store.records;
    const changes = [...ids].map((id) => [id, tasks.get(id) ?? null]);
    for (const [id, task] of changes) this.heard?.set(id, task);
    this.place(changes);
    this.onChange();
    this.recheckSoon();
    // Many started or ended: what comes next was not read yet.
    const isRunningDry = this.cursor !== null && this.tasks.size < this.filled / 2;
    if (isRunningDry && !this.isReading) this.read(this.cursor);
  }

  place(changes) {
    for (const [id, task] of changes) {
      if (task && matches(task, this.filters) && this.isWithinReach(task)) this.tasks.set(id, task);
      else this.tasks.delete(id);
    }
    if (this.tasks.size > this.wanted * 2) this.cut();
  }

  isWithinReach(task) {
    return this.reach === null || ORDERS[this.order](task, this.reach) <= 0;
  }

  /** A burst of new tasks must not fill the page. */
  cut() {
    const kept = this.list;
    this.tasks = new Map(kept.map((task) => [task.id, task]));
    this.reach = kept.at(-1);
    this.isCut = true;
  }

  /** What one task does is often why others wait; the node tells the change, not what follows. */
  recheckSoon() {
    this.soon ??= setTimeout(() => {
      this.soon = null;
      this.recheck();
    }, SOON_MS);
  }

  /** Time alone moves waiting tasks on: a `not_before` passes, a device falls silent. */
  recheck() {
    const isWaiting = this.list.some((task) => WAITING.includes(task.status));
    const isCurrent = this.store.connection.phase === "live" && !document.hidden;
    const isCheap = this.wanted <= PAGE_MAX && !this.isReading;
    if (this.isOn && isCurrent && isWaiting && isCheap) this.read();
  }
}
