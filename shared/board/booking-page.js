// The bookings: the calendar, what needs a person, and a search for the first free time.

import "./booking-agenda.js";
import "./booking-bar.js";
import "./booking-calendar.js";
import { buffersOf } from "./booking-column.js";
import "./booking-find.js";
import "./booking-needs.js";
import { isSettled } from "./booking-refusals.js";
import { BookingWindow } from "./booking-window.js";
import { element } from "./dom.js";
import { waitingText } from "./notices.js";
import { allMembers, groupsWith, plainResources } from "./resource-groups.js";
import { openWithin } from "./resource-hours.js";
import { MINUTE_MS, dayOf, localOf, mondayOf, plusDays } from "./zone-clock.js";

const PHONE = matchMedia("(max-width: 899px)");
const COLUMNS_FIRST = 4; // beside each other before anybody has chosen

class BookingPage extends HTMLElement {
  attach(board) {
    this.board = board;
    this.window = new BookingWindow(board, () => this.fill());
    const [needs, find, bar, calendar, agenda] = [
      "booking-needs",
      "booking-find",
      "booking-bar",
      "booking-calendar",
      "booking-agenda",
    ].map((name) => element(name));
    Object.assign(this, { bar, calendar, agenda });
    this.problem = element("problem-text");
    this.empty = element("p", { class: "empty" });
    this.body = element(
      "div",
      { class: "cal-body" },
      element("div", { class: "cal-side" }, needs, find),
      element("div", { class: "cal-main" }, bar, this.problem, calendar, agenda),
    );
    this.append(this.head(), this.empty, this.body);
    needs.attach(board);
    find.attach(board);
    bar.attach(board, () => this.shown);
    agenda.attach(board);
    calendar.attach(board, {
      book: (column, start, minutes) =>
        board.openBookingForm({ resources: [column.resource.id], start, minutes }),
      move: (id, from, to, start) => this.move(id, from, to, start),
      turn: (direction) => bar.step(direction),
    });
    for (const topic of ["resources", "node", "connection"])
      board.store.watch(topic, () => this.look());
    board.route.watch(() => this.look());
    PHONE.addEventListener("change", () => this.look());
    setInterval(() => this.look(), MINUTE_MS); // today becomes another day
  }

  head() {
    this.add = element("button", { type: "button", class: "primary", text: "New booking" });
    this.add.addEventListener("click", () =>
      this.board.openBookingForm({ resources: this.shown.resources.slice(0, 1), ...this.opening }),
    );
    this.make = element("button", { type: "button", text: "Resources" });
    this.make.addEventListener("click", () => this.board.openResourceList());
    return element(
      "header",
      { class: "section-head" },
      element("h2", { text: "Bookings" }),
      this.make,
      this.add,
    );
  }

  /** What the address asks for, as far as it is known here. */
  get shown() {
    const { store, route } = this.board;
    const { resources, day, isWeek } = route.calendar;
    const known = plainResources(store).map((one) => one.id);
    const asked = allMembers(store, resources).filter((id) => known.includes(id));
    const names = asked.length > 0 ? asked : known.slice(0, COLUMNS_FIRST);
    const chosen = isWeek || PHONE.matches ? names.slice(0, 1) : names;
    const zone = store.records.resources.get(chosen[0])?.timezone ?? "UTC";
    return { resources: chosen, day: day ?? localOf(Date.now(), zone).day, isWeek };
  }

  /** Where a new booking begins, of a day to come: its opening. */
  get opening() {
    const [{ resource, day }] = this.wanted;
    const { start, end } = dayOf(day, resource.timezone);
    if (start <= Date.now()) return {};
    return { start: openWithin(resource, start, end)[0]?.start ?? start };
  }

  /** The columns of the calendar. */
  get wanted() {
    const { resources, day, isWeek } = this.shown;
    const records = resources.map((id) => this.board.store.records.resources.get(id));
    if (!isWeek) return ordered(records).map((resource) => ({ resource, day }));
    const monday = mondayOf(day);
    const days = Array.from({ length: 7 }, (_, index) => plusDays(monday, index));
    return days.map((one) => ({ resource: records[0], day: one }));
  }

  look() {
    const { store, route } = this.board;
    const isServed = store.loaded.has("resources");
    const { wanted } = this;
    this.make.hidden = !this.board.canEditResources();
    this.add.hidden = wanted.length === 0;
    this.body.hidden = wanted.length === 0;
    this.empty.hidden = wanted.length > 0;
    this.empty.textContent = isServed ? nothing(store.node) : waitingText(store.connection.phase);
    if (route.view !== "bookings" || wanted.length === 0) return this.window.rest();
    const { isWeek } = this.shown;
    this.bar.show(isWeek || PHONE.matches);
    const days = wanted.map(({ resource, day }) => dayOf(day, resource.timezone));
    const ids = [...new Set(wanted.map(({ resource }) => resource.id))];
    const names = [...ids, ...groupsWith(store, ids)].slice(0, 50);
    // What is booked just outside may keep something free within.
    const buffers = wanted.map(({ resource }) => buffersOf(resource));
    const from = Math.min(...days.map((one, index) => one.start - buffers[index].after));
    const to = Math.max(...days.map((one, index) => one.end + buffers[index].before));
    this.window.ask(names, from, to);
    return this.fill();
  }

  fill() {
    const { problem } = this.window;
    if (problem) this.problem.show(problem);
    else this.problem.clear();
    const { isWeek } = this.shown;
    const { store } = this.board;
    // What is asked of a group stands with each of its members.
    const bookings = this.window.list.filter(isOfUse).map((one) => withMembers(store, one));
    const isAgenda = isWeek && PHONE.matches;
    this.calendar.hidden = isAgenda;
    this.agenda.hidden = !isAgenda;
    if (isAgenda) this.agenda.show(this.wanted, bookings);
    else this.calendar.show(this.wanted, isWeek, bookings);
  }

  /** A booking was dropped: nothing moves before the person has said so. */
  move(id, from, to, start) {
    const booking = this.board.store.records.bookings.get(id);
    if (!booking) return;
    const resources = booking.resources.map((one) =>
      one === from.resource.id ? to.resource.id : one,
    );
    const isSame = start === Date.parse(booking.start) && from.resource.id === to.resource.id;
    if (!isSame) this.board.openBookingMove(booking, { start, resources });
  }
}

/** A refusal takes no place: it shows until somebody has dealt with it, or its time has come. */
function isOfUse({ id, status, end }) {
  return status !== "refused" || (Date.parse(end) > Date.now() && !isSettled(id));
}

/** Those by the same clock stand together, so that each clock is written once. */
function ordered(resources) {
  const zones = [...new Set(resources.map((one) => one.timezone))];
  return zones.flatMap((zone) => resources.filter((one) => one.timezone === zone));
}

const expanded = new WeakMap();

function withMembers(store, booking) {
  const isPlain = booking.resources.every((id) => !store.records.resources.get(id)?.members);
  if (isPlain) return booking;
  const found = expanded.get(booking) ?? { ...booking };
  found.resources = allMembers(store, booking.resources);
  expanded.set(booking, found);
  return found;
}

function nothing(node) {
  return node?.role === "agent"
    ? "Nothing can be booked yet. The hub says what: make a resource there."
    : "Nothing can be booked yet. Make a resource: a doctor, a room, a press.";
}

customElements.define("booking-page", BookingPage);
