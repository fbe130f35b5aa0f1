// One tile for each piece of equipment, worst first.

import { KeyedList, element, rebuild, shape } from "./dom.js";
import { waitingText } from "./notices.js";
import { STATES, stateKey, stateMark, stateWord } from "./states.js";
import { timeSince } from "./time.js";

const RANK = Object.fromEntries(Object.keys(STATES).map((key, rank) => [key, rank]));

class EquipmentTiles extends HTMLElement {
  attach(board) {
    this.board = board;
    this.filter = "all";
    this.search = "";
    this.chips = element("div", {
      class: "chips",
      role: "group",
      "aria-label": "Show equipment by state",
    });
    this.list = element("ul", { class: "tiles" });
    this.empty = element("p", { class: "empty" });
    const search = element("input", {
      type: "search",
      placeholder: "Find equipment",
      "aria-label": "Find equipment",
    });
    search.addEventListener("input", () => {
      this.search = search.value.trim().toLowerCase();
      this.show();
    });
    const add = element("button", {
      type: "button",
      text: "Add equipment",
      on: { click: () => board.openEquipmentForm() },
    });
    this.append(
      element(
        "header",
        { class: "section-head" },
        element("h2", { text: "Equipment" }),
        search,
        add,
      ),
      this.chips,
      this.empty,
      this.list,
    );
    this.chipButtons = new Map();
    for (const key of ["all", ...Object.keys(STATES)]) this.addChip(key);
    this.tiles = new KeyedList(this.list, createTile, (tile, record, before) =>
      this.refresh(tile, record, before),
    );
    this.list.addEventListener("click", (event) => {
      const tile = event.target.closest("button.tile");
      if (tile) board.openEquipment(tile.dataset.id);
    });
    board.store.watch("equipment", () => this.show());
    board.store.watch("connection", () => this.showEmpty());
  }

  addChip(key) {
    const chip = element("button", {
      type: "button",
      class: "chip",
      "aria-pressed": String(key === this.filter),
    });
    chip.addEventListener("click", () => {
      this.filter = key;
      for (const [other, button] of this.chipButtons)
        button.setAttribute("aria-pressed", String(other === key));
      this.show();
    });
    this.chipButtons.set(key, chip);
    this.chips.append(chip);
  }

  show() {
    const all = [...this.board.store.records.equipment.values()];
    this.showCounts(all);
    const shown = all.filter((record) => this.isWanted(record)).sort(worstFirst);
    this.tiles.show(shown);
    this.showEmpty();
  }

  isWanted(record) {
    if (this.filter !== "all" && stateKey(record.state) !== this.filter) return false;
    if (this.search === "") return true;
    const text = [record.id, record.name, ...Object.values(record.attributes ?? {})]
      .join(" ")
      .toLowerCase();
    return text.includes(this.search);
  }

  showCounts(all) {
    const counts = { all: all.length, red: 0, yellow: 0, none: 0, green: 0 };
    for (const record of all) counts[stateKey(record.state)] += 1;
    const isLoaded = this.board.store.loaded.has("equipment");
    for (const [key, chip] of this.chipButtons) {
      const { word, shape: name } = STATES[key] ?? { word: "All" };
      const count = isLoaded ? String(counts[key]) : "";
      if (chip.dataset.count === count) continue;
      chip.dataset.count = count;
      chip.dataset.state = key;
      rebuild(chip, name && shape(name), word, count && element("b", { text: count }));
    }
    // Nothing without a report is the normal case; a chip for it would only take room.
    this.chipButtons.get("none").hidden = counts.none === 0 && this.filter !== "none";
  }

  showEmpty() {
    const { records, loaded, connection } = this.board.store;
    const isEmpty = this.tiles.rows.size === 0;
    this.empty.hidden = !isEmpty;
    if (!isEmpty) return;
    if (!loaded.has("equipment")) this.empty.textContent = waitingText(connection.phase);
    else if (records.equipment.size > 0) this.empty.textContent = "No equipment matches.";
    else this.empty.textContent = "No equipment yet. Add the first piece with “Add equipment”.";
  }

  refresh(tile, record, before) {
    if (before && before.state !== record.state) {
      this.board.announcer.say(`${record.name ?? record.id} is now ${spoken(record)}.`);
    }
    fillTile(tile, record);
  }
}

function spoken(record) {
  const word = stateWord(record.state).toLowerCase();
  return record.reason ? `${word}: ${record.reason}` : word;
}

/** Red by age, yellow by age, then what was never reported; green by id, so that it stays put. */
function worstFirst(a, b) {
  const byState = RANK[stateKey(a.state)] - RANK[stateKey(b.state)];
  if (byState !== 0) return byState;
  if (a.state === "red" || a.state === "yellow") {
    const byAge = Date.parse(a.changed_at ?? 0) - Date.parse(b.changed_at ?? 0);
    if (byAge) return byAge;
  }
  return a.id < b.id ? -1 : 1;
}

function createTile() {
  return element(
    "li",
    {},
    element("button", { type: "button", class: "tile", "aria-haspopup": "dialog" }),
  );
}

function fillTile(item, record) {
  const tile = item.firstElementChild;
  tile.dataset.id = record.id;
  tile.dataset.state = stateKey(record.state);
  tile.classList.toggle("stale", Boolean(record.stale));
  const meta = [record.name && record.id, record.attributes?.area, record.actor]
    .filter(Boolean)
    .join(" · ");
  rebuild(
    tile,
    element("span", { class: "tile-head" }, stateMark(record.state), tileFlags(record)),
    element("span", { class: "tile-name", text: record.name ?? record.id }),
    record.reason && element("span", { class: "tile-reason", text: record.reason }),
    element(
      "span",
      { class: "tile-meta" },
      meta,
      record.changed_at && [" · ", timeSince(record.changed_at)],
    ),
    reportsDiffer(record.reports) && bothReports(record.reports),
  );
}

/** Whether people and machines report different states. */
export function reportsDiffer(reports) {
  return Boolean(
    reports?.person && reports.machine && reports.person.state !== reports.machine.state,
  );
}

/** What people and what machines say, one line each. */
export function bothReports(reports) {
  const lines = Object.entries({ Person: reports.person, Machine: reports.machine })
    .filter(([, report]) => report)
    .map(([source, report]) =>
      element(
        "span",
        { class: "report" },
        element("span", { class: "report-source", text: source }),
        stateMark(report.state),
        element(
          "span",
          { class: "report-who" },
          report.actor && `${report.actor} · `,
          timeSince(report.at),
        ),
      ),
    );
  return element("span", { class: "reports" }, lines);
}

function tileFlags(record) {
  const conflicts = record.conflicts?.length ?? 0;
  if (!record.stale && conflicts === 0) return null;
  return element(
    "span",
    { class: "flags" },
    conflicts > 0 && element("span", { class: "flag conflict" }, shape("split"), "Conflict"),
    record.stale &&
      element("span", {
        class: "flag",
        title: "Its machine is not reached at present: this is the last state known",
        text: "Stale",
      }),
  );
}

customElements.define("equipment-tiles", EquipmentTiles);
