// Bookings that overlap stand beside each other: which lane each takes, of how many.

/**
 * @param {{start: number, end: number}[]} items by start
 * @returns {Map<object, {lane: number, lanes: number}>}
 */
export function lanesOf(items) {
  const found = new Map();
  let cluster = [];
  let clusterEnd = -Infinity;
  let ends = [];
  const close = () => {
    for (const item of cluster) found.get(item).lanes = ends.length;
    cluster = [];
    ends = [];
  };
  for (const item of items) {
    if (item.start >= clusterEnd) close();
    const free = ends.findIndex((end) => end <= item.start);
    const lane = free === -1 ? ends.length : free;
    ends[lane] = item.end;
    cluster.push(item);
    clusterEnd = Math.max(cluster.length === 1 ? -Infinity : clusterEnd, item.end);
    found.set(item, { lane, lanes: 1 });
  }
  close();
  return found;
}

/**
 * How many are on at the same instant, at most. Of those that all overlap one window it is how many
 * are so within it.
 *
 * @param {{start: number, end: number}[]} items
 */
export function mostAtOnce(items) {
  const at = (ms) => items.filter((one) => one.start <= ms && ms < one.end).length;
  return Math.max(0, ...items.map((one) => at(one.start)));
}
