// An agent's line to its hub: whether it is up, what waits for it, and a switch to cut it.

import { element, rebuild } from "./dom.js";
import { toned } from "./states.js";
import { timeSince } from "./time.js";

class UplinkSwitch extends HTMLElement {
  attach(board) {
    this.board = board;
    this.facts = element("div", { class: "uplink-facts" });
    this.toggle = element(
      "button",
      { type: "button", role: "switch", class: "switch", "aria-checked": "false" },
      element("span", { class: "switch-track" }),
      element("span", { class: "switch-label", text: "Link to hub" }),
    );
    this.toggle.addEventListener("click", () => this.turn());
    this.append(this.facts, this.toggle);
    this.hidden = true;
    board.store.watch("uplink", () => this.show());
    board.store.watch("node", () => this.show());
  }

  show() {
    const { uplink, node } = this.board.store;
    this.hidden = node?.role !== "agent" || uplink === null;
    if (this.hidden) return;
    this.toggle.setAttribute("aria-checked", String(uplink.enabled));
    const backlog = uplink.backlog ?? 0;
    this.facts.title = uplink.hub ?? "";
    rebuild(
      this.facts,
      uplinkMark(uplink),
      element(
        "span",
        { class: "muted" },
        backlog === 0
          ? "nothing waits for the hub"
          : `${backlog} ${backlog === 1 ? "change waits" : "changes wait"} for the hub`,
        " · last sync ",
        timeSince(uplink.last_sync_at),
      ),
      !uplink.connected &&
        uplink.enabled &&
        uplink.last_error &&
        element("span", { class: "task-error", text: uplink.last_error }),
    );
  }

  async turn() {
    const enabled = !this.board.store.uplink.enabled;
    this.toggle.disabled = true;
    try {
      const { body } = await this.board.api.send("PUT", "/api/uplink", { enabled });
      if (body) this.board.store.setUplink(body);
      this.board.announcer.say(enabled ? "Link to hub mended." : "Link to hub cut.");
    } catch (problem) {
      this.board.notices.show(problem);
    }
    this.toggle.disabled = false;
  }
}

function uplinkMark(uplink) {
  if (!uplink.enabled) return toned({ word: "Cut on purpose", shape: "square", tone: "warn" });
  if (uplink.connected) return toned({ word: "Connected to hub", shape: "circle", tone: "good" });
  if (!uplink.hub) return toned({ word: "No hub set", shape: "ring", tone: "quiet" });
  return toned({ word: "Hub not reached, trying again", shape: "triangle", tone: "warn" });
}

customElements.define("uplink-switch", UplinkSwitch);
