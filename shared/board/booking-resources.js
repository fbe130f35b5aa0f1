// Which resources a booking takes: all that are ticked, or nothing.

import { element } from "./dom.js";
import { bookable } from "./resource-groups.js";

/** A choice of resources and groups; it tells `input` like any field. */
export function resourceChoice(store, chosen, legend = "Who or what") {
  return element(
    "fieldset",
    { class: "resource-choice" },
    element("legend", { text: legend }),
    element(
      "div",
      { class: "ticks" },
      bookable(store).map(({ id, name, members }) => {
        const input = element("input", { type: "checkbox", name: "resource", value: id });
        input.checked = chosen.includes(id);
        const with_ = members && element("span", { class: "muted", text: members.join(" + ") });
        return element(
          "label",
          { class: "tick" },
          input,
          element("span", {}, name || id, with_ && " ", with_),
        );
      }),
    ),
  );
}

/** The ids that are ticked. */
export function chosenResources(choice) {
  return [...choice.querySelectorAll(":checked")].map((input) => input.value);
}
