"""Options of the formats that medvid ships."""

from typing import Literal

from medvid.config.options import FormatOptions


class NiftiOptions(FormatOptions):
    """NIfTI 1 and 2, .nii and .nii.gz (Cox et al., 2004)."""

    name: Literal["nifti"] = "nifti"


class NrrdOptions(FormatOptions):
    """NRRD (Teem): .nrrd, .nhdr, and 3D Slicer's .seg.nrrd."""

    name: Literal["nrrd"] = "nrrd"


class MetaImageOptions(FormatOptions):
    """MetaImage (ITK): .mha and .mhd."""

    name: Literal["mha"] = "mha"


class TiffOptions(FormatOptions):
    """TIFF with a page per slice, as ImageJ and OME write it."""

    name: Literal["tiff"] = "tiff"


class AnalyzeOptions(FormatOptions):
    """Analyze 7.5 (Mayo Clinic): .img with its .hdr."""

    name: Literal["analyze"] = "analyze"
