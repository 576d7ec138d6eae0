"""What the environment tells about an MPI launcher, before MPI itself is loaded. Pure but for `forget_launcher`."""

import os

# Environment variables that tell how many processes a launcher started, the number of this one, and prefixes that tell
# there is a launcher.
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "SLURM_STEP_NUM_TASKS", "FLUX_JOB_SIZE")
_RANK_VARIABLES = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID", "FLUX_TASK_RANK")
_PREFIXES = ("OMPI_", "PMI_", "PMIX_", "MPI_LOCAL", "PALS_", "SLURM_STEP", "FLUX_")


def has_launcher() -> bool:
    """Whether a launcher may have started this process."""
    return any(name.startswith(_PREFIXES) for name in os.environ)


def n_started() -> int:
    """Number of processes that were started together, 1 if the environment says nothing."""
    sizes = [os.environ.get(name, "") for name in _SIZE_VARIABLES]
    return max([1, *(int(size) for size in sizes if size.isdecimal())])


def is_first_rank() -> bool:
    """Whether the launcher, if any, calls this process rank 0."""
    return all(os.environ.get(name) in (None, "", "0") for name in _RANK_VARIABLES)


def forget_launcher() -> None:
    """Make this process one that nobody launched: a child of a rank, which must not join its MPI job."""
    for name in list(os.environ):
        if name.startswith(_PREFIXES):
            del os.environ[name]
