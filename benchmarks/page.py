"""The table of ``docs/performance.md``, made from ``results.json``, so that both say the same."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- begin: written by make bench -->\n", "<!-- end -->\n"

COMPARES = {
    "cpu_fp32_vs_upstream": "48 PBMC cells against upstream's `get_batch_cell_embeddings`",
    "cpu_bf16_vs_upstream": "the same in bfloat16",
    "cpu_fp32_vs_upstream_1200": "8 cells of 1,200 tokens, in the same way",
    "cpu_bf16_vs_upstream_1200": "the same in bfloat16",
    "cpu_fp32_of_fastest_product": "useful work of the engine against the fastest float32 product",
    "cpu_fp32_of_fastest_product_1200": "the same",
    "cpu_bf16_of_fastest_product": "the same in bfloat16, against its product",
    "cpu_bf16_of_fastest_product_1200": "the same",
    "concurrent_small_requests": "32 callers of a cell each against one caller of 32 cells",
    "cpu_fp32_of_gemm_limit": "useful work of the whole engine against torch's own float32 product",
    "time_outside_network": "of a served request: unpacking, checks, tokens, packing the answer",
    "gene_embeddings_vs_guide": "765 genes: a lookup against the guide's rebuild in each request",
    "request_bytes": "100 x 3,000 cells at 10 %: packed against dense JSON",
    "response_bytes": "1,200 x 512 numbers: packed float16 against a JSON list",
    "load_weights": "file to network, against `torch.load` and `load_state_dict`",
    "http_vs_in_process": "`scgpt embed` through a deployed local endpoint against the engine",
    "backed_memory": "peak memory; the ratio is 200,000 cells over 20,000",
    "synth_environment_cdktf": "synthesis",
    "synth_environment_cdktn": "synthesis under the maintained fork",
    "no_op_deploy": "`scgpt deploy` with nothing to do",
    "unpacked_rows": "cells unpacked and written, against reading their Parquet",
    "kpi_sql": "KPI queries of a week against a plain scan of their columns",
    "kpi_memory": "peak memory; the ratio is 1,000,000 requests over 100,000",
    "drift_test": "a look at drift against one kernel between all cells",
    "unpacking_memory": "peak memory; the ratio is 1,000 requests over 100",
    "client_concurrency": "one client against itself with one request at a time",
    "client_vs_raw_http": "the client against prepared requests, as many at a time",
    "spark_per_core_vs_one_process": "two Spark tasks of a thread against one process of two",
    "convert_memory": "peak memory; the ratio is 200,000 cells over 20,000",
    "onnx_vs_torch": "48 PBMC cells by onnxruntime against the engine",
    "onnx_int8_vs_torch_fp32": "the same in int8",
    "ray_vs_in_process": "`scgpt ray serve` against the engine",
    "ray_vs_mlflow_server": "`scgpt ray serve` against `mlflow models serve`",
    "batching_gain": "batches across requests on Ray, on a CPU",
    "ray_mixed_versions_p99": "two versions in turn against one of them",
    "ray_cold_version": "first answer of a version that is not loaded",
    "canary_false_rollbacks": "canaries that are no worse, rolled back; the most of three shares",
    "canary_five_fold_found": "5 % errors against 1 %, at 10 % of the traffic",
    "fp32_time_in_affine_maps": "explains: of the engine's time, 16 PBMC cells",
    "fp32_time_in_attention": "explains: the same",
    "fp32_time_in_attention_1200": "explains: the same",
    "bf16_time_in_attention_1200": "explains: the same",
    "fp32_affine_maps_of_bare_product": "explains: their rate against one of them alone",
    "bf16_time_in_affine_maps": "explains: of the engine's time in bfloat16",
    "bf16_time_in_attention": "explains: the same",
    "bf16_affine_maps_of_bare_product": "explains: their rate against one of them alone",
    "onnx_one_core": "explains: 16 PBMC cells by onnxruntime against the engine",
    "onnx_int8_one_core": "explains: the same in int8",
    "http_work": "explains: processors' seconds of a request, against those of the engine",
    "work_spared": "explains: useful work that is known without its product",
    "unpacking_that_remains": "explains: of unpacking's time, what none can do without",
    "second_answer_vs_first": "explains: one cell, of an engine just loaded",
}
_HOLDS = {">=": operator.ge, "<=": operator.le, ">": operator.gt}
_SCALES = {"bytes": (1e-3, "kB")}


def write(results: list[dict[str, Any]], page: Path = PAGE) -> None:
    """Put the table of some results between the page's two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(before + BEGIN + table(results) + END + after)


def table(results: list[dict[str, Any]]) -> str:
    """One row per figure: what was measured, the ratio, the goal and whether it is met."""
    rows = [
        "| figure | ours | reference | ratio | goal | what it compares |",
        "|---|---|---|---|---|---|",
    ]
    for found in results:
        scale, unit = _SCALES.get(found["unit"], (1.0, found["unit"]))
        values = (number(found[side] * scale) for side in ("ours", "reference"))
        note = f" ({found['note']})" if found["note"] else ""
        cells = [
            f"`{found['name']}`",
            *(f"{value} {unit}" for value in values),
            number(found["ratio"]),
            goal(found["goal"], found["ratio"]),
            COMPARES[found["name"]] + note,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def goal(said: str, ratio: float) -> str:
    """A goal such as ``>= 6``, with a word where it is missed."""
    sign, _, least = said.partition(" ")
    if sign not in _HOLDS:
        return "none"
    return said if _HOLDS[sign](ratio, float(least)) else f"{said}: missed"


def number(value: float) -> str:
    """Three figures, or all that are before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")
