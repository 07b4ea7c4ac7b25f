"""From a task file to a validated, frozen Task: the file, the demo overlay, the overrides; all errors at once."""

from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from ruamel.yaml import YAML

from medvid.config.components import generator_options_of
from medvid.config.demo import DemoOverlay, demo_folder
from medvid.config.evaluation import EVALUATION_OPTIONS, EvaluationOptions
from medvid.config.explain import validate
from medvid.config.layers import Layers, Override, Overrides, read_overrides
from medvid.config.options import BackboneOptions, DatasetOptions, FoldOptions
from medvid.config.refusal import error_of, read_text
from medvid.config.task import AppliedDemo, Task
from medvid.config.yaml import KeyPath, Problem, parse_file
from medvid.plugin.host import Host
from medvid.plugin.specs import ComponentSpec, DatasetSpec, HeadSpec
from medvid.redaction import with_references

_Model = TypeVar("_Model", bound=BaseModel)
_Spec = TypeVar("_Spec", bound=ComponentSpec)


def load_task(path: Path, host: Host, *, overrides: Overrides = (), demo: bool = False) -> Task:
    """Read, merge and validate a task file; nothing heavy is imported.

    Relative paths in it are relative to the working directory.

    Args:
        path: a task file, or the resolved.yaml of a run.
        host: has the components that the task names.
        overrides: ``{"train.steps": 100}`` or ``["train.steps=100"]``, on top of everything else; see `Overrides`.
        demo: use the demo data, even where the data set is there.

    Raises:
        ConfigError: all that is wrong with file and overrides, each with its place.
        PluginError: a component comes from a plugin that is broken, refused, not enabled or clashes with another.
    """
    return _Loader(path, host, read_overrides(overrides)).load(demo=demo)


def dump_task(task: Task) -> str:
    """A task as YAML that `load_task` reads back to an equal task, without looking again for the real data set."""
    return dump_yaml(task.model_dump(mode="json"))


def dump_yaml(block: Mapping[str, Any]) -> str:
    """JSON values as YAML that is read back to the same values."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 120
    stream = StringIO()
    yaml.dump(_without_variables(dict(block)), stream)
    return stream.getvalue()


class _Loader:
    """One task file on its way to a Task. Problems are collected until everything was looked at."""

    def __init__(self, path: Path, host: Host, overrides: list[Override]) -> None:
        self.path, self.host, self.overrides = path, host, overrides
        document = parse_file(read_text(path, "task file"), str(path))
        self.problems = list(document.problems)
        self.hints: list[str] = []
        self.layers = Layers()
        self.layers.put(document.data, document.places)
        self._put_overrides()

    def load(self, *, demo: bool) -> Task:
        fresh = self._resolve_demo(wanted=demo)
        components: dict[str, object] = {"dataset": {}, "backbone": {}, "head": {}}  # what they lack says more
        task = self._validate(Task, components | self.layers.data | {"evaluation": self._evaluation()})
        generate = self._generator_options()
        if task is None or self.problems:
            raise error_of(self.path, self.layers, self.problems, self.hints)
        return _finish(task, generate, fresh=fresh)

    def _put_overrides(self) -> None:
        for override in self.overrides:
            if self.layers.override(override):
                key = ".".join(override.path)
                self.hints.append(
                    f"--set {key} gives the whole block; to change an option in it: --set {key}.KEY=VALUE"
                )

    def _resolve_demo(self, *, wanted: bool) -> bool:
        """Decide whether the demo data are used, and apply the overlay: leaves what a resolved task has under `demo`.

        Returns:
            Whether the overlay was applied; False also for a resolved task, whose decision is kept.
        """
        data = self.layers.data
        block = data.get("demo", {})
        if isinstance(block, Mapping) and "applied" in block:
            if any(self.layers.place(("dataset", "root")) == override.label for override in self.overrides):
                data["demo"] = None  # pointed at another folder, it is no longer on the generated one
            return False
        overlay = self._validate(DemoOverlay, block or {}, ("demo",)) or DemoOverlay()
        decided_against = "demo" in data and block is None
        if not wanted and (decided_against or not self._falls_back()):
            data["demo"] = None
            return False
        changes = overlay.model_dump(exclude={"generate"}, exclude_unset=True)
        self.layers.put(changes, {path[1:]: place for path, place in self.layers.places.items() if path[0] == "demo"})
        self._put_overrides()
        data = self.layers.data
        data["demo"] = {"applied": True, "generate": overlay.generate}
        if isinstance(data.get("dataset"), Mapping):
            data["dataset"] = {**data["dataset"], "root": "."}  # until the generated folder's name is known
        return True

    def _falls_back(self) -> bool:
        dataset = self.layers.data.get("dataset")
        if not isinstance(dataset, Mapping) or dataset.get("if_missing") != "demo":
            return False
        root = dataset.get("root")
        return isinstance(root, str | Path) and not Path(root).expanduser().exists()

    def _named(self, kind: type[_Spec]) -> _Spec | None:
        """The component that the block of a kind names, if there is one; what is wrong with it is said elsewhere."""
        block = self.layers.data.get(kind.kind)
        name = block.get("name") if isinstance(block, Mapping) else block
        return next((spec for spec in self.host.specs(kind) if spec.name == name), None)

    def _evaluation(self) -> EvaluationOptions:
        head = self._named(HeadSpec)
        model = EVALUATION_OPTIONS[head.where if head else "voxel"]
        return self._validate(model, self.layers.data.get("evaluation", {}), ("evaluation",)) or model()

    def _generator_options(self) -> dict[str, Any]:
        """Options of the data set's generator with their defaults, as JSON values; empty where the data are real."""
        dataset, demo = self._named(DatasetSpec), self.layers.data["demo"]
        if dataset is None or demo is None:
            return {}
        if not dataset.demo:
            message = f"data set {dataset.name!r} has no demo data: it has no generator"
            self.problems.append(Problem(("dataset", "name"), message))
            return {}
        model = generator_options_of(self.host, dataset)
        options = self._validate(model, demo.get("generate", {}), ("demo", "generate"))
        return options.model_dump(mode="json") if options else {}

    def _validate(self, model: type[_Model], block: object, prefix: KeyPath = ()) -> _Model | None:
        options, problems = validate(model, block, prefix, host=self.host)
        self.problems += problems
        return options


