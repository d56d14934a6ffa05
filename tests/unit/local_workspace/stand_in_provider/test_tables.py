"""The tables against the installed bindings, and against the provider's schema if it is there."""

from __future__ import annotations

import importlib.util
import json
import re
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.local_workspace.stand_in_provider.rpc import PROVIDER, RESOURCES
from scgpt_databricks.local_workspace.stand_in_provider.schema import Block, table, to_protobuf
from tests.unit.local_workspace.stand_in_provider.recordings import FOLDER

REFERENCE = FOLDER.parent / "provider-schema.json"
# Blocks that the tables leave out on purpose: models of other vendors, channels of other vendors,
# what else a job's cluster may have, jobs with tasks of other products.
LEFT_OUT = re.compile(
    r"model_serving\.config\.served_entities\.external_model\.\w+_config"
    r"|notification_destination\.config\.(microsoft_teams|pagerduty)"
    r"|job\.(task\.)?(new_cluster|(dbt|pipeline|run_job|spark_jar|spark_python|spark_submit)_task)"
    r"|job\.(deployment|git_source|library|provider_config|trigger|(notebook|python_wheel)_task)"
    r"|job\.job_cluster\.new_cluster\.(\w+_attributes|autoscale|cluster_log_conf|cluster_mount_info"
    r"|docker_image|init_scripts|library|provider_config|workload_type)"
    r"|job\.task\.library\.(cran|maven|provider_config)"
    r"|job\.task\.(clean_rooms_notebook|condition|dashboard|dbt_cloud|dbt_platform|for_each"
    r"|gen_ai_compute|power_bi|sql)_task"
)
# Type in our tables -> how the bindings name it.
BINDING_TYPES = {
    "string": ("simple", "string"),
    "number": ("simple", "number"),
    "bool": ("simple", "boolean"),
    "map": ("map", "stringMap"),
    "strings": ("list", "stringList"),
    "string_set": ("set", "stringList"),
    "object": ("list", ""),
    "objects": ("list", ""),
    "set": ("set", ""),
    "timeouts": ("struct", ""),
    "struct": ("struct", ""),
    "struct_set": ("set", ""),
}


@dataclass(frozen=True)
class Bound:
    """One attribute or block as the bindings have it."""

    kind: str
    storage: str
    is_block: bool
    optional: bool


class Bindings:
    """The JavaScript inside the bindings.

    Per struct it has a description of what can be set. What is optional has a method to reset it,
    what only the server sets has a comment; optional and computed together look like optional.
    """

    def __init__(self, module: str) -> None:
        self._source = _javascript(module)

    def fields(self, struct: str) -> dict[str, Bound]:
        """Fields of a resource class (``ModelServing``) or of a nested struct."""
        methods = self._class(struct)
        return {
            name: Bound(kind, storage, block == "true", f" reset{_camel(name)}()" in methods)
            for name, block, kind, storage in re.findall(
                r'(\w+): \{\s+value: .*,\s+isBlock: (\w+),\s+type: "(\w+)",\s+'
                r'storageClassType: "(\w+)"',
                self._description(struct),
            )
        }

    def computed_only(self, struct: str) -> set[str]:
        """Fields that nobody can set, which the descriptions leave out."""
        comment = r"// (\w+) - computed: true, optional: false"
        return {*re.findall(comment, self._class(struct))}

    def _description(self, struct: str) -> str:
        function = struct[0].lower() + struct[1:]
        start = self._source.find(f"function {function}ToHclTerraform(")
        if start < 0:
            start = self._source.index("synthesizeHclAttributes()")
        return self._source[start : self._source.index("remove undefined", start)]

    def _class(self, struct: str) -> str:
        start = self._source.find(f"class {struct}OutputReference ")
        if start < 0:
            start = self._source.index(f"class {struct} extends")
        end = self._source.find("\nclass ", start + 1)
        return self._source[start : end if end > 0 else None]


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


@cache
def _javascript(module: str) -> str:
    specification = importlib.util.find_spec("cdktf_cdktf_provider_databricks")
    assert specification is not None
    assert specification.origin is not None
    (package,) = Path(specification.origin).parent.glob("_jsii/*.tgz")
    with tarfile.open(package) as archive:
        names = [name for name in archive.getnames() if name.startswith(f"package/lib/{module}/")]
        files = [archive.extractfile(name) for name in names if name.endswith(".js")]
        return "".join(file.read().decode() for file in files if file)


