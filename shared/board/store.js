// What this page knows of its node: records by topic, kept current by the live connection.
//
// Views watch a topic and are called once per animation frame, however many changes came in
// between, so that a burst of a thousand changes costs one rendering.

import { Problem } from "./api.js";
import { Live } from "./live.js";

const PULSE_MS = 2_000;
const PULSE_TIMEOUT_MS = 4_000;
const SUMMARY_MS = 2_000;
const TASKS_FIRST = 100;
// A board may stay open for months; ended tasks beyond this many leave the page, not the node.
const TASKS_MAX = 2_000;

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
    };
    this.loaded = new Set();
    this.watchers = new Map();
    this.dirty = new Set();
    this.counter = 0;
    this.touched = new Map();
    this.live = new Live({
      load: () => this.load(),
      topics: () => this.topics(),
      token: () => this.api.token,
      change: (change) => this.apply(change),
      phase: (phase, problem) => this.moveTo(phase, problem),
    });
    this.isRunning = false;
  }

  /** Call `callback` now and after changes of `topic`: equipment, …, node, uplink, connection. */
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
    return this.node?.role === "hub" ? [...topics, "devices"] : topics;
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
      this.loadTasks(since),
      this.loadDevices(since),
      this.loadSummary(),
    ]);
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

  async loadTasks(since) {
    const { body } = await this.api.get("/api/tasks", { query: { limit: TASKS_FIRST } });
    this.replace("tasks", body.items, since);
  }

  async loadDevices(since) {
    if (this.node.role !== "hub") return;
    try {
      this.replace("devices", (await this.api.list("/api/devices")).items, since);
    } catch (error) {
      if (error.status !== 404) throw error;
    }
  }

  /** Read one page of tasks into the known ones; resolves to the cursor of the next page. */
  async loadTaskPage(query) {
    const since = this.counter;
    const { body } = await this.api.get("/api/tasks", { query: { limit: TASKS_FIRST, ...query } });
    this.merge("tasks", body.items, since);
    return body.next ?? null;
  }

  async loadSummary() {
    this.summaryIsOld = false;
    try {
      this.summary = (await this.api.get("/api/tasks/summary")).body;
    } catch (error) {
      // The last counts stay, as the last records do; the connection reports its own trouble.
      if (!(error instanceof Problem)) throw error;
    }
    this.mark("summary");
  }

  /** A record as a write or a live change gave it. */
  put(topic, record) {
    if (topic === "conflicts" && record.status !== "open") {
      this.remove(topic, record.id);
      return;
    }
    this.records[topic].set(record.id, record);
    this.touch(topic, record.id);
  }

  remove(topic, id) {
    this.records[topic].delete(id);
    this.touch(topic, id);
  }

  touch(topic, id) {
    this.counter += 1;
    this.touched.set(`${topic} ${id}`, this.counter);
    if (topic === "tasks") this.summaryIsOld = true;
    this.mark(topic);
  }

  apply({ topic, op, record }) {
    if (!(topic in this.records)) return;
    if (op === "delete") this.remove(topic, typeof record === "object" ? record.id : record);
    else this.put(topic, record);
  }

  /** Take a list's records, but for those that changed after the list was asked for. */
  merge(topic, items, since) {
    for (const record of items) {
      if (!this.changedAfter(topic, record.id, since)) this.records[topic].set(record.id, record);
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
    this.dirty.clear();
    if (topics.includes("tasks")) this.forgetOldTasks();
    for (const topic of topics) {
      for (const callback of this.watchers.get(topic) ?? []) callback();
    }
  }

  forgetOldTasks() {
    const tasks = this.records.tasks;
    if (tasks.size <= TASKS_MAX) return;
    const ended = [...tasks.values()].filter((task) => ENDED.has(task.status));
    ended.sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
    for (const task of ended.slice(0, tasks.size - TASKS_MAX)) {
      tasks.delete(task.id);
      this.touched.delete(`tasks ${task.id}`);
    }
  }
}

function isVisible() {
  return document.visibilityState === "visible";
}
