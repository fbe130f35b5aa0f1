// What can be booked, edited at the hub: name, zone, hours, days that differ, rules; or the members
// of a group. Bookings that a change leaves outside are shown after saving: they stand.

import { RepeatKey } from "./api.js";
import { chosenResources, resourceChoice } from "./booking-resources.js";
import { element } from "./dom.js";
import { dialogHead, field, once, siteField } from "./forms.js";
import { affectedList, retireSection } from "./resource-after.js";
import { dayFields, daysOf } from "./resource-days.js";
import { limitFields, limitsOf } from "./resource-limits.js";
import { weekFields, weekOf } from "./resource-week.js";
import { isZone } from "./zone-clock.js";

class ResourceForm extends HTMLElement {
  attach(board) {
    this.board = board;
    this.dialog = element("dialog", { class: "sheet", "aria-labelledby": "resource-title" });
    this.append(this.dialog);
  }

  /** @param {string|null} id null: a new one */
  open(id, { isGroup = false } = {}) {
    const resource = this.board.store.records.resources.get(id) ?? null;
    this.resource = resource;
    this.isGroup = resource ? Boolean(resource.members) : isGroup;
    this.key = new RepeatKey();
    this.problem = element("problem-text");
    this.report = element("div");
    const form = element(
      "form",
      { class: "form" },
      resource ? null : this.identity(),
      field(
        "Name",
        element("input", { name: "name", maxlength: 200, value: resource?.name ?? "" }),
        "as people call it",
      ),
      this.isGroup ? this.members() : this.rules(),
      this.problem,
      this.report,
      element("div", { class: "buttons" }, element("button", { class: "primary", text: "Save" })),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(form.querySelector("button.primary"), () => this.save(form));
    });
    const what = this.isGroup ? "group" : "resource";
    const title = resource ? resource.name || resource.id : `New ${what}`;
    this.dialog.replaceChildren(
      ...[
        dialogHead("resource-title", title, resource?.id),
        form,
        resource && retireSection(this.board, resource, () => this.dialog.close()),
      ].filter(Boolean),
    );
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
    (resource ? form.elements.name : form.elements.id).focus();
  }

  identity() {
    return element(
      "div",
      { class: "form" },
      siteField(this.board.store.node),
      field(
        "Id",
        element("input", {
          name: "id",
          required: true,
          pattern: "[a-z0-9][a-z0-9._\\-]{0,62}",
          title: "Small letters, digits, dot, dash, underscore; at most 63",
          autocapitalize: "none",
          autocomplete: "off",
        }),
        "such as room-2; it stays for ever",
      ),
    );
  }

  rules() {
    const { resource } = this;
    const hours = resource?.hours;
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const zones = element(
      "datalist",
      { id: "zones" },
      Intl.supportedValuesOf("timeZone").map((zone) => element("option", { value: zone })),
    );
    const zone = element("input", {
      name: "timezone",
      required: true,
      list: "zones",
      autocomplete: "off",
      value: hours?.timezone ?? own,
    });
    const region = [hours?.holidays?.country, hours?.holidays?.subdivision];
    const holidays = element("input", {
      name: "holidays",
      pattern: "[A-Za-z]{2}(-[A-Za-z0-9]{1,3})?",
      placeholder: "open on them",
      title: "A country such as DE, or a part of it such as DE-BY",
      autocomplete: "off",
      value: region.filter(Boolean).join("-"),
    });
    return element(
      "div",
      { class: "form" },
      element(
        "div",
        { class: "pair" },
        field("Time zone", zone, "whose clock it goes by"),
        field("Closed on public holidays of", holidays, "DE-BY"),
      ),
      zones,
      weekFields(hours?.week ?? null),
      dayFields(hours?.exceptions ?? []),
      limitFields(resource?.limits ?? null),
    );
  }

  members() {
    this.choice = resourceChoice(this.board.store, this.resource?.members ?? [], "Booked together");
    const own = this.choice.querySelector(`[value="${CSS.escape(this.resource?.id ?? "")}"]`);
    own?.closest("label").remove();
    return this.choice;
  }

  body(form) {
    const name = form.elements.name.value.trim() || null;
    if (this.isGroup) return { name, members: chosenResources(this.choice) };
    const timezone = form.elements.timezone.value.trim();
    if (!isZone(timezone)) throw new Error(`“${timezone}” is no time zone. Write Europe/Berlin.`);
    const [country, subdivision] = form.elements.holidays.value.trim().toUpperCase().split("-");
    const hours = {
      timezone,
      week: weekOf(form),
      exceptions: daysOf(form),
      holidays: country ? { country, subdivision: subdivision ?? null } : null,
    };
    return { name, hours, limits: limitsOf(form) };
  }

  async save(form) {
    this.problem.clear();
    this.report.replaceChildren();
    try {
      const body = this.body(form);
      const { body: saved } = await this.send(form, body);
      const { affected, ...record } = saved;
      this.board.store.answer("resources", record);
      this.board.announcer.say(`Saved: ${record.name || record.id}.`);
      if (affected.length === 0) this.dialog.close();
      else this.showAffected(record, affected);
    } catch (problem) {
      this.problem.show(problem);
    }
  }

  send(form, body) {
    const { resource, board } = this;
    if (resource) {
      const sent = { ...body, seen: resource.etag };
      const path = `/api/resources/${encodeURIComponent(resource.id)}`;
      return board.api.send("PATCH", path, sent, { key: this.key.of(sent) });
    }
    const sent = { id: form.elements.id.value.trim(), ...body };
    if (form.elements.site) sent.site = form.elements.site.value;
    return board.api.send("POST", "/api/resources", sent, { key: this.key.of(sent) });
  }

  showAffected(record, affected) {
    this.resource = record;
    this.key = new RepeatKey();
    this.report.replaceChildren(affectedList(this.board, affected));
    this.report.scrollIntoView({ block: "nearest" });
    this.report.querySelector("a")?.focus();
  }
}

customElements.define("resource-form", ResourceForm);
