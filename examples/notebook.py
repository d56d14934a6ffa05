# Databricks notebook source
# MAGIC %md
# MAGIC # Cells, embedded with scGPT
# MAGIC
# MAGIC Quality control, embeddings, neighbours, UMAP beside PCA, gene vectors. What the numbers
# MAGIC mean: `docs/for-biologists.md`. The file is also a script:
# MAGIC
# MAGIC     python -m examples.notebook checkpoint=.local/demo/checkpoint picture=umap.png
# MAGIC     python -m examples.notebook endpoint=scgpt-serving cells=mine.h5ad labels=cell_type

# COMMAND ----------

# MAGIC %pip install scanpy umap-learn /Volumes/main/scgpt/wheels/scgpt_databricks.whl
# MAGIC %restart_python

# COMMAND ----------

import json
import sys

import anndata
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import scanpy as sc
from sklearn.neighbors import NearestNeighbors

from scgpt_databricks import embed, gene_table

given = {
    "endpoint": "",  # its name, or the URL of its invocations
    "checkpoint": "",  # or a folder: the model then runs right here (extra `engine`)
    "cells": "",  # an .h5ad; by default the PBMC cells that scanpy ships
    "labels": "bulk_labels",  # column of obs, for the colours
    "min_genes": "50",  # cells with fewer are dropped; 200 where a whole transcriptome was measured
    "out": "",  # an .h5ad to write
    "picture": "",  # a .png to write
}
if "dbutils" in globals():
    widgets = globals()["dbutils"].widgets
    for name, value in given.items():
        widgets.text(name, value or ("scgpt-serving" if name == "endpoint" else ""))
        given[name] = widgets.get(name)
else:
    mpl.use("Agg")
    given |= dict(each.split("=", 1) for each in sys.argv[1:])

# COMMAND ----------

# MAGIC %md
# MAGIC ## Cells
# MAGIC
# MAGIC Human genes by symbol, and counts: raw, normalised or log1p, never scaled. What is to be
# MAGIC sent is found by a rule, so keep the counts where they are.

# COMMAND ----------

if given["cells"]:
    adata = anndata.read_h5ad(given["cells"])
else:
    adata = sc.datasets.pbmc68k_reduced().raw.to_adata()

measured = adata.n_obs
sc.pp.filter_cells(adata, min_genes=int(given["min_genes"]))
is_mitochondrial = adata.var_names.str.upper().str.startswith("MT-")
if is_mitochondrial.any():  # a broken cell has lost the rest
    share = adata[:, is_mitochondrial].X.sum(axis=1) / adata.X.sum(axis=1)
    adata = adata[np.asarray(share).ravel() < 0.2].copy()
sc.pp.filter_genes(adata, min_cells=3)
print(f"{adata.n_obs} of {measured} cells are left, with {adata.n_vars} genes")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Embeddings
# MAGIC
# MAGIC One vector of length 1 for each cell, in `obsm["X_scGPT"]`.

# COMMAND ----------

where = (
    {"checkpoint": given["checkpoint"]} if given["checkpoint"] else {"endpoint": given["endpoint"]}
)
report = embed(adata, **where)
known = adata.obs["scgpt_matched_genes"] / (
    adata.obs["scgpt_matched_genes"] + adata.obs["scgpt_unknown_genes"]
)
print(f"model {report.model_digest[:12]}; it knows {known.median():.0%} of a cell's genes")
print(adata.obs["scgpt_status"].value_counts().to_dict())

# COMMAND ----------

# MAGIC %md
# MAGIC ## Beside principal components
# MAGIC
# MAGIC Always look at both. Where PCA separates what you ask for as well, take PCA: it is cheaper,
# MAGIC and it is about your cells alone.

# COMMAND ----------

plain = adata.copy()
if plain.X.max() > 20:  # raw counts; log1p values stay below
    sc.pp.normalize_total(plain, target_sum=1e4)
    sc.pp.log1p(plain)
sc.pp.pca(plain, n_comps=min(50, *np.subtract(plain.shape, 1)))
adata.obsm["X_pca"] = plain.obsm["X_pca"]

labels = adata.obs[given["labels"]].astype(str).to_numpy()
agreement = {}
for key in ("X_scGPT", "X_pca"):
    metric = "cosine" if key == "X_scGPT" else "euclidean"
    found = NearestNeighbors(n_neighbors=11, metric=metric).fit(adata.obsm[key])
    near = found.kneighbors(return_distance=False, n_neighbors=10)
    agreement[key] = float((labels[near] == labels[:, None]).mean())
_, counts = np.unique(labels, return_counts=True)
agreement["chance"] = float(((counts / counts.sum()) ** 2).sum())
print("share of the 10 nearest neighbours that carry a cell's own label:", agreement)

# COMMAND ----------

figure, panels = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for axes, key in zip(panels, ("X_scGPT", "X_pca"), strict=True):
    metric = "cosine" if key == "X_scGPT" else "euclidean"
    sc.pp.neighbors(adata, use_rep=key, metric=metric, n_neighbors=15, random_state=0)
    sc.tl.umap(adata, random_state=0)
    adata.obsm[f"{key}_umap"] = adata.obsm.pop("X_umap")
    for number, label in enumerate(np.unique(labels)):
        points = adata.obsm[f"{key}_umap"][labels == label]
        colour = plt.get_cmap("tab10")(number % 10)
        axes.scatter(*points.T, s=5, color=colour, label=label)
    axes.set(title=f"{key}: {agreement[key]:.2f} of neighbours agree", xticks=[], yticks=[])
panels[1].legend(bbox_to_anchor=(1, 0.5), loc="center left", frameon=False, markerscale=2)
if given["picture"]:
    figure.savefig(given["picture"], dpi=100)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Gene vectors
# MAGIC
# MAGIC The model's own table: one vector for each gene, whatever the cells. Near vectors were near
# MAGIC in training. That is a hint and no proof of a common function.

# COMMAND ----------

markers = [
    gene for gene in ("CD3D", "CD3E", "CD79A", "CD79B", "LYZ", "S100A8") if gene in adata.var_names
]
if given["checkpoint"]:
    from scgpt_databricks.model.scgpt.embedder import Embedder

    table = Embedder.load(given["checkpoint"]).embed_genes(markers)
    markers, vectors = table.genes, table.embeddings
else:
    genes = gene_table(given["endpoint"], markers)
    markers, vectors = list(genes.obs_names), np.asarray(genes.X)
unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
likeness = unit @ unit.T - 2 * np.eye(len(markers))
for gene, row in zip(markers, likeness, strict=True):
    print(f"{gene}: nearest of these is {markers[int(row.argmax())]} (cosine {row.max():.2f})")

# COMMAND ----------

if given["out"]:
    adata.write_h5ad(given["out"])
print(json.dumps({"cells": adata.n_obs, "model_digest": report.model_digest, **agreement}))
