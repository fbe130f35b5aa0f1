// One booking: where it stands, what can be done, what was asked. What changes elsewhere shows here.

import { RepeatKey } from "./api.js";
import { bookingActions, cancelForm, hasBegun } from "./booking-actions.js";
import { reasonList, slotButtons } from "./booking-answer.js";
import { bookingFacts } from "./booking-facts.js";
import "./booking-move.js";
import { settleRefusal } from "./booking-refusals.js";
import { requestList } from "./booking-requests.js";
import { ALIVE, bookingMarks, bookingTitle, isOurs, reasonText, whenOf } from "./booking-words.js";
import { element, rebuild } from "./dom.js";
import { dialogHead } from "./forms.js";
import { MINUTE_MS } from "./zone-clock.js";

const BEGUN_MS = 5_000; // how late a dialog that stays open notices that its time has come

class BookingDialog extends HTMLElement {
  attach(board) {
    this.board = board;
    this.bookingId = null;
    this.given = null;
    this.dialog = element("dialog", { class: "sheet", "aria-labelledby": "booking-title" });
    this.append(this.dialog);
    this.dialog.addEventListener("close", () => {
      const id = this.bookingId;
      this.bookingId = null;
      if (!document.body.classList.contains("signed-out")) board.route.closeBooking();
      focusBooking(id);
    });
    board.store.watch("bookings", () => this.follow());
    board.store.watch("reloaded", () => this.bookingId && this.load());
    board.store.watch("connection", () => {
      if (this.bookingId && board.store.connection.phase === "live") this.load();
    });
    board.route.watch(() => this.go(board.route.booking));
    setInterval(() => this.follow(), BEGUN_MS);
  }

  get path() {
    return `/api/bookings/${encodeURIComponent(this.bookingId)}`;
  }

  get booking() {
    return this.board.store.records.bookings.get(this.bookingId);
  }

  go(id) {
    if (id === this.bookingId) return;
    if (id) this.open(id);
    else this.dialog.close();
  }

  /** Open it with a move filled in. */
  openMove(booking, given) {
    this.given = given;
    if (this.board.route.booking === booking.id) this.startMove();
    else this.board.route.openBooking(booking.id);
  }

  open(id) {
    if (document.body.classList.contains("signed-out")) return;
    this.bookingId = id;
    this.shown = null;
    this.key = new RepeatKey();
    this.problem = element("problem-text");
    this.view = element("div", { class: "task-view" });
    this.asking = element("div");
    this.move = element("booking-move", { hidden: true });
    this.move.attach(this.board, { done: (booking) => this.moved(booking) });
    this.history = element("div");
    this.dialog.replaceChildren(
      dialogHead("booking-title", "Booking"),
      this.problem,
      this.view,
      this.asking,
      this.move,
      this.history,
    );
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
    if (this.booking) this.show();
    else rebuild(this.view, element("p", { class: "empty", text: "Loading …" }));
    this.load();
  }

  async load() {
    const id = this.bookingId;
    const since = this.board.store.counter;
    try {
      const { body } = await this.board.api.get(this.path);
      this.board.store.learnBookings([body], since);
      if (this.bookingId === id) this.show();
    } catch (problem) {
      if (this.bookingId === id) this.fail(problem);
    }
  }

  fail(problem) {
    if (problem.status !== 404) return this.problem.show(problem);
    rebuild(this.view);
    const isAgent = this.board.store.node?.role === "agent";
    const detail = isAgent
      ? "An agent knows the bookings of the next five weeks, and those asked for at it."
      : "Its link may be of another hub, or it has not arrived yet from where it was asked for.";
    return this.problem.show({ title: "This booking is not known here", detail });
  }

  follow() {
    if (this.bookingId && this.booking) this.show();
  }

