// One socket per tab. Streams survive a lost connection: after it comes back, each goes on behind
// the last entry that was seen, so nothing is lost and nothing comes twice.

const WAITS = [1, 2, 3, 5, 8, 13];
const PING_EVERY = 25_000;
const PONG_WITHIN = 10_000;
const SIGNED_OUT = 4401;

/** What this tab knows of one request: all its entries so far, and who listens. */
class Stream {
  entries = [];
  last = 0;
  listeners = new Set();

  get ended() {
    const event = this.entries.at(-1)?.[1];
    return event === "done" || event === "error";
  }

  take(entries) {
    const fresh = entries.filter(([seq]) => seq > this.last);
    if (!fresh.length) return;
    this.last = fresh.at(-1)[0];
    this.entries.push(...fresh);
    for (const listener of this.listeners) listener.entries(fresh);
  }
}

class StreamSocket extends EventTarget {
  #streams = new Map();
  #watches = false;
  #socket = null;
  #failures = 0;
  #retry = null;
  #ping = null;
  #pong = null;
  // When the socket was lost; before the first one, when the page was asked for.
  #heard = performance.getEntriesByType("navigation")[0]?.requestStart ?? 0;

  /** Hear all entries of a request from the first on. Returns a function that stops listening. */
  subscribe(requestId, listener) {
    const stream = this.#streams.get(requestId) ?? new Stream();
    this.#streams.set(requestId, stream);
    stream.listeners.add(listener);
    if (stream.entries.length) queueMicrotask(() => stream.listeners.has(listener) && listener.entries([...stream.entries], true));
    if (stream.listeners.size === 1 && !stream.ended) this.#send({ command: "subscribe", request_id: requestId, after: stream.last });
    return () => this.#leave(requestId, stream, listener);
  }

  /** Hear what administrators do, as events "console". */
  watch() {
    this.#watches = true;
    this.#send({ command: "watch" });
  }

  stop(requestId) {
    this.#send({ command: "stop", request_id: requestId });
  }

  connect() {
    if (this.#socket && this.#socket.readyState <= WebSocket.OPEN) return;
    clearTimeout(this.#retry);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const ago = Math.min(Math.round(performance.now() - this.#heard), 60_000);
    this.#socket = new WebSocket(`${scheme}://${location.host}/ws/streams/?ago=${ago}`);
    this.#socket.onopen = () => this.#opened();
    this.#socket.onmessage = (event) => this.#received(JSON.parse(event.data));
    this.#socket.onclose = (event) => this.#closed(event);
  }

  #leave(requestId, stream, listener) {
    stream.listeners.delete(listener);
    if (stream.listeners.size) return;
    if (stream.ended) this.#streams.delete(requestId);
    else this.#send({ command: "unsubscribe", request_id: requestId });
  }

  #send(command) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(command));
    else this.connect();
  }

  #opened() {
    this.#failures = 0;
    this.dispatchEvent(new CustomEvent("online"));
    if (this.#watches) this.#send({ command: "watch" });
    for (const [requestId, stream] of this.#streams) {
      if (stream.listeners.size && !stream.ended) this.#send({ command: "subscribe", request_id: requestId, after: stream.last });
    }
    this.#ping = setInterval(() => {
      this.#send({ command: "ping" });
      this.#pong = setTimeout(() => this.#socket.close(), PONG_WITHIN);
    }, PING_EVERY);
  }

  #received(message) {
    if (message.type === "pong") clearTimeout(this.#pong);
    else if (message.type === "entries") this.#streams.get(message.request_id)?.take(message.entries);
    else if (message.type === "error") this.#refused(message);
    else this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }

  #refused(message) {
    const stream = this.#streams.get(message.request_id);
    for (const listener of stream?.listeners ?? []) listener.refused?.(message);
  }

  #closed(event) {
    clearInterval(this.#ping);
    clearTimeout(this.#pong);
    if (!this.#failures) this.#heard = performance.now();
    if (event.code === SIGNED_OUT) {
      this.dispatchEvent(new CustomEvent("signed-out"));
      return;
    }
    const seconds = WAITS[Math.min(this.#failures++, WAITS.length - 1)];
    this.dispatchEvent(new CustomEvent("offline", { detail: { seconds } }));
    this.#retry = setTimeout(() => this.connect(), seconds * 1000);
  }
}

export const socket = new StreamSocket();

// The browser knows sooner than our timer when the network is back.
addEventListener("online", () => socket.connect());
