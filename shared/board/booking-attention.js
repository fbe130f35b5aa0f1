// Bookings that need a person: overbooked, outside rules that were changed, refused ones of mine.

import { isSettled, watchRefusals } from "./booking-refusals.js";
import { ALIVE } from "./booking-words.js";
import { element } from "./dom.js";

const PAGES_MAX = 2;

/** Those ahead that need somebody, by start. */
export function needing({ records, node }) {
  const now = new Date().toISOString();
  return [...records.bookings.values()]
    .filter((one) => one.end > now && needs(one, node?.actor))
    .sort((one, other) => (one.start < other.start ? -1 : 1));
}

function needs(booking, actor) {
  const isMine = booking.requester === actor;
  if (ALIVE.has(booking.status))
    return booking.overbooked || booking.outside.length > 0 || (isMine && wasRefused(booking));
  return booking.status === "refused" && isMine && !isSettled(booking.id);
}

function wasRefused({ reasons, etag }) {
  return reasons.length > 0 && !isSettled(etag);
}

/** Read those that no calendar shows, now and whenever the lists are read anew. */
export function followAttention({ store, api }) {
  const load = async () => {
    const { actor } = store.node ?? {};
    if (!actor || !store.loaded.has("resources")) return;
    const since = store.counter;
    const from = new Date().toISOString();
    const mine = { person: actor, from, status: "requested,held,confirmed,refused" };
    try {
      for (const query of [mine, { attention: "true", from }]) {
        const { items } = await api.list("/api/bookings", { query, pagesMax: PAGES_MAX });
        store.learnBookings(items, since);
      }
    } catch (problem) {
      // Those that are live still come; the connection says if the node is silent.
      console.warn("What needs a person among the bookings could not be read:", problem);
    }
  };
  store.watch("reloaded", load);
  watchRefusals(() => store.mark("bookings"));
}

/** How many, for a link or a tab; it follows the store. */
export function attentionCount(store) {
  const count = element("b", { class: "count" });
  const hint = element("span", { class: "visually-hidden" });
  const show = () => {
    const { length } = needing(store);
    count.textContent = length || "";
    hint.textContent = length > 0 ? " need somebody" : "";
  };
  for (const topic of ["bookings", "node"]) store.watch(topic, show);
  return element("span", { class: "attention" }, count, hint);
}
