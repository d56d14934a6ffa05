"""Where a GPU is expected, torch's silence about the processor is broken, with the cause.

No GPU is here: torch and the driver are played, at the calls that ask them.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from scipy import sparse

from scgpt_databricks.infra.settings.endpoint import GPU_VARIABLE
from scgpt_databricks.model.errors import EngineError
from scgpt_databricks.model.pyfunc import ScgptModel
from scgpt_databricks.model.scgpt import gpu
from scgpt_databricks.model.scgpt.batching import is_out_of_memory
from scgpt_databricks.model.scgpt.network import Network
from scgpt_databricks.model.wire.codec import encode_cells
from tests.unit.model.reference import GENES

CUDA = torch.device("cuda")


class Machine:
    """The answers of a machine's driver and of torch's build."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.has(build="12.6", driver=(12, 4), devices=1, capability=(8, 6))

    def has(
        self,
        *,
        build: str | None = "12.6",
        driver: tuple[int, int] | None = (12, 4),
        devices: int = 0,
        capability: tuple[int, int] = (8, 6),
        code: tuple[str, ...] = ("sm_75", "sm_80", "sm_86", "sm_90"),
    ) -> None:
        put = self._patch.setattr
        put(torch, "__version__", "2.7.1+cu126")
        put(torch.version, "cuda", build)
        put(gpu, "driver_cuda", lambda: driver)
        put(gpu, "driver_version", lambda: "535.161.08" if driver else None)
        put(torch.cuda, "is_available", lambda: devices > 0)
        put(torch.cuda, "device_count", lambda: devices)
        put(torch.cuda, "get_device_capability", lambda device=None: capability)
        put(torch.cuda, "get_device_name", lambda device=None: "NVIDIA A10G")
        put(torch.cuda, "get_arch_list", lambda: [*code])


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize(
    ("has", "said"),
    [
        ({"build": None}, "torch 2.7.1+cu126 is built without CUDA"),
        ({"driver": None}, "there is no NVIDIA driver here (torch 2.7.1+cu126, built for CUDA 12"),
        (
            {"build": "13.0", "driver": (12, 4)},
            "has CUDA 12.4 and is too old for torch 2.7.1+cu126, built for CUDA 13.0: serve with",
        ),
        ({"driver": (12, 4)}, "has CUDA 12.4, but shows no device to torch 2.7.1+cu126"),
        (
            {"devices": 1, "capability": (12, 0)},
            "has no code for NVIDIA A10G (compute capability 12.0), only sm_75, sm_80, sm_86",
        ),
        ({"devices": 1, "capability": (7, 0)}, "compute capability 7.0"),
        ({"devices": 1, "code": ("sm_100a", "odd")}, "only sm_100a, odd"),
    ],
)
def test_the_cause_names_both_versions(machine: Machine, has: dict[str, Any], said: str) -> None:
    machine.has(**has)
    with pytest.raises(EngineError, match=re.escape(said)) as refusal:
        gpu.require(CUDA)
    assert refusal.value.code == "no_gpu"
    assert "Nothing is computed on the processor instead" in refusal.value.message


@pytest.mark.parametrize(
    ("capability", "code"),
    [((7, 5), ("sm_75",)), ((8, 9), ("sm_86",)), ((12, 1), ("sm_90", "compute_90"))],
)
def test_a_gpu_that_runs_the_build_is_used(
    machine: Machine, capability: tuple[int, int], code: tuple[str, ...]
) -> None:
    machine.has(devices=1, capability=capability, code=code)
    gpu.require(CUDA)
    assert gpu.why_none() is None


def test_a_hidden_device_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES is ''" in str(gpu.why_none())


def test_a_processor_is_refused_beside_a_gpu(machine: Machine) -> None:
    with pytest.raises(EngineError, match="there is one, but device is cpu"):
        gpu.require(torch.device("cpu"))


def test_the_driver_is_asked_for_its_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def library(name: str) -> Any:
        def version(number: Any) -> int:
            number._obj.value = 12040
            return 0

        return SimpleNamespace(cuDriverGetVersion=version)

    monkeypatch.setattr(gpu.ctypes, "CDLL", library)
    assert gpu.driver_cuda() == (12, 4)
    module = tmp_path / "version"
    module.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Sat Feb 24\n")
    monkeypatch.setattr(gpu, "_MODULE", module)
    assert gpu.driver_version() == "535.161.08"


