// What is said of a task in words: what it is about, what it printed last, how far it is.

/** What a task is about, in one line. */
export function taskTitle(task) {
  const { argv, seconds, url, method, topic } = task.payload ?? {};
  if (Array.isArray(argv)) return argv.map(quoted).join(" ");
  if (task.type === "wait" && seconds !== undefined) return `wait ${seconds} s`;
  if (task.type === "http" && url) return `${method ?? "GET"} ${url}`;
  if (task.type === "mqtt" && topic) return `mqtt ${topic}`;
  const payload = JSON.stringify(task.payload ?? {});
  return payload === "{}" ? task.type : `${task.type} ${payload.slice(0, 120)}`;
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${String(word).replaceAll("'", "'\\''")}'`;
}

/** The last line a run printed. */
export function lastWords(output) {
  const text = [output?.stderr, output?.stdout].find(
    (part) => typeof part === "string" && part.trim() !== "",
  );
  return text?.trim().split("\n").at(-1).slice(0, 200);
}

/**
 * How far a run is. The handler chooses the keys: `percent`, or `done` of `total`, and `message`
 * are understood; others are shown as they are.
 * @returns {{fraction: number|null, text: string}|null}
 */
export function progressWords(progress) {
  if (!progress) return null;
  const { percent, done, total, message, ...rest } = progress;
  const isCounted = typeof done === "number" && typeof total === "number" && total > 0;
  let fraction = isCounted ? done / total : null;
  if (typeof percent === "number") fraction = percent / 100;
  if (fraction !== null) fraction = Math.min(1, Math.max(0, fraction));
  const words = [
    fraction !== null && `${Math.round(fraction * 100)} %`,
    isCounted && `${done} of ${total}`,
    message,
    ...Object.entries(rest).map(([key, value]) => `${key}: ${plain(value)}`),
  ];
  return { fraction, text: words.filter(Boolean).join(" · ") };
}

function plain(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