def compare(block: Block, bindings: Bindings, struct: str, path: str) -> list[str]:
    """Each difference between a table and the bindings."""
    bound, found = bindings.fields(struct), list[str]()
    ours = {**block.attributes, **block.blocks}
    expected = {*bound} | bindings.computed_only(struct)
    for name in sorted(expected ^ {*ours}):
        if not LEFT_OUT.fullmatch(f"{path}.{name}"):
            found.append(
                f"{path}.{name} is in {'the bindings' if name in expected else 'ours'} only"
            )
    for name in sorted({*ours} & {*bound}):
        found += _compare_field(block, name, bound[name], f"{path}.{name}")
    for name, nested in block.blocks.items():
        if nested.block == Block():  # for `timeouts` without any, the bindings have no struct
            continue
        computed_only = name not in bound
        inner = struct + _camel(name) if computed_only else bound[name].storage.removesuffix("List")
        found += compare(nested.block, bindings, inner, f"{path}.{name}")
    return found


def _compare_field(block: Block, name: str, bound: Bound, path: str) -> list[str]:
    if name in block.blocks:
        kind, _ = BINDING_TYPES[block.blocks[name].mode]
        return [] if bound.is_block and bound.kind == kind else [f"{path} is {bound}"]
    attribute = block.attributes[name]
    right_type = (bound.kind, bound.storage) == BINDING_TYPES[attribute.type]
    if not right_type or bound.optional != ("optional" in attribute.words):
        return [f"{path} is {attribute.type} {sorted(attribute.words)}, in the bindings {bound}"]
    return []


@pytest.mark.parametrize("name", RESOURCES)
def test_tables_equal_the_bindings(name: str) -> None:
    short = name.removeprefix("databricks_")
    bindings = Bindings(short.replace("_", "-"))
    struct = _camel(short)
    assert compare(RESOURCES[name].table, bindings, struct, short) == []


def test_the_provider_block_is_part_of_the_real_one() -> None:
    bound = Bindings("provider").fields("DatabricksProvider")
    found = list[str]()
    for name in PROVIDER.attributes:
        found += _compare_field(PROVIDER, name, bound[name], name)
    assert found == []


@pytest.mark.skipif(not REFERENCE.is_file(), reason=f"no {REFERENCE}")
@pytest.mark.parametrize("name", RESOURCES)
def test_tables_equal_the_recorded_schema(name: str) -> None:
    reference = json.loads(REFERENCE.read_text())["resource_schemas"][name]
    ours = _as_reference(to_protobuf(RESOURCES[name].table).block)
    assert ours == _plain(reference["block"], name.removeprefix("databricks_"))
    assert RESOURCES[name].version == reference["version"]


def _plain(block: dict[str, Any], path: str) -> dict[str, Any]:
    """The reference without what the tables do not say, or leave out."""
    plain = {
        name: {key: value for key, value in attribute.items() if key != "deprecated"}
        for name, attribute in block.get("attributes", {}).items()
    }
    nested = {
        name: {**each, "block": _plain(each["block"], f"{path}.{name}")}
        for name, each in block.get("block_types", {}).items()
        if not LEFT_OUT.fullmatch(f"{path}.{name}")
    }
    return {"attributes": plain, **({"block_types": nested} if nested else {})}


def _as_reference(block: Any) -> dict[str, Any]:
    """A table in the form of `terraform providers schema -json`."""
    modes = {1: "single", 2: "list", 3: "set"}
    result: dict[str, Any] = {"attributes": _attributes(block.attributes)}
    if block.block_types:
        result["block_types"] = {
            each.type_name: {
                "nesting_mode": modes[each.nesting],
                **{k: v for k in ("min_items", "max_items") if (v := getattr(each, k))},
                "block": _as_reference(each.block),
            }
            for each in block.block_types
        }
    return result


def _attributes(attributes: Any) -> dict[str, Any]:
    modes = {1: "single", 3: "set"}
    flags = ("required", "optional", "computed", "sensitive")
    return {
        each.name: {
            **(
                {
                    "nested_type": {
                        "attributes": _attributes(each.nested_type.attributes),
                        "nesting_mode": modes[each.nested_type.nesting],
                    }
                }
                if each.HasField("nested_type")
                else {"type": json.loads(each.type)}
            ),
            **{flag: True for flag in flags if getattr(each, flag)},
        }
        for each in attributes
    }


def test_a_table_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="'text' is no type"):
        table("name: text required")
    with pytest.raises(ValueError, match="name: unknown words \\['requird'\\]"):
        table("name: string requird")