  show() {
    const { booking } = this;
    // Nothing is drawn anew under a finger unless it says something else: what it is, what can be
    // done about it, or what the bookings are called that are in its way.
    const reasons = [...booking.reasons, ...booking.outside];
    const texts = reasons.map((one) => reasonText(this.board.store, one));
    const shown = [booking.etag, hasBegun(booking), ...texts].join();
    if (shown === this.shown) return;
    this.shown = shown;
    this.problem.clear();
    this.dialog.querySelector("h2").textContent = bookingTitle(booking);
    const isAlive = ALIVE.has(booking.status);
    rebuild(
      this.view,
      element("p", { class: "current-line" }, bookingMarks(booking)),
      bookingFacts(this.board, booking),
      isAlive && this.outside(booking),
      booking.reasons.length > 0 && this.refused(booking),
      bookingActions(booking, {
        change: (body) => this.change(body),
        move: () => this.startMove(),
        askCancel: () => this.askCancel(),
      }),
    );
    rebuild(this.history, requestList(this.board, booking));
    if (!isAlive) {
      this.move.hidden = true;
      rebuild(this.asking);
    }
    if (this.given && isOurs(booking)) this.startMove();
  }

  outside({ outside, overbooked }) {
    if (outside.length === 0 && !overbooked) return null;
    const text = overbooked
      ? "It stands, though its place was promised twice: move or cancel one of them."
      : "It stands, though the rules were changed since: move it, or leave it.";
    return element(
      "div",
      { class: "needs-note" },
      element("b", { text }),
      reasonList(this.board, outside),
    );
  }

  refused(booking) {
    const { alternatives, status } = booking;
    const isWhole = status === "refused";
    const title = isWhole ? "It was refused" : "The last change was refused: it stays as it was";
    const take = isWhole ? (slot) => this.bookInstead(slot) : (slot) => this.moveTo(slot);
    return element(
      "section",
      { class: "needs-note" },
      element("h3", { text: title }),
      reasonList(this.board, booking.reasons),
      alternatives.length > 0 && element("h4", { text: "These would do" }),
      alternatives.length > 0 &&
        slotButtons(this.board, alternatives, take, isWhole ? "Book" : "Move to"),
    );
  }

  startMove() {
    const given = this.given ?? {};
    this.given = null;
    rebuild(this.asking);
    this.move.open(this.booking, given);
  }

  moved(booking) {
    this.board.store.answer("bookings", booking);
    const verb = booking.tentative ? "Asked to move to" : "Moved to";
    this.board.announcer.say(`${verb} ${whenOf(booking)}.`);
    this.dialog.close();
    this.board.showBooking(booking);
  }

  async moveTo(slot) {
    this.move.open(this.booking, { start: Date.parse(slot.start), resources: slot.resources });
    await this.move.submit();
  }

  /** A refused booking stays refused; the other time is a booking of its own. */
  async bookInstead({ resources, start, end }) {
    const { booking, board } = this;
    const minutes = Math.round((Date.parse(end) - Date.parse(start)) / MINUTE_MS);
    const body = { resources, start, minutes, title: booking.title, site: booking.site };
    try {
      const { body: booked } = await board.api.send("POST", "/api/bookings", body, {
        key: this.key.of(body),
      });
      settleRefusal(booking.id);
      board.store.answer("bookings", booked);
      board.announcer.say(`Booked: ${whenOf(booked)}.`);
      this.dialog.close();
      board.showBooking(booked);
    } catch (problem) {
      this.problem.show(problem);
    }
  }

  async change(body) {
    await this.send("PATCH", this.path, { ...body, seen: this.booking.etag });
  }

  askCancel() {
    this.move.hidden = true;
    const form = cancelForm({
      cancel: (reason) => this.send("DELETE", `${this.path}?reason=${encodeURIComponent(reason)}`),
      keep: () => {
        rebuild(this.asking);
        this.view.querySelector('[data-action="cancel"]')?.focus();
      },
    });
    rebuild(this.asking, form);
    form.elements.reason.focus();
  }

  async send(method, path, body) {
    this.problem.clear();
    try {
      const { body: booking } = await this.board.api.send(method, path, body, {
        key: this.key.of([method, path, body]),
      });
      this.board.store.answer("bookings", booking);
      rebuild(this.asking);
      this.show();
      this.board.announcer.say(
        booking.tentative
          ? "Asked for; the hub decides."
          : `${bookingMarks(booking)[0].textContent}.`,
      );
      if (!ALIVE.has(booking.status)) this.dialog.querySelector(".close").focus();
    } catch (problem) {
      this.problem.show(problem);
    }
  }
}

/** Where the keyboard came from may have been drawn anew meanwhile. */
function focusBooking(id) {
  if (document.activeElement !== document.body || id === null) return;
  document.querySelector(`.booking[data-id="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });
}

customElements.define("booking-dialog", BookingDialog);
