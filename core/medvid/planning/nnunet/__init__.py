"""nnU-Net's plan, as functions of numbers alone (Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z).

Axes are those of nnU-Net: z, y, x of the file as stored, or with the coarsest one in front after its transposition.
"""
