// Which node this is, and whether what the page shows is current.

import { attentionCount } from "./booking-attention.js";
import { element, rebuild } from "./dom.js";
import { toned } from "./states.js";
import { absolute, timeSince } from "./time.js";

const ROLES = { agent: "Agent", hub: "Hub" };
const VIEWS = {
  board: { word: "Board", href: "#" },
  tasks: { word: "Tasks", href: "#tasks" },
  bookings: { word: "Bookings", href: "#bookings" },
};
const PHASES = {
  connecting: { word: "Connecting", shape: "ring", tone: "waiting" },
  live: { word: "Live", shape: "circle", tone: "good" },
  reconnecting: { word: "Reconnecting", shape: "triangle", tone: "warn" },
  "signed-out": { word: "Not signed in", shape: "ring", tone: "quiet" },
};

class StatusBar extends HTMLElement {
  attach(board) {
    this.store = board.store;
    this.node = element("div", { class: "node" });
    this.phase = element("div", { class: "phase", role: "status" });
    this.banner = element("p", { class: "banner", role: "status", hidden: true });
    const uplink = element("uplink-switch");
    const brand = element(
      "a",
      { class: "brand", href: "/" },
      element("img", { src: "/board/icon.svg", alt: "", width: 28, height: 28 }),
      "Skerry",
    );
    this.views = Object.entries(VIEWS).map(([view, { word, href }]) =>
      element(
        "a",
        { href, data: { view } },
        word,
        view === "bookings" && attentionCount(this.store),
      ),
    );
    const views = element("nav", { class: "views", "aria-label": "Pages" }, this.views);
    const docs = element("a", { class: "docs-link", href: "/docs", text: "API" });
    this.append(
      element("div", { class: "bar" }, brand, this.node, views, this.phase, docs, uplink),
      this.banner,
    );
    uplink.attach(board);
    board.route.watch(() => this.showView(board.route.view));
    this.store.watch("node", () => this.showNode());
    this.store.watch("connection", () => this.showConnection());
  }

  showView(shown) {
    for (const link of this.views)
      link.setAttribute("aria-current", link.dataset.view === shown ? "page" : "false");
  }

  showNode() {
    const { node } = this.store;
    if (!node) return;
    document.title = `${node.id} · Skerry`;
    rebuild(
      this.node,
      element("h1", { class: "node-id", text: node.id }),
      element(
        "span",
        { class: "muted" },
        `${ROLES[node.role] ?? node.role} · ${node.sites.join(", ")}`,
        element("span", { class: "version", text: ` · version ${node.version}` }),
      ),
      node.backed_up_at &&
        element("span", { class: "muted" }, "backed up ", timeSince(node.backed_up_at)),
    );
  }

  showConnection() {
    const { phase, since, problem } = this.store.connection;
    rebuild(this.phase, toned(PHASES[phase]));
    document.body.dataset.phase = phase;
    this.banner.hidden = phase !== "reconnecting";
    if (this.banner.hidden) return;
    const why = problem
      ? ` ${[problem.message, problem.status > 0 && problem.detail].filter(Boolean).join(": ")}.`
      : "";
    const start = `Not connected to this node since ${absolute(new Date(since).toISOString())}.`;
    this.banner.textContent = `${start}${why} What you see may be old. Trying again.`;
  }
}

customElements.define("status-bar", StatusBar);
