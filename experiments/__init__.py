"""The studies, where networks, worlds and optimizers meet.

Importing this package caps library threads at one per process (the ranks are the parallel axis, and the last digits of
linear algebra depend on the number of threads). That must happen before numpy and numba are loaded; variables that the
user has set win.
"""

import os
from importlib.util import find_spec
from pathlib import Path

_home = Path(__file__).resolve().parents[1]

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Packages named `envs`, `snn` or `optim` may come from elsewhere (PyPI has an `envs`); results would be nonsense.
for _name in ("envs", "snn", "optim"):
    _spec = find_spec(_name)
    _found = Path(_spec.origin).resolve().parents[1] if _spec is not None and _spec.origin else None
    if _found != _home:
        raise ImportError(
            f"the package {_name!r} is found in {_found}, not in {_home}: another distribution shadows a part of "
            f"stigmergy. Remove it (pip uninstall {_name}), reinstall stigmergy, or use a fresh virtual environment."
        )
