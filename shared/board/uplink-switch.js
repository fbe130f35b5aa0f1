// An agent's line to its hub: whether it is up, what waits for it, and a switch to cut it.

import { element, rebuild } from "./dom.js";
import { once } from "./forms.js";
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
    this.toggle.addEventListener("click", () => once(this.toggle, () => this.turn()));
    this.append(this.facts, this.toggle);
    this.hidden = true;
    for (const topic of ["uplink", "node", "connection"]) board.store.watch(topic, () => this.show());
  }

  show() {
    const { uplink, node, connection } = this.board.store;
    this.hidden = node?.role !== "agent" || uplink === null;
    if (this.hidden) return;
    this.toggle.setAttribute("aria-checked", String(uplink.enabled));
    this.facts.title = uplink.hub ?? "";
    if (connection.phase === "reconnecting") {
      // Only the agent knows its link: what it said last must not pass for what is so now.
      rebuild(this.facts, toned({ word: "Link not known", shape: "ring", tone: "quiet" }));
      return;
    }
    rebuild(
      this.facts,
      uplinkMark(uplink),
      uplink.hub &&
        element(
          "span",
          { class: "uplink-sync muted" },
          element("span", { text: backlogText(uplink.backlog ?? 0) }),
          element("span", {}, "synced ", timeSince(uplink.last_sync_at)),
        ),
      !uplink.connected &&
        uplink.enabled &&
        uplink.last_error &&
        element("span", { class: "task-error", text: uplink.last_error }),
    );
  }

  async turn() {
    const enabled = !this.board.store.uplink.enabled;
    try {
      const { body } = await this.board.api.send("PUT", "/api/uplink", { enabled });
      if (body) this.board.store.setUplink(body);
      this.board.announcer.say(enabled ? "Link to hub mended." : "Link to hub cut.");
    } catch (problem) {
      this.board.notices.show(problem);
    }
  }
}

function backlogText(backlog) {
  if (backlog === 0) return "all sent";
  return `${backlog} ${backlog === 1 ? "change" : "changes"} to send`;
}

function uplinkMark(uplink) {
  if (!uplink.enabled) return toned({ word: "Cut on purpose", shape: "square", tone: "warn" });
  if (uplink.connected) return toned({ word: "Connected to hub", shape: "circle", tone: "good" });
  if (!uplink.hub) return toned({ word: "No hub set", shape: "ring", tone: "quiet" });
  return toned({ word: "Hub not reached, trying again", shape: "triangle", tone: "warn" });
}

customElements.define("uplink-switch", UplinkSwitch);
