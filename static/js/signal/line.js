// The socket of an asset. It comes back by itself and says when it is away and when it is back.

const WAITS = [1, 2, 3, 5, 8, 13];
const PING_EVERY = 25_000;
const PONG_WITHIN = 10_000;
const FINAL = { 4401: "signed-out", 4404: "gone" };

export class Line extends EventTarget {
  #socket = null;
  #failures = 0;
  #retry = null;
  #ping = null;
  #pong = null;

  constructor(path) {
    super();
    this.path = path;
    addEventListener("online", () => this.connect());
  }

  connect() {
    if (this.isOver || (this.#socket && this.#socket.readyState <= WebSocket.OPEN)) return;
    clearTimeout(this.#retry);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.#socket = new WebSocket(`${scheme}://${location.host}${this.path}`);
    this.#socket.onopen = () => this.#opened();
    this.#socket.onmessage = (event) => this.#received(JSON.parse(event.data));
    this.#socket.onclose = (event) => this.#closed(event);
  }

  #opened() {
    const wasAway = this.#failures > 0;
    this.#failures = 0;
    this.#tell("online", { wasAway });
    this.#ping = setInterval(() => {
      this.#socket.send(JSON.stringify({ command: "ping" }));
      this.#pong = setTimeout(() => this.#socket.close(), PONG_WITHIN);
    }, PING_EVERY);
  }

  #received(message) {
    if (message.type === "pong") clearTimeout(this.#pong);
    else this.#tell(message.type, message);
  }

  #closed(event) {
    clearInterval(this.#ping);
    clearTimeout(this.#pong);
    if (event.code in FINAL) {
      this.isOver = true;
      this.#tell(FINAL[event.code], {});
      return;
    }
    const seconds = WAITS[Math.min(this.#failures++, WAITS.length - 1)];
    this.#tell("offline", { seconds });
    this.#retry = setTimeout(() => this.connect(), 1000 * seconds);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
