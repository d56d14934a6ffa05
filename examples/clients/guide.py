"""The published guide's own request, in its serialisable form and with its params.

    DATABRICKS_HOST=... DATABRICKS_TOKEN=... python -m examples.clients.guide scgpt-serving FILE

FILE is an .h5ad; without it the PBMC cells of scanpy are asked about. The architecture's params
(embsize, nhead, ...) are left out: they may be sent, and must then be the checkpoint's.
"""

from __future__ import annotations

import os
import sys

import anndata
import pandas as pd
import requests

from scgpt_databricks.model.scgpt.demo import pbmc_cells

PARAMS = {
    "need_preprocess": True,
    "input_data_path": "",  # None in the guide, which MLflow refuses for a string
    "data_is_raw": False,
    "use_key": "X",
    "filter_gene_by_counts": 3,
    "filter_cell_by_counts": False,
    "normalize_total": 1e4,
    "result_normed_key": "X_normed",
    "log1p": False,
    "result_log1p_key": "X_log1p",
    "subset_hvg": 1200,
    "hvg_flavor": "cell_ranger",
    "binning": 51,
    "result_binned_key": "X_binned",
}


def main() -> None:
    name, *files = sys.argv[1:]
    adata = anndata.read_h5ad(files[0]) if files else pbmc_cells()
    adata = adata[:50, :100]
    frame = pd.DataFrame(
        {
            "adata_sparsematrix": [adata.X.toarray().tolist()],
            "adata_obs": [adata.obs.to_json(orient="split")],
            "adata_var": [adata.var.to_json(orient="split")],
        }
    )
    answer = requests.post(
        f"{os.environ['DATABRICKS_HOST'].rstrip('/')}/serving-endpoints/{name}/invocations",
        json={"dataframe_split": frame.to_dict(orient="split", index=False), "params": PARAMS},
        headers={"Authorization": f"Bearer {os.environ['DATABRICKS_TOKEN']}"},
        timeout=300,
    )
    if not answer.ok:
        raise SystemExit(f"{answer.status_code}: {answer.text}")
    vectors = answer.json()["predictions"][0]["gene_embeddings"]
    for gene, vector in list(vectors.items())[:3]:
        print(gene, len(vector))
    print(f"{len(vectors)} genes")


if __name__ == "__main__":
    main()
