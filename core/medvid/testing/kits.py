"""The conformance kit of each kind of component: what its components are tried as, and the checks in their order."""

from dataclasses import dataclass

from medvid.testing.backbone_checks import BACKBONE_CHECKS
from medvid.testing.backbone_subject import BackboneSubject
from medvid.testing.case_checks import CASE_CHECKS
from medvid.testing.check import Check, Subject
from medvid.testing.dataset_checks import DATASET_CHECKS
from medvid.testing.dataset_subject import DatasetSubject
from medvid.testing.format_checks import FORMAT_CHECKS, FormatSubject
from medvid.testing.head_checks import HEAD_CHECKS, HeadSubject
from medvid.testing.launcher_checks import LAUNCHER_CHECKS
from medvid.testing.loss_checks import LOSS_CHECKS
from medvid.testing.numeric_checks import NUMERIC_CHECKS
from medvid.testing.optimizer_checks import OPTIMIZER_CHECKS
from medvid.testing.protocol_checks import PROTOCOL_CHECKS, ProtocolSubject
from medvid.testing.spec_checks import SPEC_CHECKS
from medvid.testing.transform_checks import TRANSFORM_CHECKS


@dataclass(frozen=True, slots=True)
class Kit:
    """How the components of a kind are tested.

    Args:
        subject: the component with one of its examples, ready to be tried.
        checks: what is held to.
    """

    subject: type[Subject]
    checks: tuple[Check, ...]


BACKBONE = Kit(BackboneSubject, (*SPEC_CHECKS, *BACKBONE_CHECKS, *NUMERIC_CHECKS))
HEAD = Kit(HeadSubject, (*SPEC_CHECKS, *HEAD_CHECKS))
DATASET = Kit(DatasetSubject, (*SPEC_CHECKS, *DATASET_CHECKS, *CASE_CHECKS))
LOSS = Kit(Subject, (*SPEC_CHECKS, *LOSS_CHECKS))
TRANSFORM = Kit(Subject, (*SPEC_CHECKS, *TRANSFORM_CHECKS))
OPTIMIZER = Kit(Subject, (*SPEC_CHECKS, *OPTIMIZER_CHECKS))
FORMAT = Kit(FormatSubject, (*SPEC_CHECKS, *FORMAT_CHECKS))
PROTOCOL = Kit(ProtocolSubject, (*SPEC_CHECKS, *PROTOCOL_CHECKS))
LAUNCHER = Kit(Subject, (*SPEC_CHECKS, *LAUNCHER_CHECKS))
