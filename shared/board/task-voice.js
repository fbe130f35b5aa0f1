// Says aloud what a person may have to act upon, whichever list it is in.

import { statusWord } from "./states.js";
import { taskTitle } from "./task-words.js";

const SPOKEN = new Set(["dead", "unknown", "expired"]);
const REMEMBERED_MAX = 2_000;

/** Follow the tasks of a board for its announcer. */
export function giveVoice({ store, announcer }) {
  const last = new Map();
  store.watch("tasks", (ids = []) => {
    for (const id of ids) {
      const task = store.records.tasks.get(id);
      if (!task || last.get(id) === task.status) continue;
      last.delete(id);
      last.set(id, task.status);
      if (last.size > REMEMBERED_MAX) last.delete(last.keys().next().value);
      if (SPOKEN.has(task.status))
        announcer.say(`Task ${taskTitle(task)}: ${statusWord(task.status).toLowerCase()}.`);
    }
  });
}
