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
