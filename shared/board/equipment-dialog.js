// One piece of equipment: what it is, how to report its state, what happened to it.

import { RepeatKey } from "./api.js";
import { conflictChoices } from "./conflict-card.js";
import { element, rebuild } from "./dom.js";
import { historyList } from "./equipment-history.js";
import { bothReports, reportsDiffer } from "./equipment-tiles.js";
import { dialogHead, field, once } from "./forms.js";
import { STATES, stateMark } from "./states.js";
import { timeSince } from "./time.js";

const DAY_MS = 86_400_000;
const WINDOWS = { "24 hours": DAY_MS, "7 days": 7 * DAY_MS, "30 days": 30 * DAY_MS };

class EquipmentDialog extends HTMLElement {
  attach(board) {
    this.board = board;
    this.equipmentId = null;
    this.dialog = element("dialog", { class: "sheet", "aria-labelledby": "equipment-title" });
    this.append(this.dialog);
    this.dialog.addEventListener("close", () => {
      this.equipmentId = null;
    });
    board.store.watch("equipment", () => this.showChange());
    board.store.watch("conflicts", () => this.record && this.showConflicts(this.record));
    // What could not be read while the node was silent.
    board.store.watch("connection", () => {
      if (this.record && board.store.connection.phase === "live") this.loadHistory();
    });
  }

  open(id) {
    this.equipmentId = id;
    this.build(this.record);
    this.dialog.showModal();
    this.loadHistory();
  }

  get record() {
    return this.board.store.records.equipment.get(this.equipmentId);
  }

  build(record) {
    this.key = new RepeatKey();
    this.openedEtag = record.etag;
    this.shownEtag = record.etag;
    this.current = element("div", { class: "current" });
    this.conflicts = element("div", { class: "dialog-conflicts" });
    this.changed = element("div", { class: "changed", role: "status", hidden: true });
    this.problem = element("problem-text");
    this.history = element("div", {}, element("p", { class: "empty", text: "Loading …" }));
    this.dialog.replaceChildren(
      dialogHead("equipment-title", record.name ?? record.id, record.id),
      this.current,
      this.conflicts,
      this.changed,
      this.form(),
      this.historySection(),
    );
    this.showCurrent(record);
  }

  showCurrent(record) {
    const attributes = Object.entries(record.attributes ?? {});
    rebuild(
      this.current,
      element(
        "p",
        { class: "current-line" },
        stateMark(record.state),
        record.reason && element("strong", { text: record.reason }),
        record.changed_at &&
          element(
            "span",
            { class: "muted" },
            `${record.actor ?? "unknown"} · `,
            timeSince(record.changed_at),
          ),
      ),
      record.note && element("p", { class: "note", text: record.note }),
      reportsDiffer(record.reports) && bothReports(record.reports),
      attributes.length > 0 &&
        element("p", {
          class: "muted",
          text: attributes.map(([key, value]) => `${key}: ${value}`).join(" · "),
        }),
    );
    this.showConflicts(record);
  }

  /** They can be settled here, where whoever opened the tile because of its flag will look. */
  showConflicts(record) {
    const { conflicts } = this.board.store.records;
    const open = (record.conflicts ?? []).map((id) => conflicts.get(id)).filter(Boolean);
    if (open.length === 0 && this.conflicts.contains(document.activeElement))
      this.dialog.querySelector(".close").focus();
    this.conflicts.hidden = open.length === 0;
    const problems = element("problem-text");
    rebuild(
      this.conflicts,
      element("h3", { text: "Said without knowing of each other" }),
      open.map((conflict) =>
        conflictChoices(this.board, conflict, { problems, settled: () => this.rereadRecord() }),
      ),
      problems,
    );
  }

  /** After an act of the person at this dialog: what came of it is not news to them. */
  async rereadRecord() {
    const id = this.equipmentId;
    if (id === null) return;
    const { body } = await this.board.api.get(`/api/equipment/${encodeURIComponent(id)}`);
    if (this.equipmentId !== id) return;
    this.openedEtag = body.etag;
    this.changed.hidden = true;
    this.board.store.answer("equipment", body);
  }

  form() {
    const choices = ["green", "yellow", "red"].map((state) =>
      element(
        "label",
        { class: "choice", data: { state } },
        element("input", { type: "radio", name: "state", value: state, required: true }),
        stateMark(state),
        element("span", { class: "muted", text: state }),
      ),
    );
    const form = element(
      "form",
      { class: "form" },
      element(
        "fieldset",
        {},
        element("legend", { text: "Report a state" }),
        element("div", { class: "choices" }, choices),
      ),
      field(
        "Reason",
        element("input", { name: "reason", maxlength: 200, autocomplete: "off" }),
        "optional",
      ),
      field("Note", element("textarea", { name: "note", rows: 2, maxlength: 2000 }), "optional"),
      this.problem,
      element("div", { class: "buttons" }, element("button", { class: "primary", text: "Save" })),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(form.querySelector("button.primary"), () => this.save(form));
    });
    return form;
  }

  async save(form) {
    const given = new FormData(form);
    const body = { state: given.get("state"), seen: this.openedEtag };
    if (given.get("reason").trim()) body.reason = given.get("reason").trim();
    if (given.get("note").trim()) body.note = given.get("note").trim();
    this.problem.clear();
    try {
      const path = `/api/equipment/${encodeURIComponent(this.equipmentId)}/state`;
      const { body: saved } = await this.board.api.send("PUT", path, body, {
        key: this.key.of(body),
      });
      if (saved?.id === this.equipmentId) this.board.store.answer("equipment", saved);
      this.board.announcer.say(`Saved: ${STATES[body.state].word}.`);
      this.dialog.close();
    } catch (problem) {
      this.problem.show(problem);
    }
  }

  /** The record changed under the open dialog: the person decides what the report has seen. */
  showChange() {
    if (this.equipmentId === null) return;
    const record = this.record;
    if (!record) {
      this.dialog.close();
      return;
    }
    if (record.etag === this.shownEtag) return;
    this.shownEtag = record.etag;
    this.showCurrent(record);
    this.loadHistory();
    if (record.etag === this.openedEtag) return;
    const know = element("button", { type: "button", text: "I have seen it" });
    know.addEventListener("click", () => {
      this.openedEtag = this.record.etag;
      this.changed.hidden = true;
    });
    this.changed.hidden = false;
    rebuild(
      this.changed,
      "Changed while you were here. What you save now counts as said without knowing of it.",
      know,
    );
  }

  historySection() {
    const select = element(
      "select",
      { "aria-label": "How far back" },
      Object.keys(WINDOWS).map((text) => element("option", { text: `Last ${text}`, value: text })),
    );
    select.addEventListener("change", () => this.loadHistory());
    this.window = select;
    return element(
      "section",
      { class: "history" },
      element("header", { class: "section-head" }, element("h3", { text: "History" }), select),
      this.history,
    );
  }

  async loadHistory() {
    const id = this.equipmentId;
    const from = new Date(Date.now() - WINDOWS[this.window.value]).toISOString();
    try {
      const path = `/api/equipment/${encodeURIComponent(id)}/history`;
      const history = await this.board.api.list(path, { query: { from } });
      if (this.equipmentId === id) this.history.replaceChildren(historyList(history));
    } catch (problem) {
      const text = element("problem-text");
      if (this.equipmentId === id) this.history.replaceChildren(text);
      text.show(problem);
    }
  }
}

customElements.define("equipment-dialog", EquipmentDialog);
