// The devices a hub knows: who is connected, who is behind, whose clock is wrong.

import { KeyedList, element, rebuild } from "./dom.js";
import { waitingText } from "./notices.js";
import { toned } from "./states.js";
import { duration, timeSince } from "./time.js";

class DeviceList extends HTMLElement {
  attach(board) {
    this.board = board;
    this.list = element("ul", { class: "devices" });
    this.empty = element("p", { class: "empty" });
    this.append(
      element("header", { class: "section-head" }, element("h2", { text: "Devices" })),
      this.empty,
      this.list,
    );
    this.rows = new KeyedList(this.list, () => element("li", { class: "card device" }), fillDevice);
    for (const topic of ["devices", "node", "connection"])
      board.store.watch(topic, () => this.show());
  }

  show() {
    const { node, records, loaded, connection } = this.board.store;
    // Agents know no devices; a hub that has no such list answers 404.
    this.hidden = node?.role !== "hub" || (connection.phase === "live" && !loaded.has("devices"));
    const devices = [...records.devices.values()].sort(
      (a, b) => a.connected - b.connected || (a.id < b.id ? -1 : 1),
    );
    this.rows.show(devices);
    this.empty.hidden = devices.length > 0;
    this.empty.textContent = loaded.has("devices")
      ? "No device has connected yet."
      : waitingText(connection.phase);
  }
}

function fillDevice(row, device) {
  row.dataset.id = device.id;
  const connected = { word: "Connected", shape: "circle", tone: "good" };
  const away = { word: "Away", shape: "ring", tone: "quiet" };
  const backlog = device.backlog ?? 0;
  rebuild(
    row,
    element(
      "p",
      { class: "card-title" },
      element("strong", { text: device.id }),
      toned(device.connected ? connected : away),
    ),
    element(
      "p",
      { class: "muted" },
      !device.connected && ["last seen ", timeSince(device.last_seen_at), " · "],
      `${backlog === 0 ? "no backlog" : `${backlog} events not yet here`}`,
      ` · clock ${clockText(device)}`,
      device.disk_free_bytes != null && ` · ${bytesText(device.disk_free_bytes)} free`,
      ` · version ${device.version ?? "unknown"}`,
    ),
    device.held_apart > 0 &&
      element("p", {
        class: "muted",
        text: `a fork: ${device.held_apart} events held apart, written by a copy of this device`,
      }),
    device.types?.length > 0 &&
      element("p", { class: "muted", text: `runs ${device.types.join(", ")}` }),
  );
}

function clockText(device) {
  const offsetMs = device.clock_offset_ms;
  if (device.clock && device.clock !== "synced") return device.clock;
  if (offsetMs === null || offsetMs === undefined) return device.clock ?? "unknown";
  // Within a second nobody at a machine can tell the difference.
  if (Math.abs(offsetMs) < 1000) return "right";
  return `${duration(Math.abs(offsetMs) / 1000)} ${offsetMs > 0 ? "ahead" : "behind"}`;
}

function bytesText(bytes) {
  const gib = bytes / 2 ** 30;
  return gib >= 1 ? `${gib.toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}

customElements.define("device-list", DeviceList);
