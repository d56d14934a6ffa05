// Client of the scGPT endpoint, written from docs/wire-format.md. Node >= 20, no dependencies.
//
//   const packed = encodeCells({ genes: ["CD3D", "NKG7"], cells: [new Map([[0, 5], [1, 300]])] });
//   const [answer] = await embed(endpoint, packed);
//   answer.names, answer.row(0), answer.matched, answer.unknown, answer.truncated, answer.digest

import { deflateSync, inflateSync } from "node:zlib";

const VERSION = 1;
const KIND_CELLS = 1, KIND_CELL_ANSWER = 2, KIND_GENE_ANSWER = 3, KIND_CONTEXT_ANSWER = 4;
const ENVELOPE_BYTES = 12;
const MAX_PACKED_CHARS = 16 * 1024 * 1024;
const MAX_BODY_BYTES = 256 * 1024 * 1024, MAX_CELLS_BYTES = 64 * 1024 * 1024;
const MAX_HEADER_BYTES = 8 * 1024 * 1024;
const BYTES = { u1: 1, u2: 2, u4: 4, f2: 2, f4: 4 };

/** The packed form cannot be written or read; the message says why. */
export class PackingError extends Error {}

/** The endpoint refused: `status` of HTTP, and `code` where the model itself said no. */
export class EndpointError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * Pack cells for the column `packed`.
 *
 * @param {{genes: string[], cells: Map<number, number>[], ids?: string[]}} chunk
 *   `genes`: one symbol per column; `cells`: each maps a column to its value; `ids`: names of cells.
 * @returns {string}
 */
export function encodeCells({ genes, cells, ids = null }) {
  const lengths = [], gaps = [], values = [];
  cells.forEach((cell, i) => {
    const stored = [...cell].filter(([, value]) => value !== 0).sort(([a], [b]) => a - b);
    let before = 0;
    for (const [column, value] of stored) {
      if (!Number.isInteger(column) || column < 0 || column >= genes.length)
        throw new PackingError(`cell ${i}: column ${column} is not 0 .. ${genes.length - 1}.`);
      if (!(value > 0 && Math.fround(value) < Infinity))
        throw new PackingError(`cell ${i}, ${genes[column]}: ${value} is not a finite number >= 0.`);
      gaps.push(column - before);
      values.push(value);
      before = column;
    }
    lengths.push(stored.length);
  });
  if (ids !== null && ids.length !== cells.length)
    throw new PackingError(`${cells.length} cells but ${ids.length} ids.`);
  const gapType = narrowest(gaps), valueType = narrowest(values);
  const header = { cells: cells.length, genes, ids, gap_type: gapType, value_type: valueType };
  return pack(KIND_CELLS, header, [["u4", lengths], [gapType, gaps], [valueType, values]]);
}

/** Unpack what `encodeCells` packed. */
export function decodeCells(text) {
  const body = new Body(text, [KIND_CELLS]);
  const { cells: count, genes, ids, gap_type: gapType, value_type: valueType } = body.header;
  const lengths = body.array("u4", count);
  const stored = lengths.reduce((sum, length) => sum + length, 0);
  const gaps = body.array(gapType, stored), values = body.array(valueType, stored);
  body.end();
  let at = 0;
  const cells = lengths.map((length) => {
    const cell = new Map();
    for (let column = 0, stop = at + length; at < stop; at++) {
      column += gaps[at];
      if (cell.has(column) || column >= genes.length)
        throw new PackingError(`columns must rise and stay below ${genes.length}.`);
      cell.set(column, values[at]);
    }
    return cell;
  });
  return { genes, cells, ids };
}

/**
 * Unpack an answer about cells or genes.
 *
 * @returns {{names: string[], dim: number, numbers: number[], row: (i: number) => number[],
 *   matched: number[], unknown: number[], truncated: number[], notFound: string[],
 *   digest: string}} `numbers` holds the rows one after the other.
 */
export function decodeEmbeddings(text) {
  const body = new Body(text, [KIND_CELL_ANSWER, KIND_GENE_ANSWER]);
  const { names, dim, value_type: type, not_found: notFound, model_digest: digest } = body.header;
  const numbers = body.array(type, names.length * dim);
  const counts = body.kind === KIND_CELL_ANSWER ? names.length : 0;
  const [matched, unknown, truncated] = [1, 2, 3].map(() => body.array("u4", counts));
  body.end();
  const row = (i) => numbers.slice(i * dim, (i + 1) * dim);
  return { names, dim, numbers, row, matched, unknown, truncated, notFound, digest };
}