def test_no_driver_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "_LIBRARY", "libnothing.so.0")
    monkeypatch.setattr(gpu, "_MODULE", tmp_path / "none")
    assert (gpu.driver_cuda(), gpu.driver_version()) == (None, None)


def test_a_served_model_does_not_start_on_the_processor(
    checkpoint: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has(build="13.0")
    where: Any = SimpleNamespace(artifacts={"checkpoint": str(checkpoint)}, model_config={})
    monkeypatch.setenv(gpu.EXPECTS_GPU, "true")
    with pytest.raises(EngineError, match="is too old for torch 2"):
        ScgptModel().load_context(where)
    monkeypatch.setenv(gpu.EXPECTS_GPU, "yes")
    with pytest.raises(EngineError, match="'yes'; it must be true or false"):
        ScgptModel().load_context(where)
    monkeypatch.setenv(gpu.EXPECTS_GPU, "false")
    ScgptModel().load_context(where)


def test_infra_and_model_mean_one_variable() -> None:
    assert gpu.EXPECTS_GPU == GPU_VARIABLE


def test_the_log_tells_device_type_and_torch(machine: Machine) -> None:
    words = " (NVIDIA A10G, compute capability 8.6, driver 535.161.08)"
    assert gpu.description(CUDA) == words
    assert gpu.description(torch.device("cpu")) == ""


SICK = RuntimeError("CUDA error: an illegal memory access was encountered\nmore words")


@pytest.fixture
def served(checkpoint: Path) -> ScgptModel:
    model = ScgptModel()
    model.load_context(
        SimpleNamespace(artifacts={"checkpoint": str(checkpoint)}, model_config={"device": "cpu"})  # type: ignore[arg-type]
    )
    return model


def ask(model: ScgptModel) -> pd.DataFrame:
    counts = sparse.csr_matrix(np.ones((1, 20), np.float32))
    rows = pd.DataFrame({"packed": [encode_cells(counts, GENES[:20])]})
    return model.predict(SimpleNamespace(), rows, {"task": "cell_embeddings"})  # type: ignore[arg-type]


def fail_once(monkeypatch: pytest.MonkeyPatch, error: RuntimeError) -> None:
    original, left = Network.cell_embeddings, [error]

    def sick(self: Network, *args: Any) -> torch.Tensor:
        if left:
            raise left.pop()
        return original(self, *args)

    monkeypatch.setattr(Network, "cell_embeddings", sick)


def test_a_gpu_that_fails_in_a_request_answers_the_next(
    served: ScgptModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ask(served)
    fail_once(monkeypatch, SICK)
    with pytest.raises(MlflowException, match=r"\[gpu_failed\].*illegal memory.*Send it again"):
        ask(served)
    assert ask(served).equals(before)


def test_a_gpu_that_is_lost_ends_the_process_of_an_endpoint(
    served: ScgptModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(gpu, "still_works", lambda device: False)
    monkeypatch.setattr(gpu, "end_process", lambda: ended.append(True))
    for expected in ("false", "true"):
        monkeypatch.setenv(gpu.EXPECTS_GPU, expected)
        fail_once(monkeypatch, SICK)
        with pytest.raises(MlflowException, match=r"\[gpu_lost\].*computes no more"):
            ask(served)
        assert bool(ended) == (expected == "true"), "a notebook is not ended"


def test_other_errors_are_not_taken_for_the_gpus(
    served: ScgptModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(monkeypatch, RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        ask(served)
    assert gpu.still_works(torch.device("cpu"))
    assert not gpu.still_works(torch.device("cuda"))
    for words in ("cuDNN error: EXECUTION_FAILED", "x CUBLAS_STATUS_INTERNAL_ERROR"):
        assert gpu.has_failed(RuntimeError(words))


@pytest.mark.parametrize("words", ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when"])
def test_a_library_without_room_is_a_lack_of_memory(words: str) -> None:
    assert is_out_of_memory(RuntimeError(words))
