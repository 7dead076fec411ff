// A small client for Memcached's text protocol: one command, one promise of its reply.
// It connects when a command needs it, and waits for a reply for as long as that takes.
import net from 'node:net';

export class Memcached {
  #address;
  #socket;
  #waiting = [];
  #received = Buffer.alloc(0);

  constructor(url) {
    const { hostname, port } = new URL(url);
    this.#address = { host: hostname, port: Number(port || 11211) };
  }

  /** Return a key's text, undefined where there is none. */
  async get(key) {
    return (await this.#send(`get ${key}`)).text;
  }

  /** Return a key's text and the number that changes with each change of it; see `cas`. */
  async gets(key) {
    const { words, text } = await this.#send(`gets ${key}`);
    return text === undefined ? undefined : { text, unique: words[4] };
  }

  /** Store a text, for so many seconds. */
  set(key, text, seconds) {
    return this.#store('set', key, text, seconds);
  }

  /** Store a text where the key has none; return whether that was so. */
  add(key, text, seconds) {
    return this.#store('add', key, text, seconds);
  }

  /** Store a text where nobody changed or deleted the key since `gets`; return whether that was so. */
  cas(key, text, seconds, unique) {
    return this.#store('cas', key, text, seconds, unique);
  }

  /** Let a key live for so many seconds from now; return whether there was one. */
  async touch(key, seconds) {
    return (await this.#send(`touch ${key} ${seconds}`)).words[0] === 'TOUCHED';
  }

  /** Delete a key; return whether there was one. */
  async delete(key) {
    return (await this.#send(`delete ${key}`)).words[0] === 'DELETED';
  }

  async #store(command, key, text, seconds, ...unique) {
    const head = [command, key, 0, seconds, Buffer.byteLength(text), ...unique].join(' ');
    return (await this.#send(`${head}\r\n${text}`)).words[0] === 'STORED';
  }

  #send(command) {
    return new Promise((resolve, reject) => {
      this.#connect();
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`${command}\r\n`);
    });
  }

  #connect() {
    if (this.#socket) return;
    const socket = net.connect(this.#address);
    let reason = new Error('Memcached closed the connection');
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
      if (reply.words[0].endsWith('ERROR')) reject(new Error(reply.words.join(' ')));
      else resolve(reply);
    }
  }

  #takeReply() {
    const end = this.#received.indexOf('\r\n');
    if (end < 0) return undefined;
    const words = this.#received.toString('latin1', 0, end).split(' ');
    if (words[0] !== 'VALUE') {
      this.#received = this.#received.subarray(end + 2);
      return { words };
    }
    // VALUE <key> <flags> <bytes> [<unique>], the bytes, and a line END.
    const begin = end + 2;
    const behind = begin + Number(words[3]);
    if (this.#received.length < behind + '\r\nEND\r\n'.length) return undefined;
    const text = this.#received.toString('utf8', begin, behind);
    this.#received = this.#received.subarray(behind + '\r\nEND\r\n'.length);
    return { words, text };
  }
}
