// Keeps the shell of the board, and nothing else, so that an installed board opens while its node
// is down or being updated. Records never enter the cache: what the page shows is what the node
// said since the page was opened.

const CACHE = "skerry-shell";
const NETWORK_MS = 3_000;
const SHELL = [
  "/",
  "/board/api.js",
  "/board/app.js",
  "/board/booking-actions.js",
  "/board/booking-agenda.js",
  "/board/booking-answer.js",
  "/board/booking-attention.js",
  "/board/booking-bar.js",
  "/board/booking-block.js",
  "/board/booking-calendar.js",
  "/board/booking-column.js",
  "/board/booking-cursor.js",
  "/board/booking-dialog.js",
  "/board/booking-drag.js",
  "/board/booking-exceptions.js",
  "/board/booking-facts.js",
  "/board/booking-find.js",
  "/board/booking-form.js",
  "/board/booking-lanes.js",
  "/board/booking-move.js",
  "/board/booking-needs.js",
  "/board/booking-page.js",
  "/board/booking-refusals.js",
  "/board/booking-repeat.js",
  "/board/booking-report.js",
  "/board/booking-requests.js",
  "/board/booking-resources.js",
  "/board/booking-slot.js",
  "/board/booking-voice.js",
  "/board/booking-window.js",
  "/board/booking-words.js",
  "/board/bookings.css",
  "/board/conflict-card.js",
  "/board/conflict-list.js",
  "/board/device-list.js",
  "/board/dialogs.css",
  "/board/dom.js",
  "/board/equipment-dialog.js",
  "/board/equipment-form.js",
  "/board/equipment-history.js",
  "/board/equipment-tiles.js",
  "/board/forms.js",
  "/board/icon-192.png",
  "/board/icon-512.png",
  "/board/icon.svg",
  "/board/live.js",
  "/board/lock-list.js",
  "/board/lock-row.js",
  "/board/manifest.webmanifest",
  "/board/notices.js",
  "/board/page.css",
  "/board/phone.css",
  "/board/queue-list.js",
  "/board/queue-row.js",
  "/board/records.css",
  "/board/resource-after.js",
  "/board/resource-days.js",
  "/board/resource-form.js",
  "/board/resource-groups.js",
  "/board/resource-hours.js",
  "/board/resource-limits.js",
  "/board/resource-list.js",
  "/board/resource-week.js",
  "/board/route.js",
  "/board/section-tabs.js",
  "/board/states.js",
  "/board/status-bar.js",
  "/board/store.js",
  "/board/style.css",
  "/board/task-attempts.js",
  "/board/task-buttons.js",
  "/board/task-chips.js",
  "/board/task-choice.js",
  "/board/task-dialog.js",
  "/board/task-facts.js",
  "/board/task-filters.js",
  "/board/task-force.js",
  "/board/task-form.js",
  "/board/task-list.js",
  "/board/task-more.js",
  "/board/task-names.js",
  "/board/task-over.js",
  "/board/task-page.js",
  "/board/task-priority.js",
  "/board/task-progress.js",
  "/board/task-query.js",
  "/board/task-row.js",
  "/board/task-section.js",
  "/board/task-settle.js",
  "/board/task-timeline.js",
  "/board/task-voice.js",
  "/board/task-wait.js",
  "/board/task-window.js",
  "/board/task-words.js",
  "/board/tasks.css",
  "/board/time.js",
  "/board/token-form.js",
  "/board/uplink-switch.js",
  "/board/zone-clock.js",
];

addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(SHELL.map((path) => new Request(path, { cache: "reload" }))))
      .then(() => skipWaiting()),
  );
});

addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const isShell = url.origin === location.origin && SHELL.includes(url.pathname);
  if (event.request.method === "GET" && isShell) event.respondWith(shellFile(event, url.pathname));
});

// The node first: an updated node must not be shown through yesterday's page.
async function shellFile(event, path) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(event.request, { signal: AbortSignal.timeout(NETWORK_MS) });
    if (response.ok) event.waitUntil(cache.put(path, response.clone()));
    return response;
  } catch (error) {
    const kept = await cache.match(path);
    if (kept) return kept;
    throw error;
  }
}
