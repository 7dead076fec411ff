// A small client for Redis: one command, one promise of its reply.
// It connects when a command needs it, and waits for a reply for as long as that takes.
import net from 'node:net';

export class Redis {
  #address;
  #socket;
  #waiting = [];
  #received = Buffer.alloc(0);

  constructor(url) {
    const { hostname, port } = new URL(url);
    this.#address = { host: hostname, port: Number(port || 6379) };
  }

  /** Return 'PONG'. */
  ping() {
    return this.#send('PING');
  }

  /** Return a key's text, null where there is none. */
  get(key) {
    return this.#send('GET', key);
  }

  /** Store a text for so many seconds. */
  set(key, text, seconds) {
    return this.#send('SET', key, text, 'EX', String(seconds));
  }

  // A command is an array of strings, each with its length in bytes.
  #send(...words) {
    return new Promise((resolve, reject) => {
      this.#connect();
      this.#waiting.push({ resolve, reject });
      const strings = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
      this.#socket.write(`*${words.length}\r\n${strings.join('')}`);
    });
  }

  #connect() {
    if (this.#socket) return;
    const socket = net.connect(this.#address);
    let reason = new Error('Redis closed the connection');
    socket.setNoDelay();
    socket.on('data', (data) => this.#read(data));
    socket.on('error', (error) => { reason = error; });
    socket.on('close', () => {
      this.#socket = undefined;
      this.#received = Buffer.alloc(0);
      for (const { reject } of this.#waiting.splice(0)) reject(reason);
    });
    this.#socket = socket;
  }

  // Replies come in the order of the commands.
  #read(data) {
    this.#received = Buffer.concat([this.#received, data]);
    let reply;
    while ((reply = this.#takeReply())) {
      const { resolve, reject } = this.#waiting.shift();
      if (reply.error) reject(new Error(reply.error));
      else resolve(reply.text);
    }
  }

  // A line: +text, -error, :number, or $length and so many bytes behind it ($-1 for none).
  #takeReply() {
    const end = this.#received.indexOf('\r\n');
    if (end < 0) return undefined;
    const line = this.#received.toString('utf8', 1, end);
    const kind = String.fromCharCode(this.#received[0]);
    let behind = end + 2;
    let reply = kind === '-' ? { error: line } : { text: line };
    if (kind === '$' && line === '-1') reply = { text: null };
    else if (kind === '$') {
      behind += Number(line) + 2;
      if (this.#received.length < behind) return undefined;
      reply = { text: this.#received.toString('utf8', end + 2, behind - 2) };
    }
    this.#received = this.#received.subarray(behind);
    return reply;
  }
}
