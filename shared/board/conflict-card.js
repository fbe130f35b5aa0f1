// One conflict as it is shown wherever it is met: every value that was said, and one tap to keep
// one of them.

import { element } from "./dom.js";
import { once } from "./forms.js";
import { STATES, stateMark, stateWord } from "./states.js";
import { duration, timeSince } from "./time.js";

const POLICIES = { "most-severe": "the most severe", latest: "the latest" };

/** How people call what the conflict is about. */
export function subjectName(board, conflict) {
  return board.store.records.equipment.get(conflict.subject)?.name ?? conflict.subject;
}

/**
 * What is shown meanwhile, and the values to choose from.
 * @param {{problems?: object, settled?: () => Promise<void>}} place where what went wrong is shown,
 *     since notices would be behind an open dialog; and what follows once it is settled
 */
export function conflictChoices(board, conflict, { problems = board.notices, settled } = {}) {
  const keep = async (sibling) => {
    try {
      await resolve(board, conflict, sibling.value);
      await settled?.();
    } catch (problem) {
      problems.show(problem);
    }
  };
  return [
    element(
      "p",
      { class: "muted" },
      `Until someone decides, ${POLICIES[conflict.policy] ?? conflict.policy} is shown: `,
      element("strong", { text: valueWord(conflict.shown) }),
      ".",
    ),
    element(
      "ul",
      { class: "siblings" },
      conflict.siblings.map((sibling) => siblingView(sibling, () => keep(sibling))),
    ),
  ];
}

function siblingView(sibling, act) {
  const word = valueWord(sibling.value);
  const where = sibling.device ? ` on ${sibling.device}` : "";
  const keep = element("button", {
    type: "button",
    class: "keep",
    "aria-label": `Keep this: ${word}, said by ${sibling.actor}${where}`,
    data: { action: `keep-${sibling.dot.origin}-${sibling.dot.seq}` },
    text: "Keep this",
  });
  keep.addEventListener("click", () => once(keep, act));
  return element(
    "li",
    { data: { state: sibling.value?.state ?? "" } },
    sibling.value?.state in STATES
      ? stateMark(sibling.value.state)
      : element("code", { text: word }),
    keep,
    element(
      "div",
      { class: "said" },
      sibling.value?.reason && element("strong", { text: sibling.value.reason }),
      sibling.value?.note && element("p", { class: "note", text: sibling.value.note }),
      element(
        "p",
        { class: "muted" },
        `${sibling.actor}${where} · `,
        timeSince(sibling.at),
        // Either side may have been the one without a link, so it says only how long it took.
        sibling.offline_s >= 1 && ` · arrived here ${duration(sibling.offline_s)} later`,
      ),
    ),
  );
}

async function resolve(board, conflict, chosen) {
  // Absent and null mean the same; the short form is what the contract shows.
  const value = Object.fromEntries(Object.entries(chosen).filter(([, part]) => part !== null));
  const path = `/api/conflicts/${encodeURIComponent(conflict.id)}/resolve`;
  const { body } = await board.api.send("POST", path, { value, seen: conflict.etag });
  if (body?.status === "resolved") board.store.remove("conflicts", conflict.id);
  board.announcer.say(
    `Conflict about ${subjectName(board, conflict)} settled: ${valueWord(chosen)}.`,
  );
}

function valueWord(value) {
  if (value === null || value === undefined) return "nothing";
  return value.state in STATES ? stateWord(value.state) : JSON.stringify(value);
}