/**
 * Unpack an answer about genes in the context of cells.
 *
 * @returns {{rows: {name: string, cells: number, matched: number, unknown: number,
 *   truncated: number, vectors: {gene: string, count: number, sum: number[]}[]}[],
 *   symbols: string[], grouped: boolean, notFound: string[], digest: string}} A row is a group
 *   when `grouped`, else one cell; `sum` over `count` is the gene's mean vector in it.
 */
export function decodeGenesInContext(text) {
  const body = new Body(text, [KIND_CONTEXT_ANSWER]);
  const { names, symbols, dim, value_type: type, grouped } = body.header;
  const { not_found: notFound, model_digest: digest } = body.header;
  if (typeof grouped !== "boolean") throw new PackingError("grouped must be true or false.");
  const perRow = [1, 2, 3, 4, 5].map(() => body.array("u4", names.length));
  const [cells, matched, unknown, truncated, lengths] = perRow;
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const genes = body.array("u4", total), counts = body.array("u4", total);
  const numbers = body.array(type, total * dim);
  body.end();
  let at = 0;
  const rows = names.map((name, i) => {
    const vectors = [];
    for (let before = -1, stop = at + lengths[i]; at < stop; before = genes[at++]) {
      if (genes[at] <= before || genes[at] >= symbols.length || !counts[at])
        throw new PackingError(`genes must rise and stay below ${symbols.length}, counts above 0.`);
      const sum = numbers.slice(at * dim, (at + 1) * dim);
      vectors.push({ gene: symbols[genes[at]], count: counts[at], sum });
    }
    return {
      name, cells: cells[i], matched: matched[i], unknown: unknown[i], truncated: truncated[i],
      vectors,
    };
  });
  return { rows, symbols, grouped, notFound, digest };
}

/**
 * Ask an endpoint; one answer per packed chunk, in order.
 *
 * @param {{url: string, token?: string}} endpoint `url` ends in `/invocations`.
 * @param {string | string[]} packed Of `encodeCells`.
 * @param {object} params Of the wire contract; numbers come as float32 unless it says otherwise.
 * @returns {Promise<object[]>} Of `decodeEmbeddings`, or of `decodeGenesInContext` for that task.
 */
export async function embed({ url, token }, packed, params = {}) {
  if (params.response_format === "json")
    throw new PackingError("response_format is json; answers come packed: float32 or float16");
  const data = [packed].flat().map((chunk) => [chunk]);
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({
      dataframe_split: { columns: ["packed"], data },
      params: { task: "cell_embeddings", response_format: "float32", ...params },
    }),
  });
  const text = await response.text();
  if (!response.ok) throw refusal(response.status, text);
  const decode =
    params.task === "contextual_gene_embeddings" ? decodeGenesInContext : decodeEmbeddings;
  return JSON.parse(text).predictions.map((row) => decode(row.packed));
}

function refusal(status, text) {
  let message = text;
  try {
    message = JSON.parse(text).message ?? text;
  } catch {
    // a proxy's page, not the endpoint's JSON
  }
  const tag = /\[([a-z0-9_]+)\] ([^]*)/.exec(message);
  return new EndpointError(status, tag?.[1] ?? null, tag?.[2] ?? `${status}: ${message}`);
}

/** The narrowest of u1, u2, u4 that holds the numbers exactly, else f4. */
function narrowest(numbers) {
  let top = 0;
  for (const number of numbers) {
    if (!Number.isInteger(number)) return "f4";
    if (number > top) top = number;
  }
  return top < 2 ** 8 ? "u1" : top < 2 ** 16 ? "u2" : top < 2 ** 32 ? "u4" : "f4";
}

