// What was asked for when a task was submitted: every field that is set.

import { element } from "./dom.js";
import { Route } from "./route.js";
import { taskLink } from "./task-wait.js";
import { duration, moment, timeSince } from "./time.js";

const ORPHANS = {
  ask: "ask a person how it ended",
  requeue: "run it again",
  resume: "go on from its last step",
};
const OFFLINE = {
  keep: "its device may start it whenever it likes",
  release: "it does not start, and may be given to another device",
};

const SHORT = 500; // characters of a payload that need no scrolling

/** A list of names and values. */
export function taskFacts(board, task) {
  const shown = Object.entries({ ...work(task), ...order(board, task), ...limits(task) }).filter(
    ([, value]) => ![null, undefined, false, ""].includes(value) && value.length !== 0,
  );
  return element(
    "section",
    {},
    element("h3", { text: "As submitted" }),
    element(
      "dl",
      { class: "facts" },
      shown.map(([key, value]) => [
        element("dt", { text: key }),
        element("dd", {}, typeof value === "number" ? String(value) : value),
      ]),
    ),
  );
}

function work(task) {
  return {
    Type: narrowed("type", task.type),
    Priority: task.priority,
    Title: task.title,
    Payload: payload(task.payload),
    Device: task.device ? narrowed("device", task.device) : "not allocated yet",
    Needs: task.requires?.join(", "),
    Requester: narrowed("requester", task.requester),
    Submitted: timeSince(task.created_at),
    Updated: timeSince(task.updated_at),
  };
}

/** All of it, in a box of its own that scrolls: a command may be as long as a book. */
function payload(value) {
  const text = JSON.stringify(value);
  const attributes = text.length > SHORT ? { tabindex: 0, "aria-label": "Payload" } : {};
  return element("code", { class: "facts-text", ...attributes, text });
}

function order(board, task) {
  return {
    After: task.after?.map((edge) => edgeView(board, edge)),
    Group: task.group && narrowed("group", task.group),
    Locks: task.locks?.join(", "),
    Checks: task.checks?.map(checkView),
    "Not before": task.not_before && moment(task.not_before),
    Deadline: task.deadline && moment(task.deadline),
    "One at a time": task.unique,
  };
}

function limits(task) {
  return {
    "Starts within": seconds(task.schedule_to_start_s),
    "Ends within": seconds(task.schedule_to_close_s),
    "Run time at most": seconds(task.start_to_close_s),
    "Reports every": seconds(task.heartbeat_s),
    "Attempts at most": task.max_attempts,
    "Between attempts": task.retry && `${duration(task.retry.base_s)} to ${duration(task.retry.max_s)}`,
    "If interrupted": ORPHANS[task.on_orphan] ?? task.on_orphan,
    "Without the hub": OFFLINE[task.offline] ?? task.offline,
    Repeatable: task.repeatable && "may run again after silence",
  };
}

/** A value that leads to all tasks that share it. */
function narrowed(name, value) {
  return element("a", { class: "task-link", href: Route.toTasks({ [name]: value }), text: value });
}

function seconds(value) {
  return value && duration(value);
}

/** Another task that must end first; it opens in this dialog. */
function edgeView(board, edge) {
  const conditions = [
    edge.on === "end" && "however it ends",
    edge.on !== "end" && edge.on_failure === "block" && "if that fails, this one waits",
  ].filter(Boolean);
  return element("div", {}, taskLink(board, edge.task), conditions.map((text) => ` · ${text}`));
}

function checkView(check) {
  const ask = JSON.stringify(check.ask ?? {});
  const silent = check.if_unreachable && ` · if there is no answer: ${check.if_unreachable}`;
  return element("div", {}, check.name, ask !== "{}" && element("code", { text: ` ${ask}` }), silent);
}
