// Groups are booked as a whole: which resources stand behind a name, and which groups before it.

/** The resources behind an id: itself, or all members of a group. */
export function membersOf(store, id, seen = new Set()) {
  if (seen.has(id)) return [];
  seen.add(id);
  const members = store.records.resources.get(id)?.members;
  return members ? members.flatMap((member) => membersOf(store, member, seen)) : [id];
}

/** All resources behind some ids. */
export function allMembers(store, ids) {
  return [...new Set(ids.flatMap((id) => membersOf(store, id)))];
}

/** The groups that take one of these resources with them. */
export function groupsWith(store, ids) {
  const wanted = new Set(ids);
  return [...store.records.resources.values()]
    .filter((one) => one.members && membersOf(store, one.id).some((id) => wanted.has(id)))
    .map((one) => one.id);
}

/** Resources that have hours of their own, by name. */
export function plainResources(store) {
  return byName([...store.records.resources.values()].filter((one) => one.hours));
}

/** All that can be booked, groups last. */
export function bookable(store) {
  const groups = [...store.records.resources.values()].filter((one) => one.members);
  return [...plainResources(store), ...byName(groups)];
}

/** The zone by whose clock resources are booked: that of the first. */
export function zoneOf(store, ids) {
  const zones = allMembers(store, ids).map((id) => store.records.resources.get(id)?.timezone);
  return zones.find(Boolean) ?? "UTC";
}

function byName(resources) {
  const name = (one) => one.name || one.id;
  return resources.sort((one, other) => name(one).localeCompare(name(other), "en"));
}
