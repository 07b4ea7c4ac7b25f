"""Protocols that commands are given."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from medvid.errors import ConfigError
from medvid.plugin.specs import What, Where

if TYPE_CHECKING:
    from medvid.config.options import ProtocolOptions
    from medvid.evaluation.protocols import Protocol
    from medvid.plugin.host import Host
    from medvid.plugin.info import TargetInfo


def protocol_options(
    host: "Host", protocol: str, where: Where, what: What, tolerance: float | None = None
) -> "ProtocolOptions":
    """The options of the protocol that --protocol names, or gives as a block.

    Args:
        host: the plugins.
        protocol: what was given.
        where: what is scored.
        what: likewise.
        tolerance: of the option of that name, which is an option of its own.

    Raises:
        ConfigError: there is no such protocol for this, or an option is wrong.
    """
    from medvid.config.named import Named
    from medvid.config.options import ProtocolOptions
    from medvid.config.yaml import parse_value

    block = parse_value(protocol, "--protocol")
    block = {"name": block} if isinstance(block, str) else block
    if tolerance is not None and isinstance(block, Mapping):
        block = {**block, "tolerance": tolerance}
    options, problems = Named("protocol", where=where, what=what).read(host, block)
    if options is None:
        problem = problems[0]
        hint = problem.cause.hint if problem.cause else ""
        raise ConfigError(f"--protocol {protocol}: {'.'.join(map(str, problem.path))}: {problem.message}", hint=hint)
    return cast(ProtocolOptions, options)


def build_protocol(host: "Host", options: "ProtocolOptions", target: "TargetInfo") -> "Protocol":
    """The protocol for a target.

    Raises:
        ConfigError: it does not score it.
    """
    try:
        options.check_target(target)
    except ValueError as error:
        raise ConfigError(f"--protocol {options.name}: {error}") from None
    return cast("Protocol", host.build(options, target))
