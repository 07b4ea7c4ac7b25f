"""From a task file to a validated, frozen Task: the file, the sample overlay, the overrides; all errors at once."""

import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from ruamel.yaml import YAML

from medvid.config.components import BASES, KINDS, generator_options_of, options_of
from medvid.config.evaluation import EVALUATION_OPTIONS, EvaluationOptions
from medvid.config.explain import as_written, validate
from medvid.config.layers import Layers, Override, read_overrides
from medvid.config.layout import plural
from medvid.config.options import BackboneOptions, Options
from medvid.config.sample import SampleOverlay, sample_folder
from medvid.config.task import AppliedSample, Task
from medvid.config.variables import with_references
from medvid.config.yaml import KeyPath, Problem, parse_file
from medvid.errors import ConfigError, MedvidError, PluginError
from medvid.plugin.host import Host, Kind
from medvid.plugin.loading import describe_failure
from medvid.plugin.specs import BackboneSpec, ComponentSpec, DatasetSpec, HeadSpec, TaskKind

_Model = TypeVar("_Model", bound=BaseModel)


def load_task(
    path: Path, host: Host, *, overrides: Mapping[str, object] | Sequence[str] = (), sample: bool = False
) -> Task:
    """Read, merge and validate a task file; nothing heavy is imported.

    Relative paths in it are relative to the working directory.

    Args:
        path: a task file, or the resolved.yaml of a run.
        host: has the components that the task names.
        overrides: ``{"train.steps": 100}`` or ``["train.steps=100"]``, on top of everything else.
        sample: use the generated sample, even where the data set is there.

    Raises:
        ConfigError: all that is wrong with file and overrides, each with its place.
        PluginError: a component comes from a plugin that is broken, refused, not enabled or clashes with another.
    """
    return _Loader(path, host, read_overrides(overrides)).load(sample=sample)


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


def data_problem(task: Task) -> str | None:
    """Why the task's data set cannot be opened, or None; that a sample is not generated yet is no problem."""
    root = task.dataset.root
    if task.sample or root.is_dir():
        return None
    problem = "is not a folder" if root.exists() else "does not exist"
    return f"dataset.root, the folder of {task.dataset.name!r}, {problem}: {root}"


