// Calls tasks that others wait for by their titles: links show an id only until the title is known.

import { taskTitle } from "./task-words.js";

const NAME_MAX = 60; // characters: a link stands within a sentence

/** How a link to a task that is perhaps known reads. */
export function linkText(task, id) {
  return task ? `“${taskTitle(task, NAME_MAX)}”` : `task …${id.slice(-6)}`;
}

/** Name the links of a page as tasks become known; the few that no list has are asked for. */
export function nameLinks({ store, api }) {
  const asked = new Set();
  let isAsking = false;

  const name = () => {
    for (const link of document.querySelectorAll("a[data-unnamed]")) {
      const id = link.dataset.unnamed;
      const task = store.records.tasks.get(id);
      if (task) {
        link.textContent = linkText(task, id);
        delete link.dataset.unnamed;
      } else if (!isAsking && !asked.has(id)) ask(id);
    }
  };

  // One at a time: a page of links must not become a burst of questions.
  const ask = async (id) => {
    isAsking = true;
    asked.add(id);
    const since = store.counter;
    try {
      const { body } = await api.get(`/api/tasks/${encodeURIComponent(id)}`);
      store.learnTasks([body], since);
    } catch (problem) {
      // Not known here: the link keeps its id. If the node was silent, it may be asked again.
      if (problem.status === 0) asked.delete(id);
    }
    isAsking = false;
    if (store.connection.phase === "live") name();
  };

  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
}
