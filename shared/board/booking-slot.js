// When a booking shall be: day, time and length by the clock of its resource. A time that the clock
// skips is said to be none; of one that it shows twice the person chooses which.

import { element, rebuild } from "./dom.js";
import { field } from "./forms.js";
import { zoneText } from "./resource-hours.js";
import {
  MINUTE_MS,
  clockText,
  instantsAt,
  localOf,
  minutesOf,
  offsetText,
  spanText,
} from "./zone-clock.js";

class BookingSlot extends HTMLElement {
  /** @param {{start: number, minutes: number, zone: string}} given */
  attach({ start, minutes, zone }) {
    this.zone = zone;
    this.day = element("input", { type: "date", name: "day", required: true });
    this.time = element("input", { type: "time", name: "time", required: true });
    this.length = element("input", {
      type: "number",
      name: "minutes",
      min: 1,
      max: 44_640,
      required: true,
      inputmode: "numeric",
    });
    this.which = element("fieldset", { class: "segments", hidden: true });
    this.told = element("p", { class: "muted", "aria-live": "polite" });
    this.replaceChildren(
      element(
        "div",
        { class: "pair triple" },
        field("Day", this.day),
        field("Start", this.time),
        field("Minutes", this.length),
      ),
      this.which,
      this.told,
    );
    this.set(start, minutes);
    this.addEventListener("input", () => this.check());
  }

  set(start, minutes) {
    const { day, minutes: time } = localOf(start, this.zone);
    this.day.value = day;
    this.time.value = clockText(time);
    this.length.value = minutes;
    this.chosen = start;
    this.check();
  }

  /** Other resources may have another clock; day and time stay as they are written. */
  setZone(zone) {
    if (zone === this.zone) return;
    this.zone = zone;
    this.check();
  }

  get instants() {
    const minutes = minutesOf(this.time.value);
    if (!this.day.value || minutes === null) return [];
    return instantsAt(this.day.value, minutes, this.zone);
  }

  check() {
    const { instants } = this;
    if (!instants.includes(this.chosen)) [this.chosen] = instants;
    this.which.hidden = instants.length < 2;
    rebuild(this.which, instants.length > 1 && this.choices(instants));
    this.told.textContent = this.text;
  }

  choices(instants) {
    return [
      element("legend", { text: `${this.time.value} comes twice: the clock goes back` }),
      instants.map((ms, index) => {
        const input = element("input", { type: "radio", name: "which", value: ms });
        input.checked = ms === this.chosen;
        input.addEventListener("change", () => {
          this.chosen = ms;
        });
        const text = `${index === 0 ? "First" : "Second"} (${offsetText(ms, this.zone)})`;
        return element("label", { class: "segment" }, input, element("span", { text }));
      }),
    ];
  }

  get text() {
    if (!this.day.value || !this.time.value) return "";
    if (this.instants.length === 0) return this.missing;
    const end = this.chosen + Number(this.length.value) * MINUTE_MS;
    return `${spanText(this.chosen, end, this.zone)} · ${zoneText(this.zone, Date.now())}`;
  }

  get missing() {
    const when = `${this.time.value} does not exist on this day`;
    return `${when}: the clock in ${this.zone} goes forward over it.`;
  }

  /**
   * What was chosen.
   * @throws {Error} a time that does not exist
   */
  read() {
    if (this.instants.length === 0)
      throw new Error(`${this.missing} Choose a time before or after that.`);
    return { start: new Date(this.chosen).toISOString(), minutes: Number(this.length.value) };
  }

  /** The same as on the wall, for rules that repeat. */
  get wall() {
    return `${this.day.value}T${this.time.value}`;
  }
}

customElements.define("booking-slot", BookingSlot);
