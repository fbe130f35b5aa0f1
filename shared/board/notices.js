// What went wrong, said where it is seen, and what changed, said to those who listen.

import { element } from "./dom.js";

const NOTICES_MAX = 4;
const ANNOUNCE_MS = 1_500;
const ANNOUNCED_MAX = 3;

/** The parts of an error as nodes: title, detail, one line per bad field. */
function problemText(problem) {
  const errors = problem.errors ?? [];
  // The detail often repeats the one field error word by word.
  const extra = errors.filter(
    (error) => !(problem.detail ?? "").includes(error.message) || errors.length > 1,
  );
  return [
    element("strong", { text: problem.title ?? problem.message }),
    problem.detail && element("span", { text: problem.detail }),
    ...extra.map((error) => element("span", { text: `${error.path}: ${error.message}` })),
  ];
}

/** What a list says before its first answer. */
export function waitingText(phase) {
  return phase === "connecting" ? "Loading …" : "Nothing to show yet: this node cannot be reached.";
}

/** A place for one error inside a form or dialog; empty until something goes wrong. */
class ProblemText extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "alert");
  }

  show(problem) {
    this.replaceChildren(...problemText(problem).filter(Boolean));
  }

  clear() {
    this.replaceChildren();
  }
}

/** Errors of actions that have no form; they stay until dismissed. */
class NoticeList extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "alert");
  }

  show(problem) {
    const close = element("button", { type: "button", class: "quiet", text: "Dismiss" });
    const notice = element(
      "div",
      { class: "notice" },
      element("div", {}, problemText(problem)),
      close,
    );
    close.addEventListener("click", () => notice.remove());
    this.append(notice);
    while (this.children.length > NOTICES_MAX) this.firstElementChild.remove();
  }
}

/** A polite live region; a burst of changes becomes one sentence. */
class ChangeAnnouncer extends HTMLElement {
  connectedCallback() {
    this.setAttribute("aria-live", "polite");
    this.waiting = [];
  }

  say(sentence) {
    if (this.waiting.length === 0) setTimeout(() => this.flush(), ANNOUNCE_MS);
    this.waiting.push(sentence);
  }

  flush() {
    const said = this.waiting.slice(0, ANNOUNCED_MAX);
    const more = this.waiting.length - said.length;
    this.waiting = [];
    this.textContent = [...said, more > 0 && `And ${more} more changes.`].filter(Boolean).join(" ");
  }
}

customElements.define("problem-text", ProblemText);
customElements.define("notice-list", NoticeList);
customElements.define("change-announcer", ChangeAnnouncer);
