// The HTTP API of the node that served this page: JSON, bearer token, problem+json.

const TIMEOUT_MS = 15_000;
const STORED = "skerry-token";

/** An error of the API (RFC 9457), or of the way to it: then `status` is 0. */
export class Problem extends Error {
  constructor({ title, status = 0, detail = null, errors = [], type = "about:blank", ...facts }) {
    super(title);
    // Of a booking that cannot be: reasons, conflicts, alternatives.
    this.facts = facts;
    this.title = title;
    this.status = status;
    this.detail = detail;
    this.errors = errors;
    this.type = type;
  }
}

/**
 * The token for this tab: from `#token=…`, which is then taken out of the address bar so that it
 * is neither bookmarked nor shown on a shared screen, or as kept from before.
 */
export function takeToken() {
  const match = /^#token=(.+)$/.exec(location.hash);
  if (match) {
    sessionStorage.setItem(STORED, decodeURIComponent(match[1]));
    history.replaceState(history.state, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(STORED);
}

export class Api {
  /** @param {() => void} onUnauthorized called when the node does not accept the token. */
  constructor(token, onUnauthorized) {
    this.token = token;
    this.onUnauthorized = onUnauthorized;
  }

  /** Use another token from now on. */
  setToken(token) {
    this.token = token;
    sessionStorage.setItem(STORED, token);
  }

  get(path, { query, timeoutMs } = {}) {
    return this.request("GET", path, { query, timeoutMs });
  }

  /** Send a write. Resolves to `{body}`, throws a {@link Problem}. */
  send(method, path, body, { key } = {}) {
    return this.request(method, path, { body, key });
  }

  /** All items of a list, page by page, at most `pagesMax` pages of 500. */
  async list(path, { query = {}, pagesMax = 10 } = {}) {
    const items = [];
    let first = null;
    let cursor = null;
    for (let page = 0; page < pagesMax; page += 1) {
      const answer = await this.get(path, { query: { limit: 500, ...query, cursor } });
      // The oldest position is the safe one to resume from: what changed while paging comes again.
      first ??= answer;
      items.push(...answer.body.items);
      cursor = answer.body.next;
      if (cursor === null || cursor === undefined) break;
    }
    return {
      items,
      position: first.position,
      carried: first.body.carried ?? null,
      isWhole: !cursor,
    };
  }

  async request(method, path, { query = {}, body, key, timeoutMs = TIMEOUT_MS }) {
    const url = new URL(path, location.origin);
    for (const [name, value] of Object.entries(query)) {
      if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
    }
    const headers = { Accept: "application/json, application/problem+json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key) headers["Idempotency-Key"] = key;
    let response;
    let text;
    try {
      response = await fetch(url, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      throw unreachable(method, error, key !== undefined);
    }
    if (!response.ok) throw this.refused(response, text);
    return {
      body: parsed(text, response.status),
      position: response.headers.get("Skerry-Position"),
    };
  }

  refused(response, text) {
    if (response.status === 401) this.onUnauthorized();
    let problem = {};
    try {
      problem = JSON.parse(text);
    } catch {
      problem = { detail: text.slice(0, 300) };
    }
    return new Problem({
      ...problem,
      title: problem.title ?? response.statusText,
      status: response.status,
    });
  }
}

function parsed(text, status) {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem({ title: "The answer is not JSON", status, detail: text.slice(0, 300) });
  }
}

function unreachable(method, error, isRepeatable) {
  const isTimeout = error.name === "TimeoutError";
  const title = isTimeout ? "This node did not answer in time" : "This node cannot be reached";
  return new Problem({ title, detail: afterSilence(method, isRepeatable) });
}

/** What a person may do now that no answer came. */
function afterSilence(method, isRepeatable) {
  if (method === "GET") return "Try again once the header says “Live”.";
  const unknown = "It is not known whether this was saved.";
  return isRepeatable
    ? `${unknown} Press again once this node answers: it is saved once only.`
    : `${unknown} Look at it again, once this node answers, before you repeat it.`;
}

/**
 * Keys for `Idempotency-Key`, one for each body: pressing twice, or again after an answer was lost,
 * writes once.
 */
export class RepeatKey {
  text = null;
  key = null;

  of(body) {
    const text = JSON.stringify(body);
    if (text !== this.text) {
      this.text = text;
      this.key = randomKey();
    }
    return this.key;
  }
}

/** `crypto.randomUUID` is missing on plain http beyond loopback. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
