// What this page knows of its node: records by topic, kept current by the live connection.
//
// Views watch a topic and are called once per animation frame, however many changes came in
// between, so that a burst of a thousand changes costs one rendering.

import { Problem } from "./api.js";
import { Live } from "./live.js";

const PULSE_MS = 2_000;
const PULSE_TIMEOUT_MS = 4_000;
const SUMMARY_MS = 2_000;
// A board may stay open for months; what was not heard of for longest leaves the page, not the node.
const TASKS_MAX = 2_000;
const BOOKINGS_MAX = 5_000;

/** Statuses after which a task does not change by itself. */
export const ENDED = new Set(["succeeded", "dead", "cancelled", "expired"]);

export class Store {
  constructor(api) {
    this.api = api;
    this.node = null;
    this.uplink = null;
    this.summary = null;
    this.connection = { phase: "connecting", since: Date.now(), problem: null };
    this.records = {
      equipment: new Map(),
      tasks: new Map(),
      conflicts: new Map(),
      devices: new Map(),
      queues: new Map(),
      resources: new Map(),
      bookings: new Map(),
    };
    this.loaded = new Set();
    this.watchers = new Map();
    this.dirty = new Set();
    this.counter = 0;
    this.touched = new Map();
    this.changed = new Set();
    this.live = new Live({
      load: () => this.load(),
      topics: () => this.topics(),
      token: () => this.api.token,
      change: (change) => this.apply(change),
      phase: (phase, problem) => this.moveTo(phase, problem),
    });
    this.isRunning = false;
  }

  /**
   * Call `callback` now and after changes of `topic`: equipment, …, node, uplink, connection, and
   * `reloaded` when the lists were read anew. Of tasks it then gets the ids that changed.
   */
  watch(topic, callback) {
    const callbacks = this.watchers.get(topic) ?? [];
    callbacks.push(callback);
    this.watchers.set(topic, callbacks);
    callback();
  }

  /** Connect with the token the API has; once the node refused one, call it again with another. */
  async start() {
    if (this.isRunning) return;
    this.isRunning = true;
    try {
      await this.live.run();
    } finally {
      this.isRunning = false;
    }
  }

  /** Follow the node's own facts, which have no topic; this is also how a dead link is noticed. */
  startPulse() {
    setInterval(() => isVisible() && this.pulse(), PULSE_MS);
    setInterval(() => this.summaryIsOld && isVisible() && this.loadSummary(), SUMMARY_MS);
    addEventListener("online", () => this.live.hurry());
    document.addEventListener("visibilitychange", () => {
      if (isVisible()) this.live.hurry();
    });
  }

  async pulse() {
    if (this.connection.phase !== "live") return;
    try {
      await this.loadNode();
    } catch (error) {
      if (error.status === 0) this.live.suspect();
    }
  }

  topics() {
    const topics = ["equipment", "tasks", "conflicts"];
    if (this.node?.role === "hub") topics.push("devices");
    // A node without queues refuses the whole subscription for that one word.
    if (this.loaded.has("queues")) topics.push("queues");
    if (this.loaded.has("resources")) topics.push("resources", "bookings");
    return topics;
  }

  /** Read all lists; resolves to the position of the oldest. */
  async load() {
    await this.loadNode();
    const since = this.counter;
    // First one list alone: its position is then older than all the others.
    const equipment = await this.api.list("/api/equipment");
    this.replace("equipment", equipment.items, since);
    await Promise.all([
      this.loadConflicts(since),
      this.loadDevices(since),
      this.loadQueues(since),
      this.loadIfServed("resources", since),
      this.loadSummary(),
    ]);
    this.mark("reloaded");
    return equipment.position;
  }

  async loadNode() {
    this.node = (await this.api.get("/api/node", { timeoutMs: PULSE_TIMEOUT_MS })).body;
    this.mark("node");
    if (this.node.role === "agent") await this.loadUplink();
  }

  async loadUplink() {
    this.setUplink((await this.api.get("/api/uplink", { timeoutMs: PULSE_TIMEOUT_MS })).body);
  }

  setUplink(uplink) {
    this.uplink = uplink;
    this.mark("uplink");
  }

  async loadConflicts(since) {
    this.replace("conflicts", (await this.api.list("/api/conflicts")).items, since);
  }

  async loadDevices(since) {
    if (this.node.role === "hub") await this.loadIfServed("devices", since);
  }

  async loadQueues(since) {
    await this.loadIfServed("queues", since);
  }

  /** A list that not every node has. */
  async loadIfServed(topic, since) {
    try {
      this.replace(topic, (await this.api.list(`/api/${topic}`)).items.map(withId), since);
    } catch (error) {
      if (error.status !== 404) throw error;
    }
  }

