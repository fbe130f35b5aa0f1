// How far a run is: a bar where the handler says so, and its words.

import { element } from "./dom.js";
import { progressWords } from "./task-words.js";

/** The bar alone; it lies on the edge of its row, so that its coming moves nothing. */
export function progressBar(progress) {
  const fraction = progressWords(progress)?.fraction ?? null;
  if (fraction === null) return null;
  return element("progress", { max: 1, value: fraction, "aria-label": "Progress" });
}

/** Bar and words, for a page that has room. */
export function progressView(progress) {
  const words = progressWords(progress);
  if (!words) return null;
  return element(
    "div",
    { class: "task-progress" },
    progressBar(progress),
    element("span", { class: "muted", text: words.text }),
  );
}