def _finish(task: Task, generate: dict[str, Any], *, fresh: bool) -> Task:
    """Fill in what only a whole task tells: the folder of the demo data, and the user's home in paths."""
    dataset = task.dataset
    root = demo_folder(dataset, generate) if fresh else dataset.root.expanduser()
    changes = {
        "output": task.output.expanduser(),
        "dataset": _placed(dataset, Path.expanduser).model_copy(update={"root": root}),
        "backbone": _with_weights_at(task.backbone, Path.expanduser),
        "demo": AppliedDemo(applied=True, generate=generate) if task.demo else None,
    }
    return task.model_copy(update=changes)


def with_absolute_paths(task: Task) -> Task:
    """The same task wherever it is loaded: as it is kept in a run folder, which may be used from anywhere."""
    changes = {
        "output": task.output.absolute(),
        "dataset": _placed(task.dataset, Path.absolute),
        "backbone": _with_weights_at(task.backbone, Path.absolute),
    }
    return task.model_copy(update=changes)


def _placed(dataset: DatasetOptions, place: Callable[[Path], Path]) -> DatasetOptions:
    """The same options with other paths."""
    changes: dict[str, Any] = {"root": place(dataset.root), "cache": place(dataset.cache)}
    if isinstance(dataset.fold, FoldOptions):
        changes["fold"] = dataset.fold.model_copy(update={"file": place(dataset.fold.file)})
    return dataset.model_copy(update=changes)


def _with_weights_at(backbone: BackboneOptions, place: Callable[[Path], Path]) -> BackboneOptions:
    """The same options with another path of the published weights, also of those of a backbone inside."""
    changes: dict[str, Any] = {
        name: _with_weights_at(value, place) for name, value in backbone if isinstance(value, BackboneOptions)
    }
    if weights := backbone.weights:
        changes["weights"] = weights.model_copy(update={"path": place(weights.path)})
    return backbone.model_copy(update=changes)


def _without_variables(value: Any) -> Any:
    """Protect text from being taken for a variable when it is read back; secrets become variables."""
    match value:
        case str():
            return with_references(value.replace("${", "$${"))
        case dict():
            return {key: _without_variables(inner) for key, inner in value.items()}
        case list():
            return [_without_variables(inner) for inner in value]
    return value
