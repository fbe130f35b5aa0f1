// The parts that all dialogs and forms share.

import { element, shape } from "./dom.js";

/**
 * Run `work` for a button, one at a time. The button is not `disabled` meanwhile: that would drop
 * the keyboard's focus, and it would have to find its way back from the top of the page.
 */
export async function once(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/** The head of a dialog: title, subtitle, a button to close it. */
export function dialogHead(id, title, subtitle) {
  const close = element(
    "button",
    { type: "button", class: "quiet close", "aria-label": "Close" },
    shape("cross"),
  );
  close.addEventListener("click", () => close.closest("dialog").close());
  return element(
    "header",
    { class: "sheet-head" },
    element(
      "div",
      {},
      element("h2", { id, text: title }),
      subtitle && element("p", { class: "muted code", text: subtitle }),
    ),
    close,
  );
}

/** A labelled input. */
export function field(label, input, hint) {
  return element(
    "label",
    { class: "field" },
    element(
      "span",
      { class: "field-label" },
      label,
      hint && element("span", { class: "muted", text: hint }),
    ),
    input,
  );
}

/** A choice of the site, where the node has more than one. */
export function siteField(node) {
  const sites = node?.sites ?? [];
  if (sites.length < 2) return null;
  return field(
    "Site",
    element(
      "select",
      { name: "site" },
      sites.map((site) => element("option", { text: site })),
    ),
  );
}
