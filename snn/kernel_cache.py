"""A compiler cache that no change of the kernels can make stale; imported before anything that is compiled.

Numba looks at the file of a compiled function only, not at those of the kernels it calls: after a change in one of them
it would go on with the old machine code. The cache therefore lies in a folder named after all kernel sources.

A twin of `envs/kernel_cache.py`: the two packages never import each other.
"""

import hashlib
import os
import sys
from pathlib import Path

_home = Path(__file__).resolve().parents[1]
_sources = [path for name in ("envs", "snn") for path in sorted((_home / name).glob("*.py"))]
_sources += sorted((_home / "experiments").glob("compiled.py"))
_caches = os.environ.get("XDG_CACHE_HOME") or os.path.expandvars("$HOME/.cache")
if Path(_caches).is_absolute():  # a container's user may have no home: then Numba chooses
    _digest = hashlib.sha256(b"".join(path.read_bytes() for path in _sources)).hexdigest()[:16]
    # A folder that the user has set wins.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(_caches, "stigmergy", f"numba-{_digest}")))
    if sys.modules.get("numba") and not sys.modules["numba"].config.CACHE_DIR:  # loaded before, without a folder
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