  /** Tasks that a list gave; returns each as it is known now. */
  learnTasks(items, since) {
    this.merge("tasks", items, since);
    return items.map((item) => this.records.tasks.get(item.id));
  }

  /** Bookings that a list gave; whoever shows a window of them reads it and then watches. */
  learnBookings(items, since) {
    this.merge("bookings", items, since);
  }

  async loadSummary() {
    this.summaryIsOld = false;
    try {
      this.summary = (await this.api.get("/api/tasks/summary")).body;
      if (this.loaded.has("queues")) await this.loadQueues(this.counter);
    } catch (error) {
      // The last counts stay, as the last records do; the connection reports its own trouble.
      if (!(error instanceof Problem)) throw error;
    }
    this.mark("summary");
  }

  /**
   * A record as a write answered with it. What came of that may have been told live before the
   * answer is here: a hub decides within milliseconds.
   */
  answer(topic, record) {
    const known = this.records[topic].get(withId(record).id);
    if (known?.updated_at >= record.updated_at) return;
    this.put(topic, record);
  }

  /** A record as a live change gave it. */
  put(topic, record) {
    if (topic === "conflicts" && record.status !== "open") {
      this.remove(topic, record.id);
      return;
    }
    const { id } = withId(record);
    // The order of a Map is that of insertion: what changed last is forgotten last.
    this.records[topic].delete(id);
    this.records[topic].set(id, withId(record));
    this.touch(topic, id);
  }

  remove(topic, id) {
    this.records[topic].delete(id);
    this.touch(topic, id);
  }

  touch(topic, id) {
    this.counter += 1;
    this.touched.set(`${topic} ${id}`, this.counter);
    if (topic === "tasks") {
      this.summaryIsOld = true;
      this.changed.add(id);
      if (this.changed.size > TASKS_MAX) this.startAnew();
    }
    if (topic === "bookings" && this.records.bookings.size > BOOKINGS_MAX) this.forgetBookings();
    this.mark(topic);
  }

  apply({ topic, op, record }) {
    if (!(topic in this.records)) return;
    if (op === "delete") this.remove(topic, typeof record === "object" ? record.id : record);
    else this.put(topic, record);
  }

  /** Take a list's records, but for those that changed after the list was asked for. */
  merge(topic, items, since) {
    const known = this.records[topic];
    for (const record of items) {
      const { id } = record;
      // What is the same stays the same object: nobody draws it anew under a finger.
      const isOld = known.has(id) && this.changedAfter(topic, id, since);
      if (!isOld && !isSame(known.get(id), record)) known.set(id, record);
    }
    this.loaded.add(topic);
    this.mark(topic);
  }

  /** Like merge, and what is not in the list is gone. */
  replace(topic, items, since) {
    const listed = new Set(items.map((record) => record.id));
    for (const id of this.records[topic].keys()) {
      if (!listed.has(id) && !this.changedAfter(topic, id, since)) this.records[topic].delete(id);
    }
    this.merge(topic, items, since);
  }

  changedAfter(topic, id, since) {
    return (this.touched.get(`${topic} ${id}`) ?? 0) > since;
  }

  moveTo(phase, problem) {
    const since = phase === this.connection.phase ? this.connection.since : Date.now();
    this.connection = { phase, since, problem };
    this.mark("connection");
  }

  mark(topic) {
    if (this.dirty.size === 0) requestAnimationFrame(() => this.flush());
    this.dirty.add(topic);
  }

  flush() {
    const topics = [...this.dirty];
    const changed = this.changed;
    this.dirty.clear();
    this.changed = new Set();
    for (const topic of topics) {
      for (const callback of this.watchers.get(topic) ?? []) {
        callback(topic === "tasks" ? changed : undefined);
      }
    }
    this.forgetTasks();
  }

  /** A hidden page renders nothing for days: then reading anew is cheaper than what piles up. */
  startAnew() {
    this.changed.clear();
    this.forgetTasks();
    this.mark("reloaded");
  }

  /** Whoever shows some of them reads them anew. */
  forgetBookings() {
    for (const id of this.records.bookings.keys()) this.touched.delete(`bookings ${id}`);
    this.records.bookings.clear();
    this.mark("reloaded");
  }

  forgetTasks() {
    const { tasks } = this.records;
    for (const id of tasks.keys()) {
      if (tasks.size <= TASKS_MAX) break;
      tasks.delete(id);
      this.touched.delete(`tasks ${id}`);
    }
  }
}

function isSame(known, record) {
  return known !== undefined && JSON.stringify(known) === JSON.stringify(record);
}

/** A queue has no id: its type names it within its site. */
function withId(record) {
  return "id" in record ? record : { id: `${record.site}/${record.type}`, ...record };
}

function isVisible() {
  return document.visibilityState === "visible";
}