class _Loader:
    """One task file on its way to a Task. Problems are collected until everything was looked at."""

    def __init__(self, path: Path, host: Host, overrides: list[Override]) -> None:
        self.path, self.host, self.overrides = path, host, overrides
        document = parse_file(_read(path), str(path))
        self.problems = list(document.problems)
        self.hints: list[str] = []
        self.layers = Layers()
        self.layers.put(document.data, document.places)
        self._put_overrides()

    def load(self, *, sample: bool) -> Task:
        fresh = self._resolve_sample(wanted=sample)
        specs = {kind: self._spec(kind, self.layers.data.get(kind, {}), (kind,)) for kind in KINDS}
        blocks = {kind: self._component(spec) if spec else None for kind, spec in specs.items()}
        values: dict[str, object] = dict(self.layers.data)
        values |= {kind: options or BASES[kind].model_construct() for kind, options in blocks.items()}
        values["evaluation"] = self._evaluation(specs["head"])
        generate = self._generator_options(specs["dataset"])
        task = self._validate(Task, values)
        if task is None or self.problems:
            raise self._error()
        return _finish(task, generate, fresh=fresh)

    def _put_overrides(self) -> None:
        for override in self.overrides:
            if self.layers.override(override):
                key = ".".join(override.path)
                self.hints.append(
                    f"--set {key} gives the whole block; to change an option in it: --set {key}.KEY=VALUE"
                )

    def _resolve_sample(self, *, wanted: bool) -> bool:
        """Decide whether the sample is used, and apply the overlay: leaves what a resolved task has under `sample`.

        Returns:
            Whether the overlay was applied; False also for a resolved task, whose decision is kept.
        """
        data = self.layers.data
        block = data.get("sample", {})
        if isinstance(block, Mapping) and "applied" in block:
            if any(self.layers.place(("dataset", "root")) == override.label for override in self.overrides):
                data["sample"] = None  # pointed at another folder, it is no longer on the generated one
            return False
        overlay = self._validate(SampleOverlay, block or {}, ("sample",)) or SampleOverlay()
        decided_against = "sample" in data and block is None
        if not wanted and (decided_against or not self._falls_back()):
            data["sample"] = None
            return False
        changes = overlay.model_dump(exclude={"generate"}, exclude_unset=True)
        self.layers.put(changes, {path[1:]: place for path, place in self.layers.places.items() if path[0] == "sample"})
        self._put_overrides()
        data = self.layers.data
        data["sample"] = {"applied": True, "generate": overlay.generate}
        if isinstance(data.get("dataset"), Mapping):
            data["dataset"] = {**data["dataset"], "root": "."}  # until the generated folder's name is known
        return True

    def _falls_back(self) -> bool:
        dataset = self.layers.data.get("dataset")
        if not isinstance(dataset, Mapping) or dataset.get("if_missing") != "sample":
            return False
        root = dataset.get("root")
        return isinstance(root, str | Path) and not Path(root).expanduser().exists()

    def _spec(self, kind: Kind, block: Any, path: KeyPath) -> ComponentSpec | None:
        """The component that a block names."""
        if not isinstance(block, Mapping):
            self._report(path, f"should be a block of options with a name, got {as_written(block)}")
        elif not isinstance(block.get("name"), str):
            names = ", ".join(spec.name for spec in self.host.specs(kind))
            self._report((*path, "name"), f"should name a {kind}, one of: {names}")
        else:
            try:
                return self.host.spec(kind, block["name"])
            except ConfigError as error:
                self._report((*path, "name"), str(error), error.hint)
            except PluginError as error:
                raise PluginError(self._line((*path, "name"), str(error)), hint=error.hint) from error
        return None

    def _component(self, spec: ComponentSpec) -> Options | None:
        """The validated block of a component."""
        return self._block(spec, self.layers.data[spec.kind], (spec.kind,))

    def _block(self, spec: ComponentSpec, block: Any, path: KeyPath) -> Options | None:
        """The validated block of a component; of one that runs another inside, with that one's own block validated."""
        inner = spec.inner if isinstance(spec, BackboneSpec) else ""
        if inner and isinstance(block.get(inner), Mapping):
            inner_spec = self._spec("backbone", block[inner], (*path, inner))
            options = self._block(inner_spec, block[inner], (*path, inner)) if inner_spec else None
            if isinstance(inner_spec, BackboneSpec) and "image" not in inner_spec.layouts:
                takes = plural(inner_spec.layouts)
                self._report((*path, inner, "name"), f"should be a backbone of images; {inner_spec.name} takes {takes}")
            block = {**block, inner: options or BackboneOptions.model_construct(name="")}
        try:
            return self._validate(options_of(self.host, spec), block, path)
        except MedvidError:
            raise
        except Exception as error:
            owner = self.host.owner(spec).label
            raise PluginError(f"{owner} failed to check the options: {describe_failure(error)}") from error

    def _evaluation(self, head: ComponentSpec | None) -> EvaluationOptions:
        task: TaskKind = head.task if isinstance(head, HeadSpec) else "segmentation"
        model = EVALUATION_OPTIONS[task]
        return self._validate(model, self.layers.data.get("evaluation", {}), ("evaluation",)) or model()

    def _generator_options(self, dataset: ComponentSpec | None) -> dict[str, Any]:
        """Options of the data set's generator with their defaults, as JSON values; empty where no sample is used."""
        sample = self.layers.data["sample"]
        if not isinstance(dataset, DatasetSpec) or sample is None:
            return {}
        if not dataset.sample:
            self._report(("dataset", "name"), f"there is no sample of {dataset.name!r}: it has no generator")
            return {}
        model = generator_options_of(self.host, dataset)
        options = self._validate(model, sample.get("generate", {}), ("sample", "generate"))
        return options.model_dump(mode="json") if options else {}

    def _validate(self, model: type[_Model], block: object, prefix: KeyPath = ()) -> _Model | None:
        options, problems = validate(model, block, prefix)
        self.problems += problems
        return options

    def _report(self, path: KeyPath, message: str, hint: str = "") -> None:
        self.problems.append(Problem(path, message))
        self.hints += [hint] if hint else []

    def _line(self, path: KeyPath, message: str, place: str = "") -> str:
        place = place or self.layers.place(path) or f"{self.path}:1:1"
        return ": ".join([place, *([".".join(map(str, path))] if path else []), message])

    def _error(self) -> ConfigError:
        # What is wrong with a value in the file's text makes its validation fail too: once is enough.
        broken = [problem.path for problem in self.problems if problem.place]
        lines = [
            self._line(problem.path, problem.message, problem.place)
            for problem in self.problems
            if problem.place or not any(problem.path[: len(path)] == path for path in broken)
        ]
        lines.sort(key=_position)
        message = lines[0] if len(lines) == 1 else f"{self.path}: {len(lines)} problems\n  " + "\n  ".join(lines)
        return ConfigError(message, hint="\n".join(dict.fromkeys(self.hints)))


def _position(line: str) -> tuple[int, ...]:
    """Where a message belongs: in the order of the file, overrides last."""
    place = re.match(r".*?:(\d+):(\d+): ", line)
    return (0, int(place[1]), int(place[2])) if place and not line.startswith("--set ") else (1,)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the task file {path} cannot be read: {error.strerror}", hint="give a .yaml file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a task file: it is not UTF-8 text", hint="give a .yaml file") from None


def _finish(task: Task, generate: dict[str, Any], *, fresh: bool) -> Task:
    """Fill in what only a whole task tells: the folder of the sample, and the user's home in paths."""
    dataset = task.dataset
    root = sample_folder(dataset, generate) if fresh else dataset.root.expanduser()
    changes = {
        "output": task.output.expanduser(),
        "dataset": dataset.model_copy(update={"root": root, "cache": dataset.cache.expanduser()}),
        "backbone": _with_weights_at(task.backbone, Path.expanduser),
        "sample": AppliedSample(applied=True, generate=generate) if task.sample else None,
    }
    return task.model_copy(update=changes)


def with_absolute_paths(task: Task) -> Task:
    """The same task wherever it is loaded: as it is kept in a run folder, which may be used from anywhere."""
    dataset = task.dataset
    changes = {
        "output": task.output.absolute(),
        "dataset": dataset.model_copy(update={"root": dataset.root.absolute(), "cache": dataset.cache.absolute()}),
        "backbone": _with_weights_at(task.backbone, Path.absolute),
    }
    return task.model_copy(update=changes)


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
