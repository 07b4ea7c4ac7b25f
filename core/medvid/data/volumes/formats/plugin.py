"""The formats that medvid ships."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import ComponentSpec, FormatSpec

SHIPPED = (
    FormatSpec(
        name="nifti",
        target="medvid.data.volumes.formats.nifti:Nifti",
        config="medvid.data.volumes.formats.options:NiftiOptions",
        suffixes=(".nii.gz", ".nii"),
        writes=".nii.gz",
        summary="NIfTI 1 and 2",
    ),
    FormatSpec(
        name="nrrd",
        target="medvid.data.volumes.formats.nrrd:Nrrd",
        config="medvid.data.volumes.formats.options:NrrdOptions",
        suffixes=(".nrrd", ".seg.nrrd", ".nhdr"),
        companions=(".raw", ".raw.gz", ".raw.bz2"),
        writes=".nrrd",
        summary="NRRD, also with voxels in other files, and segmentations of 3D Slicer",
    ),
    FormatSpec(
        name="mha",
        target="medvid.data.volumes.formats.metaimage:MetaImage",
        config="medvid.data.volumes.formats.options:MetaImageOptions",
        suffixes=(".mha", ".mhd"),
        companions=(".raw", ".zraw"),
        writes=".mha",
        summary="MetaImage of ITK, also with voxels in other files",
    ),
    FormatSpec(
        name="tiff",
        target="medvid.data.volumes.formats.tiff:Tiff",
        config="medvid.data.volumes.formats.options:TiffOptions",
        suffixes=(".tif", ".tiff"),
        writes=".tif",
        summary="TIFF with a page per slice, voxel sizes as of ImageJ or OME",
    ),
    FormatSpec(
        name="analyze",
        target="medvid.data.volumes.formats.analyze:Analyze",
        config="medvid.data.volumes.formats.options:AnalyzeOptions",
        suffixes=(".img",),
        companions=(".hdr", ".mat"),
        demo="medvid.data.volumes.formats.analyze:write_demo",
        summary="Analyze 7.5, which does not say where left and right are",
    ),
)


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute `nifti`, `nrrd`, `mha`, `tiff` and `analyze`."""
    return SHIPPED
