// What a person can do about a booking, each as a request: at the hub decided at once, at an agent
// when it has a link.

import { isOurs } from "./booking-words.js";
import { element } from "./dom.js";
import { once } from "./forms.js";

/** From then on somebody may have been waited for. */
export function hasBegun({ start }) {
  return Date.parse(start) <= Date.now();
}

/**
 * @param {object} does
 * @param {(body: object) => Promise<void>} does.change
 * @param {(reason: string) => Promise<void>} does.cancel
 * @param {() => void} does.move opens what a move needs
 */
export function bookingActions(booking, does) {
  if (!isOurs(booking)) return null;
  const button = (action, text, work, kind) => {
    const node = element("button", { type: "button", class: kind, data: { action }, text });
    node.addEventListener("click", () => once(node, async () => work()));
    return node;
  };
  const change = (status) => () => does.change({ status });
  return element(
    "div",
    { class: "booking-actions" },
    booking.status === "held" && button("confirm", "Confirm", change("confirmed"), "primary"),
    button("move", "Move", does.move),
    booking.status === "confirmed" && hasBegun(booking) && button("miss", "Nobody came", change("no-show")),
    button("cancel", "Cancel booking", does.askCancel),
  );
}

/** Cancelling takes a second press: there is no way back to the same place in the queue. */
export function cancelForm(does) {
  const reason = element("input", { name: "reason", maxlength: 200, autocomplete: "off" });
  const yes = element("button", { class: "danger", text: "Yes, cancel it" });
  const no = element("button", { type: "button", text: "Keep it" });
  const form = element(
    "form",
    { class: "form cancel-form" },
    element("label", { class: "field" }, element("span", { class: "field-label" }, "Why?"), reason),
    element("div", { class: "buttons" }, no, yes),
  );
  no.addEventListener("click", does.keep);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(yes, () => does.cancel(reason.value.trim()));
  });
  return form;
}