function pack(kind, header, arrays) {
  const head = Buffer.from(JSON.stringify(header));
  const size = arrays.reduce((sum, [type, numbers]) => sum + BYTES[type] * numbers.length, 0);
  if (head.length > MAX_HEADER_BYTES)
    throw new PackingError(`${head.length} bytes of names; at most ${MAX_HEADER_BYTES}.`);
  if (4 + head.length + size > mostBytes(kind))
    throw new PackingError(`${size} bytes; at most ${mostBytes(kind)}. Use smaller chunks.`);
  const body = Buffer.alloc(4 + head.length + size);
  body.writeUInt32LE(head.length, 0);
  head.copy(body, 4);
  let at = 4 + head.length;
  for (const [type, numbers] of arrays)
    for (const number of numbers) at = WRITE[type](body, number, at);
  const envelope = Buffer.alloc(ENVELOPE_BYTES);
  envelope.write("SCGP", "latin1");
  envelope.writeUInt8(VERSION, 4);
  envelope.writeUInt8(kind, 5);
  envelope.writeUInt32LE(body.length, 8);
  const text = Buffer.concat([envelope, deflateSync(body)]).toString("base64");
  if (text.length > MAX_PACKED_CHARS)
    throw new PackingError(`${text.length} characters; at most ${MAX_PACKED_CHARS}. Send fewer cells.`);
  return text;
}

/** A packed text, opened: its header, and its arrays one after the other. */
class Body {
  constructor(text, kinds) {
    const raw = Buffer.from(text, "base64"); // leaves out what is not base64, so compare
    if (raw.toString("base64") !== text) throw new PackingError("not base64.");
    if (raw.length < ENVELOPE_BYTES || raw.toString("latin1", 0, 4) !== "SCGP")
      throw new PackingError("does not begin with SCGP.");
    const version = raw.readUInt8(4), length = raw.readUInt32LE(8);
    this.kind = raw.readUInt8(5);
    if (version !== VERSION) throw new PackingError(`version ${version} is not known here.`);
    if (!kinds.includes(this.kind)) throw new PackingError(`kind ${this.kind} cannot stand here.`);
    this.bytes = inflate(raw.subarray(ENVELOPE_BYTES), length, mostBytes(this.kind));
    this.at = 4 + (length < 4 ? Infinity : this.bytes.readUInt32LE(0));
    if (this.at > length) throw new PackingError("ends before its header.");
    try {
      this.header = JSON.parse(this.bytes.toString("utf8", 4, this.at));
    } catch {
      throw new PackingError("the header is not JSON.");
    }
  }

  /** The next `count` numbers. */
  array(type, count) {
    const size = BYTES[type], stop = this.at + size * count;
    if (!Object.hasOwn(BYTES, type) || !(stop <= this.bytes.length))
      throw new PackingError(`ends before its ${count} ${type} numbers do.`);
    const numbers = Array.from({ length: count }, (_, i) => READ[type](this.bytes, this.at + size * i));
    this.at = stop;
    return numbers;
  }

  /** Refuse bytes that nothing accounts for. */
  end() {
    if (this.at !== this.bytes.length)
      throw new PackingError(`${this.bytes.length - this.at} bytes follow after the last array.`);
  }
}

function mostBytes(kind) {
  return kind === KIND_CELLS ? MAX_CELLS_BYTES : MAX_BODY_BYTES;
}

function inflate(compressed, length, most) {
  if (length > most) throw new PackingError(`${length} bytes; at most ${most}.`);
  let opened;
  try {
    opened = inflateSync(compressed, { maxOutputLength: length + 1, info: true });
  } catch (error) {
    throw new PackingError(
      error.code === "ERR_BUFFER_TOO_LARGE" ? "longer than stated." : "the body is damaged.",
    );
  }
  if (opened.buffer.length !== length) throw new PackingError(`not of the stated ${length} bytes.`);
  if (opened.engine.bytesWritten !== compressed.length)
    throw new PackingError("bytes follow after the compressed body.");
  return opened.buffer;
}

const WRITE = {
  u1: (buffer, number, at) => buffer.writeUInt8(number, at),
  u2: (buffer, number, at) => buffer.writeUInt16LE(number, at),
  u4: (buffer, number, at) => buffer.writeUInt32LE(number, at),
  f4: (buffer, number, at) => buffer.writeFloatLE(number, at),
};

const READ = {
  u1: (buffer, at) => buffer.readUInt8(at),
  u2: (buffer, at) => buffer.readUInt16LE(at),
  u4: (buffer, at) => buffer.readUInt32LE(at),
  f2: (buffer, at) => fromHalf(buffer.readUInt16LE(at)),
  f4: (buffer, at) => buffer.readFloatLE(at),
};

/** An IEEE half-precision number from its 16 bits. */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
}
