// Puts the board together: token, store, views.

import { Api, takeToken } from "./api.js";
import { followAttention } from "./booking-attention.js";
import "./booking-dialog.js";
import "./booking-form.js";
import "./booking-page.js";
import { giveBookingsVoice } from "./booking-voice.js";
import "./conflict-list.js";
import "./device-list.js";
import "./equipment-dialog.js";
import "./equipment-form.js";
import "./equipment-tiles.js";
import "./notices.js";
import "./resource-form.js";
import "./resource-list.js";
import { Route } from "./route.js";
import "./section-tabs.js";
import "./status-bar.js";
import { Store } from "./store.js";
import "./task-dialog.js";
import "./task-form.js";
import "./task-list.js";
import "./task-page.js";
import { nameLinks } from "./task-names.js";
import { giveVoice } from "./task-voice.js";
import { refreshTimes } from "./time.js";
import "./token-form.js";
import "./uplink-switch.js";
import { localOf } from "./zone-clock.js";

const TIMES_MS = 10_000;

const find = (name) => document.querySelector(name);

const api = new Api(takeToken(), () => signOut());
const store = new Store(api);
const route = new Route();
const board = {
  api,
  store,
  route,
  notices: find("notice-list"),
  announcer: find("change-announcer"),
  openEquipment: (id) => store.records.equipment.has(id) && find("equipment-dialog").open(id),
  openEquipmentForm: () => find("equipment-form").open(),
  openTask: (id) => route.openTask(id),
  openTaskForm: (given) => find("task-form").open(given),
  openBookingForm: (given) => find("booking-form").open(given),
  openBookingMove: (booking, given) => find("booking-dialog").openMove(booking, given),
  openResourceForm: (id, options) => find("resource-form").open(id, options),
  openResourceList: () => find("resource-list").open(),
  canEditResources: () => store.node?.role === "hub",
  showBooking,
};

/** Turn the calendar to where a booking stands; a resource that it does not show comes beside. */
function showBooking({ start, timezone, resources }) {
  if (route.view !== "bookings" || !start) return;
  const { resources: shown } = find("booking-page").shown;
  const isShown = resources.some((id) => shown.includes(id));
  const { day } = localOf(Date.parse(start), timezone ?? "UTC");
  route.turn({ day, resources: isShown ? route.calendar.resources : [...shown, ...resources] });
}

function signIn(token) {
  api.setToken(token);
  document.body.classList.remove("signed-out");
  store.start();
  store.live.hurry();
  route.tell();
}

/** Nothing of the records stays readable behind the form. */
function signOut() {
  if (document.body.classList.contains("signed-out")) return;
  document.body.classList.add("signed-out");
  store.moveTo("signed-out", null);
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  find("token-form").ask(Boolean(api.token));
  store.live.suspect();
}

// First of all who watch: what measures itself must be on the page by then.
route.watch(() => {
  document.body.dataset.view = route.view;
});
find("token-form").attach(signIn);
for (const name of [
  "status-bar",
  "conflict-list",
  "equipment-tiles",
  "task-list",
  "task-page",
  "booking-page",
  "device-list",
  "section-tabs",
  "equipment-dialog",
  "equipment-form",
  "task-dialog",
  "task-form",
  "booking-dialog",
  "booking-form",
  "resource-form",
  "resource-list",
]) {
  find(name).attach(board);
}
giveVoice(board);
giveBookingsVoice(board);
followAttention(board);
nameLinks(board);
store.watch("connection", () => store.connection.phase === "signed-out" && signOut());
store.startPulse();
setInterval(refreshTimes, TIMES_MS);
addEventListener("hashchange", () => {
  const before = api.token;
  const token = takeToken();
  if (token && token !== before) location.reload();
});

if (api.token) store.start();
else signOut();

// Secure contexts only: loopback and https. Elsewhere the board works without being installable.
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("/service-worker.js").catch((error) => {
    console.warn("The board cannot be kept for offline starts:", error);
  });
}
