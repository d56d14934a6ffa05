// Embed cells of a CSV file (first line: gene symbols; then one line per cell: id, values).
//
//   DATABRICKS_HOST=... DATABRICKS_TOKEN=... node embed.mjs scgpt-serving cells.csv > embeddings.csv
//
// Values may be counts, normalised or log1p; the model tells why it refuses what it refuses.

import { readFileSync } from "node:fs";

import { EndpointError, embed, encodeCells } from "./scgpt.mjs";

const CELLS_PER_REQUEST = 256;

async function main([name, file]) {
  const { DATABRICKS_HOST: host, DATABRICKS_TOKEN: token } = process.env;
  if (!name || !file || !host) {
    console.error("usage: DATABRICKS_HOST=... DATABRICKS_TOKEN=... node embed.mjs ENDPOINT CELLS.csv");
    return 2;
  }
  const url = `${host.replace(/\/+$/, "")}/serving-endpoints/${encodeURIComponent(name)}/invocations`;
  const { genes, ids, cells } = readCells(readFileSync(file, "utf8"));
  let digest, judged = false;
  for (let at = 0; at < cells.length; at += CELLS_PER_REQUEST) {
    const end = at + CELLS_PER_REQUEST;
    const chunk = { genes, ids: ids.slice(at, end), cells: cells.slice(at, end) };
    // Genes and values are judged once: a few odd cells at the end must not undo the rest.
    const params = judged ? { min_known_fraction: 0, allow_imputed: true } : {};
    const [answer] = await embed({ url, token }, encodeCells(chunk), params);
    judged ||= chunk.cells.some((cell) => [...cell.values()].some((value) => value > 0));
    digest ??= answer.digest;
    if (answer.digest !== digest)
      throw new Error("two models answered in turn; their embeddings cannot be mixed.");
    answer.names.forEach((id, i) => {
      console.log([id, answer.matched[i], ...answer.row(i)].join(","));
    });
  }
  console.error(`${cells.length} cells, model ${digest}`);
  return 0;
}

function readCells(text) {
  const [first, ...lines] = text.trim().split(/\r?\n/).map((line) => line.split(","));
  const cells = lines.map(([, ...values]) =>
    new Map(values.map((value, column) => [column, Number(value)])));
  return { genes: first.slice(1), ids: lines.map(([id]) => id), cells };
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof EndpointError ? `${error.code ?? error.status}: ${error.message}` : error);
  process.exitCode = 1;
}
