"""The sets of MedMNIST v2 (Yang et al., Scientific Data 2023): what each is annotated with."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MedMNISTSet:
    """One set.

    Args:
        names: of its classes, or labels, by id.
        channels: of its images: 1 or 3.
        is_volume: whether its images have three axes.
        task: one class; one of two classes; one of several grades; or any of several labels.
    """

    names: tuple[str, ...]
    channels: int = 1
    is_volume: bool = False
    task: Literal["classes", "binary", "grades", "labels"] = "classes"


_ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver", "lung-left"),
    *("lung-right", "pancreas", "spleen"),
)
_ORGANS_3D = (  # in another order than in 2D
    *("liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder", "heart", "lung-right"),
    *("lung-left", "spleen", "pancreas"),
)
IMAGES = {
    "pathmnist": MedMNISTSet(
        (
            *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa"),
            *("cancer-associated stroma", "colorectal adenocarcinoma epithelium"),
        ),
        3,
    ),
    "chestmnist": MedMNISTSet(
        (
            *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia"),
            *("pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia"),
        ),
        task="labels",
    ),
    "dermamnist": MedMNISTSet(
        (
            *("actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma"),
            *("benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions"),
        ),
        3,
    ),
    "octmnist": MedMNISTSet(("choroidal neovascularization", "diabetic macular edema", "drusen", "normal")),
    "pneumoniamnist": MedMNISTSet(("normal", "pneumonia"), task="binary"),
    "retinamnist": MedMNISTSet(("0", "1", "2", "3", "4"), 3, task="grades"),
    "breastmnist": MedMNISTSet(("malignant", "normal, benign"), task="binary"),
    "bloodmnist": MedMNISTSet(
        (
            *("basophil", "eosinophil", "erythroblast"),
            "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
            *("lymphocyte", "monocyte", "neutrophil", "platelet"),
        ),
        3,
    ),
    "tissuemnist": MedMNISTSet(
        (
            *("Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule", "Glomerular endothelial cells"),
            *("Interstitial endothelial cells", "Leukocytes", "Podocytes", "Proximal Tubule Segments"),
            "Thick Ascending Limb",
        )
    ),
    **dict.fromkeys(("organamnist", "organcmnist", "organsmnist"), MedMNISTSet(_ORGANS)),
}
VOLUMES = {
    "organmnist3d": MedMNISTSet(_ORGANS_3D, is_volume=True),
    "nodulemnist3d": MedMNISTSet(("benign", "malignant"), is_volume=True, task="binary"),
    "adrenalmnist3d": MedMNISTSet(("normal", "hyperplasia"), is_volume=True, task="binary"),
    "fracturemnist3d": MedMNISTSet(
        ("buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture"), is_volume=True
    ),
    "vesselmnist3d": MedMNISTSet(("vessel", "aneurysm"), is_volume=True, task="binary"),
    "synapsemnist3d": MedMNISTSet(("inhibitory synapse", "excitatory synapse"), is_volume=True, task="binary"),
}
SETS = IMAGES | VOLUMES
