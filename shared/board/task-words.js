// What is said of a task in words: what it is about, what it printed last, how far it is.

const TITLE_MAX = 200; // characters, as many as a requester's own title may have

/**
 * What a task is about, in one line: as its requester calls it, or else what it does.
 * A command may have 64 KiB: the whole of it stands in the task, under what was submitted.
 */
export function taskTitle(task, max = TITLE_MAX) {
  return shortened(task.title ?? deed(task), max);
}

function deed(task) {
  const { argv, seconds, url, method, topic } = task.payload ?? {};
  if (Array.isArray(argv)) return argv.map(quoted).join(" ");
  if (task.type === "wait" && seconds !== undefined) return `wait ${seconds} s`;
  if (task.type === "http" && url) return `${method ?? "GET"} ${url}`;
  if (task.type === "mqtt" && topic) return `mqtt ${topic}`;
  const payload = JSON.stringify(task.payload ?? {});
  return payload === "{}" ? task.type : `${task.type} ${payload}`;
}

function shortened(text, max) {
  const characters = [...text.slice(0, 2 * max + 2)]; // not halves of those that take two units
  return characters.length > max ? `${characters.slice(0, max - 1).join("")}…` : text;
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

const MEASURES = [
  { part: "percent", whole: 100, text: () => "" },
  { part: "done", whole: "total", text: (done, total) => `${done} of ${total}` },
  { part: "waited_s", whole: "seconds", text: (part, all) => `${Math.round(part)} of ${all} s` },
];

/**
 * How far a run is. The handler chooses the keys: `percent`, or `done` of `total`, and `message`
 * are understood, as is what the handlers of this house say: `said`, the last line a command
 * wrote, and `waited_s` of `seconds`. Others are shown as they are.
 * @returns {{fraction: number|null, text: string}|null}
 */
export function progressWords(progress) {
  if (!progress) return null;
  const { message, said, ...rest } = progress;
  const words = [message, said];
  let fraction = null;
  for (const { part, whole, text } of MEASURES) {
    const [value, of] = [progress[part], whole === 100 ? 100 : progress[whole]];
    if (typeof value !== "number" || typeof of !== "number" || of <= 0) continue;
    fraction ??= Math.min(1, Math.max(0, value / of));
    words.unshift(text(value, of));
    delete rest[part];
    delete rest[whole];
  }
  if (fraction !== null) words.unshift(`${Math.round(fraction * 100)} %`);
  words.push(...Object.entries(rest).map(([key, value]) => `${key}: ${plain(value)}`));
  return { fraction, text: words.filter(Boolean).join(" · ") };
}

function plain(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
