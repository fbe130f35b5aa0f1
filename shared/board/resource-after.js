// What a change of a resource does to what is booked: bookings that it leaves outside, and those in
// the way of taking it out of use.

import { bookingTitle, reasonText, whenOf } from "./booking-words.js";
import { element } from "./dom.js";
import { once } from "./forms.js";

/** The bookings that lie outside new rules, each a link to it. */
export function affectedList(board, affected) {
  const ids = [...new Set(affected.map(({ booking }) => booking))];
  const many = `${ids.length} ${ids.length === 1 ? "booking stands" : "bookings stand"}`;
  const list = element("ul", { class: "conflicts" });
  const name = (id) => {
    const known = board.store.records.bookings.get(id);
    return known ? `${bookingTitle(known)}, ${whenOf(known)}` : `Booking …${id.slice(-6)}`;
  };
  const show = () =>
    list.replaceChildren(
      ...ids.map((id) =>
        element(
          "li",
          {},
          element("a", { href: `#bookings&booking=${encodeURIComponent(id)}`, text: name(id) }),
          element("span", {
            class: "muted",
            text: ` ${reasonText(board.store, affected.find(({ booking }) => booking === id).reason)}`,
          }),
        ),
      ),
    );
  show();
  learn(board, ids).then(show);
  return element(
    "section",
    { class: "needs-note", role: "alert" },
    element("h3", { text: `Saved. ${many} outside the new rules` }),
    element("p", {
      class: "muted",
      text: "They stay confirmed. Somebody has to move them, or leave them.",
    }),
    list,
  );
}

const NAMED_MAX = 20;

async function learn({ store, api }, ids) {
  for (const id of ids.filter((one) => !store.records.bookings.has(one)).slice(0, NAMED_MAX)) {
    const since = store.counter;
    try {
      const { body } = await api.get(`/api/bookings/${encodeURIComponent(id)}`);
      store.learnBookings([body], since);
    } catch {
      return; // the ids stay, and lead there all the same
    }
  }
}

/** Take it out of use; what is booked ahead is in the way until the person says so. */
export function retireSection(board, resource, done) {
  const problem = element("problem-text");
  const button = element("button", { type: "button", text: "Take out of use" });
  const path = `/api/resources/${encodeURIComponent(resource.id)}`;
  let isWarned = false;
  const retire = async () => {
    problem.clear();
    try {
      await board.api.send("DELETE", isWarned ? `${path}?cancel=true` : path);
      board.store.remove("resources", resource.id);
      board.announcer.say(`${resource.name || resource.id} is out of use.`);
      done();
    } catch (error) {
      const { bookings } = error.facts ?? {};
      if (error.status !== 409 || !bookings) {
        problem.show(error);
        return;
      }
      isWarned = true;
      problem.show({
        title: `${bookings} booked ahead`,
        detail: "Move them first, or cancel them.",
      });
      button.textContent = `Cancel ${bookings} booked ahead, and take it out of use`;
    }
  };
  button.addEventListener("click", () => once(button, retire));
  return element("section", { class: "history retire" }, problem, button);
}
