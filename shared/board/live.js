// The live connection: one WebSocket, resumed by position, reopened with full-jitter backoff.

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 15_000;
const SUBSCRIBED_WITHIN_MS = 10_000;

const BAD_MESSAGE = 4400;
const NO_TOKEN = 4401;

export class Live {
  /**
   * @param {object} handlers
   * @param {() => Promise<string|null>} handlers.load reads all lists, gives their position
   * @param {() => string[]} handlers.topics
   * @param {() => string|null} handlers.token
   * @param {(change: object) => void} handlers.change
   * @param {(phase: string, problem: Error|null) => void} handlers.phase called with connecting,
   *     live, reconnecting or signed-out
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.position = null;
    this.isLoaded = false;
    this.failures = 0;
    this.socket = null;
    this.wake = () => {};
  }

  /** Connect, and stay connected until the node refuses the token. */
  async run() {
    let problem = null;
    this.handlers.phase("connecting", null);
    for (;;) {
      try {
        if (!this.isLoaded) {
          this.position = await this.handlers.load();
          this.isLoaded = true;
        }
        const code = await this.session();
        if (code === NO_TOKEN) break;
        // The position may be what the node did not like; lists read anew need none.
        if (code === BAD_MESSAGE) this.isLoaded = false;
        problem = code === BAD_MESSAGE ? new Error("The node did not understand this page.") : null;
      } catch (error) {
        if (error.status === 401) break;
        problem = error;
      }
      this.handlers.phase("reconnecting", problem);
      await this.pause();
    }
    this.handlers.phase("signed-out", null);
  }

  /** Something outside says that the node does not answer: do not wait for TCP to notice. */
  suspect() {
    this.socket?.close();
  }

  /** Try again now instead of at the end of the backoff. */
  hurry() {
    this.wake();
  }

  async pause() {
    const boundMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.failures);
    this.failures = Math.min(this.failures + 1, 10);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.random() * boundMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = () => {};
  }

  /** One connection; resolves to its close code. */
  session() {
    const url = new URL("/api/live", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    return new Promise((resolve) => {
      const timer = setTimeout(() => finish(0), SUBSCRIBED_WITHIN_MS);
      // A dead link may take a minute to fire `close`; nobody waits for that.
      const finish = (code) => {
        clearTimeout(timer);
        this.socket = null;
        socket.onmessage = null;
        socket.onclose = null;
        socket.close();
        resolve(code);
      };
      this.socket = { close: () => finish(0) };
      socket.onopen = () => {
        const hello = { subscribe: this.handlers.topics(), token: this.handlers.token() };
        if (this.position !== null) hello.after = this.position;
        socket.send(JSON.stringify(hello));
      };
      socket.onclose = (event) => finish(event.code);
      socket.onmessage = (event) => {
        const message = JSON.parse(event.data);
        if (message.type === "subscribed") clearTimeout(timer);
        this.receive(message);
      };
    });
  }

  receive(message) {
    const isBlind = this.position === null;
    if (message.type !== "subscribed" || isBlind) this.position = message.position;
    if (message.type === "subscribed") {
      this.failures = 0;
      this.handlers.phase("live", null);
      // The lists told no position: what changed between them and now would be missed.
      if (isBlind) this.reload();
    } else if (message.type === "change") {
      this.handlers.change(message);
    } else if (message.type === "reset") {
      this.reload();
    }
  }

  /** After a reset: changes go on arriving while the lists are read again. */
  async reload() {
    try {
      await this.handlers.load();
    } catch {
      // Reading them anew is part of the next connection, which also shows why it failed.
      this.isLoaded = false;
      this.suspect();
    }
  }
}
