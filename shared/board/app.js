// Puts the board together: token, store, views.

import { Api, takeToken } from "./api.js";
import "./conflict-list.js";
import "./device-list.js";
import "./equipment-dialog.js";
import "./equipment-form.js";
import "./equipment-tiles.js";
import "./notices.js";
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
};

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

find("token-form").attach(signIn);
for (const name of [
  "status-bar",
  "conflict-list",
  "equipment-tiles",
  "task-list",
  "task-page",
  "device-list",
  "section-tabs",
  "equipment-dialog",
  "equipment-form",
  "task-dialog",
  "task-form",
]) {
  find(name).attach(board);
}
route.watch(() => {
  document.body.dataset.view = route.view;
});
giveVoice(board);
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
