// What is said of a task in words: what it is about, why it waits, what it printed last.

/** What a task is about, in one line. */
export function taskTitle(task) {
  const { argv, seconds } = task.payload ?? {};
  if (Array.isArray(argv)) return argv.map(quoted).join(" ");
  if (task.type === "wait" && seconds !== undefined) return `wait ${seconds} s`;
  const payload = JSON.stringify(task.payload ?? {});
  return payload === "{}" ? task.type : `${task.type} ${payload.slice(0, 120)}`;
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${String(word).replaceAll("'", "'\\''")}'`;
}

/**
 * Why a task does not go on, a line each.
 * @param {Map<string, object>} known tasks by id: one that is waited for is called by its title,
 *     since nobody knows it by its id
 */
export function waitLines(task, known) {
  if (task.status === "cancelling")
    return [`Asked to stop: ${task.device ?? "its device"} has not answered yet`];
  return (task.waits_for ?? []).map((reason) => `Waits: ${reasonText(reason, known)}`);
}

function reasonText(reason, known) {
  const message = reason.message ?? reason.reason;
  const other = known.get(reason.ref);
  return other ? message.replaceAll(reason.ref, `“${taskTitle(other)}”`) : message;
}

/** The last line a run printed. */
export function lastWords(output) {
  const text = [output?.stderr, output?.stdout].find(
    (part) => typeof part === "string" && part.trim() !== "",
  );
  return text?.trim().split("\n").at(-1).slice(0, 200);
}
